"""Make runs of scenarios: one by itself, or those of a sweep in a worker."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Unpack

from ..environment.city import City
from .checkpoints.reader import StateError
from .checkpoints.running import Checkpoints
from .engine import manifest as manifests
from .engine import pause
from .engine.pause import CHECKPOINTS
from .model import CityModel, Outputs
from .preparation import EXECUTE, context_of, pasts, reachable
from .results import Results
from .scenarios.cities import CITIES, prepare_cities
from .scenarios.own_classes import Classes, check_classes, check_dispatcher, imported, records_of
from .scenarios.scenario import Scenario
from .storage import store
from .storage.tables import to_tables
from .warm_ups import WARM_UPS, warm_up, warm_up_once

Days = Callable[[int, int], None]
"""``days(done, total)``; called after every step."""

SINGLE = "run"
"""Name of the run where there is no sweep."""


def run(
    scenario: Scenario | str | Path,
    out: str | Path | None = None,
    seed: int | None = None,
    threads: int = 1,
    *,
    progress: Days | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    until_day: int | None = None,
    save: str | Path | None = None,
    **classes: Unpack[Classes],
) -> Results:
    """Run a scenario once, as its file stands; its ``[sweep]`` is left aside.

    Args:
        scenario: a scenario, the path of its file, or the name of a shipped one.
        out: results directory to make; without it the results stay in memory.
        seed: seed of the run; the scenario's by default.
        threads: threads that kernels may use; the results do not depend on it.
        progress: called after every step with the days done and their number.
        checkpoint_every: days after which the state is saved in ``out``, so that a run which was stopped can be resumed;
            without it the scenario's ``output.checkpoint_every``.
        resume: go on from the state that a stopped run left in ``out``; without one the run begins anew.
        until_day: stop before this day of the clock; policies and so on stay as the scenario has them.
        save: directory to make with the state at the end, for other runs to go on from.
        **classes: ``citizen_class``, ``vehicle_class`` and ``dispatcher_class`` of the model.

    Raises:
        ScenarioError: if the scenario is wrong.
        CityError: if the city cannot be built or loaded.
        StoreError: if ``out`` or ``save`` exists already or cannot be written; nothing is left behind but saved states.
        TypeError, ValueError: if a class is none of its kind, or cannot do anything in this scenario; or if the days make
            no sense, or states are to be saved or found without ``out``.
        Exception: whatever a class of one's own raises, with a note of the day; nothing is left behind but saved states.
    """
    check_classes(classes)
    scenario = _loaded(scenario).at_point({})
    check_dispatcher(classes, scenario)
    own = records_of(classes, [scenario])
    scenario.check_files()
    every = scenario.output.checkpoint_days if checkpoint_every is None else checkpoint_every
    _check_days(scenario, out, checkpoint_every, resume=resume, until_day=until_day)
    if save is not None and Path(save).exists():
        raise store.StoreError(f"{save}: exists already; choose another name for the saved state, or remove it first")
    seed = scenario.seed if seed is None else seed
    task: dict[str, Any] = {"run_id": SINGLE, "point": 0, "replicate": 0, "seed": seed, "parameters": {}}
    if until_day is not None:
        task["until_day"] = until_day
    if out is None:
        with reachable(scenario):
            model = CityModel(scenario, seed=seed, threads=threads, **classes)
        tables = to_tables(task, _stepped(model, progress, until_day=until_day, save=save), {})
        context = context_of(scenario, [model.city], own=own)
        return Results.in_memory(tables, manifests.describe([task], EXECUTE, context, 1))
    out = Path(out)
    checkpoints = Checkpoints(out / CHECKPOINTS / task["run_id"], every) if every or resume else None
    with claimed(out, checkpoints, resume=resume):
        task["city"] = str(prepare_cities([scenario.city], out / CITIES)[0])
        city = City.load(task["city"])
        made = partial(CityModel, scenario, city, seed, threads=threads, **classes)
        with reachable(scenario):
            model = made() if checkpoints is None else checkpoints.begin(made)
        outputs = _stepped(model, progress, checkpoints, until_day=until_day, save=save)
        tables = to_tables(task, outputs, {})
        _write(out, task, tables, context_of(scenario, [city], own=own))
    if checkpoints is not None:
        checkpoints.remove()
    return Results(out)


def _check_days(
    scenario: Scenario, out: str | Path | None, every: int | None, *, resume: bool, until_day: int | None
) -> None:
    """Refuse what makes no sense about saving and going on.

    Raises:
        ValueError: with what is allowed.
    """
    days = scenario.clock.days
    if every is not None and every < 1:
        raise ValueError(f"checkpoint_every: whole days from 1 on are wanted (given {every!r})")
    if out is None and (every is not None or resume):
        raise ValueError("checkpoint_every, resume: states lie in the results directory; give 'out'")
    if until_day is not None and not 1 <= until_day <= days:
        raise ValueError(f"until_day: a day from 1 to {days}, the length of the clock, is wanted (given {until_day!r})")


def _loaded(scenario: Scenario | str | Path) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)


def _stepped(
    model: CityModel,
    progress: Days | None = None,
    checkpoints: Checkpoints | None = None,
    *,
    until_day: int | None = None,
    save: str | Path | None = None,
) -> Outputs:
    """Step a model to its end, or to a day of it, and return the tables of the run.

    Raises:
        Paused: if the run is asked to stop, when its state is saved in ``checkpoints``.
    """
    end = model.scenario.clock.days if until_day is None else until_day
    while model.running and model.day < end:
        model.step()
        if progress is not None:
            progress(model.day, end)
        if checkpoints is not None:
            checkpoints.after_step(model)
    if save is not None:
        model.save(save)
    return model.outputs()


def _write(out: Path, task: Mapping[str, Any], tables: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    """Write the results of one run as a sweep of one run would."""
    described = manifests.describe([task], EXECUTE, context, 1)
    manifests.write_tasks(out, [task])
    store.commit(out, task["run_id"], tables)
    footer = {"scenario": json.dumps(described["scenario"]), "versions": json.dumps(described["versions"])}
    store.Store(out, [task["run_id"]], 1, footer).seal(0)
    with contextlib.suppress(OSError):
        (out / store.STAGE).rmdir()
    manifests.write_manifest(out, described)


# ---------------------------------------------------------------------- directories


@contextlib.contextmanager
def claimed(out: Path, checkpoints: Checkpoints | None = None, *, resume: bool = False) -> Iterator[None]:
    """Make a results directory for the work inside; if that fails, nothing is left of it but saved states.

    Args:
        out: the directory.
        checkpoints: where the work saves its state; the directory stays while there is one.
        resume: take also a directory in which work of this kind was stopped.

    Raises:
        StoreError: if something stands there already, or the disk does not take what is written.
    """
    stopped = resume and out.is_dir() and not (out / store.MANIFEST).exists() and (out / CHECKPOINTS).is_dir()
    if out.exists() and not stopped and not (out.is_dir() and not any(out.iterdir())):
        if (out / CHECKPOINTS).is_dir() and not (out / store.MANIFEST).is_file():
            raise store.StoreError(
                f"{out}: holds a run that was stopped; go on with --resume, or choose another name with --out"
            )
        what = "holds results already" if (out / store.MANIFEST).is_file() else "exists already and is not empty"
        raise store.StoreError(f"{out}: {what}; choose another name with --out, or remove it first")
    there = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        if checkpoints is not None and (day := checkpoints.latest_day()) is not None:
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"Stopped; the state of day {day} is saved: go on with --resume.") from None
            raise
        for item in out.iterdir() if out.is_dir() else ():
            shutil.rmtree(item) if item.is_dir() else item.unlink()
        if not there:
            with contextlib.suppress(OSError):
                out.rmdir()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise store.StoreError(f"{out}: cannot be written ({reason}); nothing was kept") from None
        raise


# ---------------------------------------------------------------------- in a worker


def execute_run(task: Mapping[str, Any], context: Mapping[str, Any]) -> Outputs:
    """Make one run of a sweep, in a worker.

    Args:
        task: ``city`` (path of a bundle), ``seed`` and ``parameters`` of the run.
        context: ``scenario``, as :meth:`Scenario.to_dict` gave it, and ``files``, as :func:`.scenario_files.files_of` did:
            all runs have them as they were when the sweep began; ``own``, as :func:`.own_classes.for_workers` did.

    Raises:
        Paused: if the supervisor asks the run to stop, when its state is saved.
    """
    data = {name: section for name, section in context["scenario"].items() if name != "sweep"}
    scenario = _base(json.dumps([data, context["files"]], sort_keys=True)).with_parameters(task["parameters"])
    classes = imported(context.get("own", {}))
    _check_past(scenario, context.get("past", {}))
    made = partial(CityModel, scenario, _city(task["city"]), task["seed"], **classes)
    folder, until_day = pause.folder(), task.get("until_day")
    if folder is None:
        return _stepped(made(), until_day=until_day)
    checkpoints = Checkpoints(folder, scenario.output.checkpoint_days)
    return _stepped(checkpoints.begin(made), checkpoints=checkpoints, until_day=until_day)


def _check_past(scenario: Scenario, known: Mapping[str, str]) -> None:
    """Make sure that the past of a run is the one that it had when the sweep began.

    Raises:
        StateError: if it is another.
    """
    for path, found in pasts([scenario]).items() if known else ():
        if known.get(path, found) != found:
            raise StateError(
                f"{path}: is another saved state than when the sweep began; put that one back, or sweep anew"
            )


@lru_cache(maxsize=1)
def _base(text: str) -> Scenario:
    data, files = json.loads(text)
    return Scenario.from_dict(data, files)


@lru_cache(maxsize=1)
def _city(path: str) -> City:
    return City.load(path)


# ---------------------------------------------------------------------- warming up


def warm(context: Mapping[str, Any] | None = None) -> None:
    """Compile kernels into numba's cache by running a small city under all that processes can do.

    Args:
        context: as for :func:`execute_run`; the kernels of its processes are compiled, for one thread as runs of a sweep
            have, if they have not been. Without it all kernels are.
    """
    if context is not None:
        imported(context.get("own", {}))  # who cannot be imported is told before the first run
        warm_up_once(section for section in WARM_UPS if section in context["scenario"])
    else:
        warm_up(WARM_UPS, threads=(1, 2))
        from ..agents.assignment.equilibrium import warm as warm_assignment
        from ..agents.response.siting.warm import warm as warm_siting

        warm_assignment()
        warm_siting()
