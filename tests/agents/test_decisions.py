"""Hooks of citizens: who is asked when, and what becomes of the answers."""

from typing import Any

import numpy as np
import pytest
from cities import OUTING, SHOPPING, tiny_city

from citytwin.agents.citizens import Citizen
from citytwin.agents.decisions import Decisions
from citytwin.agents.presence import AWAY, Presence
from citytwin.agents.rows import Column, RowModel
from citytwin.environment.places import PlaceKind, Role

MONDAY, SATURDAY = 0, 5


class Asked(Citizen):
    """Somebody who remembers how often each hook was asked."""

    outs = Column("i4")
    ills = Column("i4")

    def goes_out(self) -> bool:
        """Go out if not too old."""
        self.outs += 1
        return self.age < 68

    def stays_home_when_ill(self) -> bool:
        """Stay at home if an adult."""
        self.ills += 1
        return self.age >= 18


class Morning:
    """A city in which nothing but mornings happens."""

    def __init__(self, cls: type[Citizen]):
        self.city = tiny_city(60)
        self.model = RowModel()
        self.citizens = cls.of_city(self.model, self.city)
        self.table = self.citizens.table
        self.presence = Presence(self.city, 1)
        self.decisions = Decisions(self.table, self.presence)

    def begin(self, day: int) -> None:
        self.presence.begin_day(day)
        self.decisions.ask(day)

    def away_from_home(self, day: int, slot: int) -> np.ndarray:
        return self.presence.places_at(day, slot) != self.city.people.household


def test_who_does_not_go_out_is_at_home() -> None:
    morning = Morning(Asked)
    morning.begin(MONDAY)
    age = morning.city.people.age
    out = morning.away_from_home(MONDAY, SHOPPING[0])
    assert not out[age >= 68].any()
    assert out[(age < 68) & (age > 5)].all()
    assert (morning.citizens.column("outs") == 1).all()
    assert (morning.citizens.column("ills") == 0).all()  # there is no disease


def test_the_dead_are_not_asked() -> None:
    morning = Morning(Asked)
    morning.presence.put([3, 4], AWAY)
    morning.begin(MONDAY)
    assert np.flatnonzero(morning.citizens.column("outs") == 0).tolist() == [3, 4]


class Careful(Asked):
    """Somebody who would always go out."""

    def goes_out(self) -> bool:
        """Go out."""
        return True


def test_the_ill_are_asked_once_and_stay_until_they_are_well() -> None:
    morning = Morning(Careful)
    ill_since = morning.table.attach("ill_since", Column("i4", -1))
    workers = np.flatnonzero(morning.city.people.role == Role.WORKER)
    pupils = np.flatnonzero(morning.city.people.role == Role.PRIMARY)
    ill, child = int(workers[0]), int(pupils[0])
    for day in range(4):
        ill_since[[ill, child]] = 1 if 1 <= day < 3 else -1
        morning.begin(day)
        out = morning.away_from_home(day, 45)
        assert out[ill] == (day not in (1, 2))
        assert out[child]  # says False
        assert out[workers[1]]
    assert morning.citizens.column("ills")[[ill, child]].tolist() == [1, 1]
    assert morning.citizens.column("ills").sum() == 2


class Stroller(Citizen):
    """Somebody who goes to the shop instead of the leisure venue."""

    def choose_venue(self, place: int) -> int:  # noqa: ARG002
        """Prefer the first shop."""
        return int(np.flatnonzero(self.model.shops)[0])


def with_venues(cls: type[Citizen]) -> Morning:
    morning = Morning(cls)
    morning.model.shops = morning.city.places.kind == PlaceKind.SHOP  # type: ignore[attr-defined]
    return morning


def test_another_venue_for_today() -> None:
    morning = with_venues(Stroller)
    morning.begin(SATURDAY)
    places = morning.presence.places_at(SATURDAY, OUTING[0])
    usual = tiny_city(60).schedules[morning.presence.day_type(SATURDAY)]
    going = usual.place[(usual.start <= OUTING[0]) & (OUTING[0] < usual.end)] != morning.city.people.household
    assert going.sum() > 10
    assert np.array_equal(morning.presence.city.places.kind[places] == PlaceKind.SHOP, going)
    morning.presence.begin_day(SATURDAY + 1)
    places = morning.presence.places_at(SATURDAY + 1, OUTING[0])
    assert not (morning.city.places.kind[places] == PlaceKind.SHOP).any()


def test_who_works_at_a_venue_or_cannot_go_there_has_no_choice() -> None:
    class Counting(Citizen):
        asked = Column("i4")

        def choose_venue(self, place: int) -> int:
            """Stay with the usual one."""
            self.asked += 1
            return place

    morning = with_venues(Counting)
    retired = np.flatnonzero(morning.city.people.role == Role.RETIRED)
    morning.presence.begin_day(MONDAY)
    morning.presence.confine(retired[:2])
    morning.decisions.ask(MONDAY)
    assert np.array_equal(np.flatnonzero(morning.citizens.column("asked")), retired[2:])


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (None, TypeError, r"Odd\.choose_venue returned None; it must return the number of a place"),
        (True, TypeError, r"returned True; it must return the number"),
        (0, ValueError, r"returned 0, which is home; it must return a shop or a leisure venue"),
        (10**6, ValueError, r"which is no place; it must return a shop"),
    ],
)
def test_a_choice_that_is_none(answer: Any, error: type[Exception], said: str) -> None:
    class Odd(Citizen):
        def choose_venue(self, place: int) -> int:  # noqa: ARG002
            """Answer nonsense."""
            return answer  # type: ignore[no-any-return]

    with pytest.raises(error, match=said):
        with_venues(Odd).begin(MONDAY)


def test_a_forgotten_return_is_an_error() -> None:
    class Forgetful(Citizen):
        def stays_home_when_ill(self) -> bool:  # type: ignore[return]
            """Decide, and keep it to oneself."""

    morning = Morning(Forgetful)
    morning.table.attach("ill_since", Column("i4", 0))
    with pytest.raises(TypeError, match=r"Forgetful\.stays_home_when_ill returned None; it must return True"):
        morning.begin(0)
