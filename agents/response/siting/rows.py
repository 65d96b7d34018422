"""Rows of demand and the sites that cover them."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .kernels import Cover

Part = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]
"""Weight (rows,), cover (rows, sites), and worth (units + 2,) of being covered by 0, 1, 2, … units."""


def grouped(weights: NDArray[np.float64], within: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return demand and cover with points that the same sites cover as one row; those without demand or site are out."""
    rows = np.flatnonzero((weights > 0) & within.any(1))
    bits = np.packbits(within[rows], axis=1)
    _, first, row = np.unique(bits.view(f"V{bits.shape[1]}")[:, 0], return_index=True, return_inverse=True)
    demand = np.bincount(row, weights[rows], len(first)).astype(float)
    return demand, within[rows[first]]


def once(units: int) -> NDArray[np.float64]:
    """Return the worth (units + 2,) of covers of which only the first counts."""
    return np.minimum(np.arange(units + 2.0), 1.0)


def cover_of(*parts: Part) -> Cover:
    """Return rows of one kind a part, for the kernels."""
    within = sparse.csr_array(np.concatenate([part[1] for part in parts]))
    by_site = sparse.csr_array(within.T)
    return Cover(
        np.concatenate([part[0] for part in parts]),
        np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts]),
        np.stack([part[2] for part in parts]),
        by_site.indptr.astype(np.int64),
        by_site.indices.astype(np.int32),
        within.indptr.astype(np.int64),
        within.indices.astype(np.int32),
    )
