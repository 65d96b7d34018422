"""Siting: how fast and how near the optimum, beside branch and bound and beside spopt.

    python benchmarks/siting.py                                   # towns drawn at random, 1,000 x 200 and 10,000 x 1,000
    python benchmarks/siting.py --spopt .venv-spopt/bin/python    # the same questions to spopt, solved by HiGHS there
    python benchmarks/siting.py --pmed FOLDER                     # pmed1.txt … of the OR-Library (Beasley 1985)

Seconds are processor seconds, compiling not counted: the median of five runs of ours, one of branch and bound and of spopt.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OPTIMA = {1: 5819, 2: 4093, 3: 4250, 4: 3034, 5: 1355, 6: 7824}
"""Of the OR-Library's pmed instances, by number."""
SIDE = 3000.0
"""Seconds along the side of a town."""
BUSY, RELIABILITY = 0.4, 0.8
SIZES = {(200, 100): (8, 500.0), (1_000, 200): (10, 400.0), (10_000, 1_000): (50, 200.0)}
"""Points and sites: units and standard in seconds."""
PROVEN, PROVEN_WAYS = 200_000, 20_000
"""Pairs of point and site up to which HiGHS is asked, for the p-median less."""
PEERS = ("MCLP", "LSCP", "p-median")
"""Questions that spopt answers in less than minutes."""


def town(points: int, sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and seconds of points in a square; sites are some of the points."""
    random = np.random.default_rng(1)
    at = random.random((points, 2)) * SIDE
    of = at[random.choice(points, sites, replace=False)]
    weights = random.integers(1, 50, points).astype(float)
    return weights, np.hypot(at[:, None, 0] - of[None, :, 0], at[:, None, 1] - of[None, :, 1])


def spent(work: Callable[[], Any], times: int = 1) -> tuple[Any, float]:
    """Return what work gives and the median of its processor seconds."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return result, statistics.median(seconds)


def questions(weights, seconds, units: int, standard: float) -> dict[str, Callable[[str], Any]]:
    """Return the questions by name, each a function of the method."""
    from citytwin.agents.response.siting.coverage import lscp, malp, mclp, mexclp
    from citytwin.agents.response.siting.nearest import p_centre, p_median

    return {
        "MCLP": lambda method: mclp(weights, seconds, standard, units, method=method),
        "MEXCLP": lambda method: mexclp(weights, seconds, standard, units, BUSY, method=method),
        "MALP": lambda method: malp(weights, seconds, standard, units, BUSY, RELIABILITY, method=method),
        "LSCP": lambda method: lscp(seconds, standard, method=method),
        "p-median": lambda method: p_median(weights, seconds, units, method=method),
        "p-centre": lambda method: p_centre(seconds, units, method=method),
    }


def spopt(python: str, problem: str, weights, seconds, units: int, standard: float) -> tuple[float, float]:
    """Return objective and processor seconds of spopt for one question."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "town.npz"
        np.savez(path, weights=weights, seconds=seconds, units=units, standard=standard)
        command = [python, __file__, "--peer", problem, str(path)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objective, cpu = out.split()[-2:]
    return float(objective), float(cpu)


def peer(problem: str, path: str) -> None:
    """Answer one question with spopt and print objective and processor seconds; runs in spopt's Python."""
    import pulp
    from spopt import locate

    case = np.load(path)
    cost, weights, units, standard = case["seconds"], case["weights"], int(case["units"]), float(case["standard"])
    start = time.process_time()
    if problem == "p-median":
        model = locate.PMedian.from_cost_matrix(cost, weights, p_facilities=units)
    elif problem == "MCLP":
        model = locate.MCLP.from_cost_matrix(cost, weights, service_radius=standard, p_facilities=units)
    else:
        model = locate.LSCP.from_cost_matrix(cost, service_radius=standard)
    solved = model.solve(pulp.HiGHS(msg=False))
    print(solved.problem.objective.value(), time.process_time() - start)


def pmed(folder: Path) -> None:
    """Print what becomes of the OR-Library's instances."""
    from scipy.sparse.csgraph import shortest_path

    from citytwin.agents.response.siting.nearest import p_median

    print("| instance | nodes | sites to open | optimum | greedy and swap | CPU ms | branch and bound | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for number, optimum in OPTIMA.items():
        numbers = np.array((folder / f"pmed{number}.txt").read_text(encoding="utf-8").split(), int)
        nodes, _, units = numbers[:3]
        lengths = np.full((nodes, nodes), np.inf)
        for start, end, length in numbers[3:].reshape(-1, 3):
            lengths[start - 1, end - 1] = lengths[end - 1, start - 1] = length  # of two edges the later one counts
        ways, weights = shortest_path(lengths, directed=False), np.ones(nodes)
        ours, cpu = spent(lambda ways=ways, w=weights, p=units: p_median(w, ways, p, method="greedy and swap"), 5)
        proven, long = spent(lambda ways=ways, w=weights, p=units: p_median(w, ways, p, method="exact"))
        print(
            f"| pmed{number} | {nodes} | {units} | {optimum} | {ours.objective:.0f} | {cpu * 1e3:.1f} | "
            f"{proven.objective:.0f} | {long:.2f} |"
        )


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pmed", type=Path, help="folder with pmed1.txt to pmed6.txt")
    parser.add_argument("--spopt", help="Python that has spopt, pulp and highspy")
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer(*arguments.peer)
        return
    weights, seconds = town(20, 10)
    for ask in questions(weights, seconds, 3, SIDE).values():
        ask("greedy and swap")
    if arguments.pmed:
        pmed(arguments.pmed)
        return
    print("| points x sites | question | greedy and swap | CPU s | proven | CPU s | spopt | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for (points, sites), (units, standard) in SIZES.items():
        weights, seconds = town(points, sites)
        for name, ask in questions(weights, seconds, units, standard).items():
            ours, cpu = spent(lambda ask=ask: ask("greedy and swap"), 5)
            cells = [f"{points:,} x {sites:,}", name, f"{ours.objective:,.0f}", f"{cpu:.3f}", "", "", "", ""]
            small = points * sites <= (PROVEN_WAYS if name == "p-median" else PROVEN)
            if small:
                proven, long = spent(lambda ask=ask: ask("exact"))
                cells[4:6] = [f"{proven.objective:,.0f} (gap {proven.gap:.1e})", f"{long:.2f}"]
            if arguments.spopt and small and name in PEERS:
                objective, long = spopt(arguments.spopt, name, weights, seconds, units, standard)
                cells[6:] = [f"{objective:,.0f}", f"{long:.2f}"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
