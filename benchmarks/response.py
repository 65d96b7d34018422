"""Emergency response: calls a processor second, without travel and with it being a step of a line.

    python benchmarks/response.py
    python benchmarks/response.py --part kernel --calls 200000 --rounds 3

Three units, exponential service, a load of 1.5; calls are lost or wait. "one place" has no travel; "line" is the ten nodes
of Larson's hypercube, where units drive there and back. The loop beside it is the least that such a simulation can do: times
at which units become free, looked through at each call, nothing kept. Seconds are processor seconds of moving calls on,
without making them; medians of rounds that go through all cases in turn.
"""

import argparse
import statistics
import time

import numpy as np
from jobs import pin
from numba import njit
from peers import machine

from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.tasks import Tasks
from citytwin.agents.response.travel import Travel
from citytwin.environment.network.network import Network
from citytwin.environment.roads import Access

RATES = np.array([0.10, 0.20, 0.15, 0.10, 0.25, 0.15, 0.10, 0.15, 0.20, 0.10])
SERVICE = 1e6
"""Mean seconds of service; a step of the line takes one."""
CASES = {
    "one place, lost": (False, True),
    "one place, waiting": (False, False),
    "line, lost": (True, True),
    "line, waiting": (True, False),
}
LOOP = "bare loop, lost"


@njit(cache=True)
def loop(ready, node, scene, places):
    """Return how many calls are lost, and the way of the others."""
    until = np.zeros(len(places))
    lost = way = 0
    for call in range(len(ready)):
        chosen, near = -1, 1 << 30
        for unit in range(len(places)):
            if until[unit] <= ready[call] and abs(places[unit] - node[call]) < near:
                chosen, near = unit, abs(places[unit] - node[call])
        if chosen < 0:
            lost += 1
        else:
            until[chosen] = ready[call] + scene[call]
            way += near
    return lost, way


def line() -> Network:
    """Return ten nodes in a row, joined both ways."""
    here = np.arange(9, dtype=np.int32)
    ones = np.ones(18)
    return Network(
        x=np.arange(10.0), y=np.zeros(10), start=np.r_[here, here + 1], end=np.r_[here + 1, here], length=ones, speed=ones,
        lanes=ones, capacity=ones, access=np.full(18, int(Access.CAR), np.uint8), rank=np.zeros(18, np.uint8),
        way=np.arange(18), through=np.ones(10, bool),
    )  # fmt: skip


def kernel(calls: int, rounds: int) -> dict[str, float]:
    """Return millions of calls a processor second, by case."""
    rng = np.random.default_rng(1)
    ready = np.cumsum(rng.exponential(SERVICE / RATES.sum(), calls))
    node = rng.choice(10, p=RATES / RATES.sum(), size=calls)
    scene = rng.exponential(SERVICE, calls)
    found: dict[str, list[float]] = {name: [] for name in (*CASES, LOOP)}
    for turn in range(rounds + 1):  # the first compiles
        for name, (driving, loss) in CASES.items():
            places = [1, 4, 8] if driving else [0, 0, 0]
            roads = Travel(line(), places).roads([np.ones(18)])
            rules = make_rules(stations=3, units=3, loss=loss)
            centre = Centre(roads, Fleet.alike([0, 1, 2]), Departments.unlimited(0), rules)
            centre.add(Tasks.of(ready=ready, node=node if driving else 0, scene=scene))
            begin = time.process_time()
            centre.run(ready[-1])
            found[name].append(time.process_time() - begin)
        begin = time.process_time()
        loop(ready, node, scene, np.array([1, 4, 8]))
        found[LOOP].append(time.process_time() - begin)
        if turn == 0:
            found = {name: [] for name in found}
    return {name: calls / statistics.median(seconds) / 1e6 for name, seconds in found.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["kernel"], default="kernel")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    pin(1)
    figures = kernel(given.calls, given.rounds)
    print(f"{machine()}\n\n| {given.calls:,} calls | million calls/CPU s | of the bare loop |\n|---|---|---|")
    for name, rate in figures.items():
        print(f"| {name} | {rate:.1f} | {rate / figures[LOOP]:.2f} |")


if __name__ == "__main__":
    main()
