"""Incomes of households: a published distribution, alike among neighbours, drawn so that nothing else depends on it.

The income is equivalised disposable income (of the household by the modified OECD scale, the same for all its members),
over the median of the residents. Its logarithm is normal among people, with the Gini coefficient of the country. A share of
the variance lies between zones, as a field that fades with distance; the rest is the household's own. What people do, how
old they are and what they own is drawn without it (assumed).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..randomness import key, uniforms

GINI = {"DE": 0.293, "FR": 0.299, "IT": 0.312, "ES": 0.339, "CH": 0.295}
"""Gini coefficient of equivalised disposable income by country: EU-SILC 2010, Eurostat tessi190."""
GINI_EUROPE = 0.305
"""The same of the EU-27 in 2010, for residents of a census, whose country is not known."""
BETWEEN_ZONES = 0.26
"""Share of the variance of log income that lies between zones: the mean household incomes of Barcelona's 73 neighbourhoods,
by the root of their household size, have a variance of 0.0997 over people, and Spain's distribution one of 0.385."""
FADING = 1_200.0
"""Metres at which the correlation of zones has fallen to 1/e: an exponential fitted to these neighbourhoods up to 4 km."""
_WAVES = 512


def draw_incomes(
    zone: NDArray[np.integer],
    size: NDArray[np.integer],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,
    gini: float,
) -> NDArray[np.float32]:
    """Draw the income of each household.

    Among people, the distribution is met exactly: incomes are dealt in the order of what was drawn.

    Args:
        zone: (households,) zone of each.
        size: (households,) its people.
        x, y: (zones,) middles of the zones, m.
        seed: of the city.
        gini: Gini coefficient of the distribution, above 0 and below 1.

    Returns:
        float32 (households,) over the median of the people.
    """
    households = np.arange(len(zone))
    field = _standard(_field(x, y, seed), np.bincount(zone, size, len(x)))[zone]
    own = ndtri(uniforms(key(seed, "income"), households, 0))
    order = np.lexsort((households, np.sqrt(BETWEEN_ZONES) * field + np.sqrt(1.0 - BETWEEN_ZONES) * own))
    people = size[order].astype(float)
    rank = (np.cumsum(people) - people / 2.0) / people.sum()
    income = np.empty(len(zone), np.float32)
    income[order] = np.exp(spread_of(gini) * ndtri(rank))
    return income


def spread_of(gini: float) -> float:
    """Return the standard deviation of the logarithm in a lognormal distribution with a Gini coefficient.

    It is √2 Φ⁻¹((1 + G)/2) (Aitchison & Brown 1957, The Lognormal Distribution, section 11.4).
    """
    return float(np.sqrt(2.0) * ndtri((1.0 + gini) / 2.0))


def _field(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return a nearly normal field whose correlation is exp(−distance/FADING): a sum of waves of drawn length and course."""
    waves = np.arange(_WAVES)
    luck, course, phase = (uniforms(key(seed, "income of zones"), waves, part) for part in range(3))
    # of the spectrum of that correlation in the plane, waves longer than 2π/k have the share 1 − (1 + (k·FADING)²)^−1/2
    number = np.sqrt((1.0 - luck) ** -2.0 - 1.0) / FADING
    total = np.zeros(len(x))
    for k, angle, start in zip(number, 2.0 * np.pi * course, 2.0 * np.pi * phase, strict=True):
        total += np.cos(k * (np.cos(angle) * x + np.sin(angle) * y) + start)
    return total


def _standard(field: NDArray[np.float64], people: NDArray[Any]) -> NDArray[np.float64]:
    """Return a field with mean 0 and variance 1 over people; 0 where all zones with people have the same."""
    centred = field - field @ people / people.sum()
    variance = centred**2 @ people / people.sum()
    return centred / np.sqrt(variance) if variance > 1e-12 else np.zeros(len(field))
