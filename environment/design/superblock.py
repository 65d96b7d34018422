"""Superblocks: every address inside stays reachable by car from the edge, and nobody drives through.

How it is done. Streets inside are cut into cells, one for each junction of the edge (a gate) by which cars come in. Every
junction inside belongs to the gate from which the way inside is shortest in time, and each street between two cells, or
between two gates, gets a modal filter, where bicycles, feet and buses pass. So whoever comes in by a gate can only go
out by the same one. Where one-way streets would keep cars from reaching a junction of their cell, or from leaving it,
the streets on the way between it and its gate are opened in the direction that is missing. Streets around from which one
comes back only through the block, or that are reached only through it, belong to it.
"""

import heapq
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from ..roads import Access, largest_component
from .streets import Streets

_FIRST, _LAST = 1e-3, 1e6  # what makes streets behind the block belong together, and the ways to them be cut


class Superblock(NamedTuple):
    """What a superblock did.

    Attributes:
        inside: int64 (n,) links inside on which cars drove.
        gates: int64 (m,) junctions of the edge by which cars come in.
        filtered: int64 links that cars can no longer use; a street that led from around into the block one way only, or
            out of it, is closed where it leaves the streets around.
        opened: int64 links that cars may use now and could not before.
        cut_off: junctions that cars could not both reach and leave before either.
    """

    inside: NDArray[np.int64]
    gates: NDArray[np.int64]
    filtered: NDArray[np.int64]
    opened: NDArray[np.int64]
    cut_off: int


def inside_links(streets: Streets, area: shapely.Geometry, margin: float) -> NDArray[np.int64]:
    """Return the links of an area on which cars drive, those of its edge aside.

    Args:
        streets: the streets.
        area: the area, in the CRS of the city.
        margin: m; a link of which no part is farther from the outline belongs to the edge.
    """
    cars = np.flatnonzero((streets.access & Access.CAR) > 0)
    lines = streets.lines[cars]
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    edge = area.boundary.buffer(margin)
    shapely.prepare(area)
    shapely.prepare(edge)
    return cars[shapely.contains(area, middle) & ~shapely.covered_by(lines, edge)]


def make_superblock(streets: Streets, area: shapely.Geometry, margin: float, kmh: float | None) -> Superblock:
    """Make an area a superblock, in place.

    Args:
        streets: the streets; links may be added to them.
        area: the area, in the CRS of the city.
        margin: m around the outline within which streets are its edge.
        kmh: speed limit inside; as before if None.

    Raises:
        ValueError: if there are no streets inside, or cars reach them from nowhere.
    """
    inside = inside_links(streets, area, margin)
    if not len(inside):
        raise ValueError(f"no street with cars lies inside, farther than {margin:g} m from the outline")
    cars = (streets.access & Access.CAR) > 0
    outside = cars.copy()
    outside[inside] = False
    nodes = len(streets.x)
    everywhere = largest_component(streets.start[cars], streets.end[cars], nodes)
    core = largest_component(streets.start[outside], streets.end[outside], nodes)
    beyond = _behind(streets, inside, np.flatnonzero(outside), core)
    within = np.concatenate([inside, beyond])
    ends = np.unique(np.concatenate([streets.start[within], streets.end[within]]))
    gates = ends[core[ends]]
    if not len(gates):
        raise ValueError("cars reach the streets inside from no street around; draw it along the streets of its edge")
    # What lies behind stays whole where it can, and is rather cut off from the streets around than from those inside.
    seconds = (streets.length / streets.speed).astype(float)
    at_core = core[streets.start[beyond]] | core[streets.end[beyond]]
    seconds[beyond] = np.where(at_core, seconds[beyond] + _LAST, seconds[beyond] * _FIRST)
    gate, parent = _cells(streets, within, gates, seconds)
    apart = gate[streets.start[within]] != gate[streets.end[within]]
    filtered = within[apart]
    streets.access[filtered] &= np.uint8(255 - Access.CAR)
    opened = _open(streets, within[~apart], gates, np.flatnonzero((gate >= 0) & everywhere), parent)
    if kmh is not None:
        slow = np.concatenate([inside, np.array(opened, np.int64)])
        streets.speed[slow] = np.minimum(streets.speed[slow], kmh / 3.6)
    return Superblock(inside, gates, filtered, np.array(opened, np.int64), int((~everywhere[ends]).sum()))


