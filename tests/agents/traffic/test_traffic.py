"""Days of traffic of a whole city: what goes in comes out, whatever the threads, the closures and the epidemic."""

import numpy as np
import pytest

import citytwin as ct
from citytwin.agents.presence import AWAY, FREE, ISOLATED, QUARANTINED
from citytwin.agents.traffic.demand import Mode
from citytwin.environment.network.skims import SPEEDS
from citytwin.environment.roads import Access
from citytwin.runners.scenarios.scenario import Scenario

TEXT = """
name = "traffic"
[city]
synthetic = {{people = 5000, seed = 1}}
[clock]
start = 2026-03-02
days = {days}
[traffic]
{traffic}
[output]
tables = ["trips", "links", "trajectories", "emissions", "air", "noise"]
{more}
"""

COLUMNS = {
    "trips": "day person purpose mode kind from_place to_place origin destination depart arrive distance_m free_seconds "
    "delay_seconds forced",
    "links": "day quarter link entered left left_car left_bus left_truck travel_seconds speed vehicles",
    "trajectories": "day trip link entered",
    "emissions": "day hour link co2_g nox_g pm10_g pm25_g",
    "air": "day x y side residents nox pm25",
    "noise": "day building x y residents lden",
}
QUARTER = 900.0


def model_of(traffic="", days=1, more="", **arguments):
    text = TEXT.format(days=days, traffic=traffic, more=more)
    return ct.CityModel(Scenario.from_text(text), seed=arguments.pop("seed", 3), **arguments)


def process_of(model):
    [traffic] = [process for process in model.processes if process.section == "traffic"]
    return traffic


@pytest.fixture(scope="module")
def full():
    """Return a model and its outputs after a day with all there is: through traffic, freight, air, noise."""
    model = model_of("gates = {}\nsample = 1.0\nnoise = true\nair = {cell = 200}")
    return model, model.run()


def test_tables_have_their_columns(full):
    _, outputs = full
    for name, columns in COLUMNS.items():
        assert list(outputs[name]) == columns.split(), name
        assert len({len(column) for column in outputs[name].values()}) == 1
        assert len(outputs[name]["day"]) > 0


def test_every_vehicle_that_enters_a_link_leaves_it(full):
    model, outputs = full
    traffic, links, trips = process_of(model), outputs["links"], outputs["trips"]
    balance = traffic.flow.balance()
    assert balance["departed"] == balance["arrived"] == len(trips["day"]) + len(traffic.moving.run)
    assert outputs["summary"]["not_arrived"][0] == 0
    streets = traffic.network.links
    entered, left = (np.bincount(links["link"], links[name], streets) for name in ("entered", "left"))
    np.testing.assert_array_equal(entered, left)
    assert left.sum() > 10_000
    np.testing.assert_array_equal(links["left_car"] + links["left_bus"] + links["left_truck"], links["left"])
    for name in ("left_car", "left_bus", "left_truck"):
        assert links[name].min() >= 0 and links[name].sum() > 0


def test_what_links_count_is_what_vehicles_drove(full):
    model, outputs = full
    traffic, trips, seen = process_of(model), outputs["trips"], outputs["trajectories"]
    links = outputs["links"]
    on_streets = (trips["mode"] == Mode.CAR) & (trips["origin"] != trips["destination"])
    cars, trucks = (np.where(trips["kind"][seen["trip"]] == kind, 1, 0) for kind in (0, 3))
    for column, of_kind in (("left_car", cars), ("left_truck", trucks)):
        counted = np.bincount(links["link"], links[column], traffic.network.links)
        np.testing.assert_array_equal(counted, np.bincount(seen["link"], of_kind, traffic.network.links))
    metres = np.bincount(seen["trip"], traffic.network.length[seen["link"]], len(on_streets))
    np.testing.assert_allclose(trips["distance_m"][on_streets], metres[on_streets], atol=0.5)
    assert outputs["summary"]["vehicle_km"][0] == pytest.approx(
        (metres[on_streets].sum() + trips["distance_m"][(trips["mode"] == Mode.CAR) & ~on_streets].sum()) / 1000,
        rel=1e-4,
    )


def test_nobody_arrives_before_the_streets_allow(full):
    _, outputs = full
    trips = outputs["trips"]
    assert (trips["arrive"] >= trips["depart"]).all()
    assert (trips["delay_seconds"] > -0.1).all()


def test_nobody_is_on_two_trips_at_once(full):
    _, outputs = full
    trips = outputs["trips"]
    row = np.flatnonzero((trips["person"] >= 0) & (trips["mode"] == Mode.CAR))
    row = row[np.lexsort((trips["depart"][row], trips["person"][row]))]
    same = trips["person"][row][1:] == trips["person"][row][:-1]
    assert same.sum() > 500
    assert (trips["arrive"][row][1:] - trips["arrive"][row][:-1])[same].min() >= 0


