"""The epidemic in plain Python, person by person and pair by pair: the specification of the kernels."""

from dataclasses import dataclass, field
from itertools import accumulate
from math import log

from citytwin.agents.epidemic.kernels import (
    CURVE_FROM,
    DRAWS,
    EXPOSED,
    HAZARD_UNIT,
    INFECTIOUS,
    MAX_HAZARD,
    MAX_RESISTANCE,
    RECOVERED,
    SHEDDING_UNIT,
    SUSCEPTIBLE,
)
from citytwin.agents.presence import GUEST, HOME
from citytwin.environment.randomness import key, uniform


@dataclass
class Twin:
    """An epidemic that reads who is where from a presence and keeps its own state.

    Args:
        presence: shared with the epidemic under test.
        seed: seed of the run.
        susceptibility: by age.
        latent, infectious: P(days <= n) for n = 0, 1, …
        shedding: infectiousness of a person by quantile.
        kind_rate: hazard units per unit of infectiousness and slot of overlap, by kind of place.
        crowding: by day type, the factor of each place that is no home.
    """

    presence: object
    seed: int
    susceptibility: list
    latent: list
    infectious: list
    shedding: list
    kind_rate: list
    crowding: list
    health: list = field(default_factory=list)
    until: list = field(default_factory=list)
    resistance: list = field(default_factory=list)
    infections: list = field(default_factory=list)
    order: list = field(default_factory=list)

    def __post_init__(self):
        city = self.presence.city
        people = len(city.people)
        self.health = [SUSCEPTIBLE] * people
        self.until = [-1] * people
        for person in range(people):
            sigma = self.susceptibility[city.people.age[person]]
            threshold = -log(self._uniform("threshold", person)) / HAZARD_UNIT
            limited = sigma * MAX_RESISTANCE <= threshold
            self.resistance.append(MAX_RESISTANCE if limited else max(int(threshold / sigma + 0.5), 1))

    def _uniform(self, purpose, who, when=0):
        return uniform(key(self.seed, f"epidemic {purpose}"), who, when)

    def _days(self, law, purpose, person):
        u = self._uniform(purpose, person)
        return next(days for days, chance in enumerate(law) if u < chance)

    def _infect(self, person, day):
        self.health[person] = EXPOSED
        self.until[person] = day + 1 + self._days(self.latent, "latent", person)
        self.order.append(person)

    def day_of(self, person, day):
        """Return (place, start, end, factor) of the visits that a person really makes on a day."""
        presence, city = self.presence, self.presence.city
        effect = presence.effect[presence.group[person]]
        home = int(city.people.household[person])
        out = []
        for place, start, end in city.schedules[presence.day_type(day)].visits_of(person):
            kind = int(city.places.kind[place])
            factor = effect[GUEST if kind == HOME and place != home else kind]
            out.append((place, start, end, factor) if factor > 0 else (home, start, end, effect[HOME]))
        return out

    def make_day(self, day, first_cases):
        """Make one day; ``first_cases`` are infected on day 0."""
        infectious = []
        for person in sorted(self.order):
            if self.health[person] == EXPOSED and self.until[person] == day:
                self.health[person] = INFECTIOUS
                self.until[person] = day + self._days(self.infectious, "infectious", person)
            if self.health[person] == INFECTIOUS and self.until[person] == day:
                self.health[person] = RECOVERED
            if self.health[person] == INFECTIOUS:
                infectious.append(person)
        present = {}
        for person in infectious:
            strength = self.shedding[int(self._uniform("shedding", person) * len(self.shedding))]
            last = None
            for place, start, end, factor in self.day_of(person, day):
                units = int(strength * factor / SHEDDING_UNIT + 0.5)
                begin = present[place].pop()[1] if place == last else start  # the visit goes on
                present.setdefault(place, []).append((person, begin, end, units))
                last = place
        if day == 0:
            for person in sorted(first_cases):
                self._infect(person, day)
                self.infections.append((person, -1, -1, day))
        struck = []
        for person in range(len(self.health)):
            if self.health[person] == SUSCEPTIBLE:
                visits = self._hazards(person, day, present)
                self.resistance[person] -= sum(hazard for hazard, *_ in visits)
                if self.resistance[person] <= 0:
                    struck.append((person, *self._infector(person, day, visits, present)))
        for person, infector, place in struck:
            self._infect(person, day)
            self.infections.append((person, infector, place, day))

    def _hazards(self, person, day, present):
        """Return (hazard, exposure, place, [(infectious person, exposure to them)], start, end) of each visit."""
        city = self.presence.city
        out = []
        for place, start, end, factor in self.day_of(person, day):
            rate = self.kind_rate[city.places.kind[place]]
            if place >= city.homes:
                rate *= self.crowding[self.presence.day_type(day)][place - city.homes]
            shares = [
                (other, max(min(end, until) - max(start, begin), 0) * units)
                for other, begin, until, units in present.get(place, ())
            ]
            exposure = sum(share for _, share in shares)
            out.append((int(min(rate * factor * exposure, MAX_HAZARD) + 0.5), exposure, place, shares, start, end))
        return out

    def _infector(self, person, day, visits, present):
        target = self._uniform("infector", person, day * DRAWS) * sum(hazard for hazard, *_ in visits)
        summed = 0
        for hazard, exposure, place, shares, start, end in visits:
            summed += hazard
            if summed > target:
                schedule = self.presence.city.schedules[self.presence.day_type(day)]
                scheduled = int(schedule.place_first[place + 1] - schedule.place_first[place])
                if len(shares) * scheduled > CURVE_FROM:
                    other = self._tried(person, day, present[place], start, end)
                    if other is not None:
                        return other, place
                left = (target - (summed - hazard)) / hazard * exposure
                return next(other for other, share in shares if (left := left - share) < 0), place
        raise AssertionError("a person was infected without hazard")

    def _tried(self, person, day, visitors, start, end):
        """Return a visitor drawn by infectiousness and kept by overlap, None if none was kept."""
        for attempt in range(1, DRAWS - 1, 2):
            aim = self._uniform("infector", person, day * DRAWS + attempt) * sum(units for *_, units in visitors)
            summed = accumulate(units for *_, units in visitors)
            other, begin, until, _ = next(v for v, total in zip(visitors, summed, strict=True) if total > aim)
            kept = self._uniform("infector", person, day * DRAWS + attempt + 1) * (end - start)
            if min(end, until) - max(start, begin) > kept:
                return other
        return None
