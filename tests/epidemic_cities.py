"""Cities for tests of contagion, made from visits alone, and a model that runs an epidemic in them."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from citytwin.agents.authorities import Authority
from citytwin.agents.columns import Column
from citytwin.agents.epidemic.disease import Disease
from citytwin.agents.epidemic.epidemic import Epidemic
from citytwin.agents.epidemic.settings import EpidemicSettings
from citytwin.agents.presence import Presence
from citytwin.agents.rows import RowAgent, RowModel
from citytwin.environment.city import SCHEMA, City, CityInfo
from citytwin.environment.places import PlaceKind
from citytwin.environment.schedules import SLOTS_PER_DAY, Schedule

DAY = 86_400


def city_of(first, kind, days, *, age=None, activity=None, zones=1, week=(0,) * 7):
    """Return a city without streets or buildings.

    Args:
        first: first person of each household, and the number of people.
        kind: kinds of the places that follow the homes.
        days: for each day type the first visit of each person (people + 1,), place, start and end of the visits.
        age: ages, else everybody is 40.
        activity: class or team of each person, else none.
        zones: number of zones; place q lies in zone q modulo this number.
        week: day types of Monday … Sunday.
    """
    homes, people = len(first) - 1, int(first[-1])
    places = homes + len(kind)
    columns = {
        "people": {
            "age": np.full(people, 40) if age is None else age,
            "household": np.repeat(np.arange(homes), np.diff(first)),
            "activity": np.full(people, -1) if activity is None else activity,
        },
        "households": {"first": first},
        "places": {"kind": np.concatenate([np.zeros(homes), kind]), "zone": np.arange(places) % zones},
    }
    rows = {"people": people, "households": homes + 1, "places": places, "zones": zones}

    def column(table, name, spec):
        empty = np.full(rows.get(table, 0), -1 if spec.optional else 0)
        return np.array(columns.get(table, {}).get(name, empty), spec.dtype)

    tables = {
        table: {
            name: column(table, name, spec)
            for name, spec in specs.items()
            if spec.fill is None or name in columns.get(table, {})
        }
        for table, specs in SCHEMA.items()
    }
    schedules = [
        Schedule.from_visits(
            np.array(f, np.int32), np.array(p, np.int32), np.array(s, np.uint8), np.array(e, np.uint8), places
        )
        for f, p, s, e in days
    ]
    names = tuple(f"day {number}" for number in range(len(days)))
    return City(CityInfo("Test", "EPSG:32631", (0, 0, 1, 1), 0, tuple(week), names), tables, schedules)


def one_place(people, kind=PlaceKind.WORK):
    """Return a city where everybody spends the whole day in one place that is nobody's home."""
    return city_of(
        np.arange(people + 1),
        [kind],
        [(np.arange(people + 1), np.full(people, people), np.zeros(people), np.full(people, SLOTS_PER_DAY))],
    )


def homes_only(size, homes):
    """Return a city of homes of one size, which nobody leaves."""
    people = size * homes
    return city_of(
        np.arange(homes + 1) * size,
        [],
        [(np.arange(people + 1), np.arange(people) // size, np.zeros(people), np.full(people, SLOTS_PER_DAY))],
    )


def random_city(seed, people=60, places=8):
    """Return a small city with random homes, kinds of places, ages and days; some people visit other homes."""
    rng = np.random.default_rng(seed)
    first = [0]
    while first[-1] < people:
        first.append(min(first[-1] + int(rng.integers(1, 6)), people))
    homes = len(first) - 1
    household = np.repeat(np.arange(homes), np.diff(first))
    days = []
    for _ in range(2):
        pointer, place, start, end = [0], [], [], []
        for person in range(people):
            cuts = np.unique(rng.integers(1, SLOTS_PER_DAY, rng.integers(0, 5)))
            edges = [0, *cuts.tolist(), SLOTS_PER_DAY]
            for begin, until in pairwise(edges):
                at_home = rng.random() < 0.4
                place.append(household[person] if at_home else rng.integers(0, homes + places))
                start.append(begin)
                end.append(until)
            pointer.append(len(place))
        days.append((pointer, place, start, end))
    return city_of(
        first,
        rng.integers(1, len(PlaceKind), places),
        days,
        age=rng.integers(0, 100, people),
        zones=3,
        week=(0, 0, 0, 0, 0, 1, 1),
    )


def disease_of(latent=4, infectious=8, **more):
    """Return a disease with constant periods in days, unless laws are given as tables."""
    laws = {
        name: law if isinstance(law, dict) else {"law": "constant", "days": law}
        for name, law in (("latent", latent), ("infectious", infectious))
    }
    return Disease.model_validate({"name": "test", "r0": 2.0, **laws, **more})


class Person(RowAgent):
    """A row of the city's people."""

    age = Column("u1")


class Town(RowModel):
    """A model that runs one epidemic under policies in a city."""

    def __init__(self, city, disease, *, policies=(), seed=1, threads=1, person=Person, **settings):
        super().__init__(rng=seed)
        self.city = city
        self.start = date(2026, 1, 5)  # a Monday
        self.day = 0
        self.citizens = person.create_agents(self, len(city.people), age=city.people.age)
        self.presence = Presence(city, seed, threads)
        settings = EpidemicSettings.model_validate({"disease": disease, **settings})
        self.epidemic = Epidemic(self, settings)
        self.processes = [self.epidemic]
        self.authority = Authority(self, policies)
        self.rows = []

    @property
    def date(self):
        """Date of today."""
        return self.start + timedelta(days=self.day)

    def step(self):
        """Make one day."""
        self.morning()
        self.rest_of_day()

    def morning(self, confined=()):
        """Let processes wake and the authority decide, and keep some people at home today."""
        self.presence.begin_day(self.day)
        for process in self.processes:
            process.wake(self.day * DAY)
        self.authority.step()
        self.presence.confine(confined)

    def rest_of_day(self):
        """Let the epidemic move on."""
        for process in self.processes:
            process.advance(self.day * DAY, (self.day + 1) * DAY)
        self.rows.append(self.authority.series() | self.epidemic.series())
        self.day += 1

    def days(self, number):
        """Make some days and return the series."""
        for _ in range(number):
            self.step()
        return self.rows

    def finish(self):
        """Make days until nobody is exposed or infectious, and return the series."""
        self.step()
        while len(self.epidemic.cases):
            self.step()
        return self.rows
