"""The report of a run or a sweep: a table for the terminal, and a page with picture, tables and their origin."""

import base64
import datetime
import html
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compare import LEVEL, NAMED_POINTS, PEAKS, Measure, compare, still_rising
from .files import GENERATOR, PAGES, check_target
from .labels import (
    amount,
    attributions,
    axis_text,
    cities_of,
    design_facts,
    headline,
    point_label,
    policy_text,
    seeds_text,
    short_names,
    spread,
    value_text,
)
from .tables import StoreError
from .view import View, view_of

if TYPE_CHECKING:
    import pandas as pd

    from .results import Results

WIDTH = 120
"""Columns of a terminal that a table may take at most."""

Grid = tuple[list[str], list[list[str]]]
"""Headings, and rows of cells."""


def levels_grid(
    results: "Results",
    frame: "pd.DataFrame",
    measures: Sequence[Measure],
    *,
    named: bool,
    points: Sequence[int] | None = None,
) -> Grid:
    """Return what each point came to: the mean over its runs.

    Args:
        results: the results.
        frame: from :func:`compare.compare`.
        measures: figures to show.
        named: whether each swept parameter has a column.
        points: which ones, in order; all if None.
    """
    names = short_names(results.info["parameters"])
    seeds = len(results.info["replicates"])
    heads = ["point", *(names.values() if named else []), "runs"]
    heads += [f"{measure.label}, {measure.unit}" if measure.unit != "day" else measure.label for measure in measures]
    rising = still_rising(results.summary)
    rows = []
    by_point = dict(iter(frame.groupby("point")))
    all_points = results.points
    for point in range(len(all_points)) if points is None else points:
        parameters = all_points[point]
        found = by_point.get(point, frame[:0]).set_index("measure")
        runs = int(found["runs"].iloc[0]) if len(found) else 0
        values = [value_text(parameters.get(name, "")) for name in names] if named else []
        means = [
            ("≥ " if m.column in PEAKS and point in rising else "") + amount(float(found["mean"][m.column]), m)
            if len(found)
            else "–"
            for m in measures
        ]
        rows.append([str(point), *values, str(runs) if runs == seeds else f"{runs} of {seeds}", *means])
    return heads, rows


def differences_grid(
    results: "Results",
    frame: "pd.DataFrame",
    measures: Sequence[Measure],
    baseline: int,
    points: Sequence[int] | None = None,
) -> Grid:
    """Return how each point differs from the baseline: mean of the pairs of runs of one seed, with its interval."""
    rising = still_rising(results.summary)
    heads = ["point", "pairs", *(f"{m.label}, {m.change or m.unit}" for m in measures)]
    rows = []
    by_point = dict(iter(frame.groupby("point")))
    for point in range(len(results.points)) if points is None else points:
        found = by_point.get(point, frame[:0]).set_index("measure")
        if point == baseline or not len(found):
            rows.append([str(point), "", *["baseline" if point == baseline else "no run"] * len(measures)])
            continue
        cells = [
            spread(
                float(found["difference"][m.column]),
                float(found["low"][m.column]),
                float(found["high"][m.column]),
                m,
                mark="*" if m.column in PEAKS and {point, baseline} & rising.keys() else "",
            )
            for m in measures
        ]
        rows.append([str(point), str(int(found["pairs"].iloc[0])), *cells])
    return heads, rows


def rising_note(results: "Results") -> str:
    """Return what the marks of peaks mean, or nothing if there are none."""
    rising = still_rising(results.summary)
    if not rising:
        return ""
    runs = sum(rising.values())
    text = f"≥: on the last day the infectious were still increasing in {runs} of {len(results.summary)} runs "
    text += f"({_points(list(rising))}); a peak there is at least as large and as late as shown"
    return text + ("; *: a difference of such peaks." if len(results.points) > 1 else ".")


def _points(points: list[int]) -> str:
    if len(points) > NAMED_POINTS:
        return f"{len(points):,} points"
    return f"point{'s' * (len(points) > 1)} {', '.join(map(str, points))}"


