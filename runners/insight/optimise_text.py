"""What a search for the best policy found, as text for people and as facts for scripts."""

import textwrap
from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any

from ..compare import LEVEL, Measure, measure_of
from ..reports.labels import amount, point_label, short_names, spread, table_lines, value_text
from .pareto import Estimate, Judged, Weighed

WIDTH = 100
SHOWN = 15
"""Candidates of the front that a table shows; of more, so many spread evenly over it."""
BEST_SHOWN = 10
"""Candidates shown where there is one goal."""


def shown_candidates(weighed: Weighed) -> list[Judged]:
    """Return the candidates that are worth a row: the front, or with one goal the best few."""
    if len(weighed.settings.goals) == 1:
        [(name, goal)] = weighed.settings.goals.items()
        feasible = [judged for judged in weighed.candidates if judged.number in weighed.feasible]
        sign = 1 if goal == "least" else -1
        return sorted(feasible, key=lambda judged: sign * (judged.means or {})[name])[:BEST_SHOWN]
    front = list(weighed.front)
    if len(front) > SHOWN:
        chosen = {front[round(place * (len(front) - 1) / (SHOWN - 1))] for place in range(SHOWN)}
        front = [number for number in front if number in chosen or number == weighed.knee]
    return [weighed.of(number) for number in front]


def nearest_to_feasible(weighed: Weighed) -> Judged | None:
    """Return the candidate that exceeds the constraints the least, of those whose runs came to something."""

    def excess(judged: Judged) -> float:
        means = judged.means or {}
        return sum(max(0.0, bound.excess(means[name])) for name, bound in weighed.settings.bounds.items())

    return min((judged for judged in weighed.candidates if judged.means is not None), key=excess, default=None)


def optimise_text(weighed: Weighed, counts: dict[str, int], width: int = WIDTH) -> str:
    """Return the candidates that are worth knowing, for a terminal.

    Args:
        weighed: all candidates.
        counts: ``trials``, ``runs`` and ``failed_runs``.
        width: columns that it may take.
    """
    settings = weighed.settings
    lines = [*textwrap.wrap(_counts_text(weighed, counts), width), ""]
    if weighed.feasible:
        candidates = shown_candidates(weighed)
        if len(settings.goals) > 1:
            lines += textwrap.wrap(_front_text(weighed, len(candidates)), width)
    else:
        nearest = nearest_to_feasible(weighed)
        candidates = [] if nearest is None else [nearest]
        lines += textwrap.wrap(
            "No candidate keeps all constraints; loosen them, widen the ranges, or allow more trials. "
            + ("The one nearest to it:" if candidates else ""),
            width,
        )
    lines += ["", f"mean over {settings.replicates} seed{'s' * (settings.replicates > 1)} ({LEVEL:.0%} interval, t)"]
    measures = {name: _measure(weighed, name) for name in settings.indicators}
    lines += _tables(_levels(weighed, [weighed.baseline, *candidates], measures), weighed, candidates, width)
    said = f"difference to the scenario as written, runs of one seed paired ({LEVEL:.0%} interval, t)"
    lines += ["", *textwrap.wrap(said, width)]
    lines += _broken(_differences(weighed, candidates, measures), width)
    for note in _notes(weighed):
        lines += ["", *textwrap.wrap(note, width)]
    return "\n".join(lines)


def _counts_text(weighed: Weighed, counts: dict[str, int]) -> str:
    distinct = len(weighed.candidates)
    failed = sum(judged.means is None for judged in weighed.candidates)
    text = f"{counts['trials']:,} trials of {distinct:,} different candidates, {counts['runs']:,} runs"
    if failed:
        text += f"; {failed:,} candidates failed ({counts['failed_runs']:,} runs)"
    kept = f"{len(weighed.feasible):,} keep all constraints" if weighed.settings.constraints else ""
    return text + (f"; {kept}" if kept else "")


def _front_text(weighed: Weighed, shown: int) -> str:
    text = f"Pareto front: {len(weighed.front):,} candidates that no other one beats in all goals"
    if shown < len(weighed.front):
        text += f", {shown} of them shown"
    return text + (f"; best compromise (knee): candidate {weighed.knee}" if weighed.knee is not None else "") + "."


def _measure(weighed: Weighed, indicator: str) -> Measure:
    sizes = [abs(judged.means[indicator]) for judged in weighed.candidates if judged.means is not None]
    return measure_of(indicator, max(sizes, default=0.0))


def _head(weighed: Weighed, name: str, unit: str, measure: Measure) -> str:
    wanted = weighed.settings.goals.get(name, "")
    bound = weighed.settings.constraints.get(name, "")
    said = ", ".join(word for word in (wanted, bound) if word)
    return f"{measure.label}{f', {unit}' if unit else ''} ({said})"


Rows = list[list[str]]


def _levels(weighed: Weighed, candidates: Sequence[Judged], measures: dict[str, Measure]) -> Rows:
    heads = ["candidate", *(_head(weighed, name, m.unit, m) for name, m in measures.items())]
    if weighed.settings.constraints:
        heads.append("constraints")
    rows = [heads]
    for judged in candidates:
        row = [_name(weighed, judged)]
        row += [_level(judged.level(name), measure) for name, measure in measures.items()]
        rows.append([*row, kept_text(weighed, judged)] if weighed.settings.constraints else row)
    return rows


def _level(estimate: Estimate, measure: Measure) -> str:
    middle, low, high = estimate
    if isnan(low):
        return amount(middle, measure)
    return f"{amount(middle, measure)} ({amount(low, measure)} … {amount(high, measure)})"


