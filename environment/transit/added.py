"""Lines added to a timetable: timetables joined, and lines given by stops and headways, as a street design has them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .timetable import RouteType, Timetable, TransitError, make_timetable, walk_columns

if TYPE_CHECKING:
    import pandas as pd

STANDING = 15.0
"""Seconds that vehicles of an added line stand at a stop on the way; assumed."""
MODES = {
    "bus": RouteType.BUS,
    "tram": RouteType.TRAM,
    "metro": RouteType.METRO,
    "rail": RouteType.RAIL,
    "ferry": RouteType.FERRY,
}


def with_lines(
    timetable: Timetable, stops: "pd.DataFrame", lines: "pd.DataFrame", line_stops: "pd.DataFrame"
) -> Timetable:
    """Return a timetable with new lines, for example those of a design.

    New stops are stops of their own: call :meth:`~.timetable.Timetable.with_walks` afterwards, so that riders change there.

    Args:
        timetable: what runs so far.
        stops: ``stop`` (number), ``name, x, y`` (metres in the timetable's CRS).
        lines: ``line`` (number), ``name, mode`` (:data:`MODES`), ``headway, first, last`` (seconds; the last departure may
            be at ``last``), ``speed`` (m/s between stops), ``capacity, both`` (whether it runs back as well).
        line_stops: ``line, order, stop, metres`` (along the line).

    Raises:
        TransitError: if a line has fewer than two stops, or a mode, headway or speed that cannot be.
    """
    row_of = {int(stop): row for row, stop in enumerate(stops["stop"])}
    first, route, ids, capacity = [0], [], [], []
    calls: list[int] = []
    arrival: list[NDArray[np.float64]] = []
    departure: list[NDArray[np.float64]] = []
    for row, line in enumerate(lines.to_dict("records")):
        name = line["name"]
        if line["mode"] not in MODES:
            raise TransitError(f"line '{name}': mode '{line['mode']}'; allowed are {', '.join(MODES)}")
        for what in ("headway", "speed"):
            if not line[what] > 0:
                raise TransitError(f"line '{name}': {what} is {line[what]}; must be above 0")
        served = line_stops[line_stops["line"] == line["line"]].sort_values("order")
        if len(served) < 2:
            raise TransitError(f"line '{name}': has {len(served)} stops; a line needs two")
        unknown = [stop for stop in served["stop"] if int(stop) not in row_of]
        if unknown:
            raise TransitError(f"line '{name}': calls at stop {unknown[0]}, which is not among the stops")
        places = np.array([row_of[int(stop)] for stop in served["stop"]])
        metres = served["metres"].to_numpy(float)
        ways = [(places, metres), (places[::-1], metres[-1] - metres[::-1])]
        for direction, (way, along) in enumerate(ways[: 2 if line["both"] else 1]):
            standing = STANDING * np.arange(len(way))
            leaves = along / line["speed"] + standing
            comes = leaves - np.minimum(standing, STANDING)
            leaves[-1] = comes[-1]  # nobody stands where the line ends
            for number, begin in enumerate(np.arange(line["first"], line["last"] + 1e-6, line["headway"])):
                ids.append(f"{name}-{'AB'[direction]}-{number + 1}")
                route.append(row)
                capacity.append(int(line["capacity"]))
                calls += way.tolist()
                arrival.append(begin + comes)
                departure.append(begin + leaves)
                first.append(len(calls))
    if not ids:
        return timetable
    added = make_timetable(
        crs=timetable.crs,
        stops={
            "x": stops["x"],
            "y": stops["y"],
            "id": [f"new {s}" for s in row_of],
            "name": [str(n) for n in stops["name"]],
        },
        routes={
            "id": [f"new {n}" for n in lines["line"]],
            "name": [str(n) for n in lines["name"]],
            "type": [MODES[mode] for mode in lines["mode"]],
        },
        trips={"id": ids, "route": route, "first": first, "capacity": capacity},
        calls={"stop": calls, "arrival": np.concatenate(arrival), "departure": np.concatenate(departure)},
    )
    return join(timetable, added)


def join(one: Timetable, other: Timetable) -> Timetable:
    """Return what runs in two timetables of the same day; stops and lines of the second follow those of the first.

    Raises:
        TransitError: if their coordinates are in different CRSs.
    """
    if one.crs != other.crs:
        raise TransitError(f"timetables are in {one.crs} and {other.crs}; read them in one CRS")
    stops, routes, variants = one.stops, len(one.route_id), int(one.pattern_variant.max(initial=-1)) + 1

    def both(name: str, shift: int = 0) -> NDArray[Any]:
        return np.concatenate([getattr(one, name), getattr(other, name) + shift if shift else getattr(other, name)])

    def pointer(name: str) -> NDArray[Any]:
        values = getattr(one, name)
        return np.concatenate([values, getattr(other, name)[1:] + values[-1]])

    start = np.concatenate(
        [
            np.repeat(np.arange(table.stops), np.diff(table.walk_first)) + low
            for table, low in ((one, 0), (other, stops))
        ]
    )
    return Timetable(
        crs=one.crs,
        stop_id=one.stop_id + other.stop_id,
        stop_name=one.stop_name + other.stop_name,
        route_id=one.route_id + other.route_id,
        route_name=one.route_name + other.route_name,
        trip_id=one.trip_id + other.trip_id,
        pattern_route=both("pattern_route", routes),
        pattern_variant=both("pattern_variant", variants),
        stop=both("stop", stops),
        first=pointer("first"),
        trip_first=pointer("trip_first"),
        time_first=pointer("time_first"),
        report=one.report | other.report,
        **{name: both(name) for name in ("stop_x", "stop_y", "route_type", "board", "alight", "arrival", "departure")},
        **{name: both(name) for name in ("capacity", "change")},
        **walk_columns(stops + other.stops, start, both("walk_stop", stops), both("walk_seconds")),
    )
