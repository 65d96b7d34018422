"""The page of a report: one HTML file with pictures, tables and the origin of the numbers, which needs no network."""

import base64
import datetime
import html
import io
import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..compare import LEVEL, interval
from ..engine.manifest import PACKAGE
from ..trust import own_classes
from .crate import command_of
from .files import GENERATOR
from .labels import (
    attributions,
    axis_text,
    cities_of,
    city_text,
    counted,
    design_facts,
    headline,
    policy_text,
    seeds_text,
    short_names,
    spread,
    value_text,
)
from .report import Grid, compared, differences_grid, levels_grid, pairing, rising_note

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ..results import Results

_ABREAST = 5
"""Figures beside each other in a table of the page."""
PHONE = "40rem"
"""Width below which a row of a table becomes a card and the narrow picture is shown."""
_LONG = 20
"""Rows from which on a table scrolls by itself."""
_FAILURES = 100
"""Failed runs that are named."""
_MAP_DPI = 150
_MAP_SIZE = 0.5

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
p.warning {{ border-left: 0.3rem solid #d55e00; padding: 0.3rem 0.8rem; background: #fdf3ea; }}
p.lead, p.note, figcaption {{ color: var(--soft); }}
figure {{ margin: 1.8rem 0 0; }}
figcaption {{ font-size: 0.88rem; }}
img {{ display: block; width: 100%; height: auto; margin-bottom: 0.4rem; }}
div.maps {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem; }}
div.wide {{ overflow-x: auto; }}
div.wide + div.wide {{ margin-top: 1.6rem; }}
div.long {{ max-height: 34rem; overflow: auto; border: 1px solid var(--line); }}
div.long thead th {{ position: sticky; top: 0; background: #fff; box-shadow: 0 2px 0 var(--soft); }}
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
@media print {{
  main {{ max-width: none; padding: 0; }}
  tr, figure {{ break-inside: avoid; }}
  div.long {{ max-height: none; border: 0; }}
}}
"""


def html_report(results: "Results", baseline: int = 0) -> str:
    """Return the page that :func:`.report.write_report` writes.

    Raises:
        StoreError: if there is no run, or none of the baseline.
    """
    from ..planning.page import planning_html
    from ..planning.response_page import response_html

    frame, measures = compared(results, baseline)
    name = html.escape(results.name)
    failures = results.failures
    shown = [measures[first : first + _ABREAST] for first in range(0, len(measures), _ABREAST)]
    several = len(results.info["replicates"]) > 1
    means = f"Means over the runs of a point{f', with the {LEVEL:.0%} interval of the mean' * several}."
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="lead">{html.escape(headline(results))}</p>',
        *([f'<p class="warning">{html.escape(_lacking(results, failures))}</p>'] if _is_lacking(results) else []),
        *_curves(results),
        "<h2>What each point came to</h2>",
        f'<p class="note">{html.escape(" ".join([means, rising_note(results)]).strip())}</p>',
        *(
            _html_table(
                results, *_with_intervals(results, levels_grid(results, frame, part, named=True), part), baseline
            )
            for part in shown
        ),
    ]
    if len(results.points) > 1:
        how, unpaired = pairing(results, frame, baseline)
        parts += [
            f"<h2>Difference to point {baseline}</h2>",
            f'<p class="note">{html.escape(f"{how[0].upper()}{how[1:]}. {unpaired}".strip())}</p>',
            *(_html_table(results, *differences_grid(results, frame, part, baseline), baseline) for part in shown),
        ]
    parts += _maps(results, baseline)
    if results.is_of_city:
        parts += planning_html(results, baseline)
        parts += response_html(results, baseline)
    if failures:
        parts += [f"<h2>Runs that failed: {len(failures)}</h2>", _failed(failures)]
    parts += ["<h2>What was run</h2>", _what_was_run(results)]
    parts += ["<h2>How to repeat it</h2>", _repeated(results)]
    parts += ["<h2>Where the numbers come from</h2>", _origin(results)]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f"{GENERATOR}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<header></header>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _is_lacking(results: "Results") -> bool:
    return len(results.summary) < results.info["runs"]


def _lacking(results: "Results", failures: dict[str, str]) -> str:
    """Return how much of the sweep the page is about."""
    done, wanted = len(results.summary), results.info["runs"]
    text = f"{done} of {wanted} runs are in the results"
    if failures:
        text += f"; {len(failures)} failed, see below"
    if wanted - done - len(failures):
        text += f"; still to be made: {wanted - done - len(failures)}"
    return f"{text}. All figures are of the runs there are."


# ---------------------------------------------------------------------- pictures


def _curves(results: "Results") -> list[str]:
    """Return the curves by point: of an epidemic, and of whatever else the series has."""
    from .bands import draw_bands, panels_of
    from .curves import draw_curves, has_curves

    seeds = len(results.info["replicates"])
    notes = [f"Line: median of {seeds} seeds; band: lowest to highest."] if seeds > 1 else []
    source = [f"City: {note}" for note in attributions(cities_of(results))]
    parts = []
    if has_curves(results):
        policies = any(name.startswith("policy.") for name in results.series.columns)
        bars = "Grey bars: days on which a policy is in force and followed, fainter where in some of the runs only."
        parts.append(
            _picture(
                lambda narrow: draw_curves(results, titled=False, narrow=narrow),
                "Infectious people and infected so far, by day and point",
                [*notes, *([bars] if policies else []), *source],
            )
        )
    panels = panels_of(results)
    if panels:
        what = ", ".join(panel.label for panel in panels)
        parts.append(
            _picture(lambda narrow: draw_bands(results, panels, narrow=narrow), f"By point: {what}", [*notes, *source])
        )
    return parts


def _picture(draw: "Callable[[bool], Figure]", alt: str, notes: list[str]) -> str:
    """Return a figure, drawn for a screen and for a phone, with what there is to say of it."""
    wide, narrow = (_png(draw(narrow)) for narrow in (False, True))
    return (
        f'<figure><picture><source media="(max-width: {PHONE})" srcset="{narrow}">\n'
        f'<img alt="{html.escape(alt)}" src="{wide}"></picture>\n'
        f"<figcaption>{html.escape(' '.join(notes))}</figcaption></figure>"
    )


def _png(figure: "Figure", dpi: int = 150) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def _maps(results: "Results", baseline: int) -> list[str]:
    """Return maps by zone: of the baseline and of the points with fewest and most infections, in the same colours."""
    from ...environment.city import CityError
    from ..records import ZONE_TABLE
    from .geo import SHOWN, about, city_of, zone_layer
    from .maps import common_limits, draw_layer

    if results.directory is None or ZONE_TABLE not in results.tables or "infections" not in results.summary:
        return []
    order = results.summary.groupby("point")["infections"].mean().sort_values().index
    points = sorted(dict.fromkeys([baseline, int(order[0]), int(order[-1])]))
    try:
        cities = {point: city_of(results, point) for point in points}
    except CityError as error:
        return ["<h2>By zone</h2>", f'<p class="note">No maps: {html.escape(str(error))}</p>']
    layers = {point: zone_layer(results, cities[point], point) for point in points}
    there = {point: layer for point, layer in layers.items() if layer is not None}
    shown = SHOWN["attack"]
    there = {point: layer for point, layer in there.items() if shown.column in layer}
    if not there:
        return []
    limits = common_limits(list(there.values()), shown)
    parts = ["<h2>By zone</h2>"]
    if len(there) > 1:
        which = "the baseline and the points with fewest and most infections"
        parts.append(f'<p class="note">Maps of {which}, in the same colours.</p>')
    parts.append('<div class="maps">')
    for point, layer in there.items():
        facts = about(results, cities[point], point)
        figure = draw_layer(cities[point], layer, shown, facts, limits, titled=False)
        wide, high = figure.get_size_inches()
        figure.set_size_inches(wide * _MAP_SIZE, high * _MAP_SIZE)  # so that words are large beside the map
        which = f"Point {point}" + (f" ({facts['parameters']})" if facts["parameters"] else "")
        note = f"{which}: {shown.label} in {counted(facts['days'], 'day')}, mean of {counted(facts['runs'], 'run')}."
        note = " ".join([note, *(f"City: {source}" for source in facts["attribution"])])
        parts.append(
            f'<figure><img alt="{html.escape(shown.label)}, point {point}" src="{_png(figure, _MAP_DPI)}">'
            f"<figcaption>{html.escape(note)}</figcaption></figure>"
        )
    parts.append("</div>")
    return parts


# ---------------------------------------------------------------------- tables


def _with_intervals(results: "Results", grid: Grid, measures: "list[Any]") -> Grid:
    """Add to the means of points their intervals."""
    heads, rows = grid
    by_point = {int(point): rows for point, rows in results.summary.groupby("point", sort=True)}
    told = []
    for row in rows:
        runs: pd.DataFrame | None = by_point.get(int(row[0]))
        cells = row[: len(row) - len(measures)]
        for cell, measure in zip(row[len(cells) :], measures, strict=True):
            low, high = (
                (float("nan"),) * 2 if runs is None else interval(runs[measure.column].dropna().to_numpy(float), LEVEL)
            )
            _, space, bounds = spread(0.0, low, high, measure, signed=False).partition(" (")
            cells.append(f"{cell}{space}{bounds}")
        told.append(cells)
    return heads, told


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
    kind = "wide long" if len(rows) > _LONG else "wide"
    return f'<div class="{kind}"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


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


# ---------------------------------------------------------------------- words


def _failed(failures: dict[str, str]) -> str:
    """Return the failed runs: how many of each state, and each with what happened."""
    states = Counter(what.partition(":")[0] for what in failures.values())
    counts = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in states.most_common())
    items = "".join(
        f"<li>{html.escape(run)}: {html.escape(what)}</li>" for run, what in list(failures.items())[:_FAILURES]
    )
    more = len(failures) - _FAILURES
    rest = f"<li>and {more} more</li>" if more > 0 else ""
    return f"<p>{html.escape(counts)}</p><ul>{items}{rest}</ul>"


def _what_was_run(results: "Results") -> str:
    """Return the scenario in words: city, clock, processes, policies, what was swept."""
    facts: list[tuple[str, str]] = []
    if results.is_of_city:
        scenario = results.scenario
        facts += [("city", f"{city_text(city)}, {city['area_km2']:,} km²") for city in cities_of(results)]
        facts.append(("clock", f"{counted(scenario.clock.days, 'day')} from {scenario.clock.start}"))
        facts += [(section, value_text(scenario.document.nearest((section,)).plain)) for section in scenario.processes]
        facts += [(f"policy: {policy.name}", policy_text(policy)) for policy in scenario.policies]
        names = short_names(list(scenario.sweep.parameters))
        facts += [(f"swept: {names[key]}", axis_text(axis)) for key, axis in scenario.sweep.parameters.items()]
        facts += [*design_facts(scenario), ("seeds", seeds_text(scenario))]
        details = _scenario_text(results.info["scenario"])
    else:
        facts.append(("function", str(results.info.get("execute", ""))))
        facts += [(f"swept: {name}", text) for name, text in _swept_values(results).items()]
        seeds = results.summary["seed"].drop_duplicates()
        more = len(seeds) - _LONG
        some = ", ".join(map(str, seeds[:_LONG])) + (f" and {more} more" if more > 0 else "")
        facts.append(("seeds", some if len(seeds) > 1 else ""))
        details = _scenario_text(results.info.get("context", {}))
    text = html.escape(details)
    return f"{_listed(facts)}\n<details><summary>All of it, key by key</summary><pre>{text}</pre></details>"


def _swept_values(results: "Results") -> dict[str, str]:
    """Return for each parameter the values it was given, or their range where they are many."""
    told = {}
    for name in results.info["parameters"]:
        values = list({json.dumps(point.get(name)): point.get(name) for point in results.points}.values())
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(values) > _LONG and len(numbers) == len(values):
            told[name] = f"{len(values)} values from {value_text(min(numbers))} to {value_text(max(numbers))}"
        else:
            told[name] = value_text(values)
    return told


def _repeated(results: "Results") -> str:
    """Return the commands that make the same results again."""
    info = results.info
    git = info.get("git")
    commit = f" at commit {git['commit'][:12]}{' with changes' * git['changed']}" if git else ""
    program = f"{PACKAGE} {info['versions'].get(PACKAGE, '')}{commit}"
    if not results.is_of_city:
        return f"<p>The function above, with the seeds above and {html.escape(program)}, gives the same bytes.</p>"
    if results.directory is None:
        return f"<p>The scenario below with {html.escape(program)} gives the same figures.</p>"
    if own := own_classes(info):
        note = (
            f"From Python with {program} and the classes that it was made with ({'; '.join(own)}); of one run, "
            f"{PACKAGE} rerun --trust-code says whether it comes to the same."
        )
        return f'<p class="note">{html.escape(note)}</p>'
    note = (
        f"In the folder {results.directory.name}, with {program} and the libraries below; sweep.json holds the scenario and "
        "the files it is made of. The Parquet files are then the same to the bit, for any number of workers; of one run, "
        f"{PACKAGE} rerun says whether it is. ro-crate-metadata.json says all this to programs."
    )
    return f'<p class="note">{html.escape(note)}</p><pre>{html.escape(command_of(results))}</pre>'


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
    machines = _machines(info)
    facts += [("machine", f"{m['cpus']} cores, {m['processor']}, {m['system']}") for m in machines]
    facts.append(("begun", _moment(info["started"])))
    facts.append(("written", _moment(datetime.datetime.now(datetime.UTC).isoformat())))
    return _listed(facts)


def _machines(info: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the machines that worked on a sweep, each kind once."""
    found = (session["machine"] for session in info.get("sessions", []) if "machine" in session)
    return list({(m["cpus"], m["processor"], m["system"]): m for m in found}.values())


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
