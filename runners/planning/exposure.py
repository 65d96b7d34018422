"""What traffic lays on people at home, by zone, age and income, at two points: nitrogen oxides, fine particles, noise."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment.equity import group_means
from ...environment.grid import CityGrid
from ...environment.groups import groups_of
from ..reports.geo import city_of
from .burden import air_means, noise_means
from .evenness import Sides, evenness
from .reading import run_pairs

if TYPE_CHECKING:
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

EXPOSED = ("nox", "pm25", "lden", "above_55", "above_65")
"""Figures of a person at home: µg/m³ of the table ``air``; of the table ``noise`` dB(A), and whether it exceeds a level."""
LEVELS = {"above_55": 55.0, "above_65": 65.0}
"""dB(A), as in the summary of a run."""


def exposure_of(results: "Results", city: "City", point: int, runs: list[str]) -> dict[str, NDArray[np.float64]]:
    """Return what each person meets at home, as mean over runs and days; what was not kept is left out.

    Args:
        results: the results.
        city: the city of the point.
        point: the point.
        runs: of it.

    Returns:
        float64 (people,) by the names of :data:`EXPOSED`.
    """
    home = np.asarray(city.people.household)
    found: dict[str, NDArray[np.float64]] = {}
    if "air" in results.tables:
        cells = air_means(results, point, runs)
        grid = CityGrid.of_city(city, float(cells["side"].iloc[0]))
        at = grid.cell_of(cells["x"].to_numpy(float), cells["y"].to_numpy(float))
        lived = grid.cell_of(city.places.x[: city.homes], city.places.y[: city.homes])[home]
        for name in ("nox", "pm25"):
            level = np.zeros(grid["people"].size)
            level[at] = cells[name].to_numpy(float)
            found[name] = level[lived]
    if "noise" in results.tables:
        found["lden"] = _levels(noise_means(results, point, runs), city)[home]
        found |= {name: (found["lden"] > limit).astype(float) for name, limit in LEVELS.items()}
    return found


def _levels(heard: "pd.DataFrame", city: "City") -> NDArray[np.float64]:
    """Return the level at each home, dB(A): of its building, or of its spot where it has none."""
    building = city.places.building[: city.homes]
    by_building = np.full(len(city.buildings) + 1, np.nan)
    rows = heard["building"].to_numpy()
    by_building[rows[rows >= 0]] = heard["lden"].to_numpy(float)[rows >= 0]
    level = by_building[building]
    outside = np.flatnonzero(building < 0)
    if len(outside):
        spots = heard[rows < 0]
        at = dict(zip(zip(spots["x"], spots["y"], strict=True), spots["lden"], strict=True))
        x, y = city.places.x[outside].tolist(), city.places.y[outside].tolist()
        level[outside] = [at[spot] for spot in zip(x, y, strict=True)]
    return level


def compare_exposure(results: "Results", point: int, baseline: int) -> "tuple[pd.DataFrame, dict[str, Sides]]":
    """Return how the exposure of residents at a point differs from a baseline, runs of one seed paired.

    Args:
        results: results with a table ``air`` or ``noise``.
        point, baseline: the points.

    Returns:
        A row a group and figure: ``by`` (all, zone, age or income), ``group``, ``people``, ``figure`` (of
        :data:`EXPOSED`), ``before`` and ``after`` (means over the people). And how evenly ``nox`` and ``pm25`` are spread;
        levels of noise have no zero from which shares of them could be taken.
    """
    import pandas as pd

    pairs = run_pairs(results, point, baseline)
    city = city_of(results, baseline)
    before = exposure_of(results, city, baseline, [run for _, run, _ in pairs])
    after = exposure_of(results, city_of(results, point), point, [run for _, _, run in pairs])
    groups = {by: (names, of) for by, (names, of) in groups_of(city).items()}
    rows = []
    for by, (names, of) in {"all": (["everybody"], np.zeros(len(city.people), np.int64)), **groups}.items():
        people = np.bincount(of, minlength=len(names))
        for figure, values in before.items():
            means = [group_means(side, of, len(names)) for side in (values, after[figure])]
            rows += [
                {"by": by, "group": name, "people": int(count), "figure": figure, "before": first, "after": second}
                for name, count, first, second in zip(names, people, *(side.tolist() for side in means), strict=True)
                if count
            ]
    parts = {by: of for by, (_, of) in groups.items()}
    even: dict[str, Sides] = {
        name: evenness(before[name], after[name], parts) for name in ("nox", "pm25") if name in before
    }
    return pd.DataFrame(rows), even
