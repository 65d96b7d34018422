"""What citizens decide each morning, for hooks of :class:`~citytwin.agents.citizens.Citizen` that their class overrides.

The model decides who faces a choice; only those rows become Python objects, and a hook that no class overrides costs
nothing. People in hospital and the dead are not asked.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..environment.places import PlaceKind
from .presence import AWAY, Presence
from .tables import Table

VENUES = (int(PlaceKind.SHOP), int(PlaceKind.LEISURE))
"""Kinds of places among which a person chooses."""


class Decisions:
    """Asks citizens and tells :class:`~citytwin.agents.presence.Presence` what they decided.

    Args:
        table: table of the citizens, row for row the people of the city.
        presence: who is where.
    """

    def __init__(self, table: Table, presence: Presence):
        self._table = table
        self._presence = presence
        self._at_home_ill: NDArray[np.int64] = np.zeros(0, np.int64)

    def ask(self, day: int) -> None:
        """Ask everybody who faces a choice today.

        Raises:
            TypeError: if a hook returns something else than it must.
        """
        cls = self._table.cls
        if cls.overrides("goes_out"):
            self._ask_goes_out()
        if cls.overrides("stays_home_when_ill") and "ill_since" in self._table.columns:
            self._ask_ill(day)
        if cls.overrides("choose_venue"):
            self._ask_venues(day)

    def _ask_goes_out(self) -> None:
        here = np.flatnonzero(self._presence.status != AWAY)
        views = self._table.views(here.tolist())
        self._presence.confine([citizen.row for citizen in views if not _decided(citizen, "goes_out", _GOES_OUT)])

    def _ask_ill(self, day: int) -> None:
        ill_since = self._table.columns["ill_since"]
        fallen_ill = np.flatnonzero((ill_since == day) & (self._presence.status != AWAY))
        staying = [c.row for c in self._table.views(fallen_ill.tolist()) if _decided(c, "stays_home_when_ill", _STAYS)]
        still = self._at_home_ill[ill_since[self._at_home_ill] >= 0]
        self._at_home_ill = np.union1d(still, np.array(staying, np.int64))
        self._presence.confine(self._at_home_ill)

    def _ask_venues(self, day: int) -> None:
        city, today = self._presence.city, self._presence.visits(day)
        places = today.place
        chosen = np.flatnonzero(np.isin(today.kind[places], VENUES))
        person = np.searchsorted(today.first, chosen, side="right") - 1
        place = places[chosen]
        goes = today.take[today.group[person], today.column[place]] >= 0
        goes &= place != city.people.activity[person]  # who works there has no choice
        visits, targets = [], []
        for visit, row, usual in zip(chosen[goes].tolist(), person[goes].tolist(), place[goes].tolist(), strict=True):
            citizen = self._table.view(row)
            target = citizen.choose_venue(usual)
            if target != usual:
                visits.append(visit)
                targets.append(_venue(citizen, target, today.kind))
        self._presence.redirect(visits, targets)


_GOES_OUT = "True (goes out) or False (stays at home)"
_STAYS = "True (stays at home) or False (goes on as usual)"


def _decided(citizen: Any, hook: str, allowed: str) -> bool:
    """Return what a citizen says to a hook that asks yes or no.

    Raises:
        TypeError: if that is neither; a forgotten ``return`` would pass for no.
    """
    said = getattr(citizen, hook)()
    if not isinstance(said, bool | np.bool_):
        raise TypeError(f"{type(citizen).__name__}.{hook} returned {said!r}; it must return {allowed}")
    return bool(said)


def _venue(citizen: Any, place: Any, kind: NDArray[np.uint8]) -> int:
    """Return the venue that a citizen chose.

    Raises:
        TypeError: if it is no number of a place.
        ValueError: if that is no shop or leisure venue.
    """
    name = f"{type(citizen).__name__}.choose_venue"
    if isinstance(place, bool) or not isinstance(place, int | np.integer):
        raise TypeError(
            f"{name} returned {place!r}; it must return the number of a place, its argument to change nothing"
        )
    if not 0 <= place < len(kind) or kind[place] not in VENUES:
        what = PlaceKind(kind[place]).name.lower() if 0 <= place < len(kind) else "no place"
        raise ValueError(f"{name} returned {place}, which is {what}; it must return a shop or a leisure venue")
    return int(place)
