"""What changes do to links: fields that each sets, how they are applied, and which contradict each other."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, street_length
from .changes import Change
from .pick import entries, pick
from .streets import Streets

USERS = {"car": Access.CAR, "bicycle": Access.BICYCLE, "foot": Access.FOOT, "bus": Access.BUS}
_KEPT_OUT = {"cars": ("car",), "motor": ("car", "bus"), "bicycles": ("bicycle",), "all": tuple(USERS)}
_TAKES = ("bus_lane_takes", "bike_lane_takes")
MOST_FOUND = 1_000
"""Contradictions after which no more are looked for."""


class Effect(NamedTuple):
    """One field that a change sets on links.

    Attributes:
        field: one of :data:`USERS`, ``speed`` (m/s), ``lanes``, ``bus_lane``, ``bike_lane``, ``toll``, ``parking``, or
            a lane that is taken.
        links: int64 (n,).
        values: (n,).
    """

    field: str
    links: NDArray[np.int64]
    values: NDArray[Any]


class Touched(NamedTuple):
    """A change and what it does to the streets."""

    change: Change
    links: NDArray[np.int64]
    effects: list[Effect]


def street_effects(streets: Streets, change: Change, where: Any) -> Touched:
    """Return which links a change touches, and what it sets there.

    Args:
        streets: the streets.
        change: one that changes streets that are there.
        where: its geometry in the CRS of the city.

    Raises:
        ValueError: if it means no link, or cannot be done there.
    """
    kind, values = change.kind, change.values
    if kind == "toll" and change.shape == "area" and not (change.streets or change.ways or change.links):
        links = entries(streets, where)
        if not len(links):
            raise ValueError("cars enter this area nowhere; draw it around streets")
        return Touched(change, links, [Effect("toll", links, np.full(len(links), values["amount"]))])
    links, along = pick(streets, change, where)

    def all_set(field: str, value: Any, rows: NDArray[np.int64] = links) -> Effect:
        return Effect(field, rows, np.full(len(rows), value))

    if kind == "close":
        return Touched(change, links, [all_set(user, False) for user in _KEPT_OUT[values["to"]]])
    if kind == "filter":
        kept_out = ("car",) if values["buses"] else ("car", "bus")
        return Touched(change, links, [all_set(user, False) for user in kept_out])
    if kind == "one_way":
        return Touched(change, links, _one_way(streets, change, links, along))
    if kind == "speed":
        return Touched(change, links, [all_set("speed", values["kmh"] / 3.6)])
    if kind == "lanes":
        return Touched(change, links, [all_set("lanes", float(values["lanes"]))])
    if kind in ("bus_lane", "bike_lane"):
        user = "bus" if kind == "bus_lane" else "bicycle"
        driven = links[(streets.access[links] & (Access.CAR | Access.BUS)) > 0]
        effects = [all_set(kind, True, driven), all_set(user, True, driven)]
        if values["takes_lane"]:
            effects.append(all_set(f"{kind}_takes", True, driven))
        return Touched(change, driven, effects)
    driven = links[(streets.access[links] & Access.CAR) > 0]
    if not len(driven):
        raise ValueError("cars may use none of these streets")
    if kind == "parking":
        share = streets.length[driven] / streets.length[driven].sum(dtype=float)
        return Touched(change, driven, [Effect("parking", driven, share * values["places"])])
    # who drives the whole way pays the amount: two directions of a street count as one length
    which = np.zeros(streets.links, bool)
    which[driven] = True
    link_columns = {name: getattr(streets, name) for name in ("start", "end", "length", "way")}
    whole = street_length(link_columns, which).sum()
    return Touched(change, driven, [Effect("toll", driven, values["amount"] * streets.length[driven] / whole)])


def _one_way(streets: Streets, change: Change, links: NDArray[np.int64], along: NDArray[np.bool_]) -> list[Effect]:
    with_way, against = links[along], links[~along]
    twins = streets.twins()
    blind = [link for link in against.tolist() if twins[link] < 0 and streets.access[link] & Access.CAR]
    if blind:
        raise ValueError(f"{streets.name_of(blind[0])} leads the other way only; there is none to drive along")
    effects = []
    users = ["car", *(["bus"] if change.values["buses"] else []), *(["bicycle"] if change.values["bicycles"] else [])]
    for user in users:
        bit = USERS[user]
        either = (streets.access[with_way] | np.where(twins[with_way] >= 0, streets.access[twins[with_way]], 0)) & bit
        opened = with_way[either > 0]
        effects += [
            Effect(user, opened, np.ones(len(opened), bool)),
            Effect(user, against, np.zeros(len(against), bool)),
        ]
    return effects


def changed(columns: Mapping[str, NDArray[Any]], effects: Iterable[Effect]) -> dict[str, NDArray[Any]]:
    """Return the columns of links after effects that do not contradict each other.

    Args:
        columns: as :meth:`Streets.columns` has them.
        effects: in any order.
    """
    result = {name: np.array(values) for name, values in columns.items()}
    taken = np.zeros(len(result["lanes"]))
    for effect in effects:
        if effect.field in USERS:
            bit = np.uint8(USERS[effect.field])
            access = result["access"]
            access[effect.links] = np.where(
                effect.values, access[effect.links] | bit, access[effect.links] & np.uint8(255 - bit)
            )
        elif effect.field in _TAKES:
            taken[effect.links] += 1
        else:
            result[effect.field][effect.links] = effect.values
    result["lanes"] = (result["lanes"] - taken).astype(result["lanes"].dtype)
    return result


def lane_problems(streets: Streets, touched: Iterable[Touched]) -> list[tuple[Change, str]]:
    """Find lanes that are taken where there is only one."""
    touched = list(touched)
    lanes = streets.lanes.astype(float)
    for _, _, effects in touched:
        for effect in effects:
            if effect.field == "lanes":
                lanes[effect.links] = effect.values
    for _, _, effects in touched:
        for effect in effects:
            if effect.field in _TAKES:
                lanes[effect.links] -= 1
    found = []
    for change, _, effects in touched:
        for effect in effects:
            short = effect.links[lanes[effect.links] < 1]
            if effect.field in _TAKES and len(short):
                found.append(
                    (
                        change,
                        f"{streets.name_of(int(short[0]))} has no lane to give ({len(short)} links); write "
                        "takes_lane = false where room is made beside it, or close it to cars",
                    )
                )
    return found


def contradictions(streets: Streets, touched: Iterable[Touched]) -> list[str]:
    """Find changes that set one field of a link to different values at one time; one line a pair of changes."""
    claims: dict[str, list[tuple[Change, Effect]]] = {}
    for one in touched:
        for effect in one.effects:
            claims.setdefault(effect.field, []).append((one.change, effect))
    found: dict[tuple[int, int], str] = {}
    for field, made in claims.items():
        links = np.concatenate([effect.links for _, effect in made])
        values = np.concatenate([effect.values.astype(float) for _, effect in made])
        owner = np.repeat(np.arange(len(made)), [len(effect.links) for _, effect in made])
        order = np.lexsort((owner, links))
        links, values, owner = links[order], values[order], owner[order]
        first = np.flatnonzero(np.diff(links, prepend=-1))
        if not len(first):
            continue
        unlike = np.maximum.reduceat(values, first) != np.minimum.reduceat(values, first)
        last = np.append(first[1:], len(links))
        seen: set[bytes] = set()
        for begin, end in zip(first[unlike].tolist(), last[unlike].tolist(), strict=True):
            mark = owner[begin:end].tobytes() + values[begin:end].tobytes()
            if mark in seen:  # the same changes with the same values met on another link
                continue
            seen.add(mark)
            for a, b in itertools.combinations(range(begin, end), 2):
                one, other = made[owner[a]][0], made[owner[b]][0]
                pair = (one.number, other.number)
                same_time = one.when.always == other.when.always and one.when.meets(other.when)
                if values[a] != values[b] and pair not in found and same_time:
                    said = " and ".join(_said(field, values[row]) for row in (a, b))
                    where = streets.name_of(int(links[a]))
                    found[pair] = f"{one} and {other} contradict each other on {where}: {said}"
                    if len(found) == MOST_FOUND:
                        return list(found.values())
    return list(found.values())


def _said(field: str, value: float) -> str:
    if field == "speed":
        return f"speed {value * 3.6:g} km/h"
    if field in USERS:
        return f"{field} {'allowed' if value else 'kept out'}"
    return f"{field} {value:g}"
