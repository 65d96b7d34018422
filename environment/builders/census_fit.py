"""Whole households that meet a census table by zone.

Method, for each zone: households of a sample are sorted into types (size, persons by age class). Among all weightings
of the types that give every household size its number and every age class its persons, take the one nearest to the
sample in relative entropy (what raking converges to; here by Newton's method on the dual, as in Bar-Gera et al. 2009,
"Estimating survey weights with multiple constraints using entropy optimization methods"). Round the weights to whole
households, size by size; then exchange households of one size, one person's class at a time, until the ages are exact.

People whom the table's households do not hold live in the open class up to a bound, the rest in collective homes.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..randomness import key, uniforms
from ..schema import CityError
from .census import ZoneTable
from .census_report import census_report
from .households import ADULT_AGE, AGE_SHARES, Households, ages_by_year, quota, sample_households

OPEN_EXCESS = 1.5  # persons beyond the least size that an open class ("9+") has at most on average (assumed)
OPEN_REACH = 8  # persons beyond the least size of the largest household (assumed)
UNIT = 10  # persons of a living unit of a collective home: care home, hostel, barracks (assumed)
ENOUGH = 50  # households of a size in the sample, below which further ones are joined of two smaller ones
SAMPLE_PEOPLE = 300_000
MOST_SAMPLED = 7  # persons of the largest household that is sampled
CLOSE = 0.05  # persons by age class to which weights are balanced before rounding
REPLACED = 100  # replacements tried and banned in a zone before what is missing is told
_STEPS = 60


class HouseholdFit(NamedTuple):
    """Households that meet a table.

    Attributes:
        households: the people; zone by zone, collective homes last in each zone.
        zone: int32 (households,) zone of each.
        report: errors by margin and how the open class and collective homes were filled.
        collective: bool (households,) whether it is a unit of a collective home, beyond the table's households.
    """

    households: Households
    zone: NDArray[np.int32]
    report: dict[str, Any]
    collective: NDArray[np.bool_]


def fit_households(table: ZoneTable, sample: Households | None = None, seed: int = 1) -> HouseholdFit:
    """Choose whole households from a sample so that sizes and ages of every zone are met.

    Args:
        table: what the census says.
        sample: households to choose from; by default sampled to published tables. Sizes that it lacks are joined of
            two of its households.
        seed: every draw depends on it.

    Returns:
        The households. The number of persons of every zone is exact, and so are the household sizes; ages too, unless
        no households of the sample could meet both, which ``report`` tells.

    Raises:
        CityError: if the sample is empty.
    """
    if sample is None:
        sample = _sample_like(table, seed)
    if not len(sample.age):
        raise CityError("the sample of households is empty; give one with people, or none")
    plans = [_plan(table, zone) for zone in range(len(table.inhabitants))]
    largest = max((int(plan.sizes.max()) for plan in plans if len(plan.sizes)), default=1)
    pool = _with_every_size(sample, largest, seed)
    types = _Types.of(pool, table.age_from, largest)

    chosen, zone_of, missing = [], [], []
    start = uniforms(key(seed, "rounding of census weights"), np.arange(len(plans) * (largest + 1)), 0)
    for zone, plan in enumerate(plans):
        weights = types.weights(plan.per_size, plan.ages)
        whole = _round_by_size(types, weights, plan.per_size, start[zone * (largest + 1) :])
        missing.append(types.exchange(whole, weights, plan.ages))
        chosen.append(np.repeat(np.arange(len(whole)), whole))
        zone_of.append(np.full(int(whole.sum()), zone, np.int32))
    kind = np.concatenate(chosen)
    draw = uniforms(key(seed, "household of a type"), np.arange(len(kind)), 0)
    member = types.member[types.member_first[kind] + (draw * np.diff(types.member_first)[kind]).astype(np.int64)]
    private = _take(pool, member)
    fit = _with_collective(private, np.concatenate(zone_of), plans, pool, table, seed)
    report = census_report(table, fit.households, fit.zone, fit.collective, np.array(missing))
    return fit._replace(report=report)


# ---------------------------------------------------------------------- what a zone must have


@dataclass
class _Plan:
    """Targets of one zone: households by exact size, ages of those in households, ages in collective homes."""

    sizes: NDArray[np.int64]
    per_size: NDArray[np.int64]
    ages: NDArray[np.int64]
    collective: NDArray[np.int64]


def _plan(table: ZoneTable, zone: int) -> _Plan:
    counts, sizes = table.households[zone], table.sizes
    beyond = int(table.inhabitants[zone] - counts @ sizes)
    per_size = np.zeros(int(sizes[-1]) + OPEN_REACH + 1, np.int64)
    per_size[sizes] = counts
    open_homes = int(counts[-1]) if table.open_class else 0
    if open_homes:
        excess = _spread(open_homes, min(beyond, int(OPEN_EXCESS * open_homes)))
        per_size[sizes[-1] :] = np.bincount(excess, minlength=OPEN_REACH + 1)
        beyond -= int(excess.sum())
    # assumed: the age classes of collective homes are those of the zone's adults
    adults = table.ages[zone] * (table.age_from >= ADULT_AGE - 3)
    if adults.sum() < beyond:
        adults = table.ages[zone]
    collective = quota(adults, beyond) if beyond else np.zeros(len(table.age_from), np.int64)
    collective = np.minimum(collective, table.ages[zone])
    collective[np.argmax(table.ages[zone] - collective)] += beyond - collective.sum()
    return _Plan(np.flatnonzero(per_size), per_size, table.ages[zone] - collective, collective)


def _spread(homes: int, excess: int) -> NDArray[np.int64]:
    """Share persons beyond the least size out over the homes of an open class: geometric, bounded, exact in sum."""
    stop = 1.0 / (1.0 + excess / homes)  # mean of a geometric distribution
    rank = (np.arange(homes) + 0.5) / homes
    extra = np.floor(np.log(rank) / np.log(1.0 - stop)) if stop < 1.0 else np.zeros(homes)
    result = np.minimum(extra, OPEN_REACH).astype(np.int64)
    missing = excess - int(result.sum())
    while missing:
        step = 1 if missing > 0 else -1
        able = np.flatnonzero((result + step >= 0) & (result + step <= OPEN_REACH))[: abs(missing)]
        result[able] += step
        missing -= step * len(able)
    return result


# ---------------------------------------------------------------------- the sample


def _sample_like(table: ZoneTable, seed: int) -> Households:
    """Sample households with the ages and sizes of the whole table."""
    by_year = ages_by_year(AGE_SHARES["DE"])
    age_class = np.searchsorted(table.age_from, np.arange(len(by_year)), side="right") - 1
    within = np.bincount(age_class, weights=by_year, minlength=len(table.age_from))
    by_year = by_year * (table.ages.sum(0) / np.maximum(within, 1e-12))[age_class]
    by_size = table.households.sum(0)
    sizes = np.append(by_size[: MOST_SAMPLED - 1], by_size[MOST_SAMPLED - 1 :].sum())
    people = min(int(table.inhabitants.sum()), SAMPLE_PEOPLE)
    if not sizes.any():
        return sample_households(people, seed, ages=by_year)
    return sample_households(people, seed, ages=by_year, sizes=tuple(float(n) for n in sizes))


def _with_every_size(sample: Households, largest: int, seed: int) -> Households:
    """Return the sample with households of every size up to the largest, made of others where it has too few.

    Large households are two families or sharers under one roof, single ones adults of any household (assumed).
    """
    first, age, sex = sample.first.astype(np.int64), [sample.age], [sample.sex]
    sizes = sample.sizes.astype(np.int64)
    if (sizes == 1).sum() < ENOUGH:
        adults = np.flatnonzero(sample.age >= ADULT_AGE)
        adults = adults if len(adults) else np.arange(len(sample.age))
        draw = uniforms(key(seed, "single of a larger household"), np.arange(4 * ENOUGH), 0)
        alone = adults[(draw * len(adults)).astype(np.int64)]
        age.append(sample.age[alone])
        sex.append(sample.sex[alone])
        first = np.concatenate([first, first[-1] + np.arange(1, len(alone) + 1)])
        sizes = np.diff(first)
    for size in range(2, largest + 1):
        if (sizes == size).sum() >= ENOUGH:
            continue
        # the smaller part is a common household, the larger one may itself be joined
        small = np.flatnonzero((sizes >= (2 if size > 3 else 1)) & (sizes <= size // 2))
        u = uniforms(key(seed, f"joined household of {size}"), np.arange(4 * ENOUGH), 0)
        v = uniforms(key(seed, f"joined household of {size}"), np.arange(4 * ENOUGH), 1)
        whole_age, whole_sex = np.concatenate(age), np.concatenate(sex)
        new_age, new_sex = [], []
        for a, b in zip(u, v, strict=True):
            one = small[int(a * len(small))]
            fitting = np.flatnonzero(sizes == size - sizes[one])
            if not len(fitting):
                continue
            other = fitting[int(b * len(fitting))]
            people = np.concatenate([np.arange(first[h], first[h + 1]) for h in (other, one)])
            people = people[np.argsort(whole_age[people] < ADULT_AGE, kind="stable")]  # adults first
            new_age.append(whole_age[people])
            new_sex.append(whole_sex[people])
        age += new_age
        sex += new_sex
        first = np.concatenate([first, first[-1] + size * np.arange(1, len(new_age) + 1)])
        sizes = np.diff(first)
    return Households(first.astype(np.int32), np.concatenate(age), np.concatenate(sex))


@dataclass
class _Types:
    """Types of household: size and persons by age class, in order of size and then of classes.

    Types are found by a linear hash of their persons, so that moving a person between classes is an addition.

    Attributes:
        people: int64 (types, classes).
        size: int64 (types,).
        first: (sizes + 1,) first type of each size 0, 1, 2 …
        share: (types,) logarithm of the share among households of its size.
        member, member_first: households of each type (compressed sparse rows).
        moves: for two classes (a, b): types (from, to), the same size, one person moved from class b to a.
    """

    people: NDArray[np.int64]
    size: NDArray[np.int64]
    first: NDArray[np.int64]
    share: NDArray[np.float64]
    member: NDArray[np.int64]
    member_first: NDArray[np.int64]
    moves: dict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]]

    @classmethod
    def of(cls, pool: Households, age_from: NDArray[np.int64], largest: int) -> "_Types":
        classes = len(age_from)
        sizes = pool.sizes.astype(np.int64)
        household = np.repeat(np.arange(len(sizes)), sizes)
        age_class = np.searchsorted(age_from, pool.age, side="right") - 1
        count = np.bincount(household * classes + age_class, minlength=len(sizes) * classes).reshape(-1, classes)
        usable = np.flatnonzero(sizes <= largest)
        factor = np.array([key(0, f"age class {c}") for c in range(classes)], np.uint64)
        code = count[usable].astype(np.uint64) @ factor  # modulo 2**64
        _, example, kind, number = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
        order = np.lexsort((*count[usable[example]].T[::-1], sizes[usable[example]]))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        example, number, kind = example[order], number[order], rank[kind]
        member = usable[np.argsort(kind, kind="stable")]
        member_first = np.concatenate([[0], np.cumsum(number)])
        people = count[usable[example]].astype(np.int64)
        size = people.sum(1)
        first = np.searchsorted(size, np.arange(largest + 2))
        share = np.log(number / np.bincount(size, weights=number, minlength=largest + 1)[size])
        code = code[example]
        by_code = np.argsort(code)
        moves = {}
        for a in range(classes):
            for b in range(classes):
                if a == b:
                    continue
                origin = np.flatnonzero(people[:, b] > 0)
                wanted = code[origin] + (factor[a : a + 1] - factor[b : b + 1])
                at = by_code[np.minimum(np.searchsorted(code, wanted, sorter=by_code), len(code) - 1)]
                found = code[at] == wanted
                moves[a, b] = (origin[found], at[found])
        return cls(people, size, first, share, member, member_first, moves)

    def weights(self, per_size: NDArray[np.int64], ages: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weights of the types nearest to the sample that meet sizes and ages.

        Args:
            per_size: households by size 0, 1, 2 …
            ages: persons by class.
        """
        counts = np.zeros(len(self.first) - 1, np.int64)
        counts[: len(per_size)] = per_size[: len(counts)]
        present = np.flatnonzero((np.diff(self.first) > 0) & (counts > 0))
        rows = np.flatnonzero(np.isin(self.size, present))
        weight = np.zeros(len(self.size))
        if not len(rows):
            return weight
        start = np.searchsorted(self.size[rows], present)
        group = np.searchsorted(present, self.size[rows])
        homes = counts[present].astype(float)
        # one class follows from the others, as the sizes fix the number of persons
        matrix, target = self.people[rows, :-1].astype(float), ages[:-1].astype(float)
        solution = np.zeros(matrix.shape[1])
        best = -np.inf
        step = solution
        for _ in range(_STEPS):
            while True:  # halve the step until the dual objective rises
                trial = solution + step
                value, fitted = _entropy(self.share[rows] + matrix @ trial, start, group, homes)
                value = float(trial @ target) - value
                if value >= best - 1e-9 * abs(best) or np.abs(step).max() < 1e-9:
                    break
                step = step / 2
            solution, best = trial, max(value, best)
            slack = target - fitted @ matrix
            if np.abs(slack).max(initial=0.0) < CLOSE:
                break
            mean = np.add.reduceat(fitted[:, None] * matrix, start) / homes[:, None]
            curvature = (matrix * fitted[:, None]).T @ matrix - (mean * homes[:, None]).T @ mean
            curvature[np.diag_indices_from(curvature)] += 1e-9 * max(float(np.trace(curvature)), 1.0)
            step = np.clip(np.linalg.solve(curvature, slack), -3.0, 3.0)
        weight[rows] = fitted
        return weight

    def exchange(
        self, whole: NDArray[np.int64], weights: NDArray[np.float64], ages: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Exchange households until the ages are met, in place; return what remains (persons missing by class).

        Where no exchange moves one person between the two classes most off, a household is replaced by another of
        its size, and the exchanges go on from there; the best that was found stays.
        """
        missing = ages - whole @ self.people
        best, kept = missing.copy(), whole.copy()
        banned: set[tuple[int, int]] = set()
        for _ in range(4 * int(np.abs(missing).sum()) + 20 * REPLACED):
            if np.abs(missing).sum() < np.abs(best).sum():
                best, kept = missing.copy(), whole.copy()
            if not best.any() or len(banned) >= REPLACED:
                break
            a, b = int(missing.argmax()), int(missing.argmin())
            if any(self._move_all(whole, weights, chain) for chain in self._chains(a, b)):
                missing[a] -= 1
                missing[b] += 1
            elif not self._replace(whole, missing, (a, b), banned):
                break
        whole[:] = kept
        return best

    def _replace(
        self, whole: NDArray[np.int64], missing: NDArray[np.int64], pair: tuple[int, int], banned: set[tuple[int, int]]
    ) -> bool:
        """Replace one household, in place, by the one that leaves least missing and has less of b or more of a.

        Less of b if no exchange takes anybody out of it, more of a if none brings anybody into it, else either. No
        replacement is made twice or taken back: ``banned`` keeps them.
        """
        a, b = pair
        others = range(self.people.shape[1])
        leaves_b = any((whole[self.moves[c, b][0]] > 0).any() for c in others if c != b)
        enters_a = any((whole[self.moves[a, c][0]] > 0).any() for c in others if c != a)
        found: tuple[int, int, int] | None = None
        for origin in np.flatnonzero(whole > 0).tolist():
            aims = np.arange(self.first[self.size[origin]], self.first[self.size[origin] + 1])
            change = self.people[aims] - self.people[origin]
            helps = ((change[:, b] < 0) & (enters_a or not leaves_b)) | ((change[:, a] > 0) & leaves_b)
            helps &= np.array([(origin, aim) not in banned for aim in aims.tolist()], bool)
            if helps.any():
                left = np.abs(missing - change[helps]).sum(1)
                if found is None or left.min() < found[0]:
                    found = (int(left.min()), origin, int(aims[helps][left.argmin()]))
        if found is None:
            return False
        _, origin, aim = found
        whole[origin] -= 1
        whole[aim] += 1
        missing -= self.people[aim] - self.people[origin]
        banned |= {(origin, aim), (aim, origin)}
        return True

    def _chains(self, a: int, b: int) -> list[list[tuple[int, int]]]:
        """Return ways to move one person from class b to class a, directly or by another class."""
        others = [c for c in range(self.people.shape[1]) if c not in (a, b)]
        return [[(a, b)], *([(c, b), (a, c)] for c in others)]

    def _move_all(self, whole: NDArray[np.int64], weights: NDArray[np.float64], chain: list[tuple[int, int]]) -> bool:
        """Exchange a household for every link of the chain, or none."""
        done: list[tuple[int, int]] = []
        for a, b in chain:
            origin, aim = self.moves[a, b]
            possible = (whole[origin] > 0) & (weights[aim] > 0)
            if not possible.any():
                for one, other in done:
                    whole[one] += 1
                    whole[other] -= 1
                return False
            origin, aim = origin[possible], aim[possible]
            # the exchange that brings the rounded numbers nearest to their weights
            gain = (whole[origin] - weights[origin]) - (whole[aim] - weights[aim])
            best = int(gain.argmax())
            whole[origin[best]] -= 1
            whole[aim[best]] += 1
            done.append((int(origin[best]), int(aim[best])))
        return True


def _entropy(
    logit: NDArray[np.float64], start: NDArray[np.intp], group: NDArray[np.intp], homes: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return sum of homes x log of the partition sum by size, and the weights."""
    top = np.maximum.reduceat(logit, start)
    part = np.exp(logit - top[group])
    total = np.add.reduceat(part, start)
    return float(homes @ (top + np.log(total))), part * (homes / total)[group]


def _round_by_size(
    types: _Types, weights: NDArray[np.float64], per_size: NDArray[np.int64], start: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Round weights so that every size keeps its number: systematic sampling along the ordered types."""
    whole = np.zeros(len(weights), np.int64)
    for size in np.flatnonzero(per_size):
        rows = slice(types.first[size], types.first[size + 1])
        steps = np.cumsum(weights[rows])
        if not len(steps):
            continue
        marks = np.floor(steps / steps[-1] * per_size[size] + start[size])
        marks[-1] = per_size[size]
        whole[rows] = np.diff(np.minimum(marks, per_size[size]), prepend=0)
    return whole


# ---------------------------------------------------------------------- the people


def _take(pool: Households, rows: NDArray[np.int64]) -> Households:
    """Return copies of the households of the given rows, in that order."""
    size = pool.sizes[rows].astype(np.int64)
    first = np.concatenate([[0], np.cumsum(size)])
    at = np.arange(int(first[-1])) - np.repeat(first[:-1] - pool.first[rows], size)
    return Households(first.astype(np.int32), pool.age[at], pool.sex[at])


def _with_collective(
    private: Households,
    zone: NDArray[np.int32],
    plans: list[_Plan],
    pool: Households,
    table: ZoneTable,
    seed: int,
) -> HouseholdFit:
    """Add the units of collective homes, and order everything by zone."""
    age_class = np.searchsorted(table.age_from, pool.age, side="right") - 1
    of_class = [np.flatnonzero(age_class == c) for c in range(len(table.age_from))]
    for c, rows in enumerate(of_class):  # adults where the class has any
        grown = rows[pool.age[rows] >= ADULT_AGE]
        of_class[c] = grown if len(grown) else rows
    filled = np.flatnonzero([len(rows) > 0 for rows in of_class])
    nearest = filled[np.abs(np.arange(len(of_class))[:, None] - filled).argmin(1)]  # for classes the sample lacks
    sizes, zones, ages, sexes = [], [], [], []
    for number, plan in enumerate(plans):
        people = int(plan.collective.sum())
        if not people:
            continue
        units = -(-people // UNIT)
        draw = uniforms(key(seed, f"collective homes of zone {number}"), np.arange(people), 0)
        classes = nearest[np.repeat(np.arange(len(plan.collective)), plan.collective)]
        drawn = np.array([of_class[c][int(u * len(of_class[c]))] for c, u in zip(classes, draw, strict=True)])
        mixed = drawn[np.argsort(uniforms(key(seed, "who shares a unit"), np.arange(people), number), kind="stable")]
        sizes.append(quota(np.ones(units), people))
        zones.append(np.full(units, number, np.int32))
        ages.append(pool.age[mixed])
        sexes.append(pool.sex[mixed])
    size = np.concatenate([private.sizes, *sizes]).astype(np.int64)
    both = Households(
        np.concatenate([[0], np.cumsum(size)]).astype(np.int32),
        np.concatenate([private.age, *ages]),
        np.concatenate([private.sex, *sexes]),
    )
    zone = np.concatenate([zone, *zones])
    collective = np.arange(len(zone)) >= len(private)
    order = np.argsort(zone, kind="stable")
    return HouseholdFit(_take(both, order), zone[order], {}, collective[order])
