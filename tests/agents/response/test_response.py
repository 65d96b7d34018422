"""Emergency response as a process of a city: streets, staff, hospitals, skills, and the responders that are seen."""

from dataclasses import replace

import numpy as np
import pytest
from cities import tiny_city
from response_towns import NORTH_BANK, bridge, copy_of, model, two_banks

from citytwin.agents.emergencies import Emergency
from citytwin.agents.presence import AWAY
from citytwin.agents.responders import Responder, ResponderState, Service
from citytwin.agents.response import board
from citytwin.agents.response.doors import BAYS, BEDS, BEDS_USED, OFFERS
from citytwin.agents.response.fleet import FleetError
from citytwin.agents.response.tasks import SPECIALTIES, Outcome
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.places import SiteKind

DAY = 86_400.0
QUIET = "calls = 0\n"
BUSY = "calls = 60\n"


def table(a_model):
    return a_model.processes[0].centre.table()


def responding(a_model):
    return a_model.processes[0]


# ---------------------------------------------------------------------- calls


def test_every_call_ends_in_one_way_and_none_is_lost():
    town = model(BUSY)
    town.run()
    found = table(town)
    assert len(found["called"]) > 100
    assert sum(responding(town).centre.balance().values()) == len(found["called"])
    reached = np.isfinite(found["arrived"])
    assert (found["arrived"][reached] > found["called"][reached]).all()
    summary = town.outputs()["summary"]
    ended = [summary[f"tasks_{outcome.name.lower()}"][0] for outcome in Outcome]
    assert sum(ended) == len(found["called"])


def test_who_is_told_late_is_served_late():
    town = model(QUIET, days=2)
    town.step()
    town.emergencies.post(Emergency(1_000.0, "illness", "somebody", person=3))  # of the day that is over
    town.step()
    found = table(town)
    assert found["called"].tolist() == [1_000.0]
    assert found["ready"][0] == DAY and found["arrived"][0] > DAY


def test_what_is_asked_of_services_that_there_are_not_is_left_out():
    town = model(QUIET + 'services = ["ambulance"]', days=1)
    town.emergencies.post(Emergency(1_000.0, "building fire", "somebody", place=2))
    town.run()
    assert table(town)["service"].tolist() == [Service.AMBULANCE]


def test_calls_for_a_service_without_units_wait():
    town = model(BUSY + "[response.fleet.ambulance]\nunits = 0\n")
    town.run()
    found = table(town)
    ambulances = found["service"] == 10
    assert ambulances.sum() > 30 and np.isnan(found["sent"][ambulances]).all()
    summary = town.outputs()["summary"]
    assert summary["ambulance_in_time_share"][0] == 0 and summary["ambulance_busy"][0] == 0
    assert summary["tasks_waiting"][0] >= ambulances.sum()


SKILLED = """
[response.fleet.basic]
service = "ambulance"
units = 2
[response.fleet.advanced]
service = "ambulance"
units = 1
skills = ["advanced"]
[response.kinds.illness]
units.ambulance.skills = ["advanced"]
"""


def test_only_who_has_the_skill_is_sent():
    town = model("calls = 250\ndepartments.bays_per_100_000 = 0\n" + SKILLED)
    town.run()
    found, kinds = table(town), list(responding(town).settings.kinds)
    ill = (found["kind"] == kinds.index("illness")) & (found["unit"] >= 0)
    others = (found["kind"] != kinds.index("illness")) & (found["service"] == 10) & (found["unit"] >= 0)
    fleet = responding(town).fleets.of
    assert ill.sum() > 20
    assert set(fleet[found["unit"][ill]].tolist()) == {1}
    assert set(fleet[found["unit"][others]].tolist()) == {0, 1}


def test_a_skill_that_nobody_has_is_refused():
    with pytest.raises(FleetError, match=r"kinds\.illness\.units\.ambulance\.skills: no ambulance crew has surgery"):
        model('[response.kinds.illness]\nunits.ambulance.skills = ["surgery"]')


# ---------------------------------------------------------------------- streets


def closed(city, hours="08:00-12:00"):
    return f"""
[[design]]
name = "bridge out"
changes = [{{ change = "close", to = "all", links = {bridge(city)}, hours = "{hours}" }}]
"""


def test_who_cannot_be_reached_waits_until_the_bridge_opens():
    city = two_banks(bridges=1)
    town = model(QUIET, city, days=1, more=closed(city))
    north = int(np.flatnonzero(city.places.zone == NORTH_BANK[0])[0])
    south = int(np.flatnonzero(city.places.zone == 0)[0])
    for place in (north, south):  # ambulances stand in the south
        town.emergencies.post(Emergency(9 * 3600.0, "illness", "somebody", place=place))
    town.run()
    found = table(town)
    by_zone = dict(zip(found["zone"].tolist(), range(2), strict=True))
    assert found["unreachable"][by_zone[2]] and not found["unreachable"][by_zone[0]]
    assert 12 * 3600 < found["arrived"][by_zone[2]] < 12.5 * 3600
    assert found["arrived"][by_zone[0]] < 9.5 * 3600


