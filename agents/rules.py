"""Rules: what policies change about contacts, all of one form, and the groups and scopes that rules in force make.

A rule names people, places, and factors by kind of place on what these people give off and take in there. Rules in force
at the same time multiply. People under the same rules form a *group* and places under the same rules a *scope*, so the
effect of all rules together is one table by group and by column, a column being a kind of place in a scope.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..environment.places import PLACE_GROUPS, PlaceKind

HOME = int(PlaceKind.HOME)
GUEST = len(PlaceKind)
"""Column of visits to other people's homes; columns before it are kinds of places."""
COLUMNS = len(PlaceKind) + 1
"""Number of columns of a scope."""
ABSENT = -1.0
"""Stands for a factor where members do not go: they are at home instead."""
MAX_NUMBER = np.iinfo(np.uint16).max
"""Groups and columns are numbered in two bytes."""
MAX_GROUPS = MAX_NUMBER - 8
"""Most groups that policies may make; the rest is for people who are at home for reasons of their own."""
MAX_CELLS = 30_000_000
"""Most factors that the table of groups and columns may hold (each is 8 bytes, and there are two tables)."""
MERGE_FROM = 1_000
"""Groups with the same factors are made one where there are more than this."""

VISIT_GROUPS: dict[str, tuple[int, ...]] = {
    **{name: tuple(int(kind) for kind in kinds) for name, kinds in PLACE_GROUPS.items() if name != "home"},
    "guests": (GUEST,),
}
"""Names that a policy may use, each with the columns it stands for; ``guests`` are visits to other homes."""


class GroupsError(ValueError):
    """The policies in force part people and places into more combinations than can be kept."""


class Rule(NamedTuple):
    """What changes for some people in some places. Homes of one's own are under no rule.

    Attributes:
        people: (people,) true for whom the rule is, or the number of each person's class; None for everybody.
        places: (places,) true where it holds, or the number of each place's class; None for everywhere. The home of the
            host decides about visits of guests.
        give, take: (COLUMNS,) factor on what these people give off and take in there, :data:`ABSENT` where they do not
            go; or (classes of people, classes of places, COLUMNS) where classes are numbered.
        air: (COLUMNS,) factor on the air changes of these places, whoever is there.
    """

    people: NDArray[Any] | None
    places: NDArray[Any] | None
    give: NDArray[np.float64]
    take: NDArray[np.float64]
    air: NDArray[np.float64]


class Tables(NamedTuple):
    """All rules in force together.

    Attributes:
        group: uint16 (people,) group of each person.
        give, take: float64 (groups, columns) factors, :data:`ABSENT` in both where members do not go.
        column: uint16 (places,) kind of the place, plus COLUMNS times its scope.
        air: float64 (columns,) factor on air changes.
    """

    group: NDArray[np.uint16]
    give: NDArray[np.float64]
    take: NDArray[np.float64]
    column: NDArray[np.uint16]
    air: NDArray[np.float64]


def rule(
    people: NDArray[Any] | None = None,
    places: NDArray[Any] | None = None,
    *,
    close: Sequence[str] = (),
    reduce: Mapping[str, float] | None = None,
    masks: tuple[Sequence[str], float, float] | None = None,
    ventilate: Mapping[str, float] | None = None,
) -> Rule:
    """Make a rule by names of :data:`VISIT_GROUPS`.

    Args:
        people, places: for whom and where, see :class:`Rule`.
        close: where these people do not go.
        reduce: by name the share, 0 to 1, by which contacts fall where everybody follows. Both sides of a contact bring
            the square root of what remains, so that the pair has all of it.
        masks: names, share by which a wearer gives off less, share by which a wearer takes in less.
        ventilate: by name the factor on air changes, above 0.

    Raises:
        ValueError: if a name is unknown, or a share or factor is out of bounds.
    """
    for key, names in (
        ("close", close),
        ("masks", masks[0] if masks else ()),
        ("reduce", reduce),
        ("ventilate", ventilate),
    ):
        if isinstance(names, str):
            raise ValueError(f"{key}: write a list of names, as in ['{names}']")
        for name in names or ():
            check_group(name)
    for name, share in (reduce or {}).items():
        _check_number(f"reduce: {name}", share, "the share by which contacts fall, 0 to 1", 0 <= share <= 1)
    for what, share in zip(("source", "wearer"), masks[1:] if masks else (), strict=False):
        _check_number(f"masks: {what}", share, "the share that is held back, 0 to 1", 0 <= share <= 1)
    for name, factor in (ventilate or {}).items():
        allowed = "the factor on air changes, above 0 (2 doubles them)"
        _check_number(f"ventilate: {name}", factor, allowed, 0 < factor < np.inf)
    give, take, air = np.ones(COLUMNS), np.ones(COLUMNS), np.ones(COLUMNS)
    for name, share in (reduce or {}).items():
        columns = list(VISIT_GROUPS[name])
        give[columns] *= np.sqrt(1.0 - share)
        take[columns] *= np.sqrt(1.0 - share)
    if masks is not None:
        names, source, wearer = masks
        columns = columns_of(names)
        give[columns] *= 1.0 - source
        take[columns] *= 1.0 - wearer
    for name, factor in (ventilate or {}).items():
        air[list(VISIT_GROUPS[name])] *= factor
    closed = columns_of(close)
    give[closed] = take[closed] = ABSENT
    return Rule(people, places, give, take, air)


