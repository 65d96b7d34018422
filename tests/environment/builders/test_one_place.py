"""A city where everybody is in one place."""

import numpy as np
import pytest

from citytwin.environment.city import City, CityError
from citytwin.environment.places import PlaceKind, Role
from citytwin.runners.model import CityModel
from citytwin.runners.reports.describe import city_facts, city_text
from citytwin.runners.reports.maps import save_map
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError

SCENARIO = """\
name = "school"
[city]
one_place = {{ people = 200, age = {age} }}
[clock]
days = 8
[epidemic]
disease = "influenza"
r0 = 4
initial_infections = 5
"""


@pytest.fixture(scope="module")
def school():
    return City.one_place(763, age=14, name="school")


def test_everybody_is_in_the_room_all_day(school):
    for weekday in range(7):
        schedule = school.schedule_on(weekday)
        assert schedule.visits == 763
        assert set(schedule.place.tolist()) == {763}
        assert (schedule.start == 0).all()
        assert (schedule.end == 96).all()
    assert school.places.kind[763] == PlaceKind.SECONDARY
    assert (school.people.role == Role.SECONDARY).all()
    assert (school.people.age == 14).all()
    assert (np.asarray(school.places.kind[:763]) == PlaceKind.HOME).all()


def test_grown_ups_are_at_work():
    city = City.one_place(20, age=18)
    assert city.places.kind[20] == PlaceKind.WORK
    assert (city.people.role == Role.WORKER).all()


def test_it_is_a_whole_bundle(school, tmp_path):
    loaded = City.load(school.save(tmp_path / "school.city"))
    assert loaded.counts() == school.counts()
    text = city_text(city_facts(loaded))
    assert "763" in text
    assert city_facts(loaded)["car_nodes_in_largest_component"] == 1
    assert {len(loaded.layer(name)) for name in ("zones", "buildings", "sites")} == {1}
    save_map(loaded, tmp_path / "school.png")
    west, south, east, north = loaded.info.bounds
    assert (loaded.places.x >= west).all() and (loaded.places.x <= east).all()
    assert (loaded.places.y >= south).all() and (loaded.places.y <= north).all()


def test_an_epidemic_happens_there():
    model = CityModel(Scenario.from_text(SCENARIO.format(age=14)))
    model.run()
    assert model.datacollector.get_model_vars_dataframe()["cumulative_infections"].iloc[-1] > 5


@pytest.mark.parametrize("age, closed", [(14, "school"), (30, "work")])
def test_closed_it_is_left_for_the_chambers(age, closed):
    text = SCENARIO.format(age=age) + f'[[policy]]\nname = "shut"\nclose = ["{closed}"]\nfrom = 0\n'
    model = CityModel(Scenario.from_text(text))
    model.run()
    assert model.datacollector.get_model_vars_dataframe()["cumulative_infections"].iloc[-1] == 5


@pytest.mark.parametrize("people, age, message", [(1, 14, "2 to 1,000,000 people"), (9, 121, "0 to 120 years")])
def test_bad_figures(people, age, message):
    with pytest.raises(CityError, match=message):
        City.one_place(people, age)
    with pytest.raises(ScenarioError, match=r"scenario:3: city\.one_place"):
        text = SCENARIO.format(age=age).replace("200", str(people))
        Scenario.from_text(text)
