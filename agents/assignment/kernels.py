"""Loops of static assignment: link costs, shortest paths from an origin, flows by path.

Links are arcs here: they are numbered by the node where they begin, so that the arcs of node v are first[v] …
first[v + 1] − 1. Demand is sorted by origin in the same way, the pairs of origin o being first_pair[o] …
first_pair[o + 1] − 1; the paths of a pair and the arcs of a path follow each other in flat arrays too.
"""

import numpy as np
from numba import njit

LARGEST_FACTOR = 1e100
"""Most by which congestion multiplies a time; keeps steep curves finite far above capacity, where no equilibrium is."""
ACCEPTED = 0.5
"""A shift between two paths is accepted if it leaves at most this part of their difference with the other sign."""
STEP_ACCURACY = 1e-4
"""Part of the derivative of the objective at step 0 or 1, whichever is less, that may be left at the best step."""
LOPSIDED = 100.0
"""Ratio of two derivatives from which on a straight line between them says little about the root."""
TRIALS = 60
"""Steps or shifts tried before the last is taken."""


@njit(cache=True, nogil=True)
def congestion(flow, inverse, power):
    """Return the factor (flow · inverse)^power that a link's volume puts on its free time."""
    ratio = flow * inverse
    if ratio <= 0.0:
        return 0.0
    if power == 4.0:
        square = ratio * ratio
        factor = square * square
    elif power == 1.0:
        factor = ratio
    else:
        factor = ratio**power
    return min(factor, LARGEST_FACTOR)


@njit(cache=True, nogil=True)
def steepness(factor, flow, free, inverse, power):
    """Return the derivative of a link's cost by its flow."""
    if inverse == 0.0 or free == 0.0:
        return 0.0
    if flow > 0.0:
        return power * free * factor / flow
    if power > 1.0:
        return 0.0
    return free * inverse if power == 1.0 else np.inf


@njit(cache=True, nogil=True)
def set_costs(free, fixed, inverse, power, flow, cost, slope):
    """Set cost and derivative of every arc from its flow; arrays (arcs,)."""
    for a in range(flow.size):
        factor = congestion(flow[a], inverse[a], power[a])
        cost[a] = free[a] + fixed[a] + free[a] * factor
        slope[a] = steepness(factor, flow[a], free[a], inverse[a], power[a])


@njit(cache=True, nogil=True)
def descent(free, fixed, inverse, power, flow, toward, step):
    """Return the derivative of the objective by the step at flow + step · (toward − flow)."""
    total = 0.0
    for a in range(flow.size):
        way = toward[a] - flow[a]
        if way != 0.0:
            factor = congestion(flow[a] + step * way, inverse[a], power[a])
            total += way * (free[a] + fixed[a] + free[a] * factor)
    return total


@njit(cache=True, nogil=True)
def best_step(free, fixed, inverse, power, flow, toward):
    """Return the step from flow (arcs,) to toward (arcs,), at most 1, at which the objective is least.

    The root of its derivative by regula falsi in the Illinois form, with halvings where that is slow.
    """
    low, high = 0.0, 1.0
    at_low = descent(free, fixed, inverse, power, flow, toward, low)
    at_high = descent(free, fixed, inverse, power, flow, toward, high)
    if at_high <= 0.0:
        return 1.0
    if at_low >= 0.0:
        return 0.0
    side, goal = 0, STEP_ACCURACY * min(-at_low, at_high)
    for trial in range(TRIALS):
        if trial % 4 == 3 or at_high > LOPSIDED * -at_low or -at_low > LOPSIDED * at_high:
            step = (low + high) / 2
        else:
            step = (low * at_high - high * at_low) / (at_high - at_low)
        at_step = descent(free, fixed, inverse, power, flow, toward, step)
        if abs(at_step) <= goal:
            break
        if at_step < 0.0:
            low, at_low = step, at_step
            at_high *= 0.5 if side < 0 else 1.0
            side = -1
        else:
            high, at_high = step, at_step
            at_low *= 0.5 if side > 0 else 1.0
            side = 1
    return step