def test_closing_a_bridge_lengthens_response_on_the_other_bank_only():
    city = two_banks(bridges=2)
    response = 'calls = 4\nservices = ["ambulance"]\n[response.fleet.ambulance]\nunits = 3\n'
    towns = [model(response, city, days=60, more=more) for more in ("", closed(city, "00:00-24:00"))]
    for town in towns:
        town.run()
    before, after = (table(town) for town in towns)
    for column in ("called", "ready", "kind", "person", "priority", "node", "scene", "turnout", "transport", "stay"):
        np.testing.assert_array_equal(before[column], after[column])
    alone = np.ones(len(before["called"]), bool)  # nobody else is busy at all
    for found in (before, after):
        begin, end = found["called"], found["free"] + 1_800  # back at the station after half an hour
        alone &= [((begin < e) & (end > b)).sum() == 1 for b, e in zip(begin, end, strict=True)]
    seconds = after["arrived"] - before["arrived"]
    north = np.isin(before["zone"], NORTH_BANK)
    assert (alone & north).sum() > 20 and (alone & ~north).sum() > 20
    np.testing.assert_array_equal(seconds[alone & ~north], 0.0)
    assert (seconds[alone & north] > 60).all()


def test_units_are_as_slow_as_the_streets():
    def response_of(slower):
        town = model(QUIET, days=1)
        network = network_of_city(town.city)
        town.streets_today.note(0, np.tile(network.free_time * slower, (96, 1)))
        town.emergencies.post(Emergency(3_600.0, "illness", "somebody", place=0))
        town.run()
        found = table(town)
        return float((found["arrived"] - found["left"] - found["access"])[0])

    # with lights 1.3 times as fast as others on empty streets, and 0.4 of their delay, which is twice the free time
    assert response_of(3.0) == pytest.approx(response_of(1.0) * (1 / 1.3 + 0.4 * 2.0) * 1.3, rel=1e-3)


# ---------------------------------------------------------------------- staff


def test_bays_close_and_units_stay_away_with_absent_staff():
    town = model(QUIET + "[response.departments]\nbays_per_100_000 = 2_000\n[response.fleet.ambulance]\nunits = 4\n")
    process = responding(town)
    bays = int(process._all_bays()[0])
    staff = np.arange(100)
    process._staff, process._crews[10] = [staff], staff
    town.step()
    assert process.centre.state.doors.hospital[0, BAYS] == bays
    half = staff[:50]
    everybody = town.presence.begin_day

    def begin_day(day):
        everybody(day)
        town.presence.status[half] = AWAY

    town.presence.begin_day = begin_day
    town.step()
    assert process.centre.state.doors.hospital[0, BAYS] == round(bays / 2)
    ambulances = process.fleets.service == 10
    assert process.centre.state.unit[ambulances, board.DUTY].sum() == 2
    out = town.responders.select(lambda unit: unit.state == ResponderState.OUT_OF_SERVICE)
    assert len(out) == 2


def test_crews_come_in_whatever_happens_if_the_scenario_says_so():
    town = model(QUIET + "staff = false\n[response.departments]\nstaff = false\n")
    process = responding(town)
    process._staff, process._crews[10] = [np.arange(50)], np.arange(50)
    town.presence.status[:] = AWAY
    process.advance(0.0, DAY)
    assert process.centre.state.unit[:, board.DUTY].all()
    assert process.centre.state.doors.hospital[0, BAYS] == process._all_bays()[0]


# ---------------------------------------------------------------------- hospitals

BEDS_OF = "[hospitals]\nbeds_per_1000 = 20\noccupied = 0.5\n"


def test_who_found_no_bed_lies_in_a_bay_but_who_lies_on_a_ward_does_not():
    town = model(QUIET + "[response.departments]\nbays_per_100_000 = 2_000\n", more=BEDS_OF)
    process = responding(town)
    bays = int(process._all_bays()[0])
    town.hospitals.lacking = np.arange(10)
    town.hospitals.bed[:4] = 1
    process._open_hospitals()
    assert process.centre.state.doors.hospital[0, BAYS] == bays - 6


