"""Groups of residents by which results are told apart: zone of home, age, and income."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .city import City

AGE_GROUPS = {"0–17": 0, "18–29": 18, "30–64": 30, "65+": 65}
"""First age of each group."""
INCOME_GROUPS = ("lowest fifth", "second fifth", "middle fifth", "fourth fifth", "highest fifth")
"""Fifths of the residents by income of their household."""


class Groups(NamedTuple):
    """Residents parted into groups.

    Attributes:
        names: of the groups.
        of: int64 (people,) group of each person.
    """

    names: list[str]
    of: NDArray[np.int64]


def groups_of(city: "City") -> dict[str, Groups]:
    """Return the residents of a city by ``zone``, ``age`` and, where it is known, ``income``."""
    people = city.people
    age = np.searchsorted(list(AGE_GROUPS.values()), people.age, side="right") - 1
    groups = {
        "zone": Groups(zone_names(city), city.places.zone[people.household].astype(np.int64)),
        "age": Groups(list(AGE_GROUPS), age.astype(np.int64)),
    }
    if len(people) and np.isfinite(city.households.income).all():
        groups["income"] = Groups(list(INCOME_GROUPS), income_fifths(city)[people.household])
    return groups


def zone_names(city: "City") -> list[str]:
    """Return the name of each zone; its number where the city knows no name, and beside a name that others have, too."""
    layer = city.layer("zones")
    names = [str(name) for name in layer["name"]] if layer is not None and "name" in layer else []
    if not names:
        return [f"zone {number}" for number in range(len(city.zones))]
    return [f"{name} ({number})" if names.count(name) > 1 else name for number, name in enumerate(names)]


def income_fifths(city: "City") -> NDArray[np.int64]:
    """Return by household, 0 to 4, in which fifth of the residents its members are by income; no household is split."""
    size = np.diff(city.households.first)
    order = np.lexsort((np.arange(len(size)), city.households.income))
    rank = (np.cumsum(size[order]) - size[order] / 2.0) / max(size.sum(), 1)
    fifth = np.empty(len(size), np.int64)
    fifth[order] = np.minimum((rank * len(INCOME_GROUPS)).astype(np.int64), len(INCOME_GROUPS) - 1)
    return fifth
