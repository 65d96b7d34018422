"""Testing: who is tested, whose result is positive, and when that is known."""

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ...environment.randomness import key, uniforms
from . import kernels
from .base import Amount, Days, Measure, MeasureSettings, Share

WINDOW = 7
"""Days over which indicators count results."""
PER_PEOPLE = 100_000
MAX_SENSITIVITY_DAYS = 1000

# Probability that PCR finds the virus, by day since exposure, where the day of exposure is day 0: one minus the
# false-negative rates of Kucirka et al. 2020 (Ann Intern Med 173:262-267): 100 % on day 1, 67 % on day 4, 38 % on day 5
# (onset of symptoms), 20 % on day 8, 21 % on day 9, 66 % on day 21. Straight lines between, as the paper's figure is smooth;
# nothing is found after its last day.
_PCR = tuple(float(p) for p in np.interp(range(22), (1, 4, 5, 8, 9, 21), (0.0, 0.33, 0.62, 0.80, 0.79, 0.34)))
# Rapid antigen tests find 68.4 % of what PCR finds: Khandker et al. 2021 (J Clin Med 10:3493), 17,171 suspected patients.
_ANTIGEN_TO_PCR = 0.684

SENSITIVITIES: dict[str, tuple[float, ...]] = {
    "pcr": _PCR,
    "antigen": tuple(_ANTIGEN_TO_PCR * p for p in _PCR),
}
"""Named curves of sensitivity by day since infection, of tests for COVID-19."""


