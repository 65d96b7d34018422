"""The picture of an epidemic: curves of every point over its seeds, drawn with matplotlib without a display."""

import io
import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..points.layout import same_text
from ..storage.tables import StoreError
from .files import write_target
from .labels import MINUS, attributions, cities_of, headline, point_label, short_names, value_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from ..results import Results

# Okabe & Ito 2008, "Color Universal Design", without their yellow, which is too light for a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
GREY = "#57606a"
OTHERS = "#c4cad1"
"""Colour of the points that have no look of their own."""
MAX_POINTS = len(PALETTE) * len(STYLES)
"""Points that are drawn; beyond this number nobody could tell the curves apart."""
DPI = 150
LEGEND_WIDTH = 34
"""Characters of a line of the legend."""
LEGEND_HEIGHT = 380.0
"""Points (1/72 inch) that there are for the legend; points of the sweep beyond it are not drawn."""
LINE_SPACING = 1.1
MAX_SHADES = 9
"""Shades of an ordered parameter that the legend names, evenly spread."""
WIDE, NARROW = 10.0, 5.0
"""Width of the picture in inches, for a screen and for a phone."""

Outside = Literal["outside lower left", "outside right center"]
Looks = dict[int, tuple[str, Any]]
"""Colour and line style by point."""


_NEEDED = {"date", "infectious", "cumulative_infections", "susceptible"}
"""Columns of the series that are drawn."""


def has_curves(results: "Results") -> bool:
    """Return whether there is an epidemic to draw."""
    return "series" in results.tables and set(results.series.columns) >= _NEEDED


def curves_png(results: "Results", *, titled: bool = True, narrow: bool = False) -> bytes:
    """Return the picture as PNG.

    Args:
        results: the results.
        titled: whether it says itself what it shows; a page around it may do so.
        narrow: drawn for the width of a phone, with the legend below.

    Raises:
        StoreError: if the series has no curves of an epidemic.
    """
    target = io.BytesIO()
    draw_curves(results, titled=titled, narrow=narrow).savefig(target, format="png", dpi=DPI)
    return target.getvalue()


def save_curves(results: "Results", path: Path) -> Path:
    """Write the picture as PNG.

    Raises:
        StoreError: if there are no curves, or the file cannot be written.
    """
    return write_target(path, curves_png(results))