def _check_number(what: str, number: float, allowed: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{what} = {number!r}: write {allowed}")


def check_group(name: Any) -> None:
    """Make sure that a policy may name these places.

    Raises:
        ValueError: if they are none of :data:`VISIT_GROUPS`.
    """
    if not isinstance(name, str) or name not in VISIT_GROUPS:
        raise ValueError(f"'{name}' is no group of places; allowed are: {', '.join(VISIT_GROUPS)}")


def check_rules(rules: Any, people: int, places: int) -> None:
    """Make sure that what a policy of one's own says are rules for so many people and places.

    Raises:
        TypeError: if they are no list of rules.
        ValueError: if a rule does not fit the city.
    """
    if not isinstance(rules, list | tuple):
        raise TypeError(
            f"rules(model) returned {rules!r}; it must return a list of rules as rule(…) makes them, [] for none"
        )
    for each in rules:
        if not isinstance(each, Rule):
            raise TypeError(f"rules(model) returned {each!r} in its list; it must be a rule as rule(…) makes it")
        for name, classes, size in (("people", each.people, people), ("places", each.places, places)):
            if classes is not None:
                _check_classes(name, classes, size)
        least = (_classes(each.people), _classes(each.places), COLUMNS)
        for name, factor in (("give", each.give), ("take", each.take), ("air", each.air)):
            shape = np.shape(factor)
            by_class = name != "air" and len(shape) == 3 and shape[2] == COLUMNS
            by_class = by_class and all(size >= needed for size, needed in zip(shape, least, strict=True))
            if not (shape == (COLUMNS,) or by_class) or not np.isfinite(factor).all():
                raise ValueError(
                    f"{name} of a rule must be {COLUMNS} finite factors, or these by class (given {shape})"
                )


def _check_classes(name: str, classes: Any, size: int) -> None:
    wanted = f"a numpy array of {size:,} truth values, one for each of the {name}, or of their class numbers from 0"
    if not isinstance(classes, np.ndarray) or classes.dtype.kind not in "biu":
        kind = classes.dtype if isinstance(classes, np.ndarray) else type(classes).__name__
        raise ValueError(f"{name} of a rule must be {wanted} (given {kind})")
    if classes.shape != (size,) or (classes.dtype.kind == "i" and classes.min(initial=0) < 0):
        shape = "numbers below 0" if classes.shape == (size,) else f"shape {classes.shape}"
        raise ValueError(f"{name} of a rule must be {wanted} (given {shape})")


def confinement(people: NDArray[Any], places: NDArray[Any], allowed: NDArray[np.bool_]) -> Rule:
    """Make the rule that people of a class go only to places of some classes, beside their own homes.

    Args:
        people: (people,) class of each person.
        places: (places,) class of each place.
        allowed: (classes of people, classes of places).
    """
    table = np.ones((*allowed.shape, COLUMNS))
    table[~allowed, HOME + 1 :] = ABSENT
    return Rule(people, places, table, table, np.ones(COLUMNS))


def columns_of(names: Sequence[str]) -> list[int]:
    """Return the columns that some names stand for, each once."""
    return sorted({column for name in names for column in VISIT_GROUPS[name]})


def same_rules(some: Sequence[Rule], others: Sequence[Rule]) -> bool:
    """Return whether two lists of rules say the same."""
    return len(some) == len(others) and all(
        one is other or all(_same(*pair) for pair in zip(one, other, strict=True))
        for one, other in zip(some, others, strict=True)
    )


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def tables_of(rules: Sequence[Rule], people: int, kind: NDArray[np.uint8]) -> Tables:
    """Put rules together.

    Args:
        rules: the rules in force; those for the same people may hold the same array, which is quicker.
        people: number of people.
        kind: (places,) kind of each place.

    Raises:
        ValueError: if a rule is about homes.
        GroupsError: if the rules part people and places into more combinations than there can be.
    """
    scope, scopes, classes = _scopes(rules, len(kind))
    if scopes * COLUMNS > MAX_NUMBER:
        raise GroupsError(
            f"the policies in force part the places into {scopes:,} kinds of areas, at most {MAX_NUMBER // COLUMNS:,} "
            "can be; use larger zones"
        )
    air = np.ones((scopes, COLUMNS))
    for number, each in enumerate(rules):
        air *= _spread(each.air, None, each.places)[0][classes[number]]
    group = np.zeros(people, np.int64)
    give, take = np.ones((1, scopes * COLUMNS)), np.ones((1, scopes * COLUMNS))
    done: set[int] = set()
    for number, first in enumerate(rules):
        if number in done:
            continue
        together = [n for n in range(number, len(rules)) if rules[n].people is first.people]
        done.update(together)
        group, parent, member = _divided(group, len(give), first.people)
        if len(parent) * scopes * COLUMNS > MAX_CELLS:
            raise GroupsError(
                f"the policies in force part people and places into {len(parent):,} groups and {scopes:,} areas, "
                "too many to keep; use larger zones or fewer policies at once"
            )
        give, take = give[parent], take[parent]
        for n in together:
            each = rules[n]
            for table, factor in ((give, each.give), (take, each.take)):
                by_class = _spread(factor, each.people, each.places)[member][:, classes[n]]
                if np.any(by_class[:, :, HOME] != 1.0):
                    raise ValueError("a rule changes what people do in their own homes; leave column HOME at 1")
                by_class = by_class.reshape(table.shape)
                absent = (table < 0) | (by_class < 0)
                np.multiply(table, by_class, out=table)
                table[absent] = ABSENT
        if len(give) > MERGE_FROM:
            merged, of = np.unique(np.concatenate([give, take], axis=1), axis=0, return_inverse=True)
            give, take = np.hsplit(merged, 2)
            group = of.reshape(-1)[group]
        if len(give) > MAX_GROUPS:
            raise GroupsError(
                f"the policies in force part the people into {len(give):,} groups, at most {MAX_GROUPS:,} can be; "
                "use fewer policies with a share or a limit of their own at once"
            )
    column = kind + COLUMNS * scope
    return Tables(
        group.astype(np.uint16),
        np.ascontiguousarray(give),
        np.ascontiguousarray(take),
        column.astype(np.uint16),
        air.reshape(-1),
    )


def _scopes(rules: Sequence[Rule], places: int) -> tuple[NDArray[np.int64], int, list[NDArray[np.int64]]]:
    """Number the combinations of classes of places; return each place's, how many, and for each rule its class in each."""
    number, scopes = np.zeros(places, np.int64), 1
    members: dict[int, NDArray[np.int64]] = {}
    for each in rules:
        if each.places is None or id(each.places) in members:
            continue
        number, parent, member = _divided(number, scopes, each.places)
        members = {array: of[parent] for array, of in members.items()} | {id(each.places): member}
        scopes = len(parent)
    nothing = np.zeros(scopes, np.int64)
    classes = [nothing if each.places is None else members[id(each.places)] for each in rules]
    return number, scopes, classes


def _divided(
    number: NDArray[np.int64], count: int, classes: NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Divide groups by classes: return the new numbers, and of each new group the old one and the class."""
    if classes is None or not number.size:
        return number, np.arange(count), np.zeros(count, np.int64)
    kinds = _classes(classes)
    code = number * kinds + classes
    if count * kinds <= max(4 * code.size, MAX_NUMBER):
        occurring = np.flatnonzero(np.bincount(code))
        number_of = np.empty(count * kinds, np.int64)
        number_of[occurring] = np.arange(occurring.size)
        number = number_of[code]
    else:
        occurring, number = np.unique(code, return_inverse=True)
    return number, occurring // kinds, occurring % kinds


def _classes(classes: NDArray[Any] | None) -> int:
    """Return how many classes there can be."""
    if classes is None:
        return 1
    return 2 if classes.dtype == bool else int(classes.max(initial=0)) + 1


def _spread(
    factor: NDArray[np.float64], people: NDArray[Any] | None, places: NDArray[Any] | None
) -> NDArray[np.float64]:
    """Return factors by class of people, class of places and column; simple factors hold in the last class of both."""
    if factor.ndim == 3:
        return factor
    whole = np.ones((_classes(people), _classes(places), COLUMNS))
    whole[-1, -1] = factor
    return whole
