"""Branches: many futures that follow one saved past.

A scenario with ``[clock] from = "day30.state"`` begins where that state was saved. The past is what it was: whatever would
have changed it is refused by name. Free are the length of the clock, policies that begin later, when a policy in force
ends, the seed and the name.

What people are like and what has been drawn already (who complies, how long this illness lasts) stays as it was; what is
drawn from then on follows the seed of the run. So runs of one seed share their luck after the branch as well, runs of other
seeds differ, and a run with the seed of the past goes on as if it had never been saved.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from ...agents.authorities import Policy
from ...agents.triggers import Trigger
from ..scenarios.documents import Problem, ScenarioError, dotted_key
from ..scenarios.scenario import Scenario
from ..scenarios.scenario_files import files_of
from .files import read_head
from .reader import StateError
from .state import check_program, restore, scenario_of

if TYPE_CHECKING:
    from ..model import CityModel

FROM = ("clock", "from")
_FREE = {
    "name",
    "seed",
    "extends",
    "sweep",
    "calibrate",
    "policy",
    "clock.days",
    "clock.from",
    "output.checkpoint_every",
}
_OF_THE_PAST = "would have changed the past"


def past_of(scenario: Scenario) -> Scenario:
    """Return the scenario that a branch begins with: its own, with the policies of the past.

    Raises:
        ScenarioError: if the state cannot be gone on from in this scenario.
    """
    problems = problems_of(scenario)
    if problems:
        raise ScenarioError(problems)
    return replace(scenario, policies=scenario_of(_head(scenario)).policies)


def follow(model: "CityModel", scenario: Scenario) -> None:
    """Let a model that was made of :func:`past_of` a scenario go on from the past under that scenario.

    Raises:
        ScenarioError: if the state is damaged or does not fit the city.
    """
    try:
        restore(model, str(scenario.clock.from_), branch=True)
    except StateError as error:
        raise ScenarioError([_problem(scenario, FROM, str(error))]) from None
    model.scenario = scenario
    authority = model.authority
    before = {policy.name: policy for policy in authority.policies}
    kept: dict[str, Policy] = {}
    for settings in scenario.policies:
        policy = before.get(settings.name)
        if policy is None or (policy.settings != settings and not policy.begun):
            continue
        policy.settings = settings  # all but its end is as it was
        kept[settings.name] = policy
    authority.policies[:] = kept.values()
    for settings in scenario.policies:
        if settings.name not in kept:
            authority.add(settings)
    order = [settings.name for settings in scenario.policies]
    authority.policies.sort(key=lambda policy: order.index(policy.name))
    model.running = model.day < scenario.clock.days


# ---------------------------------------------------------------------- what may differ


def problems_of(scenario: Scenario) -> list[Problem]:
    """Return why a scenario cannot go on from the state it names; nothing if it names none.

    The state itself is not read, only what it says of itself.
    """
    if scenario.clock.from_ is None:
        return []
    try:
        head = _head(scenario)
        check_program(scenario.clock.from_, head)
        past = scenario_of(head)
    except (StateError, ScenarioError) as error:
        return [_problem(scenario, FROM, str(error))]
    day = head["day"]
    problems = [_problem(scenario, key, message) for key, message in _changes(past, scenario, head)]
    problems += [_problem(scenario, key, message) for key, message in _policies(past, scenario, head)]
    if scenario.clock.days <= day:
        message = f"the past reaches to day {day}; give more days than that (given {scenario.clock.days})"
        problems.append(_problem(scenario, ("clock", "days"), message))
    if not head["whole"] and any(seed != head["seed"] for seed in scenario.seeds()):
        message = (
            f"holds only what has changed in a run with seed {head['seed']}; other seeds need a whole state, as "
            "citytwin run --save makes"
        )
        problems.append(_problem(scenario, FROM, message))
    return problems


def _head(scenario: Scenario) -> dict[str, Any]:
    return read_head(str(scenario.clock.from_))


def _changes(past: Scenario, scenario: Scenario, head: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the keys, policies apart, by which the scenario is another than that of the past."""
    then, now = dict(_leaves(_plain(past))), dict(_leaves(_plain(scenario)))
    for path in sorted(then.keys() | now.keys(), key=str):
        name = ".".join(map(str, path))
        if then.get(path) != now.get(path) and not any(name == free or name.startswith(f"{free}.") for free in _FREE):
            was, is_ = (json.dumps(values.get(path), default=str) for values in (then, now))
            yield (
                path,
                f"{_OF_THE_PAST} (it was {was}, given {is_}); leave it as it was, or make the past again with it",
            )
    contents = files_of([scenario])
    for file, content in head["files"].items():
        if file in contents and contents[file] != content:
            yield FROM, f"{file} is another than in the past, which {_OF_THE_PAST}"


def _plain(scenario: Scenario) -> dict[str, Any]:
    """Return the settings of a scenario with the defaults of all that is not written."""
    parts: dict[str, Any] = {"clock": scenario.clock, "city": scenario.city, "output": scenario.output}
    parts |= {"hospitals": scenario.hospitals} | scenario.processes
    plain = {
        name: None if part is None else part.model_dump(mode="json", by_alias=True) for name, part in parts.items()
    }
    return plain | {"design": [design.model_dump(mode="json", by_alias=True) for design in scenario.designs]}


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    else:
        yield path, value


def _policies(past: Scenario, scenario: Scenario, head: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with the policies of a branch."""
    day, in_past = head["day"], set(head["begun"])
    before = {settings.name: settings for settings in past.policies}
    names = [settings.name for settings in scenario.policies]
    for name in in_past - set(names):
        yield ("policy",), f"'{name}' was in force before day {day}; keep it, with until = {day} if it is to end"
    if [name for name in names if name in in_past] != [name for name in before if name in in_past]:
        yield ("policy",), f"policies in force before day {day} come in another order, which {_OF_THE_PAST}"
    for number, settings in enumerate(scenario.policies):
        where = ("policy", number)
        then = before.get(settings.name)
        if then == settings:
            continue
        if settings.name in in_past:
            assert then is not None
            then_keys, now_keys = (dict(_leaves(s.model_dump(mode="json", by_alias=True))) for s in (then, settings))
            for path in sorted(then_keys.keys() | now_keys.keys(), key=str):
                if path != ("until",) and path[:1] != ("until",) and then_keys.get(path) != now_keys.get(path):
                    message = f"'{settings.name}' was in force before day {day}; only its end may be another"
                    yield (*where, *path), message
            if any(_before(end, day, scenario) for end in (then.until, settings.until)):
                yield (*where, "until"), f"'{settings.name}' ended before day {day}, or would have"
        elif settings.when is None and (settings.from_ is None or _before(settings.from_, day, scenario)):
            yield (*where, "from"), f"'{settings.name}' would have begun before day {day}; give from = {day} or later"


def _before(moment: int | date | Trigger | None, day: int, scenario: Scenario) -> bool:
    if isinstance(moment, date):
        return scenario.clock.day(moment) < day
    return isinstance(moment, int) and moment < day


def _problem(scenario: Scenario, key: tuple[str | int, ...], message: str) -> Problem:
    return Problem(scenario.document.nearest(key).where, dotted_key(scenario.document, key), message)
