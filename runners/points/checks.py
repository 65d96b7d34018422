"""What is wrong with the points of a sweep, before anything runs."""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from ..scenarios.documents import Node, Problem, ScenarioError, Where, absolute
from .layout import Layout, axis_length, count_points, is_sampled, layout, same_text
from .settings import MAX_POINTS, MAX_RANGES, MAX_RUNS, ONLY, SIZES, Range, SweepSettings
from .table import read_points

UNSWEPT = ("name", "seed", "extends", "sweep", "calibrate", "optimise", "output")
"""Sections that are the same at all points."""
_TRIED = 64
"""Values of a parameter that are tried where the design itself is wrong."""

Variant = TypeVar("Variant")
VariantAt = Callable[[Mapping[str, Any], Mapping[str, Where]], tuple[Variant, list[Problem]]]
"""``variant_at(parameters, where)``: the scenario at a point, and what is wrong with it."""


class Checked(NamedTuple, Generic[Variant]):
    """A sweep that was looked at.

    Attributes:
        layout: its points; none where they cannot be told.
        variants: the scenario at the points that stand for all, by number.
        problems: what is wrong.
    """

    layout: Layout
    variants: dict[int, Variant]
    problems: list[Problem]


def with_table(document: Node) -> tuple[Node, list[Problem]]:
    """Put the points of ``sweep.file`` into the document, in the place of the file's name.

    A scenario, once read, is whole: whatever becomes of the file, its points are those read here.
    """
    section = document.get("sweep")
    file = None if section is None else section.get("file")
    if section is None or file is None or not isinstance(file.value, str) or not file.value:
        return document, []  # what is no text is told where the section is validated
    problems = []
    if (design := section.get("design")) is None or design.value != "list":
        given = "none" if design is None else design.plain
        problems.append(Problem(file.where, "sweep.file", f'goes with design = "list" only (given {given})'))
    if section.get("parameters") is not None:
        message = "holds the points; give 'file' or [sweep.parameters], not both"
        problems.append(Problem(file.where, "sweep.file", message))
    section = section.without("file").without("parameters")
    if not problems:
        try:
            columns = read_points(absolute(file.folder, file.value), file.value)
        except ScenarioError as error:
            problems += error.problems
        else:
            parameters = Node(dict(columns), file.where, file.folder)
            section = Node(section.value | {"parameters": parameters}, section.where, section.folder)
    return document.replaced(("sweep",), section), problems


def checked_sweep(document: Node, sweep: SweepSettings, seed: int, variant_at: VariantAt[Variant]) -> Checked[Variant]:
    """Look at a sweep: its design, its parameters, and the scenario at its points.

    Args:
        document: the whole document.
        sweep: its section, each key of which is valid by itself.
        seed: of the scenario.
        variant_at: looks at the scenario at one point; not called where nothing is swept.
    """
    problems = [
        Problem(document.nearest(("sweep", *path)).where, ".".join(("sweep", *path)), message)
        for path, message in _design_problems(sweep, document)
    ]
    axes = document.nearest(("sweep", "parameters"))
    for name, axis in sweep.parameters.items():
        if message := _axis_problem(name, axis, sweep):
            problems.append(Problem(axes.value[name].where, name, message))
    if not problems:
        problems += _list_problems(sweep, axes)
    if not sweep.parameters:
        return Checked(Layout({}), {}, problems)
    lies = Layout({}) if problems else layout(sweep, seed)
    few = _few_points(sweep) if problems else [lies.points[number] for number in lies.representatives]
    variants: list[Variant] = []
    found = dict.fromkeys(problems)
    sampled = {name for name, axis in sweep.parameters.items() if isinstance(axis, Range)}
    told = set()
    usual = {problem.message for problem in variant_at({}, {})[1]}
    for point in few:
        places = _places(axes, sweep, point)
        variant, wrong = variant_at(point, places)
        variants.append(variant)
        for found_here in wrong:
            problem = found_here if found_here.message in usual else _with_value(found_here, point, places)
            # What is wrong with one value of a range is wrong with many, and with one of a file in many lines.
            same = (problem.where.label, problem.key, "" if problem.key in sampled else problem.message)
            if same not in told:
                told.add(same)
                found[problem] = None
    return Checked(lies, dict(zip(lies.representatives, variants, strict=False)), list(found))


def _with_value(problem: Problem, point: Mapping[str, Any], places: Mapping[str, Where]) -> Problem:
    """Name the swept values of the section in which a problem is that no value of the file has, and their lines."""
    section = problem.key.split(".", 1)[0]
    near = {name: where for name, where in places.items() if name.split(".", 1)[0] == section}
    if not near or problem.where in near.values():
        return problem
    named = " and ".join(f"{name} = {json.dumps(point[name], default=str)} ({where})" for name, where in near.items())
    return Problem(problem.where, problem.key, f"{problem.message}; at the swept {named}")