def kept_text(weighed: Weighed, judged: Judged) -> str:
    """Return whether a candidate keeps the constraints, with a question mark where an interval reaches beyond a bound."""
    if judged.means is None:
        return "failed"
    kept = all(bound.excess(judged.means[name]) <= 0 for name, bound in weighed.settings.bounds.items())
    unsure = False
    for name, bound in weighed.settings.bounds.items():
        _, low, high = judged.level(name)
        unsure |= not isnan(low) and (bound.excess(low) <= 0) != (bound.excess(high) <= 0)
    return ("kept" if kept else "broken") + ("?" if unsure else "")


def _differences(weighed: Weighed, candidates: Sequence[Judged], measures: dict[str, Measure]) -> Rows:
    heads = ["candidate", *(_head(weighed, name, m.change or m.unit, m) for name, m in measures.items())]
    rows = [heads]
    for judged in candidates:
        cells = [spread(*judged.difference(name, weighed.baseline), m) for name, m in measures.items()]
        rows.append([_name(weighed, judged), *cells])
    return rows


def _name(weighed: Weighed, judged: Judged) -> str:
    if not judged.number:
        return "as written"
    return f"{judged.number}{' (knee)' if judged.number == weighed.knee else ''}"


def _tables(rows: Rows, weighed: Weighed, candidates: Sequence[Judged], width: int) -> list[str]:
    """Return the lines of a table, with the parameters first and broken into several where it would be too wide."""
    names = list(weighed.settings.parameters)
    short = short_names(names)
    known = {_name(weighed, judged): judged for judged in [weighed.baseline, *candidates]}
    cells = [[short[name] for name in names]]
    cells += [[parameter_text(known[row[0]].parameters.get(name)) for name in names] for row in rows[1:]]
    whole = [[row[0], *values, *row[1:]] for row, values in zip(rows, cells, strict=True)]
    lines = table_lines(whole)
    if max(map(len, lines)) <= width:
        return lines
    named = [[row[0], *values] for row, values in zip(rows, cells, strict=True)]
    return [*_broken(named, width), "", *_broken(rows, width)]


def _broken(rows: Rows, width: int) -> list[str]:
    """Return the lines of a table, or of several with the same first column where one would be too wide."""
    lines: list[str] = []
    first = 1
    while first < len(rows[0]):
        end = len(rows[0])
        drawn = table_lines([[row[0], *row[first:end]] for row in rows])
        while end > first + 1 and max(map(len, drawn)) > width:
            end -= 1
            drawn = table_lines([[row[0], *row[first:end]] for row in rows])
        lines += [*([""] if lines else []), *drawn]
        first = end
    return lines


def parameter_text(value: Any) -> str:
    """Return a parameter's value with four digits; a dash where the scenario leaves it open."""
    if value is None:
        return "–"
    return value_text(float(f"{value:.4g}") if isinstance(value, float) else value)


def _notes(weighed: Weighed) -> list[str]:
    settings, notes = weighed.settings, []
    if settings.replicates == 1:
        notes.append(
            "One seed only: nothing says how far luck moves these figures; set replicates in [optimise] to 4 or more."
        )
    for name in settings.goals:
        values = {judged.means[name] for judged in weighed.candidates if judged.means is not None}
        if len(values) == 1:
            notes.append(f"{name} is the same for all candidates, so it decides nothing; choose another goal.")
    if len(settings.goals) > 1 and len(weighed.front) == 1:
        notes.append("One candidate is best in all goals: they do not contradict each other here.")
    at_ends = _at_ends(weighed)
    if at_ends:
        notes.append(f"At the end of its range in all candidates shown: {', '.join(at_ends)}; widen it if you can.")
    return notes


def _at_ends(weighed: Weighed) -> list[str]:
    """Return the parameters that lie at one end of their range, within a hundredth, in the whole front."""
    short = short_names(list(weighed.settings.parameters))
    found = []
    for name, choice in weighed.settings.parameters.items():
        margin = 0.01 * (choice.to - choice.from_)
        values = [weighed.of(number).parameters[name] for number in weighed.front]
        if values and (all(v <= choice.from_ + margin for v in values) or all(v >= choice.to - margin for v in values)):
            found.append(short[name])
    return found


def optimise_facts(weighed: Weighed, counts: dict[str, int]) -> dict[str, Any]:
    """Return what was found, JSON-able: None stands for what is not known."""
    settings = weighed.settings
    return {
        "goals": dict(settings.goals),
        "constraints": dict(settings.constraints),
        "method": settings.searched_by,
        "replicates": settings.replicates,
        "level": LEVEL,
        **counts,
        "candidates": len(weighed.candidates),
        "failed": [judged.number for judged in weighed.candidates if judged.means is None],
        "feasible": len(weighed.feasible),
        "baseline": _facts(weighed, weighed.baseline),
        "front": [_facts(weighed, weighed.of(number)) for number in weighed.front],
        "knee": weighed.knee,
    }


def _facts(weighed: Weighed, judged: Judged) -> dict[str, Any]:
    return {
        "candidate": judged.number,
        "label": point_label(judged.parameters, short_names(list(judged.parameters))),
        "parameters": dict(judged.parameters),
        "constraints_kept": None if judged.means is None else kept_text(weighed, judged).startswith("kept"),
        "indicators": {
            name: _named(judged.level(name)) | {"difference": _named(judged.difference(name, weighed.baseline))}
            for name in weighed.settings.indicators
        },
    }


def _named(estimate: Estimate) -> dict[str, float | None]:
    names = ("mean", "low", "high")
    return {name: value if isfinite(value) else None for name, value in zip(names, estimate, strict=True)}
