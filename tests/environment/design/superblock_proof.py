"""What a superblock promises, proved by following every car."""

import numpy as np
import shapely

from citytwin.environment.city import City
from citytwin.environment.design.streets import Streets
from citytwin.environment.design.superblock import inside_links
from citytwin.environment.roads import Access, largest_component


def reach(city: City, rows: np.ndarray, begin: set[int], backwards: bool = False) -> set[int]:
    """Return the junctions reached from some along links, those included; or from which these are reached."""
    found, todo = set(begin), list(begin)
    arms: dict[int, list[int]] = {}
    start, end = (city.links.end, city.links.start) if backwards else (city.links.start, city.links.end)
    for row in rows.tolist():
        arms.setdefault(int(start[row]), []).append(int(end[row]))
    while todo:
        for other in arms.get(todo.pop(), []):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def prove(
    before: City, after: City, area: shapely.Geometry, margin: float = 15.0, known_only: bool = False
) -> set[int]:
    """Assert what a superblock promises, by following every car; return the gates.

    Args:
        before, after: the city without and with the superblock.
        area, margin: of the superblock.
        known_only: leave out junctions that cars could not reach, or not leave, before.
    """
    before_cars = np.flatnonzero(before.links.access & Access.CAR)
    car = np.flatnonzero(after.links.access & Access.CAR)
    inside = inside_links(Streets(before), area, margin)
    pairs = {(int(before.links.start[r]), int(before.links.end[r])) for r in inside}
    pairs |= {(b, a) for a, b in pairs}
    within = np.array([(int(after.links.start[r]), int(after.links.end[r])) in pairs for r in car])
    outside_before = np.setdiff1d(before_cars, inside)
    core = largest_component(before.links.start[outside_before], before.links.end[outside_before], len(before.nodes))
    ends = {int(n) for r in inside for n in (before.links.start[r], before.links.end[r])}
    gates = {n for n in ends if core[n]}
    assert len(gates) > 1
    # from each gate, driving on streets inside alone, no other gate is reached
    for gate in gates:
        assert reach(after, car[within], {gate}) & gates == {gate}
    # by car, from anywhere in the streets around to every junction inside, and back
    around = {int(np.flatnonzero(core)[0])}
    known = reach(before, before_cars, around) & reach(before, before_cars, around, backwards=True)
    wanted = ends & known if known_only else ends
    assert wanted <= reach(after, car, around)
    assert wanted <= reach(after, car, around, backwards=True)
    return gates