def text_report(results: "Results", baseline: int = 0, width: int = WIDTH, view: View | None = None) -> str:
    """Return the report for a terminal.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        width: columns that it may take.
        view: which points and figures are shown; if None, all figures, and of many points those at both ends.

    Raises:
        StoreError: if there is no run, or none of the baseline.
    """
    view = view or view_of(results, baseline)
    frame = compare(results.summary, baseline, measures=view.measures)
    points = results.points
    lines = [*textwrap.wrap(f"{results.scenario.name}: {headline(results)}", width), ""]
    if view.note:
        lines += [*textwrap.wrap(view.note, width), ""]
    names = short_names(results.info["parameters"])
    table = aligned(*levels_grid(results, frame, view.measures, named=True, points=view.points))
    if _width(table) > width:  # too wide: name the points below, then break the columns into several tables
        lines += _stacked(partial(levels_grid, results, frame, named=False, points=view.points), view.measures, width)
        lines += ["", *(f"{point:>5}  {point_label(points[point], names)}" for point in view.points)]
    else:
        lines += table
    if len(points) > 1:
        lines += ["", f"Difference to point {baseline}, runs of the same seed paired: mean ({LEVEL:.0%} interval, t)"]
        shown = [measure for measure in view.measures if measure.column != "infections"] or view.measures
        lines += _stacked(
            partial(differences_grid, results, frame, baseline=baseline, points=view.points), shown, width
        )
    if note := rising_note(results):
        lines += ["", *textwrap.wrap(note, width)]
    for note in attributions(cities_of(results)):
        lines += ["", f"City: {note}"]
    return "\n".join(lines)


def _stacked(grid: Callable[[Sequence[Measure]], Grid], measures: Sequence[Measure], width: int) -> list[str]:
    """Return the lines of as many tables as it takes to show all measures in so many columns."""
    lines: list[str] = []
    while measures:
        number = len(measures)
        while number > 1 and _width(aligned(*grid(measures[:number]))) > width:
            number -= 1
        lines += [*([""] if lines else []), *aligned(*grid(measures[:number]))]
        measures = measures[number:]
    return lines


def _width(lines: list[str]) -> int:
    return max(map(len, lines))


