"""Sweeps whose list of runs grows: by more points or replicates, until a figure is known, as far as a budget goes.

What is in the directory decides what comes next: the runs that are written down are finished first, then further ones
follow from what they came to. So a sweep that is resumed makes the decisions that it would have made.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine import manifest as manifests
from ..engine.ledger import entries
from ..engine.outcome import SweepError, SweepOutcome
from ..scenarios.documents import suggestion
from ..storage.store import read_table, read_tasks, table_names
from ..storage.tables import ID_COLUMNS, SUMMARY, parameter_types
from .adaptive import affordable, further, precision
from .tasks import ExtensionError, Run, TaskMaker, extended

if TYPE_CHECKING:
    from ..results import Results

Figures = Sequence[Mapping[int, float]]
"""By point of the design, a figure by replicate."""


# ---------------------------------------------------------------------- going on with another list of runs


def continued(
    out: Path, maker: TaskMaker, execute: str, context: Mapping[str, Any], *, extend: bool
) -> list[dict[str, Any]]:
    """Return the tasks with which a sweep that is there goes on: those written down and, to extend it, further ones.

    Args:
        out: results directory.
        maker: makes the tasks of the sweep that is wanted.
        execute: import path of the function that makes a run.
        context: what all runs share.
        extend: whether the sweep that is wanted may be larger than the one that is there.

    Raises:
        SweepError: if the one that is there is no part of it; with ``extend`` also if anything but the section ``[sweep]``
            is another.
    """
    manifest = manifests.read_manifest(out)
    old = read_tasks(out)[: manifest["runs"]]  # a crash may have left what was about to be appended
    first = first_batch(maker)
    same = manifest.get("scenario") == context.get("scenario")
    try:
        tasks = extended(old, maker, [] if maker.settings.grows else first)
    except ExtensionError as error:
        if extend:
            raise SweepError(f"{out}: cannot be extended to this sweep: {error}") from None
        return maker.tasks(first)  # whoever compares them shows the difference
    larger = len(tasks) > len(old)
    if not extend:
        if not same and not _differences(manifest, tasks, execute, context):
            raise SweepError(
                f"{out}: holds another sweep of this scenario, with {len(old):,} runs that are part of this one; go on with "
                "--resume --extend (extend=True), resume it with what it was begun with, or choose another name"
            )
        return maker.tasks(first) if larger else tasks
    if lines := _differences(manifest, tasks, execute, context):
        shown = "\n  ".join(lines)
        raise SweepError(
            f"{out}: holds a sweep of another scenario:\n  {shown}\n"
            "Only the section [sweep] may change where a sweep is extended."
        )
    if larger:
        _check_types(out, old, tasks)
    return tasks


def _differences(
    old: manifests.Manifest, tasks: Sequence[Mapping[str, Any]], execute: str, context: Mapping[str, Any]
) -> list[str]:
    """Return in what a sweep differs from the one that is there, other runs, further cities and files apart."""
    wanted = manifests.describe(tasks, execute, context, old["block"])
    files = [manifest["context"].get("files") or {} for manifest in (old, wanted)]
    shared = files[0].keys() & files[1].keys()
    kept = set(old.get("cities", {}).values()) <= set(wanted["cities"].values())

    def bare(manifest: manifests.Manifest, files: Mapping[str, Any], cities: Mapping[str, Any]) -> manifests.Manifest:
        scenario = {name: section for name, section in manifest["scenario"].items() if name != "sweep"}
        about = {name: value for name, value in manifest["context"].items() if name != "city_facts"}
        about["files"] = {path: files[path] for path in shared}
        return manifest | {"scenario": scenario, "context": about, "cities": cities}

    cities = {} if kept else wanted["cities"]
    return manifests.differences(
        bare(old, files[0], {} if kept else old["cities"]), bare(wanted, files[1], cities), [], []
    )


def _check_types(out: Path, old: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]) -> None:
    before, after = parameter_types(old), parameter_types(tasks)
    for name, kind in before.items():
        if after[name] != kind:
            raise SweepError(
                f"{out}: cannot be extended to this sweep: the values of '{name}' there are stored as {kind}, those of the "
                f"larger one would be as {after[name]}; begin a new sweep under another name"
            )


# ---------------------------------------------------------------------- what comes next


def first_batch(maker: TaskMaker) -> list[Run]:
    """Return the runs with which a sweep begins."""
    if not maker.settings.grows:
        return maker.first_runs()
    return next_runs(maker, [], [{}] * len(maker.points), 0.0)


def next_runs(maker: TaskMaker, old: Sequence[Mapping[str, Any]], figures: Figures, spent: float) -> list[Run]:
    """Return the runs that a growing sweep makes next, none when it has come to its end.

    Args:
        maker: makes its tasks, and numbers its points as the results do.
        old: the tasks there are.
        figures: the figure that ``until`` asks for.
        spent: processor time that the runs so far took [s].
    """
    wanted = wanted_runs(maker, old, figures)
    budget = maker.settings.allowance
    return wanted if budget is None else affordable(budget, wanted, len(old), spent)


def wanted_runs(maker: TaskMaker, old: Sequence[Mapping[str, Any]], figures: Figures) -> list[Run]:
    """Return the runs that are wanted next whatever they cost, replicate by replicate."""
    made = replicates_made(maker, old)
    if maker.settings.until is not None:
        return further(maker.settings.until, made, figures)
    rounds = range(maker.settings.replicates)
    return [(position, replicate) for replicate in rounds for position, count in enumerate(made) if replicate >= count]


def replicates_made(maker: TaskMaker, old: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the number of replicates of each point of the design that are written down."""
    position = _positions(maker)
    made = [0] * len(maker.points)
    for task in old:
        made[position[task["point"]]] = max(made[position[task["point"]]], task["replicate"] + 1)
    return made


