"""Pictures of streets: what passes on them, and how that differs from a baseline."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...environment.roads import RoadRank
from ..reports.files import PICTURES, check_target
from ..reports.maps import INK, frame, pieces, put_title, save_figure
from .streets import StreetFigure

if TYPE_CHECKING:
    import geopandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...environment.city import City

QUIET = "#cfd4d8"
"""Colour of streets without a figure."""
THIN, THICK = 0.4, 5.0
"""Line widths in points of the streets with the least and with the most."""
LESS, SAME, MORE = ("#08519c", "#6baed6"), "#d5d8da", ("#f16913", "#8c2d04")
"""Ends and middles of the colours of less and of more, blues and oranges of Brewer 2003, which remain apart with
red-green and blue-yellow blindness and differ in lightness from the middle."""
OUTLIERS = 0.98
"""Share of the streets that a scale spans; the few beyond have the colour of its end."""


def save_streets(
    city: "City", sections: "geopandas.GeoDataFrame", shown: StreetFigure, path: Path, facts: dict[str, Any]
) -> Path:
    """Draw a figure of streets into a file: PNG, SVG or PDF, as the name ends.

    Args:
        city: the city.
        sections: from :func:`.streets.section_layer`.
        shown: the figure.
        path: file to write.
        facts: from :func:`..geo.about`.

    Raises:
        StoreError: if the name ends otherwise, another file stands there, or it cannot be written.
    """
    check_target(path, PICTURES)
    return save_figure(draw_streets(city, sections, shown, facts), path)


def save_changes(
    city: "City", sections: "geopandas.GeoDataFrame", shown: StreetFigure, path: Path, facts: dict[str, Any]
) -> Path:
    """Draw how a figure of streets differs from the baseline into a file; arguments and errors as save_streets."""
    check_target(path, PICTURES)
    return save_figure(draw_changes(city, sections, shown, facts), path)


def draw_streets(
    city: "City", sections: "geopandas.GeoDataFrame", shown: StreetFigure, facts: dict[str, Any]
) -> "Figure":
    """Draw streets in the colour of a figure, as wide as vehicles pass; see save_streets."""
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    figure, axes = frame(city, city.info.bounds)
    values, flow = sections[shown.column].to_numpy(float), sections["vehicles_per_day"].to_numpy(float)
    driven = flow > 0
    low, top = _ends(values[driven], from_zero=shown.more_is_worse)
    colours = _scale(reverse=shown.more_is_worse)
    norm = Normalize(low, top)
    largest = largest_of(flow[driven])
    drawlines_of(axes, sections, driven, colours(norm(np.nan_to_num(values))), widths(flow, largest))
    _bar(figure, axes, mpl.cm.ScalarMappable(norm, colours), shown.label, _beyond(values[driven], low, top))
    width_legend(axes, largest, "vehicles a day", INK)
    put_title(axes, facts, shown.label)
    return figure


def draw_changes(
    city: "City", sections: "geopandas.GeoDataFrame", shown: StreetFigure, facts: dict[str, Any]
) -> "Figure":
    """Draw how a figure of streets differs from the baseline: blue for less, orange for more, wide for much."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    figure, axes = frame(city, city.info.bounds)
    values = sections[f"{shown.column}_change"].to_numpy(float)
    changed = np.isfinite(values) & (np.abs(values) > 0)
    top = largest_of(np.abs(values[changed]))
    colours = LinearSegmentedColormap.from_list("less or more", [*LESS, SAME, *MORE])
    norm = Normalize(-top, top)
    drawlines_of(axes, sections, changed, colours(norm(np.nan_to_num(values))), widths(np.abs(values), top))
    label = f"change, {shown.label}"
    _bar(figure, axes, mpl.cm.ScalarMappable(norm, colours), label, _beyond(values[changed], -top, top), signed=True)
    width_legend(axes, top, label, INK)
    put_title(axes, facts, f"{shown.label}, change against point {facts['baseline']}")
    return figure


