"""Lines added to a timetable."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from transit_twin import timetable_of

from citytwin.environment.transit.added import join, with_lines
from citytwin.environment.transit.raptor import arrivals, walks_to_stops
from citytwin.environment.transit.timetable import RouteType, TransitError


@pytest.fixture
def old():
    return timetable_of(3, [([0, 1, 2], [1_000.0, 1_100.0, 1_200.0])]).with_walks(metres=1_500.0)


@pytest.fixture
def design():
    """A tram from the last old stop two kilometres on, every 5 minutes from 0:20 to 0:30."""
    stops = pd.DataFrame({"stop": [4, 7, 9], "name": ["P", "Q", "R"], "x": [2_010.0, 3_000.0, 4_000.0], "y": [0.0] * 3})
    line = {"line": 5, "name": "N", "mode": "tram", "headway": 300.0, "first": 1_200.0, "last": 1_800.0}
    lines = pd.DataFrame([line | {"speed": 10.0, "capacity": 150, "both": True}])
    served = pd.DataFrame({"line": 5, "order": [2, 0, 1], "stop": [9, 4, 7], "metres": [2_000.0, 0.0, 1_000.0]})
    return {"stops": stops, "lines": lines, "line_stops": served}


def test_a_new_line_runs_at_its_headway_both_ways(old, design):
    table = with_lines(old, **design)
    assert table.trips == 1 + 2 * 3
    assert table.route_type.tolist() == [RouteType.BUS, RouteType.TRAM]
    there, back = (table.times(table.trip_id.index(f"N-{way}-2")) for way in "AB")
    assert there[0].tolist() == [1_500.0, 1_600.0, 1_715.0]  # 100 s for a kilometre, 15 s at the stop on the way
    assert there[1].tolist() == [1_500.0, 1_615.0, 1_715.0]
    assert back[0].tolist() == there[0].tolist()
    pattern = table.trip_pattern[table.trip_id.index("N-B-2")]
    stops = table.stop[table.first[pattern] : table.first[pattern + 1]]
    assert [table.stop_name[s] for s in stops] == ["R", "Q", "P"]
    assert table.capacity[table.trip_id.index("N-A-1")] == 150


def test_riders_change_to_it(old, design):
    start = walks_to_stops(old, [0.0], [0.0], 100.0)
    table = with_lines(old, **design)
    assert np.isinf(arrivals(table, start, 900.0)[0, 0, 5])
    # the old line arrives at 1,200; ten metres are walked to the tram of 1,500
    assert arrivals(table.with_walks(), start, 900.0)[0, 0, 5] == 1_715.0
    assert old.stops == 3


def test_joined_timetables_keep_what_each_had(old):
    other = timetable_of(2, [([0, 1], [50.0, 60.0]), ([1, 0], [70.0, 90.0])])
    both = join(old, other)
    assert both.trip_id == [*old.trip_id, *other.trip_id]
    for table, stop, trip in ((old, 0, 0), (other, old.stops, old.trips)):
        for n in range(table.trips):
            for mine, theirs in zip(table.times(n), both.times(trip + n), strict=True):
                assert mine.tolist() == theirs.tolist()
        rows = slice(both.walk_first[stop], both.walk_first[stop + table.stops])
        assert (both.walk_stop[rows] - stop).tolist() == table.walk_stop.tolist()
    assert len(np.unique(both.pattern_variant)) == 3
    assert both.with_times(both.arrival, both.departure).trip_id == both.trip_id


@pytest.mark.parametrize(
    ("table", "column", "value", "words"),
    [
        ("lines", "mode", "zeppelin", "line 'N': mode 'zeppelin'; allowed are bus, tram"),
        ("lines", "headway", 0.0, "line 'N': headway is 0.0; must be above 0"),
        ("lines", "line", 6, "line 'N': has 0 stops; a line needs two"),
        ("line_stops", "stop", 3, "line 'N': calls at stop 3, which is not among the stops"),
    ],
)
def test_what_cannot_run_is_refused(old, design, table, column, value, words):
    design[table] = design[table].assign(**{column: value})
    with pytest.raises(TransitError, match=words):
        with_lines(old, **design)
    with pytest.raises(TransitError, match="timetables are in"):
        join(old, replace(old, crs="EPSG:32632"))