def test_passengers_arrive_with_their_driver(full):
    model, outputs = full
    trips, driver = outputs["trips"], process_of(model).plans.driver
    passenger = np.flatnonzero(driver >= 0)
    assert len(passenger) > 100
    assert (trips["mode"][passenger] == Mode.PASSENGER).all() and (trips["mode"][driver[passenger]] == Mode.CAR).all()
    household = model.city.people.household
    for name, of in (
        ("person", household[trips["person"]]),
        ("to_place", trips["to_place"]),
        ("arrive", trips["arrive"]),
    ):
        np.testing.assert_array_equal(of[passenger], of[driver[passenger]], err_msg=name)


def test_trips_within_a_node_last_as_long_as_the_straight_line(full):
    model, outputs = full
    trips, places = outputs["trips"], model.city.places
    within = (trips["origin"] == trips["destination"]) & (trips["from_place"] >= 0)
    for mode, access in ((Mode.WALK, Access.FOOT), (Mode.BICYCLE, Access.BICYCLE), (Mode.CAR, Access.FOOT)):
        row = np.flatnonzero(within & (trips["mode"] == mode))
        a, b = trips["from_place"][row], trips["to_place"][row]
        metres = np.hypot(places.x[a] - places.x[b], places.y[a] - places.y[b])
        np.testing.assert_allclose(trips["distance_m"][row], metres, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(trips["free_seconds"][row], metres / SPEEDS[access], rtol=1e-4, atol=1e-3)
    walked = within & (trips["mode"] == Mode.WALK)
    assert walked.sum() > 100 and trips["free_seconds"][walked].mean() > 10


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bytes(full, threads):
    _, expected = full
    found = model_of("gates = {}\nsample = 1.0\nnoise = true\nair = {cell = 200}", threads=threads).run()
    for table, columns in expected.items():
        for name, column in columns.items():
            assert found[table][name].tobytes() == column.tobytes(), (table, name)


def test_another_seed_is_another_day(full):
    _, expected = full
    found = model_of(seed=4).run()
    assert found["summary"]["trips_car"][0] != expected["summary"]["trips_car"][0]


@pytest.mark.parametrize("to", ["cars", "motor"])
def test_nobody_drives_over_a_bridge_that_is_closed_for_hours(full, to):
    # the busiest street without which everybody still reaches everybody
    links = model_of().run()["links"]
    network = process_of(full[0]).network
    middle = (links["quarter"] >= 40) & (links["quarter"] < 56)
    passed = np.bincount(links["link"][middle], links["left"][middle], network.links)
    main = network.main_part(Access.CAR)
    for link in np.argsort(-passed, kind="stable").tolist():
        back = (network.start == network.end[link]) & (network.end == network.start[link])
        both = [link, *np.flatnonzero(back).tolist()]
        access = network.access.copy()
        access[both] = 0
        if np.array_equal(network.with_columns(access=access).main_part(Access.CAR), main):
            break
    works = f'{{change = "close", links = {both}, to = "{to}", hours = "10:00-14:00"}}'
    model = model_of(more=f'[[design]]\nname = "works"\nchanges = [{works}]')
    outputs = model.run()
    links = outputs["links"]
    there = np.isin(links["link"], both)
    entered = np.bincount(links["quarter"][there], links["entered"][there], 96)
    assert passed[both].sum() > 50
    left, buses = (np.bincount(links["quarter"][there], links[name][there], 96) for name in ("left", "left_bus"))
    assert left[41:56].sum() == buses[41:56].sum()  # who was on it at ten has left in a quarter of an hour
    if to == "cars":
        assert entered[40:56].sum() == pytest.approx(buses[40:56].sum(), abs=1) and buses[40:56].sum() > 10
    else:
        assert entered[40:56].sum() == 0
    assert entered[28:40].sum() > 0 and entered[56:76].sum() > 0
    # whoever could not pass went round or waited
    assert len(outputs["trips"]["day"]) > 10_000 and outputs["summary"]["not_arrived"][0] == 0
    assert process_of(model).flow.balance()["without a way"] == 0


@pytest.mark.parametrize("status", [ISOLATED, QUARANTINED, AWAY])
def test_who_is_kept_at_home_makes_no_trip(status):
    model = model_of()
    kept = np.arange(0, 5000, 3)
    model.presence.put(kept, status)
    outputs = model.run()
    travellers = np.unique(outputs["trips"]["person"])
    assert len(travellers) > 1000
    assert not np.isin(travellers, kept).any()


def test_who_is_confined_in_an_epidemic_makes_no_trip():
    epidemic = """
[epidemic]
disease = "covid"
r0 = 6.0
initial_infections = 200
[[policy]]
name = "isolate"
test = { symptomatic = 1.0, sensitivity = "pcr", delay = 0 }
isolate = { days = 10, household = true }
"""
    model = model_of(days=10, more=epidemic)
    traffic = process_of(model)
    kept = []
    advance = traffic.advance

    def noted(start, end):
        kept.append(np.flatnonzero(model.presence.status != FREE))
        advance(start, end)

    traffic.advance = noted
    trips = model.run()["trips"]
    assert len(kept) == 10 and len(kept[-1]) > 20
    for day, rows in enumerate(kept):
        moved = trips["person"][trips["day"] == day]
        assert len(moved) > 1000
        assert not np.isin(moved, rows).any()


def test_days_follow_one_another():
    model = model_of("air = {}", days=7)
    outputs = model.run()
    series, summary = outputs["series"], outputs["summary"]
    assert len(series["trips"]) == 7
    for name in ("trips", "vehicle_km", "co2_t", "nox_kg"):
        assert summary[name][0] == pytest.approx(series[name].sum())
    for name in ("nox_exposure", "gini_nox"):
        assert summary[name][0] == pytest.approx(series[name].mean())
    for table in ("trips", "links", "emissions", "air"):
        assert np.unique(outputs[table]["day"]).tolist() == list(range(7))
    by_day = np.bincount(outputs["trips"]["day"])
    np.testing.assert_array_equal(by_day, series["trips"])
    # Monday and Wednesday have one schedule, and nobody stands in the way
    assert by_day[0] == by_day[2] != by_day[6]
    grams = np.bincount(outputs["emissions"]["day"], outputs["emissions"]["co2_g"])
    np.testing.assert_allclose(grams / 1e6, series["co2_t"], rtol=1e-5)


def test_learning_lowers_the_gap():
    model = model_of("learning = 8")
    traffic = process_of(model)
    # streets so narrow that ways matter
    traffic.network = traffic.network.with_columns(capacity=traffic.network.capacity * 0.1)
    model.run()
    assert len(traffic.gaps) == 8
    assert traffic.gaps[0] > 0.01
    assert traffic.gaps[-1] < traffic.gaps[0] / 2


def test_a_second_day_knows_the_jams_of_the_first():
    """Streets so narrow that they jam in the peaks: on the day after fewer drive, and those least who would at a peak."""
    model = model_of("learning = 1", days=2)
    traffic = process_of(model)
    traffic.network = traffic.network.with_columns(capacity=traffic.network.capacity * 0.03)
    trips = model.run()["trips"]
    hour = trips["depart"] // 3600
    peak = np.isin(hour, [7, 8, 9, 16, 17, 18])

    def share(day, rows):
        return np.mean(trips["mode"][rows & (trips["day"] == day)] == Mode.CAR)

    assert share(1, peak) < 0.95 * share(0, peak)


def test_errors_of_drivers_are_for_learning_alone():
    with pytest.raises(ct.ScenarioError, match="route_error is for learning"):
        model_of('route_error = "5 s"')
    model = model_of('learning = 3\nroute_error = "5 s"')
    model.run()
    gaps = process_of(model).gaps
    assert len(gaps) == 3 and 0 < gaps[-1] < gaps[0]


def test_drivers_who_decide_alone_are_asked_on_a_learned_day():
    class Stubborn(ct.Vehicle):
        asked = 0

        def looks_again(self):
            type(self).asked += 1
            return False

    narrow = 0.1
    found = []
    for more, arguments in (("rerouting = 0.0", {}), ("", {"vehicle_class": Stubborn})):
        model = model_of(f"learning = 1\n{more}", **arguments)
        traffic = process_of(model)
        traffic.network = traffic.network.with_columns(capacity=traffic.network.capacity * narrow)
        found.append(model.run()["trips"]["arrive"])
    assert Stubborn.asked > 0
    np.testing.assert_array_equal(*found)


def test_without_streets_cars_take_the_time_of_the_offer():
    model = model_of("streets = false")
    outputs = model.run()
    trips = outputs["trips"]
    # later ones may begin late because the one before took longer than the schedule gives
    first = (process_of(model).trips.previous < 0) & (trips["mode"] == Mode.CAR)
    assert first.sum() > 1000 and np.abs(trips["delay_seconds"][first]).max() < 0.01
    assert trips["free_seconds"][first].mean() > 60
    assert len(outputs["links"]["link"]) == 0
    assert outputs["summary"]["co2_t"][0] == 0
