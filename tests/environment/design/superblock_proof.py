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


def prove(before: City, after: City, area: shapely.Geometry, margin: float = 15.0) -> set[int]:
    """Assert what a superblock promises, by following every car; return the gates.

    Args:
        before, after: the city without and with the superblock.
        area, margin: of the superblock.
    """
    before_cars = np.flatnonzero(before.links.access & Access.CAR)
    car = np.flatnonzero(after.links.access & Access.CAR)
    inside = inside_links(Streets(before), area, margin)
    around = np.setdiff1d(before_cars, inside)
    core = largest_component(before.links.start[around], before.links.end[around], len(before.nodes))
    passable = {int(row) for row in around if core[before.links.start[row]] and core[before.links.end[row]]}
    through = np.array([row not in passable for row in car.tolist()])
    ends = {int(n) for r in inside for n in (before.links.start[r], before.links.end[r])}
    leaving = {int(n) for r in car[through] for n in (after.links.start[r], after.links.end[r]) if core[n]}
    gates = leaving | {n for n in ends if core[n]}
    assert len(gates) > 1
    # whoever leaves the streets around, on whatever street, comes back to them nowhere but there
    for gate in gates:
        assert reach(after, car[through], {gate}) & set(np.flatnonzero(core).tolist()) == {gate}
    # by car, from anywhere in the streets around to every junction of the city, and back, as before
    somewhere = {int(np.flatnonzero(core)[0])}
    known = reach(before, before_cars, somewhere) & reach(before, before_cars, somewhere, backwards=True)
    assert len(ends & known) > 0.5 * len(ends)
    assert known <= reach(after, car, somewhere)
    assert known <= reach(after, car, somewhere, backwards=True)
    return gates & ends
