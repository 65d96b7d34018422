"""What the streets of a redrawn city were before: where a street was closed to cars, people still walk out of the door."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..city import City

REPORT = "access_lost"
"""Key of ``city.info.report`` under which a redrawn city keeps what its links have lost: access bits by link."""


def lost_access(city: "City", access: NDArray[np.uint8]) -> dict[str, int]:
    """Return which access links lose, as the report of the redrawn city keeps it.

    Args:
        city: the city before.
        access: (links,) bits of the redrawn city, whose first links are those of the city.
    """
    before = access_before(city)
    lost = before & ~np.asarray(access, np.uint8)[: len(before)]
    return {str(link): int(lost[link]) for link in np.flatnonzero(lost)}


def access_before(city: "City") -> NDArray[np.uint8]:
    """Return the access bits of links (links,) with what street designs have taken from them."""
    access = np.array(city.links.access, np.uint8)
    for link, bits in city.info.report.get(REPORT, {}).items():
        access[int(link)] |= bits
    return access
