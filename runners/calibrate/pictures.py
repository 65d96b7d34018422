"""Pictures of a calibration, drawn with matplotlib without a display: what is expected, and what the parameters are."""

import datetime
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..reports.curves import DPI, GREY, PALETTE
from ..reports.files import METADATA
from ..reports.labels import value_text
from .predict import LEVELS, Prediction
from .settings import Prior, scale_key
from .text import parameter_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .session import Plan

Floats = NDArray[np.float64]

BLUE, ORANGE = PALETTE[0], PALETTE[1]
GRID = "#d8dee4"
BINS = 20
MOST_PAIRS = 6
"""Parameters of which every pair is drawn; of more, each one alone."""


def _png(figure: "Figure") -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DPI, metadata=METADATA["png"])
    return target.getvalue()


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def predictive_png(
    plan: "Plan",
    predictions: Mapping[str, Prediction],
    facts: Mapping[str, Any],
    title: str,
    start: datetime.date | None,
) -> bytes:
    """Draw for every column the observations, those held out, and the intervals in which they are expected.

    Args:
        plan: data and settings.
        predictions: by column.
        facts: what ``fit.json`` says.
        title: name of the scenario, "" if there is none.
        start: date of day 0, None if days are only counted.
    """
    figure = _figure(9.0, 1.0 + 3.4 * len(predictions))
    rows = figure.subplots(len(predictions), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, prediction) in zip(rows, predictions.items(), strict=True):
        days = np.arange(prediction.quantiles.shape[1])
        when = days if start is None else np.datetime64(start) + days
        _draw_column(axes, plan, name, prediction, when)
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    if start is None:
        rows[-1].set_xlabel("day of the run")
    else:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()
        rows[-1].xaxis.set_major_locator(locator)
        rows[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    source = f"{facts['particles']} particles" if "particles" in facts else "the best point"
    heading = f"{title}: " if title else ""
    figure.suptitle(f"{heading}expected from {source}, {facts['runs']:,} runs", x=0.02, ha="left", fontsize=11)
    return _png(figure)


def _draw_column(axes: "Axes", plan: "Plan", name: str, prediction: Prediction, when: Any) -> None:
    observed, observation = plan.observed, plan.settings.observations[name]
    low_90, low_50, middle, high_50, high_90 = prediction.quantiles
    axes.fill_between(when, low_90, high_90, color=BLUE, alpha=0.18, linewidth=0, label=f"{LEVELS[1]:.0%} interval")
    axes.fill_between(when, low_50, high_50, color=BLUE, alpha=0.38, linewidth=0, label=f"{LEVELS[0]:.0%} interval")
    axes.plot(when, middle, color=BLUE, linewidth=1.8, label="median")
    there = ~np.isnan(observed.values[name])
    fitted, held = there & observed.fitted, there & ~observed.fitted
    values = observed.values[name]
    at = np.asarray(when)[observed.days]
    axes.plot(
        at[fitted], values[fitted], "o", color="black", markersize=4.2, linestyle="none", label="observed, fitted"
    )
    if held.any():
        axes.plot(
            at[held], values[held], "D", markerfacecolor="white", markeredgecolor=ORANGE, markeredgewidth=1.4,
            markersize=4.8, linestyle="none", label="observed, held out",
        )  # fmt: skip
    if not observed.fitted.all():
        axes.axvline(
            np.asarray(when)[observed.last], color=GREY, linewidth=1, linestyle=(0, (5, 3)), label="end of the fit"
        )
    axes.set_ylim(bottom=0 if observation.error == "counts" else None)
    axes.margins(x=0.01)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    unit = "number" if observation.error == "counts" else "as in the data"
    axes.set_ylabel(f"{name},\n{unit}")
    if scale_key(name) in plan.settings.parameters:
        scale = " x a fitted scale"
    else:
        scale = "" if observation.scale == 1 else f" x {observation.scale:g}"
    parts = {"fitted": "fitted days", "held_out": "held-out days"}
    shares = [
        f"{covered[f'{LEVELS[1]:.0%}']:.0%} of {covered['days']} {parts[part]}"
        for part, covered in prediction.covered.items()
    ]
    said = f"model: {observation.series}{scale}; in the {LEVELS[1]:.0%} interval: {', '.join(shares)}"
    axes.set_title(said, loc="left", fontsize=9, color=GREY)


def parameters_png(
    values: Mapping[str, Sequence[float]], weight: Floats, priors: Mapping[str, Prior], facts: Mapping[str, Any]
) -> bytes:
    """Draw the posterior of every parameter within its prior, and of every pair of them.

    Args:
        values: of the particles by parameter.
        weight: of the particles, summing to 1.
        priors: bounds.
        facts: what ``fit.json`` says.
    """
    names = list(values)
    labels = parameter_labels(names)
    count = len(names)
    pairs = count <= MOST_PAIRS
    figure = _figure(2.2 + 2.3 * (count if pairs else min(count, 4)), 1.4 + 2.1 * (count if pairs else -(-count // 4)))
    if pairs:
        grid = figure.subplots(count, count, squeeze=False)
        for row in range(count):
            for column in range(count):
                axes = grid[row, column]
                if column > row:
                    axes.set_visible(False)
                    continue
                if row == column:
                    _draw_marginal(axes, names[row], values[names[row]], weight, priors[names[row]], facts)
                else:
                    _draw_pair(axes, values[names[column]], values[names[row]], weight)
                    _within(axes.set_xlim, axes.set_xscale, priors[names[column]])
                    _within(axes.set_ylim, axes.set_yscale, priors[names[row]])
                    _few_ticks(axes, priors[names[row]], "y")
                _few_ticks(axes, priors[names[column]], "x")
                axes.tick_params(labelsize=8)
                if row == count - 1:
                    axes.set_xlabel(labels[names[column]], fontsize=9)
                else:
                    axes.tick_params(labelbottom=False, which="both")
                if column == 0 and row > 0:
                    axes.set_ylabel(labels[names[row]], fontsize=9)
                elif column > 0 and column != row:
                    axes.tick_params(labelleft=False, which="both")
    else:
        grid = figure.subplots(-(-count // 4), 4, squeeze=False).ravel()
        for axes in grid[count:]:
            axes.set_visible(False)
        for axes, name in zip(grid, names, strict=False):
            _draw_marginal(axes, name, values[name], weight, priors[name], facts)
            _few_ticks(axes, priors[name], "x")
            axes.set_xlabel(labels[name], fontsize=9)
            axes.tick_params(labelsize=8)
    figure.suptitle(
        f"Posterior of {facts['particles']} particles within the prior (axes); dashed: median, 5 and 95 %",
        x=0.02, ha="left", fontsize=10,
    )  # fmt: skip
    return _png(figure)


def _draw_marginal(
    axes: "Axes", name: str, values: Sequence[float], weight: Floats, prior: Prior, facts: Mapping[str, Any]
) -> None:
    if prior.whole and prior.to - prior.from_ < 2 * BINS and not prior.log:
        edges = np.arange(prior.from_ - 0.5, prior.to + 1)
    else:
        edges = (np.geomspace if prior.log else np.linspace)(prior.from_, prior.to, BINS + 1)
    axes.hist(np.asarray(values, float), bins=edges.tolist(), weights=weight, color=BLUE, alpha=0.55)
    for tail, width in (("5%", 1.0), ("50%", 1.6), ("95%", 1.0)):
        axes.axvline(facts["parameters"][name][tail], color="black", linewidth=width, linestyle=(0, (4, 2)))
    _within(axes.set_xlim, axes.set_xscale, prior)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    low, middle, high = (facts["parameters"][name][tail] for tail in ("5%", "50%", "95%"))
    rounded = [value_text(int(value) if prior.whole else float(f"{value:.3g}")) for value in (middle, low, high)]
    axes.set_title(f"{rounded[0]} ({rounded[1]} – {rounded[2]})", fontsize=8.5)


def _draw_pair(axes: "Axes", across: Sequence[float], up: Sequence[float], weight: Floats) -> None:
    size = 6 + 30 * weight / weight.max()
    axes.scatter(across, up, s=size, color=BLUE, alpha=0.35, linewidths=0)
    axes.spines[["top", "right"]].set_visible(False)


def _few_ticks(axes: "Axes", prior: Prior, which: str) -> None:
    """Put at most about four numbers on an axis, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    axis = getattr(axes, f"{which}axis")
    if not prior.log:
        axis.set_major_locator(MaxNLocator(4, integer=prior.whole))
        return
    decades = np.log10(prior.to / prior.from_)
    subs = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _within(set_limits: Any, set_scale: Any, prior: Prior) -> None:
    if prior.log:
        set_scale("log")
    margin = 0.5 if prior.whole and not prior.log else 0.0
    set_limits(prior.from_ - margin, prior.to + margin)
