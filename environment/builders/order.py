"""Order along a space-filling curve: neighbours in space become neighbours in memory."""

import numpy as np
from numpy.typing import NDArray


def morton_order(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the permutation that sorts points along the Z-order curve (Morton 1966) of a 65,536 x 65,536 grid."""
    side = max(np.ptp(x), np.ptp(y), 1e-9) if len(x) else 1.0
    columns = ((x - np.min(x, initial=np.inf)) / side * 65_535).astype(np.uint64)
    rows = ((y - np.min(y, initial=np.inf)) / side * 65_535).astype(np.uint64)
    return np.argsort(_spread_bits(columns) | (_spread_bits(rows) << np.uint64(1)), kind="stable")


def _spread_bits(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Put the lower 16 bits of each value on the even bits."""
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        value = (value | (value << np.uint64(shift))) & np.uint64(mask)
    return value
