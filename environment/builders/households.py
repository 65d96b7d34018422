"""Households: sizes and ages sampled jointly, so that children live with adults and both tables are met.

Method: sizes by quota; the number of minors in each household by size; a wished age for every adult (those alone by how
usual that is at each age, parents from their child's age, couples alike and from what the age table leaves); then the
exact ages of the table are dealt to the wishes rank by rank. Sizes and ages thus equal their tables (to one household),
and who lives with whom stays plausible.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..randomness import key, uniform, uniforms

AGE_BANDS = (0, 10, 20, 30, 40, 50, 60, 70, 80)
OLDEST = 100  # years
ADULT_AGE = 18  # years
COUNTRIES = {"DE": "Germany", "FR": "France", "IT": "Italy", "ES": "Spain", "CH": "Switzerland"}
"""Countries whose ages are known, by ISO 3166 code."""

AGE_SHARES: dict[str, tuple[float, ...]] = {
    "DE": (0.094, 0.095, 0.112, 0.130, 0.122, 0.161, 0.127, 0.089, 0.070),
    "FR": (0.115, 0.121, 0.113, 0.123, 0.128, 0.132, 0.119, 0.088, 0.062),
    "IT": (0.083, 0.095, 0.101, 0.116, 0.149, 0.158, 0.124, 0.100, 0.075),
    "ES": (0.091, 0.101, 0.099, 0.126, 0.170, 0.151, 0.114, 0.086, 0.063),
    "CH": (0.102, 0.097, 0.120, 0.141, 0.135, 0.153, 0.113, 0.087, 0.053),
}
"""Share of residents by ten-year band, 80+ last: UN World Population Prospects as tabulated in Covasim's data files."""

SIZE_SHARES = (0.336, 0.319, 0.156, 0.131, 0.040, 0.012, 0.006)
"""Share of households of 1 … 7 persons: EU-28 2017, Eurostat labour force survey; the split of 5+ (5.8 %) is assumed."""

# Chance that a household of the size has 0, 1, 2 … minors, before the scaling that meets the age table (assumed). With
# Germany's ages 23 % of households have minors, and 29 % minors or children up to 24 years. Eurostat 2017, which
# counts dependent children, those up to 24 in education among them, has 29 % in the EU, 4 % being lone parents.
_MINORS = np.array(
    [
        [1.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00],
        [0.93, 0.07, 0.00, 0.00, 0.00, 0.00, 0.00],
        [0.40, 0.50, 0.10, 0.00, 0.00, 0.00, 0.00],
        [0.17, 0.18, 0.60, 0.05, 0.00, 0.00, 0.00],
        [0.12, 0.13, 0.20, 0.50, 0.05, 0.00, 0.00],
        [0.10, 0.10, 0.20, 0.20, 0.40, 0.00, 0.00],
        [0.10, 0.10, 0.15, 0.20, 0.20, 0.25, 0.00],
    ]
)
_PARENT_GAP = 31.0  # years between parent and child: mean age of mothers at birth, EU-27 2019, Eurostat 30.8
_PARENT_GAP_SD = 5.0  # years, assumed
_PARTNER_GAP_SD = 3.0  # years, assumed
_GROWN_PARENT = 56.0  # years, mean age of whoever has grown-up children at home and no minors, assumed
_GROWN_PARENT_SD = 6.0  # years, assumed
# Share of people living alone by age, to be scaled to the number of one-person households (assumed; the order of
# magnitude of Germany's microcensus: .25 .20 .16 .19 .25 .30 .50 from the twenties to the eighties)
_ALONE_AGES = (18.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 100.0)
_ALONE = (0.08, 0.25, 0.20, 0.16, 0.19, 0.25, 0.30, 0.50, 0.60)
_LONE, _COUPLE, _OTHER = 0, 1, 2


