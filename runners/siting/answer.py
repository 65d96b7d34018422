"""The answer: plans ranked, as facts for scripts and as a table for people."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..compare import LEVEL
from ..reports.labels import counted
from .plans import TODAY
from .trials import BETTER_HIGH, FIGURES, Judged

if TYPE_CHECKING:
    from .demand import Demand
    from .plans import Ground
    from .question import Question
    from .sites import Sites

MINUTES = ("median", "p90", "mean")
"""Figures told in minutes, which are kept in seconds."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Plans that were judged, and what they were judged by.

    Attributes:
        question, sites, demand, ground: what was asked, and what plans were made from.
        plans: by number of units and then by rank, the best first.
        today: the plan of today; None if there are no stations or its size was not asked for.
        by: figure that they are ranked by.
        busy: share of their time that units are busy that plans were made with, by number of units.
        notes: what a reader must know.
    """

    question: "Question"
    sites: "Sites"
    demand: "Demand"
    ground: "Ground"
    plans: tuple[Judged, ...]
    today: Judged | None
    by: str
    busy: dict[int, float]
    notes: tuple[str, ...]

    @property
    def base(self) -> Judged:
        """The plan that others are compared with: today's, or the first."""
        return self.plans[0] if self.today is None else self.today

    @property
    def best(self) -> Judged:
        """The best plan of all."""
        return min(self.plans, key=lambda plan: _rank(plan, self.by))

    @property
    def standard(self) -> float:
        """Seconds from the call within which the most urgent are to be reached."""
        return self.question.settings.targets[0]

    def seconds(self, units: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return seconds from the call to the first unit if all are free, (cells,)."""
        return self.ground.seconds[:, units > 0].min(1)

    def covered(self, units: NDArray[np.int64]) -> float:
        """Return the share of expected calls that a free unit would reach within the standard."""
        calls = self.demand.calls
        return float(calls[self.seconds(units) <= self.standard].sum() / calls.sum())

    def lonlat(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return longitude and latitude of sites, (rows, 2)."""
        from pyproj import Transformer

        change = Transformer.from_crs(self.question.city.info.crs, "EPSG:4326", always_xy=True)
        return np.column_stack(change.transform(self.sites.x[rows], self.sites.y[rows]))


def ranked(plans: Iterable[Judged], by: str, most: int) -> list[Judged]:
    """Return the best plans of each number of units, the fewest units first; today's is always among them.

    Args:
        plans: plans that were judged.
        by: one of :data:`.trials.BETTER_HIGH`.
        most: plans of a number of units at most, besides today's.
    """
    out: list[Judged] = []
    by_size: dict[int, list[Judged]] = {}
    for plan in plans:
        by_size.setdefault(plan.plan.size, []).append(plan)
    for size in sorted(by_size):
        order = sorted(by_size[size], key=lambda plan: _rank(plan, by))
        out += [plan for rank, plan in enumerate(order) if rank < most or TODAY in plan.plan.methods]
    return out


def _rank(plan: Judged, by: str) -> tuple[float, float]:
    value = plan.mean(by)
    worst = math.inf if math.isnan(value) else value
    return (-value if BETTER_HIGH[by] and not math.isnan(value) else worst, plan.mean("mean"))


# ---------------------------------------------------------------------- for scripts


def facts(answer: Answer) -> dict[str, Any]:
    """Return the answer as JSON can hold it; shares from 0 to 1, times in seconds, what is not known null."""
    question = answer.question
    runs = answer.plans[0].runs
    zones = _zone_names(answer)
    return {
        "city": question.city.info.name,
        "service": question.service,
        "people": len(question.city.people),
        "calls_per_day": float(answer.demand.calls.sum()),
        "seconds_to_leave": answer.demand.delay,
        "standard_seconds": list(question.settings.targets),
        "sites": len(answer.sites),
        "days": question.scenario.clock.days,
        "replicates": len(runs),
        "interval": LEVEL,
        "ranked_by": answer.by,
        "busy_assumed": {str(size): _known(share) for size, share in answer.busy.items()},
        "compared_with": answer.plans.index(answer.base) + 1,
        "plans": [_plan_facts(answer, number, plan, zones) for number, plan in enumerate(answer.plans, 1)],
        "notes": list(answer.notes),
    }


def _plan_facts(answer: Answer, number: int, plan: Judged, zones: list[str]) -> dict[str, Any]:
    rows = np.flatnonzero(plan.plan.units)
    worst, zone = plan.worst_zone()
    calls, in_time = plan.total("priority_calls"), plan.total("priority_in_time")
    told: dict[str, Any] = {
        "plan": number,
        "units": plan.plan.size,
        "stations": plan.plan.stations,
        "methods": list(plan.plan.methods),
        "covered": answer.covered(plan.plan.units),
    }
    for figure in FIGURES:
        low, high = plan.interval(figure)
        told[figure] = {"mean": _known(plan.mean(figure)), "low": _known(low), "high": _known(high)}
    for figure in ("in_time", *MINUTES):
        difference, low, high = plan.difference(figure, answer.base)
        told[f"{figure}_difference"] = {"mean": _known(difference), "low": _known(low), "high": _known(high)}
    told["in_time_by_priority"] = {
        str(priority): in_time[priority] / calls[priority] for priority in np.flatnonzero(calls).tolist()
    }
    told["worst_zone"] = {"name": zones[zone] if zone >= 0 else None, "in_time": _known(worst)}
    told["gini"] = _known(plan.gini())
    told["stands"] = [
        {
            "name": answer.sites.name[row],
            "units": int(plan.plan.units[row]),
            "longitude": round(float(longitude), 6),
            "latitude": round(float(latitude), 6),
            "today": row < answer.sites.today,
        }
        for row, (longitude, latitude) in zip(rows.tolist(), answer.lonlat(rows), strict=True)
    ]
    return told


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _zone_names(answer: Answer) -> list[str]:
    layer = answer.question.city.layer("zones")
    count = max(len(answer.question.city.zones), 1)
    return (
        [str(name) for name in layer["name"]]
        if layer is not None and "name" in layer
        else [str(n) for n in range(count)]
    )


# ---------------------------------------------------------------------- for people


def text(answer: Answer, width: int = 100) -> str:
    """Return the answer as a table of at most ``width`` signs."""
    question, settings = answer.question, answer.question.settings
    targets = ", ".join(f"{seconds / 60:g}" for seconds in dict.fromkeys(settings.targets))
    runs = len(answer.plans[0].runs)
    lines = [
        f"{question.city.info.name}: {question.service}, {answer.demand.calls.sum():,.1f} calls a day from "
        f"{len(question.city.people):,} people; {counted(len(answer.sites), 'site')}",
        f"In time: within {targets} min of the call{' by priority' if len(set(settings.targets)) > 1 else ''}; "
        f"{counted(runs, 'run')} of {counted(question.scenario.clock.days, 'day')} a plan.",
        f"The same calls for all plans; ± {LEVEL:.0%} interval; difference to plan {answer.plans.index(answer.base) + 1}; "
        "times in minutes from the call.",
        "",
        f"{'':>3} {'plan':<19}{'units':>6}{'stations':>9}{'in time %':>12}{'difference':>13}{'median':>7}{'9 of 10':>8}"
        f"{'busy':>6}{'worst zone':>11}{'Gini':>5}",
    ]
    size = answer.plans[0].plan.size
    for number, plan in enumerate(answer.plans, 1):
        if plan.plan.size != size:
            lines.append("")
            size = plan.plan.size
        lines.append(_line(answer, number, plan))
    best = answer.best
    lines += ["", f"Plan {answer.plans.index(best) + 1} ({best.plan.size} units) stands at:"]
    rows = np.flatnonzero(best.plan.units)
    for row, (longitude, latitude) in zip(rows.tolist(), answer.lonlat(rows), strict=True):
        where = "today" if row < answer.sites.today else "new"
        lines.append(
            f"  {best.plan.units[row]:>3}  {answer.sites.name[row][:44]:<44}  {where:<6}{longitude:>11.5f}{latitude:>10.5f}"
        )
    given_up = [answer.sites.name[row] for row in range(answer.sites.today) if not best.plan.units[row]]
    if given_up:
        lines.append(_short(f"  given up: {', '.join(given_up)}", width))
    zone = best.worst_zone()[1]
    if zone >= 0:
        lines.append(_short(f"  worst zone: {_zone_names(answer)[zone]}", width))
    lines += [""] + [_short(note, width) for note in answer.notes] if answer.notes else []
    return "\n".join(line.rstrip() for line in lines)


def _line(answer: Answer, number: int, plan: Judged) -> str:
    low, high = plan.interval("in_time")
    in_time = "–" if math.isnan(plan.mean("in_time")) else f"{100 * plan.mean('in_time'):.1f}{_half(low, high)}"
    difference = "–"
    if plan is not answer.base:
        mean, low, high = plan.difference("in_time", answer.base)
        difference = "–" if math.isnan(mean) else f"{100 * mean:+.1f}{_half(low, high)}"
    worst = plan.worst_zone()[0]
    return (
        f"{number:>3} {_short(', '.join(plan.plan.methods), 18):<19}{plan.plan.size:>6}{plan.plan.stations:>9}{in_time:>12}"
        f"{difference:>13}{_minutes(plan.mean('median')):>7}{_minutes(plan.mean('p90')):>8}{_percent(plan.mean('busy')):>6}"
        f"{_percent(worst):>11}{'–' if math.isnan(plan.gini()) else f'{plan.gini():.2f}':>5}"
    )


def _half(low: float, high: float) -> str:
    return f" ± {50 * (high - low):.1f}" if math.isfinite(high - low) else ""


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if math.isfinite(seconds) else "never" if seconds == math.inf else "–"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def _short(words: str, width: int) -> str:
    return words if len(words) <= width else words[: width - 1] + "…"