def test_beds_are_shared_with_the_patients_of_the_epidemic():
    town = model(BUSY + "[response.departments]\nbays_per_100_000 = 2_000\n", more=BEDS_OF, days=5)
    process, hospitals = responding(town), town.hospitals
    for _ in range(5):
        town.step()
        used = process.centre.state.doors.hospital[:, BEDS_USED]
        assert (used <= process.centre.state.doors.hospital[:, BEDS]).all()
        np.testing.assert_array_equal(hospitals.taken[:, 0], np.maximum(used - process._reserved, 0))
    assert hospitals.taken[0, 0] > 0
    free = hospitals.limit[0, 0] - hospitals.patients[0, 0] - hospitals.taken[0, 0]
    found = hospitals.admit(np.arange(free + 5), np.ones(free + 5))
    assert (found >= 0).sum() == max(free, 0)  # what ambulances' patients took is not there for others


def test_who_needs_intensive_care_takes_a_bed_there_and_full_hospitals_do_not_offer_it():
    needs = '[response.kinds.illness]\nspecialty = "intensive care"\nadmitted = 1\n'
    town = model(BUSY + needs + "[response.departments]\nbays_per_100_000 = 2_000\n", more=BEDS_OF, days=4)
    process, hospitals = responding(town), town.hospitals
    intensive = 1 << SPECIALTIES.index("intensive care")
    offered = []
    for _ in range(4):
        free = hospitals.limit[0, 1] - hospitals.patients[0, 1] - hospitals.taken[0, 1]
        town.step()
        offered.append(bool(process.centre.state.doors.hospital[0, OFFERS] & intensive) == (free > 0))
        there = table(town)
        lies = (there["specialty"] == 5) & (there["bed"] > 0) & (there["bay"] <= process.centre.now)
        lies &= there["bay"] + there["stay"] + there["bed"] > process.centre.now
        assert hospitals.taken[0, 1] == np.count_nonzero(lies & (there["at"] == 0))
    assert all(offered)
    assert hospitals.taken[0, 1] > 0


def test_beds_set_aside_are_among_those_that_others_leave_none_of():
    town = model("calls = 1000\n", more="[hospitals]\nbeds_per_1000 = 2\noccupied = 0.5\n")
    reserved, hospitals = responding(town)._reserved, town.hospitals
    assert (reserved + hospitals.limit[:, 0] <= hospitals.beds[:, 0]).all()


def two_hospitals():
    """Return a city whose clinic is a second hospital, next to the ambulances."""
    city = tiny_city(600)
    kind = np.array(city.sites.kind)
    kind[5] = SiteKind.HOSPITAL
    return copy_of(city, sites={"kind": kind})


def test_patients_who_lie_where_they_cannot_be_treated_are_moved_on_once():
    special = (
        '[response.departments]\ntransfer_after = "1 h"\nspecialties = { "1" = ["trauma"] }\nbays_per_100_000 = 0\n'
    )
    town = model(
        'calls = 200\nservices = ["ambulance"]\n[response.fleet.ambulance]\nunits = 6\n' + special,
        two_hospitals(),
        days=4,
    )
    process = responding(town)
    kinds = list(process.settings.kinds)
    cardiac = kinds.index("chest pain")
    add = process._add

    def misled(tasks):  # somebody has the cardiac cases brought to the wrong one
        add(replace(tasks, hospital=np.where(tasks.kind == cardiac, 1, tasks.hospital).astype(np.int32)))

    process._add = misled
    town.run()
    found = table(town)
    moved = found["cause"] == process.calls.causes.index("transfer")
    misplaced = (found["kind"] == cardiac) & np.isfinite(found["bay"]) & (found["at"] == 1)
    assert misplaced.sum() > 5
    due = misplaced & (found["bay"] < 3.5 * DAY)
    assert due.sum() <= moved.sum() <= misplaced.sum()
    assert set(found["at"][moved & np.isfinite(found["bay"])].tolist()) == {0}
    assert (found["zone"][moved] == process.presence.city.sites.zone[6]).all()  # where they lay
    people = found["person"][moved]
    assert len(people) == len(set(people.tolist()))
    assert (process.centre.state.given[np.flatnonzero(due), board.BED] == 0).all()


def test_a_city_without_hospital_treats_at_the_scene():
    city = tiny_city(600)
    kind = np.array(city.sites.kind)
    kind[kind == SiteKind.HOSPITAL] = SiteKind.LEISURE
    town = model(BUSY, copy_of(city, sites={"kind": kind}))
    town.run()
    found = table(town)
    assert (found["outcome"] == Outcome.WITHOUT_HOSPITAL).sum() > 10
    assert not (found["outcome"] == Outcome.TRANSPORTED).any()


def test_a_hospital_off_the_streets_is_refused():
    city = tiny_city(60)
    x = np.array(city.sites.x)
    x[6] += 20_000.0
    with pytest.raises(FleetError, match=r"hospital 0 \(site 6\) .* lies off the streets"):
        model(QUIET, copy_of(city, sites={"x": x}))


