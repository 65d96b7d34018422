"""Isolation of cases, and quarantine of their households and contacts."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...environment.randomness import key, uniforms
from ..presence import ISOLATED, QUARANTINED
from . import kernels
from .base import MAX_DAYS, Measure, MeasureSettings, Share


class IsolationSettings(MeasureSettings):
    """The table ``isolate`` of a policy. Who does not follow the policy goes on as usual.

    Attributes:
        at: when isolation begins: on the morning on which a positive ``"result"`` becomes known, on the day of ``"onset"``
            of symptoms, or on ``"both"``, whichever comes first. Who is isolated already stays until the day set then.
        days: length of isolation. Default 10 days: time after onset or test for which most countries asked cases to
            isolate in 2020 and 2021.
        home: factor on contacts with housemates during isolation. Default 0.3, Covasim's parameter file (``iso_factor``,
            household).
        household: whether housemates of a new case go into quarantine.
        contacts: whether traced contacts go into quarantine on the day on which they are told.
        quarantine_days: length of quarantine. Default 14 days: the longest incubation to be reckoned with, European Centre
            for Disease Prevention and Control, Contact tracing, second update, 8 April 2020.
        quarantine_home: factor on contacts with housemates during quarantine. Default 0.6, Covasim's parameter file
            (``quar_factor``, household).
        dropout: chance a day that somebody in isolation or quarantine ends it early.
    """

    at: Literal["result", "onset", "both"] = "result"
    days: int = Field(default=10, ge=1, le=MAX_DAYS)
    home: Share = 0.3
    household: bool = False
    contacts: bool = True
    quarantine_days: int = Field(default=14, ge=1, le=MAX_DAYS)
    quarantine_home: Share = 0.6
    dropout: Share = 0.0

    @property
    def needs(self) -> tuple[str, ...]:
        """Tests, unless isolation begins with symptoms."""
        return ("test",) if self.at == "result" else ()


class Isolation(Measure):
    """Isolation and quarantine. Of several policies in force the last says what goes on at home."""

    Settings = IsolationSettings

    def __init__(self, model: Any, policy: Any, settings: IsolationSettings):
        super().__init__(model, policy, settings)
        self.attach("isolated_until", "quarantined_until", "positive_on", "traced_on")
        self._dropout = key(model.seed_number, "isolation dropout")

    def everyday(self) -> None:
        """Release people whose time is over, and keep those who are back from hospital and still have to stay."""
        self._settle()

    def act(self, followers: NDArray[np.bool_]) -> None:
        """Isolate the cases of today, quarantine around them, and let some people drop out."""
        settings, day = self.settings, self.model.day
        home_factor = self.model.presence.home_factor
        home_factor[ISOLATED], home_factor[QUARANTINED] = settings.home, settings.quarantine_home
        isolated_until, quarantined_until = self.column("isolated_until"), self.column("quarantined_until")
        if settings.dropout > 0:
            staying = np.flatnonzero(followers & ((isolated_until > day) | (quarantined_until > day)))
            gone = staying[uniforms(self._dropout, staying, day) < settings.dropout]
            isolated_until[gone] = np.minimum(isolated_until[gone], day)
            quarantined_until[gone] = np.minimum(quarantined_until[gone], day)

        new = np.zeros(self.people, bool)
        if settings.at != "onset":
            new |= self.column("positive_on") == day
        if settings.at != "result":
            new |= self.column("ill_since") == day
        cases = np.flatnonzero(new & followers & (self.column("health") != kernels.DEAD))
        new_cases = cases[isolated_until[cases] <= day]
        isolated_until[new_cases] = day + settings.days
        quarantined_until[cases] = np.minimum(quarantined_until[cases], day)  # isolation takes its place

        if settings.household and cases.size:
            household = self.model.city.people.household
            struck = np.zeros(self.model.city.homes, bool)
            struck[household[cases]] = True
            self._quarantine(np.flatnonzero(struck[household]), followers)
        if settings.contacts:
            self._quarantine(np.flatnonzero(self.column("traced_on") == day), followers)
        self._settle()

    def series(self) -> dict[str, int]:
        """Return how many people are isolated and quarantined now.

        Of several such measures the first counts them, so that nobody is counted twice.
        """
        first = next(measure for measure in self.model.authority.measures if isinstance(measure, Isolation))
        status = self.model.presence.status if first is self else np.zeros(0, np.uint8)
        return {
            "isolated": int(np.count_nonzero(status == ISOLATED)),
            "quarantined": int(np.count_nonzero(status == QUARANTINED)),
        }

    def _quarantine(self, rows: NDArray[np.int64], followers: NDArray[np.bool_]) -> None:
        day, until = self.model.day, self.column("quarantined_until")
        rows = rows[followers[rows] & (self.column("isolated_until")[rows] <= day)]
        until[rows] = np.maximum(until[rows], day + self.settings.quarantine_days)

    def _settle(self) -> None:
        presence = self.model.presence
        freed, unquarantined, isolated, quarantined = kernels.wanted_status(
            self.model.day, self.column("isolated_until"), self.column("quarantined_until"), presence.status
        )
        presence.release(freed, ISOLATED)
        presence.release(unquarantined, QUARANTINED)
        presence.put(isolated, ISOLATED)
        presence.put(quarantined, QUARANTINED)