@dataclass(frozen=True)
class Households:
    """People grouped in households.

    Attributes:
        first: int32 (households + 1,) position of each household's first person.
        age: uint8 (people,) years; adults come first in each household.
        sex: uint8 (people,) 0 female, 1 male.
    """

    first: NDArray[np.int32]
    age: NDArray[np.uint8]
    sex: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Persons in each household, (households,)."""
        return np.diff(self.first)


def quota(weights: NDArray, total: int) -> NDArray[np.int64]:
    """Share ``total`` whole units out by weight: cumulative rounding, exact in sum, within one of each exact share."""
    steps = np.cumsum(np.asarray(weights, float))
    if steps[-1] <= 0:
        raise ValueError("all weights are zero")
    return np.diff(np.rint(steps / steps[-1] * total).astype(np.int64), prepend=0)


def ages_by_year(shares: tuple[float, ...]) -> NDArray[np.float64]:
    """Spread shares by ten-year band over single years 0 … 100: flat within a band, falling by 12 % a year from 80."""
    by_year = np.zeros(OLDEST + 1)
    for band, share in enumerate(shares[:-1]):
        by_year[10 * band : 10 * band + 10] = share / 10
    tail = 0.88 ** np.arange(OLDEST + 1 - AGE_BANDS[-1])
    by_year[AGE_BANDS[-1] :] = shares[-1] * tail / tail.sum()
    return by_year / by_year.sum()


def sample_households(
    people: int,
    seed: int,
    *,
    ages: NDArray[np.float64] | None = None,
    sizes: tuple[float, ...] = SIZE_SHARES,
) -> Households:
    """Sample the households of a population.

    Args:
        people: number of residents, exact in the result.
        seed: every draw depends on it and on the household's number alone.
        ages: share by single year (101,), default Germany's.
        sizes: share of households of 1, 2 … persons (at most 7).

    Returns:
        Households in random order.
    """
    by_year = ages_by_year(AGE_SHARES["DE"]) if ages is None else np.asarray(ages, float) / np.sum(ages)
    shares = np.asarray(sizes, float) / np.sum(sizes)
    mean_size = float(shares @ np.arange(1, len(shares) + 1))
    size = np.repeat(np.arange(1, len(shares) + 1), quota(shares, max(1, round(people / mean_size))))
    size = _shuffled(size, seed, "household size")
    _fix_total(size, people)
    first = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)

    pool = np.repeat(np.arange(OLDEST + 1), quota(by_year, people)).astype(np.uint8)
    minors = _draw_minors(size, int((pool < ADULT_AGE).sum()), seed)
    youngest = int(minors.sum())  # the minors of the table, or as many as have an adult to live with
    minor_pool = _shuffled(pool[:youngest], seed, "age of minors")
    adult_pool = pool[youngest:]
    residual = np.bincount(adult_pool, minlength=OLDEST + 1).astype(np.float64)
    wish = np.full(people, -1.0, np.float32)
    kind = np.empty(people, np.uint8)
    age = np.zeros(people, np.uint8)
    _wish_lone(first, residual, seed, wish)
    _wish_parents(first, minors, minor_pool, key(seed, "parents"), residual, age, wish, kind)
    _wish_others(first, kind, residual, key(seed, "wished age"), wish)
    adults = np.flatnonzero(kind != 255)
    age[adults[np.argsort(wish[adults], kind="stable")]] = adult_pool
    sex = _sexes(first, kind, key(seed, "sex"))
    return Households(first, age, sex)


def _wish_lone(first: NDArray[np.int32], residual: NDArray[np.float64], seed: int, wish: NDArray[np.float32]) -> None:
    """Wish ages of people living alone, and take those from the residual of the age table."""
    lone = first[:-1][np.diff(first) == 1]
    weight = residual * np.interp(np.arange(len(residual)), _ALONE_AGES, _ALONE)
    if not len(lone) or not weight.any():
        return
    draw = key(seed, "living alone")
    steps = np.cumsum(weight)
    year = np.minimum(np.searchsorted(steps, uniforms(draw, lone, 0) * steps[-1], side="right"), len(steps) - 1)
    wish[lone] = year + uniforms(draw, lone, 1)
    residual -= np.bincount(year, minlength=len(residual))


def _shuffled(values: NDArray, seed: int, purpose: str) -> NDArray:
    return values[np.argsort(_keys(key(seed, purpose), len(values)))]


def _fix_total(size: NDArray[np.int64], people: int) -> None:
    """Grow or shrink households by one person, spread over the list, until the sizes add up to the people."""
    missing = people - int(size.sum())
    step = 1 if missing > 0 else -1
    while missing:
        able = (
            np.flatnonzero((size > 1) & (size < 5)) if len(size) > abs(missing) else np.flatnonzero(size > (step < 0))
        )
        if not len(able):
            able = np.flatnonzero(size > 0)
        chosen = able[np.linspace(0, len(able) - 1, min(abs(missing), len(able))).astype(int)]
        size[chosen] += step
        missing -= step * len(chosen)


def _draw_minors(size: NDArray[np.int64], wanted: int, seed: int) -> NDArray[np.int64]:
    """Draw the number of minors of each household so that they add up exactly; every household keeps an adult."""
    u = _keys(key(seed, "minors"), len(size))
    rows = np.minimum(size, len(_MINORS)) - 1
    some = _MINORS[:, 1:].sum(1)
    expected = float((_MINORS[:, 1:] @ np.arange(1, _MINORS.shape[1]))[rows].sum())
    factor = wanted / expected if expected else 0.0  # scales the chance of having minors at all
    chance = np.minimum(some * factor, 0.98)[rows]
    within = np.cumsum(_MINORS[:, 1:], axis=1) / np.maximum(some, 1e-12)[:, None]
    rank = (u - (1.0 - chance)) / np.maximum(chance, 1e-12)
    drawn = np.where(rank < 0.0, 0, 1 + (rank[:, None] > within[rows]).sum(1))
    drawn = np.minimum(drawn, size - 1)
    order = np.argsort(_keys(key(seed, "minors, correction"), len(size)))
    missing = wanted - int(drawn.sum())
    while missing:
        step = 1 if missing > 0 else -1
        able = order[(drawn[order] + step <= size[order] - 1) & (drawn[order] + step >= 0) & (size[order] > 2)]
        if not len(able):
            able = order[(drawn[order] + step <= size[order] - 1) & (drawn[order] + step >= 0)]
        if not len(able):  # more minors in the table than places beside an adult
            break
        able = able[: abs(missing)]
        drawn[able] += step
        missing -= step * len(able)
    return drawn


@njit(cache=True, nogil=True)
def _keys(purpose_key, count):
    out = np.empty(count)
    for i in range(count):
        out[i] = uniform(purpose_key, i, 0)
    return out


@njit(cache=True, nogil=True)
def _normal(purpose_key, who, when):
    """Nearly normal draw (sum of four uniforms, variance one), bounded by 3.5."""
    total = 0.0
    for part in range(4):
        total += uniform(purpose_key, who, 4 * when + part)
    return (total - 2.0) * 1.7320508075688772


@njit(cache=True, nogil=True)
def _wish_parents(first, minors, minor_pool, draw_key, residual, age, wish, kind):
    """Deal ages to minors, wish parents' ages, and take those from the residual of the age table.

    ``kind`` of a person becomes 255 for minors, else what the adult is in the household.
    """
    dealt = 0
    for h in range(minors.size):
        size = first[h + 1] - first[h]
        adults = size - minors[h]
        oldest = 0
        for m in range(minors[h]):
            person = first[h] + adults + m
            kind[person] = 255
            age[person] = minor_pool[dealt]
            dealt += 1
            oldest = max(oldest, age[person])
        for a in range(adults):
            person = first[h] + a
            kind[person] = _LONE if adults == 1 else (_COUPLE if a < 2 else _OTHER)
            if minors[h] == 0:
                continue
            if a == 0:
                wish[person] = max(oldest + _PARENT_GAP + _PARENT_GAP_SD * _normal(draw_key, person, 0), oldest + 17.0)
            elif a == 1:
                wish[person] = max(wish[first[h]] + _PARTNER_GAP_SD * _normal(draw_key, person, 0), oldest + 17.0)
            else:  # grown-up children who stay, 18 to about 27
                wish[person] = 18.0 + 4.0 * -np.log(uniform(draw_key, person, 1))
                wish[person] = min(wish[person], wish[first[h]] - 18.0)
            wish[person] = max(wish[person], 18.0)
            residual[min(int(wish[person]), residual.size - 1)] -= 1.0


@njit(cache=True, nogil=True)
def _wish_others(first, kind, residual, draw_key, wish):
    """Wish ages of the other adults: parents with grown-up children, then couples from what the age table leaves."""
    for h in range(first.size - 1):
        head = first[h]
        if wish[head] >= 0.0 or kind[head] == 255 or first[h + 1] - head < 3:
            continue
        wish[head] = max(36.0, _GROWN_PARENT + _GROWN_PARENT_SD * _normal(draw_key, head, 0))
        for person in range(head + 1, first[h + 1]):
            if kind[person] == _COUPLE:
                wish[person] = max(36.0, wish[head] + _PARTNER_GAP_SD * _normal(draw_key, person, 1))
            else:
                grown = wish[head] - _PARENT_GAP + _PARENT_GAP_SD * _normal(draw_key, person, 1)
                wish[person] = 18.0 + abs(grown - 18.0)
        for person in range(head, first[h + 1]):
            residual[min(int(wish[person]), residual.size - 1)] -= 1.0
    steps = np.cumsum(np.maximum(residual, 0.0))
    for h in range(first.size - 1):
        head = first[h]
        if wish[head] >= 0.0 or kind[head] == 255:
            continue
        wish[head] = np.searchsorted(steps, uniform(draw_key, head, 0) * steps[-1]) + uniform(draw_key, head, 1)
        for person in range(head + 1, first[h + 1]):
            wish[person] = max(18.0, wish[head] + _PARTNER_GAP_SD * _normal(draw_key, person, 1))


@njit(cache=True, nogil=True)
def _sexes(first, kind, draw_key):
    """Draw sexes: couples mixed in 98 of 100 households, everyone else by halves (51 % female, EU-27)."""
    sex = np.empty(kind.size, np.uint8)
    for h in range(first.size - 1):
        for person in range(first[h], first[h + 1]):
            u = uniform(draw_key, person, 0)
            sex[person] = 1 if u > 0.51 else 0
            if kind[person] == _COUPLE and person == first[h] + 1 and uniform(draw_key, person, 1) < 0.98:
                sex[person] = 1 - sex[first[h]]
    return sex
