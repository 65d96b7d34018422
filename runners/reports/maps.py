"""Maps, drawn with matplotlib without a display: of a city as it is, and of what happened in it by zone or cell."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...environment.places import SiteKind
from ...environment.roads import RoadRank
from ..storage.tables import StoreError
from .files import METADATA, PICTURES, check_target

if TYPE_CHECKING:
    import geopandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...environment.city import City
    from .geo import Shown

DPI = 150
CELL = 100.0
"""Side of the cells in which people are counted, m; larger in cities of more than 400 cells across."""
MAX_BUILDINGS = 60_000
"""Buildings that are drawn one by one; in larger cities they would be smaller than a dot."""

_WIDTHS = {  # points, by rank
    RoadRank.MOTORWAY: 2.4,
    RoadRank.TRUNK: 2.0,
    RoadRank.PRIMARY: 1.6,
    RoadRank.SECONDARY: 1.2,
    RoadRank.TERTIARY: 0.9,
    RoadRank.UNCLASSIFIED: 0.5,
    RoadRank.RESIDENTIAL: 0.45,
    RoadRank.LIVING_STREET: 0.45,
}
_THIN = 0.25
# Colours of Okabe & Ito 2008, told apart by shape as well.
_MARKS: tuple[tuple[str, tuple[SiteKind, ...], str, str, float], ...] = (
    ("school", (SiteKind.PRIMARY, SiteKind.SECONDARY), "o", "#0072B2", 16),
    ("university", (SiteKind.UNIVERSITY,), "D", "#CC79A7", 26),
    ("hospital", (SiteKind.HOSPITAL,), "P", "#D55E00", 60),
    ("ambulance", (SiteKind.AMBULANCE_STATION,), "^", "#D55E00", 34),
    ("fire station", (SiteKind.FIRE_STATION,), "s", "#E69F00", 30),
    ("police", (SiteKind.POLICE_STATION,), "v", "#000000", 30),
)
LEAST = 20
"""Residents from which an area has a colour (assumed); a rate of fewer says nothing, and may say too much of them."""
_EMPTY = "#dcdfe3"
_FEW, _MANY = 50, 400
"""Areas up to which all are within the colour scale, and up to which each is drawn with its border."""
INK = "#3a4149"
"""Colour of words and of what stands behind."""
PAPER = "#fbfaf7"
"""Colour of empty land."""


def save_map(city: "City", path: Path) -> Path:
    """Write a map of a city: PNG, SVG or PDF, as the name ends.

    Raises:
        StoreError: if the name ends otherwise, another file stands there, or it cannot be written.
    """
    check_target(path, PICTURES)
    return save_figure(draw_map(city), path)


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG, SVG or PDF, as the name ends.

    Raises:
        StoreError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = path.suffix[1:].lower()
        figure.savefig(path, format=kind, dpi=DPI, metadata=METADATA[kind])
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def draw_map(city: "City") -> "Figure":
    """Draw a city: where people live, streets by rank, buildings, schools, hospitals and stations."""
    figure, axes = frame(city, city.info.bounds)
    _draw_people(figure, axes, city)
    _draw_buildings(axes, city)
    draw_roads(axes, city)
    _draw_sites(axes, city)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0)
    people = f"{len(city.people):,}"
    title = city.info.name if people in city.info.name else f"{city.info.name}, {people} people"
    axes.set_title(title[:1].upper() + title[1:], loc="left", fontsize=14, fontweight="bold", pad=8)
    return figure


def frame(city: "City", bounds: tuple[float, float, float, float]) -> "tuple[Figure, Axes]":
    """Return an empty map of some extent (west, south, east, north) with scale bar, attribution and CRS."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    west, south, east, north = bounds
    margin = 0.03 * max(east - west, north - south, 1.0)
    wide, high = east - west + 2 * margin, north - south + 2 * margin
    size = 9.0
    sides = (size * min(1.0, wide / high) + 2.6, size * min(1.0, high / wide) + 0.65)
    figure = Figure(figsize=sides, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(PAPER)
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    axes.set_xlim(west - margin, east + margin)
    axes.set_ylim(south - margin, north + margin)
    axes.set_autoscale_on(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#c8ccd0")
    _draw_scale(axes, wide)
    notes = list(dict.fromkeys(source.attribution for source in city.info.sources if source.attribution))
    figure.supxlabel("   ".join([*notes, city.info.crs]), x=0.012, ha="left", fontsize=8.5, color=INK)
    return figure, axes


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of a colour scale: from 0, or near the least where all values are large, to near the largest.

    A few outliers among many areas would leave the rest without contrast; they are beyond the end.
    """
    if not values.size or values.max() <= 0:
        return 0.0, 1.0
    few = len(values) <= _FEW
    top = float(values.max() if few else np.quantile(values[values > 0], 0.98))
    low = float(values.min() if few else np.quantile(values, 0.02))
    step = 10.0 ** np.floor(np.log10(top)) / 20
    low = float(np.floor(low / step) * step) if low > 0.5 * top else 0.0
    return low, max(float(np.ceil(top / step - 1e-9) * step) if few else top, low + step)


def _draw_people(figure: "Figure", axes: "Axes", city: "City") -> None:
    """Shade the cells by the people who live there, per hectare."""
    from matplotlib.colors import LogNorm

    west, south, east, north = city.info.bounds
    cell = max(CELL, max(east - west, north - south) / 400)
    columns, rows = (max(1, int(np.ceil(side / cell))) for side in (east - west, north - south))
    homes = city.people.household
    counts, _, _ = np.histogram2d(
        city.places.y[homes],
        city.places.x[homes],
        bins=(rows, columns),
        range=((south, south + rows * cell), (west, west + columns * cell)),
    )
    density = np.ma.masked_equal(counts / (cell * cell / 10_000), 0)
    if density.count() == 0:
        return
    top = max(float(density.max()), 10.0)
    picture = axes.imshow(
        density,
        extent=(west, west + columns * cell, south, south + rows * cell),
        origin="lower",
        cmap="YlGnBu",
        norm=LogNorm(vmin=1.0, vmax=top),
        alpha=0.55,
        interpolation="nearest",
        zorder=1,
    )
    bar = figure.colorbar(picture, cax=axes.inset_axes((1.025, 0.01, 0.022, 0.3)))
    bar.set_label("residents per hectare", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_buildings(axes: "Axes", city: "City") -> None:
    from matplotlib.collections import PolyCollection

    layer = city.layer("buildings")
    if layer is None or not 0 < len(layer) <= MAX_BUILDINGS:
        return
    shapes, _ = _outlines(layer.geometry.to_numpy())
    outlines = PolyCollection(shapes, facecolors="#8b8378", linewidths=0, alpha=0.75)
    outlines.set_zorder(2)
    axes.add_collection(outlines)


def draw_roads(axes: "Axes", city: "City", least: RoadRank = RoadRank.PATH, plain: str | None = None) -> None:
    """Draw the roads, down to some rank, in colours by rank or in a plain one."""
    import shapely
    from matplotlib.collections import LineCollection

    layer = city.layer("roads")
    if layer is None or not len(layer):
        return
    lines = layer.geometry.to_numpy()
    rank = np.asarray(city.links.rank)
    for at in sorted(set(rank[rank <= least].tolist()), reverse=True):
        width = _WIDTHS.get(RoadRank(at), _THIN)
        colour = plain or ("#b0573a" if at <= RoadRank.PRIMARY else "#5c6670" if at <= RoadRank.TERTIARY else "#a3abb3")
        drawn = LineCollection(pieces(shapely.get_parts(lines[rank == at])), colors=colour, linewidths=width)
        drawn.set_capstyle("round")
        drawn.set_zorder(3 + (12 - at) / 20)
        axes.add_collection(drawn)


def _outlines(shapes: NDArray[Any]) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """Return the outer border of each part of areas, (n, 2) each, and the number of the area."""
    import shapely

    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings = shapely.get_exterior_ring(parts)
    areas = ~shapely.is_missing(rings)
    return pieces(rings[areas]), owner[areas]


def pieces(shapes: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return the coordinates (n, 2) of each line."""
    import shapely

    points, owner = shapely.get_coordinates(shapes, return_index=True)
    return np.split(points, np.flatnonzero(np.diff(owner)) + 1) if len(points) else []


def _draw_sites(axes: "Axes", city: "City") -> None:
    from matplotlib.lines import Line2D

    axes.add_line(Line2D([], [], color="#b0573a", linewidth=1.8, label="motorway to primary"))
    axes.add_line(Line2D([], [], color="#5c6670", linewidth=1.2, label="secondary, tertiary"))
    axes.add_line(Line2D([], [], color="#a3abb3", linewidth=0.8, label="street, path"))
    kind = np.asarray(city.sites.kind)
    for label, kinds, marker, colour, area in _MARKS:
        rows = np.isin(kind, kinds)
        if rows.any():
            axes.scatter(
                city.sites.x[rows],
                city.sites.y[rows],
                s=area if rows.sum() < 200 else area / 3,
                marker=marker,
                color=colour,
                edgecolors="white",
                linewidths=0.6,
                label=f"{label} ({rows.sum():,})",
                zorder=5,
            )


def _draw_scale(axes: "Axes", wide: float) -> None:
    """Draw a bar of a round length, about a fifth of the map."""
    from matplotlib.patheffects import withStroke

    length = 10.0 ** np.floor(np.log10(wide / 5))
    length *= max(step for step in (1, 2, 5) if step * length <= wide / 4)
    low, high = axes.get_xlim()[0], axes.get_ylim()[0]
    x, y = low + 0.03 * wide, high + 0.03 * wide
    axes.plot([x, x + length], [y, y], color=INK, linewidth=3, solid_capstyle="butt", zorder=6)
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    text = axes.text(x + length / 2, y + 0.012 * wide, label, ha="center", fontsize=9, color=INK, zorder=6)
    text.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])


