"""Contact tracing by replaying the visits of past days; no contacts are stored."""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ...environment.places import PLACE_GROUPS
from ...environment.randomness import key, uniforms
from ...environment.schedules import SLOT_MINUTES
from ..epidemic.rates import crowding
from ..presence import COLUMNS, GUEST
from . import kernels
from .base import Amount, Days, Measure, MeasureSettings, Share

SETTINGS: dict[str, tuple[int, ...]] = {
    **{name: tuple(int(kind) for kind in kinds) for name, kinds in PLACE_GROUPS.items()},
    "guests": (GUEST,),
}
"""Where contacts happen: names that ``share`` and ``delay`` may use, each with the kinds of places it stands for. ``home``
are housemates at home; ``guests`` are contacts in homes between people of different households."""

MAX_DELAY = 60
MAX_DAYS_BACK = 60


class TracingSettings(MeasureSettings):
    """The table ``trace`` of a policy. Traced are the contacts of people whose positive result becomes known today.

    Attributes:
        share: share of the contacts of a case who are found, by setting; elsewhere none are.
        delay: days until they are told, by setting or one for all; 0 is the morning of the result.
        days_back: days before the result of which visits are replayed. Default assumed; guidance of 2020 asked for the
            48 hours before onset of symptoms and the time from then to isolation.
        minimum_minutes: time together in one place on one day from which on a meeting is a contact; it is counted in
            quarters of an hour. Default 15 min, definition of a close contact of the European and the US Centres for
            Disease Control, 2020.
        capacity: most cases that are asked for their contacts a day, drawn by lot; the others' are not traced.
        app: share of the people with an app that tells contacts who have it too, at once and wherever they met.
    """

    share: dict[str, Share] = Field(default_factory=dict)
    delay: Days | dict[str, Days] = 0
    days_back: int = Field(default=7, ge=1, le=MAX_DAYS_BACK)
    minimum_minutes: int = Field(default=15, ge=1, le=24 * 60)
    capacity: Amount | None = None
    app: Share = 0.0

    @field_validator("share", "delay", mode="after")
    @classmethod
    def _check_names(cls, value: Any) -> Any:
        for name, number in value.items() if isinstance(value, dict) else [("delay", value)]:
            if isinstance(value, dict) and name not in SETTINGS:
                raise ValueError(f"'{name}' is no setting of contacts; allowed are: {', '.join(SETTINGS)}")
            if number > MAX_DELAY:
                raise ValueError(f"{name} = {number}: write at most {MAX_DELAY} days")
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> "TracingSettings":
        if not self.model_fields_set & {"share", "app"}:
            raise ValueError(
                "nobody would be traced; give 'share' by setting, as in { home = 1.0, work = 0.5 }, or 'app'"
            )
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """Tests: only people with a positive result are asked for their contacts."""
        return ("test",)


class Tracing(Measure):
    """Contact tracing. The same contacts are found in all policies, and more with larger shares."""

    Settings = TracingSettings
    not_saved = ("_crowds",)

    def __init__(self, model: Any, policy: Any, settings: TracingSettings):
        super().__init__(model, policy, settings)
        self.attach("positive_on", "traced_on", "traced_before")
        model.presence.remember(settings.days_back)
        seed = model.seed_number
        self._pair, self._order = key(seed, "tracing pair"), key(seed, "tracing order")
        self._meeting = key(seed, "tracing meeting")
        self._crowds: dict[int, NDArray[np.float64]] = {}
        self._share = _by_column(settings.share, 0.0)
        delay = settings.delay
        self._delay = (_by_column(delay, 0) if isinstance(delay, dict) else np.full(COLUMNS, delay)).astype(np.uint8)
        self._slots = ceil(settings.minimum_minutes / SLOT_MINUTES)
        app = uniforms(key(seed, "tracing app"), np.arange(self.people), 0) < settings.app
        self._app = app if settings.app > 0 else np.zeros(0, bool)
        self._tell = np.full(self.people, kernels.NOT_TOLD, np.uint8)
        self._later: dict[int, list[NDArray[np.intp]]] = {}
        self._days_acted = 0
        self._told = (-1, 0)

    def everyday(self) -> None:
        """Tell contacts who are to be told today."""
        self._told = (self.model.day, 0)
        for rows in self._later.pop(self.model.day, []):
            self._inform(rows)

    def act(self, followers: NDArray[np.bool_]) -> None:
        """Trace the contacts of people whose positive result became known today."""
        day, settings = self.model.day, self.settings
        cases = np.flatnonzero((self.column("positive_on") == day) & followers)
        interviewed = self._interviewed(cases)
        self._days_acted += 1
        if not cases.size or not (self._share.any() or self._app.size):
            return
        presence = self.model.presence
        for past in range(max(day - settings.days_back, 0), day):
            kernels.replay(
                cases,
                interviewed,
                day,
                past,
                presence.visits(past),
                self._crowding(presence.day_type(past)),
                self._share,
                self._delay,
                self._app,
                self._slots,
                self._tell,
                self._pair,
                self._meeting,
            )
        contacts = np.flatnonzero(self._tell != kernels.NOT_TOLD)
        after = self._tell[contacts]
        self._tell[contacts] = kernels.NOT_TOLD
        for delay in np.unique(after).tolist():
            if delay == 0:
                self._inform(contacts[after == 0])
            else:
                self._later.setdefault(day + delay, []).append(contacts[after == delay])

    def series(self) -> dict[str, int]:
        """Return how many people were told of a contact today."""
        day, told = self._told
        return {"traced": told if day == self.model.day else 0}

    def _interviewed(self, cases: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which cases are asked for their contacts."""
        capacity, asked = self.settings.capacity, np.ones(len(cases), bool)
        if capacity is not None:
            most = capacity.on(self._days_acted, self.people)
            lot = uniforms(self._order, cases, self.model.day)
            asked[np.argsort(lot, kind="stable")[most:]] = False
        return asked

    def _crowding(self, day_type: int) -> NDArray[np.float64]:
        if day_type not in self._crowds:
            self._crowds[day_type] = crowding(self.model.presence.city, day_type)
        return self._crowds[day_type]

    def _inform(self, rows: NDArray[np.intp]) -> None:
        """Tell people, of whom those who were told today already and the dead are not told."""
        day, traced_on = self.model.day, self.column("traced_on")
        new = rows[(traced_on[rows] != day) & (self.column("health")[rows] != kernels.DEAD)]
        self.column("traced_before")[new] = traced_on[new]
        traced_on[new] = day
        before = self._told[1] if self._told[0] == day else 0
        self._told = (day, before + len(new))


def _by_column(values: dict[str, Any], default: float) -> NDArray[np.float64]:
    """Return values by kind of place and of guests (COLUMNS,), what is named later holding over what is named before."""
    out = np.full(COLUMNS, default, np.float64)
    for name, value in values.items():
        out[list(SETTINGS[name])] = value
    return out
