"""The epidemic in plain Python, person by person and pair by pair: the specification of the kernels."""

from dataclasses import dataclass, field
from itertools import accumulate
from math import log

import numpy as np

from citytwin.agents.epidemic.course import ENTERED, RECOVERED, SUSCEPTIBLE
from citytwin.agents.epidemic.kernels import DRAWS, HAZARD_UNIT, MAX_HAZARD
from citytwin.agents.epidemic.progress import SPELL
from citytwin.agents.epidemic.sources import CURVE_FROM, SHEDDING_UNIT
from citytwin.agents.presence import GUEST, HOME
from citytwin.environment.randomness import key, uniform


@dataclass
class Person:
    """What is known of one person."""

    age: int
    state: int = SUSCEPTIBLE
    next: int = SUSCEPTIBLE
    since: int = -1
    until: int = -1
    infected_on: int = -1
    ill_since: int = -1
    strain: int = 0
    strains_had: int = 0
    had_before: bool = False
    infections: int = 0
    resistance: int = 0


@dataclass
class Twin:
    """An epidemic that reads who is where from a presence and keeps its own state.

    Args:
        presence: shared with the epidemic under test, which alone changes it.
        seed: seed of the run.
        course: of the disease.
        susceptibility: by age.
        shedding: infectiousness of a person by quantile.
        rates: by day type, relative hazards by contact and by air of every place.
        unit: hazard units per unit of infectiousness and slot of overlap.
        scale: infectiousness that counts as 1.
        strains: of the settings.
        cross: share of the immunity from a strain that holds against another.
        immunity: of the disease.
        lasting: whether the recovered are never infected again.
    """

    presence: object
    seed: int
    course: object
    susceptibility: list
    shedding: list
    rates: list
    unit: float
    scale: float
    strains: tuple
    cross: object
    immunity: object
    lasting: bool
    people: list = field(default_factory=list)
    infections: list = field(default_factory=list)

    def __post_init__(self):
        self.people = [Person(int(age)) for age in self.presence.city.people.age]
        for number in range(len(self.people)):
            self._new_spell(number)

    def _uniform(self, purpose, who, when=0):
        return uniform(key(self.seed, f"epidemic {purpose}"), who, when)

    def _new_spell(self, number):
        person = self.people[number]
        drawn = -log(self._uniform("threshold", number, person.infections)) / HAZARD_UNIT
        person.resistance = max(int(drawn + 0.5), 1)

    # ------------------------------------------------------------------ course

    def _settle(self, number, day):
        person, course = self.people[number], self.course
        ways = range(course.first[person.state], course.first[person.state + 1])
        if not ways:
            person.until = -1
            return
        when = (person.infections - 1) * SPELL + person.state
        u, summed = self._uniform("exit", number, when), 0.0
        for way in ways:
            chance = course.chance[way, person.age]
            if course.severe[way]:
                chance *= self.strains[person.strain].severity
                if person.had_before:
                    chance *= 1 - self.immunity.severe
            summed += chance
            if u < summed or way == ways[-1]:
                break
        law = course.law[course.law_first[way] : course.law_first[way + 1]]
        u = self._uniform("days", number, when)
        days = next((n for n, chance in enumerate(law) if u < chance), len(law) - 1)
        person.next = int(course.to[way])
        person.until = day + days + (person.state == ENTERED)

    def _infect(self, number, day, strain):
        person = self.people[number]
        person.state, person.since, person.infected_on, person.strain = ENTERED, day, day, strain
        person.ill_since = day + 1 if self.course.symptoms[ENTERED] else -1
        person.had_before = person.strains_had > 0
        person.strains_had |= 1 << strain
        person.infections += 1
        self._settle(number, day)

    def _progress(self, day):
        for number, person in enumerate(self.people):
            while person.state >= ENTERED and person.until == day:
                had = self.course.symptoms[person.state]
                person.state, person.since = person.next, day
                if not self.course.symptoms[person.state]:
                    person.ill_since = -1
                elif not had:
                    person.ill_since = day
                if person.state == RECOVERED and not self.lasting:
                    self._new_spell(number)
                self._settle(number, day)

    def _sigma(self, person, strain, day):
        value = self.susceptibility[person.age]
        if person.state == RECOVERED:
            had = [cross for n, cross in enumerate(self.cross) if person.strains_had >> n & 1]
            immune = self.immunity.protection * max(cross[strain] for cross in had)
            if self.immunity.half_life is not None:
                immune *= 2.0 ** (-(day - person.since) / self.immunity.half_life)
            value *= 1 - immune
        return float(np.float32(value))  # as the column holds it

    # ------------------------------------------------------------------ presence

    def day_of(self, number, day, factors):
        """Return (place, start, end, factor) of the visits that a person really makes on a day.

        Args:
            factors: ``give`` or ``take`` of the day's visits.
        """
        presence, city = self.presence, self.presence.city
        visits = presence.visits(day)
        mine = factors[visits.group[number]]
        home = int(city.people.household[number])
        out = []
        for place, start, end in city.schedules[presence.day_type(day)].visits_of(number):
            guest = int(city.places.kind[place]) == HOME and place != home
            factor = mine[int(visits.column[place]) + (GUEST if guest else 0)]
            if factor >= 0:
                out.append((place, start, end, float(factor)))
            else:
                out.append((home, start, end, float(mine[visits.column[home]])))
        return out

    # ------------------------------------------------------------------ a day

    def make_day(self, day, first_cases):
        """Make one day.

        Args:
            day: the day.
            first_cases: those infected on day 0, by strain.
        """
        self._progress(day)
        if day == 0:
            for strain, people in enumerate(first_cases):
                for number in sorted(people):
                    self._infect(number, day, strain)
                    self.infections.append((number, -1, -1, strain, day))
        present = [self._present(strain, day) for strain in range(len(self.strains))]
        limit = SUSCEPTIBLE if self.lasting else RECOVERED
        struck = []
        for number, person in enumerate(self.people):
            if person.state > limit:
                continue
            by_strain = [self._hazards(number, day, strain, here) for strain, here in enumerate(present)]
            before = person.resistance
            person.resistance -= sum(hazard for visits in by_strain for hazard, *_ in visits)
            if before > 0 and person.resistance <= 0:
                struck.append((number, by_strain))
        for number, by_strain in struck:
            totals = [sum(hazard for hazard, *_ in visits) for visits in by_strain]
            strain = self._strain(number, day, totals)
            infector, place = self._infector(number, day, strain, by_strain[strain], present[strain])
            self.infections.append((number, infector, place, strain, day))
        for number, *_, strain, on in self.infections[len(self.infections) - len(struck) :]:
            self._infect(number, on, strain)

    def _strain(self, number, day, totals):
        if sum(total > 0 for total in totals) == 1:
            return next(strain for strain, total in enumerate(totals) if total > 0)
        target = self._uniform("strain", number, day) * sum(totals)
        return next(strain for strain, summed in enumerate(accumulate(totals)) if summed > target)

    def _present(self, strain, day):
        """Return for each place (person, start, end, units) of the infectious visits."""
        course, present = self.course, {}
        give = self.presence.visits(day).give
        for number, person in enumerate(self.people):
            if person.state < ENTERED or person.strain != strain or course.shed[person.state].max() == 0:
                continue
            strength = float(course.shed[person.state][min(day - person.since, course.shed.shape[1] - 1)])
            strength *= course.since_infection[min(day - person.infected_on, len(course.since_infection) - 1)]
            u = self._uniform("shedding", number, person.infections - 1)
            strength *= self.shedding[int(u * len(self.shedding))]
            strength *= self.strains[strain].transmissibility / self.scale
            last = None
            for place, start, end, factor in self.day_of(number, day, give):
                units = int(strength * factor / SHEDDING_UNIT + 0.5)
                begin = present[place].pop()[1] if place == last else start  # the visit goes on
                present.setdefault(place, []).append((number, begin, end, units))
                last = place
        return {place: kept for place, them in present.items() if (kept := [one for one in them if one[3] > 0])}

    def _hazards(self, number, day, strain, present):
        """Return (hazard, exposure, place, [(infectious person, exposure to them)], start, end) of each visit."""
        presence = self.presence
        visits = presence.visits(day)
        contact, air = self.rates[presence.day_type(day)]
        sigma = self._sigma(self.people[number], strain, day)
        out = []
        for place, start, end, factor in self.day_of(number, day, visits.take):
            rate = float(contact[place])
            if len(air):
                rate += float(air[place] / visits.air[visits.column[place]])
            rate *= self.unit
            shares = [
                (other, max(min(end, until) - max(start, begin), 0) * units)
                for other, begin, until, units in present.get(place, ())
            ]
            exposure = sum(share for _, share in shares)
            hazard = int(min(rate * (factor * sigma) * exposure, MAX_HAZARD) + 0.5)
            out.append((hazard, exposure, place, shares, start, end))
        return out

    def _infector(self, number, day, strain, visits, present):
        purpose = f"infector {strain}"
        target = self._uniform(purpose, number, day * DRAWS) * sum(hazard for hazard, *_ in visits)
        summed = 0
        for hazard, exposure, place, shares, start, end in visits:
            summed += hazard
            if summed > target:
                if len(shares) >= CURVE_FROM:
                    other = self._tried(purpose, number, day, present[place], start, end)
                    if other is not None:
                        return other, place
                left = (target - (summed - hazard)) / hazard * exposure
                return next(other for other, share in shares if (left := left - share) < 0), place
        raise AssertionError("a person was infected without hazard")

    def _tried(self, purpose, number, day, visitors, start, end):
        """Return a visitor drawn by infectiousness and kept by overlap, None if none was kept."""
        for attempt in range(1, DRAWS - 1, 2):
            aim = self._uniform(purpose, number, day * DRAWS + attempt) * sum(units for *_, units in visitors)
            summed = accumulate(units for *_, units in visitors)
            other, begin, until, _ = next(v for v, total in zip(visitors, summed, strict=True) if total > aim)
            kept = self._uniform(purpose, number, day * DRAWS + attempt + 1) * (end - start)
            if min(end, until) - max(start, begin) > kept:
                return other
        return None
