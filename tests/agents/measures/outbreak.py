"""A model with measures and no contagion: tests write into the columns of the epidemic who is ill when."""

from types import SimpleNamespace

import numpy as np
from epidemic_cities import Person

from citytwin.agents.epidemic.progress import columns
from citytwin.agents.measures import MEASURES
from citytwin.agents.presence import Presence
from citytwin.agents.rows import RowModel


class Outbreak(RowModel):
    """People of a city, their presence, and measures that act each morning.

    Args:
        city: the city.
        measures: key of a measure to its table, or a list of such.
        seed: seed of all draws.
        person: class of the people.
    """

    def __init__(self, city, measures, *, seed=1, person=Person):
        super().__init__(rng=seed)
        self.city = city
        self.seed_number = seed
        self.day = 0
        self.citizens = person.create_agents(self, len(city.people), age=city.people.age)
        self.presence = Presence(city, seed)
        for name, column in columns().items():
            self.citizens.table.attach(name, column)
        self.people = len(city.people)
        self.measures = []
        for tables in measures if isinstance(measures, list) else [measures]:
            for name, table in tables.items():
                kind = MEASURES[name]
                self.measures.append((name, kind(self, None, kind.Settings.model_validate(table))))
        self.authority = SimpleNamespace(measures=[measure for _, measure in self.measures])

    @property
    def data(self):
        """Columns of the people."""
        return self.citizens.table.columns

    def measure(self, name):
        """The first measure of a kind."""
        return next(measure for key, measure in self.measures if key == name)

    def morning(self, followers=None):
        """Begin the day and let all measures act."""
        self.presence.begin_day(self.day)
        for _, measure in self.measures:
            measure.everyday()
        followers = np.ones(self.people, bool) if followers is None else followers
        for kind in MEASURES:
            for name, measure in self.measures:
                if name == kind:
                    measure.act(followers)

    def series(self):
        """Figures of the day, summed over measures."""
        out = {}
        for _, measure in self.measures:
            for name, value in measure.series().items():
                out[name] = out.get(name, 0) + value
        return out

    def fall_ill(self, rows, *, infectious=True):
        """Let people have been infected today, and be infectious and ill from today on."""
        self.data["health"][rows] = 3
        self.data["infected_on"][rows] = self.day
        self.data["ill_since"][rows] = self.day
        self.data["infectious"][rows] = infectious
