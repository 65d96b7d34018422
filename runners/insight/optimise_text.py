"""What a search for the best policy found, as text for people and as facts for scripts."""

import textwrap
from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any

from ..compare import LEVEL, Measure, measure_of
from ..reports.labels import amount, counted, point_label, short_names, spread, table_lines, value_text
from .pareto import Estimate, Judged, Verdict, Weighed, baseline_stands, chosen, keeps, unsure, verdict

WIDTH = 100
_DIFFERENCE = f"difference to the scenario as written, runs of one seed paired ({LEVEL:.0%} interval, t)"


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
    lines = textwrap.wrap(_counts_text(weighed, counts), width)
    candidates = [weighed.of(number) for number in chosen(weighed)]
    if not weighed.feasible:
        nearest = nearest_to_feasible(weighed)
        candidates = [] if nearest is None else [nearest]
        text = "No candidate keeps all constraints; loosen them, widen the ranges, or allow more trials."
        lines += ["", *textwrap.wrap(text + " The one nearest to it:" * bool(candidates), width)]
    elif len(settings.goals) > 1:
        lines += ["", *textwrap.wrap(_front_text(weighed, len(candidates)), width)]
    seeds = f"by the {counted(settings.replicates, 'seed')} of the search"
    measures = {name: _measure(weighed, name) for name in settings.indicators}
    shown = [weighed.baseline, *candidates]
    rows = _levels(weighed, shown, measures)
    if settings.constraints:
        rows = _beside(rows, ["constraints", *(kept_text(weighed, judged) for judged in shown)])
    lines += ["", f"{seeds}: mean ({LEVEL:.0%} interval, t)", *_tables(rows, weighed, shown, width)]
    if weighed.fresh:
        lines += _fresh_lines(weighed, measures, width)
    else:
        lines += ["", *textwrap.wrap(f"{seeds}: {_DIFFERENCE}", width)]
        lines += _broken(_differences(weighed, weighed.baseline, candidates, measures), width)
    for note in _notes(weighed):
        lines += ["", *textwrap.wrap(note, width)]
    return "\n".join(lines)


def _fresh_lines(weighed: Weighed, measures: dict[str, Measure], width: int) -> list[str]:
    """Return what came of judging the candidates again."""
    seeds = f"by {counted(weighed.settings.fresh, 'fresh seed')}"
    baseline, *candidates = weighed.fresh.values()
    words = ["holds?", "–", *(verdict_text(verdict(weighed, judged.number)) for judged in candidates)]
    about = (
        f"{seeds}, on which nothing was chosen: mean ({LEVEL:.0%} interval, t). Figures of the search flatter what it "
        "chose; quote these"
    )
    lines = ["", *textwrap.wrap(about, width)]
    lines += _broken(_beside(_levels(weighed, [baseline, *candidates], measures), words), width)
    lines += ["", *textwrap.wrap(f"{seeds}: {_DIFFERENCE}", width)]
    lines += _broken(_differences(weighed, baseline, candidates, measures), width)
    lines.append("")
    for text in fresh_sentences(weighed):
        lines += textwrap.wrap(text, width, subsequent_indent="  ")
    return lines


def verdict_text(found: Verdict | None) -> str:
    """Return whether a candidate holds in a word or two, with a question mark where an interval leaves it open."""
    if found is None:
        return "failed"
    return "does not hold" if not found.holds else "holds" if found.sure else "holds?"


def fresh_sentences(weighed: Weighed) -> list[str]:
    """Return in words which candidates hold by fresh seeds, and of every other one why it does not."""
    numbers = [number for number in weighed.fresh if number]
    found = {number: verdict(weighed, number) for number in numbers}
    holding = [one for one in found.values() if one is not None and one.holds]
    asked = baseline_stands(weighed)
    what = "the constraints are kept" if weighed.settings.constraints else ""
    gain = "a goal is served better than by the scenario as written" if asked else ""
    hold = "holds" if len(holding) == 1 else "hold"
    text = f"{len(holding):,} of {counted(len(numbers), 'candidate')} {hold} by the fresh seeds"
    text += f": {' and '.join(part for part in (what, gain) if part)}" if holding and (what or gain) else ""
    if unclear := sum(not one.sure for one in holding):
        text += f"; of {unclear:,} of them an interval leaves it open (holds?)"
    lines = [f"{text}."]
    if not asked:
        why = "The scenario as written breaks a constraint there, or has no figures"
        lines.append(f"{why}; that a candidate is better is not asked.")
    if not holding:
        lines.append("What the search chose owes much to the luck of its seeds: search with more replicates.")
    measures = {name: _measure(weighed, name) for name in weighed.settings.indicators}
    for number, one in found.items():
        if one is None:
            lines.append(f"Candidate {number}: a run failed, so that nothing is known of it.")
        elif not one.holds:
            reasons = [_broken_text(weighed, number, name, measures[name]) for name in one.broken]
            reasons += ["in no goal better than the scenario as written"] * one.beaten
            lines.append(f"Candidate {number} does not hold: {'; '.join(reasons)}.")
    return lines


def _broken_text(weighed: Weighed, number: int, name: str, measure: Measure) -> str:
    unit = f" {measure.unit}" if measure.unit else ""
    found = _level(weighed.fresh[number].level(name), measure)
    return f"breaks {measure.label} {_bound_text(weighed, name, measure)}{unit}, with {found}"