def _behind(
    streets: Streets, inside: NDArray[np.int64], outside: NDArray[np.int64], core: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the links around that belong to the block: those of streets that only lead into it, or out of it.

    They hang together with the inside without passing a junction of the core, in which all streets around reach each
    other.
    """
    arms: dict[int, list[tuple[int, int]]] = {}
    for link, a, b in zip(
        outside.tolist(), streets.start[outside].tolist(), streets.end[outside].tolist(), strict=True
    ):
        arms.setdefault(a, []).append((link, b))
        arms.setdefault(b, []).append((link, a))
    ends = np.unique(np.concatenate([streets.start[inside], streets.end[inside]]))
    todo = ends[~core[ends]].tolist()
    seen, found = set(todo), set()
    while todo:
        for link, other in arms.get(todo.pop(), ()):
            found.add(link)
            if not core[other] and other not in seen:
                seen.add(other)
                todo.append(other)
    return np.array(sorted(found), np.int64)


def _cells(
    streets: Streets, inside: NDArray[np.int64], gates: NDArray[np.int64], seconds: NDArray[np.float64]
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """Return the gate of each junction, (nodes,), −1 for none; and by junction the link on its way from the gate.

    The way is the shortest in time along streets whatever their direction; of equal ways that from the gate with the
    smaller number.
    """
    gate = np.full(len(streets.x), -1, np.int64)
    arms: dict[int, list[tuple[int, int]]] = {}
    for link in inside.tolist():
        a, b = int(streets.start[link]), int(streets.end[link])
        arms.setdefault(a, []).append((link, b))
        arms.setdefault(b, []).append((link, a))
    parent: dict[int, int] = {}
    queue = [(0.0, int(node), int(node), -1) for node in gates]
    heapq.heapify(queue)
    while queue:
        time, origin, node, link = heapq.heappop(queue)
        if gate[node] >= 0:
            continue
        gate[node] = origin
        if link >= 0:
            parent[node] = link
        for further, other in arms.get(node, ()):
            if gate[other] < 0:
                heapq.heappush(queue, (time + float(seconds[further]), origin, other, further))
    return gate, parent


def _open(
    streets: Streets,
    kept: NDArray[np.int64],
    gates: NDArray[np.int64],
    wanted: NDArray[np.int64],
    parent: dict[int, int],
) -> list[int]:
    """Open directions of streets until cars reach wanted junctions from their gates and come back; return links."""
    start, end = streets.start[kept].tolist(), streets.end[kept].tolist()
    reached = [_reached(start, end, gates), _reached(end, start, gates)]
    twins = streets.twins()
    opened: list[int] = []
    for node in wanted.tolist():
        for inwards in (True, False):
            here = node
            while here not in reached[not inwards] and here in parent:
                link = parent[here]
                before = int(streets.start[link] if streets.end[link] == here else streets.end[link])
                if streets.start[link] != (before if inwards else here):
                    opened += _both_ways(streets, link, int(twins[link]))
                    start.append(before if inwards else here)
                    end.append(here if inwards else before)
                here = before
            if here != node:  # others may be reached by what was opened
                reached = [_reached(start, end, gates), _reached(end, start, gates)]
    return opened


def _both_ways(streets: Streets, link: int, twin: int) -> list[int]:
    """Let cars drive a street in the direction other than that of a link; return the link that is new to them."""
    users = streets.access[link] & np.uint8(Access.CAR | Access.BUS)
    if twin >= 0:
        if streets.access[twin] & Access.CAR:
            return []
        streets.access[twin] |= users
        return [twin]
    like = streets.row(link) | {"start": streets.end[link], "end": streets.start[link], "access": users}
    return [streets.add_link(like, shapely.reverse(streets.lines[link]), streets.names[link])]


def _reached(start: list[int], end: list[int], gates: NDArray[np.int64]) -> set[int]:
    """Return the junctions that can be reached from gates along links."""
    arms: dict[int, list[int]] = {}
    for a, b in zip(start, end, strict=True):
        arms.setdefault(a, []).append(b)
    todo = [int(node) for node in gates]
    found = set(todo)
    while todo:
        for other in arms.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
