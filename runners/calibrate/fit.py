"""Fit a scenario to observations: check, run, and write down what was found.

::

    fit.json              what was found: parameters with intervals, coverage, how it came to be
    posterior.parquet     particles: parameters, weight, distance, run
    predictive.parquet    a row a column of the data and day: observed, intervals
    best.toml             the scenario of the nearest run, to be run again
    predictive.png        data, held-out data and intervals
    parameters.png        the posterior of each parameter, and of each pair
    summary/ series/ …    all runs, as of a sweep
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..engine.supervisor import Progress
from ..proposing import run_id
from ..scenarios.documents import KeyPath, Problem, ScenarioError, suggestion
from ..storage.atomic import write_atomic
from ..sweep import Resume, SweepError, check_directory
from .observed import Observed, check_people, read_observed
from .predict import DRAWS, TAILS, Prediction, predict
from .priors import value_at
from .session import Outcome, Plan, calibrate_runs, figures
from .settings import CalibrateSettings, of_model
from .smc import Posterior

if TYPE_CHECKING:
    from ..scenarios.scenario import Scenario

Floats = NDArray[np.float64]

FIT = "fit.json"
SECTION = "calibrate"
FIXED = ("name", "seed", "extends", "city", "clock", "sweep", "output", "optimise", SECTION)
"""Sections of which nothing is fitted: the city is built once, and the data fix the clock."""
_TRIED = (0.0, 1 - 2 / (1 + 5**0.5), 1.0)
"""Quantiles of each prior at which the scenario is checked before anything runs; the middle one is no round number."""


EDGE, PILED = 0.025, 4.0
"""Part of a prior at either end, and how much more of the posterior than of the prior must lie there to be told."""


@dataclass(frozen=True)
class Fit:
    """What a calibration found.

    Attributes:
        directory: where it lies.
        facts: what ``fit.json`` says.
        failed: runs that failed, each with what happened.
    """

    directory: Path
    facts: dict[str, Any]
    failed: dict[str, str]


def calibrate(
    scenario: "Scenario | str | Path",
    data: str | Path,
    *,
    out: str | Path,
    workers: int | None = None,
    resume: Resume = False,
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Fit:
    """Fit the parameters that ``[calibrate]`` names to observations.

    Args:
        scenario: a scenario, the path of its file, or the name of a shipped one.
        data: CSV file of observations, see :func:`.observed.read_observed`.
        out: directory to make, or to go on with.
        workers: worker processes; one a core if None. The results do not depend on them.
        resume: go on with the calibration in ``out``.
        progress: called with (done, failed, most, seconds left).
        told: called with what goes on before the first run.

    Raises:
        ScenarioError: if the scenario or the data are wrong; nothing has been run then.
        CityError: if the city cannot be built or loaded.
        SweepError: if the calibration cannot begin or go on.
        SweepInterrupted: after Ctrl-C; what is done stands.
    """
    from ..scenarios.scenario import Scenario

    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    settings = settings_of(scenario)
    _check_optuna(settings)
    check_directory(Path(out), resume=bool(resume))
    scenario.check_files()
    document = scenario.document
    observed = read_observed(data, settings, scenario.clock, document.nearest((SECTION, "until")).where)
    highest = _check_parameters(scenario, settings)
    plan = _plan(scenario, settings, observed, highest, Path(out), told, str(data))
    if told is not None:
        told("")
    outcome = calibrate_runs(plan, out, workers=workers, resume=resume, progress=progress)
    return write_fit(plan, outcome, Path(out), scenario)


def settings_of(scenario: "Scenario") -> CalibrateSettings:
    """Return the section ``[calibrate]`` of a scenario.

    Raises:
        ScenarioError: if it has none.
    """
    if scenario.calibrate is None:
        message = f"section [{SECTION}] is missing; it says which parameters are fitted to which columns"
        raise ScenarioError([Problem(scenario.document.where, SECTION, message)])
    return scenario.calibrate


def _check_optuna(settings: CalibrateSettings) -> None:
    if settings.point_runs:
        try:
            import optuna  # noqa: F401
        except ImportError:
            raise SweepError(
                'Optuna is not installed; pip install "citytwin[calibrate]", or use method = "abc"'
            ) from None


# ---------------------------------------------------------------------- before it begins


def _check_parameters(scenario: "Scenario", settings: CalibrateSettings) -> "Scenario":
    """Try every parameter at both ends of its prior and between; return the scenario with all at their upper ends.

    Raises:
        ScenarioError: if a parameter does not exist, cannot be fitted, or a value of its prior is not allowed.
    """
    bare = scenario.at_point({})
    problems = []
    for name, prior in settings.parameters.items():
        where = scenario.document.nearest((SECTION, "parameters", name)).where
        if name.startswith(f"{SECTION}."):  # a scale, which the section has checked
            continue
        if name.partition(".")[0] in FIXED:
            problems.append(Problem(where, name, f"cannot be fitted (not {', '.join(FIXED)})"))
            continue
        for share in _TRIED:
            value = value_at(prior, share)
            try:
                bare.with_parameters({name: value})
            except ScenarioError as error:
                problems += [Problem(where, name, f"at {value:g}: {problem.message}") for problem in error.problems]
                break
    if problems:
        raise ScenarioError(problems)
    highest = of_model({name: value_at(prior, 1.0) for name, prior in settings.parameters.items()})
    where = scenario.document.nearest((SECTION, "parameters")).where
    try:
        return bare.with_parameters(highest)
    except ScenarioError as error:
        message = "with every parameter at its upper end: "
        raise ScenarioError([Problem(where, p.key, message + p.message) for p in error.problems]) from None


def _plan(
    scenario: "Scenario",
    settings: CalibrateSettings,
    observed: Observed,
    highest: "Scenario",
    out: Path,
    told: Callable[[str], None] | None,
    data: str,
) -> Plan:
    from ...environment.city import City
    from ..preparation import WARM, context_of
    from ..scenarios.cities import CITIES, prepare_cities
    from .evaluate import EVALUATE

    path = prepare_cities([scenario.city], out / CITIES, told=told)[0]
    city = City.load(path)
    highest.check_city(city)
    check_people(observed, settings, len(city.people), data)
    if told is not None:
        told("trying the upper ends of all parameters")
    _check_series(scenario, settings, _series_names(highest, city, scenario))
    model = {
        name: value
        for name, value in scenario.to_dict().items()
        if name not in ("sweep", "output", "optimise", SECTION)
    }
    wanted = list(dict.fromkeys(observation.series for observation in settings.observations.values()))
    context = context_of(scenario, [city]) | {"model": model, "figures": wanted, "data": observed.digest, "warm": WARM}
    return Plan(settings, observed, scenario.seed, EVALUATE, context, str(path))


def _series_names(highest: "Scenario", city: Any, scenario: "Scenario") -> list[str]:
    """Return the names of the figures of the series.

    Raises:
        ScenarioError: if no rate of transmission gives the largest ``r0``.
    """
    from ...agents.epidemic.transmission import TransmissionError
    from ..model import CityModel

    try:
        model = CityModel(highest, city)
    except TransmissionError as error:
        path: KeyPath = (SECTION, "parameters", "epidemic.r0")
        where = scenario.document.nearest(path).where
        raise ScenarioError([Problem(where, "epidemic.r0", f"at its upper end: {error}")]) from None
    return list(model.datacollector.model_reporters)


def _check_series(scenario: "Scenario", settings: CalibrateSettings, names: list[str]) -> None:
    problems = []
    for column, observation in settings.observations.items():
        if observation.series not in names:
            where = scenario.document.nearest((SECTION, "observations", column, "series")).where
            near = suggestion(observation.series, names)
            message = f"no figure '{observation.series}' in the series; there are: {', '.join(names)}{near}"
            problems.append(Problem(where, f"{SECTION}.observations.{column}.series", message))
    if problems:
        raise ScenarioError(problems)


# ---------------------------------------------------------------------- what was found


def write_fit(plan: Plan, outcome: Outcome, out: Path, scenario: "Scenario | None" = None) -> Fit:
    """Write down what a calibration found.

    Args:
        plan: what was done.
        outcome: what came of it.
        out: its directory.
        scenario: what was fitted, of which the best run's scenario is written; not where runs are of something else.
    """
    from .pictures import parameters_png, predictive_png

    runs, weight = _sample(outcome)
    scales = _scales(runs, plan, outcome)
    predictions = predict(
        figures(out, runs, plan), scales, weight, plan.observed, plan.settings.observations, plan.seed
    )
    facts = _facts(plan, outcome, predictions, weight)
    found = outcome.found
    values = particles(outcome)
    if found.posterior is not None:
        columns = {name: np.array(column) for name, column in values.items()}
        columns |= {"weight": weight, "distance": found.posterior.distance, "run_id": np.array(runs)}
        _write_parquet(out / "posterior.parquet", columns)
        write_atomic(out / "parameters.png", parameters_png(values, weight, plan.settings.parameters, facts))
    _write_parquet(out / "predictive.parquet", _prediction_table(plan, predictions))
    title = scenario.name if scenario is not None else ""
    start = scenario.clock.start if scenario is not None else None
    write_atomic(out / "predictive.png", predictive_png(plan, predictions, facts, title, start))
    if scenario is not None:
        from .best import best_toml

        write_atomic(out / "best.toml", best_toml(scenario, facts["best"]).encode())
    write_atomic(out / FIT, json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")
    return Fit(out, facts, outcome.failed)


def _sample(outcome: Outcome) -> tuple[list[str], Floats]:
    """Return the runs that speak for the fit, and their weights: the particles, or the runs that check the best point."""
    found = outcome.found
    if found.posterior is not None:
        return [
            run_id(found.posterior_from + number) for number in found.posterior.number.tolist()
        ], found.posterior.weight
    runs = [run_id(number) for number in range(found.check_from, len(outcome.tasks))]
    runs = [run for run in runs if run not in outcome.failed]
    if not runs:
        raise SweepError("all runs of the best point failed, so there is no prediction")
    return runs, np.full(len(runs), 1 / len(runs))


def _scales(runs: list[str], plan: Plan, outcome: Outcome) -> dict[str, Floats]:
    """Return by column the scale that each run has, (runs,)."""
    points = {task["run_id"]: task["parameters"] for task in outcome.tasks}
    at = [plan.settings.at(points[run]) for run in runs]
    return {name: np.array([observations[name].scale for observations in at]) for name in plan.settings.observations}


def particles(outcome: Outcome) -> dict[str, list[float]]:
    """Return the values of the particles of the posterior by parameter; none if there is none."""
    found = outcome.found
    if found.posterior is None:
        return {}
    tasks = [outcome.tasks[found.posterior_from + number] for number in found.posterior.number.tolist()]
    return {name: [task["parameters"][name] for task in tasks] for name in tasks[0]["parameters"]}


def weighted_quantiles(values: Any, weight: Floats, shares: tuple[float, ...]) -> list[float]:
    """Return the least values up to which these shares of the weight lie."""
    values = np.asarray(values, float)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    at = np.searchsorted(reached, np.array(shares) * reached[-1])
    return values[order][np.minimum(at, len(values) - 1)].tolist()


def _facts(plan: Plan, outcome: Outcome, predictions: Mapping[str, Prediction], weight: Floats) -> dict[str, Any]:
    found = outcome.found
    facts: dict[str, Any] = {
        "method": plan.settings.method,
        "runs": len(outcome.tasks),
        "failed": len(outcome.failed),
        "data": {
            "days": len(plan.observed.days),
            "fitted": int(plan.observed.fitted.sum()),
            "last": plan.observed.last,
        },
        "parameters": {},
    }
    if found.posterior is not None:
        sample = found.posterior
        facts["stopped"] = sample.stopped
        facts["particles"] = len(sample.weight)
        facts["effective"] = sample.generations[-1].effective
        bounds = _at_bounds(sample)
        for number, (name, values) in enumerate(particles(outcome).items()):
            mean = float(weight @ np.array(values, float))
            sd = float(np.sqrt(weight @ (np.array(values, float) - mean) ** 2))
            tails = dict(zip((f"{tail:.0%}" for tail in TAILS), weighted_quantiles(values, weight, TAILS), strict=True))
            facts["parameters"][name] = {"mean": mean, "sd": sd} | tails | {"at_bound": bounds[number]}
        nearest = found.posterior_from + int(sample.number[np.argmin(sample.distance)])
        best = outcome.tasks[nearest] | {"distance": float(sample.distance.min())}
        facts["generations"] = [
            {
                "runs": generation.runs,
                "tolerance": generation.tolerance,
                "acceptance": None if isnan(generation.acceptance) else generation.acceptance,
                "effective": generation.effective,
            }
            for generation in sample.generations
        ]
    if found.best is not None:
        first = next(task for task in outcome.tasks if task["point"] == found.best.number)
        facts["optuna"] = {"points": found.best.tried, "distance": found.best.distance, "parameters": found.best.point}
        if found.posterior is None:
            best = first | {"distance": found.best.distance}
    facts["best"] = {name: best[name] for name in ("run_id", "seed", "distance", "parameters")}
    facts["observations"] = {
        name: {"scatter": prediction.scatter, "covered": prediction.covered} for name, prediction in predictions.items()
    }
    facts["draws"] = DRAWS
    return facts


def _at_bounds(sample: Posterior) -> list[str | None]:
    """Return for each parameter the end of its prior (``from`` or ``to``) at which the posterior is piled up, if one is."""
    shares = ndtr(sample.normals)
    low, high = (sample.weight @ near for near in (shares < EDGE, shares > 1 - EDGE))
    return [
        ("from" if at_low > at_high else "to") if max(at_low, at_high) > PILED * EDGE else None
        for at_low, at_high in zip(low.tolist(), high.tolist(), strict=True)
    ]


def _prediction_table(plan: Plan, predictions: Mapping[str, Prediction]) -> dict[str, NDArray[Any]]:
    """Return a row a column of the data and day of the run."""
    observed = plan.observed
    parts: dict[str, list[Any]] = {}
    for name, prediction in predictions.items():
        days = prediction.quantiles.shape[1]
        values, held = np.full(days, np.nan), np.arange(days) > observed.last
        values[observed.days] = observed.values[name]
        rows = {"column": [name] * days, "day": np.arange(days, dtype=np.int32), "held_out": held, "observed": values}
        for tail, row in zip(TAILS, prediction.quantiles, strict=True):
            rows[f"{tail:.0%}"] = row
        for key, value in rows.items():
            parts.setdefault(key, []).append(value)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _write_parquet(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), sink, compression="zstd")
    write_atomic(path, sink.getvalue())
