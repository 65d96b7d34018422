"""One change of a design: read from its feature, every parameter checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from shapely import Geometry

from .specs import COMPASS, FREE, MOST_TEXT, SCHOOLS, SPECS, WHEN, WHERE, Parameter
from .when import When, read_when, seconds_of, shown

MOST_MESSAGES = 30


class DesignError(ValueError):
    """A design that cannot be read or does not fit its city; the message has a line for each problem.

    Attributes:
        problems: all of them, also those beyond what the message shows.
    """

    def __init__(self, problems: list[str]):
        self.problems = list(dict.fromkeys(problems))
        shown = self.problems[:MOST_MESSAGES]
        if len(self.problems) > MOST_MESSAGES:
            shown.append(f"… and {len(self.problems) - MOST_MESSAGES} more")
        super().__init__("\n".join(shown))

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        return type(self), (self.problems,)


@dataclass(frozen=True)
class Change:
    """One change of a design.

    Attributes:
        number: feature of the design, from 1.
        kind: key of :data:`SPECS`.
        values: parameters, defaults filled in (None where there is none).
        geometry: where, in the CRS of the design; None if streets are named.
        streets, ways, links: streets by name, identifier of the source, or number of the link.
        when: when it holds.
    """

    number: int
    kind: str
    values: dict[str, Any]
    geometry: Geometry | None = None
    streets: tuple[str, ...] = ()
    ways: tuple[int, ...] = ()
    links: tuple[int, ...] = ()
    when: When = field(default_factory=When)

    @property
    def shape(self) -> str:
        """``line``, ``area`` or ``point``; empty without a geometry."""
        return _shape(self.geometry)

    def __str__(self) -> str:
        return f"feature {self.number} ({self.kind})"


def read_change(number: int, raw: Mapping[str, Any], source: str) -> Change:
    """Read one change.

    Args:
        number: its number, from 1.
        raw: what its table or its feature's attributes say, and ``geometry`` as shapely has it; None is left out.
        source: what messages call the design.

    Raises:
        DesignError: with every problem of this change.
    """
    given = {str(name): value for name, value in raw.items() if not _missing(value) and name not in FREE}
    kind = given.pop("change", None)
    head = f"{source}: feature {number}"
    if kind is None:
        raise DesignError([f"{head}: 'change' is missing; allowed: {', '.join(SPECS)}"])
    if not isinstance(kind, str) or kind not in SPECS:
        near = suggestion(kind, SPECS) if isinstance(kind, str) else ""
        raise DesignError([f"{head}: change: there is none called {shown(kind)}; allowed: {', '.join(SPECS)}{near}"])
    spec = SPECS[kind]
    head = f"{head} ({kind})"
    problems: list[str] = []
    allowed = [*spec.parameters, *(WHERE if spec.by_name else spec.shapes), *(WHEN if spec.timed else ())]
    for name in given:
        if name in WHEN and not spec.timed:
            timed = ", ".join(name for name, other in SPECS.items() if other.timed)
            problems.append(f"{head}: {name}: this change is permanent; for a time only: {timed}")
        elif name not in allowed and name != "geometry":
            told = ", ".join(name for name in allowed if name != "geometry")
            problems.append(f"{head}: {shown(name)}: unknown parameter; allowed: {told}{suggestion(name, allowed)}")
    values = {}
    for name, parameter in spec.parameters.items():
        if name not in given:
            values[name] = parameter.default
            if parameter.required:
                problems.append(f"{head}: {name}: is missing; {parameter.doc}: {parameter.allowed}")
            continue
        try:
            values[name] = _value(parameter, given[name])
        except ValueError as error:
            problems.append(f"{head}: {name}: {error}")
            values[name] = parameter.default
    selected: dict[str, tuple[Any, ...]] = {"street": (), "way": (), "links": ()}
    for name, whole in (("street", False), ("way", True), ("links", True)):
        if name in given and spec.by_name:
            try:
                selected[name] = _list(given[name], whole)
            except ValueError as error:
                problems.append(f"{head}: {name}: {error}")
    geometry = given.get("geometry")
    if geometry is not None and _shape(geometry) not in spec.shapes:
        problems.append(f"{head}: is drawn as {geometry.geom_type}; allowed: {', '.join(spec.shapes)}")
    if (
        geometry is None
        and not any(selected.values())
        and not any(name in given for name in ("street", "way", "links"))
    ):
        named = "; or street, way or links" if spec.by_name else ""
        problems.append(f"{head}: where is missing: a geometry, {', '.join(spec.shapes)}{named}")
    problems += [f"{head}: {message}" for message in _together(kind, values, given, geometry, selected)]
    try:
        when = read_when(given)
    except ValueError as error:
        problems.append(f"{head}: {error}")
        when = When()
    if problems:
        raise DesignError(problems)
    return Change(number, kind, values, geometry, selected["street"], selected["way"], selected["links"], when)


def _together(
    kind: str,
    values: dict[str, Any],
    given: Mapping[str, Any],
    geometry: Geometry | None,
    selected: Mapping[str, tuple[Any, ...]],
) -> list[str]:
    """Find what is wrong between parameters that are each valid; nothing is missing that was given, but wrong."""
    problems = []
    undirected = not selected["links"] and values.get("heading") is None and _shape(geometry) != "line"
    if kind == "one_way" and undirected:
        problems.append(f"heading: is missing; draw a line, name links, or give a heading: {', '.join(COMPASS)}")
    if values.get("direction") == "along" and undirected:
        problems.append("direction: 'along' needs a line or a heading")
    if kind == "facility" and values["kind"] in SCHOOLS and "places" not in given:
        problems.append(f"places: is missing; a {values['kind']} school needs its number of pupils")
    if kind == "facility" and values["kind"] == "work" and "jobs" not in given:
        problems.append("jobs: is missing; how many people work there")
    if kind == "land_use" and values["dwellings"] and values["use"] not in ("residential", "mixed", None):
        problems.append(f"dwellings: there are none in a use '{values['use']}'; allowed: residential, mixed")
    if kind == "new_line":
        for name in ("first", "last"):
            try:
                values[name] = seconds_of(values[name])
            except ValueError as error:
                problems.append(f"{name}: {error}")
                values[name] = 0
        if values["last"] < values["first"] and not problems:
            problems.append("last: lies before the first departure; a day of service ends by 24:00")
    return problems


def suggestion(word: str, allowed: Any) -> str:
    """Return " (did you mean 'speed'?)" if an allowed word is close, else nothing."""
    close = get_close_matches(word.casefold(), {str(name).casefold(): None for name in allowed}, n=1, cutoff=0.6)
    spelt = next((name for name in allowed if close and str(name).casefold() == close[0]), None)
    return "" if spelt is None else f" (did you mean '{spelt}'?)"


# ---------------------------------------------------------------------- values


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _value(parameter: Parameter, value: Any) -> Any:
    wrong = f"must be {parameter.allowed} (given {shown(value)})"
    if parameter.kind == "flag":
        if isinstance(value, bool) or value in (0, 1):  # editors without truth values write 0 and 1
            return bool(value)
        raise ValueError(wrong)
    if parameter.kind in ("number", "whole"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(wrong)
        if not parameter.low <= value <= parameter.high or (parameter.kind == "whole" and value != int(value)):
            raise ValueError(wrong)
        return int(value) if parameter.kind == "whole" else float(value)
    if not isinstance(value, str) or not value.isprintable() or len(value) > MOST_TEXT:
        raise ValueError(wrong)
    if parameter.kind == "choice" and value not in parameter.choices:
        raise ValueError(wrong + suggestion(value, parameter.choices))
    return value


def _list(value: Any, whole: bool) -> tuple[Any, ...]:
    """Return names or numbers, given as one, as a list, or as a text with commas or semicolons."""
    if isinstance(value, str):
        value = [part.strip() for part in re.split(r"[;,]" if whole else ";", value) if part.strip()]
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or len(items) > 100_000:
        raise ValueError("must name 1 to 100,000 of them")
    if not whole:
        if not all(isinstance(item, str) and 0 < len(item) <= MOST_TEXT for item in items):
            raise ValueError(f"must be names of streets (given {shown(value)})")
        return tuple(items)
    numbers = []
    for item in items:
        number = item
        if isinstance(item, str) and re.fullmatch(r"-?\d{1,18}", item):
            number = int(item)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 2**63:
            raise ValueError(f"must be whole numbers (given {shown(item)})")
        numbers.append(number)
    return tuple(numbers)


def _shape(geometry: Geometry | None) -> str:
    if geometry is None:
        return ""
    kinds = {"Point": "point", "LineString": "line", "Polygon": "area"}
    return kinds.get(geometry.geom_type.removeprefix("Multi"), "none")
