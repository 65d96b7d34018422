"""Figures that an epidemiologist reports: of the infections of a run, and the contacts of a city.

Infections are given as the table that a run writes: columns ``person``, ``infector`` (−1 for nobody in the city) and
``day``, one row an infection; a DataFrame will do. Who was infected several times causes infections by the latest one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ...environment.city import City
from ...environment.places import PlaceKind
from ..presence import fixed
from .rates import crowding

Infections = Mapping[str, Any]
ADULT = 18
"""Age from which housemates count as adults, years."""
_K_RANGE = (1e-3, 1e4)
"""Dispersions that are told apart; a larger one is a Poisson law."""


class Spread(NamedTuple):
    """Mean and standard deviation of a time in days, and the number of values; not a number where there are none."""

    mean: float
    sd: float
    number: int


class Offspring(NamedTuple):
    """Law of the secondary cases of an infection.

    Attributes:
        mean, variance: of the number of secondary cases.
        dispersion: k of the negative binomial law of that mean which is most likely; infinite if they vary no more than
            Poisson's law.
        top_fifth: share of all secondary cases that the 20 % of cases with the most of them cause.
        number: cases looked at.
    """

    mean: float
    variance: float
    dispersion: float
    top_fifth: float
    number: int


class HouseholdAttack(NamedTuple):
    """Secondary attack rate in households: people infected by the first case itself, by susceptible housemates of it.

    Attributes:
        all, adults, children: of all housemates, those of :data:`ADULT` years and over, and younger ones.
        by_size: (largest size + 1,) by size of the household.
        households: households looked at.
    """

    all: float
    adults: float
    children: float
    by_size: NDArray[np.float64]
    households: int


# ---------------------------------------------------------------------- infections


def infecting_rows(infections: Infections) -> NDArray[np.int32]:
    """Return for each infection (n,) the row of the infection that caused it, −1 if that is not in the table."""
    person, infector, day = (np.asarray(infections[name], np.int32) for name in ("person", "infector", "day"))
    in_order = bool((day[1:] >= day[:-1]).all())
    order = np.arange(len(day), dtype=np.int32) if in_order else np.argsort(day, kind="stable").astype(np.int32)
    return _infecting(person, infector, day, order, np.full(person.max(initial=-1) + 1, -1, np.int32))


@njit(cache=True, nogil=True)
def _infecting(person, infector, day, order, latest):
    """Return the rows; ``latest`` (people,) of −1 is used up."""
    rows = np.full(person.size, -1, np.int32)
    for row in order:
        by = infector[row]
        if 0 <= by < latest.size and latest[by] >= 0 and day[latest[by]] < day[row]:
            rows[row] = latest[by]
        latest[person[row]] = row
    return rows


def secondary_cases(infections: Infections) -> NDArray[np.int64]:
    """Return the number of infections (n,) that each infection caused."""
    rows = infecting_rows(infections)
    return np.bincount(rows[rows >= 0], minlength=len(rows))


def effective_reproduction(infections: Infections, days: int) -> NDArray[np.float64]:
    """Return the case reproduction number (days,): mean secondary cases of those infected on each day, NaN on days of none.

    Those infected late have not caused all their cases by the end of the run: the last days, about as many as an infection
    lasts, come out too low.
    """
    day = np.asarray(infections["day"], np.int64)
    caused = np.bincount(day, secondary_cases(infections), minlength=days)[:days]
    return _ratio(caused, np.bincount(day, minlength=days)[:days])


def generation_time(infections: Infections) -> Spread:
    """Return the days from the infection of an infector to the infections it causes."""
    rows, day = infecting_rows(infections), np.asarray(infections["day"], np.int64)
    caused = rows >= 0
    return _spread(day[caused] - day[rows[caused]])


def serial_interval(infections: Infections, ill_since: ArrayLike) -> Spread:
    """Return the days from the infector's first symptoms to those of the people infected, both ill.

    Args:
        infections: as above.
        ill_since: (n,) day when symptoms of each infection began, −1 for those without.
    """
    rows, ill = infecting_rows(infections), np.asarray(ill_since, np.int64)
    pairs = (rows >= 0) & (ill >= 0) & (ill[rows] >= 0)
    return _spread(ill[pairs] - ill[rows[pairs]])


def offspring(infections: Infections, until: int | None = None) -> Offspring:
    """Return the law of the secondary cases of those infected before the day ``until``, by default of all.

    Those infected late have not caused all their cases by the end of the run.
    """
    caused = secondary_cases(infections)
    if until is not None:
        caused = caused[np.asarray(infections["day"]) < until]
    if not len(caused):
        return Offspring(np.nan, np.nan, np.nan, np.nan, 0)
    mean, fifth = float(caused.mean()), len(caused) / 5
    # Cumulative from the most infectious on; a fifth of the cases may end within a case.
    most = np.concatenate([[0], np.cumsum(np.sort(caused)[::-1])])
    top = np.interp(fifth, np.arange(len(most)), most)
    return Offspring(
        mean, float(caused.var()), _dispersion(caused), float(top / most[-1]) if mean else np.nan, len(caused)
    )


def _dispersion(number: NDArray[np.int64]) -> float:
    """Return the most likely dispersion of a negative binomial law with the mean of the numbers."""
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    mean = number.mean()
    if not mean or number.var() <= mean:
        return np.inf if mean else np.nan
    count = np.bincount(number)
    value = np.arange(len(count))

    def unlikely(log_k: float) -> float:
        k = np.exp(log_k)
        log_chance = gammaln(value + k) - gammaln(k) - (value + k) * np.log1p(mean / k) + value * np.log(mean / k)
        return -float(count @ log_chance)

    return float(np.exp(minimize_scalar(unlikely, bounds=np.log(_K_RANGE), method="bounded").x))


def household_attack(
    infections: Infections, city: City, immune: NDArray[np.bool_] | None = None, until: int | None = None
) -> HouseholdAttack:
    """Return the secondary attack rate in households.

    The first case of a household is its member infected first; households with two on that day are left out, and those
    of one person. Later generations, and infections from outside, do not count as infected, yet as susceptible.

    Args:
        infections: as above.
        city: the city.
        immune: (people,) who was immune at the start, by default nobody.
        until: only first cases infected before this day count, by default all; those infected late in a run have not
            infected all their housemates by its end.
    """
    person, day = (np.asarray(infections[name], np.int32) for name in ("person", "day"))
    first, household, age = city.households.first, np.asarray(city.people.household), city.people.age
    homes, home = city.homes, household[person]
    earliest = np.full(homes, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(earliest, home, day)
    at_first = np.flatnonzero(day == earliest[home])
    single = np.bincount(home[at_first], minlength=homes)[home[at_first]] == 1
    size = np.diff(first)
    index = at_first[single & (size[home[at_first]] > 1)]  # rows
    if until is not None:
        index = index[day[index] < until]
    is_index = np.zeros(len(person) + 1, bool)  # one more, for the row -1 of nobody
    is_index[index] = True
    rows = infecting_rows(infections)
    struck = np.flatnonzero(is_index[rows] & (home == home[rows]))

    susceptible = np.isin(household, home[index])
    susceptible[person[index]] = False
    if immune is not None:
        susceptible &= ~immune
    housemates = np.flatnonzero(susceptible)

    def rates(group: NDArray[Any], number: int) -> NDArray[np.float64]:
        infected = np.bincount(group[person[struck]], minlength=number)
        return _ratio(infected, np.bincount(group[housemates], minlength=number))

    child, adult = rates((age >= ADULT).astype(np.int64), 2)
    everybody = _ratio(np.array([len(struck)]), np.array([len(housemates)]))[0]
    by_size = rates(size[household], int(size.max(initial=0)) + 1)
    return HouseholdAttack(float(everybody), float(adult), float(child), by_size, len(index))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _spread(days: NDArray[np.int64]) -> Spread:
    return Spread(float(days.mean()), float(days.std()), len(days)) if len(days) else Spread(np.nan, np.nan, 0)


# ---------------------------------------------------------------------- contacts


def contact_matrix(
    city: City, bands: Sequence[int], *, minimum: int = 1, kinds: Iterable[PlaceKind] = tuple(PlaceKind)
) -> NDArray[np.float64]:
    """Return the contacts (bands, bands) that a person of one age band has with people of another, a day of the week.

    A contact is another person in the same places for some time of the day together. It counts with the crowding factor of
    the place, as in the epidemic, as people in a shop do not meet everybody there; whoever is met in two places counts
    once, with the larger factor. With n people in each band, n[a] · matrix[a, b] = n[b] · matrix[b, a].

    Args:
        city: the city.
        bands: first age of each band, rising from 0.
        minimum: quarters of an hour together, at least.
        kinds: kinds of places that count.

    Returns:
        Mean number, by band of the person and of those met; NaN rows for bands without people.

    Raises:
        ValueError: if the bands do not rise from 0.
    """
    edges = np.asarray(bands)
    if edges.ndim != 1 or not edges.size or edges[0] != 0 or (np.diff(edges) <= 0).any():
        raise ValueError(f"bands = {list(bands)}: give the first age of each band, rising from 0, such as [0, 18, 65]")
    band = (np.searchsorted(edges, city.people.age, side="right") - 1).astype(np.int64)
    counted = np.isin(city.places.kind, [int(kind) for kind in kinds])
    total = np.zeros((len(edges), len(edges)))
    types, days = np.unique(city.info.week, return_counts=True)
    for number, share in zip(types.tolist(), days / days.sum(), strict=True):
        schedule = city.schedules[number]
        factor = np.concatenate([np.ones(city.homes), crowding(city, number)]) * counted
        total += share * _meetings(
            fixed(schedule.first),
            fixed(schedule.place),
            fixed(schedule.start),
            fixed(schedule.end),
            fixed(schedule.place_first),
            fixed(schedule.visitor),
            fixed(schedule.visitor_start),
            fixed(schedule.visitor_end),
            factor,
            band,
            len(edges),
            max(minimum, 1),
        )
    people = np.bincount(band, minlength=len(edges))
    return _ratio(total + total.T, people[:, None])


@njit(cache=True, nogil=True)
def _meetings(first, place, start, end, place_first, visitor, visitor_start, visitor_end, factor, band, bands, minimum):
    """Return the sum of the factors of all pairs of people by their bands (bands, bands); each pair once."""
    people = first.size - 1
    together = np.zeros(people, np.int64)
    strongest = np.zeros(people)
    met = np.empty(people, np.int32)
    total = np.zeros((bands, bands))
    for person in range(people):
        number = 0
        for v in range(first[person], first[person + 1]):
            q = place[v]
            if factor[q] == 0.0:
                continue
            # Visitors are in the order of people: those after this person are on the right of it.
            low, high = np.int64(place_first[q]), np.int64(place_first[q + 1])
            while low < high:
                middle = (low + high) // 2
                if visitor[middle] <= person:
                    low = middle + 1
                else:
                    high = middle
            for u in range(low, place_first[q + 1]):
                overlap = min(np.int64(end[v]), np.int64(visitor_end[u])) - max(
                    np.int64(start[v]), np.int64(visitor_start[u])
                )
                if overlap <= 0:
                    continue
                other = visitor[u]
                if together[other] == 0:
                    met[number] = other
                    number += 1
                    strongest[other] = 0.0
                together[other] += overlap
                strongest[other] = max(strongest[other], factor[q])
        for m in range(number):
            other = met[m]
            if together[other] >= minimum:
                total[band[person], band[other]] += strongest[other]
            together[other] = 0
    return total
