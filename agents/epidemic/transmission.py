"""The rate of transmission that gives a wanted R0 on the visits of a city.

R0 is the mean number of secondary cases of a typical early case in a city where nobody is immune. In a city of homes,
classes and teams a typical case was itself infected by somebody who also met its housemates or classmates: some of them are
infected already, others are about to be, and its infector is no longer susceptible. (Pellis, Ball & Trapman 2012, Math.
Biosci. 235:85-97, discuss the reproduction numbers of such models.) R0 counts what remains for the case.

It is computed on the visits of the schedule, with the rates of :mod:`.rates`, by chains of infections. Whom a case meets in
the week is listed with the mean daily hazard h; the cases of the next generation are drawn from these pairs in proportion
to the expected infections, and so on. R0 is the mean over the last generation of the sum over people met of

    e1 · (1 − (1 − p)^(1 + s1)) / (1 + s1) · product over b = 2, 3 of eb · (1 − p)^sb

with p = 1 − E[exp(−h T X)] the chance that the case infects the person, over the laws of the infectiousness T summed over
the days of a course of the disease and of the factor X by which people differ; eb the chance that the ancestor b generations
back has not done so, E[T X exp(−h T X)] / E[T X], as its T X is known to have infected somebody; and sb the number of other
people, among those that both meet, whom that ancestor is expected to have infected. Those of b = 1 compete with the case on
equal terms, those of b > 1 come before it. In a small city fewer generations back are taken into account, and none where an
outbreak would end before; R0 is then that of a case among people of whom nobody has been infected.

The rate is that of a strain of transmissibility 1 where nobody is immune and there is a bed for everybody who needs one.
Immunity at the start, policies, seasons and full hospitals are not part of R0, but change how many cases become of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ...environment.city import City
from ...environment.places import PlaceKind
from ...environment.randomness import key, uniform
from ..presence import Presence
from . import course as courses
from .disease import Disease
from .meetings import meet, relate
from .rates import place_rates

CHAINS = 2000
"""Chains of infections followed; R0 then has a standard error of 1 to 2 %."""
FIRST_CHAINS = (500, 1000)
"""Chains followed before that, to find the rate at which the last chains are drawn."""
GENERATIONS = 4
"""Length of the chains; the kind of people who are infected has settled by then."""
MEMORY = 3
"""Generations back whose infections are taken into account at most."""
EARLY = 0.01
"""Share of the people that those generations may have infected; in a small city fewer of them are early."""
MOST_VISITS = 64
"""Visits looked at in one place, about."""
COURSES = 8192
"""Courses of a disease simulated for the law of their total infectiousness."""
GROUPS = 256
"""Groups of courses of similar total infectiousness, which then count as alike."""


class TransmissionError(ValueError):
    """A wanted R0 that no rate of transmission gives."""


class Reproduction:
    """R0 of a disease in a city as a function of the rate of transmission, and the other way round.

    Args:
        presence: presence in the city; its exceptions are left out of account, its seed is not used.
        disease: gives susceptibility, courses, infectiousness and routes.
        weights: weight of contacts in every kind of place.
    """

    def __init__(self, presence: Presence, disease: Disease, weights: dict[PlaceKind, float]):
        city = presence.city
        self._people = len(city.people)
        self._seed = city.info.seed
        self._sigma = disease.susceptibility.by_age()[city.people.age]
        types, days = np.unique(city.info.week, return_counts=True)
        self._days = days / days.sum()
        self._visits = [presence.visits(next(d for d in range(7) if presence.day_type(d) == t)) for t in types]
        self._rates = []
        for number in types:
            contact, air = place_rates(city, number, weights, disease.routes)
            self._rates.append(contact + air if air.size else contact)
        total, share = law_of_infectiousness(disease, city.people.age, self._sigma, self._seed)
        self._chance, self._escape = _pair_functions(disease, total, share)
        self._mean_total = float(total @ share)

    def memory(self, r0: float) -> int:
        """Return how many generations back infections are taken into account: those with R0^b cases among few people."""
        return sum(r0**back <= EARLY * self._people for back in range(1, MEMORY + 1))

    def r0(self, transmission: float, memory: int = MEMORY) -> float:
        """Return R0 at a rate of transmission per day of overlap at home."""
        return self._secondary(self._last_generation(transmission, CHAINS, memory), transmission)

    def transmission(self, r0: float) -> float:
        """Return the rate of transmission, per day of overlap at home, that gives R0.

        Raises:
            TransmissionError: if none does, however few generations back infections are taken into account.
        """
        memory = self.memory(r0)
        while True:
            try:
                rate = 1e-9 / self._mean_total
                for chains in (*FIRST_CHAINS, CHAINS):
                    rate = self._solve(self._last_generation(rate, chains, memory), r0)
                return rate
            except TransmissionError:
                if not memory:
                    raise
                memory -= 1

    def _solve(self, pairs: "_Pairs", r0: float) -> float:
        linear = float(np.exp2(pairs.octaves[:, 0]) @ pairs.weight) / pairs.chains * self._mean_total
        low, high = 0.0, r0 / linear
        # More transmission gives fewer secondary cases once all is infected close to the infector: stop at a maximum.
        below, value = -r0, self._secondary(pairs, high) - r0
        while value < 0:
            low, high = high, 1.5 * high
            below, value = value, self._secondary(pairs, high) - r0
            if value < below + 1e-4 * r0:
                raise TransmissionError(
                    f"r0 = {r0:g} cannot be reached: a typical case infects {below + r0:.3g} people at most; "
                    "lower r0, or give transmission instead"
                )
        # Regula falsi in the Illinois form.
        side = 0
        while abs(value) > 1e-6 * r0 and high - low > 1e-9 * high:
            middle = (low * value - high * below) / (value - below)
            found = self._secondary(pairs, middle) - r0
            if found < 0:
                low, below = middle, found
                value = value / 2 if side < 0 else value
                side = -1
            else:
                high, value = middle, found
                below = below / 2 if side > 0 else below
                side = 1
        return high

    def _secondary(self, pairs: "_Pairs", transmission: float) -> float:
        return float(self._infected(pairs, transmission).sum()) / pairs.chains

    def _infected(self, pairs: "_Pairs", transmission: float) -> NDArray[np.float64]:
        """Return the expected infections of each entry by its case, see the head of the module."""
        shift = np.log2(max(transmission, 1e-300))
        chance = np.minimum(self._chance(pairs.octaves[:, 0] + shift), 1 - 1e-12)
        out = pairs.weight * chance
        for back in range(1, pairs.octaves.shape[1]):
            met = pairs.met[back - 1]
            owner, p = pairs.owner[met], chance[met]
            escape = self._escape(pairs.octaves[met, back] + shift)
            others = np.bincount(owner, 1 - escape, minlength=pairs.chains)[owner] - (1 - escape)
            if back == 1:
                out[met] *= -np.expm1((1 + others) * np.log1p(-p)) / ((1 + others) * p)
            else:
                out[met] *= (1 - p) ** others
            out[met] *= escape
        return out

    def _last_generation(self, transmission: float, chains: int, memory: int) -> "_Pairs":
        """Draw chains of infections and return whom the cases of the last generation can infect."""
        draw = key(self._seed, "chain of infections")
        cases = _systematic(self._sigma, chains, uniform(draw, 0, 0)).astype(np.int32)
        lineage = np.arange(chains)[None]
        past: list[tuple[NDArray[np.int32], list[tuple[NDArray[Any], ...]]]] = []
        for generation in range(GENERATIONS):
            lists = [
                meet(cases, visits, rates, self._sigma, MOST_VISITS, key(self._seed, f"met {generation} {t}"))
                for t, (visits, rates) in enumerate(zip(self._visits, self._rates, strict=True))
            ]
            past = [(cases, lists), *past][: memory + 1]
            pairs = self._relate(past, lineage)
            infected = self._infected(pairs, transmission)
            if not infected.any():
                raise TransmissionError(
                    "people do not meet anybody susceptible: no r0 can be reached; give transmission"
                )
            chosen = _systematic(infected, chains, uniform(draw, 0, generation + 1))
            cases = pairs.person[chosen]
            line = np.concatenate([np.arange(chains)[None], lineage[:, pairs.owner[chosen]]])
            lineage = np.ascontiguousarray(line[: memory + 1])
        return pairs

    def _relate(
        self, past: list[tuple[NDArray[np.int32], list[tuple[NDArray[Any], ...]]]], lineage: NDArray[np.int64]
    ) -> "_Pairs":
        """Put the lists of the last generations end to end for the kernel."""
        parts = [part for _, lists in past for part in lists]
        offsets = np.cumsum([0, *(len(part[1]) for part in parts[:-1])])
        first = np.stack([part[0] + offset for part, offset in zip(parts, offsets, strict=True)])
        owner, person, hazards, weight = relate(
            self._days,
            np.stack([cases for cases, _ in past]),
            first.reshape(len(past), len(self._visits), -1),
            np.concatenate([part[1] for part in parts]),
            np.concatenate([part[2] for part in parts]),
            np.concatenate([part[3] for part in parts]),
            lineage,
            self._people,
        )
        met = [np.flatnonzero(hazards[:, back]) for back in range(1, len(past))]
        octaves = np.log2(np.maximum(hazards, 1e-300, out=hazards), out=hazards)
        return _Pairs(lineage.shape[1], owner, person, octaves, weight, met)


class _Pairs(NamedTuple):
    """Whom the cases of one generation can infect: see :func:`~citytwin.agents.epidemic.meetings.relate`.

    Attributes:
        chains: number of cases.
        owner, person, weight: (entries,) number of the case, person met, number of people the entry stands for.
        octaves: (entries, generations) binary logarithm of the hazards from the case and its ancestors.
        met: for each ancestor the entries of people whom it meets too.
    """

    chains: int
    owner: NDArray[np.int32]
    person: NDArray[np.int32]
    octaves: NDArray[np.float64]
    weight: NDArray[np.float64]
    met: list[NDArray[np.int64]]


_Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def law_of_infectiousness(
    disease: Disease, age: NDArray[np.uint8], susceptibility: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the law of the infectiousness summed over the days of a course: values (n,) and their shares (n,).

    People in states that need a bed are in hospital and infect nobody.

    It is exact where all courses go through the same states and are infectious, always alike, in one of them; else it is
    that of :data:`COURSES` simulated courses of people drawn in proportion to their susceptibility, with the exact mean.

    Raises:
        TransmissionError: if none of those courses is infectious.
    """
    disease = _outside_hospital(disease)
    course = disease.course()
    infectious = np.flatnonzero(course.shed.any(axis=1))
    if np.diff(course.first).max() == 1 and len(infectious) == 1 and (course.since_infection == 1).all():
        state = infectious[0]
        row = course.first[state]
        share = np.diff(course.law[course.law_first[row] : course.law_first[row + 1]], prepend=0.0)
        days = np.flatnonzero(share > 0)
        # Nobody infects on the day of infection, which is the first one in the first state.
        day = np.arange(days[-1]) + (state == courses.ENTERED)
        daily = course.shed[state][np.minimum(day, course.shed.shape[1] - 1)]
        return np.concatenate([[0.0], np.cumsum(daily)])[days], share[days]
    typical = age[_systematic(susceptibility, COURSES, 0.5)]
    simulated = np.sort(courses.total_infectiousness(course, typical, seed, COURSES))
    if not simulated[-1]:
        raise TransmissionError(
            f"nobody of the ages of this city becomes infectious with '{disease.name}': no r0 can be reached; "
            "check the chances by age and the infectiousness of the states"
        )
    total = simulated.reshape(GROUPS, -1).mean(axis=1)
    # The mean matters most and is known without simulation.
    total *= courses.infectiousness_by_day(course, typical).sum() / total.mean()
    return total, np.full(GROUPS, 1 / GROUPS)


