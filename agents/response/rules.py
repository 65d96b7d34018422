"""The rules of a scenario as the dispatch centre takes them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from . import board
from .dispatch import Tables, make_rules
from .fleet import FleetError, Fleets
from .kinds import SERVICES, ServiceName
from .settings import MOST_UNITS, DispatchSettings, ResponseSettings

MOST_POINTS = 2_000
"""Demand points that rules of cover reckon with at most."""
_BY_ROW = sorted(SERVICES, key=lambda name: SERVICES[name])
"""Services in the order of their bits."""
_RULES = {
    "nearest": board.NEAREST,
    "coverage": board.COVERAGE,
    "first": board.FIRST,
    "closest": board.CLOSEST,
    "home": board.HOMEWARD,
    "maximal cover": board.MAXIMAL_COVER,
    "compliance": board.COMPLIANCE,
}
_HOSPITALS = {"nearest": board.NEAREST_HOSPITAL, "divert": board.DIVERTING, "least time": board.LEAST_TIME}


def rules_of(
    settings: ResponseSettings, fleets: Fleets, roads: board.Roads, homes: NDArray[np.int32], asks: Sequence[int]
) -> board.Rules:
    """Return the rules of the kernel.

    Args:
        settings: the section of the scenario.
        fleets: the units.
        roads: travel at the beginning.
        homes: (people,) node nearest to the home of each.
        asks: questions that Python decides.

    Raises:
        FleetError: if a compliance table names a station that there is not, or more units are kept back than there are.
    """
    told = settings.dispatch
    tables = check_rules(settings, fleets)
    moves = [told.move(name) for name in _BY_ROW]
    covers = told.unit == "coverage" or any(move.move_up == "maximal cover" for move in moves)
    return make_rules(
        stations=len(fleets.stations),
        units=len(fleets.station),
        dispatch=_RULES[told.unit],
        queue=_RULES[told.queue],
        hospital=_HOSPITALS[settings.departments.choice],
        move=[_RULES[move.move_up] for move in moves],
        hold_out=told.hold_out,
        hold_from=1,
        loss=not told.queueing,
        scene_lights=told.lights_from,
        hospital_lights=told.hospital_lights_from,
        aid_after=np.inf if told.help_after is None else told.help_after,
        busy=told.busy,
        redispatch=told.redispatch,
        target=settings.targets,
        cover=_cover(fleets, roads, homes, told.cover_within) if covers else None,
        compliance=tables,
        asks=asks,
    )


def check_rules(settings: ResponseSettings, fleets: Fleets) -> list[Tables]:
    """Return the compliance tables of the services, in the order of their bits.

    Raises:
        FleetError: as of :func:`rules_of`.
    """
    _check_hold_out(fleets, settings.dispatch.hold_out)
    return [_compliance(fleets, settings.dispatch, name) for name in _BY_ROW]


def _check_hold_out(fleets: Fleets, hold_out: int) -> None:
    for service in fleets.services if hold_out else ():
        units = int(np.count_nonzero(fleets.of_service(service)))
        if hold_out >= units:
            raise FleetError(
                f"response.dispatch.hold_out: {hold_out} units are kept back for priority 0, but the service {service} has "
                f"{units}, so that nobody would come to its other calls; at most {max(units - 1, 0)} can be kept back, or "
                "run the services apart"
            )


def _cover(
    fleets: Fleets, roads: board.Roads, homes: NDArray[np.int32], within: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Return which nodes with people each station covers, and how many live there, as shares."""
    people = np.bincount(homes)
    points = np.flatnonzero(people)
    if len(points) > MOST_POINTS:  # the most populous, which stand for the others
        points = np.sort(points[np.argsort(-people[points], kind="stable")[:MOST_POINTS]])
    with_lights = min(1, len(fleets.driving) - 1)
    near = roads.from_place[with_lights, points][:, : len(fleets.stations)] <= 1000 * within
    rows = csr_matrix(near.T)
    weight = people[points] / max(people[points].sum(), 1)
    return rows.indptr.astype(np.int32), rows.indices.astype(np.int32), weight.astype(float)


def _compliance(fleets: Fleets, told: DispatchSettings, service: ServiceName) -> Tables:
    """Return the tables of stations to hold of a service, by units on duty."""
    key = f"dispatch.services.{service}.compliance" if service in told.services else "dispatch.compliance"
    stations = fleets.stations
    if service in told.services:
        concerned = [name for name in fleets.services if name == service]
    else:  # the table is for all services that have none of their own
        concerned = [name for name in fleets.services if name not in told.services]
    most = max(map(fleets.most_on_duty, concerned), default=MOST_UNITS)
    tables = []
    for position, entry in enumerate(told.move(service).compliance):
        if entry.on_duty > most:
            raise FleetError(
                f"response.{key}[{position}].on_duty: the table is for {entry.on_duty} units on duty, but the service "
                f"{' or '.join(concerned)} never has more than {most}, so it would never count; lower it, or leave the "
                "table out"
            )
        table = np.zeros((len(entry.hold) + 1, len(stations)), np.int32)
        for number, row in enumerate(entry.hold, 1):
            for name in row:
                place = name if isinstance(name, int) else stations.name.index(name) if name in stations.name else -1
                if not 0 <= place < len(stations):
                    there = ", ".join(f"{n} {name!r}" for n, name in enumerate(stations.name))
                    raise FleetError(f"response.{key}: there is no station {name!r}; there are: {there}")
                table[number, place] += 1
        tables.append((entry.on_duty, table))
    return tables
