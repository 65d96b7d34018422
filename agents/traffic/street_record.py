"""Passages of streets: those of all links that belong to a street, bus lanes among them."""

import numpy as np

from ...environment.network.network import Network
from .record import LinkRecord


def record_of_streets(record: LinkRecord, streets: Network) -> LinkRecord:
    """Return passages by street, the same record where every link is its own street.

    Counts add up. Seconds are the mean of all vehicles that left, on whichever lane; where none did, those of the general
    lanes.

    Args:
        record: by link of a network that may have links for bus lanes.
        streets: the network without these.
    """
    if record.network.street is None:
        return record
    first, lane = streets.links, record.network.street[streets.links :]
    whole = LinkRecord(streets)
    for name in ("entered", "left", "vehicles", "left_of"):
        counts = getattr(record, name)
        getattr(whole, name)[:] = counts[..., :first]
        getattr(whole, name)[..., lane] += counts[..., first:]
    spent = record.seconds * record.left
    whole.seconds[:] = record.seconds[:, :first]
    together = spent[:, lane] + spent[:, first:]
    left = whole.left[:, lane]
    whole.seconds[:, lane] = np.where(left > 0, together / np.maximum(left, 1), whole.seconds[:, lane])
    return whole
