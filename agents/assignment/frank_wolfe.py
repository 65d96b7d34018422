"""User equilibrium by links: bi-conjugate Frank–Wolfe, which keeps no paths and needs the least memory.

After Mitradjieva & Lindberg (2013), The stiff is moving, Transportation Science 47(2):280-293: the point towards which
flows move mixes the flows of shortest paths with the two last such points, so that the direction is conjugate, by the
second derivatives of the objective, to the two directions before.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .demand import Pairs
from .gradient_projection import Unreachable
from .streets import Curves, Graph

LONGEST_STEP = 0.99999
"""A step that reaches its point makes the next directions meaningless; they begin anew from there."""


def equilibrium(
    graph: Graph,
    curves: Curves,
    pairs: Pairs,
    gap: float,
    iterations: int,
    report: Callable[[int, float], None],
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[tuple[float, float]]]:
    """Find flows by link at which nobody saves more than the gap allows.

    Args:
        graph, curves, pairs: the streets and the demand.
        gap: relative gap at which to end.
        iterations: most rounds of trees.
        report: called with round and relative gap after every round.

    Returns:
        Flow and cost of each arc; relative gap and average excess cost of each round.

    Raises:
        Unreachable: if a pair has no path.
    """
    arcs = len(graph.head)
    total = float(pairs.trips.sum())
    flow, cost, slope = np.zeros(arcs), np.empty(arcs), np.empty(arcs)
    nearest = np.empty(arcs)
    kernels.set_costs(*curves, flow, cost, slope)
    _, missing = kernels.load_all(graph, pairs, cost, flow)
    if missing >= 0:
        raise Unreachable(missing)
    points: list[NDArray[np.float64]] = []  # towards which the flows moved last and before that
    step = 0.0
    gaps: list[tuple[float, float]] = []
    while True:
        kernels.set_costs(*curves, flow, cost, slope)
        least, _ = kernels.load_all(graph, pairs, cost, nearest)
        spent = float(cost @ flow)
        saving = max(spent - least, 0.0)
        gaps.append((saving / spent if spent > 0 else 0.0, saving / total if total else 0.0))
        report(len(gaps), gaps[-1][0])
        if gaps[-1][0] <= gap or len(gaps) >= iterations:
            return flow, cost, gaps
        point = _point(flow, nearest, points, step, np.where(np.isfinite(slope), slope, 0.0))
        if float(cost @ (point - flow)) >= 0.0:
            point = nearest
        step = kernels.best_step(*curves, flow, point)
        flow = flow + step * (point - flow)
        points = [] if step > LONGEST_STEP else [point.copy(), *points[:1]]


def _point(
    flow: NDArray[np.float64],
    nearest: NDArray[np.float64],
    points: list[NDArray[np.float64]],
    step: float,
    slope: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the point towards which to move: conjugate to the last two directions as far as weights stay above 0."""
    if not points:
        return nearest
    way, last = nearest - flow, points[0] - flow
    if len(points) < 2:
        top, bottom = float(last @ (slope * way)), float(last @ (slope * (nearest - points[0])))
        weight = top / bottom if bottom != 0 else 0.0
        weight = min(max(weight, 0.0), LONGEST_STEP)
        return weight * points[0] + (1.0 - weight) * nearest
    before = step * points[0] + (1.0 - step) * points[1] - flow  # lies along the direction before the last
    bottom = float(before @ (slope * (points[1] - points[0])))
    older = max(-float(before @ (slope * way)) / bottom, 0.0) if bottom != 0 else 0.0
    bottom = float(last @ (slope * last))
    newer = max(-float(last @ (slope * way)) / bottom + older * step / (1.0 - step), 0.0) if bottom != 0 else 0.0
    return (nearest + newer * points[0] + older * points[1]) / (1.0 + newer + older)