@njit(cache=True, nogil=True)
def grow_tree(streets, cost, origin, wanted, distance, entry, order, heap, key, position, goal):
    """Find the cheapest paths from a node (Dijkstra's algorithm on a heap of four children).

    Args:
        streets: first, head, tail, through.
        cost: (arcs,), not below 0.
        origin: node.
        wanted: number of nodes with ``goal``; the search ends when all are settled.
        distance: (nodes,) set; infinite where not reached.
        entry: (nodes,) set to the arc by which the path comes; −1 at the origin.
        order: (nodes,) set to the settled nodes, by distance.
        heap, key, position: (nodes,) room.
        goal: bool (nodes,); False at the origin.

    Returns:
        Number of nodes settled.
    """
    first, head, through = streets.first, streets.head, streets.through
    for v in range(distance.size):
        distance[v] = np.inf
        position[v] = -1
    distance[origin] = 0.0
    entry[origin] = -1
    heap[0], key[0] = origin, 0.0
    waiting, settled = 1, 0
    position[origin] = 0
    while waiting > 0:
        node, here = heap[0], key[0]
        waiting -= 1
        if waiting > 0:  # the last of the heap sinks from the top
            last, value = heap[waiting], key[waiting]
            at = 0
            while True:
                child = 4 * at + 1
                if child >= waiting:
                    break
                best, least = child, key[child]
                for other in range(child + 1, min(child + 4, waiting)):
                    if key[other] < least:
                        best, least = other, key[other]
                if least >= value:
                    break
                heap[at], key[at] = heap[best], least
                position[heap[at]] = at
                at = best
            heap[at], key[at] = last, value
            position[last] = at
        order[settled] = node
        settled += 1
        if node != origin:
            if goal[node]:
                wanted -= 1
                if wanted == 0:
                    break
            if not through[node]:
                continue
        for a in range(first[node], first[node + 1]):
            value = here + cost[a]
            v = head[a]
            if value < distance[v]:
                distance[v] = value
                entry[v] = a
                at = position[v]
                if at < 0:
                    at = waiting
                    waiting += 1
                while at > 0:
                    parent = (at - 1) >> 2
                    if key[parent] <= value:
                        break
                    heap[at], key[at] = heap[parent], key[parent]
                    position[heap[at]] = at
                    at = parent
                heap[at], key[at] = v, value
                position[v] = at
    return settled


@njit(cache=True, nogil=True)
def load_all(streets, demand, cost, flow):
    """Send all trips along the cheapest paths; ``flow`` (arcs,) is set.

    Returns:
        (cost of all trips, row of a pair that cannot be reached or −1).
    """
    tail = streets.tail
    origin, first_pair, destination, trips = demand.origin, demand.first_pair, demand.destination, demand.trips
    nodes = streets.first.size - 1
    distance, load = np.empty(nodes), np.zeros(nodes)
    entry, order, heap = np.empty(nodes, np.int32), np.empty(nodes, np.int32), np.empty(nodes, np.int32)
    key, position, goal = np.empty(nodes), np.empty(nodes, np.int32), np.zeros(nodes, np.bool_)
    flow[:] = 0.0
    total = 0.0
    for o in range(origin.size):
        low, high = first_pair[o], first_pair[o + 1]
        for pair in range(low, high):
            goal[destination[pair]] = True
        settled = grow_tree(streets, cost, origin[o], high - low, distance, entry, order, heap, key, position, goal)
        for pair in range(low, high):
            goal[destination[pair]] = False
            if distance[destination[pair]] == np.inf:
                return total, pair
            total += trips[pair] * distance[destination[pair]]
            load[destination[pair]] += trips[pair]
        for n in range(settled - 1, 0, -1):
            node = order[n]
            if load[node] > 0.0:
                a = entry[node]
                flow[a] += load[node]
                load[tail[a]] += load[node]
                load[node] = 0.0
        load[origin[o]] = 0.0
    return total, -1


