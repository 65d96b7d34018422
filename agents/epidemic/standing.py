"""How an epidemic stands at the end of a step: its indicators, and the figures of the step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .course import DEAD, ENTERED, RECOVERED, SUSCEPTIBLE, Course
from .progress import Health
from .record import Record

INCIDENCE_DAYS = 7
INCIDENCE_PEOPLE = 100_000
MILD, SEVERE, CRITICAL = 1, 2, 3
"""Levels of symptoms."""

INDICATORS = {
    "incidence": f"new infections in the last {INCIDENCE_DAYS} days per {INCIDENCE_PEOPLE:,} people",
    "prevalence": "share of the people who are infectious",
    "attack": "infections so far, per person",
    "ill": "share of the people who have symptoms",
    "deaths": f"deaths in the last {INCIDENCE_DAYS} days per {INCIDENCE_PEOPLE:,} people",
}
"""What each indicator is."""


class Standing(NamedTuple):
    """An epidemic at the end of a step.

    Attributes:
        course: the disease.
        health: how everybody is.
        people: (states,) number of people by state.
        cases: (n,) the people who have the disease now.
        infectious: those of them who are infectious.
        record: what has happened so far.
        step_started: the first day of the step.
        strains: names of the strains.
    """

    course: Course
    health: Health
    people: NDArray[np.int64]
    cases: NDArray[np.int32]
    infectious: NDArray[np.int32]
    record: Record
    step_started: int
    strains: Sequence[str]

    @property
    def deadly(self) -> bool:
        """Whether the disease can be died of."""
        return bool((self.course.to == DEAD).any())

    def indicators(self) -> dict[str, float]:
        """Return :data:`INDICATORS` as they stand."""
        people = len(self.health.state)
        per = INCIDENCE_PEOPLE / people
        return {
            "incidence": sum(self.record.infections[-INCIDENCE_DAYS:]) * per,
            "prevalence": len(self.infectious) / people,
            "attack": self.record.total / people,
            "ill": int(self.people[self.course.symptoms >= MILD].sum()) / people,
            "deaths": sum(self.record.deaths[-INCIDENCE_DAYS:]) * per,
        }

    def series(self) -> dict[str, int | float]:
        """Return the number of people by health at the end of the step, and the infections of the step by place.

        ``exposed`` are infected but neither infectious nor ill. What a disease does not have is left out: symptoms, severe
        cases, deaths, several strains.
        """
        course, count = self.course, self.people
        silent = (course.shed.max(axis=1) == 0) & (course.symptoms == 0)
        silent[:ENTERED] = False
        out: dict[str, int | float] = {
            "susceptible": int(count[SUSCEPTIBLE]),
            "exposed": int(count[silent].sum()),
            "infectious": len(self.infectious),
            "recovered": int(count[RECOVERED]),
        }
        worst = course.symptoms.max()
        if worst >= MILD:
            out["ill"] = int(count[course.symptoms >= MILD].sum())
        for level, name in ((SEVERE, "severe"), (CRITICAL, "critical")):
            if worst >= level:
                out[name] = int(count[course.symptoms == level].sum())
        if self.deadly:
            out |= {"dead": int(count[DEAD]), "new_deaths": sum(self.record.deaths[self.step_started :])}
        out |= self.record.series(self.step_started)
        if len(self.strains) > 1:
            strains = self.record.since(self.step_started, "strain")
            for number, strain in enumerate(self.strains):
                out[f"new_infections.{strain}"] = int(np.count_nonzero(strains == number))
        return out

    def grouped(self, group: NDArray[Any], groups: int) -> dict[str, NDArray[Any]]:
        """Return infections and deaths of the step, and people by health, by group.

        Args:
            group: (people,) group of each, from 0.
            groups: number of groups.

        Returns:
            By name of the figure (groups,).
        """
        health = self.health
        recent = health.since >= self.step_started
        rows_of: dict[str, NDArray[Any]] = {
            "new_infections": self.record.since(self.step_started, "person"),
            "infectious": self.infectious,
            "ill": self.cases[health.ill_since[self.cases] >= 0],
        }
        level = self.course.symptoms[health.state[self.cases]]
        for number, name in ((SEVERE, "severe"), (CRITICAL, "critical")):
            if self.course.symptoms.max() >= number:
                rows_of[name] = self.cases[level == number]
        if self.deadly:
            rows_of["new_deaths"] = np.flatnonzero((health.state == DEAD) & recent)
        return {name: np.bincount(group[rows], minlength=groups) for name, rows in rows_of.items()}
