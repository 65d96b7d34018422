"""The same queue in discrete-event packages: calls that wait for one of three units, exponential service, a load of 1.5.

    .venv-queues/bin/python benchmarks/response_peers.py 20000

Needs neither citytwin nor its packages, only those that are measured: ``pip install simpy ciw``. Prints, as JSON, calls a
processor second of each that is installed, and its version. What each keeps of a call is its wait.
"""

import importlib.util
import json
import random
import sys
import time
from importlib.metadata import version

LOAD, UNITS = 1.5, 3


def simpy(calls: int) -> list[float]:
    """Return the waits of calls."""
    import simpy

    environment = simpy.Environment()
    units = simpy.Resource(environment, UNITS)
    draw = random.Random(1)
    waits: list[float] = []

    def call():
        begin = environment.now
        with units.request() as request:
            yield request
            waits.append(environment.now - begin)
            yield environment.timeout(draw.expovariate(1.0))

    def source():
        for _ in range(calls):
            environment.process(call())
            yield environment.timeout(draw.expovariate(LOAD))

    environment.process(source())
    environment.run()
    return waits


def ciw(calls: int) -> list[float]:
    """Return the waits of calls."""
    import ciw

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(LOAD)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[UNITS],
    )
    ciw.seed(1)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(calls)
    return [record.waiting_time for record in simulation.get_all_records()]


def main() -> None:
    """Measure and print."""
    calls = int(sys.argv[1])
    found = {}
    for name, run in (("simpy", simpy), ("ciw", ciw)):
        if importlib.util.find_spec(name) is not None:
            begin = time.process_time()
            waits = run(calls)
            seconds = time.process_time() - begin
            found[name] = {"version": version(name), "rate": calls / seconds, "wait": sum(waits) / len(waits)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