# ---------------------------------------------------------------------- results


def save_layer(
    city: "City", layer: "geopandas.GeoDataFrame", shown: "Shown", path: Path, facts: dict[str, Any]
) -> Path:
    """Draw a figure of a layer of results into a file: PNG, SVG or PDF, as the name ends.

    Args:
        city: the city.
        layer: from :func:`.geo.zone_layer` or :func:`.geo.cell_layer`.
        shown: figure of the layer.
        path: file to write.
        facts: from :func:`.geo.about`.

    Raises:
        StoreError: if the name ends otherwise, another file stands there, or it cannot be written.
    """
    check_target(path, PICTURES)
    return save_figure(draw_layer(city, layer, shown, facts), path)


def _known(layer: "geopandas.GeoDataFrame", shown: "Shown") -> NDArray[np.bool_]:
    """Return of each area whether its figure is drawn."""
    return np.isfinite(layer[shown.column].to_numpy(float)) & (layer["residents"].to_numpy() >= LEAST)


def common_limits(layers: "Sequence[geopandas.GeoDataFrame]", shown: "Shown") -> tuple[float, float]:
    """Return the ends of a scale of colours that suits several layers."""
    return _limits(np.concatenate([layer[shown.column].to_numpy(float)[_known(layer, shown)] for layer in layers]))


