"""Streets of a point on the map: flow, speed, delay and emissions by link, and how they differ from a baseline.

The unit of a column stands in its name. Figures are means over the runs of a point (over the pairs of runs, where there
is a baseline) on an average day.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.network import Network
from ...environment.roads import Access, RoadRank
from ..reports.files import check_target
from ..reports.geo import ABOUT, about, city_of, write_layer
from ..storage.tables import StoreError
from .reading import LINKS, Rows, link_days, need, run_pairs, runs_of, same_links
from .traffic import EMITTED, emissions_of, lines_of, network_of

if TYPE_CHECKING:
    import geopandas

    from ...environment.city import City
    from ..results import Results

PACKAGES = (".gpkg",)
LAYER = "streets"
KMH = 3.6
"""km/h of one m/s."""


@dataclass(frozen=True)
class StreetFigure:
    """A figure of a street map.

    Attributes:
        column: column of the layer; that of its difference ends with ``_change``.
        label: what a legend calls it, with its unit.
        more_is_worse: whether a rise is a burden to those who live or drive there.
    """

    column: str
    label: str
    more_is_worse: bool = True


STREET_FIGURES = {
    "flow": StreetFigure("vehicles_per_day", "vehicles a day"),
    "speed": StreetFigure("speed_kmh", "mean speed, km/h", False),
    "delay": StreetFigure("delay_s", "delay, s a vehicle"),
    "co2": StreetFigure("co2_kg_per_km_day", "CO₂, kg a km and day"),
    "nox": StreetFigure("nox_g_per_km_day", "NOx, g a km and day"),
    "pm10": StreetFigure("pm10_g_per_km_day", "PM10, g a km and day"),
}


@dataclass(frozen=True)
class Streets:
    """The streets of a point with what passed on them, and what passed on the same streets at the baseline.

    Attributes:
        network: the streets of the point.
        after: ``left`` (vehicles a day), ``seconds`` (a day, summed), ``free`` (s at free speed), ``peak`` (vehicles in
            the busiest hour) and grams a day of each of :data:`.traffic.EMITTED`, (links,).
        before: the same at the baseline, missing where it has no such link; None without a baseline.
        lines: shapely lines (links,).
        runs: runs, or pairs of runs, of which these are means.
    """

    network: Network
    after: Rows
    before: Rows | None
    lines: NDArray[Any]
    runs: int


def read_streets(results: "Results", city: "City", point: int, baseline: int | None = None) -> Streets:
    """Read what passed on the streets of a point.

    Args:
        results: results with a table ``links``.
        city: the city of the point.
        point: the point.
        baseline: point whose runs of the same seeds are read too; None for no comparison.

    Raises:
        StoreError: if there is no such table or point, no run, or no pair of runs.
    """
    need(results, LINKS)
    network = network_of(results, point)
    if baseline is None:
        runs, before = list(runs_of(results, point).values()), None
        if not runs:
            raise StoreError(f"point {point}: no run of it is in the results yet")
    else:
        pairs = run_pairs(results, point, baseline)
        runs = [run for _, _, run in pairs]
        other = network_of(results, baseline)
        old = _mean_day(results, [run for _, run, _ in pairs], other)
        row = same_links(network, other)
        before = {name: np.where(row >= 0, values[row], np.nan) for name, values in old.items()}
    return Streets(network, _mean_day(results, runs, network), before, lines_of(city, network), len(runs))


def _mean_day(results: "Results", runs: list[str], network: Network) -> Rows:
    days = [link_days(results, run, network.links)[0] | emissions_of(results, run, network) for run in runs]
    return {name: np.mean([day[name] for day in days], axis=0) for name in days[0]} | {"free": network.free_time}


def figures(day: Rows, length: NDArray[np.float64]) -> Rows:
    """Return flow, speed, delay (a vehicle) and emissions by km of street; speed and delay miss where nobody drove.

    Args:
        day: ``left``, ``seconds``, ``free`` and emissions of links or of sections of streets.
        length: metres.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(day["left"] > 0, day["seconds"] / day["left"], np.nan)
        speed = KMH * length / mean
    found = {"vehicles_per_day": day["left"], "speed_kmh": speed, "delay_s": np.maximum(mean - day["free"], 0.0)}
    kilometres = length / 1000.0
    found["co2_kg_per_km_day"] = day["co2"] / 1000.0 / kilometres
    return found | {f"{name}_g_per_km_day": day[name] / kilometres for name in ("nox", "pm10")}


def changes_of(after: Rows, before: Rows) -> Rows:
    """Return the differences of figures, their names ending with ``_change``."""
    return {f"{name}_change": values - before[name] for name, values in after.items()}


