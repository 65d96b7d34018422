"""The report of a run or a sweep: a table for the terminal, and a page with picture, tables and their origin."""

import base64
import datetime
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compare import LEVEL, Measure, compare, measures_in
from .labels import amount, attributions, cities_of, headline, point_label, short_names, spread, value_text
from .tables import StoreError

if TYPE_CHECKING:
    import pandas as pd

    from .results import Results

WIDTH = 100
"""Columns of a terminal that a table may take."""

Grid = tuple[list[str], list[list[str]]]
"""Headings, and rows of cells."""


def levels_grid(results: "Results", frame: "pd.DataFrame", measures: Sequence[Measure], *, named: bool) -> Grid:
    """Return what each point came to: the mean over its runs.

    Args:
        results: the results.
        frame: from :func:`compare.compare`.
        measures: figures to show.
        named: whether each swept parameter has a column.
    """
    names = short_names(results.info["parameters"])
    seeds = len(results.info["replicates"])
    heads = ["point", *(names.values() if named else []), "runs"]
    heads += [f"{measure.label}, {measure.unit}" if measure.unit != "day" else measure.label for measure in measures]
    rows = []
    for point, parameters in enumerate(results.points):
        found = frame[frame["point"] == point].set_index("measure")
        runs = int(found["runs"].iloc[0]) if len(found) else 0
        values = [value_text(parameters.get(name, "")) for name in names] if named else []
        means = [amount(float(found["mean"][m.column]), m) if len(found) else "–" for m in measures]
        rows.append([str(point), *values, str(runs) if runs == seeds else f"{runs} of {seeds}", *means])
    return heads, rows


def differences_grid(results: "Results", frame: "pd.DataFrame", measures: Sequence[Measure], baseline: int) -> Grid:
    """Return how each point differs from the baseline: mean of the pairs of runs of one seed, with its interval."""
    heads = ["point", "pairs", *(f"{m.label}, {m.change or m.unit}" for m in measures)]
    rows = []
    for point in range(len(results.points)):
        found = frame[frame["point"] == point].set_index("measure")
        if point == baseline or not len(found):
            rows.append([str(point), "", *["baseline" if point == baseline else "no run"] * len(measures)])
            continue
        cells = [
            spread(
                float(found["difference"][m.column]), float(found["low"][m.column]), float(found["high"][m.column]), m
            )
            for m in measures
        ]
        rows.append([str(point), str(int(found["pairs"].iloc[0])), *cells])
    return heads, rows


def text_report(results: "Results", baseline: int = 0, width: int = WIDTH) -> str:
    """Return the report for a terminal.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        width: columns that it may take.

    Raises:
        StoreError: if there is no run, or none of the baseline.
    """
    frame, measures = _compared(results, baseline)
    lines = [f"{results.scenario.name}: {headline(results)}", ""]
    names = short_names(results.info["parameters"])
    table = _aligned(*levels_grid(results, frame, measures, named=True))
    if max(map(len, table)) > width:  # too many parameters for columns: name the points below
        table = _aligned(*levels_grid(results, frame, measures, named=False))
        table += ["", *(f"{n:>5}  {point_label(p, names)}" for n, p in enumerate(results.points))]
    lines += table
    if len(results.points) > 1:
        lines += ["", f"Difference to point {baseline}, runs of the same seed paired: mean ({LEVEL:.0%} interval, t)"]
        shown = [measure for measure in measures if measure.column != "infections"]
        lines += _aligned(*differences_grid(results, frame, shown, baseline))
    for note in attributions(cities_of(results)):
        lines += ["", f"City: {note}"]
    return "\n".join(lines)


def _compared(results: "Results", baseline: int) -> "tuple[pd.DataFrame, list[Measure]]":
    if not len(results.summary):
        raise StoreError("no run is in the results yet")
    measures = measures_in(results.summary)
    if not measures:
        raise StoreError("the summary has none of the figures that are compared (attack_rate, peak_infectious, …)")
    if not 0 <= baseline < len(results.points):
        raise StoreError(f"baseline {baseline}: there are points 0 to {len(results.points) - 1}")
    return compare(results.summary, baseline), measures