def draw_layer(
    city: "City",
    layer: "geopandas.GeoDataFrame",
    shown: "Shown",
    facts: dict[str, Any],
    limits: tuple[float, float] | None = None,
    *,
    titled: bool = True,
) -> "Figure":
    """Draw zones or cells in the colour of a figure, with legend, unit, main roads and hospitals.

    Args:
        city, layer, shown, facts: as for :func:`save_layer`.
        limits: ends of the scale of colours; by the figures of the layer if None.
        titled: whether it says itself what it shows; a page around it may do so.
    """
    import matplotlib as mpl
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lower, upper = np.split(np.stack([city.info.bounds, layer.total_bounds]), 2, axis=1)
    figure, axes = frame(city, (*lower.min(axis=0).tolist(), *upper.max(axis=0).tolist()))
    values = layer[shown.column].to_numpy(float)
    known = _known(layer, shown)
    low, top = _limits(values[known]) if limits is None else limits
    beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    extend = beyond[bool((values[known] < low).any()), bool((values[known] > top).any())]
    colours = mpl.colormaps["YlOrRd"]  # told apart by lightness too, also with red-green blindness (Brewer 2003)
    norm = Normalize(low, top)
    shapes, owner = _outlines(layer.geometry.to_numpy())
    drawn = PolyCollection(
        shapes,
        facecolors=np.where(
            known[owner, None], colours(norm(np.nan_to_num(values)))[owner], mpl.colors.to_rgba(_EMPTY)
        ),
        edgecolors="white" if len(values) <= _MANY else "none",
        linewidths=0.6 if len(values) <= _MANY else 0.0,
    )
    drawn.set_zorder(1)
    axes.add_collection(drawn)
    draw_roads(axes, city, RoadRank.TERTIARY, INK)
    hospitals = np.asarray(city.sites.kind) == SiteKind.HOSPITAL
    axes.scatter(
        city.sites.x[hospitals],
        city.sites.y[hospitals],
        s=70,
        marker="P",
        color="#0072B2",
        edgecolors="white",
        linewidths=0.8,
        zorder=5,
    )
    keys: list[Any] = [
        Line2D([], [], color=INK, linewidth=1.2, label="main road"),
        Line2D(
            [],
            [],
            color="#0072B2",
            marker="P",
            markersize=8,
            markeredgecolor="white",
            linestyle="none",
            label="hospital",
        ),
    ]
    if not known.all():
        keys.append(Patch(facecolor=_EMPTY, label=f"under {LEAST} residents"))
    axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0)
    bar = figure.colorbar(
        mpl.cm.ScalarMappable(norm, colours),
        cax=axes.inset_axes((1.025, 0.01, 0.022, 0.45)),
        extend=extend,
    )
    bar.set_label(shown.label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_formatter("{x:,g}")
    bar.outline.set_visible(False)  # type: ignore[operator]
    if titled:
        days = facts["days"]
        put_title(axes, facts, f"{shown.label} in {days} day{'s' * (days > 1)}")
    return figure


def put_title(axes: "Axes", facts: dict[str, Any], label: str) -> None:
    """Put above a map what it shows.

    Args:
        axes: from :func:`frame`.
        facts: from :func:`.geo.about`.
        label: what is shown, with its unit and time.
    """
    mean = "one run" if facts["runs"] == 1 else f"mean of {facts['runs']} runs"
    below = f"{label}, {mean}"
    if facts["parameters"]:
        below += f"; point {facts['point']}: {facts['parameters']}"
    below = "\n".join(textwrap.wrap(below, 100))
    axes.set_title(facts["scenario"], loc="left", fontsize=14, fontweight="bold", pad=18 + 11 * below.count("\n"))
    axes.annotate(below, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=9.5, color=INK, va="bottom")
