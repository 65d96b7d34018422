"""Move-up by service, and compliance tables by the number of units on duty; ten streets of a minute each in a row."""

import numpy as np
import pytest
from worlds import grid_links, streets

from citytwin.agents.response import board
from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.tasks import Tasks
from citytwin.agents.response.travel import Travel

FIRE, AMBULANCE = 9, 10
WEST, EAST = 0, 1
"""Stations at the first and the last node."""


def centre(services, stations, shifts=(), **rules):
    """Return a centre with a unit for each service and station that are told."""
    network = streets(10, grid_links(10, 1))
    roads = Travel(network, [0, 9]).roads([np.full(18, 60.0)])
    alike = Fleet.alike(stations)
    bits = np.array([1 << (service - FIRE) for service in services], np.int32)
    fleet = Fleet(
        alike.station, bits, alike.aids, alike.skills, alike.lights, alike.normal, alike.turnout_factor,
        np.array(shifts, float).reshape(-1, 3),
    )  # fmt: skip
    return Centre(roads, fleet, Departments.unlimited(0), make_rules(stations=2, units=len(stations), **rules))


def table(*rows):
    """Return a table of the units wanted in the west and in the east with 0, 1, … free units."""
    return np.array([(0, 0), *rows], np.int32)


def homes(made):
    return made.state.unit[:, board.HOME].tolist()


def test_each_service_moves_by_its_own_rule():
    move = [board.HOMEWARD, board.COMPLIANCE, board.HOMEWARD]
    tables = ((), [(0, table((0, 1), (1, 1)))], ())
    made = centre([FIRE, AMBULANCE, FIRE, AMBULANCE], [WEST] * 4, move=move, compliance=tables)
    made.run(1.0)
    assert homes(made) == [WEST, EAST, WEST, WEST]  # of two equally near the lower number moves
    made.add(Tasks.of(ready=[5_000.0, 5_000.0], node=9, service=[FIRE, AMBULANCE], scene=600.0))
    made.run(5_001.0)
    assert made.state.unit[:, board.STATE].tolist() == [board.SENT, board.AT_SCENE, board.IDLE, board.RETURNING]
    assert homes(made)[2:] == [WEST, EAST]
    made.run(20_000.0)
    assert sorted(homes(made)[1::2]) == [WEST, EAST] and homes(made)[::2] == [WEST, WEST]


def test_each_service_reckons_with_its_own_busy_share():
    """An ambulance at work for 500 s, an idle engine: shares approach 1 and 0 as exp(−500 s / memory); no police."""
    cover = np.array([0, 1, 2], np.int32), np.array([0, 1], np.int32), np.array([0.5, 0.5])
    told = {"move": board.MAXIMAL_COVER, "cover": cover, "busy": 0.3, "busy_memory": 1_000.0}
    made = centre([FIRE, AMBULANCE], [WEST, WEST], **told)
    made.add(Tasks.of(ready=[0.0, 500.0], node=0, service=AMBULANCE, scene=1e6))
    made.run(600.0)
    assert made.rules.busy == pytest.approx([0.3 * np.exp(-0.5), 1 - 0.7 * np.exp(-0.5), 0.3])


@pytest.mark.parametrize(("on_duty", "home"), [(1, EAST), (2, WEST), (3, WEST)])
def test_the_table_that_counts_is_that_of_the_units_on_duty(on_duty, home):
    """One is free, the others work: by one on duty it is wanted in the east, by two or more in the west."""
    tables = ((), [(1, table((0, 1))), (2, table((1, 0)))], ())
    made = centre([AMBULANCE] * on_duty, [EAST] * on_duty, move=board.COMPLIANCE, compliance=tables)
    made.add(Tasks.of(ready=np.full(on_duty - 1, 100.0), node=4, scene=1e6))
    made.run(10_000.0)
    free = [
        home for home, doing in zip(homes(made), made.state.unit[:, board.STATE], strict=True) if doing == board.IDLE
    ]
    assert free == [home]


def test_units_of_other_services_do_not_count_as_on_duty():
    tables = ((), [(0, table((0, 1))), (2, table((1, 0)))], ())
    move = [board.HOMEWARD, board.COMPLIANCE, board.HOMEWARD]
    made = centre([AMBULANCE, FIRE, FIRE], [WEST] * 3, move=move, compliance=tables)
    made.run(1.0)
    assert homes(made) == [EAST, WEST, WEST]


def test_the_table_is_looked_at_when_shifts_have_changed():
    tables = ((), [(0, table((1, 0))), (2, table((0, 1), (0, 2)))], ())
    shifts = [(0.0, 1, 0), (3600.0, 1, 1), (7200.0, 1, 0)]
    made = centre([AMBULANCE] * 2, [WEST] * 2, shifts, move=board.COMPLIANCE, compliance=tables)
    found = []
    for moment in (3600.0, 3601.0, 7200.0, 7201.0, 9000.0):
        made.run(moment)
        found.append((homes(made), made.state.unit[:, board.STATE].tolist()))
    away, back = [board.RETURNING] * 2, [board.IDLE, board.OFF]
    assert found[0] == ([WEST, WEST], back)
    assert found[1] == ([EAST, EAST], away)
    assert found[2] == ([EAST, EAST], [board.IDLE] * 2)
    assert found[3] == ([WEST, WEST], away)
    assert found[4] == ([WEST, WEST], back)


def test_nobody_moves_while_one_shift_takes_over_from_another():
    """At noon two come for two who go; in between there are none or four, for whom the tables hold other stations."""
    tables = (
        (),
        [(0, table((0, 1), (0, 2))), (2, table((1, 0), (1, 1))), (3, table((0, 1), (0, 2), (0, 3), (0, 4)))],
        (),
    )
    ends, begins = [(3600.0, unit, 0) for unit in (0, 1)], [(3600.0, unit, 1) for unit in (2, 3)]
    for order in (ends + begins, begins + ends):
        off = [(0.0, unit, 0) for unit in (2, 3)]
        made = centre([AMBULANCE] * 4, [WEST, EAST] * 2, off + order, move=board.COMPLIANCE, compliance=tables)
        made.run(3601.0)
        assert made.state.unit[:, board.STATE].tolist() == [board.OFF] * 2 + [board.IDLE] * 2
        assert homes(made) == [WEST, EAST] * 2
        assert made.spent()[:, board.RETURNING].sum() == 0


def test_the_tables_and_the_numbers_of_the_rules():
    rules = make_rules(
        stations=2, units=3, move=[0, 2, 1],
        compliance=((), [(1, table((0, 1))), (3, table((1, 0), (1, 1)))], ()),
    )  # fmt: skip
    assert rules.move.tolist() == [board.HOMEWARD, board.COMPLIANCE, board.MAXIMAL_COVER]
    held = [[rules.table[first : first + rows].tolist() for first, rows in spans] for spans in rules.table_rows]
    assert held[0] == held[2] == [[[0, 0]]] * 4
    assert held[1] == [[[0, 0], [0, 1]]] * 3 + [[[0, 0], [1, 0], [1, 1]]]