def drawlines_of(
    axes: "Axes",
    sections: "geopandas.GeoDataFrame",
    shown: NDArray[np.bool_],
    colours: NDArray[np.float64],
    width: NDArray[np.float64],
) -> Any:
    """Draw sections, the rest of them thin and grey, and return the collection of those that are shown.

    Args:
        axes: where.
        sections: lines with ``rank``.
        shown: bool (sections,).
        colours: (sections, 4) of those that are shown.
        width: (sections,) points.
    """
    from matplotlib.collections import LineCollection

    lines = pieces(sections.geometry.to_numpy())
    main = sections["rank"].to_numpy() <= RoadRank.TERTIARY
    quiet = LineCollection(
        [line for line, on in zip(lines, shown, strict=True) if not on],
        colors=QUIET,
        linewidths=np.where(main, 2 * THIN, THIN)[~shown],
    )
    quiet.set_zorder(1)
    axes.add_collection(quiet)
    rows = np.flatnonzero(shown)
    rows = rows[np.argsort(width[rows], kind="stable")]  # the widest on top
    drawn = LineCollection([lines[row] for row in rows], colors=colours[rows], linewidths=width[rows])
    drawn.set_capstyle("round")
    drawn.set_zorder(3)
    axes.add_collection(drawn)
    return drawn


def widths(values: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    """Return line widths in points whose area grows with the values."""
    return THIN + (THICK - THIN) * np.clip(np.nan_to_num(values) / largest, 0.0, 1.0)


def width_legend(axes: "Axes", largest: float, label: str, colour: str) -> None:
    """Say how wide some round values are."""
    from matplotlib.lines import Line2D

    steps = [_round(largest * share) for share in (0.1, 0.4, 1.0)]
    keys = [
        Line2D([], [], color=colour, linewidth=float(widths(np.array([value]), largest)[0]), label=f"{value:,g}")
        for value in dict.fromkeys(steps)
    ]
    axes.legend(
        handles=keys, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0,
        title=label, title_fontsize=9, alignment="left",
    )  # fmt: skip


def _scale(*, reverse: bool) -> Any:
    """Return matplotlib's viridis less its palest end, which would not stand out from the paper."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.92, 256))
    return ListedColormap(colours[::-1] if reverse else colours)


def _bar(figure: "Figure", axes: "Axes", scale: Any, label: str, beyond: str, *, signed: bool = False) -> None:
    bar = figure.colorbar(scale, cax=axes.inset_axes((1.025, 0.01, 0.022, 0.45)), extend=beyond)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_formatter(lambda x, _: f"{x:+,g}".replace("-", "−") if signed and x else f"{x:,g}")
    bar.outline.set_visible(False)  # type: ignore[operator]


def _beyond(values: NDArray[np.float64], low: float, top: float) -> str:
    known = values[np.isfinite(values)]
    ends = bool((known < low).any()), bool((known > top).any())
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[ends]


def _ends(values: NDArray[np.float64], *, from_zero: bool) -> tuple[float, float]:
    """Return the ends of a scale: from 0, or from the slowest streets."""
    known = values[np.isfinite(values)]
    top = largest_of(known)
    return (0.0 if from_zero or not len(known) else min(_round(float(np.quantile(known, 1 - OUTLIERS))), top / 2)), top


def largest_of(values: NDArray[np.float64]) -> float:
    """Return the round end of a scale for values of 0 and more."""
    known = values[np.isfinite(values)]
    return _round(float(np.quantile(known, OUTLIERS))) if len(known) and known.max() > 0 else 1.0


def _round(value: float) -> float:
    """Return the number of one digit, or 1.5 or 2.5 times a power of ten, that is next above a value."""
    if value <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    steps = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) * power
    return float(steps[np.searchsorted(steps, value * (1 - 1e-9))])