@njit(cache=True, nogil=True)
def renew_paths(streets, demand, cost, old, new, state, begin):
    """Copy the paths in use and add the cheapest path of every pair where it is not among them.

    Args:
        streets: first, head, tail, through.
        demand: origin, first_pair, destination, trips.
        cost: (arcs,).
        old, new: first_path, first_arc, flow, arc; ``new`` is set from the ``begin``-th origin on.
        state: float64 (4,): paths and arcs in ``new``, cost that could be saved, and the cost of the cheapest paths.
        begin: origin to begin with.

    Returns:
        Origin to go on with when ``new`` has been given more room; the number of origins at the end; −1 − pair if a pair
        cannot be reached.
    """
    tail = streets.tail
    origin, first_pair, destination, trips = demand.origin, demand.first_pair, demand.destination, demand.trips
    old_path, old_arc, old_flow, old_arcs = old.first_path, old.first_arc, old.flow, old.arc
    new_path, new_arc, new_flow, new_arcs = new.first_path, new.first_arc, new.flow, new.arc
    nodes = streets.first.size - 1
    distance = np.empty(nodes)
    entry, order, heap = np.empty(nodes, np.int32), np.empty(nodes, np.int32), np.empty(nodes, np.int32)
    key, position, goal = np.empty(nodes), np.empty(nodes, np.int32), np.zeros(nodes, np.bool_)
    for o in range(begin, origin.size):
        low, high = first_pair[o], first_pair[o + 1]
        for pair in range(low, high):
            goal[destination[pair]] = True
        grow_tree(streets, cost, origin[o], high - low, distance, entry, order, heap, key, position, goal)
        paths, arcs = int(state[0]), int(state[1])
        saving, cheapest = 0.0, 0.0
        for pair in range(low, high):
            goal[destination[pair]] = False
            least = distance[destination[pair]]
            if least == np.inf:
                return -1 - pair
            cheapest += trips[pair] * least
            known, most, left = -1, -1, trips[pair]
            for path in range(old_path[pair], old_path[pair + 1]):
                if old_flow[path] <= 0.0:
                    continue
                length = old_arc[path + 1] - old_arc[path]
                if paths + 2 >= new_flow.size or arcs + length > new_arcs.size:
                    return o
                total = 0.0
                for n in range(old_arc[path], old_arc[path + 1]):
                    a = old_arcs[n]
                    total += cost[a]
                    new_arcs[arcs] = a
                    arcs += 1
                saving += old_flow[path] * (total - least)
                left -= old_flow[path]
                if total <= least:
                    known = paths
                if most < 0 or old_flow[path] > new_flow[most]:
                    most = paths
                new_flow[paths] = old_flow[path]
                paths += 1
                new_arc[paths] = arcs
            if most >= 0:  # what rounding took or gave
                new_flow[most] += left
            if known < 0:
                length = 0
                node = destination[pair]
                while entry[node] >= 0:
                    length += 1
                    node = tail[entry[node]]
                if paths + 2 >= new_flow.size or arcs + length > new_arcs.size:
                    return o
                arcs += length
                node = destination[pair]
                n = arcs
                while entry[node] >= 0:
                    n -= 1
                    new_arcs[n] = entry[node]
                    node = tail[entry[node]]
                new_flow[paths] = 0.0 if most >= 0 else trips[pair]
                paths += 1
                new_arc[paths] = arcs
            new_path[pair + 1] = paths
        state[0], state[1] = paths, arcs
        state[2] += saving
        state[3] += cheapest
    return origin.size


@njit(cache=True, nogil=True)
def add_flows(paths, low, high, flow):
    """Add the flows of the paths of the pairs low … high − 1 to those of their arcs."""
    first_arc, path_flow, arc = paths.first_arc, paths.flow, paths.arc
    for path in range(paths.first_path[low], paths.first_path[high]):
        for n in range(first_arc[path], first_arc[path + 1]):
            flow[arc[n]] += path_flow[path]