def aligned(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return lines with cells under headings that are broken to the width of their column."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(heads))]
    broken = [_broken(head, max(width, 9)) for head, width in zip(heads, widths, strict=True)]
    widths = [max(width, *map(len, head)) for head, width in zip(broken, widths, strict=True)]
    depth = max(map(len, broken))
    lines = []
    for level in range(depth):
        cells = (head[level - depth + len(head)] if level >= depth - len(head) else "" for head in broken)
        lines.append("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    lines.append("  ".join("─" * width for width in widths))
    lines += ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return lines


def _broken(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


# ---------------------------------------------------------------------- page

_ABREAST = 5
"""Figures beside each other in a table of the page."""
PHONE = "40rem"
"""Width below which a row of a table becomes a card and the narrow picture is shown."""

_STYLE = f"""
:root {{ color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --tint: #f6f8fa; --mark: #0072b2; }}
* {{ box-sizing: border-box; }}
body {{ font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink); margin: 0; }}
main {{ max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.5rem 3rem; }}
header {{ border-top: 0.35rem solid var(--mark); }}
h1 {{ font-size: 2rem; line-height: 1.2; margin: 0 0 0.3rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.25rem; margin: 2.8rem 0 0.3rem; }}
p {{ margin: 0 0 1rem; }}
p.lead {{ font-size: 1.1rem; }}
p.lead, p.note, figcaption {{ color: var(--soft); }}
figure {{ margin: 1.8rem 0 0; }}
figcaption {{ font-size: 0.88rem; }}
img {{ display: block; width: 100%; height: auto; margin-bottom: 0.4rem; }}
div.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.94rem; }}
th, td {{ padding: 0.45rem 0.7rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); }}
th {{ vertical-align: bottom; font-weight: 600; font-size: 0.86rem; line-height: 1.3; color: var(--soft); }}
th:first-child, td:first-child {{ text-align: left; white-space: nowrap; padding-left: 0.6rem; }}
thead th {{ border-bottom: 2px solid var(--soft); }}
tr.baseline td {{ background: var(--tint); }}
td small {{ display: block; color: var(--soft); font-size: 0.8rem; white-space: nowrap; }}
td svg {{ width: 2.2rem; height: 0.6rem; margin-left: 0.5rem; vertical-align: middle; }}
dl {{ display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.35rem 1.4rem; margin: 0.8rem 0;
  font-size: 0.94rem; }}
dt {{ color: var(--soft); }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
ul {{ padding-left: 1.2rem; overflow-wrap: anywhere; }}
summary {{ cursor: pointer; color: var(--mark); }}
pre {{ background: var(--tint); padding: 1rem; font-size: 0.82rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
@media (max-width: {PHONE}) {{
  main {{ padding: 1.4rem 1rem 2rem; }}
  h1 {{ font-size: 1.6rem; }}
  table, tbody, tr, td {{ display: block; }}
  thead {{ display: none; }}
  tr {{ border: 1px solid var(--line); border-radius: 0.5rem; margin: 0.7rem 0; padding: 0.3rem 0; }}
  tr.baseline {{ background: var(--tint); }}
  td, td:first-child {{ display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: 0.15rem 0.8rem;
    white-space: normal; }}
  td:first-child {{ font-weight: 600; }}
  td:empty {{ display: none; }}
  td::before {{ content: attr(data-head); color: var(--soft); font-weight: 400; text-align: left; }}
  td span {{ text-align: right; }}
  dl {{ display: block; }}
  dd {{ margin-bottom: 0.6rem; }}
}}
@media print {{ main {{ max-width: none; padding: 0; }} tr, figure {{ break-inside: avoid; }} }}
"""


def write_report(results: "Results", path: Path, baseline: int = 0) -> Path:
    """Write a page that stands alone: one HTML file with the picture inside.

    Args:
        results: the results.
        path: file to write, ``….html``; an older report is replaced.
        baseline: point with which the others are compared.

    Raises:
        StoreError: if there is nothing to report, another file stands there, or it cannot be written.
    """
    check_target(path, PAGES)
    page = html_report(results, baseline)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def html_report(results: "Results", baseline: int = 0) -> str:
    """Return the page that :func:`write_report` writes."""
    from .curves import has_curves
    from .planning.page import planning_html
    from .planning.response_page import response_html

    measures = view_of(results, baseline).measures
    frame = compare(results.summary, baseline)
    name = html.escape(results.scenario.name)
    shown = [measures[first : first + _ABREAST] for first in range(0, len(measures), _ABREAST)]
    levels = [levels_grid(results, frame, part, named=True) for part in shown]
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="lead">{html.escape(headline(results))}</p>',
        *([_picture(results)] if has_curves(results) else []),
        "<h2>What each point came to</h2>",
        f'<p class="note">{html.escape(" ".join(["Means over the runs of a point.", rising_note(results)]).strip())}</p>',
        *(_html_table(results, *grid, baseline) for grid in levels),
    ]
    if len(results.points) > 1:
        parts += [
            f"<h2>Difference to point {baseline}</h2>",
            f'<p class="note">Runs of the same seed are paired; mean of the differences and its {LEVEL:.0%} interval '
            "(Student’s t).</p>",
            *(_html_table(results, *differences_grid(results, frame, part, baseline), baseline) for part in shown),
        ]
    parts += planning_html(results, baseline)
    parts += response_html(results, baseline)
    failures = results.failures
    if failures:
        items = "".join(f"<li>{html.escape(run)}: {html.escape(what)}</li>" for run, what in failures.items())
        parts += [f"<h2>Runs that failed: {len(failures)}</h2>", f"<ul>{items}</ul>"]
    parts += ["<h2>What was run</h2>", _what_was_run(results)]
    parts += ["<h2>Where the numbers come from</h2>", _origin(results)]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f"{GENERATOR}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<header></header>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _picture(results: "Results") -> str:
    """Return the curves, drawn for a screen and for a phone, with what there is to say of them."""
    from .curves import curves_png

    wide, narrow = (
        "data:image/png;base64," + base64.b64encode(curves_png(results, titled=False, narrow=narrow)).decode()
        for narrow in (False, True)
    )
    seeds = len(results.info["replicates"])
    notes = [f"Line: median of {seeds} seeds; band: lowest to highest."] if seeds > 1 else []
    if results.scenario.policies:
        notes.append(
            "Grey bars: days on which a policy is in force and followed, fainter where in some of the runs only."
        )
    notes += [f"City: {note}" for note in attributions(cities_of(results))]
    return (
        f'<figure><picture><source media="(max-width: {PHONE})" srcset="{narrow}">\n'
        f'<img alt="Infectious people and infected so far, by day and point" src="{wide}"></picture>\n'
        f"<figcaption>{html.escape(' '.join(notes))}</figcaption></figure>"
    )


def _html_table(results: "Results", heads: list[str], rows: list[list[str]], baseline: int) -> str:
    """Return a table; every cell carries its heading, which a phone shows beside it."""
    from .curves import point_looks

    looks = point_looks(results) if len(results.points) > 1 else {}
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    lines = []
    for row in rows:
        sample = _line_sample(*looks[int(row[0])]) if int(row[0]) in looks else ""
        cells = [f'<td data-head="{html.escape(heads[0])}"><span>{row[0]}{sample}</span></td>']
        for text, cell in zip(heads[1:], row[1:], strict=True):
            shown = _html_cell(cell)
            cells.append(f'<td data-head="{html.escape(text)}">{shown}</td>' if shown else "<td></td>")
        lines.append(f"<tr{' class=baseline' if row[0] == str(baseline) else ''}>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _html_cell(cell: str) -> str:
    """Return the inside of a cell; the interval of a difference has a line of its own."""
    middle, space, interval = cell.partition(" (")
    if space and "…" in interval:
        return f"<span>{html.escape(middle)}<small>{html.escape(interval.removesuffix(')'))}</small></span>"
    return f"<span>{html.escape(cell)}</span>" if cell else ""


def _line_sample(colour: str, style: Any) -> str:
    """Return a piece of a point's line as it is drawn in the picture."""
    dashes = "" if style == "-" else f' stroke-dasharray="{" ".join(f"{2 * length:g}" for length in style[1])}"'
    return (
        '<svg viewBox="0 0 44 12" aria-hidden="true">'
        f'<line x1="0" y1="6" x2="44" y2="6" stroke="{colour}" stroke-width="4"{dashes}/></svg>'
    )


def _what_was_run(results: "Results") -> str:
    """Return the scenario in words: city, clock, processes, policies, what was swept."""
    scenario = results.scenario
    facts = [
        ("city", f"{city['name']}, {city['people']:,} people, {city['area_km2']:,} km²") for city in cities_of(results)
    ]
    facts.append(("clock", f"{scenario.clock.days} days from {scenario.clock.start}"))
    facts += [(section, value_text(scenario.document.nearest((section,)).plain)) for section in scenario.processes]
    facts += [(f"policy: {policy.name}", policy_text(policy)) for policy in scenario.policies]
    names = short_names(list(scenario.sweep.parameters))
    facts += [(f"swept: {names[key]}", axis_text(axis)) for key, axis in scenario.sweep.parameters.items()]
    facts += [*design_facts(scenario), ("seeds", seeds_text(scenario))]
    text = html.escape(_scenario_text(results.info["scenario"]))
    return f"{_listed(facts)}\n<details><summary>The whole scenario, key by key</summary><pre>{text}</pre></details>"


def _origin(results: "Results") -> str:
    """Return how the results came to be: sources, program, machine, times."""
    info = results.info
    facts: list[tuple[str, str]] = []
    for city in cities_of(results):
        facts += [("source", f"{s['name']}: {s['attribution']} ({s['licence']})") for s in city["sources"]]
    facts.append(("runs", f"{len(results.summary)} of {info['runs']}"))
    facts.append(("program", ", ".join(f"{name} {version}" for name, version in info["versions"].items())))
    if info.get("git"):
        changed = ", with changes" if info["git"]["changed"] else ""
        facts.append(("git commit", f"{info['git']['commit']}{changed}"))
    machines = [session["machine"] for session in info.get("sessions", []) if "machine" in session]
    facts += [("machine", f"{m['cpus']} cores, {m['processor']}, {m['system']}") for m in machines[-1:]]
    facts.append(("begun", _moment(info["started"])))
    facts.append(("written", _moment(datetime.datetime.now(datetime.UTC).isoformat())))
    return _listed(facts)


def _moment(stamp: str) -> str:
    """Return an ISO time in words, to the minute."""
    return f"{datetime.datetime.fromisoformat(stamp).astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _listed(facts: list[tuple[str, str]]) -> str:
    items = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts if text)
    return f"<dl>{''.join(items)}</dl>"


def _scenario_text(value: Any, path: str = "") -> str:
    """Return a scenario as lines of dotted keys."""
    if isinstance(value, dict):
        return "\n".join(_scenario_text(inner, f"{path}.{name}".lstrip(".")) for name, inner in value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(_scenario_text(inner, f"{path}[{number}]") for number, inner in enumerate(value))
    return f"{path} = {value!r}"
