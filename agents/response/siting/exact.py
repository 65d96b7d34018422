"""Plans that are proven best, by branch and bound (HiGHS through scipy)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from .plan import EXACT, SEARCH, Plan, SitingError, Task

NODES = 20_000
"""Branches after which a proof is given up; the plan keeps a gap then; assumed."""
_UNSOLVED, _INFEASIBLE = (1, 3, 4), 2


class Proof(NamedTuple):
    """What branch and bound found.

    Attributes:
        units: int64 (sites,), None if no plan was found.
        bound: no plan is better; infinite if there is no bound.
        feasible: False if it is proven that there is no plan.
    """

    units: NDArray[np.int64] | None
    bound: float
    feasible: bool


def chosen(
    problem: str,
    found: NDArray[np.int64],
    proof: Proof | None,
    value: Callable[[NDArray[np.int64]], float],
    *,
    minimise: bool = False,
) -> Plan:
    """Return the better of what the search and, if it was asked, branch and bound found.

    Args:
        problem: name of the problem.
        found: (sites,) units found by search.
        proof: what branch and bound found, None if it was not asked.
        value: objective of units.
        minimise: whether low values are good.
    """
    sign = -1.0 if minimise else 1.0
    if proof is None:
        return Plan(problem, SEARCH, found, float(value(found)))
    if proof.units is not None and sign * value(proof.units) > sign * value(found):
        found = proof.units
    objective = float(value(found))
    return Plan(problem, EXACT, found, objective, sign * float(max(sign * proof.bound, sign * objective)) + 0.0)


class Program:
    """A mixed integer program whose first columns are the units at sites.

    Args:
        least, most: (sites,) units that must and may stand at each site.
    """

    def __init__(self, least: NDArray[np.int64], most: NDArray[np.int64]):
        self.sites = self.columns = len(least)
        self._low, self._high = [least.astype(float)], [most.astype(float)]
        self._cost: list[NDArray[np.float64]] = [np.zeros(self.sites)]
        self._whole = [np.ones(self.sites)]
        self._rows: list[tuple[list[tuple[int, sparse.csr_array]], NDArray[np.float64]]] = []

    @classmethod
    def of(cls, task: Task) -> "Program":
        """Return a program that places the units of a task."""
        program = cls(task.least, task.most)
        program.total(0, program.sites, task.units)
        return program

    def total(self, first: int, sites: int, units: int) -> None:
        """Place so many units at some sites in a row."""
        ones = sparse.csr_array(np.ones((1, sites)))
        self.at_least([(first, ones)], [float(units)])
        self.at_least([(first, -ones)], [-float(units)])

    def add(self, cost: ArrayLike, *, whole: bool) -> int:
        """Add columns from 0 to 1 with these costs; return the first."""
        price = np.asarray(cost, float)
        first = self.columns
        self._low.append(np.zeros(len(price)))
        self._high.append(np.ones(len(price)))
        self._cost.append(price)
        self._whole.append(np.full(len(price), float(whole)))
        self.columns += len(price)
        return first

    def cost_of_sites(self, cost: ArrayLike) -> None:
        """Set the cost of a unit at each site."""
        self._cost[0] = np.broadcast_to(np.asarray(cost, float), (self.sites,))

    def at_least(self, blocks: list[tuple[int, sparse.csr_array]], low: ArrayLike) -> None:
        """Add rows: the sum of blocks, each a first column and a matrix, is at least ``low``."""
        self._rows.append((blocks, np.asarray(low, float)))

    def solve(self) -> Proof:
        """Return the units of lowest cost, and a bound of the cost."""
        pieces, lows = [], []
        for blocks, low in self._rows:
            parts = []
            for first, block in blocks:
                part = sparse.coo_array(block)
                parts.append((part.data, part.coords[0], part.coords[1] + first))
            data, row, column = (np.concatenate(piece) for piece in zip(*parts, strict=True))
            pieces.append(sparse.coo_array((data, (row, column)), shape=(len(low), self.columns)))
            lows.append(low)
        cost = np.concatenate(self._cost)
        scale = float(np.abs(cost).max()) or 1.0
        found = milp(
            cost / scale,
            integrality=np.concatenate(self._whole),
            bounds=Bounds(np.concatenate(self._low), np.concatenate(self._high)),
            constraints=LinearConstraint(sparse.csc_array(sparse.vstack(pieces)), np.concatenate(lows), np.inf),
            options={"mip_rel_gap": 0.0, "node_limit": NODES},
        )
        if found.status == _INFEASIBLE:
            return Proof(None, np.inf, False)
        if found.x is None and found.status not in _UNSOLVED:
            raise SitingError(f"the solver failed: {found.message}; choose method 'greedy and swap'")
        bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound) * scale
        units = None if found.x is None else np.rint(found.x[: self.sites]).astype(np.int64)
        return Proof(units, bound, True)


def eye(size: int, value: float = 1.0) -> sparse.csr_array:
    """Return a diagonal matrix."""
    return sparse.csr_array(sparse.eye_array(size) * value)


def most_covered(task: Task, weight: NDArray[np.float64], cover: sparse.csr_array, gains: NDArray[np.float64]) -> Proof:
    """Maximise the weight of covers, the k-th of a row being worth ``gains[k − 1]`` (none larger than the one before).

    Args:
        task: what is asked.
        weight: (rows,) demand.
        cover: (rows, sites) 1 where a site covers a row.
        gains: (k,) worth of further covers.
    """
    program = Program.of(task)
    firsts = [program.add(-weight * gain, whole=False) for gain in gains if gain > 0]
    rows = len(weight)
    program.at_least([(0, cover), *((first, eye(rows, -1.0)) for first in firsts)], np.zeros(rows))
    proof = program.solve()
    return proof._replace(bound=-proof.bound)


def most_reliable(task: Task, weight: NDArray[np.float64], cover: sparse.csr_array, covers: int) -> Proof:
    """Maximise the weight of rows with at least so many covers."""
    program = Program.of(task)
    rows = len(weight)
    first = program.add(-weight, whole=True)
    program.at_least([(0, cover), (first, eye(rows, -float(covers)))], np.zeros(rows))
    proof = program.solve()
    return proof._replace(bound=-proof.bound)


def fewest(task: Task, cover: sparse.csr_array) -> Proof:
    """Minimise the units that cover every row once."""
    program = Program(task.least, task.most)
    program.cost_of_sites(1.0)
    program.at_least([(0, cover)], np.ones(cover.shape[0]))
    return program.solve()


def double_cover(task: Task, near: sparse.csr_array, far: sparse.csr_array, share: float) -> Proof:
    """Maximise the weight covered twice within ``near``, a share of it covered once, and every point within ``far``."""
    program = Program.of(task)
    weight, rows = task.weights, len(task.weights)
    once = program.add(np.zeros(rows), whole=True)
    twice = program.add(-weight, whole=True)
    program.at_least([(0, near), (once, eye(rows, -1.0)), (twice, eye(rows, -1.0))], np.zeros(rows))
    program.at_least([(once, eye(rows)), (twice, eye(rows, -1.0))], np.zeros(rows))
    program.at_least([(once, sparse.csr_array(weight[None] / weight.sum()))], [share])
    program.at_least([(0, far)], np.ones(rows))
    proof = program.solve()
    return proof._replace(bound=-proof.bound)


def shortest_ways(task: Task) -> Proof:
    """Minimise the weighted ways to the nearest open site (p-median), in the form of Elloumi 2010 by distinct lengths.

    For each point and each distinct length, a variable says that no site so near is open. Every pair of point and site
    occurs once. Lengths are left out where as many farther sites cannot be open, or where one nearer must be.
    """
    program = Program.of(task)
    price, low = [], []
    entries: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    chain: list[tuple[int, int]] = []
    constant, row, variable = 0.0, 0, 0
    usable = task.most > 0
    for point in np.flatnonzero(task.weights > 0):
        weight, ways = task.weights[point], task.seconds[point]
        reachable = np.flatnonzero(usable & np.isfinite(ways))
        lengths, level = np.unique(ways[reachable], return_inverse=True)
        must = ways[task.least > 0].min(initial=np.inf)
        beyond = int(usable.sum()) - np.cumsum(np.bincount(level, minlength=len(lengths)))
        # beyond this length there is always an open site
        last = min(int(np.searchsorted(lengths, must)), int((beyond >= task.units).sum()), len(lengths) - 1)
        constant += weight * lengths[0]
        price.append(weight * np.diff(lengths)[:last])
        for step in range(last + 1):
            at = reachable[level == step]
            entries.append((np.full(len(at), row), at))
            chain.append((variable - 1 if step else -1, variable if step < last else -1))
            low.append(0.0 if step else 1.0)
            variable += step < last
            row += 1
    first = program.add(np.concatenate(price), whole=False)
    sites = tuple(np.concatenate(piece) for piece in zip(*entries, strict=True))
    before, here = np.array(chain).T
    covers = sparse.csr_array((np.ones(len(sites[0])), sites), shape=(row, program.sites))
    rows = np.arange(row)
    values = np.concatenate([np.ones((here >= 0).sum()), -np.ones((before >= 0).sum())])
    where = np.concatenate([rows[here >= 0], rows[before >= 0]])
    which = np.concatenate([here[here >= 0], before[before >= 0]])
    steps = sparse.csr_array((values, (where, which)), shape=(row, variable))
    program.at_least([(0, covers), (first, steps)], low)
    proof = program.solve()
    return proof._replace(bound=proof.bound + constant)


def most_together(
    stations: Task, hospitals: Task, near: NDArray[np.bool_], point: NDArray[np.intp], hospital: NDArray[np.intp]
) -> Proof:
    """Maximise the weight of points that have an open pair of station and hospital.

    Args:
        stations, hospitals: what is asked of both.
        near: (pairs, stations) stations that will do with each pair of point and hospital.
        point, hospital: (pairs,) the pairs.

    Returns:
        units of stations and then of hospitals.
    """
    first_hospital, pairs, points = len(stations.least), len(point), len(stations.weights)
    program = Program(
        np.concatenate([stations.least, hospitals.least]), np.concatenate([stations.most, hospitals.most])
    )
    program.total(0, first_hospital, stations.units)
    program.total(first_hospital, len(hospitals.least), hospitals.units)
    pair = np.arange(pairs)
    first = program.add(-stations.weights[point], whole=False)
    door = sparse.csr_array((np.ones(pairs), (pair, hospital)), shape=(pairs, len(hospitals.least)))
    for column, block in ((0, sparse.csr_array(near.astype(float))), (first_hospital, door)):
        program.at_least([(column, block), (first, eye(pairs, -1.0))], np.zeros(pairs))
    once = sparse.csr_array((-np.ones(pairs), (point, pair)), shape=(points, pairs))
    program.at_least([(first, once)], np.full(points, -1.0))
    proof = program.solve()
    return proof._replace(bound=-proof.bound)