def _positions(maker: TaskMaker) -> dict[int, int]:
    """Return the position in the design of each point of the results."""
    return {maker.number(place): place for place in range(len(maker.points))}


def grow(out: Path, maker: TaskMaker, work: Callable[[list[str] | None], SweepOutcome]) -> SweepOutcome:
    """Make the runs of a growing sweep, and further ones until it has come to its end.

    Args:
        out: results directory of a sweep that is planned.
        maker: makes its tasks.
        work: makes the runs of these names, or all that are missing if None.

    Raises:
        SweepError: if the figure that ``until`` asks for is none of the results.
    """
    if maker.settings.until is not None and SUMMARY not in table_names(out):
        outcome = work([read_tasks(out)[0]["run_id"]])  # so that a misspelt figure does not cost a whole batch
        if outcome.stopped:
            return outcome
    figures_of(out, maker)
    outcome = work(None)
    while not outcome.stopped and outcome.done and (runs := plan_next(out, maker)):
        outcome = work(runs)
    return outcome


def plan_next(out: Path, maker: TaskMaker) -> list[str]:
    """Write down the runs that a growing sweep makes next; every run there is has been tried.

    Whoever has made them asks again only if one of them at least is done: where nothing comes to its end, more of the
    same would not help.

    Args:
        out: results directory.
        maker: makes its tasks.

    Returns:
        Their names; none when it has come to its end.

    Raises:
        SweepError: if the figure that ``until`` asks for is none of the results, or they cannot be written down.
    """
    from ..sweep import extend

    tasks = read_tasks(out)[: manifests.read_manifest(out)["runs"]]  # a crash may have left what is appended now
    maker = maker.continuing(tasks)
    runs = next_runs(maker, tasks, figures_of(out, maker), cpu_spent(out))
    if not runs:
        return []
    return [task["run_id"] for task in extend(out, extended(tasks, maker, runs)[len(tasks) :])[len(tasks) :]]


def maker_of(out: Path) -> TaskMaker:
    """Return what makes the tasks of a sweep of a scenario, from its directory alone.

    Raises:
        ScenarioError, CityError: if its files or cities are not there any more.
    """
    from ..preparation import prepared_sweep
    from ..results import Results
    from ..scenarios.cities import CITIES

    return prepared_sweep(Results(out).scenario, out / CITIES, tried=True)[0]


def figures_of(out: Path, maker: TaskMaker) -> list[dict[int, float]]:
    """Return the figure that ``until`` asks for, by point of the design and replicate, as far as runs have it.

    Raises:
        SweepError: if no run has such a figure.
    """
    figures: list[dict[int, float]] = [{} for _ in maker.points]
    until = maker.settings.until
    if until is None or SUMMARY not in table_names(out):
        return figures
    table = read_table(out, SUMMARY)
    if until.indicator not in table.column_names or not _is_number(table.column(until.indicator)):
        there = [name for name in table.column_names if name not in ID_COLUMNS and _is_number(table.column(name))]
        known = f"{', '.join(there)}{suggestion(until.indicator, there)}"
        raise SweepError(
            f"{out}: sweep.until.indicator: no figure '{until.indicator}' in the summary; there are: {known}; "
            "correct it and go on with --resume --extend (extend=True)"
        )
    position = _positions(maker)
    rows = (table.column(name).to_pylist() for name in ("point", "replicate", until.indicator))
    for point, replicate, value in zip(*rows, strict=True):
        if point in position and value is not None:
            figures[position[point]][replicate] = float(value)
    return figures


def _is_number(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def cpu_spent(out: Path) -> float:
    """Return the processor time that the runs of a sweep took [s], all attempts counted."""
    return sum(entry.cpu for entry in entries(out))


# ---------------------------------------------------------------------- how it ended


def standing(results: "Results") -> list[str]:
    """Return what to say of a growing sweep: where its figure is not known well enough, and what its budget left undone."""
    scenario, out = results.scenario, results.directory
    settings = scenario.sweep
    if out is None or not settings.grows:
        return []
    tasks = read_tasks(out)
    points = scenario.layout.points
    maker = TaskMaker(settings, scenario.seed, points, [""] * len(points)).continuing(tasks)
    figures, spent = figures_of(out, maker), cpu_spent(out)
    lines = []
    if (until := settings.until) is not None:
        known = [precision(until, figures, position) for position in range(len(points))]
        wide = [position for position, found in enumerate(known) if not found.narrow]
        what = f"{until.indicator} is known to ± {until.half_width:g}"
        lines.append(f"{what} at {len(points) - len(wide):,} of {len(points):,} points.")
        if wide:
            worst = max(wide, key=lambda position: known[position].half_width)
            lines[0] += (
                f" Least at point {maker.number(worst)}: ± {known[worst].half_width:.3g} with {known[worst].values} runs."
            )
    left = wanted_runs(maker, tasks, figures)
    if left and not next_runs(maker, tasks, figures, spent):
        more = "at least " if settings.until is not None else ""
        used = f"{len(tasks):,} runs were made" + (
            "" if settings.allowance is None else f" in {spent:,.0f} s of CPU time"
        )
        lines.append(
            f"The budget of {settings.budget} is spent: {used}, {more}{len(left):,} more are wanted. "
            "Raise it and go on with --resume --extend."
        )
    return lines
