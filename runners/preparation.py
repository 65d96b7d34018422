"""Prepare the runs of a scenario: what can be wrong is found, cities are built, and what all runs share is put together."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..agents.epidemic.settings import EpidemicSettings
from ..agents.epidemic.transmission import TransmissionError, calibrated
from ..agents.presence import Presence
from ..environment.city import City
from .points.layout import first_of
from .points.tasks import TaskMaker
from .scenarios.cities import prepare_cities
from .scenarios.documents import Problem
from .scenarios.file_checks import check_contents
from .scenarios.own_classes import Classes, Record, check_classes, check_dispatcher, for_workers, records_of
from .scenarios.scenario import Scenario, ScenarioError
from .scenarios.scenario_files import files_of

EXECUTE, WARM = f"{__package__}.run:execute_run", f"{__package__}.run:warm"
"""Import paths, which results name, of the functions with which workers make a run and compile kernels before the first."""


def sweep_tasks(
    scenario: Scenario | str | Path,
    folder: Path,
    *,
    told: Callable[[str], None] | None = None,
    tried: bool = False,
    classes: Classes | None = None,
) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """Return the tasks of a sweep that are made whatever comes out, the function that makes a run, and what all runs share.

    Args:
        scenario: a scenario, the path of its file, or the name of a shipped one.
        folder: where cities that have to be built go.
        told: called with what is about to be built.
        tried: whether it has been found before that every ``r0`` can be reached, and files are as they must be.
        classes: classes of one's own, as for :func:`.run.run`; workers import them.

    Raises:
        ScenarioError: if the scenario is wrong, or no rate of transmission gives the ``r0`` of a point.
        CityError: if a city cannot be built or loaded.
        TypeError, ValueError: if a class is none of its kind, cannot be imported by workers or has nothing to do.
    """
    maker, context = prepared_sweep(scenario, folder, told=told, tried=tried, classes=classes)
    return maker.tasks(maker.first_runs()), EXECUTE, context


def prepared_sweep(
    scenario: Scenario | str | Path,
    folder: Path,
    *,
    told: Callable[[str], None] | None = None,
    tried: bool = False,
    classes: Classes | None = None,
) -> tuple[TaskMaker, dict[str, Any]]:
    """Return what makes the tasks of a sweep, and what all runs share; arguments and errors as for :func:`sweep_tasks`."""
    classes = classes or {}
    check_classes(classes)
    scenario = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    scenario.check_files()
    points, kinds, variants = scenario.layout.points, scenario.kinds(), scenario.variants
    for variant in variants.values():
        check_dispatcher(classes, variant)
    own = for_workers(classes, records_of(classes, variants.values()))
    first = first_of(kinds)
    paths = prepare_cities([variants[number].city for number in first.values()], folder, told=told)
    bundle = dict(zip(first, paths, strict=True))
    loaded = {path: City.load(path) for path in dict.fromkeys(paths)}
    for number, variant in variants.items():
        variant.check_city(loaded[bundle[kinds[number]]])
    if not tried:
        check_contents((variant, loaded[bundle[kinds[number]]]) for number, variant in variants.items())
        hardest = _hardest_points(scenario)
        cities = [loaded[bundle[kinds[number]]] for number in hardest]
        _check_r0([scenario.at_point(points[number]) for number in hardest], cities, told)
    maker = TaskMaker(scenario.sweep, scenario.seed, points, [str(bundle[kind]) for kind in kinds])
    return maker, context_of(scenario, loaded.values(), variants.values(), own=own) | {"warm": WARM}


def _hardest_points(scenario: Scenario) -> list[int]:
    """Return the points with the largest ``r0`` of those that are alike in all else that decides whether it is reached."""
    kinds = scenario.kinds("epidemic.disease", "epidemic.weights", "epidemic.transmission")
    given = scenario.layout.columns.get("epidemic.r0")
    if given is None:
        return list(first_of(kinds).values())
    hardest: dict[tuple[str, ...], int] = {}
    for number, kind in enumerate(kinds):
        if kind not in hardest or given[number] > given[hardest[kind]]:
            hardest[kind] = number
    return list(hardest.values())


def _check_r0(variants: list[Scenario], cities: list[City], told: Callable[[str], None] | None) -> None:
    """Find an ``r0`` that cannot be reached before the first run, once for all seeds.

    Of points that differ by nothing that matters to it, the one with the largest ``r0`` is tried: if that can be
    reached, so can those below.

    Raises:
        ScenarioError: if one cannot be reached, with the line where it stands.
    """
    highest: dict[tuple[str, City], tuple[float, Scenario]] = {}
    for variant, city in zip(variants, cities, strict=True):
        settings = variant.processes.get("epidemic")
        if isinstance(settings, EpidemicSettings) and settings.transmission is None:
            r0 = settings.disease.r0 if settings.r0 is None else settings.r0
            case = (settings.model_dump_json(include={"disease", "weights"}), city)
            if case not in highest or r0 > highest[case][0]:
                highest[case] = (r0, variant)
    if told is not None and highest:
        told("looking for the transmission that gives r0")
    for (_, city), (r0, variant) in highest.items():
        settings = variant.processes["epidemic"]
        assert isinstance(settings, EpidemicSettings)
        presence = Presence(city, variant.seed, 1, first_weekday=variant.clock.start.weekday())
        with reachable(variant):
            calibrated(presence, settings.disease, settings.weight_by_kind(), r0)


@contextlib.contextmanager
def reachable(scenario: Scenario) -> Iterator[None]:
    """Say in which line an ``r0`` stands that no rate of transmission gives."""
    try:
        yield
    except TransmissionError as error:
        where = scenario.document.nearest(("epidemic", "r0")).where
        raise ScenarioError([Problem(where, "epidemic.r0", str(error))]) from None


def context_of(
    scenario: Scenario,
    cities: Iterable[City],
    variants: Iterable[Scenario] = (),
    *,
    own: Mapping[str, Record] | None = None,
) -> dict[str, Any]:
    """Return what all runs share, JSON-able: the scenario, the files it is made of, and what to say of its cities.

    Args:
        scenario: the scenario.
        cities: its cities.
        variants: the scenario at every point of its sweep; each may name files and classes of its own.
        own: records of classes of a user's own; without, of those that the scenario names.

    Raises:
        ScenarioError: if a file cannot be read.
    """
    about = [
        {
            "name": city.info.name,
            "people": len(city.people),
            "area_km2": round(float(city.zones.area.sum()) / 1e6, 3),
            "sources": [asdict(source) for source in city.info.sources],
        }
        for city in cities
    ]
    every = [scenario, *variants]
    found = pasts(every)
    return ({"past": found} if found else {}) | {
        "scenario": scenario.to_dict(),
        "files": files_of(every),
        "city_facts": about,
        "own": records_of({}, every) if own is None else dict(own),
    }


def pasts(scenarios: Iterable[Scenario]) -> dict[str, str]:
    """Return a checksum of each saved state that scenarios go on from, by its path."""
    paths = {scenario.clock.from_ for scenario in scenarios if scenario.clock.from_ is not None}
    if not paths:
        return {}
    from .checkpoints.files import read_head, sum_of  # late, as they bring Mesa, half a second

    return {path: sum_of(read_head(path)) for path in sorted(paths)}
