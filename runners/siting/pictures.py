"""Maps of plans: how long the first unit takes to each part of the city, and where units stand."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...environment.places import SiteKind
from ...environment.roads import RoadRank
from ..reports.maps import INK, draw_roads, frame, save_figure
from .files import cover_layer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .answer import Answer
    from .trials import Judged

STATION, GIVEN_UP, HOSPITAL = "#D55E00", "#000000", "#0072B2"
"""Colours of Okabe & Ito 2008, told apart by shape as well."""
_ROADS = "#aab0b6"


def save_picture(answer: "Answer", plan: "Judged", path: Path) -> Path:
    """Draw a plan into a file; see :func:`draw`.

    Raises:
        StoreError: if it cannot be written.
    """
    return save_figure(draw(answer, plan), path)


def draw(answer: "Answer", plan: "Judged") -> "Figure":
    """Draw the minutes from a call to the first free unit by cell, the standard, and the stations with their units."""
    import matplotlib as mpl
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.patheffects import withStroke
    from shapely import get_coordinates

    city, sites, units = answer.question.city, answer.sites, plan.plan.units
    layer = cover_layer(answer)
    west, south, east, north = layer.total_bounds
    at = np.flatnonzero(units)
    west, east = min(west, sites.x[at].min()), max(east, sites.x[at].max())
    south, north = min(south, sites.y[at].min()), max(north, sites.y[at].max())
    figure, axes = frame(city, (west, south, east, north))
    minutes = answer.seconds(units) / 60.0
    every = np.concatenate([answer.seconds(other.plan.units) for other in answer.plans]) / 60.0
    top = max(float(np.ceil(np.percentile(every[np.isfinite(every)], 98))), 1.0)
    low = float(np.floor(every.min()))
    colours, norm = mpl.colormaps["cividis_r"], Normalize(low, max(top, low + 1))
    shapes = [get_coordinates(shape) for shape in layer.geometry]
    reached = np.isfinite(minutes)
    drawn = PolyCollection(
        shapes,
        facecolors=np.where(reached[:, None], colours(norm(np.where(reached, minutes, 0.0))), (1, 1, 1, 1)),
        linewidths=0,
        zorder=1,
    )
    axes.add_collection(drawn)
    standard = answer.standard / 60.0
    late = np.flatnonzero(~(minutes <= standard))
    axes.add_collection(
        PolyCollection(
            [shapes[row] for row in late], facecolors="none", edgecolors=STATION, hatch="////", linewidths=0, zorder=2
        )
    )
    draw_roads(axes, city, RoadRank.TERTIARY, _ROADS)
    axes.scatter(
        sites.x[at], sites.y[at], s=190, marker="o", color=STATION, edgecolors="white", linewidths=1.2, zorder=6
    )
    for row in at:
        axes.text(
            sites.x[row], sites.y[row], str(units[row]), ha="center", va="center_baseline", fontsize=9.5, color="white",
            fontweight="bold", zorder=7, path_effects=[withStroke(linewidth=1.2, foreground=STATION)],
        )  # fmt: skip
    given_up = np.flatnonzero(units[: sites.today] == 0)
    axes.scatter(
        sites.x[given_up],
        sites.y[given_up],
        s=60,
        marker="X",
        color=GIVEN_UP,
        edgecolors="white",
        linewidths=0.9,
        zorder=5,
    )
    hospitals = np.asarray(city.sites.kind) == SiteKind.HOSPITAL
    axes.scatter(
        city.sites.x[hospitals], city.sites.y[hospitals], s=70, marker="P", color=HOSPITAL, edgecolors="white",
        linewidths=0.8, zorder=5,
    )  # fmt: skip
    keys: list[Any] = [
        Line2D([], [], color=STATION, marker="o", markersize=12, markeredgecolor="white", linestyle="none",
               label="station and its units"),
        Line2D([], [], color=HOSPITAL, marker="P", markersize=8, markeredgecolor="white", linestyle="none",
               label="hospital"),
        Line2D([], [], color=_ROADS, linewidth=1.2, label="main road"),
    ]  # fmt: skip
    if len(given_up):
        keys.append(
            Line2D(
                [], [], color=GIVEN_UP, marker="X", markersize=8, linestyle="none", label="today's station, not used"
            )
        )
    if len(late):
        keys.append(Patch(facecolor="white", edgecolor=STATION, hatch="////", label=f"later than {standard:g} min"))
    axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0)
    bar = figure.colorbar(
        mpl.cm.ScalarMappable(norm, colours), cax=axes.inset_axes((1.025, 0.01, 0.022, 0.45)), extend="max"
    )
    bar.set_label("minutes from the call to the first unit, if it is free", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    if low < standard < top:
        bar.ax.axhline(standard, color=STATION, linewidth=2)
    named = city.info.name[:1].upper() + city.info.name[1:]
    number = answer.plans.index(plan) + 1
    axes.set_title(
        f"{named}: {answer.question.service}, plan {number}", loc="left", fontsize=14, fontweight="bold", pad=18
    )
    below = (
        f"units: {plan.plan.size}, stations: {plan.plan.stations} ({', '.join(plan.plan.methods)}): "
        f"{answer.covered(units):.0%} of calls within {standard:g} min of a free unit; "
        f"{plan.mean('in_time'):.1%} reached in time in the simulation"
    )
    axes.annotate(below, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=9.5, color=INK, va="bottom")
    return figure
