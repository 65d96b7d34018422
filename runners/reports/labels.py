"""Words and figures as people read them: names of parameters and points, numbers, sources."""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from ..compare import Measure
from ..points.settings import MAX_RUNS, SIZES, Range

if TYPE_CHECKING:
    from ...agents.policies import PolicySettings
    from ..results import Results
    from ..scenarios.scenario import Scenario

MINUS = "−"
LISTED = 12
"""Values of a swept parameter that are all shown; of more only the first and the last."""


def short_names(parameters: Sequence[str]) -> dict[str, str]:
    """Return for each dotted parameter the shortest name that tells it from the others.

    ``policy.schools closed.compliance`` becomes ``schools closed: compliance``, ``epidemic.r0`` becomes ``r0``.
    """
    names = {}
    for parameter in parameters:
        head, _, rest = parameter.partition(".")
        if head == "policy":
            name, _, key = rest.partition(".") if rest.count(".") == 1 else rest.rpartition(".")
            names[parameter] = f"{name}: {key}"
        else:
            last = parameter.rpartition(".")[2]
            clash = sum(other.rpartition(".")[2] == last for other in parameters if not other.startswith("policy.")) > 1
            names[parameter] = parameter if clash else last
    return names


def value_text(value: Any) -> str:
    """Return a parameter's value as a file would say it, large numbers with thousands parted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_text(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    if isinstance(value, Range):
        whole = ", whole numbers" if value.integer else ""
        steps = f", {value.steps} steps" if value.steps is not None else ""
        return f"{value.from_:,g} to {value.to:,g}{', log' if value.scale == 'log' else ''}{whole}{steps}"
    return str(value)


def counted(number: int, noun: str) -> str:
    """Return a number with what is counted, as ``1 candidate`` and ``1,200 candidates``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def point_label(parameters: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return what a point is, in one line; the name of a policy stands before all that is said of it."""
    said: dict[str, list[str]] = {}
    for name, value in parameters.items():
        owner, colon, key = names[name].rpartition(": ")
        said.setdefault(owner + colon, []).append(f"{key} {value_text(value)}")
    return "; ".join(owner + ", ".join(words) for owner, words in said.items()) or "as in the file"


def amount(value: float, measure: Measure, *, sign: bool = False) -> str:
    """Return a figure in the unit of its measure; a dash if it is missing."""
    if isnan(value):
        return "–"
    scaled = round(value * measure.scale, measure.decimals)
    text = f"{abs(scaled):,.{measure.decimals}f}"
    return (MINUS if scaled < 0 else "+" if sign and scaled > 0 else "") + text


def spread(difference: float, low: float, high: float, measure: Measure, *, mark: str = "", signed: bool = True) -> str:
    """Return a difference, with a mark if it needs one, and its interval, for example ``−3.2 (−3.6 … −2.8)``."""
    middle = amount(difference, measure, sign=signed) + mark
    if isnan(low):
        return middle
    return f"{middle} ({amount(low, measure, sign=signed)} … {amount(high, measure, sign=signed)})"


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, its heading the first row; names stand to the left, figures to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join([cells[0].ljust(widths[0]), *numbers])

    return [line(rows[0]), "  ".join("─" * width for width in widths), *map(line, rows[1:])]


def cities_of(results: "Results") -> list[dict[str, Any]]:
    """Return what the results say of their cities: name, people, area_km2 and sources of each."""
    return list(results.info.get("context", {}).get("city_facts", []))


def attributions(cities: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the attribution of every source, each once."""
    found = [
        source["attribution"] for city in cities for source in city.get("sources", []) if source.get("attribution")
    ]
    return list(dict.fromkeys(found))


def city_text(city: Mapping[str, Any]) -> str:
    """Return name and number of people of a city; some names say the number already."""
    people = f"{city['people']:,}"
    return f"{city['name']}" + (f" ({people} people)" if people not in city["name"] else " people")


def scenario_text(scenario: "Scenario") -> str:
    """Return what a scenario would run, for people to read."""
    clock, sweep = scenario.clock, scenario.sweep
    city = scenario.city
    invented = "one place" if city.one_place is not None else "invented"
    where = f"bundle {city.bundle}" if city.bundle is not None else " and ".join(city.files.values()) or invented
    people = f", {city.people:,} people" if city.people is not None else ""
    lines = [
        f"{scenario.name}: ready to run",
        f"  city      {where}{people}",
        f"  clock     {counted(clock.days, 'day')} from {clock.start}",
        f"  processes {', '.join(scenario.processes)}",
    ]
    if "response" in scenario.processes:
        lines.append(f"  response  {response_text(scenario.processes['response'])}")
    for number, design in enumerate(scenario.designs):
        lines.append(f"  {'design' if number == 0 else '':<9} {design.name}{'' if design.built else ' (not built)'}")
    lines += [f"  {'policy' if n == 0 else '':<9} {policy.name}" for n, policy in enumerate(scenario.policies)]
    names = short_names(list(sweep.parameters))
    for number, (name, axis) in enumerate(sweep.parameters.items()):
        lines.append(f"  {'sweep' if number == 0 else '':<9} {names[name]}: {axis_text(axis)}")
    lines += [f"  {name:<9} {text}" for name, text in design_facts(scenario)]
    if (fitted := scenario.calibrate) is not None:
        names = short_names(list(fitted.parameters))
        for number, (name, prior) in enumerate(fitted.parameters.items()):
            bounds = f"{value_text(prior.from_)} to {value_text(prior.to)}{', log' if prior.log else ''}"
            lines.append(f"  {'calibrate' if number == 0 else '':<9} {names[name]}: {bounds}")
        for number, (name, observation) in enumerate(fitted.observations.items()):
            lines.append(f"  {'to' if number == 0 else '':<9} {name}: {observation.series}")
    if (sought := scenario.optimise) is not None:
        for number, (name, goal) in enumerate(sought.goals.items()):
            bound = f", {sought.constraints[name]}" if name in sought.constraints else ""
            lines.append(f"  {'optimise' if number == 0 else '':<9} {name}: {goal}{bound}")
        lines += [f"  {'':<9} {name} {bound}" for name, bound in sought.constraints.items() if name not in sought.goals]
        names = short_names(list(sought.parameters))
        for number, (name, choice) in enumerate(sought.parameters.items()):
            lines.append(f"  {'by' if number == 0 else '':<9} {names[name]}: {axis_text(choice)}")
    points = len(scenario.layout)
    runs = f"{scenario.runs:,}"
    if sweep.until is not None:
        runs += f" to {min(points * sweep.most_replicates, MAX_RUNS):,}"
    lines.append(f"  runs      {runs} ({counted(points, 'point')}, {seeds_text(scenario)})")
    return "\n".join(lines)


def seeds_text(scenario: "Scenario") -> str:
    """Return which seeds the runs of a sweep have."""
    seeds = scenario.seeds()
    if not seeds:
        return "a seed of its own for every run"
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"


def axis_text(axis: list[Any] | Range) -> str:
    """Return what a swept parameter takes; of many values the first and the last."""
    if isinstance(axis, list) and len(axis) > LISTED:
        return f"{', '.join(map(value_text, axis[:3]))} … {value_text(axis[-1])} ({len(axis):,} values)"
    return ", ".join(map(value_text, axis)) if isinstance(axis, list) else value_text(axis)


def design_facts(scenario: "Scenario") -> list[tuple[str, str]]:
    """Return what a sweep's section says of its points and runs beyond lists of values, each with a name."""
    sweep, points = scenario.sweep, scenario.layout
    facts = []
    if sweep.design in SIZES:
        count = getattr(sweep, SIZES[sweep.design])
        what = {"saltelli": "base samples", "morris": "trajectories"}.get(sweep.design, "samples")
        merged = f", {points.merged:,} of them equal to others" if points.merged else ""
        crossed = len(points) // max(points.sampled - points.merged, 1)
        lists = f", each with {crossed:,} combinations of lists" if crossed > 1 else ""
        facts.append(("points by", f"{sweep.design}, {count:,} {what}{merged}{lists}"))
    elif sweep.design == "list":
        facts.append(("points by", "list"))
    if (until := sweep.until) is not None:
        of = "its difference to point 0" if until.of == "difference" else "the mean"
        known = f"{until.indicator} is known to ± {until.half_width:g} ({until.level:.0%} interval of {of})"
        facts.append(("until", f"{known}, with {until.at_least} to {until.at_most} replicates a point"))
    if sweep.budget is not None:
        facts.append(("budget", sweep.budget))
    return facts


def policy_text(policy: "PolicySettings") -> str:
    """Return what a policy does, for whom, where, when, and how many follow, in one line."""
    parts = [*_effects(policy), *_range(policy)]
    for word, moment in (("from", policy.from_), ("when", policy.when), ("until", policy.until)):
        if isinstance(moment, int):
            parts.append(f"{word} day {moment}")
        elif moment is not None:
            parts.append(f"{word} {moment}")
    parts.append(f"compliance {policy.compliance:g}")
    if policy.fatigue:
        parts.append(f"falling by {policy.fatigue:.0%} in 30 days in force")
    return "; ".join(parts)


def response_text(settings: Any) -> str:
    """Return who answers calls and by which rules, in one line.

    Args:
        settings: the section ``[response]``.
    """
    who = []
    for name, fleet in settings.fleet.items():
        always = "as many as the city needs" if fleet.units is None else f"{fleet.units:,}"
        by_shift = sum(shift.units for shift in fleet.shifts)
        who.append(f"{name} {always}" + (f" and {by_shift:,} by shift" if by_shift else ""))
    named = {fleet.service or name for name, fleet in settings.fleet.items() if not fleet.neighbour}
    others = [service for service in settings.services or ("ambulance", "fire", "police") if service not in named]
    if others:
        who.append(f"{', '.join(others)} as the city has them")
    files = [f"events of {event.file}" for event in settings.events]
    return "; ".join([*who, *_dispatch_rules(settings), *files])


def _dispatch_rules(settings: Any) -> list[str]:
    """Return by which rules units are sent; what a class decides itself is left to it, whatever the rules say."""
    from ...agents.response.decisions import RULES, dispatcher_named

    told = settings.dispatch
    own = None if told.class_ == RULES else dispatcher_named(told.class_)
    rules = [] if own is None else [f"{told.class_} decides"]
    for method, keys, text in (
        ("choose_unit", "unit, help_after", f"unit {told.unit}"),
        ("choose_station", "move_up", f"free units {told.move_up}"),
        ("choose_hospital", "departments.choice", f"hospitals {settings.departments.choice}"),
    ):
        left = own is not None and own.decides(method)
        rules.append(f"{keys} left to its {method}" if left else text)
    return rules


_MEASURES = {"test": "tests", "trace": "traces contacts", "isolate": "isolates", "vaccinate": "vaccinates"}


def _effects(policy: "PolicySettings") -> list[str]:
    parts = [f"closes {', '.join(policy.close)}"] if policy.close else []
    for words, by_place in (
        ("fewer contacts: {}", {name: f"by {share:.0%}" for name, share in policy.reduce.items()}),
        ("visits limited: {}", {name: f"to {chance:.0%}" for name, chance in policy.limit.items()}),
        ("week by week in turn: {}", {name: f"in {cohorts} cohorts" for name, cohorts in policy.rotate.items()}),
        ("air changes: {}", {name: f"x {factor:g}" for name, factor in policy.ventilate.items()}),
    ):
        if by_place:
            parts.append(words.format(", ".join(f"{name} {how}" for name, how in by_place.items())))
    if policy.masks is not None:
        masks = policy.masks
        held = f"hold back {masks.source:.0%} at the source, {masks.wearer:.0%} at the wearer"
        parts.append(f"masks in {', '.join(masks.places)} ({held})")
    if policy.cordon:
        parts.append("everybody stays in their zone" if policy.cordon == "each" else "nobody goes in or out")
    if policy.level is not None:
        parts.append(f"lockdown level {policy.level}")
    if policy.work_from_home is not None:
        parts.append(f"{policy.work_from_home:.0%} of workers at home")
    if policy.border is not None:
        parts.append(f"{policy.border:.0%} fewer infections from outside")
    return parts + [words for key, words in _MEASURES.items() if getattr(policy, key) is not None]


def _range(policy: "PolicySettings") -> list[str]:
    whom, parts = policy.whom, []
    if whom.ages is not None:
        parts.append(f"ages {whom.ages[0]} to {whom.ages[1]}")
    if whom.roles is not None:
        parts.append(f"roles {', '.join(whom.roles).replace('_', ' ')}")
    if whom.zones is not None:
        parts.append(f"residents of zone {', '.join(map(str, whom.zones))}")
    if whom.share < 1:
        parts.append(f"{whom.share:.0%} of these" if parts else f"{whom.share:.0%} of the people")
    if policy.where is not None:
        parts.append(f"places in zone {', '.join(map(str, policy.where.zones))}")
    return parts


def headline(results: "Results") -> str:
    """Return in one line where, how long and how often a scenario was run."""
    points, seeds = len(results.points), len(results.info["replicates"])
    how_often = f"{counted(points, 'point')} x {counted(seeds, 'seed')}"
    if not results.is_of_city:
        return how_often
    scenario = results.scenario
    cities = list(dict.fromkeys(map(city_text, cities_of(results))))  # redrawn ones have one name
    where = " and ".join(cities[:2]) or "a city"
    if len(cities) > 2:
        where = f"{', '.join(cities[:2])} and {len(cities) - 2} more"
    return f"{where}, {counted(scenario.clock.days, 'day')} from {scenario.clock.start}, {how_often}"
