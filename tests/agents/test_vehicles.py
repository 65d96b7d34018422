"""Vehicles of a model with traffic: a set of agents like any other."""

import copy
import pickle

import numpy as np
import pytest

from citytwin.agents.citizens import Citizen
from citytwin.agents.rows import Column
from citytwin.agents.vehicles import Vehicle, VehicleKind, VehicleState
from citytwin.environment.city import City
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

TOWN = """
name = "vehicles"
[city]
synthetic = {people = 3000, seed = 1}
[clock]
start = 2026-03-02
days = 1
"""
TRAFFIC = "[traffic]\n"
EVENING = 17.5 * 3600.0


class Car(Vehicle):
    """A vehicle that counts how often it is washed."""

    washed = Column("u1", doc="times")

    def wash(self):
        self.washed += 1


@pytest.fixture(scope="module")
def city():
    return City.synthetic(3_000, seed=1)


@pytest.fixture(scope="module")
def model(city):
    made = CityModel(Scenario.from_text(TOWN + TRAFFIC), city, seed=2, vehicle_class=Car)
    made.step()
    made.processes[0].look(EVENING)
    return made


def test_vehicles_are_agents_by_type(model):
    assert {Citizen, Car} <= set(model.agents_by_type)
    assert list(model.agents_by_type[Car]) == list(model.vehicles)
    assert {car.unique_id for car in model.vehicles} <= set(model.agents.get("unique_id"))
    uids = model.vehicles.get("unique_id")
    assert len(set(uids)) == len(uids)
    assert isinstance(model.vehicles[0], Car)


def test_select_agg_groupby_and_do(model):
    vehicles = model.vehicles
    driving = vehicles.select(lambda v: v.state == VehicleState.DRIVING)
    assert len(driving) > 0
    assert driving.agg("speed", np.min) > 0
    assert vehicles.agg("speed", np.sum) == pytest.approx(sum(v.speed for v in driving))
    sizes = {kind: len(group) for kind, group in vehicles.groupby("kind").groups.items()}
    assert sum(sizes.values()) == len(vehicles)
    assert sizes[VehicleKind.CAR] > sizes[VehicleKind.BUS] > 0
    before = vehicles.agg("washed", np.sum)
    driving.do("wash")
    driving.shuffle_do("wash")
    assert vehicles.agg("washed", np.sum) == before + 2 * len(driving)


def test_who_drives_is_on_the_street_and_who_is_parked_at_a_place(model):
    car = next(iter(model.vehicles.select(lambda v: v.state == VehicleState.DRIVING and v.owner >= 0)))
    links, nodes = model.city.links, model.city.nodes
    ends = [(nodes.x[n], nodes.y[n]) for n in (links.start[car.link], links.end[car.link])]
    share = car.position_m / links.length[car.link]
    assert car.geometry.x == pytest.approx(ends[0][0] + share * (ends[1][0] - ends[0][0]))
    assert car.geometry.y == pytest.approx(ends[0][1] + share * (ends[1][1] - ends[0][1]))
    parked = next(iter(model.vehicles.select(lambda v: v.state == VehicleState.PARKED and v.owner >= 0)))
    places = model.city.places
    assert (parked.geometry.x, parked.geometry.y) == (places.x[parked.place], places.y[parked.place])


@pytest.mark.parametrize("save", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_saved_model_has_its_vehicles(model, save):
    saved = save(model)
    assert saved.vehicles.get(["unique_id", "link", "place"]) == model.vehicles.get(["unique_id", "link", "place"])
    saved.processes[0].look(3600.0)
    model.processes[0].look(3600.0)
    assert saved.vehicles.get(["link", "place"]) == model.vehicles.get(["link", "place"])
    model.processes[0].look(EVENING)


def test_without_traffic_there_are_none(city):
    still = CityModel(Scenario.from_text(TOWN + '[epidemic]\ndisease = "covid"\n'), city, seed=2)
    assert len(still.vehicles) == 0
    assert Vehicle not in still.agents_by_type


def test_vehicles_have_a_class_of_vehicles(city):
    with pytest.raises(TypeError, match="vehicle_class: Vehicle or a class derived from it"):
        CityModel(Scenario.from_text(TOWN + TRAFFIC), city, vehicle_class=Citizen)
