"""Static user equilibrium: flows at which nobody saves time or cost by another path (Wardrop 1952, first principle)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from . import frank_wolfe, gradient_projection, kernels
from .demand import Demand, Pairs
from .gradient_projection import Unreachable
from .streets import AssignmentError, Curves, Graph, Streets

Method = Literal["paths", "links"]
"""How the equilibrium is found: gradient projection on paths, or bi-conjugate Frank–Wolfe on link flows."""
ITERATIONS = 100_000
"""Most rounds of shortest-path trees, unless said otherwise."""
_SHOWN = 20  # objects named in one message


@dataclass(frozen=True)
class Paths:
    """Flows by path.

    Attributes:
        cell: int64 (paths,) row of the demand that travels on the path.
        flow: float64 (paths,) trips.
        first: int64 (paths + 1,) links of path n are link[first[n]] … link[first[n + 1] − 1].
        link: int64 (…,) rows of the streets, from origin to destination.
    """

    cell: NDArray[np.int64]
    flow: NDArray[np.float64]
    first: NDArray[np.int64]
    link: NDArray[np.int64]


@dataclass(frozen=True)
class Assignment:
    """A user equilibrium, up to its gap. Costs and times are in the unit of the streets' free times.

    Attributes:
        method: how it was found.
        flow: float64 (links,) trips on each link.
        time: float64 (links,) time that the link takes at this flow.
        cost: float64 (links,) time and what toll and length add.
        objective: Beckmann's sum of integrals of link costs, which the equilibrium makes least.
        relative_gap: part of all cost that trips could save by the cheapest paths at these costs.
        average_excess_cost: the same cost by trip.
        total_time, total_cost: sums over all trips.
        trips: number of trips assigned.
        intrazonal: number of trips that end where they begin; they are not assigned.
        iterations: rounds of shortest-path trees.
        gaps: relative gap after each round.
        converged: whether the gap is the one asked for.
        max_node_imbalance: most trips by which any node's inflow, outflow and demand do not match.
        cpu_seconds: processor seconds of the search, without the compilation of its kernels.
        paths: flows by path; None for the method by links.
    """

    method: Method
    flow: NDArray[np.float64]
    time: NDArray[np.float64]
    cost: NDArray[np.float64]
    objective: float
    relative_gap: float
    average_excess_cost: float
    total_time: float
    total_cost: float
    trips: float
    intrazonal: float
    iterations: int
    gaps: list[float]
    converged: bool
    max_node_imbalance: float
    cpu_seconds: float
    paths: Paths | None


def assign(
    streets: Streets,
    demand: Demand,
    *,
    gap: float = 1e-6,
    method: Method = "paths",
    iterations: int = ITERATIONS,
    progress: Callable[[int, float], None] | None = None,
) -> Assignment:
    """Find the user equilibrium of a demand on streets.

    Args:
        streets: links and their costs.
        demand: trips between nodes; those that end where they begin are left out and counted.
        gap: relative gap to reach; the method by paths goes on to a hundredth of it where few rounds do.
        method: ``"paths"`` keeps the paths in use and is by far the quicker; ``"links"`` needs no memory for them.
        iterations: most rounds of shortest-path trees.
        progress: called with round and relative gap after every round.

    Raises:
        AssignmentError: if the demand names unknown nodes, a zone has no link, a destination cannot be reached, or an
            argument is out of bounds.
    """
    if not 0 < gap < 1:
        raise AssignmentError(f"gap is {gap:g}, must be between 0 and 1, as in 1e-6")
    if iterations < 1:
        raise AssignmentError(f"iterations is {iterations}, must be 1 or more")
    if method not in get_args(Method):
        raise AssignmentError(f"method is '{method}', must be one of {', '.join(get_args(Method))}")
    _check(streets, demand)
    graph, link = streets.graph()
    curves = streets.curves(link)
    pairs, cell = demand.pairs()
    report = progress or (lambda *_: None)
    warm()
    began = time.process_time()
    paths = None
    try:
        if method == "paths":
            arc_flow, arc_cost, gaps, by_path = gradient_projection.equilibrium(
                graph, curves, pairs, gap, iterations, report
            )
            paths = _paths(by_path, link, cell)
        else:
            arc_flow, arc_cost, gaps = frank_wolfe.equilibrium(graph, curves, pairs, gap, iterations, report)
    except Unreachable:
        raise _unreachable(streets, graph, pairs, demand, cell) from None
    spent = time.process_time() - began
    flow, cost = np.empty(streets.links), np.empty(streets.links)
    flow[link], cost[link] = arc_flow, arc_cost
    times = cost - streets.fixed
    return Assignment(
        method=method,
        flow=flow,
        time=times,
        cost=cost,
        objective=streets.objective(flow),
        relative_gap=gaps[-1][0],
        average_excess_cost=gaps[-1][1],
        total_time=math.fsum(flow * times),
        total_cost=math.fsum(flow * cost),
        trips=math.fsum(pairs.trips),
        intrazonal=demand.intrazonal,
        iterations=len(gaps),
        gaps=[relative for relative, _ in gaps],
        converged=gaps[-1][0] <= gap,
        max_node_imbalance=_imbalance(streets, flow, demand),
        cpu_seconds=spent,
        paths=paths,
    )


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    graph = Graph(np.array([0, 1, 1], np.int32), np.ones(1, np.int32), np.zeros(1, np.int32), np.ones(2, bool))
    curves = Curves(np.ones(1), np.zeros(1), np.ones(1), np.ones(1))
    pairs = Pairs(np.zeros(1, np.int32), np.array([0, 1]), np.ones(1, np.int32), np.ones(1))
    for search in (gradient_projection.equilibrium, frank_wolfe.equilibrium):
        search(graph, curves, pairs, -1.0, 2, lambda *_: None)  # a gap that is never reached


def _paths(flows: gradient_projection.PathFlows, link: NDArray[np.int64], cell: NDArray[np.int64]) -> Paths:
    """Return the paths in use, in terms of links and cells of the demand."""
    count = int(flows.first_path[-1])
    used = flows.flow[:count] > 0
    length = np.diff(flows.first_arc[: count + 1])
    arcs = flows.arc[: flows.first_arc[count]]
    first = np.concatenate([[0], np.cumsum(length[used])])
    of_path = np.repeat(cell, np.diff(flows.first_path))
    return Paths(of_path[used], flows.flow[:count][used], first, link[arcs[np.repeat(used, length)]])


def _imbalance(streets: Streets, flow: NDArray[np.float64], demand: Demand) -> float:
    some = demand.origin != demand.destination
    left = np.bincount(streets.start, flow, streets.nodes) - np.bincount(streets.end, flow, streets.nodes)
    left -= np.bincount(demand.origin[some], demand.trips[some], streets.nodes)
    left += np.bincount(demand.destination[some], demand.trips[some], streets.nodes)
    return float(np.abs(left).max(initial=0.0))


# ---------------------------------------------------------------------- errors


def _check(streets: Streets, demand: Demand) -> None:
    """Refuse demand that names unknown nodes, is no number, or begins or ends where no link does."""
    found: list[str] = []
    for name, ends, has in (("origin", demand.origin, streets.start), ("destination", demand.destination, streets.end)):
        for cell in np.flatnonzero((ends < 0) | (ends >= streets.places))[:_SHOWN]:
            allowed = f"{streets.first_name} … {streets.places - 1 + streets.first_name}"
            node = int(ends[cell]) + streets.first_name
            found.append(f"{demand.at(int(cell))}{name} is node {node}, the network has nodes {allowed}")
        if found:
            continue
        linked = np.zeros(streets.nodes, bool)
        linked[has] = True
        lost = np.flatnonzero((demand.trips > 0) & (demand.origin != demand.destination) & ~linked[ends])
        for zone, cell in zip(*np.unique(ends[lost], return_index=True), strict=True):
            trips = float(demand.trips[lost][ends[lost] == zone].sum())
            way = "leaves" if name == "origin" else "reaches"
            what = f"{trips:g} trips have the {name} {int(zone) + streets.first_name}, but no link {way} it"
            found.append(f"{demand.at(int(lost[cell]))}{what}")
    wrong = np.flatnonzero(~((demand.trips >= 0) & np.isfinite(demand.trips)))
    found += [f"{demand.at(int(cell))}trips is {demand.trips[cell]:g}, must be a number from 0 on" for cell in wrong]
    if found:
        more = [f"… and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise AssignmentError("\n".join(found[:_SHOWN] + more))


def _unreachable(
    streets: Streets, graph: Graph, pairs: Pairs, demand: Demand, cell: NDArray[np.int64]
) -> AssignmentError:
    """Return the error that names the pairs without a path."""
    nodes = streets.nodes
    distance, entry = np.empty(nodes), np.empty(nodes, np.int32)
    room = (np.empty(nodes, np.int32), np.empty(nodes, np.int32), np.empty(nodes), np.empty(nodes, np.int32))
    cost, goal = np.ones(len(graph.head)), np.zeros(nodes, bool)
    found: list[str] = []
    for row, origin in enumerate(pairs.origin):
        low, high = pairs.first_pair[row], pairs.first_pair[row + 1]
        kernels.grow_tree(graph, cost, origin, nodes + 1, distance, entry, *room, goal)
        for pair in low + np.flatnonzero(np.isinf(distance[pairs.destination[low:high]])):
            ends = f"{origin + streets.first_name} → {pairs.destination[pair] + streets.first_name}"
            found.append(f"{demand.at(int(cell[pair]))}{pairs.trips[pair]:g} trips {ends} have no path")
    more = [f"… and {len(found) - _SHOWN} more pairs"] if len(found) > _SHOWN else []
    remedy = (
        "Add the links that are missing, or take the trips out (zones below the first through node are not passed)."
    )
    return AssignmentError("\n".join([*found[:_SHOWN], *more, remedy]))