def _design_problems(sweep: SweepSettings, document: Node) -> list[tuple[tuple[str, ...], str]]:
    """Return by path below the section what is wrong with the design as a whole; what is written wrongly is not missing."""
    axes = document.at(("sweep", "parameters"))
    nodes = list(axes.value.values()) if axes is not None and isinstance(axes.value, dict) else []
    design, written = sweep.design, sweep.model_fields_set
    found: list[tuple[tuple[str, ...], str]] = []
    for key, designs in ONLY.items():
        if key in written and design not in designs:
            found.append(
                ((key,), f"goes with design = {' or '.join(map(json.dumps, designs))} only ({design} is given)")
            )
    wanted = SIZES.get(design)
    sampled = [name for name, axis in sweep.parameters.items() if is_sampled(axis)]
    if wanted is not None:
        if document.at(("sweep", wanted)) is None:
            found.append((("design",), f"needs a number of {_SAMPLES[wanted]}; write {wanted} = 64"))
        if not nodes:
            example = '"epidemic.r0" = { from = 1.5, to = 3.0 }'
            found.append((("design",), f"has nothing to sample; write ranges in [sweep.parameters], as {example}"))
        elif not any(isinstance(node.value, dict) for node in nodes) and design not in ("saltelli", "morris"):
            found.append((("design",), 'has no range to sample; write { from = …, to = … }, or design = "grid"'))
        if len(sampled) > MAX_RANGES:
            found.append((("parameters",), f"{len(sampled)} ranges are sampled together; allowed: {MAX_RANGES}"))
    if design in ("sobol", "saltelli") and wanted is not None and (count := getattr(sweep, wanted)) is not None:
        below = 1 << (count.bit_length() - 1)
        if below != count:
            why = "the sequence is even only then"
            message = f"must be a power of two, as {why} (given {count}); next: {below} or {2 * below}"
            found.append(((wanted,), message))
    if design == "morris" and sweep.levels % 2:
        found.append((("levels",), f"must be even, so that all levels are met equally often (given {sweep.levels})"))
    found += _replicate_problems(sweep)
    points = count_points(sweep)
    runs = points * sweep.first_replicates
    if points > MAX_POINTS or runs > MAX_RUNS:
        asked = f"{points:,} points x {sweep.first_replicates:,} replicates = {runs:,} runs"
        found.append(((), f"{asked}; allowed: {MAX_POINTS:,} points and {MAX_RUNS:,} runs"))
    return found


_SAMPLES = {"points": "points", "base": "base samples", "trajectories": "trajectories"}


def _replicate_problems(sweep: SweepSettings) -> list[tuple[tuple[str, ...], str]]:
    if sweep.until is None:
        return []
    found: list[tuple[tuple[str, ...], str]] = []
    if "replicates" in sweep.model_fields_set:
        found.append((("replicates",), "depends on 'until'; leave it out and write at_least and at_most there"))
    if sweep.until.of == "difference":
        if sweep.seeds != "common":
            message = 'a difference is that of two runs of one seed; leave seeds = "independent" out'
            found.append((("until", "of"), message))
        if count_points(sweep) < 2:
            found.append((("until", "of"), 'there is no second point that could differ from the first; write "mean"'))
    return found


def _axis_problem(name: str, axis: list[Any] | Range, sweep: SweepSettings) -> str:
    """Return what is wrong with what a parameter takes; "" if nothing is."""
    if name.partition(".")[0] in UNSWEPT:
        return f"cannot be swept (not {', '.join(UNSWEPT)})"
    if isinstance(axis, list) and not axis:
        return "has no values; write at least one"
    if is_sampled(axis) and sweep.design not in SIZES:
        return f"a range is no value of a {sweep.design}; add steps = 5 to it, or choose a design that samples, as lhs"
    if not is_sampled(axis) and sweep.design in ("saltelli", "morris"):
        what = "a list" if isinstance(axis, list) else "a range with steps"
        return f"{sweep.design} varies ranges alone, not {what}; write {{ from = …, to = … }}, or choose lhs or sobol"
    if sweep.design != "list" and isinstance(axis, list) and _repeats(axis):
        return "has the same value twice"
    return ""


def _list_problems(sweep: SweepSettings, axes: Node) -> list[Problem]:
    """Return what is wrong with the lengths and rows of a list."""
    if sweep.design != "list" or not sweep.parameters:
        return []
    lengths = {name: axis_length(axis) for name, axis in sweep.parameters.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {length}" for name, length in lengths.items())
        message = f"a list needs equally many values of each (given {given})"
        return [Problem(axes.where, "sweep.parameters", message)]
    rows = list(zip(*layout(sweep, 0).columns.values(), strict=True))
    with contextlib.suppress(TypeError):  # tables and lists have no hash
        if len(set(rows)) == len(rows):
            return []
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        text = same_text(row)
        if text in first:
            place, earlier = (_place(next(iter(axes.value.values())), n) for n in (number, first[text]))
            where = axes.where if place.line == earlier.line else place
            there = "" if where is axes.where else f" (first in line {earlier.line})"
            message = f"the same values of all parameters stand there twice{there}"
            return [Problem(where, "sweep.parameters", message)]
        first[text] = number
    return []


def _repeats(values: list[Any]) -> bool:
    return len(set(map(same_text, values))) < len(values)


def _few_points(sweep: SweepSettings) -> list[dict[str, Any]]:
    """Return points at which one parameter after the other takes its values, the others their first: whatever is wrong with
    the design, this finds what is wrong with the values.
    """
    values = {
        name: axis[:_TRIED] if isinstance(axis, list) else [axis.at(0.0), axis.at(1.0)]
        for name, axis in sweep.parameters.items()
        if name.partition(".")[0] not in UNSWEPT and axis != []
    }
    first = {name: some[0] for name, some in values.items()}
    return [first | {name: value} for name, some in values.items() for value in some]


def _places(axes: Node, sweep: SweepSettings, point: Mapping[str, Any]) -> dict[str, Where]:
    """Return where the values of a point were written."""
    places = {}
    for name, value in point.items():
        axis, node = sweep.parameters[name], axes.value[name]
        places[name] = _place(node, axis.index(value)) if isinstance(axis, list) else node.where
    return places


def _place(axis: Node, number: int) -> Where:
    """Return where a value of a list was written."""
    return axis.value[number].where if isinstance(axis.value, list) else axis.where