class TestingSettings(MeasureSettings):
    """The table ``test`` of a policy. Without further keys the test is perfect and its result known at once.

    Attributes:
        symptomatic: chance a day that somebody who has symptoms is tested.
        random: chance a day that a person is tested however they feel.
        contacts: chance that somebody who was told of a contact the day before is tested.
        sensitivity: chance that the result of an infected person is positive: a number, which holds while the person is
            infectious; a list by day since infection, after whose end nothing is found; or one of :data:`SENSITIVITIES`.
        specificity: chance that the result of somebody in whom nothing can be found is negative. 0.994 for rapid antigen
            tests (Khandker et al. 2021).
        delay: days until the result is known; 0 means the same morning.
        capacity: most tests a day. People with symptoms come first, then contacts, then others, each by lot; who is left
            over is not tested.
        retest_after: days after a positive result in which a person is not tested again. Nobody is tested while a result
            is awaited. Default assumed, as in guidance of 2020 and 2021 (no test within three months of a positive one).
    """

    symptomatic: Share = 0.0
    random: Share = 0.0
    contacts: Share = 0.0
    sensitivity: float | Annotated[tuple[Share, ...], Field(strict=False)] = 1.0
    specificity: Share = 1.0
    delay: Days = 0
    capacity: Amount | None = None
    retest_after: Days = 90

    @field_validator("sensitivity", mode="before")
    @classmethod
    def _check_sensitivity(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in SENSITIVITIES:
                raise ValueError(
                    f"'{value}' is no known test; allowed are: {', '.join(SENSITIVITIES)}, a number or a list"
                )
            return SENSITIVITIES[value]
        values = value if isinstance(value, list | tuple) else [value]
        if not 1 <= len(values) <= MAX_SENSITIVITY_DAYS:
            raise ValueError(f"{len(values)} days; write 1 to {MAX_SENSITIVITY_DAYS} values, by day since infection")
        for each in values:
            if isinstance(each, bool) or not isinstance(each, int | float) or not 0 <= each <= 1:
                raise ValueError(f"{each!r}: write a chance from 0 to 1, or a list of them by day since infection")
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> "TestingSettings":
        if not self.model_fields_set & {"symptomatic", "random", "contacts"}:
            raise ValueError("nobody would be tested; give 'symptomatic', 'random', 'contacts' or several of them")
        return self


class Results:
    """Results by the day on which they became known, of all policies of a model together.

    Attributes:
        known: results of each of the last days, by day.
        positive: those of them that were positive.
    """

    def __init__(self) -> None:
        self.known: dict[int, int] = {}
        self.positive: dict[int, int] = {}

    def add(self, day: int, known: int, positive: int) -> None:
        """Add results that became known on a day, and forget those of days that no longer count."""
        for counts, number in ((self.known, known), (self.positive, positive)):
            counts[day] = counts.get(day, 0) + number
            for old in [other for other in counts if other < day - WINDOW]:
                del counts[old]

    def within(self, day: int) -> tuple[int, int]:
        """Return the number of results of the :data:`WINDOW` days before a day, and how many were positive."""
        known, positive = (
            sum(number for other, number in counts.items() if day - WINDOW <= other < day)
            for counts in (self.known, self.positive)
        )
        return known, positive


class Testing(Measure):
    """Tests for infection. Every draw depends on person and day alone, so policies share all they both make."""

    Settings = TestingSettings
    indicators: ClassVar[dict[str, str]] = {
        "reported": f"positive test results of the last {WINDOW} days per {PER_PEOPLE:,} people",
        "positivity": f"share of the test results of the last {WINDOW} days that were positive, 0 if there were none",
    }

    def __init__(self, model: Any, policy: Any, settings: TestingSettings):
        super().__init__(model, policy, settings)
        self.attach("tested_on", "result_on", "positive_on", "traced_on", "traced_before")
        if not hasattr(model, "test_results"):
            model.test_results = Results()
        seed = model.seed_number
        self._keys = {
            purpose: key(seed, f"testing {purpose}")
            for purpose in ("symptomatic", "random", "contacts", "order", "result")
        }
        self._awaited: dict[int, tuple[NDArray[np.intp], NDArray[np.bool_]]] = {}
        self._days_acted = 0
        self._counted_on = -1
        self._tests = self._positives = 0

    def everyday(self) -> None:
        """Make the results known that are due today."""
        self._open()
        self._announce(self.model.day)

    def act(self, followers: NDArray[np.bool_]) -> None:
        """Test people of today."""
        self._open()
        day, settings = self.model.day, self.settings
        rows = self._chosen(followers)
        self._days_acted += 1
        if not rows.size:
            return
        positive = uniforms(self._keys["result"], rows, day) < self._chance(rows)
        self.column("tested_on")[rows] = day
        self.column("result_on")[rows] = day + settings.delay
        self._awaited[day + settings.delay] = rows, positive
        self._tests += len(rows)
        self._announce(day)

    def series(self) -> dict[str, int]:
        """Return the tests of today, and the positive results that became known today."""
        return {"tests": self._tests, "positives": self._positives}

    def indicator_values(self) -> dict[str, float]:
        """Return the positive results of the last days, and their share of all results."""
        known, positive = self.model.test_results.within(self.model.day)
        return {"reported": positive * PER_PEOPLE / self.people, "positivity": positive / known if known else 0.0}

    # ------------------------------------------------------------------ parts

    def _open(self) -> None:
        if self._counted_on != self.model.day:
            self._counted_on = self.model.day
            self._tests = self._positives = 0

    def _announce(self, day: int) -> None:
        if day not in self._awaited:
            return
        rows, positive = self._awaited.pop(day)
        self.column("positive_on")[rows[positive]] = day
        found = int(positive.sum())
        self._positives += found
        self.model.test_results.add(day, len(rows), found)

    def _chosen(self, followers: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return who is tested today, in rising order."""
        settings, keys, day = self.settings, self._keys, self.model.day
        asked = settings.symptomatic > 0 and self._hook()
        ill_since = self.column("ill_since")
        reason = kernels.seek_test(
            day,
            followers,
            self.column("health"),
            ill_since,
            tuple(
                self.column(name) for name in ("tested_on", "result_on", "positive_on", "traced_on", "traced_before")
            ),
            settings.retest_after,
            (0.0 if asked else settings.symptomatic, settings.contacts, settings.random),
            (keys["symptomatic"], keys["contacts"], keys["random"]),
        )
        if asked:
            may = np.flatnonzero((reason != kernels.EXCLUDED) & (ill_since >= 0))
            wish = [row for row in may.tolist() if _answer(self.table.view(row))]
            reason[wish] = kernels.SYMPTOMATIC
        rows = np.flatnonzero(reason < kernels.NO_REASON)
        if settings.capacity is None:
            return rows
        most = settings.capacity.on(self._days_acted, self.people)
        if len(rows) > most:
            lot = uniforms(keys["order"], rows, day)
            rows = np.sort(rows[np.lexsort((lot, reason[rows]))[:most]])
        return rows

    def _hook(self) -> bool:
        """Return whether the class of citizens decides itself who seeks a test."""
        cls = self.table.cls
        return hasattr(cls, "seeks_test") and bool(cls.overrides("seeks_test"))

    def _chance(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the chance of a positive result."""
        settings, infected_on = self.settings, self.column("infected_on")[rows]
        if isinstance(settings.sensitivity, float):
            chance = np.where(self.column("infectious")[rows] > 0, settings.sensitivity, 0.0)
        else:
            curve = np.append(settings.sensitivity, 0.0)
            since = np.minimum(self.model.day - infected_on, len(curve) - 1)
            chance = np.where(infected_on >= 0, curve[since], 0.0)
        found: NDArray[np.float64] = np.maximum(chance, 1.0 - settings.specificity)
        return found


def _answer(citizen: Any) -> bool:
    """Return whether a citizen seeks a test.

    Raises:
        TypeError: if the answer is neither True nor False.
    """
    answer = citizen.seeks_test()
    if not isinstance(answer, bool | np.bool_):
        name = f"{type(citizen).__name__}.seeks_test"
        raise TypeError(f"{name} returned {answer!r}; it must return True (is tested today) or False (is not)")
    return bool(answer)