def _aligned(heads: list[str], rows: list[list[str]]) -> list[str]:
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

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p.lead { color: #57606a; margin-top: 0; }
img { width: 100%; height: auto; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid #d8dee4; }
th { border-bottom: 2px solid #57606a; vertical-align: bottom; font-weight: 600; }
tr.baseline td { background: #f6f8fa; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1.2rem; font-size: 0.92rem; }
dt { color: #57606a; } dd { margin: 0; overflow-wrap: anywhere; }
details pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 0.85rem; }
footer { margin: 3rem 0 1rem; color: #57606a; font-size: 0.85rem; }
"""


def write_report(results: "Results", path: Path, baseline: int = 0) -> Path:
    """Write a page that stands alone: one HTML file with the picture inside.

    Args:
        results: the results.
        path: file to write; one that stands there is replaced.
        baseline: point with which the others are compared.

    Raises:
        StoreError: if there is nothing to report, or the file cannot be written.
    """
    page = html_report(results, baseline)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def html_report(results: "Results", baseline: int = 0) -> str:
    """Return the page that :func:`write_report` writes."""
    from .curves import curves_png

    frame, measures = _compared(results, baseline)
    name = html.escape(results.scenario.name)
    picture = base64.b64encode(curves_png(results)).decode()
    levels = _html_table(*levels_grid(results, frame, measures, named=True), baseline)
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="lead">{html.escape(headline(results))}</p>',
        f'<img alt="Infectious people and infected so far, by day and point" src="data:image/png;base64,{picture}">',
        "<h2>What each point came to</h2>",
        "<p>Means over the runs of a point.</p>",
        levels,
    ]
    if len(results.points) > 1:
        parts += [
            f"<h2>Difference to point {baseline}</h2>",
            f"<p>Runs of the same seed are paired; mean of the differences with its {LEVEL:.0%} interval "
            "(Student’s t).</p>",
            _html_table(*differences_grid(results, frame, measures, baseline), baseline),
        ]
    failures = results.failures
    if failures:
        items = "".join(f"<li>{html.escape(run)}: {html.escape(what)}</li>" for run, what in failures.items())
        parts += [f"<h2>Runs that failed: {len(failures)}</h2>", f"<ul>{items}</ul>"]
    parts += ["<h2>Where the numbers come from</h2>", _origin(results)]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _html_table(heads: list[str], rows: list[list[str]], baseline: int) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "\n".join(
        f"<tr{' class=baseline' if row[0] == str(baseline) else ''}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _origin(results: "Results") -> str:
    """Return how the results came to be: cities, program, machine, scenario."""
    info = results.info
    facts: list[tuple[str, Any]] = []
    for city in cities_of(results):
        facts.append(("city", f"{city['name']}, {city['people']:,} people, {city['area_km2']:,} km²"))
        facts += [("source", f"{s['name']}: {s['attribution']} ({s['licence']})") for s in city["sources"]]
    facts.append(("runs", f"{len(results.summary)} of {info['runs']}"))
    facts.append(("program", ", ".join(f"{name} {version}" for name, version in info["versions"].items())))
    if info.get("git"):
        changed = ", with changes" if info["git"]["changed"] else ""
        facts.append(("git commit", f"{info['git']['commit']}{changed}"))
    facts.append(("begun", info["started"]))
    facts.append(("written", datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")))
    listed = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>" for name, value in facts)
    scenario = html.escape(_scenario_text(info["scenario"]))
    return f"<dl>{listed}</dl>\n<details><summary>Scenario</summary><pre>{scenario}</pre></details>"


def _scenario_text(value: Any, path: str = "") -> str:
    """Return a scenario as lines of dotted keys."""
    if isinstance(value, dict):
        return "\n".join(_scenario_text(inner, f"{path}.{name}".lstrip(".")) for name, inner in value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(_scenario_text(inner, f"{path}[{number}]") for number, inner in enumerate(value))
    return f"{path} = {value!r}"