def _outside_hospital(disease: Disease) -> Disease:
    """Return the disease without the infectiousness of states that need a bed."""
    in_bed = disease.course().care[courses.ENTERED :] > 0
    if not in_bed.any():
        return disease
    states = zip(disease.states, in_bed, strict=True)
    silent = tuple(state.model_copy(update={"infectiousness": (0.0,)}) if bed else state for state, bed in states)
    return disease.model_copy(update={"state": silent})


def _pair_functions(
    disease: Disease, total: NDArray[np.float64], share: NDArray[np.float64]
) -> tuple[_Function, _Function]:
    """Return p and e as functions of the binary logarithm of the mean hazard per day and unit of infectiousness.

    They are interpolated between 16 points an octave, p as the slowly varying ratio of chance to hazard.
    """
    octave = np.arange(-30, 30, 1 / 16)
    hazard = 2.0**octave
    rate = hazard[:, None] * total
    chance_per_hazard = (1 - disease.infectiousness.laplace(rate) @ share) / hazard
    spared = disease.infectiousness.laplace(rate, biased=True) @ (total * share) / (total @ share)

    def chance(octaves: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(octaves, octave, chance_per_hazard) * np.exp2(octaves)

    def escape(octaves: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(octaves, octave, spared)

    return chance, escape


def _systematic(weight: NDArray[np.float64], number: int, u: float) -> NDArray[np.int64]:
    """Return positions (number,) drawn in proportion to weights by systematic sampling from one uniform number."""
    total = np.cumsum(weight)
    chosen = np.searchsorted(total, (np.arange(number) + u) / number * total[-1], side="right")
    return np.minimum(chosen, len(weight) - 1)


_rates: WeakKeyDictionary[City, dict[tuple[str, tuple[float, ...], float], float]] = WeakKeyDictionary()


def calibrated(presence: Presence, disease: Disease, weights: dict[PlaceKind, float], r0: float) -> float:
    """Return :meth:`Reproduction.transmission`, remembered while the city lives, as a sweep asks again and again."""
    known = _rates.setdefault(presence.city, {})
    case = (disease.model_dump_json(), tuple(weights[kind] for kind in PlaceKind), r0)
    if case not in known:
        known[case] = Reproduction(presence, disease, weights).transmission(r0)
    return known[case]
