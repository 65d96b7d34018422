"""Several strains at once: immunity across them, and which of them infected whom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.randomness import uniforms


def best_of(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest share (256,) among the strains of each set of strains (bit s for strain s)."""
    sets = np.arange(256)[:, None] >> np.arange(len(share)) & 1
    return (sets * share).max(axis=1)  # type: ignore[no-any-return]


def strains_of(
    new: NDArray[np.int32], day: int, found: dict[int, tuple[NDArray[Any], ...]], purpose: np.uint64
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Draw which strain infected each person, in proportion to the hazards of the day."""
    strains = np.array(list(found), np.int32)
    hazards = np.cumsum([totals for _, _, totals in found.values()], axis=0, dtype=float)
    draw = uniforms(purpose, new, day) * hazards[-1]
    pick = (hazards <= draw).sum(axis=0)
    rows = np.arange(len(new))
    infector = np.stack([infectors for infectors, _, _ in found.values()])[pick, rows]
    place = np.stack([places for _, places, _ in found.values()])[pick, rows]
    return infector, place, strains[pick]
