"""Look for the best policy under constraints: check, run, weigh, and write down what was found.

::

    optimise.json         the Pareto front with intervals, the knee, the baseline, what holds by fresh seeds, how it went
    pareto.parquet        a row a candidate and the baseline: parameters, figures with intervals, differences
    pareto.png            goals against each other, the front by the seeds of the search and by fresh ones, the knee
    summary/ series/ …    all runs, as of a sweep; point 0 is the scenario as written
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.outcome import SweepError
from ..engine.supervisor import Progress
from ..proposing import Proposed, run_proposed
from ..scenarios.documents import KeyPath, Problem, ScenarioError, suggestion
from ..storage.atomic import write_atomic
from ..sweep import Resume, check_directory
from .optimise_picture import pareto_png
from .optimise_text import kept_text, optimise_facts
from .pareto import Judged, Weighed, verdict
from .settings import Choice, OptimiseSettings
from .trials import Search

if TYPE_CHECKING:
    from ...environment.city import City
    from ..scenarios.scenario import Scenario

SECTION = "optimise"
FACTS, TABLE, PICTURE = "optimise.json", "pareto.parquet", "pareto.png"
FIXED = ("name", "seed", "extends", "city", "design", "clock", "sweep", "output", "calibrate", SECTION)
"""Sections of which nothing is varied: the city is built once, and all candidates have the same days."""
_TRIED = (0.0, 1 - 2 / (1 + 5**0.5), 1.0)
"""Shares of each range at which the scenario is checked before anything runs; the middle one is no round number."""


@dataclass(frozen=True)
class Optimum:
    """What a search found.

    Attributes:
        directory: where it lies.
        weighed: all candidates.
        counts: ``trials``, ``runs`` and ``failed_runs``.
        failed: runs that failed, each with what happened.
    """

    directory: Path
    weighed: Weighed
    counts: dict[str, int]
    failed: dict[str, str]

    @property
    def facts(self) -> dict[str, Any]:
        """What ``optimise.json`` says."""
        return optimise_facts(self.weighed, self.counts)


def optimise(
    scenario: "Scenario | str | Path",
    *,
    out: str | Path,
    trials: int | None = None,
    workers: int | None = None,
    resume: Resume = False,
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Optimum:
    """Look for the values of the parameters in ``[optimise]`` that serve its goals best and keep its constraints.

    Args:
        scenario: a scenario, the path of its file, or the name of a shipped one.
        out: directory to make, or to go on with.
        trials: candidates tried, in place of the number in the file.
        workers: worker processes; one a core if None. The results do not depend on them.
        resume: go on with the search in ``out``.
        progress: called with (done, failed, most, seconds left).
        told: called with what goes on before the first run.

    Raises:
        ScenarioError: if the scenario is wrong; nothing has been run then.
        CityError: if the city cannot be built or loaded.
        SweepError: if the search cannot begin or go on.
        SweepInterrupted: after Ctrl-C; what is done stands.
    """
    from ..scenarios.scenario import Scenario

    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    if trials is not None:
        scenario = scenario.with_parameters({f"{SECTION}.trials": trials}, label="--trials")
    settings = _settings_of(scenario)
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise SweepError('Optuna is not installed; pip install "citytwin[calibrate]"') from None
    check_directory(Path(out), resume=bool(resume))
    scenario.check_files()
    _check_parameters(scenario, settings)
    search = _search(scenario, settings, Path(out), told)
    if told is not None:
        told("")
    outcome = run_proposed(search, out, workers=workers, resume=resume, progress=progress)
    return write_optimum(outcome, Path(out), scenario.name)


def _settings_of(scenario: "Scenario") -> OptimiseSettings:
    if scenario.optimise is None:
        message = f"section [{SECTION}] is missing; it says which goals are sought by which parameters"
        raise ScenarioError([Problem(scenario.document.where, SECTION, message)])
    return scenario.optimise


# ---------------------------------------------------------------------- before it begins


def _check_parameters(scenario: "Scenario", settings: OptimiseSettings) -> None:
    """Refuse parameters that do not exist, cannot be varied, or are allowed nowhere that was tried in their range.

    A candidate that is not allowed all the same, as where a policy would end before it begins, fails when it is run.

    Raises:
        ScenarioError: with the line of each.
    """
    bare = scenario.at_point({})
    problems = []
    for name, choice in settings.parameters.items():
        where = scenario.document.nearest((SECTION, "parameters", name)).where
        if name.partition(".")[0] in FIXED:
            problems.append(Problem(where, name, f"cannot be optimised (not {', '.join(FIXED)})"))
            continue
        wrong: list[list[Problem]] = []
        for share in _TRIED:
            value = choice.at(share)
            try:
                bare.with_parameters({name: value})
            except ScenarioError as error:
                wrong.append([Problem(where, name, f"at {value:g}: {problem.message}") for problem in error.problems])
        if len(wrong) == len(_TRIED):
            problems += wrong[0]
    if problems:
        raise ScenarioError(problems)


def _search(scenario: "Scenario", settings: OptimiseSettings, out: Path, told: Callable[[str], None] | None) -> Search:
    from ...environment.city import City
    from ..preparation import EXECUTE, WARM, context_of
    from ..scenarios.cities import CITIES, prepare_cities

    bare = scenario.at_point({})
    path = prepare_cities([scenario.city], out / CITIES, told=told)[0]
    city = City.load(path)
    bare.check_city(city)
    if told is not None:
        told("trying the scenario as it is written")
    _check_indicators(scenario, settings, _summary_names(bare, city))
    baseline = {name: value for name in settings.parameters if (value := _written(scenario, name)) is not None}
    baseline = {name: _of_kind(settings.parameters[name], value) for name, value in baseline.items()}
    context = context_of(scenario, [city]) | {"warm": WARM}
    return Search(settings, baseline, scenario.seed, EXECUTE, context, str(path))


def _summary_names(bare: "Scenario", city: "City") -> list[str]:
    """Return the columns of the summary.

    Raises:
        ScenarioError: if no rate of transmission gives the ``r0`` of the scenario.
    """
    from ...agents.epidemic.transmission import TransmissionError
    from ..model import CityModel

    try:
        return list(CityModel(bare, city).outputs()["summary"])
    except TransmissionError as error:
        where = bare.document.nearest(("epidemic", "r0")).where
        raise ScenarioError([Problem(where, "epidemic.r0", str(error))]) from None


def _check_indicators(scenario: "Scenario", settings: OptimiseSettings, names: list[str]) -> None:
    allowed = [*names, *settings.parameters]
    problems = []
    for part in ("goals", "constraints"):
        for name in getattr(settings, part):
            if name not in allowed:
                where = scenario.document.nearest((SECTION, part, name)).where
                message = f"no such column of the summary{suggestion(name, allowed)}; there are: {', '.join(names)}"
                problems.append(Problem(where, f"{SECTION}.{part}.{name}", message))
    if problems:
        raise ScenarioError(problems)


def _written(scenario: "Scenario", name: str) -> float | None:
    """Return the number that the scenario has for a parameter; None where it leaves it open or says it otherwise."""
    from ..scenarios.documents import resolve_key

    path: KeyPath = resolve_key(scenario.document, name)
    node = scenario.document.at(path)
    number = node is not None and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return node.value if node is not None and number else None


def _of_kind(choice: Choice, value: float) -> float | int:
    return int(value) if choice.integer and float(value).is_integer() else float(value)


# ---------------------------------------------------------------------- what was found


def write_optimum(outcome: Proposed[Weighed], out: Path, title: str = "") -> Optimum:
    """Write down what a search found.

    Args:
        outcome: what came of it.
        out: its directory.
        title: name of the scenario, for the picture.
    """
    weighed = outcome.found
    counts = {"trials": weighed.settings.trials, "runs": len(outcome.tasks), "failed_runs": len(outcome.failed)}
    optimum = Optimum(out, weighed, counts, outcome.failed)
    _write_table(out / TABLE, weighed)
    write_atomic(out / PICTURE, pareto_png(weighed, title))
    text = json.dumps(optimum.facts, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(out / FACTS, text.encode() + b"\n")
    return optimum


def _write_table(path: Path, weighed: Weighed) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [_row(weighed, judged) for judged in (weighed.baseline, *weighed.candidates)]
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue())


def _row(weighed: Weighed, judged: Judged) -> dict[str, Any]:
    parameters = {
        name: None if (value := judged.parameters.get(name)) is None else float(value)
        for name in weighed.settings.parameters
    }
    row: dict[str, Any] = {"candidate": judged.number, **parameters}
    unknown = Judged(judged.number, {}, None)
    again, baseline_again = (weighed.fresh.get(number, unknown) for number in (judged.number, 0))
    for name in weighed.settings.indicators:
        for label, estimate in (
            (name, judged.level(name)),
            (f"difference of {name}", judged.difference(name, weighed.baseline)),
            (f"{name}, fresh seeds", again.level(name)),
            (f"difference of {name}, fresh seeds", again.difference(name, baseline_again)),
        ):
            row |= dict(zip((label, f"{label}, low", f"{label}, high"), estimate, strict=True))
    found = verdict(weighed, judged.number) if judged.number else None
    return row | {
        "state": "failed" if judged.means is None else "done",
        "constraints": kept_text(weighed, judged),
        "feasible": judged.number in weighed.feasible,
        "front": judged.number in weighed.front,
        "knee": judged.number == weighed.knee,
        "holds": None if found is None else found.holds,
    }
