"""User equilibrium by paths: each pair of zones keeps its paths and moves trips from the dearer to the cheapest.

After Jayakrishnan, Tsai, Prashker & Rajadhyaksha (1994), Transportation Research Record 1443:75-83: new paths come from
shortest-path trees; between trees, trips are shifted among the paths there are until what they could save has fallen
well below what the trees found.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .demand import Pairs
from .streets import Curves, Graph

PASSES = 50
"""Most passes of shifts between two rounds of trees."""
SUFFICIENT = 0.03
"""Part of the saving found by the trees at which the passes end (the quickest of 0.01 to 0.3 on six TNTP networks)."""
NEGLIGIBLE = 0.1
"""Part of the mean saving of all pairs below which a pair is left alone in a pass (the quickest of 0 to 0.1)."""

FINER, FINER_ROUNDS = 0.01, 5
"""Part of the gap asked for, and most rounds, for which the search goes on: where paths differ by little, the objective
is right long before the flows of links are, and the last rounds are cheap."""
STUCK = 20
"""Rounds without a lower excess cost after which rounding allows no better."""


class PathFlows(NamedTuple):
    """Flows by path.

    Attributes:
        first_path: int64 (pairs + 1,) paths of pair p are first_path[p] … first_path[p + 1] − 1.
        first_arc: int64 (paths + 1,) arcs of path n are first_arc[n] … first_arc[n + 1] − 1; may be longer.
        flow: float64 (paths,) may be longer.
        arc: int32 (…,) arcs from origin to destination; may be longer.
    """

    first_path: NDArray[np.int64]
    first_arc: NDArray[np.int64]
    flow: NDArray[np.float64]
    arc: NDArray[np.int32]


def _room(pairs: int, paths: int, arcs: int) -> PathFlows:
    return PathFlows(
        np.zeros(pairs + 1, np.int64), np.zeros(paths + 1, np.int64), np.empty(paths), np.empty(arcs, np.int32)
    )


def _longer(flows: PathFlows) -> PathFlows:
    first_arc = np.zeros(2 * len(flows.flow) + 1, np.int64)
    first_arc[: len(flows.first_arc)] = flows.first_arc
    return PathFlows(flows.first_path, first_arc, np.tile(flows.flow, 2), np.tile(flows.arc, 2))


class Unreachable(Exception):  # noqa: N818
    """A pair without a path; ``args[0]`` is its row."""


def equilibrium(
    graph: Graph,
    curves: Curves,
    pairs: Pairs,
    gap: float,
    iterations: int,
    report: Callable[[int, float], None],
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[tuple[float, float]], PathFlows]:
    """Find flows by path at which nobody saves more than the gap allows.

    Args:
        graph, curves, pairs: the streets and the demand.
        gap: relative gap at which to end, or as soon after as a much lower one can be had (:data:`FINER`).
        iterations: most rounds of trees.
        report: called with round and relative gap after every round.

    Returns:
        Flow and cost of each arc; relative gap and average excess cost of each round; flows by path.

    Raises:
        Unreachable: if a pair has no path.
    """
    arcs = len(graph.head)
    count = len(pairs.trips)
    total = float(pairs.trips.sum())
    flow, cost, slope = np.zeros(arcs), np.empty(arcs), np.empty(arcs)
    kernels.set_costs(*curves, flow, cost, slope)
    new = _room(count, 2 * count + 8, 16 * count + len(graph.first))
    old = PathFlows(np.zeros(count + 1, np.int64), np.zeros(1, np.int64), np.empty(0), np.empty(0, np.int32))
    gaps: list[tuple[float, float]] = []
    loaded = False
    best = reached = 0  # round with the least excess cost, and the first with the gap asked for
    while True:
        state = np.zeros(4)
        begin = 0
        while begin < len(pairs.origin):
            begin = kernels.renew_paths(graph, pairs, cost, old, new, state, begin)
            if begin < 0:
                raise Unreachable(-1 - begin)
            if begin < len(pairs.origin):
                new = _longer(new)
        if loaded:
            saving, least = float(state[2]), float(state[3])
            spent = least + saving
            gaps.append((max(saving, 0.0) / spent if spent > 0 else 0.0, max(saving, 0.0) / total if total else 0.0))
            report(len(gaps), gaps[-1][0])
            rounds, relative = len(gaps), gaps[-1][0]
            best = rounds if best == 0 or gaps[-1][1] < gaps[best - 1][1] else best
            reached = rounds if reached == 0 and relative <= gap else reached
            fine = relative <= FINER * gap or (relative <= gap and rounds - reached >= FINER_ROUNDS)
            if fine or rounds >= iterations or rounds - best >= STUCK:
                return flow, cost, gaps, new
        flow[:] = 0.0
        kernels.add_flows(new, 0, count, flow)
        kernels.set_costs(*curves, flow, cost, slope)
        enough, leave = (0.0, 0.0) if not loaded else (SUFFICIENT * saving, NEGLIGIBLE * saving / max(count, 1))
        for _ in range(PASSES if loaded else 0):
            if kernels.shift_flows(new, curves, flow, cost, slope, leave) <= enough:
                break
        flow[:] = 0.0
        kernels.add_flows(new, 0, count, flow)
        kernels.set_costs(*curves, flow, cost, slope)
        loaded = True
        old, new = new, (old if len(old.flow) >= len(new.flow) else _room(count, len(new.flow), len(new.arc)))
