"""Emergency response: calls a processor second, without travel and with it being a step of a line, and with real streets.

    python benchmarks/response.py --peers .venv-queues/bin/python
    python benchmarks/response.py --part auckland --data DATA
    python benchmarks/response.py --part growth --data DATA --plots docs --rounds 3
    python benchmarks/response.py --part kernel --calls 200000 --rounds 3

With travel (parts auckland and growth) see response_travel.py; the other packages are in response_peers.py.

Three units, exponential service, a load of 1.5; calls are lost or wait. "one place" has no travel; "line" is the ten nodes
of Larson's hypercube, where units drive there and back. The loop beside it is the least that such a simulation can do: times
at which units become free, looked through at each call, nothing kept. Seconds are processor seconds of moving calls on,
without making them; medians of rounds that go through all cases in turn.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import response_travel as travel
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


def peers(python: str, calls: int, rounds: int) -> dict[str, tuple[str, float]]:
    """Return version and calls a processor second of each package that a Python has."""
    script = Path(__file__).with_name("response_peers.py")
    found: dict[str, list[tuple[str, float]]] = {}
    for _ in range(rounds):
        done = subprocess.run([python, script, str(calls)], check=True, capture_output=True, text=True)
        for name, told in json.loads(done.stdout).items():
            found.setdefault(name, []).append((told["version"], told["rate"]))
    return {name: (those[0][0], statistics.median(rate for _, rate in those)) for name, those in found.items()}


def show_kernel(calls: int, rounds: int, python: str | None) -> None:
    """Measure without travel and print a table."""
    figures = kernel(calls, rounds)
    print(f"\n| {calls:,} calls | million calls/CPU s | of the bare loop |\n|---|---|---|")
    for name, rate in figures.items():
        print(f"| {name} | {rate:.1f} | {rate / figures[LOOP]:.2f} |")
    if python is not None:
        print("\n| three units, calls wait | calls/CPU s | citytwin is quicker by |\n|---|---|---|")
        for name, (version, rate) in peers(python, 50_000, rounds).items():
            print(f"| {name} {version} | {rate:,.0f} | {1e6 * figures['one place, waiting'] / rate:.0f} |")


def show_auckland(data: Path, replications: int, days: float) -> None:
    """Measure the design of JEMSS and print a table."""
    print(
        f"\n| {replications} x {days:g} days, called away | CPU s | µs a call | busy | quartiles of response, min | 90 % "
        "| urgent within 8 min |\n|---|---|---|---|---|---|---|"
    )
    for row in travel.design(travel.auckland(data), replications, days):
        print(
            f"| {row['rule']} | {row['seconds']:.1f} | {1e6 * row['seconds'] / row['calls']:.2f} | {row['busy']:.3f} | "
            f"{row['low']:.1f}, {row['median']:.1f}, {row['high']:.1f} | {row['late']:.1f} | {row['urgent']:.3f} |",
            flush=True,
        )


def show_growth(data: Path, rounds: int, plots: Path | None) -> None:
    """Measure how costs grow, print tables and draw."""
    city = travel.auckland(data)
    travel.answer(city, travel.UNITS, 2, 0, redispatch=[(2, 0)])  # compiles
    fleets, sizes = travel.by_fleet(city, rounds), travel.by_city(city, rounds)
    print("\n| units | µs a call | with calling away | busy |\n|---|---|---|---|")
    for row in fleets:
        print(f"| {row['units']} | {row['plain']:.1f} | {row['called away']:.1f} | {row['busy']:.2f} |")
    print("\n| people | nodes | µs a call | with calling away | tables of a mode anew, CPU s |\n|---|---|---|---|---|")
    for row in sizes:
        print(f"| {row['people']:,} | {row['nodes']:,} | {row['plain']:.1f} | {row['called away']:.1f} | ", end="")
        print(f"{row['renewal']:.2f} |")
    print("\n| stations and hospitals | tables of a mode anew, CPU s |\n|---|---|")
    for row in travel.by_places(city, rounds):
        print(f"| {row['places']} | {row['renewal']:.2f} |")
    if plots is not None:
        travel.plot(fleets, "units", "units (17.5 calls a day each)", plots / "cost-fleet.png")
        travel.plot(sizes, "people", "people in the city (16 units)", plots / "cost-response-size.png")


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["kernel", "auckland", "growth"], default="kernel")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", help="Python that has simpy and ciw")
    parser.add_argument("--data", type=Path, help="folder with auckland_ems; tests/DATA.md says where it is from")
    parser.add_argument("--replications", type=int, default=40)
    parser.add_argument("--days", type=float, default=250)
    parser.add_argument("--plots", type=Path, help="folder for the pictures of growth")
    given = parser.parse_args()
    if given.part != "kernel" and given.data is None:
        parser.error(f"--part {given.part} needs --data")
    pin(1)
    print(machine())
    if given.part == "kernel":
        show_kernel(given.calls, given.rounds, given.peers)
    elif given.part == "auckland":
        show_auckland(given.data, given.replications, given.days)
    else:
        show_growth(given.data, given.rounds, given.plots)


if __name__ == "__main__":
    main()
