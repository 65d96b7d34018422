"""What is wrong with policies that are each valid: with the clock, the city, the other sections, and one another."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ...agents.hospitals import Hospitals
from ...agents.measures import MEASURES, Testing
from ...agents.policies import PolicySettings, conflicts, meet, zone_mask
from ...agents.triggers import Trigger
from .documents import KeyPath, suggestion
from .sections import ClockSettings

if TYPE_CHECKING:
    from ...environment.city import City

Policies = Sequence[PolicySettings | None]
"""Policies in the order of the file; None stands for one that is wrong by itself."""
Found = Iterator[tuple[int, KeyPath, str]]
"""Number of the policy, key in it, message."""


def trigger_problems(policies: Policies, offered: Iterable[str], *, hospitals: bool) -> Found:
    """Yield conditions on what nothing measures.

    Args:
        policies: the policies.
        offered: indicators of the processes; those of measures and hospitals are added.
        hospitals: whether the scenario has a section of them.
    """
    needed = dict.fromkeys([] if hospitals else Hospitals.indicators, "the section [hospitals]")
    known = [*offered, *(Hospitals.indicators if hospitals else ())]
    for key, measure in MEASURES.items():
        if any(policy is not None and getattr(policy, key) is not None for policy in policies):
            known += measure.indicators
        else:
            needed |= dict.fromkeys(measure.indicators, f"a policy with '{key}'")
    for number, policy in enumerate(policies):
        for key in ("when", "until"):
            moment = getattr(policy, key, None)
            if not isinstance(moment, Trigger) or moment.indicator in known:
                continue
            if moment.indicator in needed:
                yield number, (key,), f"indicator '{moment.indicator}' needs {needed[moment.indicator]}"
            else:
                near = suggestion(moment.indicator, [*known, *needed])
                there = ", ".join(sorted(known)) or "none"
                yield number, (key,), f"no indicator '{moment.indicator}'; there are: {there}{near}"


def clock_problems(policies: Policies, clock: ClockSettings) -> Found:
    """Yield days and dates that do not fit the clock."""
    span = f"the clock runs from {clock.start} for {clock.days} days"
    for number, policy in enumerate(policies):
        if policy is None:
            continue
        start, end = _day(policy.from_, clock), _day(policy.until, clock)
        if start is not None and not 0 <= start < clock.days:
            yield number, ("from",), f"outside the clock (given {policy.from_}); {span}"
        if end is not None and end <= 0:
            message = f"no day is left, as it is the first morning no longer in force (given {policy.until}); {span}"
            yield number, ("until",), message
        elif start is not None and end is not None and end <= start:
            yield number, ("until",), f"'until' ({policy.until}) must be after 'from' ({policy.from_})"


def measure_problems(policies: Policies, processes: Mapping[str, Any]) -> Found:
    """Yield measures that do nothing because something else is missing.

    Args:
        policies: the policies.
        processes: settings of each process by section, None where they are wrong.
    """
    there = {
        key for key in MEASURES if any(policy is not None and getattr(policy, key) is not None for policy in policies)
    }
    if None not in policies:
        yield from _circular(policies)
    epidemic = "epidemic" in processes
    settings_of = processes.get("epidemic")
    for number, policy in enumerate(policies):
        if policy is not None and policy.ventilate and settings_of is not None and not settings_of.disease.routes.air:
            message = (
                f"'{settings_of.disease.name}' does not spread through the air, so that ventilation changes nothing; "
                "give the route a share in [epidemic], as in routes = { contact = 0.5, air = 0.5 }"
            )
            yield number, ("ventilate",), message
        if policy is not None and settings_of is not None:
            yield from _idle(number, policy, settings_of)
        if (
            policy is not None
            and policy.test is not None
            and policy.test.contacts > 0
            and None not in policies
            and "trace" not in there
        ):
            yield (
                number,
                ("test", "contacts"),
                "nobody is told of contacts without 'trace' in this or another policy; add one",
            )
        for key in MEASURES:
            settings: Any = getattr(policy, key, None)
            if settings is None:
                continue
            if not epidemic:
                yield number, (key,), "needs people who can fall ill; add the section [epidemic]"
            elif settings.needs and None not in policies and not there & set(settings.needs):
                needs = " or ".join(f"'{name}'" for name in settings.needs)
                yield number, (key,), f"does nothing without {needs} in this or another policy; add one"


def _idle(number: int, policy: PolicySettings, epidemic: Any) -> Found:
    """Yield what does nothing in such an epidemic."""
    if policy.border is not None and not epidemic.imports:
        message = "no infections come from outside; add imports to [epidemic], as in imports = [{ per_day = 0.5 }]"
        yield number, ("border",), message
    disease = epidemic.disease
    if not disease.course().symptoms.any():
        none = f"'{disease.name}' has no symptoms"
        remedy = 'give a [[state]] of the disease symptoms = "mild"'
        if policy.test is not None and policy.test.symptomatic > 0:
            yield (
                number,
                ("test", "symptomatic"),
                f"{none}, so that nobody is tested for them; {remedy}, or use 'random'",
            )
        if policy.isolate is not None and policy.isolate.at == "onset":
            yield (
                number,
                ("isolate", "at"),
                f'{none}, so that nobody is isolated at onset; {remedy}, or use at = "result"',
            )


def _circular(policies: Policies) -> Found:
    """Yield policies with all the tests there are, if each waits for results of tests."""
    testing = [
        (number, policy) for number, policy in enumerate(policies) if policy is not None and policy.test is not None
    ]
    waiting = [
        (number, policy.when)
        for number, policy in testing
        if policy.when is not None
        and policy.when.indicator in Testing.indicators
        and not policy.when.holds({policy.when.indicator: 0.0})
    ]
    if len(waiting) == len(testing):
        for number, when in waiting:
            message = (
                f"'{when.indicator}' stays 0 as long as nobody is tested, and no policy tests before; start the tests on a "
                "day, or by another indicator"
            )
            yield number, ("when",), message


def contradictions(policies: Policies, clock: ClockSettings) -> Found:
    """Yield policies that cannot hold together with an earlier one.

    Two policies contradict each other if they are in force on the same days, by their days or because they have the same
    'when', for some of the same people in the same places, see :func:`~citytwin.agents.policies.meet`, and conflict
    there, see :func:`~citytwin.agents.policies.conflicts`.
    """
    stated = [(n, policy) for n, policy in enumerate(policies) if policy is not None]
    for (_, one), (number, other) in combinations(stated, 2):
        if one.when != other.when or not meet(one, other) or not _overlap(one, other, clock):
            continue
        both = conflicts(one, other)
        both += [(own, key, names) for key, own, names in conflicts(other, one) if key != own]
        for key, own, names in both:
            where = f" ({', '.join(sorted(names))})" if names else ""
            message = (
                f"contradicts '{key}' of the policy '{one.name}' for the same days, people and places{where}; "
                "change 'from' and 'until', 'whom' or 'where', or take it out of one of them"
            )
            yield number, (own,), message


def zone_problems(policies: Policies, city: "City", clock: ClockSettings) -> Found:
    """Yield zones that the city has not, and else what contradicts only once the names of its zones are known."""
    numbered: list[PolicySettings | None] = []
    missing = False
    for number, policy in enumerate(policies):
        changed = {}
        for key in ("whom", "where"):
            table = getattr(policy, key, None)
            if table is None or table.zones is None:
                continue
            try:
                zones = np.flatnonzero(zone_mask(city, table.zones)).tolist()
                changed[key] = table.model_copy(update={"zones": tuple(zones)})
            except ValueError as error:
                missing = True
                yield number, (key, "zones"), str(error)
        numbered.append(None if policy is None else policy.model_copy(update=changed))
    if not missing:
        yield from contradictions(numbered, clock)


def _overlap(one: PolicySettings, other: PolicySettings, clock: ClockSettings) -> bool:
    spans = []
    for policy in (one, other):
        start, end = _day(policy.from_, clock), _day(policy.until, clock)
        spans.append((start or 0, clock.days if end is None else end))
    return max(start for start, _ in spans) < min(end for _, end in spans)


def _day(moment: Any, clock: ClockSettings) -> int | None:
    """Return the day of the run that a moment is, or None if it is a condition or open."""
    if isinstance(moment, datetime.date):
        return clock.day(moment)
    return moment if isinstance(moment, int) else None
