"""Burden: what a day of traffic lays on a city in gases, particles and noise.

What drives on the streets is counted, buses among it unless they keep to their timetable (``buses = false``), trains and
trams are not. Concentrations and levels are those that this traffic adds, not what a station would measure: other sources
and the air that comes from elsewhere are missing. They are therefore not held against limits for all sources together.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...environment.air.cells import link_shares
from ...environment.air.dispersion import Weather, concentration, exposure, plume_kernel
from ...environment.air.noise import day_evening_night, facades, levels, share_above, street_power
from ...environment.equity import gini
from ...environment.grid import CityGrid
from ...environment.roads import Access
from .emissions import HOURS, POLLUTANTS, cell_grams, hourly_flows, link_grams

if TYPE_CHECKING:
    from ...environment.network.network import Network
    from ..presence import Presence
    from .record import LinkRecord
    from .settings import AirSettings, TrafficSettings

Table = dict[str, NDArray[Any]]

EMITTED = {"co2_t": 1e-6, "nox_kg": 1e-3, "pm10_kg": 1e-3, "pm25_kg": 1e-3}
"""Figures of emissions in the order of :data:`~.emissions.POLLUTANTS`, and their unit by gram."""
BREATHED = ("nox_exposure", "pm25_exposure", "gini_nox")
"""Figures of the air: mean over all people of what they are exposed to (µg/m³), and its Gini coefficient for NOx."""
HEARD = {"noise_above_55": 55.0, "noise_above_65": 65.0}
"""Shares of people at whose home Lden exceeds a level, dB: where maps begin that Directive 2002/49/EC demands, and where
the harm is called high (the highest threshold common in action plans; assumed)."""
DUSTY = (POLLUTANTS.index("nox"), POLLUTANTS.index("pm25"))


class Burden:
    """Computes the burden of each day.

    Args:
        network: the streets.
        presence: who is where, and the city.
        settings: the section of the scenario.

    Attributes:
        sums: names of figures that add up over days; figures by day of all others are averaged.
        means: names of those others.
    """

    def __init__(self, network: "Network", presence: "Presence", settings: "TrafficSettings"):
        self.network, self.presence = network, presence
        self.emits = settings.emissions or settings.air is not None
        self.air = None if settings.air is None else _Air(network, presence, settings.air)
        self.noise = _Noise(network, presence) if settings.noise else None
        self.sums = tuple(EMITTED) if self.emits else ()
        self.means = (*(BREATHED if self.air else ()), *(HEARD if self.noise else ()))

    def of_day(self, day: int, links: "LinkRecord") -> tuple[dict[str, float], dict[str, Table]]:
        """Return the figures of a day, and its tables ``emissions``, ``air`` and ``noise`` as far as they are computed.

        Args:
            day: day of the run.
            links: its passages.
        """
        figures: dict[str, float] = {}
        tables: dict[str, Table] = {}
        if not (self.sums or self.means):
            return figures, tables
        passages = links.table(day)
        if self.emits:
            grams = link_grams(passages, self.network)
            totals = grams.sum(axis=(1, 2))
            figures |= {name: float(total * EMITTED[name]) for name, total in zip(EMITTED, totals, strict=True)}
            tables["emissions"] = _by_link(day, grams)
            if self.air is not None:
                more, tables["air"] = self.air.of_day(day, grams)
                figures |= more
        if self.noise is not None:
            more, tables["noise"] = self.noise.of_day(day, passages)
            figures |= more
        return figures, tables


def _by_link(day: int, grams: NDArray[np.float64]) -> Table:
    """Return a row for each hour and link in which there was any traffic."""
    hour, link = np.nonzero(grams.any(axis=0).T)
    columns = {f"{name}_g": grams[number, link, hour].astype(np.float32) for number, name in enumerate(POLLUTANTS)}
    return {
        "day": np.full(len(link), day, np.int32),
        "hour": hour.astype(np.int8),
        "link": link.astype(np.int32),
        **columns,
    }


class _Air:
    """Concentrations that traffic adds, and what people are exposed to wherever they are in each hour."""

    def __init__(self, network: "Network", presence: "Presence", settings: "AirSettings"):
        city = presence.city
        self.presence = presence
        self.grid = CityGrid.of_city(city, settings.cell)
        self.shares = link_shares(network, self.grid)
        weather = Weather(settings.wind, settings.direction, settings.stability, settings.mixing_height)
        self.kernel = plume_kernel(weather, settings.cell)
        self.cells = self.grid.cell_of(city.places.x, city.places.y)

    def of_day(self, day: int, grams: NDArray[np.float64]) -> tuple[dict[str, float], Table]:
        """Return figures and a row for each cell, with means of the day, µg/m³."""
        by_cell = cell_grams(grams[list(DUSTY)], self.shares, self.grid)
        nox, pm25 = (concentration(emitted, self.kernel) for emitted in by_cell)
        where = [self.cells[self.presence.places_at(day, 4 * hour + 2)] for hour in range(HOURS)]
        met = [exposure(level, where) for level in (nox, pm25)]
        nobody = not len(met[0])
        values = [np.nan] * 3 if nobody else [met[0].mean(), met[1].mean(), gini(met[0])]
        cell = np.arange(self.grid["people"].size)
        x, y = self.grid.centre_of(cell)
        table: Table = {
            "day": np.full(len(cell), day, np.int32),
            "x": x,
            "y": y,
            "side": np.full(len(cell), self.grid.cell),
            "residents": self.grid["people"].ravel().astype(np.int32),
            "nox": nox.mean(axis=0).ravel().astype(np.float32),
            "pm25": pm25.mean(axis=0).ravel().astype(np.float32),
        }
        return {name: float(value) for name, value in zip(BREATHED, values, strict=True)}, table


class _Noise:
    """Levels at homes: at the spot of the building nearest to a street, or at the place where there is no outline.

    Where cars may drive nowhere, it is the place, too.
    """

    def __init__(self, network: "Network", presence: "Presence"):
        city = presence.city
        self.network = network
        household = city.people.household
        building = city.places.building[household]
        homes, first, residents = np.unique(
            np.where(building >= 0, building, len(city.buildings) + household), return_index=True, return_counts=True
        )
        self.residents = residents.astype(np.int32)
        self.building = np.where(homes < len(city.buildings), homes, -1).astype(np.int32)
        self.x, self.y = (column[household[first]].astype(float) for column in (city.places.x, city.places.y))
        outlines = city.layer("buildings")
        rows = np.flatnonzero(self.building >= 0)
        if outlines is not None and len(rows) and network.usable(Access.CAR).any():
            outline = outlines.geometry.to_numpy()[self.building[rows]]
            self.x[rows], self.y[rows] = facades(outline, network)

    def of_day(self, day: int, passages: Table) -> tuple[dict[str, float], Table]:
        """Return shares of people above levels, and a row for each home with its day-evening-night level, dB(A)."""
        light, heavy, speed = hourly_flows(passages, self.network)
        power = street_power(light, speed, heavy)
        lden = day_evening_night(levels(self.x, self.y, self.network, power))
        figures = {name: share_above(lden, limit, self.residents) for name, limit in HEARD.items()}
        return figures, {
            "day": np.full(len(lden), day, np.int32),
            "building": self.building,
            "x": self.x,
            "y": self.y,
            "residents": self.residents,
            "lden": lden.astype(np.float32),
        }