def test_specialties_of_a_hospital_that_there_is_not_are_refused():
    with pytest.raises(FleetError, match="no hospital 'Saint Nowhere'; there are: 0, Hospital 1"):
        model('[response.departments]\nspecialties = { "Saint Nowhere" = ["stroke"] }')


# ---------------------------------------------------------------------- rules


def test_a_compliance_table_holds_its_stations():
    text = """
calls = 0
services = ["ambulance"]
[response.fleet.ambulance]
units = 2
stations = [{ name = "Ambulance station 1" }, { name = "North", x = 430_000, y = 4_581_000 }]
[response.dispatch]
move_up = "compliance"
compliance = [["North"], ["North", 0]]
"""
    town = model(text, days=1)
    process = responding(town)
    home = process.centre.state.unit[:, board.HOME]
    assert sorted(home.tolist()) == [0, 1]
    for second in (3600.0, 3660.0):
        town.emergencies.post(Emergency(second, "illness", "somebody", place=0))
    town.run()
    sent = np.sort(table(town)["sent"])
    assert np.isfinite(sent).all()
    assert sorted(process.centre.state.unit[:, board.HOME].tolist()) == [0, 1]


def test_a_service_may_move_by_a_rule_of_its_own():
    text = """
calls = 0
services = ["ambulance", "fire", "police"]
[response.fleet.ambulance]
units = 2
stations = [{ name = "Ambulance station 1" }, { name = "North", x = 430_000, y = 4_581_000 }]
[response.dispatch]
move_up = "maximal cover"
[response.dispatch.services.police]
move_up = "home"
[response.dispatch.services.ambulance]
move_up = "compliance"
compliance = [{ on_duty = 1, hold = [["North"]] }, { on_duty = 2, hold = [["North"], ["North", "North"]] }]
"""
    town = model(text, days=1)
    centre = responding(town).centre
    assert centre.rules.move.tolist() == [board.MAXIMAL_COVER, board.COMPLIANCE, board.HOMEWARD]
    assert centre.rules.table_rows[1, :3, 1].tolist() == [2, 2, 3]
    assert len(centre.rules.demand) > 0
    town.run()
    ambulances = centre.state.trait[:, board.SERVES] == 2
    assert ambulances.sum() == 2 and centre.state.unit[ambulances, board.HOME].tolist() == [1, 1]
    others = centre.state.unit[~ambulances]
    assert (others[:, board.HOME] == others[:, board.STATION]).all()


def test_the_table_of_a_service_is_named_where_it_is_wrong():
    text = '[response.dispatch.services.fire]\nmove_up = "compliance"\ncompliance = [["Nowhere"]]'
    with pytest.raises(
        FleetError, match=r"response\.dispatch\.services\.fire\.compliance: there is no station 'Nowhere'"
    ):
        model(text)


def test_a_compliance_table_with_an_unknown_station_is_refused():
    with pytest.raises(FleetError, match="no station 'Nowhere'; there are: 0 'Ambulance station 1'"):
        model('[response.dispatch]\nmove_up = "compliance"\ncompliance = [["Nowhere"]]')


# ---------------------------------------------------------------------- responders


def test_responders_are_agents_that_are_where_their_units_are():
    town = model(
        BUSY + '[response.fleet.ambulance]\nunits = 2\nshifts = [{ from = "19:00", until = "07:00", units = 1 }]\n'
    )
    process = responding(town)
    assert len(town.responders) == len(process.fleets.station) == len(town.agents_by_type[Responder])
    ambulances = town.responders.select(lambda unit: unit.service == Service.AMBULANCE)
    assert len(ambulances) == 3 and ambulances.agg("crew", sum) == 6
    assert sorted(unit.shift_start for unit in ambulances) == [0, 0, 19 * 3600]
    night = next(unit for unit in ambulances if unit.shift_start)
    assert night.on_shift(23 * 3600) and night.on_shift(3600) and not night.on_shift(12 * 3600)
    for _ in range(3):
        town.step()
        nodes = process.centre.positions()
        for row, unit in enumerate(town.responders):
            assert (unit.geometry.x, unit.geometry.y) == (process.network.x[nodes[row]], process.network.y[nodes[row]])
        busy = [unit.task >= 0 for unit in town.responders]
        assert busy == (process.centre.state.unit[:, board.TASK] >= 0).tolist()


def test_policies_can_ask_how_response_fares():
    more = '[[policy]]\nname = "alarm"\nclose = ["school"]\nwhen = "ambulance_busy > 0.01"\n'
    town = model(BUSY, days=3, more=more)
    town.run()
    assert town.outputs()["series"]["policy.alarm"].tolist()[-1]
    values = responding(town).indicator_values()
    assert set(values) == set(responding(town).indicators)
    assert 0 < values["ambulance_busy"] <= 1 and values["ambulance_response"] > 0
