"""Ask where stations and units should stand: propose plans, judge them by simulation, rank them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...agents.response.siting.plan import SitingError
from .answer import Answer, ranked
from .demand import expected_calls
from .plans import METHODS, TODAY, Ground, Proposal, Wanted, check, ground_of, propose
from .sites import GRID, sites_of
from .trials import BETTER_HIGH, Judged, Trials

if TYPE_CHECKING:
    from .question import Question

MOST_REPLICATES = 1_000
"""Runs of a plan at most: the seeds from that of the scenario on are theirs, the next is that of expected calls."""


def answer(
    question: "Question",
    *,
    sizes: Sequence[int] | None = None,
    methods: Sequence[str] = METHODS,
    candidates: str = GRID,
    stations: int | None = None,
    keep: bool = False,
    replicates: int = 8,
    by: str = "in_time",
    most: int = 5,
    workers: int = 1,
    say: Callable[[str], None] = lambda _: None,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Answer:
    """Return plans ranked by what became of the calls.

    Args:
        question: from :func:`.question.read_question`.
        sizes: numbers of units; by default as many as there are today, or as the people of the city need.
        methods: of :data:`.plans.METHODS`.
        candidates: see :func:`.sites.sites_of`.
        stations: stations at most.
        keep: whether each of today's stations keeps a unit.
        replicates: runs of each plan, at most :data:`MOST_REPLICATES`.
        by: one of :data:`.trials.BETTER_HIGH`.
        most: plans shown of each number of units.
        workers: processes that run plans; what comes out does not depend on it.
        say: told what goes on.
        done: told how many runs of how many are done.

    Raises:
        SitingError: naming what is wrong.
    """
    for method in methods:
        if method not in METHODS:
            raise SitingError(f"--method {method}: there are {', '.join(METHODS)}")
    if by not in BETTER_HIGH:
        raise SitingError(f"--by {by}: there are {', '.join(BETTER_HIGH)}")
    wanted = Wanted(sorted(set(sizes or [question.units_today])), methods, stations, keep, question.settings.targets[0])
    seed = question.scenario.seed
    say("drawing expected calls")
    demand = expected_calls(question, seed + MOST_REPLICATES)
    sites, notes = sites_of(question, demand, candidates)
    ground = ground_of(question, demand, sites)
    check(wanted, ground, question.working)
    unreached = float(demand.calls[~ground.reached].sum() / demand.calls.sum())
    if unreached:
        notes.append(f"{unreached:.1%} of calls come from places that no site reaches.")
    with Trials(question, sites, [seed + number for number in range(replicates)], workers) as trials:
        now = _today(question, ground, question.units_today)
        say("finding out how busy units are")
        first = trials.judge([now or propose(ground, wanted, wanted.sizes[0], 0.3)[0]])[0]
        if not first.values("calls").any():
            days = question.scenario.clock.days
            expected = float(demand.calls.sum()) * days * replicates
            raise SitingError(
                f"nobody calls the service {question.service} in {replicates} runs of {days} days, in which {expected:.2g} "
                "calls are expected: there is nothing to judge plans by; raise --days or --replicates, or the rates"
            )
        load = _load(first)
        busy = {size: min(load / size, 1.0) for size in wanted.sizes}
        plans: dict[bytes, Proposal] = {}
        say("proposing plans")
        for size in wanted.sizes:
            same = _today(question, ground, size)
            found = propose(ground, wanted, size, busy[size])
            for plan in ([same] if same else []) + found:
                before = plans.get(plan.units.tobytes())
                plans[plan.units.tobytes()] = Proposal(plan.units, (*(before.methods if before else ()), *plan.methods))
        if now is not None:
            plans.setdefault(now.units.tobytes(), now)
        say("")
        judged = trials.judge(list(plans.values()), done)
    today = None if now is None else next(j for j in judged if np.array_equal(j.plan.units, now.units))
    if now is None:
        notes.append(f"The city has no {question.service} station: plans are compared with plan 1.")
    return Answer(question, sites, demand, ground, tuple(ranked(judged, by, most)), today, by, busy, tuple(notes))


def _today(question: "Question", ground: Ground, size: int) -> Proposal | None:
    """Return today's stations with so many units, None if there are none."""
    if question.today is None:
        return None
    units = np.zeros(len(ground.most), np.int64)
    units[: ground.today] = question.stands_today(size)
    return Proposal(units, (TODAY,))


def _load(judged: Judged) -> float:
    """Return how many units are busy on average in the runs of a plan."""
    share = judged.mean("busy")
    return (0.0 if np.isnan(share) else share) * judged.plan.size
