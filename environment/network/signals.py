"""Fixed-time signals for cities of which only is known where signals stand.

Junctions that stand closer together than :data:`JOINED` share one program. Approaches on the same axis, straight across
or side by side, are green together; each such group is a phase. The cycle follows from the number of phases, the greens
from the capacities that the ranks of the approaches stand for (Webster 1958, "Traffic signal settings": green in the
ratio of flow to saturation flow of the critical approach of each phase). Neighbouring programs are not coordinated.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..randomness import key, uniforms
from ..roads import Access, RoadRank
from .network import SATURATION, Network, Signals

if TYPE_CHECKING:
    from collections.abc import Sequence

SATURATION_FLOW = (
    1800.0 / 3600.0
)  # vehicles/s and lane during green (HCM 2000 takes 1,900 passenger cars/h before cuts)
CYCLE_A_PHASE = 30.0  # s; with two and three phases the 60 and 90 s that bound NACTO's range for towns
LOST = 4.0  # s a phase in which nobody drives: start-up and clearance (default of HCM 2000)
SHORTEST_GREEN = 10.0  # s, so that people get across the street beside it; assumed
JOINED = 20.0  # m along a street between two junctions of one program (default of SUMO's netconvert, tls.join-dist)
SAME_AXIS = 45.0  # degrees between two approaches that are green together, assumed
_HIGHEST = max(RoadRank) + 1


def with_signals(network: Network, signal: NDArray[np.bool_], seed: int) -> Network:
    """Return the network with fixed-time signals at the ends of all links that lead to the junctions named.

    The capacity of a link with a signal becomes its saturation flow, because what red takes away is no longer part of
    it; so does that of the links before it back to the last junction, and of those between junctions of one program,
    which have no signal of their own.

    Args:
        network: streets; its own signals, if any, are replaced.
        signal: bool (nodes,) where signals stand.
        seed: of the offsets.
    """
    ends = np.asarray(network.end, np.int64)
    drivable = network.usable(Access.CAR | Access.BUS)
    program = _programs(network, signal, drivable)
    inside = program[network.start] == program[network.end]
    links = np.flatnonzero(drivable & (program[ends] >= 0) & ~inside)
    if not len(links):
        return network.with_columns(signals=None)
    per_lane = np.array([SATURATION[RoadRank(rank)] for rank in range(_HIGHEST)])
    weight = per_lane[network.rank[links]]
    axis = np.degrees(
        np.arctan2(
            network.y[network.end[links]] - network.y[network.start[links]],
            network.x[network.end[links]] - network.x[network.start[links]],
        )
    )
    # program by program, the most important approach first
    order = np.lexsort((links, -network.lanes[links], -weight, program[ends[links]]))
    links, weight, axis = links[order], weight[order], axis[order]
    of = program[ends[links]]
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    cycle, start, end = np.empty(len(links)), np.empty(len(links)), np.empty(len(links))
    for low, high in zip(first, np.r_[first[1:], len(links)], strict=True):
        phase = _phases(axis[low:high])
        heads = [phase.index(number) for number in range(max(phase) + 1)]
        begin, green, whole = _program([float(weight[low + head]) for head in heads])
        cycle[low:high] = whole
        start[low:high] = [begin[number] for number in phase]
        end[low:high] = [begin[number] + green[number] for number in phase]
    node = np.full(int(program.max()) + 1, network.nodes, np.int64)
    np.minimum.at(node, program[program >= 0], np.flatnonzero(program >= 0))  # lowest node of each program
    offset = np.floor(uniforms(key(seed, "signal offsets"), node[of], 0) * cycle)
    flow = network.lanes[links] * SATURATION_FLOW
    free = _leading_to(network, drivable, links) | (drivable & inside & (program[ends] >= 0))
    capacity = np.where(free, network.lanes * SATURATION_FLOW, network.capacity)
    capacity[links] = flow
    signals = Signals(links.astype(np.int32), cycle, offset, start, end, flow)
    report = {"signal programs": len(first), "links with signals": len(links)}
    return network.with_columns(signals=signals, capacity=capacity, report=network.report | report)


def _programs(network: Network, signal: NDArray[np.bool_], drivable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of the program that each junction belongs to, −1 for none, (nodes,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near = drivable & signal[network.start] & signal[network.end] & (network.length <= JOINED)
    ends = (network.start[near].astype(np.int32), network.end[near].astype(np.int32))
    graph = coo_array((np.ones(int(near.sum())), ends), shape=(network.nodes, network.nodes))
    _, label = connected_components(graph, directed=False)
    return np.where(signal, label, -1).astype(np.int64)


def _leading_to(network: Network, drivable: NDArray[np.bool_], links: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which links lead to one of those given without a junction in between, (links,).

    Streets are cut where a path crosses them: only what cars may use makes a junction.
    """
    start, end = network.start.astype(np.int64), network.end.astype(np.int64)
    rows = np.flatnonzero(drivable & (start != end))
    pairs = np.unique(
        np.concatenate([start[rows] * network.nodes + end[rows], end[rows] * network.nodes + start[rows]])
    )
    node, neighbour = pairs // network.nodes, pairs % network.nodes
    degree = np.bincount(node, minlength=network.nodes)
    both = np.bincount(node, weights=neighbour, minlength=network.nodes).astype(np.int64)
    # where a street goes on, the next link leads from its end to the other neighbour of that node
    going = rows[degree[end[rows]] == 2]
    after = end[going] * network.nodes + both[end[going]] - start[going]
    known = start[rows] * network.nodes + end[rows]
    order = np.argsort(known, kind="stable")
    at = np.minimum(np.searchsorted(known[order], after), len(order) - 1)
    there = known[order][at] == after
    going, following = going[there], rows[order][at[there]]
    leading = np.zeros(network.links, bool)
    leading[links] = True
    before = 0
    while leading.sum() > before:
        before = leading.sum()
        leading[going] |= leading[following]
    leading[links] = False
    return leading


def _phases(axis: NDArray[np.float64]) -> list[int]:
    """Return the phase of each approach, numbered as they come; directions in degrees, the leading approach first."""
    leaders: list[float] = []
    phases = []
    for direction in axis.tolist():
        apart = [abs((direction - leader + 90.0) % 180.0 - 90.0) for leader in leaders]
        fitting = [number for number, angle in enumerate(apart) if angle < SAME_AXIS]
        phases.append(min(fitting, key=apart.__getitem__) if fitting else len(leaders))
        if not fitting:
            leaders.append(direction)
    return phases


def _program(weight: "Sequence[float]") -> tuple[list[float], list[float], float]:
    """Return begin and length of the green of each phase, and the cycle, in seconds.

    Where all approaches are on one axis, people on foot have a phase of their own.

    Args:
        weight: of each phase, the flow of its leading approach in vehicles an hour and lane.
    """
    phases = max(len(weight), 2)
    cycle = CYCLE_A_PHASE * phases
    green = _split([*weight, 0.0][:phases], cycle - LOST * phases)
    begin = [sum(green[:number]) + LOST * number for number in range(len(weight))]
    return begin, green[: len(weight)], cycle


def _split(weight: "Sequence[float]", seconds: float) -> list[float]:
    """Share seconds out by weight, nobody getting less than the shortest green."""
    short: set[int] = set()
    while True:
        left = seconds - SHORTEST_GREEN * len(short)
        total = sum(w for number, w in enumerate(weight) if number not in short)
        green = [SHORTEST_GREEN if number in short else left * w / total for number, w in enumerate(weight)]
        wanting = {number for number, g in enumerate(green) if g < SHORTEST_GREEN}
        if not wanting:
            return green
        short |= wanting