def street_layer(streets: Streets) -> "geopandas.GeoDataFrame":
    """Return a row a link that cars may use or used before, with its figures and, with a baseline, their differences."""
    import geopandas

    network = streets.network
    columns: Rows = {
        "link": np.arange(network.links, dtype=np.int32),
        "way": network.way,
        "name": np.array([network.names.get(way, "") for way in network.way.tolist()], object),
        "rank": np.array([rank.name.lower() for rank in RoadRank], object)[network.rank],
        "length_m": network.length,
        "lanes": network.lanes,
        "free_speed_kmh": KMH * network.speed,
    }
    found = figures(streets.after, network.length)
    columns |= found | {"vehicles_peak_hour": streets.after["peak"]}
    if streets.before is not None:
        columns |= changes_of(found, figures(streets.before, network.length))
    rows = _shown(streets)
    kept = {name: values[rows] for name, values in columns.items()}
    return geopandas.GeoDataFrame(kept, geometry=streets.lines[rows], crs=network.crs or None)


def _shown(streets: Streets) -> NDArray[np.bool_]:
    """Return which links cars may use, or were used at the point or before."""
    used = streets.network.usable(Access.CAR) | (streets.after["left"] > 0)
    return used if streets.before is None else used | (streets.before["left"] > 0)


def section_layer(streets: Streets) -> "geopandas.GeoDataFrame":
    """Return a row a section of street, both directions together, as pictures show it; columns as in street_layer."""
    import geopandas

    network = streets.network
    rows = np.flatnonzero(_shown(streets))
    low, high = np.minimum(network.start, network.end)[rows], np.maximum(network.start, network.end)[rows]
    _, first, section = np.unique(
        np.stack([network.way[rows], low, high]), axis=1, return_index=True, return_inverse=True
    )
    section = section.ravel()
    length = network.length[rows][first]

    def joined(day: Rows) -> Rows:
        left, seconds = (np.bincount(section, day[name][rows], len(first)) for name in ("left", "seconds"))
        weight = np.where(left[section] > 0, day["left"][rows], 1.0)  # nobody drove: both directions alike
        free = np.bincount(section, weight * day["free"][rows], len(first)) / np.bincount(section, weight, len(first))
        emitted = {name: np.bincount(section, day[name][rows], len(first)) for name in EMITTED}
        return {"left": left, "seconds": seconds, "free": free} | emitted

    columns = figures(joined(streets.after), length)
    if streets.before is not None:
        columns |= changes_of(columns, figures(joined(streets.before), length))
    columns |= {"rank": network.rank[rows][first], "free_speed_kmh": KMH * network.speed[rows][first]}
    return geopandas.GeoDataFrame(columns, geometry=streets.lines[rows][first], crs=network.crs or None)


def write_streets(
    results: "Results", folder: Path, point: int, baseline: int | None, shown: StreetFigure
) -> list[Path]:
    """Write the streets of a point: ``streets.parquet``, ``streets.gpkg``, ``streets.png``, and a map of the change.

    Args:
        results: results with a table ``links``.
        folder: where the files go.
        point: the point.
        baseline: point with which it is compared; None, or the point itself, for no comparison.
        shown: figure in the pictures.

    Returns:
        The files.

    Raises:
        StoreError: if there is no such point or run, another file stands there, or it cannot be written.
    """
    from .pictures import save_changes, save_streets

    city = city_of(results, point)
    streets = read_streets(results, city, point, None if baseline == point else baseline)
    layer, sections = street_layer(streets), section_layer(streets)
    facts = about(results, city, point) | {
        "runs": streets.runs,
        "figures": "means over the runs, of an average day; _change: less the baseline, runs of one seed paired",
    }
    compared = streets.before is not None
    facts |= {"baseline": baseline} if compared else {}
    written = [
        write_layer(layer, folder / f"{LAYER}.parquet", facts),
        write_package(layer, folder / f"{LAYER}.gpkg", facts),
        save_streets(city, sections, shown, folder / f"{LAYER}.png", facts),
    ]
    return written + ([save_changes(city, sections, shown, folder / f"{LAYER}-change.png", facts)] if compared else [])


def write_package(layer: "geopandas.GeoDataFrame", path: Path, facts: dict[str, Any]) -> Path:
    """Write a layer as GeoPackage, which QGIS opens and edits; its metadata say what it shows.

    Raises:
        StoreError: if another file stands there, or it cannot be written.
    """
    import pyogrio

    check_target(path, PACKAGES)
    part = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        said = {ABOUT.decode(): json.dumps(facts, ensure_ascii=False)}
        pyogrio.write_dataframe(layer, part, driver="GPKG", layer=LAYER, dataset_metadata=said)
        part.replace(path)
    except (OSError, pyogrio.errors.DataSourceError) as error:
        with contextlib.suppress(OSError):
            part.unlink()
        what = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise StoreError(f"{path}: cannot be written ({what})") from None
    return path
