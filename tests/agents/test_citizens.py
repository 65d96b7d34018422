"""Citizens know who they are and where; so do vehicles and responders."""

import numpy as np
import pytest
import shapely
from cities import HOURS, OUTING, ROOMS, SHOPPING, SITES, SOUTH, WEST, tiny_city

from citytwin.agents.citizens import Citizen, everyone_at, whereabouts
from citytwin.agents.presence import Presence, rule
from citytwin.agents.responders import Responder, ResponderState, Service
from citytwin.agents.rows import Column, RowModel
from citytwin.agents.vehicles import Vehicle, VehicleKind
from citytwin.environment.places import Role, SiteKind

SATURDAY = 5


@pytest.fixture
def model():
    model = RowModel(rng=1)
    model.city = tiny_city()
    model.day = 0
    Citizen.of_city(model, model.city)
    return model


@pytest.fixture
def citizens(model):
    return model.agents_by_type[Citizen]


def room(city, kind):
    return city.homes + ROOMS.index(kind)


class TestWho:
    def test_rows_are_the_people_of_the_city(self, model, citizens):
        people = model.city.people
        assert len(citizens) == len(people) == 12
        for name in ("age", "sex", "role", "household", "activity"):
            assert np.array_equal(citizens.column(name), people[name])
            assert citizens.column(name).dtype == people[name].dtype
        assert citizens.get("row") == list(range(12))
        assert citizens.get("home") == people.household.tolist()
        zones = [model.city.places.zone[household] for household in people.household]
        assert citizens.get("zone") == zones

    def test_further_columns(self):
        class Cautious(Citizen):
            worry = Column("f4", 0.5)

            def goes_out(self):
                return self.random_float("courage") > self.worry

        model, city = RowModel(rng=1), tiny_city()
        cautious = Cautious.of_city(model, city, worry=np.linspace(0, 1, 12), compliance=0.25)
        assert cautious.get("compliance") == [0.25] * 12
        assert Cautious.overrides("goes_out")
        assert not Citizen.overrides("goes_out")
        assert cautious.map("goes_out")[0] is True
        assert cautious.map("goes_out")[-1] is False
        assert Citizen(model).goes_out() is True

    def test_only_into_an_empty_table(self, model):
        with pytest.raises(ValueError, match="the model has Citizen agents already"):
            Citizen.of_city(model, model.city)

    def test_housemates(self, citizens):
        assert citizens[0].housemates.get("age") == [42, 8, 14]
        assert citizens[2].housemates.get("age") == [40, 42, 14]
        assert citizens[4].housemates.get("age") == []
        citizens[1].remove()
        assert citizens[0].housemates.get("age") == [8, 14]


