"""Rates of transmission by place, and the rate that gives a wanted R0 on the visits of a city.

The hazard of a pair is ``transmission · weight of the kind of place · crowding · overlap in days``.

R0 is the mean number of secondary cases of a typical early case. It is computed from the next-generation matrix
(Diekmann, Heesterbeek & Metz 1990, J. Math. Biol. 28:365-382) on the actual visits: K[a, b] is the number of people of
group b whom a case of group a infects if everybody else is susceptible, and R0 is its dominant eigenvalue. Groups are
bands of age, each split by whether people have a class or team. For a sample of index cases in each group, the mean daily
hazard h of every person they meet in the week is summed over places, and the pair is infected with chance
1 − E[exp(−h · D · infectiousness)] over the laws of the infectious days D and of the infectiousness.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...environment.city import City
from ...environment.places import PlaceKind
from ...environment.randomness import key, uniforms
from ..presence import Presence
from .disease import Disease
from .kernels import meet, tally

SATURATING = (PlaceKind.SHOP, PlaceKind.LEISURE, PlaceKind.HOSPITAL)
"""Kinds where people have a number of contacts that hardly grows with the number of visitors; elsewhere all meet."""

AGE_BANDS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80)
SAMPLE = 300
"""Index cases in each group."""
MOST_VISITS = 256
"""Visits looked at in one place."""
_BINS_FROM, _BINS_PER_OCTAVE, _BINS = -64.0, 4, 320


class TransmissionError(ValueError):
    """A wanted R0 that no rate of transmission gives."""


def crowding(city: City, day_type: int) -> NDArray[np.float64]:
    """Return the factor (places − homes,) on the rate of a pair by the number N of visitors of the place that day.

    In saturating kinds it is min(1, c/(N − 1)) with c = 5 + 35 (1 − exp(−N/1000)) effective contacts (EpiSimdemics and
    Loimos, "MinMaxAlpha"), in others 1. N is that of the schedule, so contacts fall when visitors stay away.
    """
    schedule, homes = city.schedules[day_type], city.homes
    first = np.asarray(schedule.place_first[homes:], np.int64)
    visitor = np.asarray(schedule.visitor[first[0] :])
    new = np.ones(len(visitor) + 1, np.int64)  # one more entry, so that empty places at the end have a position
    new[1:-1] = visitor[1:] != visitor[:-1]
    new[first - first[0]] = 1
    before = np.concatenate([[0], np.cumsum(new[:-1])])
    visitors = np.diff(before[first - first[0]])
    effective = 5 + 35 * (1 - np.exp(-visitors / 1000))
    factor = np.minimum(1.0, effective / np.maximum(visitors - 1, 1))
    return np.where(np.isin(city.places.kind[homes:], SATURATING), factor, 1.0)


@dataclass
class NextGeneration:
    """Pairs of index case and person met by groups and mean daily hazard at a transmission of 1.

    Attributes:
        counts, sums: (groups, groups, bins) pairs per index case, and the sum of their hazards.
        disease: gives the laws of infectious days and infectiousness.
    """

    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    disease: Disease

    @classmethod
    def of(cls, presence: Presence, disease: Disease, weights: dict[PlaceKind, float]) -> "NextGeneration":
        """Count the pairs on the schedule of a city, policies left out of account.

        Args:
            presence: presence in the city; the city's seed is that of the sample of index cases.
            disease: gives the susceptibility by age.
            weights: weight of every kind of place.
        """
        city = presence.city
        seed = city.info.seed
        age = np.asarray(city.people.age)
        band = np.searchsorted(AGE_BANDS, age, side="right") - 1
        group = (2 * band + (np.asarray(city.people.activity) >= 0)).astype(np.int64)
        groups = 2 * len(AGE_BANDS)
        chosen = _sample(group, groups, seed)
        rate = np.array([weights[kind] for kind in PlaceKind])
        types, days = np.unique(city.info.week, return_counts=True)
        parts = []
        for number in types:
            day = next(d for d in range(7) if presence.day_type(d) == number)
            parts.append(
                meet(
                    chosen,
                    presence.visits(day),
                    rate,
                    crowding(city, number),
                    MOST_VISITS,
                    key(seed, f"next generation {number}"),
                )
            )
        offset = np.concatenate([[0], np.cumsum([len(part[1]) for part in parts])])
        counts = np.zeros((groups, groups, _BINS))
        sums = np.zeros((groups, groups, _BINS))
        tally(
            days / days.sum(),
            np.stack([part[0] + start for part, start in zip(parts, offset[:-1], strict=True)]),
            *(np.concatenate([part[column] for part in parts]) for column in (1, 2, 3)),
            group[chosen],
            group,
            disease.susceptibility.by_age()[age],
            _BINS_FROM,
            _BINS_PER_OCTAVE,
            counts,
            sums,
        )
        cases = np.maximum(np.bincount(group[chosen], minlength=groups), 1)[:, None, None]
        return cls(counts / cases, sums / cases, disease)

    def matrix(self, transmission: float) -> NDArray[np.float64]:
        """Return the next-generation matrix (groups, groups): row of the case, column of those infected."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(self.counts > 0, self.sums / self.counts, 0.0)
        return (self.counts * self._chance(mean * transmission)).sum(axis=2)

    def _chance(self, hazard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance that a pair of this mean daily hazard is infected over the infectious days of one."""
        share = np.diff(self.disease.infectious_days(), prepend=0.0)
        days = np.flatnonzero(share > 0)
        escape = np.zeros_like(hazard)
        used = hazard > 0
        escape[used] = self.disease.infectiousness.laplace(hazard[used][:, None] * days) @ share[days]
        return np.where(used, 1.0 - escape, 0.0)

    def r0(self, transmission: float) -> float:
        """Return R0 at a rate of transmission."""
        return float(np.abs(np.linalg.eigvals(self.matrix(transmission))).max())

    def transmission(self, r0: float) -> float:
        """Return the rate of transmission, per day of overlap at home, that gives R0.

        Raises:
            TransmissionError: if even certain infection of everybody met gives less.
        """
        infectious = self.disease.infectious.mean
        slope = float(np.abs(np.linalg.eigvals(self.sums.sum(axis=2))).max()) * infectious
        most = float(np.abs(np.linalg.eigvals(self.counts.sum(axis=2))).max())
        if slope <= 0 or r0 >= 0.99 * most:
            raise TransmissionError(
                f"r0 = {r0:g} cannot be reached: a typical case meets {most:.3g} susceptible people; "
                "lower r0, or give transmission instead"
            )
        low, high = 0.0, r0 / slope
        while self.r0(high) < r0:
            low, high = high, 2 * high
        # Regula falsi (Illinois) on a function that is concave in the rate.
        f_low, f_high = self.r0(low) - r0 if low else -r0, self.r0(high) - r0
        for _ in range(50):
            middle = high - f_high * (high - low) / (f_high - f_low)
            value = self.r0(middle) - r0
            if abs(value) < 1e-9 * r0:
                return middle
            if value * f_high < 0:
                low, f_low = high, f_high
            else:
                f_low /= 2
            high, f_high = middle, value
        return middle


def _sample(group: NDArray[np.int64], groups: int, seed: int) -> NDArray[np.int32]:
    """Return up to SAMPLE people of each group, those with the smallest draws, ordered by number."""
    draw = uniforms(key(seed, "index case"), np.arange(len(group)), 0)
    chosen = []
    for number in range(groups):
        members = np.flatnonzero(group == number)
        if len(members) > SAMPLE:
            members = members[np.argpartition(draw[members], SAMPLE)[:SAMPLE]]
        chosen.append(members)
    return np.sort(np.concatenate(chosen)).astype(np.int32)
