"""Cells that links cross: emissions of a link belong to the cells under it, by length."""

from typing import TYPE_CHECKING

import numpy as np

from ..grid import CityGrid
from ..network.network import Network
from . import AirError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def link_shares(network: Network, grid: CityGrid) -> "csr_matrix":
    """Return the share of each link's length that lies in each cell; links are straight lines between their nodes.

    Args:
        network: links with coordinates in the grid's CRS.
        grid: the cells.

    Returns:
        Sparse (links, cells), cells numbered as in :meth:`CityGrid.cell_of`. Each row sums to 1, less what lies
        outside the grid.

    Raises:
        AirError: if the network has no coordinates, or others than the grid.
    """
    from scipy.sparse import csr_matrix

    if network.crs != grid.crs:
        raise AirError(
            f"the network lies in '{network.crs or 'no CRS'}', the grid in '{grid.crs}'; both must have the same"
        )
    west, south, _, _ = grid.bounds
    # In units of cells, so that borders are whole numbers.
    x, y = (network.x - west) / grid.cell, (network.y - south) / grid.cell
    x0, y0, x1, y1 = x[network.start], y[network.start], x[network.end], y[network.end]
    links = np.arange(network.links)
    link, at = [links, links], [np.zeros(network.links), np.ones(network.links)]
    for a, b in ((x0, x1), (y0, y1)):
        low, high = np.minimum(a, b), np.maximum(a, b)
        first = np.floor(low) + 1
        count = np.maximum(np.ceil(high) - first, 0).astype(np.int64)  # borders strictly between the ends
        crossing = np.repeat(links, count)
        border = np.repeat(first, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        link.append(crossing)
        at.append((border - a[crossing]) / (b - a)[crossing])
    rows, along = np.concatenate(link), np.clip(np.concatenate(at), 0.0, 1.0)
    order = np.lexsort((along, rows))
    rows, along = rows[order], along[order]
    piece = np.flatnonzero(rows[1:] == rows[:-1])
    rows, share, middle = rows[piece], along[piece + 1] - along[piece], (along[piece + 1] + along[piece]) / 2
    cell = grid.cell_of(
        west + (x0[rows] + middle * (x1 - x0)[rows]) * grid.cell,
        south + (y0[rows] + middle * (y1 - y0)[rows]) * grid.cell,
    )
    kept = (cell >= 0) & (share > 0)
    return csr_matrix((share[kept], (rows[kept], cell[kept])), shape=(network.links, grid.shape[0] * grid.shape[1]))