class TestWhere:
    def test_a_working_day_of_a_pupil(self, model, citizens):
        pupil = citizens.select(where=lambda c: c.role == Role.PRIMARY)[0]
        start, end = HOURS[Role.PRIMARY]
        for slot in range(96):
            expected = room(model.city, SiteKind.PRIMARY) if start <= slot < end else pupil.home
            assert pupil.place_at(slot / 4) == expected
            assert pupil.place_at(slot / 4 + 0.2) == expected

    def test_the_point_moves_with_the_time_of_day(self, model, citizens):
        worker = citizens[0]
        home = shapely.Point(model.city.places.x[0], model.city.places.y[0])
        assert (worker.place, worker.geometry) == (0, home)
        model.time_of_day = 12 * 3600.0
        assert worker.place == room(model.city, SiteKind.WORK)
        assert worker.geometry == shapely.Point(WEST + 500, SOUTH + 500)
        model.day = SATURDAY
        assert worker.geometry == shapely.Point(WEST + 600, SOUTH + 300)
        model.time_of_day = 20 * 3600.0
        assert worker.geometry == home

    def test_other_days(self, model, citizens):
        retired = citizens.select(where=lambda c: c.role == Role.RETIRED)[0]
        shop, leisure = room(model.city, SiteKind.SHOP), room(model.city, SiteKind.LEISURE)
        assert retired.place_at(SHOPPING[0] / 4) == shop
        weekend = leisure if retired.row % 2 == 0 else retired.home
        assert retired.place_at(OUTING[0] / 4, day=SATURDAY) == weekend
        assert retired.place_at(SHOPPING[0] / 4, day=7) == shop

    @pytest.mark.parametrize("hour", [-0.1, 24, 99])
    def test_there_are_24_hours(self, citizens, hour):
        with pytest.raises(ValueError, match="is not in 0 … 24"):
            citizens[0].place_at(hour)

    def test_slots_are_checked(self, model):
        for ask in (lambda: whereabouts(model, 0, 0, 96), lambda: everyone_at(model, 0, -1)):
            with pytest.raises(ValueError, match=r"slot .* is not in 0 … 95"):
                ask()

    def test_without_a_city(self):
        with pytest.raises(AttributeError, match="RowModel has no city; give it one"):
            _ = Citizen(RowModel(rng=1)).geometry

    def test_exceptions_of_the_day_count(self, model, citizens):
        model.presence = Presence(model.city, 1)
        model.presence.apply([rule(close=["school"])])
        pupil = citizens.select(where=lambda c: c.role == Role.PRIMARY)[0]
        assert pupil.place_at(9) == pupil.home
        assert citizens[0].place_at(12) == room(model.city, SiteKind.WORK)
        model.presence.confine([0])
        assert citizens[0].place_at(12) == citizens[0].home

    @pytest.mark.parametrize("exceptions", ["none", "no presence", "closed", "confined"])
    def test_everyone_at_once_is_everyone_one_by_one(self, model, exceptions):
        if exceptions != "no presence":
            model.presence = Presence(model.city, 1, first_weekday=3)
        if exceptions == "closed":
            model.presence.apply([rule(model.presence.compliance < 0.5, close=["work", "leisure"])])
        if exceptions == "confined":
            model.presence.confine([0, 3, 5])
        for day in range(4):
            for slot in range(96):
                expected = [whereabouts(model, person, day, slot) for person in range(12)]
                assert everyone_at(model, day, slot).tolist() == expected


class TestVehicles:
    def test_a_parked_car_is_at_its_place(self, model):
        car = Vehicle(model, owner=3, place=room(model.city, SiteKind.WORK))
        assert car.geometry == shapely.Point(WEST + 500, SOUTH + 500)
        assert (car.kind, car.occupants, Vehicle.columns()["speed"].unit) == (VehicleKind.CAR, 0, "m/s")

    @pytest.mark.parametrize(("position", "east"), [(0, 0), (125, 125), (500, 500), (700, 500), (-3, 0)])
    def test_a_moving_car_is_on_its_link(self, model, position, east):
        links = model.city.links
        assert (links.start[0], links.end[0], links.length[0]) == (0, 1, 500)
        car = Vehicle(model, kind=VehicleKind.BUS, link=0, position_m=position, speed=10)
        assert car.geometry == shapely.Point(WEST + east, SOUTH)

    def test_a_car_may_be_nowhere(self, model):
        assert Vehicle(model).geometry is None


class TestResponders:
    def test_a_crew_is_at_its_station_until_it_drives(self, model):
        number = [kind for kind, *_ in SITES].index(SiteKind.FIRE_STATION)
        crew = Responder(model, service=Service.FIRE, station=number, crew=6)
        assert crew.geometry == shapely.Point(WEST + 100, SOUTH + 900)
        crew.x, crew.y, crew.state = WEST + 50, SOUTH, ResponderState.EN_ROUTE
        assert crew.geometry == shapely.Point(WEST + 50, SOUTH)
        assert Responder(model).geometry is None

    @pytest.mark.parametrize(
        ("shift", "hours"),
        [((0, 24), range(24)), ((7, 19), range(7, 19)), ((19, 7), [*range(7), *range(19, 24)]), ((8, 8), [])],
    )
    def test_shifts_may_pass_midnight(self, model, shift, hours):
        crew = Responder(model, shift_start=shift[0] * 3600, shift_end=shift[1] * 3600)
        assert [hour for hour in range(24) if crew.on_shift(hour * 3600)] == list(hours)

    def test_kinds_live_side_by_side(self, model, citizens):
        Vehicle.create_agents(model, 3)
        Responder.create_agents(model, 2)
        counts = {kind: len(agents) for kind, agents in model.agents_by_type.items()}
        assert counts == {Citizen: len(citizens), Vehicle: 3, Responder: 2}
        assert len(set(model.agents.get("unique_id"))) == 17