@njit(cache=True, nogil=True)
def shift_flows(paths, curves, flow, cost, slope, threshold):
    """Move trips of every pair from dearer paths to the cheapest it has, one pair of paths after the other.

    Each shift solves cost = cost on the arcs in which the two paths differ (Newton's method, shortened where it goes
    too far), and counts at once for all that follow.

    Args:
        paths: first_path, first_arc, flow, arc; flows are changed.
        curves: free, fixed, inverse, power of the arcs.
        flow, cost, slope: (arcs,), changed with the shifts.
        threshold: pairs that could save less cost than this are left alone.

    Returns:
        Cost that trips could have saved by other paths of their pair, as found on the way.
    """
    first_path, first_arc, path_flow, arc = paths.first_path, paths.first_arc, paths.flow, paths.arc
    free, fixed, inverse, power = curves.free, curves.fixed, curves.inverse, curves.power
    mark = np.zeros(flow.size, np.uint8)
    saved = 0.0
    for pair in range(first_path.size - 1):
        low, high = first_path[pair], first_path[pair + 1]
        if high - low < 2:
            continue
        best, least, spent, trips = -1, np.inf, 0.0, 0.0
        for path in range(low, high):
            total = 0.0
            for n in range(first_arc[path], first_arc[path + 1]):
                total += cost[arc[n]]
            spent += path_flow[path] * total
            trips += path_flow[path]
            if total < least:
                best, least = path, total
        saving = spent - trips * least
        saved += max(saving, 0.0)
        if saving <= threshold:
            continue
        best_low, best_high = first_arc[best], first_arc[best + 1]
        for n in range(best_low, best_high):
            mark[arc[n]] = 1
        for path in range(low, high):
            if path == best:
                continue
            path_low, path_high = first_arc[path], first_arc[path + 1]
            difference, steep = 0.0, 0.0
            for n in range(path_low, path_high):
                a = arc[n]
                if mark[a] == 1:
                    mark[a] = 2
                else:
                    difference += cost[a]
                    steep += slope[a]
            for n in range(best_low, best_high):
                a = arc[n]
                if mark[a] == 1:
                    difference -= cost[a]
                    steep += slope[a]
            # trips go from this path to the best one, or back where earlier shifts have made that one dearer
            giver, sign = (path, 1.0) if difference > 0.0 else (best, -1.0)
            size = path_flow[giver]
            if steep > 0.0 and abs(difference) < size * steep:
                size = abs(difference) / steep if steep < np.inf else size
            done = 0.0
            if size > 0.0 and difference != 0.0:
                for _ in range(TRIALS):
                    move = sign * (size - done)
                    done = size
                    after = 0.0
                    for n in range(path_low, path_high):
                        a = arc[n]
                        if mark[a] != 2:
                            flow[a] = max(flow[a] - move, 0.0)
                            factor = congestion(flow[a], inverse[a], power[a])
                            cost[a] = free[a] + fixed[a] + free[a] * factor
                            slope[a] = steepness(factor, flow[a], free[a], inverse[a], power[a])
                            after += cost[a]
                    for n in range(best_low, best_high):
                        a = arc[n]
                        if mark[a] != 2:
                            flow[a] = max(flow[a] + move, 0.0)
                            factor = congestion(flow[a], inverse[a], power[a])
                            cost[a] = free[a] + fixed[a] + free[a] * factor
                            slope[a] = steepness(factor, flow[a], free[a], inverse[a], power[a])
                            after -= cost[a]
                    if after * sign >= 0.0 or abs(after) <= ACCEPTED * abs(difference):
                        break
                    size *= max(0.1, difference / (difference - after))
                if giver == path:
                    path_flow[path] = 0.0 if done >= path_flow[path] else path_flow[path] - done
                    path_flow[best] += done
                else:
                    path_flow[best] = 0.0 if done >= path_flow[best] else path_flow[best] - done
                    path_flow[path] += done
            for n in range(best_low, best_high):
                mark[arc[n]] = 1
        for n in range(best_low, best_high):
            mark[arc[n]] = 0
    return saved
