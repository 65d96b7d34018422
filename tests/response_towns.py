"""Small towns for emergency response: one on two banks of a river, and scenarios in them."""

import numpy as np
from cities import CRS, SOUTH, tiny_city

from citytwin.environment.city import City
from citytwin.environment.schema import SCHEMA
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

SOUTH_BANK = (0, 1)
NORTH_BANK = (2, 3)
"""Zones of the banks."""


def scenario(response: str, *, days: int = 3, more: str = "", tables: str = '"incidents", "units", "departments"'):
    """Return a scenario with a section ``[response]``; its city is given apart."""
    return Scenario.from_text(f"""
name = "town"
seed = 5
[city]
synthetic.people = 1_000
[clock]
start = 2026-01-05
days = {days}
{more}
[response]
{response}
[output]
tables = [{tables}]
by_zone = true
""")


def model(response: str, city: City | None = None, *, days: int = 3, more: str = "", **arguments) -> CityModel:
    """Return a model of a scenario in a city, by default of 600 households."""
    wanted = scenario(response, days=days, more=more)
    return CityModel(wanted, tiny_city(600) if city is None else city, **arguments)


def copy_of(city: City, **tables) -> City:
    """Return a city with other columns in some tables, each a dictionary of them."""
    columns = {name: dict(getattr(city, name)) | tables.get(name, {}) for name in SCHEMA}
    layers = {name: city.layer(name) for name in ("zones", "sites")}
    return City(city.info, columns, city.schedules, layers)


def kept_links(city: City, kept) -> City:
    """Return a city with some of its links."""
    return copy_of(city, links={name: city.links[name][kept] for name in city.links})


def two_banks(households: int = 600, bridges: int = 2) -> City:
    """Return a town on two banks: zones 0 and 1 in the south, 2 and 3 in the north, all homes near their own bank.

    Streets lead along y = 0 in the south; along y = 500 and 1,000 in the north. Bridges join the first two at x = 500 and,
    if there are two, at x = 0, by a long way round.
    """
    city = tiny_city(households)
    north = city.places.y - SOUTH
    y = SOUTH + np.where(north < 500, 0.3 * north, north)
    start, end = np.asarray(city.links.start), np.asarray(city.links.end)
    low, high = np.minimum(start, end), np.maximum(start, end)
    crossing = (low < 3) & (high >= 3)
    kept = ~crossing | (low == 1) | ((low == 0) & (bridges > 1))
    length = np.where(crossing & (low == 0), 4_000.0, city.links.length).astype(np.float32)
    longer = copy_of(city, places={"y": y}, links={"length": length})
    return kept_links(longer, kept)


def bridge(city: City) -> list[int]:
    """Return the links of the bridge at x = 500."""
    ends = list(zip(city.links.start.tolist(), city.links.end.tolist(), strict=True))
    return [number for number, pair in enumerate(ends) if set(pair) == {1, 4}]


__all__ = ["CRS", "NORTH_BANK", "SOUTH_BANK", "bridge", "copy_of", "kept_links", "model", "scenario", "two_banks"]
