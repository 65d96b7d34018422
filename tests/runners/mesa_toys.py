"""Small Mesa models that are swept, good and bad."""

import mesa


class Walkers(mesa.Model):
    """People who take a step to the left or right."""

    def __init__(self, people=5, stride=1.0, ends=False, rng=None):
        super().__init__(rng=rng)
        self.places = [0.0] * people
        self.stride = stride
        self.ends = ends
        self.datacollector = mesa.DataCollector({"spread": spread, "farthest": lambda m: max(m.places), "word": "word"})
        self.word = "on"
        self.datacollector.collect(self)

    def step(self):
        self.places = [place + self.random.choice((-1, 1)) * self.stride for place in self.places]
        if self.ends and self.steps >= 3:
            self.running = False
            self.word = "off"
        if self.stride > 100:
            raise ValueError("too far")
        self.datacollector.collect(self)


def spread(model):
    """Return how far people are apart."""
    return max(model.places) - min(model.places)


class OldWalkers(Walkers):
    """The same, seeded as Mesa 2 did it."""

    def __init__(self, people=5, seed=None):
        super().__init__(people, rng=seed)


class Unseeded(mesa.Model):
    """A model that takes no seed."""

    def __init__(self):
        super().__init__()


class Forgetful(mesa.Model):
    """A model that keeps its seed to itself."""

    def __init__(self, rng=None):
        super().__init__()
        self.kept = rng


class Lists(mesa.Model):
    """A model with a reporter of lists."""

    def __init__(self, rng=None):
        super().__init__(rng=rng)
        self.datacollector = mesa.DataCollector({"all": "pair"})
        self.pair = [1, 2]

    def step(self):
        self.datacollector.collect(self)
