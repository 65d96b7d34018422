"""Which parameters move an indicator, as text for people."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from math import isnan

from ..compare import LEVEL, Measure, decimals_of, measure_of
from ..reports.labels import MINUS, amount, counted, short_names, table_lines
from .sensitivity import BLOCKS, MEASURES, MORRIS, RANKS, SECOND, SOBOL, Finding, Index, Sensitivity

WIDTH = 100
PAIRS_SHOWN = 5
HEADS = {
    "first_order": "alone (first order)",
    "total": "with others (total)",
    "mu": "mu (mean)",
    "mu_star": "mu* (mean size)",
    "sigma": "sigma (varies by)",
    "rank": "rank correlation",
    "partial_rank": "partial",
}
WHAT = {
    SOBOL: "shares of the variance (Sobol)",
    MORRIS: "change over the whole range of a parameter (Morris)",
    RANKS: "rank correlation (Spearman), and with the other parameters held (partial)",
}
_SHORTEST = 16
"""Characters of a parameter's name that are always shown."""


def measure_in(finding: Finding) -> Measure:
    """Return how elementary effects are written: with three digits where the indicator itself has fewer."""
    sizes = [abs(i.estimate) for i in finding.indices if i.measure in MEASURES[MORRIS] and not isnan(i.estimate)]
    largest = max(sizes, default=0.0)
    measure = measure_of(finding.indicator, largest)
    return replace(measure, decimals=max(measure.decimals, decimals_of(largest * measure.scale)))


def _cell(index: Index, measure: Measure | None) -> str:
    """Return an estimate with its interval; shares and correlations have no unit and two decimals."""

    def text(value: float) -> str:
        if isnan(value):
            return "–"
        if measure is not None:
            return amount(value, measure)
        return f"{value:.2f}".replace("-0.00", "0.00").replace("-", MINUS)

    if isnan(index.estimate):
        return "–"
    return f"{text(index.estimate)} ({text(index.low)} … {text(index.high)})"


def by_weight(finding: Finding, parameters: Sequence[str]) -> list[str]:
    """Return the parameters, the one that matters most first."""
    measure = {SOBOL: "total", MORRIS: "mu_star", RANKS: "partial_rank"}[finding.method]
    size = {name: abs(finding.of(measure, name).estimate) for name in parameters}
    return sorted(parameters, key=lambda name: -1.0 if isnan(size[name]) else size[name], reverse=True)


def heading(finding: Finding) -> str:
    measure = measure_in(finding)
    unit = f", {measure.change or measure.unit}" if finding.method == MORRIS and measure.unit else ""
    return f"{measure.label}: {WHAT[finding.method]}{unit}"


def sensitivity_text(found: Sensitivity, width: int = WIDTH) -> str:
    """Return which parameters move the indicators, for a terminal.

    Args:
        found: what was found.
        width: columns that it may take.
    """
    names = short_names(found.parameters)
    missing = f", {counted(found.missing, 'run')} missing ({found.failed:,} failed)" if found.missing else ""
    head = (
        f"design {found.design}: {counted(found.points, 'point')} x {counted(found.replicates, 'replicate')}"
        f"{missing}; {LEVEL:.0%} intervals in brackets"
    )
    lines = textwrap.wrap(head, width)
    for finding in found.findings:
        lines += ["", *textwrap.wrap(heading(finding), width), *_table(finding, names, found.parameters, width)]
        for note in _notes(finding, names, found.replicates):
            lines += textwrap.wrap(note, width, initial_indent="  ", subsequent_indent="    ")
    if found.left_out:
        note = f"Left out, as their values are no numbers or never change: {', '.join(found.left_out)}."
        lines += ["", *textwrap.wrap(note, width)]
    return "\n".join(lines)


def _table(finding: Finding, names: dict[str, str], parameters: Sequence[str], width: int) -> list[str]:
    """Return the lines of a table; where it is too wide, names are cut, then measures stand in a table each."""
    measure = measure_in(finding) if finding.method == MORRIS else None
    measures = MEASURES[finding.method]
    rows = [
        [names[name], *(_cell(finding.of(one, name), measure) for one in measures)]
        for name in by_weight(finding, parameters)
    ]
    heads = ["parameter", *(HEADS[one] for one in measures)]
    lines = table_lines([heads, *rows])
    excess = max(map(len, lines)) - width
    if excess > 0:
        longest = max(len(row[0]) for row in rows)
        kept = max(_SHORTEST, longest - excess)
        rows = [[row[0] if len(row[0]) <= kept else f"…{row[0][1 - kept :]}", *row[1:]] for row in rows]
        lines = table_lines([heads, *rows])
    if max(map(len, lines)) > width:
        lines = []
        for column in range(1, len(heads)):
            lines += table_lines([[row[0], row[column]] for row in [heads, *rows]])
    return lines


def _notes(finding: Finding, names: dict[str, str], replicates: int) -> list[str]:
    notes = []
    if finding.method == SOBOL:
        alone = sum(index.estimate for index in finding.indices if index.measure == "first_order")
        notes.append(
            f"alone, all together: {alone:.2f}; the rest to 1 is interplay, luck, and the error of so few blocks"
        )
        pairs = [index for index in finding.indices if index.measure == SECOND]
        largest = sorted(pairs, key=lambda index: -index.estimate)[:PAIRS_SHOWN]
        shown = [f"{names[i.parameter]} x {names[str(i.other)]} {_cell(i, None)}" for i in largest if i.low > 0]
        if pairs:
            notes.append(f"pairs (second order) surely above 0: {'; '.join(shown) or 'none'}")
    used = f"from {finding.used:,} {BLOCKS[finding.method]}"
    if finding.dropped:
        used += f"; {finding.dropped:,} left out whole, as runs of theirs are missing"
    if finding.still:
        used += f"; {finding.still:,} left out, as rounding made a step 0 (widen the ranges of whole numbers)"
    notes.append(used)
    luck = finding.luck
    if luck.single is None or luck.means is None:
        notes.append("luck: with one replicate it cannot be told from effects; sweep with replicates = 2 or more")
    else:
        notes.append(
            f"luck: {luck.single:.0%} of the variance of single runs, {luck.means:.0%} of that of the means over "
            f"{replicates} replicates, which are analysed here"
        )
    return notes
