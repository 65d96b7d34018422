"""A Mesa model of one step of known work, for the comparison with ``mesa.batch_run``."""

import mesa
from sweep_work import busy


class Busy(mesa.Model):
    """A model whose step is a loop."""

    def __init__(self, number=0, loops=0, rng=None):
        super().__init__(rng=rng)
        self.number, self.loops = number, loops
        self.datacollector = mesa.DataCollector({"value": "value"})
        self.value = 0

    def step(self):
        """Do the work."""
        self.value = busy(self.number, self.loops)
        self.datacollector.collect(self)
        self.running = False
