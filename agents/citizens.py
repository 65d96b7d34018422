"""Citizens: the residents of a city, one row each, in the order in which the city numbers its people."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..environment.places import Role
from ..environment.positions import place_point
from ..environment.schedules import SLOT_MINUTES, SLOTS_PER_DAY
from .rows import Column, RowAgent, RowModel, RowSet

if TYPE_CHECKING:
    from shapely import Point

    from ..environment.city import City
    from .authorities import Policy

_SLOT_SECONDS = 60 * SLOT_MINUTES


class Citizen(RowAgent):
    """A resident.

    A class of one's own adds columns and overrides hooks; a hook that no class overrides costs nothing::

        class Cautious(Citizen):
            worry = Column("f4", 0.5, doc="0 careless … 1 anxious")

            def goes_out(self):
                return self.random_float("courage") > self.worry
    """

    age = Column("u1", unit="years", doc="age in completed years")
    sex = Column("u1", doc="0 female, 1 male")
    role = Column("u1", Role.AT_HOME, doc="places.Role: what the person does on a working day")
    household = Column("i4", -1, doc="household, which is also the place number of the home")
    activity = Column("i4", -1, doc="place of the class, team or venue where the person learns or works, −1 for none")
    zone = Column("i4", -1, doc="zone of the home")
    compliance = Column("f4", doc="draw in 0 … 1: the person follows a policy whose compliance is above it")

    @classmethod
    def of_city(cls, model: RowModel, city: "City", **columns: ArrayLike) -> RowSet:
        """Make a citizen of every resident of a city, in the city's numbering.

        Args:
            model: the model, which has no citizens of this class yet.
            city: the city.
            **columns: values of further columns, one number, or one a person.

        Raises:
            ValueError: if the model has citizens of this class already.
        """
        if len(model.table(cls)):
            raise ValueError(f"the model has {cls.__name__} agents already; rows and people would not agree")
        people = city.people
        known = {name: people[name] for name in people if name in cls.columns()}
        known["zone"] = city.places.zone[people.household]
        return cls.create_agents(model, len(people), **(known | columns))

    # ------------------------------------------------------------------ hooks

    def goes_out(self) -> bool:
        """Say whether the person leaves home today.

        Asked each morning, only of classes that override it. Who says False stays at home all day; nobody meets them
        anywhere else, and their household has them around.
        """
        return True

    def complies(self, policy: "Policy") -> bool:
        """Say whether the person follows a policy.

        Asked once, when the policy comes into force, of those it is meant for, and only of classes that override it. What
        is said holds until the policy ends; fatigue goes on taking followers away.
        """
        return bool(policy.compliance >= 1 or self.compliance < policy.compliance)

    def stays_home_when_ill(self) -> bool:
        """Say whether the person stays at home while they have symptoms.

        Asked on the day of onset, only of classes that override it. Who says True stays at home until the symptoms end.
        """
        return False

    def seeks_test(self) -> bool:
        """Say whether the person wants to be tested today.

        Asked each day of those who have symptoms, only of classes that override it, where a policy tests people with
        symptoms: the answer takes the place of the chance that the policy gives.
        """
        return True

    def choose_venue(self, place: int) -> int:
        """Return the place to which the person goes instead of a shop or leisure venue of their schedule.

        Asked each day for each such visit, only of classes that override it. Who comes meets the others who are there, but
        crowding and the volume of the room, on which the risk of a meeting depends, stay those of the city's schedule: they
        stand for how people stand about there and how large the room is, and do not change with those who choose it.

        Args:
            place: number of the venue in the schedule.
        """
        return place

    # ------------------------------------------------------------------ where they are

    @property
    def home(self) -> int:
        """Place number of the home."""
        return self.household

    @property
    def place(self) -> int:
        """Place where the citizen is now: on ``model.day`` at ``model.time_of_day`` (s since midnight, 0 if absent)."""
        return whereabouts(self.model, self.row, getattr(self.model, "day", 0), slot_of_day(self.model))

    @property
    def geometry(self) -> "Point":
        """Point where the citizen is now, in the city's CRS."""
        return place_point(_city(self), self.place)

    def place_at(self, hour: float, day: int | None = None) -> int:
        """Return the place where the citizen is at some hour, exceptions of the day included.

        Args:
            hour: hours since midnight, 0 ≤ hour < 24.
            day: day of the model's clock, today by default. Exceptions are known for today only.

        Raises:
            ValueError: if there is no such hour.
        """
        if not 0 <= hour < 24:
            raise ValueError(f"hour {hour} is not in 0 … 24")
        day = getattr(self.model, "day", 0) if day is None else day
        return whereabouts(self.model, self.row, day, int(hour * 3600 // _SLOT_SECONDS))

    @property
    def housemates(self) -> RowSet:
        """The others of the household, as the city has them."""
        first = _city(self).households.first
        rows = np.arange(first[self.household], first[self.household + 1])
        return self._table.rows(rows[rows != self.row])


def whereabouts(model: Any, person: int, day: int, slot: int) -> int:
    """Return the place where a person is in a slot of a day.

    With ``model.presence`` that is what really happens, exceptions included. Without it, the bare schedule of
    ``model.city``, whose day 0 is then a Monday.

    Args:
        model: a model with a city.
        person: number of the person in the city.
        day: day of the model's clock.
        slot: 0 … 95, quarters of an hour since midnight.

    Raises:
        ValueError: if there is no such slot.
    """
    if not 0 <= slot < SLOTS_PER_DAY:
        raise ValueError(f"slot {slot} is not in 0 … {SLOTS_PER_DAY - 1}")
    presence = getattr(model, "presence", None)
    if presence is not None:
        return int(presence.place_of(person, day, slot))
    schedule = model.city.schedule_on(day % 7)
    visits = slice(schedule.first[person], schedule.first[person + 1])
    return int(schedule.place[visits][np.searchsorted(schedule.end[visits], slot, side="right")])


def everyone_at(model: Any, day: int, slot: int) -> NDArray[np.int32]:
    """Return the place where each person of the city is in a slot of a day, (people,); see :func:`whereabouts`."""
    if not 0 <= slot < SLOTS_PER_DAY:
        raise ValueError(f"slot {slot} is not in 0 … {SLOTS_PER_DAY - 1}")
    presence = getattr(model, "presence", None)
    if presence is not None:
        return presence.places_at(day, slot)  # type: ignore[no-any-return]
    schedule = model.city.schedule_on(day % 7)
    return schedule.place[(schedule.start <= slot) & (slot < schedule.end)]  # type: ignore[no-any-return]


def slot_of_day(model: Any) -> int:
    """Return the quarter of an hour under way, 0 … 95, from ``model.time_of_day`` (s since midnight, 0 if absent)."""
    return int(getattr(model, "time_of_day", 0.0) // _SLOT_SECONDS)


def _city(agent: RowAgent) -> "City":
    city = getattr(agent.model, "city", None)
    if city is None:
        raise AttributeError(f"{type(agent.model).__name__} has no city; give it one: model.city = City.load(path)")
    return city