def _bound_text(weighed: Weighed, name: str, measure: Measure) -> str:
    """Return what a constraint says in the unit of its measure; "" where there is none."""
    bound = weighed.settings.bounds.get(name)
    return "" if bound is None else f"{bound.sign} {bound.value * measure.scale:,.12g}"


def _counts_text(weighed: Weighed, counts: dict[str, int]) -> str:
    failed = sum(judged.means is None for judged in weighed.candidates)
    different = counted(len(weighed.candidates), "different candidate")
    text = f"{counted(counts['trials'], 'trial')} of {different}, {counted(counts['runs'], 'run')}"
    if again := len(weighed.fresh) * weighed.settings.fresh:
        text += f" ({again:,} of them with fresh seeds)"
    if failed:
        text += f"; {counted(failed, 'candidate')} failed ({counted(counts['failed_runs'], 'run')})"
    kept = len(weighed.feasible)
    return text + (f"; {kept:,} keep{'s' * (kept == 1)} all constraints" if weighed.settings.constraints else "")


def _front_text(weighed: Weighed, shown: int) -> str:
    text = f"Pareto front: {counted(len(weighed.front), 'candidate')} that no other one beats in all goals"
    if shown < len(weighed.front):
        text += f", {shown} of them shown"
    return text + (f"; best compromise (knee): candidate {weighed.knee}" if weighed.knee is not None else "") + "."


def _measure(weighed: Weighed, indicator: str) -> Measure:
    sizes = [abs(judged.means[indicator]) for judged in weighed.candidates if judged.means is not None]
    return measure_of(indicator, max(sizes, default=0.0))


def _head(weighed: Weighed, name: str, unit: str, measure: Measure) -> str:
    wanted = weighed.settings.goals.get(name, "")
    said = ", ".join(word for word in (wanted, _bound_text(weighed, name, measure)) if word)
    return f"{measure.label}{f', {unit}' if unit else ''} ({said})"


Rows = list[list[str]]


def _levels(weighed: Weighed, candidates: Sequence[Judged], measures: dict[str, Measure]) -> Rows:
    rows = [["candidate", *(_head(weighed, name, m.unit, m) for name, m in measures.items())]]
    for judged in candidates:
        cells = [_level(judged.level(name), measure) for name, measure in measures.items()]
        rows.append([_name(weighed, judged), *cells])
    return rows


def _beside(rows: Rows, cells: Sequence[str]) -> Rows:
    """Return rows with a column more."""
    return [[*row, cell] for row, cell in zip(rows, cells, strict=True)]


def _level(estimate: Estimate, measure: Measure) -> str:
    middle, low, high = estimate
    if isnan(low):
        return amount(middle, measure)
    return f"{amount(middle, measure)} ({amount(low, measure)} … {amount(high, measure)})"


def kept_text(weighed: Weighed, judged: Judged) -> str:
    """Return whether a candidate keeps the constraints, with a question mark where an interval reaches beyond a bound."""
    if judged.means is None:
        return "failed"
    kept = keeps(weighed.settings, judged.means)
    return ("kept" if kept else "broken") + ("?" if unsure(weighed.settings, judged) else "")


def _differences(
    weighed: Weighed, baseline: Judged, candidates: Sequence[Judged], measures: dict[str, Measure]
) -> Rows:
    heads = ["candidate", *(_head(weighed, name, m.change or m.unit, m) for name, m in measures.items())]
    rows = [heads]
    for judged in candidates:
        cells = [spread(*judged.difference(name, baseline), m) for name, m in measures.items()]
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
    cells = [[short[name] for name in names]]
    cells += [[parameter_text(judged.parameters.get(name)) for name in names] for judged in candidates]
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
        low, high = choice.at(0.01), choice.at(0.99)
        values = [weighed.of(number).parameters[name] for number in weighed.front]
        if values and (all(value <= low for value in values) or all(value >= high for value in values)):
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
        "fresh": {
            "replicates": settings.fresh,
            "candidates": [_fresh_facts(weighed, number) for number in weighed.fresh],
        },
    }


def _facts(weighed: Weighed, judged: Judged) -> dict[str, Any]:
    return {
        "candidate": judged.number,
        "label": point_label(judged.parameters, short_names(list(judged.parameters))),
        "parameters": dict(judged.parameters),
        **_figures(weighed, judged, weighed.baseline),
    }


def _fresh_facts(weighed: Weighed, number: int) -> dict[str, Any]:
    facts = {"candidate": number, **_figures(weighed, weighed.fresh[number], weighed.fresh[0])}
    found = verdict(weighed, number) if number else None
    told = {
        name: getattr(found, name, None) for name in ("holds", "sure", "beaten")
    }  # None of one of which a run failed
    return facts | (told | {"broken": None if found is None else list(found.broken)} if number else {})


def _figures(weighed: Weighed, judged: Judged, baseline: Judged) -> dict[str, Any]:
    return {
        "constraints_kept": None if judged.means is None else keeps(weighed.settings, judged.means),
        "indicators": {
            name: _named(judged.level(name)) | {"difference": _named(judged.difference(name, baseline))}
            for name in weighed.settings.indicators
        },
    }


def _named(estimate: Estimate) -> dict[str, float | None]:
    names = ("mean", "low", "high")
    return {name: value if isfinite(value) else None for name, value in zip(names, estimate, strict=True)}
