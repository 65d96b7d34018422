"""Distance to the nearest of units spread evenly by chance: the square-root law (Kolesar & Blum 1973)."""

import math

from .plan import SitingError, checked_share


def mean_distance(density: float, *, along_streets: bool = False) -> float:
    """Return the mean distance to the nearest free unit.

    Exact for free units placed independently (a Poisson process) in a wide area: k / √density, with k 0.5 as the crow
    flies and √(π/8) along a right-angled grid of streets.

    Args:
        density: free units a square metre (or any area, the distance being in its unit), above 0.
        along_streets: whether distances are those of a right-angled grid.

    Raises:
        SitingError: if the density is not above 0.
    """
    return (math.sqrt(math.pi / 8) if along_streets else 0.5) / math.sqrt(_checked(density))


def distance_within(density: float, share: float, *, along_streets: bool = False) -> float:
    """Return the distance that the nearest free unit does not exceed for a share of places, for example 0.9.

    Args:
        density, along_streets: as for :func:`mean_distance`.
        share: from 0 to below 1.

    Raises:
        SitingError: if the density is not above 0, or the share not from 0 to below 1.
    """
    area = -math.log1p(-checked_share("share", share, one=False)) / _checked(density)
    return math.sqrt(area / (2.0 if along_streets else math.pi))


def _checked(density: float) -> float:
    if not 0 < density < math.inf:
        raise SitingError(f"density: free units an area, above 0; got {density}")
    return density
