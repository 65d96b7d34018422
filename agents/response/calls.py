"""Calls: who needs help on a day, drawn from rates for the people of a city, or told by other processes.

Candidates for a call come at random at the greatest rate there is. Each belongs to a person, drawn among all residents
alike, and becomes a call by a further draw, with the chance that the rate for this person there and then is of the greatest
one. That makes the calls of every person a Poisson process with the person's own rate (Lewis & Shedler 1979, Nav. Res.
Logist. Q. 26:403-413), and it makes them common: what a policy does not change about a person leaves their calls as they
are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment import quantiles
from ...environment.randomness import key, uniform, uniforms
from ..emergencies import Emergency
from ..presence import AWAY, Presence
from .decisions import Dispatcher
from .events import Events
from .incidents import Incidents, draws, tasks_of
from .kinds import KindSettings, Services
from .scenes import CallError, Scene, Scenes, zone_names
from .tasks import Tasks

if TYPE_CHECKING:
    from ...environment.city import City

DAY = 86_400
_SLOT = 900  # s
YEAR = 365.25
"""Days of a year, to which rates refer."""
MOST_CAUSES = 256
"""Causes that the column ``cause`` of tasks, a byte, can number."""
RATES, EVENTS = "rates", "events"
"""Causes of calls that come from rates, and from a file of real events."""


class Calls:
    """Calls of the people of a city.

    Args:
        city: the city.
        presence: who is where.
        kinds: kinds of incidents, see :func:`~.kinds.kinds_of`; numbered in this order.
        services: what holds for all kinds.
        seed: seed of the run.
        scenes: how to get there.
        factor: number by which the rates of all kinds are multiplied.
        causes: further causes, to be numbered in this order.
        skills: names of all skills, in the order of their bits.
        dispatcher: sorts casualties, if its class has a rule of its own; without, START does.

    Raises:
        CallError: if a kind names a zone that the city has not.
    """

    def __init__(
        self,
        city: "City",
        presence: Presence,
        kinds: Mapping[str, KindSettings],
        services: Services,
        seed: int,
        *,
        scenes: Scenes,
        factor: float = 1.0,
        causes: Sequence[str] = (),
        skills: Sequence[str] = (),
        dispatcher: Dispatcher | None = None,
    ):
        self._skills, self._dispatcher = tuple(skills), dispatcher
        self._city, self._presence, self._seed = city, presence, seed
        self.kinds, self.services, self.scenes = dict(kinds), services, scenes
        self.causes = tuple(dict.fromkeys((RATES, EVENTS, *causes)))
        """Names that the column ``cause`` of tasks numbers; those of emergencies join when they first come."""
        self._age = np.asarray(city.people.age)
        zones = zone_names(city)
        self._rates = [_KindRate(name, kind, self._age, zones, factor) for name, kind in self.kinds.items()]
        self._street = np.array([kind.at == "street" for kind in self.kinds.values()])
        self._numbers = {name: number for number, name in enumerate(self.kinds)}

    def expected(self, weekday: int) -> dict[str, float]:
        """Return how many calls of each kind a day of a weekday (0 Monday) has if everybody is in a zone of factor 1."""
        people = np.bincount(self._age, minlength=256)
        return {
            name: float((rate.by_age * people).sum() * rate.hours.mean() * rate.weekdays[weekday] * DAY)
            for name, rate in zip(self.kinds, self._rates, strict=True)
        }

    # ------------------------------------------------------------------ from rates

    def of_day(self, day: int, today: date) -> Tasks:
        """Return the calls of a day that come from rates.

        People who are away, in hospital or dead, do not call.

        Args:
            day: day of the run, of which presence knows the exceptions.
            today: its date.
        """
        parts = [self._of_kind(number, day, today.weekday()) for number in range(len(self._rates))]
        kind, second, person, who, place = (np.concatenate(column) for column in zip(*parts, strict=True))
        scene = self.scenes.at_places(place, street=self._street[kind])
        return self._tasks(RATES, scene, day * DAY + second, kind=kind, who=who, when=day, person=person)

    def _of_kind(self, number: int, day: int, weekday: int) -> tuple[NDArray[np.int64], ...]:
        """Return kind, second of the day, person, number of the candidate and place of the calls of a kind."""
        rate, people = self._rates[number], len(self._age)
        named = f"response {RATES} {rate.name}"
        mean = people * rate.greatest * rate.weekdays[weekday] * DAY
        count = quantiles.poisson(mean, uniform(key(self._seed, f"{named} number"), 0, day)) if mean > 0 else 0
        who = np.arange(count)
        moment, chosen, luck = (
            uniforms(key(self._seed, f"{named} {purpose}"), who, day) for purpose in ("moment", "person", "thinning")
        )
        second, person = moment * DAY, (chosen * people).astype(np.int64)
        place = self._presence.places_of(person, day, (second // _SLOT).astype(np.int64))
        wanted = rate.by_age[self._age[person]] * rate.hours[(second // 3600).astype(np.int64)]
        wanted = wanted * rate.zones[self._city.places.zone[place]]
        calls = (luck * rate.greatest < wanted) & (self._presence.status[person] != AWAY)
        return np.full(calls.sum(), number), second[calls], person[calls], who[calls], place[calls]

    # ------------------------------------------------------------------ from others

    def of_events(self, events: Events, day: int, *, file: int = 0) -> Tasks:
        """Return the calls of a day that come from a file of real events.

        Args:
            events: the events.
            day: day of the run.
            file: number of the file, if there are several.
        """
        rows, time = events.of_day(day)
        kind, row = events.kind[rows], events.row[rows]
        when = np.full(len(rows), time)
        later = draws(key(self._seed, f"response events moment {file}"), row, when)
        second = day * DAY + events.second[rows] % DAY + later * events.spread
        scene = self.scenes.at_points(events.x[rows], events.y[rows], street=self._street[kind])
        asked = {"priority": events.priority[rows], "units": events.units[rows]}
        return self._tasks(EVENTS, scene, second, kind=kind, who=(row << 8) + file, when=when, **asked)

    def of_emergencies(self, emergencies: Sequence[Emergency]) -> Tasks:
        """Return the calls for what other processes have posted.

        Where no place or point is given it is where the person then is; who is away, at home.

        Raises:
            CallError: if the kind, place or person of one is unknown, it is neither at a place nor at a point nor a
                person's, or its moment or severity is none.
        """
        parts = []
        for cause in dict.fromkeys(emergency.cause for emergency in emergencies):
            if cause not in self.causes:
                if len(self.causes) == MOST_CAUSES:
                    raise CallError(
                        f"{cause}: emergencies have more than {MOST_CAUSES} causes; name the process, not the case"
                    )
                self.causes = (*self.causes, cause)
            parts.append(self._of_cause(cause, [emergency for emergency in emergencies if emergency.cause == cause]))
        return Tasks.together(parts) if parts else self._tasks(RATES, self.scenes.at_places([]), np.zeros(0))

    def _of_cause(self, cause: str, emergencies: list[Emergency]) -> Tasks:
        for emergency in emergencies:
            if emergency.kind not in self._numbers:
                raise CallError(
                    f"{cause} asks for help of the kind '{emergency.kind}'; there are: {', '.join(self.kinds)}"
                )
            for name, most in (("place", len(self._city.places)), ("person", len(self._age))):
                if not -1 <= getattr(emergency, name) < most:
                    raise CallError(
                        f"{cause}: a {emergency.kind} is at {name} {getattr(emergency, name)}; the city has 0 … {most - 1}, "
                        "and −1 is for none"
                    )
            if not (0 <= emergency.second < np.inf and 0 <= emergency.severity <= 1):
                raise CallError(
                    f"{cause}: a {emergency.kind} has second {emergency.second} and severity {emergency.severity}; seconds "
                    "count from the start of the clock, and severity is from 0 to 1"
                )
        second = np.array([emergency.second for emergency in emergencies])
        day = (second // DAY).astype(np.int64)
        person = np.array([emergency.person for emergency in emergencies], np.int64)
        place = np.array([emergency.place for emergency in emergencies], np.int64)
        x, y = (np.array([getattr(emergency, name) for emergency in emergencies]) for name in ("x", "y"))
        kind = np.array([self._numbers[emergency.kind] for emergency in emergencies])
        pointed = (place < 0) & np.isfinite(x) & np.isfinite(y)
        followed = (place < 0) & ~pointed
        if (followed & (person < 0)).any():
            lost = emergencies[int(np.argmax(followed & (person < 0)))]
            raise CallError(f"{cause}: an emergency of the kind '{lost.kind}' has neither place nor point nor person")
        for when in np.unique(day[followed]):
            rows = np.flatnonzero(followed & (day == when))
            slots = (second[rows] % DAY // _SLOT).astype(np.int64)
            place[rows] = self._presence.places_of(person[rows], int(when), slots)
        scene = _joined(
            pointed,
            self.scenes.at_points(x[pointed], y[pointed], street=self._street[kind[pointed]]),
            self.scenes.at_places(place[~pointed], street=self._street[kind[~pointed]]),
        )
        return self._tasks(
            cause,
            scene,
            second,
            kind=kind,
            who=_identities(emergencies),
            when=day,
            person=person,
            severity=np.array([emergency.severity for emergency in emergencies]),
        )

    def _tasks(
        self, cause: str, scene: Scene, called: NDArray[np.float64], **columns: NDArray[np.generic] | int
    ) -> Tasks:
        incidents = Incidents.of(called, **scene._asdict(), **columns)
        return tasks_of(
            incidents,
            self.kinds,
            self.services,
            self._seed,
            source=cause,
            causes=self.causes,
            skills=self._skills,
            triage=None if self._dispatcher is None else self._dispatcher.triage_rule(),
        )


def check_zones(name: str, kind: KindSettings, zones: dict[str, int]) -> None:
    """Refuse a kind with factors of zones that there are not.

    Raises:
        CallError: naming those that there are.
    """
    for zone in kind.zones:
        if zone not in zones:
            raise CallError(
                f"response.kinds.{name}.zones: the city has no zone '{zone}'; there are: {', '.join(zones)}"
            )


class _KindRate:
    """Calls per second and person of a kind, as the product of factors."""

    def __init__(self, name: str, kind: KindSettings, age: NDArray[np.uint8], zones: dict[str, int], factor: float):
        self.name = name
        self.by_age = factor * kind.rate.by_age() / (1000 * YEAR * DAY)
        self.hours, self.weekdays = kind.factors()
        self.zones = np.ones(max(len(zones), 1))
        check_zones(name, kind, zones)
        for zone, value in kind.zones.items():
            self.zones[zones[zone]] = value
        oldest = self.by_age[age].max(initial=0.0)
        self.greatest = float(oldest * self.hours.max() * self.zones.max())


def _identities(emergencies: list[Emergency]) -> NDArray[np.int64]:
    """Return the number that the draws of each emergency belong to: that of its person, place or square metre.

    Of several that have one of them, a kind and a day in common, the later get other numbers.
    """
    seen: Counter[tuple[str, int, int]] = Counter()
    found = np.empty(len(emergencies), np.int64)
    for row, emergency in enumerate(emergencies):
        if emergency.person >= 0:
            number = emergency.person
        elif emergency.place >= 0:
            number = emergency.place
        else:
            number = (int(emergency.x) & 0xFFFF) << 16 | int(emergency.y) & 0xFFFF
        again = (emergency.kind, int(emergency.second // DAY), number)
        found[row] = number + (seen[again] << 32)
        seen[again] += 1
    return found


def _joined(first: NDArray[np.bool_], of_first: Scene, of_others: Scene) -> Scene:
    """Return scenes of which those marked are the first ones."""
    row = np.empty(len(first), np.int64)
    row[first], row[~first] = np.arange(len(of_first.node)), len(of_first.node) + np.arange(len(of_others.node))
    columns = {name: np.concatenate([getattr(of_first, name), getattr(of_others, name)])[row] for name in Scene._fields}
    return Scene(**columns)
