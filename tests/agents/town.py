"""A model of row agents and its twin of ordinary Mesa agents, for tests that hold one against the other."""

from pathlib import Path

import mesa
import numpy as np
import pytest

from citytwin.agents.rows import Column, RowAgent, RowModel


class Person(RowAgent):
    age = Column("u1", 30, unit="years", doc="age")
    mood = Column("f4", 0.5)
    well = Column("?", True)
    debt = Column("i8")

    def birthday(self):
        self.age += 1

    def greeting(self, word="hello"):
        return f"{word} {self.age}"

    @property
    def decade(self):
        return self.age // 10


class Elder(Person):
    wisdom = Column("i2", 7)

    def greeting(self, word="hello"):
        return f"{word}, {self.age} years"


class Plain(mesa.Agent):
    """The twin of a Person."""

    def __init__(self, model, age=30, mood=0.5, well=True, debt=0):
        super().__init__(model)
        self.age, self.mood, self.well, self.debt = age, mood, well, debt

    def birthday(self):
        self.age += 1

    def greeting(self, word="hello"):
        return f"{word} {self.age}"

    @property
    def decade(self):
        return self.age // 10


def mean_age(model):
    return model.agents.agg("age", np.mean)


class Town(RowModel):
    """People who grow older and lose or win money at random."""

    def __init__(self, people=10, rng=None):
        super().__init__(rng=rng)
        Person.create_agents(self, people, age=np.arange(people) % 100)
        self.datacollector = mesa.DataCollector(model_reporters={"age": mean_age})

    def step(self):
        self.agents.shuffle_do(gamble)
        self.agents.do("birthday")
        self.datacollector.collect(self)


def gamble(person):
    person.debt += person.random.randint(-5, 5)


def resident_memory():
    """Return the memory of this process in MB."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("this system does not tell the memory of a process in /proc")
    return int(statm.read_text().split()[1]) * 4096 / 1e6