def draw_curves(results: "Results", *, titled: bool = True, narrow: bool = False) -> "Figure":
    """Draw who is infectious and who has been infected so far, by day and point.

    A line is the median over the seeds of a point, its band reaches from the lowest to the highest of them. The
    arguments are those of :func:`curves_png`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = results.series
    if not has_curves(results):
        raise StoreError(f"no curves to draw: the series lacks {', '.join(sorted(_NEEDED - set(series.columns)))}")
    policies = [name for name in series.columns if name.startswith("policy.")]
    looks = point_looks(results)
    legend = legend_of(results, looks)
    height = (6.6 if titled else 6.0) + 0.22 * len(policies) + 0.2 * bool(policies)
    if narrow:
        labels = [str(line.get_label()) for _, lines in legend for line in lines]
        height += 0.18 * (len(legend) + sum(label.count("\n") + 1 for label in labels))
    figure = Figure(figsize=(NARROW if narrow else WIDE, height), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [3.4, 2.0]
    if policies:
        heights.insert(0, 0.24 * len(policies))
    axes = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    if policies:
        _draw_policies(axes[0], results, policies)
    _draw_points(results, looks, axes[-2], axes[-1])
    if narrow:
        _legend_of_figure(figure, legend, "outside lower left")
    elif len(legend) == 1 and len(legend[0][1]) > MAX_SHADES:  # higher than the upper axes
        _legend_of_figure(figure, legend, "outside right center")
    else:
        _legend_beside(axes[-2], legend)
    if titled:
        _title(figure, results)
    return figure


def _draw_points(results: "Results", looks: Looks, upper: "Axes", lower: "Axes") -> None:
    by_point = {}
    for point, rows in results.series.groupby("point", sort=True):
        people = float(rows["susceptible"].iloc[0] + rows["cumulative_infections"].iloc[0])
        by_point[int(point)] = rows.assign(infected_percent=rows["cumulative_infections"] * (100.0 / people))
    for axes, column in ((upper, "infectious"), (lower, "infected_percent")):
        draw_others(axes, by_point, looks, "date", column)
        for point, look in looks.items():
            if point in by_point:
                draw_line(axes, by_point[point], "date", column, look, faint=len(looks) >= 4)
        style_axes(axes)
    upper.set_ylabel("infectious people")
    lower.set_ylabel("infected so far,\n% of the people")
    style_dates(lower)


def draw_line(
    axes: "Axes",
    rows: "pd.DataFrame",
    step: str,
    column: str,
    look: tuple[str, Any],
    *,
    faint: bool = False,
) -> None:
    """Draw a column of the series of a point: median over the seeds, and a band from the lowest to the highest."""
    colour, style = look
    steps, curves = _by_seed(rows, step, column)
    axes.plot(steps, np.nanmedian(curves, axis=0), color=colour, linestyle=style, linewidth=1.9, zorder=3)
    if len(curves) > 1:
        low, high = np.nanmin(curves, axis=0), np.nanmax(curves, axis=0)
        axes.fill_between(steps, low, high, color=colour, alpha=0.08 if faint else 0.15, linewidth=0)


def draw_others(axes: "Axes", by_point: "dict[int, pd.DataFrame]", looks: Looks, step: str, column: str) -> None:
    """Draw the medians of the points that have no look of their own as thin grey lines."""
    for point, rows in by_point.items():
        if point not in looks:
            steps, curves = _by_seed(rows, step, column)
            axes.plot(steps, np.nanmedian(curves, axis=0), color=OTHERS, linewidth=0.7, zorder=1)


def thousands(value: float, _position: float = 0) -> str:
    """Return a number beside an axis, with thousands parted."""
    return f"{value:,.10g}".replace("-", MINUS)


def style_axes(axes: "Axes") -> None:
    """Give axes from 0 a light grid and numbers with thousands parted."""
    from matplotlib.ticker import MaxNLocator

    low = min((float(np.nanmin(line.get_ydata())) for line in axes.get_lines()), default=0.0)
    if low >= 0:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.grid(axis="y", color="#d8dee4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(thousands)


def style_dates(axes: "Axes") -> None:
    """Give axes dates that say month and year once."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    time = ["%H:%M", "%H:%M", "%S.%f"]  # never met: a step is a day
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(
            locator,
            formats=["%Y", "%b", "%d %b", *time],
            zero_formats=["", "%Y", "%d %b", *time],
            offset_formats=["", "%Y", "%Y", *time],
        )
    )


