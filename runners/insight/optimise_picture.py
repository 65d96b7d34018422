"""The candidates of a search as a picture: goals against each other, the Pareto front, what fresh seeds say of it."""

import io
import itertools
import textwrap
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from ..compare import LEVEL, Measure, measure_of
from ..reports.curves import DPI, GREY, PALETTE, thousands
from ..reports.files import METADATA
from ..reports.labels import point_label, short_names
from .optimise_text import parameter_text
from .pareto import Judged, Weighed, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]
GRID = "#d8dee4"


def pareto_png(weighed: Weighed, title: str) -> bytes:
    """Draw every pair of goals against each other; one goal over the order in which candidates were tried.

    Args:
        weighed: all candidates.
        title: name of the scenario.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    goals = list(weighed.settings.goals)
    pairs: list[tuple[str | None, str]] = [*itertools.combinations(goals, 2)] or [(None, goals[0])]
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(7.0 if columns == 1 else 5.0 * columns, 1.3 + 4.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (across, up) in zip(panels, pairs, strict=False):
        _draw(axes, weighed, across, up)
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    heading = [title] if title else []
    if weighed.knee is not None:
        parameters = weighed.of(weighed.knee).parameters
        shown = {name: parameter_text(value) for name, value in parameters.items()}
        heading += textwrap.wrap(
            f"knee: {point_label(shown, short_names(list(shown)))}", int(12 * figure.get_figwidth())
        )
    figure.suptitle("\n".join(heading), x=0.02, ha="left", fontsize=10)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DPI, metadata=METADATA["png"])
    return target.getvalue()


def _draw(axes: "Axes", weighed: Weighed, across: str | None, up: str) -> None:
    kept = [judged for judged in weighed.candidates if judged.number in weighed.feasible]
    broken = [j for j in weighed.candidates if j.means is not None and j.number not in weighed.feasible]
    if broken:
        _points(axes, weighed, broken, across, up, marker="x", color=GREY, alpha=0.6, label="breaks a constraint")
    said = "keeps the constraints" if weighed.settings.constraints else "candidate"
    _points(axes, weighed, kept, across, up, marker="o", color=BLUE, alpha=0.45, linewidths=0, label=said)
    front = [weighed.of(number) for number in weighed.front]
    name = "best" if across is None else "Pareto front"
    hollow: dict[str, Any] = {"facecolors": "none", "linewidths": 1.2}
    _points(axes, weighed, front, across, up, marker="D", edgecolors=ORANGE, label=f"{name}, by the search", **hollow)
    _draw_fresh(axes, weighed, across, up)
    if across is None:
        known = [one for one in (weighed.fresh.get(0), weighed.baseline) if one is not None and one.means is not None]
        if known:
            said = "as written, by fresh seeds" if known[0] is not weighed.baseline else "as written"
            axes.axhline(_scaled(weighed, known[0], up), color=GREEN, linestyle=(0, (5, 3)), label=said)
    else:
        looks = hollow | {"edgecolors": GREEN, "label": "as written, by the search"}
        _points(axes, weighed, [weighed.baseline], across, up, marker="s", **looks)
    if weighed.knee is not None and across is not None:
        judged = weighed.of(weighed.knee)
        at = (_scaled(weighed, judged, across), _scaled(weighed, judged, up))
        axes.annotate(
            f"knee: candidate {judged.number}", at, xytext=(16, 18), textcoords="offset points", fontsize=9,
            arrowprops={"arrowstyle": "-", "color": "black"},
        )  # fmt: skip
    axes.set_ylabel(_label(weighed, up), fontsize=9)
    axes.set_xlabel("candidate, in the order of trial" if across is None else _label(weighed, across), fontsize=9)
    axes.yaxis.set_major_formatter(thousands)
    if across is not None:
        axes.xaxis.set_major_formatter(thousands)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_fresh(axes: "Axes", weighed: Weighed, across: str | None, up: str) -> None:
    """Draw what was judged again: filled, with intervals and a line from where the search saw it."""
    again = [weighed.fresh[number] for number in weighed.fresh if number and weighed.fresh[number].means is not None]
    holding = [judged for judged in again if (found := verdict(weighed, judged.number)) is not None and found.holds]
    for judged in again:
        ends = [weighed.of(judged.number), judged]
        xs = [one.number if across is None else _scaled(weighed, one, across) for one in ends]
        axes.plot(xs, [_scaled(weighed, one, up) for one in ends], color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    _intervals(axes, weighed, again, across, up)
    said = f"by fresh seeds, {LEVEL:.0%} interval"
    for group, marker, colour, word in (
        (holding, "D", ORANGE, "holds"),
        ([judged for judged in again if judged not in holding], "X", "black", "does not hold"),
    ):
        if group:
            looks = {"marker": marker, "color": colour, "s": 42, "label": f"{said}: {word}", "zorder": 3}
            _points(axes, weighed, group, across, up, **looks)
    if across is not None and weighed.fresh:
        looks = {"marker": "s", "color": GREEN, "s": 46, "label": "as written, by fresh seeds"}
        _points(axes, weighed, [weighed.fresh[0]], across, up, **looks)


def _points(
    axes: "Axes", weighed: Weighed, candidates: Sequence[Judged], across: str | None, up: str, **looks: Any
) -> None:
    """Draw candidates, of which those without figures are left out."""
    there = [judged for judged in candidates if judged.means is not None]
    xs = [judged.number if across is None else _scaled(weighed, judged, across) for judged in there]
    axes.scatter(xs, [_scaled(weighed, judged, up) for judged in there], **({"s": 22} | looks))


def _intervals(axes: "Axes", weighed: Weighed, candidates: Sequence[Judged], across: str | None, up: str) -> None:
    looks: dict[str, Any] = {"color": ORANGE, "linewidth": 1.1, "alpha": 0.8}
    for judged in candidates:
        x = judged.number if across is None else _scaled(weighed, judged, across)
        _, low, high = judged.level(up)
        if not isnan(low):
            scale = _measure(weighed, up).scale
            axes.vlines(x, low * scale, high * scale, **looks)
        if across is not None and not isnan(judged.level(across)[1]):
            _, low, high = judged.level(across)
            scale = _measure(weighed, across).scale
            axes.hlines(_scaled(weighed, judged, up), low * scale, high * scale, **looks)


def _measure(weighed: Weighed, name: str) -> Measure:
    return measure_of(name, max((abs(j.means[name]) for j in weighed.candidates if j.means is not None), default=0.0))


def _scaled(weighed: Weighed, judged: Judged, name: str) -> float:
    assert judged.means is not None
    return judged.means[name] * _measure(weighed, name).scale


def _label(weighed: Weighed, name: str) -> str:
    measure = _measure(weighed, name)
    unit = f", {measure.unit}" if measure.unit else ""
    return f"{measure.label}{unit} (wanted: {weighed.settings.goals[name]})"
