"""Plans judged by simulation: the same calls for all, several runs of each, figures with intervals."""

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...agents.response import board
from ...agents.response.kinds import SERVICES
from ...agents.response.record import BUSY_STATES
from ...agents.response.response import Response
from ...agents.response.siting.plan import SitingError
from ...environment.city import City
from ...environment.equity import gini
from ...environment.network.labels import Labels
from ..compare import interval
from ..model import CityModel
from ..scenarios.scenario import Scenario
from ..scenarios.scenario_files import files_of

if TYPE_CHECKING:
    from ...agents.streets_today import StreetsToday
    from .plans import Proposal
    from .question import Question
    from .sites import Sites

FIGURES = ("in_time", "median", "p90", "mean", "busy", "unreached", "calls")
"""Figures of a run: share of calls reached in time; seconds; share of the time on duty; calls not reached by its end."""
POOLED = {"median": 50, "p90": 90}
"""Figures that are percentiles, in per cent: of the calls of all runs together."""
BETTER_HIGH = {"in_time": True, "median": False, "p90": False, "mean": False, "worst_zone": True, "gini": False}
"""Figures that plans may be ranked by, and whether high is good."""
LEAST_CALLS = 30
"""Calls from which the share of a zone says something; assumed."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of the calls of one run.

    Attributes:
        figures: by name, see :data:`FIGURES`.
        seconds: float64 (calls,) from the call to the first unit, infinite for whom nobody reached.
        priority_calls, priority_in_time: int64 (priorities,).
        zone_calls, zone_in_time: int64 (zones,); zone_seconds: float64 (zones,) sum over the calls that were reached,
            zone_reached: int64 (zones,) their number.
    """

    figures: dict[str, float]
    seconds: NDArray[np.float64]
    priority_calls: NDArray[np.int64]
    priority_in_time: NDArray[np.int64]
    zone_calls: NDArray[np.int64]
    zone_in_time: NDArray[np.int64]
    zone_reached: NDArray[np.int64]
    zone_seconds: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """A plan with the outcomes of its runs, one a replicate."""

    plan: "Proposal"
    runs: tuple[Outcome, ...]

    def values(self, figure: str) -> NDArray[np.float64]:
        """Return a figure of each run, (replicates,)."""
        return np.array([run.figures[figure] for run in self.runs])

    def mean(self, figure: str) -> float:
        """Return the mean of a figure over the runs, or a figure of all calls together.

        Of all calls together are ``worst_zone``, ``gini`` and the percentiles, :data:`POOLED`: the mean of the runs' own
        percentiles is none of the calls, least of all where runs are short.
        """
        if figure == "worst_zone":
            return self.worst_zone()[0]
        if figure == "gini":
            return self.gini()
        if figure in POOLED:
            return _percentile(np.concatenate([run.seconds for run in self.runs]), POOLED[figure])
        return float(self.values(figure).mean())

    def interval(self, figure: str) -> tuple[float, float]:
        """Return the t interval of the mean of a figure; not numbers with one run, or where a value is infinite.

        That of a percentile of all calls lies around it, and is as wide as the t interval of the runs' own percentiles.
        """
        return _around(self.mean(figure), self.values(figure)) if figure in POOLED else _interval(self.values(figure))

    def difference(self, figure: str, base: "Judged") -> tuple[float, float, float]:
        """Return the mean difference to another plan on the same calls, run by run, and its t interval.

        Of a percentile it is the difference of those of all calls, with an interval as wide as that of the runs' own.
        """
        ours, theirs = self.values(figure), base.values(figure)
        known = np.isfinite(ours) & np.isfinite(theirs)
        pairs = np.where(known, ours, np.nan) - np.where(known, theirs, np.nan)
        if figure in POOLED:
            apart = self.mean(figure) - base.mean(figure)
            return apart, *_around(apart, pairs)
        return float(pairs.mean()), *_interval(pairs)

    def total(self, name: str) -> NDArray[Any]:
        """Return the sum of a column over the runs."""
        return np.sum([getattr(run, name) for run in self.runs], axis=0)  # type: ignore[no-any-return]

    def worst_zone(self) -> tuple[float, int]:
        """Return the least share in time of a zone, and which zone; not a number and −1 if none has enough calls."""
        calls = self.total("zone_calls")
        known = np.flatnonzero(calls >= LEAST_CALLS)
        if not len(known):
            return float("nan"), -1
        share = self.total("zone_in_time")[known] / calls[known]
        return float(share.min()), int(known[np.argmin(share)])

    def gini(self) -> float:
        """Return the Gini coefficient over calls of the mean response of their zone."""
        reached = self.total("zone_reached")
        there = reached > 0
        if not there.any():
            return float("nan")
        return gini(self.total("zone_seconds")[there] / reached[there], reached[there])