def _by_seed(rows: "pd.DataFrame", step: str, column: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the steps, and a curve a seed (seeds, steps)."""
    table = rows.pivot_table(index="seed", columns=step, values=column)
    return table.columns.to_numpy(), table.to_numpy(float)


# ---------------------------------------------------------------------- which point looks how


def _grid_axes(results: "Results") -> list[tuple[str, list[Any]]]:
    """Return the one or two parameters that a grid sweeps, the one of more values first; nothing for other sweeps."""
    points = results.points
    axes = []
    for name in results.info["parameters"]:
        distinct = {same_text(point.get(name)): point.get(name) for point in points}
        if len(distinct) > 1:
            axes.append((name, list(distinct.values())))
    axes.sort(key=lambda axis: -len(axis[1]))
    is_grid = len(axes) in (1, 2) and math.prod(len(values) for _, values in axes) == len(points)
    fits = is_grid and _colours(axes[0][1]) and (len(axes) == 1 or len(axes[1][1]) <= len(STYLES))
    return axes if fits else []


def _colours(values: list[Any]) -> list[str]:
    """Return a colour for each value of a parameter: shades from low to high for many numbers; none for too many words."""
    if len(values) <= len(PALETTE):
        return list(PALETTE[: len(values)])
    if not all(isinstance(value, int | float) for value in values):
        return []
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    order = sorted(values)
    # The last tenth of the scale is too light for a line.
    return [to_hex(colormaps["viridis"](0.9 * order.index(value) / (len(order) - 1))) for value in values]


def point_looks(results: "Results") -> Looks:
    """Return colour and line style, as matplotlib has them, of the points that are drawn."""
    axes = _grid_axes(results)
    if not axes:
        points = range(len(results.points))
        shown = list(points) if _named_points(results) == len(points) else _spread_out(results)
        return {
            point: (PALETTE[number % len(PALETTE)], STYLES[number // len(PALETTE)])
            for number, point in enumerate(shown)
        }
    looks = {}
    colours = _colours(axes[0][1])
    for point, parameters in enumerate(results.points):
        position = [values.index(parameters[name]) for name, values in axes]
        looks[point] = (colours[position[0]], STYLES[position[1] if len(position) > 1 else 0])
    return looks


def _spread_out(results: "Results") -> list[int]:
    """Return a few of many points: the first, and others evenly spread from the least to the most of the first figure."""
    from ..compare import figures_in

    order = list(range(len(results.points)))
    if figures := figures_in(results):
        means = results.summary.groupby("point")[figures[0].column].mean()
        order = means.sort_values(kind="stable").index.tolist()
    places = np.linspace(0, len(order) - 1, len(PALETTE) - 1).round().astype(int)
    return sorted({min(order), *(int(order[place]) for place in places)})


def _point_name(results: "Results", point: int) -> str:
    label = point_label(results.points[point], short_names(results.info["parameters"]))
    return textwrap.fill(label, LEGEND_WIDTH)


def _named_points(results: "Results") -> int:
    """Return how many points the legend has room for."""
    room = LEGEND_HEIGHT
    for point in range(len(results.points)):
        room -= 4.5 + 11.0 * (_point_name(results, point).count("\n") + 1)
        if room < 0 or point == MAX_POINTS:
            return point
    return len(results.points)


def legend_of(results: "Results", looks: Looks) -> list[tuple[str, list["Line2D"]]]:
    """Return what colours and line styles mean, title and lines, one block a swept parameter."""
    from matplotlib.lines import Line2D

    def line(label: str, colour: str, style: Any) -> Line2D:
        return Line2D([], [], color=colour, linestyle=style, linewidth=1.9, label=label)

    if len(results.points) < 2:
        return []
    names = short_names(results.info["parameters"])
    blocks = []
    for number, (name, values) in enumerate(_grid_axes(results)):
        colours = _colours(values) if number == 0 else [GREY] * len(values)
        styles = ["-"] * len(values) if number == 0 else STYLES
        lines = [line(value_text(v), colours[i], styles[i]) for i, v in enumerate(values)]
        if len(lines) > MAX_SHADES:
            low_to_high = sorted(range(len(values)), key=values.__getitem__)
            lines = [lines[low_to_high[i]] for i in np.linspace(0, len(lines) - 1, MAX_SHADES).round().astype(int)]
        blocks.append((textwrap.fill(names[name], LEGEND_WIDTH), lines))
    if blocks:
        return blocks
    lines = [line(_point_name(results, point), *look) for point, look in looks.items()]
    if others := len(results.points) - len(looks):
        lines.append(line("the other point" if others == 1 else f"the other {others:,} points", OTHERS, "-"))
    return [("", lines)]


def _legend_beside(axes: "Axes", blocks: list[tuple[str, list["Line2D"]]]) -> None:
    from matplotlib.transforms import offset_copy

    down = 0.0
    for title, handles in blocks:
        legend = axes.legend(
            handles=handles,
            title=title,
            title_fontproperties={"weight": "bold", "size": 9},
            alignment="left",
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            bbox_transform=offset_copy(axes.transAxes, axes.get_figure(root=True), y=-down, units="points"),
            frameon=False,
            fontsize=9,
            handlelength=2.6,
        )
        axes.add_artist(legend).set_clip_on(False)  # it lies beside the axes, and the layout makes room for it
        down += 15.0 * (len(handles) + 1 + title.count("\n")) + 10.0


def put_legend_below(figure: "Figure", blocks: list[tuple[str, list["Line2D"]]]) -> None:
    """Put the legend of a figure below its axes."""
    _legend_of_figure(figure, blocks, "outside lower left")


def _legend_of_figure(figure: "Figure", blocks: list[tuple[str, list["Line2D"]]], where: Outside) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for title, lines in blocks:
        handles += [Line2D([], [], linestyle="none", label=title)] * bool(title) + lines
    if handles:
        legend = figure.legend(handles=handles, loc=where, frameon=False, fontsize=9, handlelength=2.6)
        titles = {title for title, _ in blocks}
        for text in legend.get_texts():
            if text.get_text() in titles:
                text.set_fontweight("bold")


# ---------------------------------------------------------------------- what is around


def _draw_policies(axes: "Axes", results: "Results", policies: list[str]) -> None:
    """Draw a bar for each policy over the days on which it is in force; fainter where only some runs have it.

    Where nobody complies it counts as not in force.
    """
    series = results.series
    in_force = series[["date", *policies]].astype(dict.fromkeys(policies, float))
    own = {policy.name: policy.compliance for policy in results.scenario.policies} if results.is_of_city else {}
    for name in policies:
        key = f"{name}.compliance"
        followed = [point.get(key, own.get(name.removeprefix("policy."), 1)) > 0 for point in results.points]
        in_force[name] *= np.array(followed, float)[series["point"].to_numpy()]
    shares = in_force.groupby("date", sort=True)[policies].mean()
    dates = shares.index.to_numpy()
    for row, name in enumerate(policies):
        share = shares[name].to_numpy()
        colours = np.zeros((1, len(share), 4))
        colours[..., :3] = np.array([0x57, 0x60, 0x6A]) / 255
        colours[..., 3] = 0.15 * (share > 0) + 0.45 * share
        low, high = _edges(dates)
        axes.imshow(colours, extent=(low, high, row + 0.36, row - 0.36), aspect="auto", interpolation="none")
    axes.set_ylim(len(policies) - 0.5, -0.5)
    names = [textwrap.shorten(name.removeprefix("policy."), 28, placeholder="…") for name in policies]
    axes.set_yticks(range(len(policies)), names, fontsize=9)
    axes.set_title("in force (lighter: in some of the runs)", loc="left", fontsize=8.5, color=GREY, pad=3)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def _edges(dates: NDArray[Any]) -> tuple[float, float]:
    from matplotlib.dates import date2num

    numbers = date2num(dates)
    return float(numbers[0]) - 0.5, float(numbers[-1]) + 0.5


def _title(figure: "Figure", results: "Results") -> None:
    title = textwrap.wrap(results.name, 62)
    below = textwrap.wrap(headline(results), 115)
    room = "\n" * len(below)
    figure.suptitle(
        "\n".join(title) + room, x=0.012, ha="left", fontsize=15, fontweight="bold", linespacing=LINE_SPACING
    )
    top = 0.36 + (len(title) - 1) * 15 / 72 * 1.17 * LINE_SPACING
    height = figure.get_size_inches()[1]
    figure.text(0.012, 1 - top / height, "\n".join(below), ha="left", va="top", fontsize=10, color=GREY)
    seeds = len(results.info["replicates"])
    notes = [f"Line: median of {seeds} seeds; band: lowest to highest."] if seeds > 1 else []
    notes += [f"City: {note}" for note in attributions(cities_of(results))]
    if notes:
        figure.supxlabel(textwrap.fill("   ".join(notes), 130), x=0.012, ha="left", fontsize=8.5, color=GREY)
