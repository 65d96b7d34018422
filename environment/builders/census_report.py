"""How closely the people made of a census meet its table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .census import ZoneTable
from .households import Households


def census_report(
    table: ZoneTable,
    households: Households,
    zone: NDArray[np.int32],
    collective: NDArray[np.bool_],
    missing: NDArray[np.int64],
) -> dict[str, Any]:
    """Compare the people made with the table, margin by margin, counted anew from the households.

    Args:
        table: what the census says.
        households: the people.
        zone: (households,) where each household lives.
        collective: (households,) which are units of collective homes.
        missing: (zones, classes) persons by age class that could not be met.
    """
    zones, classes = len(table.inhabitants), len(table.age_from)
    sizes = households.sizes
    person_zone = np.repeat(zone, sizes)
    age_class = np.searchsorted(table.age_from, households.age, side="right") - 1
    ages = np.bincount(person_zone * classes + age_class, minlength=zones * classes).reshape(zones, classes)
    column = np.minimum(sizes, table.sizes[-1]) - 1
    columns = len(table.sizes)

    def count(which: NDArray[np.bool_]) -> NDArray[np.int64]:
        code = zone[which].astype(np.int64) * columns + column[which]
        return np.bincount(code, minlength=zones * columns).reshape(zones, columns)

    homes, units = count(~collective), count(collective)
    in_units = np.bincount(zone[collective], weights=sizes[collective], minlength=zones)
    outside = in_units / np.maximum(table.inhabitants, 1)
    names = table.zones["name"].tolist()
    report: dict[str, Any] = {
        "people": len(households.age),
        "households": int((~collective).sum()),
        "people in collective homes": int(sizes[collective].sum()),
        "units of collective homes": int(collective.sum()),
        "people beyond the least size in the open class": int(
            (sizes[~collective] - np.minimum(sizes[~collective], table.sizes[-1])).sum()
        ),
        "inhabitants": _error(ages.sum(1)[:, None], table.inhabitants[:, None], names, "persons"),
        "ages": _error(ages, table.ages, names, "persons"),
        "household sizes": _error(homes, table.households, names, "households"),
        "household sizes with collective units": _error(homes + units, table.households, names, "households"),
        "zones with over a twentieth in collective homes": {
            names[z]: round(float(outside[z]), 3) for z in np.flatnonzero(outside > 0.05)
        },
        "zones whose ages could not be met": [names[z] for z in np.flatnonzero(missing.any(1))],
    }
    return report


def _error(made: NDArray[np.int64], wanted: NDArray[np.int64], names: list[str], unit: str) -> dict[str, Any]:
    """Return the worst and mean difference by zone, in units and in percentage points of the zone, and of the city."""
    off = np.abs(made - wanted)
    share = np.abs(made / np.maximum(made.sum(1), 1)[:, None] - wanted / np.maximum(wanted.sum(1), 1)[:, None]) * 100
    city = np.abs(made.sum(0) / max(int(made.sum()), 1) - wanted.sum(0) / max(int(wanted.sum()), 1)) * 100
    return {
        f"worst {unit}": int(off.max()),
        f"mean {unit}": round(float(off.mean()), 4),
        "worst percentage points": round(float(share.max()), 4),
        "mean percentage points": round(float(share.mean()), 4),
        "worst zone": names[int(np.unravel_index(share.argmax(), share.shape)[0])],
        "city, worst percentage points": round(float(city.max()), 4),
    }