class Trials:
    """Runs plans, in worker processes if there are several.

    Args:
        question: the city and the rules.
        sites: the sites of plans.
        seeds: of the replicates; all plans have the same, so they have the same calls.
        workers: processes.
    """

    def __init__(self, question: "Question", sites: "Sites", seeds: Sequence[int], workers: int = 1):
        self._question, self._sites, self._seeds = question, sites, tuple(seeds)
        self._context = (str(question.bundle), files_of([question.base]), question.streets, SERVICES[question.service])
        self._judged: dict[bytes, Judged] = {}
        self._pool: Executor | None = None
        if workers > 1:
            alone = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who waits for them
            self._pool = ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, alone)

    def __enter__(self) -> "Trials":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def judge(self, plans: Sequence["Proposal"], done: Callable[[int, int], None] = lambda *_: None) -> list[Judged]:
        """Run each plan once for each seed; one that was judged before is not run again.

        Args:
            plans: the plans.
            done: told how many runs of how many are done.

        Raises:
            SitingError: if a worker was killed.
        """
        new = [plan for plan in plans if plan.units.tobytes() not in self._judged]
        tasks = [
            (self._question.of_plan(self._sites, plan.units), self._question.fleet, seed, *self._context)
            for plan in new
            for seed in self._seeds
        ]
        outcomes = []
        try:
            for outcome in self._pool.map(_run, tasks) if self._pool is not None else map(_run, tasks):
                outcomes.append(outcome)
                done(len(outcomes), len(tasks))
        except BrokenProcessPool:
            raise SitingError(
                "a worker was killed, perhaps for want of memory; try again with fewer --workers"
            ) from None
        each = len(self._seeds)
        for number, plan in enumerate(new):
            runs = tuple(outcomes[number * each : (number + 1) * each])
            self._judged[plan.units.tobytes()] = Judged(plan, runs)
        return [replace(self._judged[plan.units.tobytes()], plan=plan) for plan in plans]


_Task = tuple[Mapping[str, Any], str, int, str, Mapping[str, Any], "StreetsToday", int]


def _run(task: _Task) -> Outcome:
    """Run a plan once."""
    data, fleet, seed, bundle, files, streets, service = task
    city, known = _city(bundle)
    model = CityModel(Scenario.from_dict(data, files), city, seed)
    model.streets_today = streets
    response = next(process for process in model.processes if isinstance(process, Response))
    response.travel.known = known
    while model.running:
        model.step()
    return outcome_of(response, fleet, service, model.scenario.clock.days * 86_400.0)


@lru_cache(maxsize=1)
def _city(path: str) -> tuple[City, dict[bytes, Labels]]:
    """Return a city, and what is known of travel in it: the streets of all runs are those of one day."""
    return City.load(path), {}


def outcome_of(response: Response, fleet: str, service: int, end: float) -> Outcome:
    """Return what became of the calls of a service.

    A call counts from the first unit at the scene. Those whose target ends after the run are left out, as nobody knows
    whether they are reached in time; of the others, whoever was not reached was not reached in time.

    Args:
        response: after the run.
        fleet: fleet whose busy share is wanted.
        service: the service.
        end: second at which the run ended.
    """
    table = response.centre.table()
    mine = np.flatnonzero(table["service"] == service)
    incident, first, row = np.unique(table["incident"][mine], return_index=True, return_inverse=True)
    arrived = np.full(len(incident), np.inf)
    np.minimum.at(arrived, row.ravel(), np.nan_to_num(table["arrived"][mine], nan=np.inf))
    first = mine[first]
    called, priority, zone = (table[name][first] for name in ("called", "priority", "zone"))
    targets = np.array([*response.settings.targets, *[response.settings.targets[-1]] * board.PRIORITIES])
    target = targets[priority]
    counts = called + target <= end
    seconds, priority, zone, target = ((arrived - called)[counts], priority[counts], zone[counts], target[counts])
    in_time, reached = seconds <= target, np.isfinite(seconds)
    zones = max(len(response.presence.city.zones), 1)
    inside = zone >= 0
    units = response.fleets.of == response.fleets.names.index(fleet)
    spent = response.centre.spent()[units]
    on_duty = spent.sum() - spent[:, board.OFF].sum()
    figures = {
        "calls": float(len(seconds)),
        "in_time": float(in_time.mean()) if len(seconds) else float("nan"),
        **{name: _percentile(seconds, share) for name, share in POOLED.items()},
        "mean": float(seconds[reached].mean()) if reached.any() else float("nan"),
        "busy": float(spent[:, list(BUSY_STATES)].sum() / on_duty) if on_duty else float("nan"),
        "unreached": float(np.count_nonzero(~reached)),
    }

    def by_zone(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(zone[chosen & inside], minlength=zones)

    return Outcome(
        figures,
        seconds,
        np.bincount(priority, minlength=board.PRIORITIES),
        np.bincount(priority[in_time], minlength=board.PRIORITIES),
        by_zone(np.ones(len(zone), bool)),
        by_zone(in_time),
        by_zone(reached),
        np.bincount(zone[inside & reached], seconds[inside & reached], minlength=zones).astype(float),
    )


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    return interval(values) if np.isfinite(values).all() else (float("nan"), float("nan"))


def _around(value: float, values: NDArray[np.float64]) -> tuple[float, float]:
    """Return an interval around a value that is as wide as the t interval of the mean of others."""
    low, high = _interval(values)
    half = (high - low) / 2
    return value - half, value + half


def _percentile(seconds: NDArray[np.float64], share: float) -> float:
    """Return the value that so many per cent do not exceed, infinite if too many were never reached."""
    return float(np.percentile(seconds, share, method="inverted_cdf")) if len(seconds) else float("nan")
