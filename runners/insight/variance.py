"""Sobol indices: which share of an indicator's variance each parameter brings, alone and together with others.

A Saltelli design has blocks of points. With rows a and b of two independent samples, and ab_j the row a whose parameter j
is that of b (ba_j the other way round), a block is ``a, ab_1 … ab_d, b``, or ``a, ab_1 … ab_d, ba_1 … ba_d, b`` where
effects of pairs are wanted too. The estimators are SALib's: first order by Saltelli et al. 2010 (Computer Physics
Communications 181:259-270, Table 2 b), total by Jansen 1999 (ibid., Table 2 f), second order by Saltelli 2002 (ibid.
145:280-297).
"""

import itertools
import warnings

import numpy as np

from .replicates import Floats, Integers


class DesignError(ValueError):
    """Points that are not those of the design that they are said to be of."""


def saltelli_blocks(points: Floats) -> tuple[Integers, bool]:
    """Return the blocks of a Saltelli design, and whether it serves effects of pairs.

    Args:
        points: (points, parameters) values in the order of the sweep.

    Returns:
        Numbers of points (blocks, members), and whether blocks have the rows ba.

    Raises:
        DesignError: if the points are not in such blocks.
    """
    count, parameters = points.shape
    for size, pairs in ((2 * parameters + 2, True), (parameters + 2, False)):
        if count and count % size == 0 and _is_saltelli(points.reshape(-1, size, parameters), pairs=pairs):
            return np.arange(count).reshape(-1, size), pairs
    raise DesignError(f"the {count} points are not blocks of a Saltelli design of {parameters} parameters")


def _is_saltelli(blocks: Floats, *, pairs: bool) -> bool:
    parameters = blocks.shape[2]
    first, last = blocks[:, 0], blocks[:, -1]
    for number in range(parameters):
        mixed = first.copy()
        mixed[:, number] = last[:, number]
        if not np.array_equal(mixed, blocks[:, 1 + number]):
            return False
        if pairs:
            mixed = last.copy()
            mixed[:, number] = first[:, number]
            if not np.array_equal(mixed, blocks[:, 1 + parameters + number]):
                return False
    return True


def sobol_indices(values: Floats, parameters: int, *, pairs: bool) -> Floats:
    """Return Sobol indices.

    Args:
        values: (blocks, members, samples) outputs; every sample is estimated by itself.
        parameters: number of them.
        pairs: whether blocks have the rows ba.

    Returns:
        (n, samples): first order of every parameter, total of every parameter, and, with ``pairs``, second order of every
        pair in the order of ``itertools.combinations``.
    """
    from SALib.analyze import sobol

    spread = values.std((0, 1))
    spread[spread == 0] = 1.0
    values = (values - values.mean((0, 1))) / spread
    first, last = values[:, 0], values[:, -1]
    mixed = [values[:, 1 + number] for number in range(parameters)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample may be constant: its indices are 0
        rows = [sobol.first_order(first, one, last) for one in mixed]
        rows += [sobol.total_order(first, one, last) for one in mixed]
        if pairs:
            back = [values[:, 1 + parameters + number] for number in range(parameters)]
            rows += [
                sobol.second_order(first, mixed[one], mixed[other], back[one], last)
                for one, other in itertools.combinations(range(parameters), 2)
            ]
    return np.array(rows)
