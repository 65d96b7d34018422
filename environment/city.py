"""The City: a built place and its residents at rest, in memory and as a bundle on disk.

A bundle is a directory::

    city.json                      what it is: schema, CRS, bounds, seed, sources, week, counts
    people/age.npy …               one file a column, opened memory-mapped and read-only
    schedules/0/place.npy …        one folder a day type
    layers/zones.parquet …         GeoParquet: zones, buildings, roads, sites

:mod:`schema` declares every column once. Coordinates are metres in the projected CRS of the city.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .bundle import read_bundle, read_layer, write_bundle
from .schedules import Schedule
from .schema import (
    LAYERS,
    SCHEMA,
    CityError,
    CityInfo,
    check_column,
    check_incomes,
    check_pointer,
    check_range,
    check_schedule,
    check_signals,
    check_turns,
)

if TYPE_CHECKING:
    import geopandas

DAYS_OF_WEEK = 7


class Columns(Mapping[str, NDArray[Any]]):
    """Named numpy columns of one table, read as items or attributes: ``people["age"]``, ``people.age``."""

    def __init__(self, columns: Mapping[str, NDArray[Any]], rows: int):
        self._columns = dict(columns)
        self._rows = rows

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._columns[name]
        except KeyError:
            raise AttributeError(f"no column '{name}'; there are: {', '.join(self._columns)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of rows (not of columns)."""
        return self._rows

    def __repr__(self) -> str:
        return f"Columns({self._rows} rows: {', '.join(self._columns)})"


class City:
    """A built place and its residents at rest.

    Args:
        info: what the city is.
        tables: for every table of :data:`SCHEMA` its columns.
        schedules: one schedule a day type, in the order of ``info.day_types``.
        layers: GeoDataFrames by name (zones, buildings, roads, sites), or functions that make them when asked.

    Raises:
        CityError: if a column is missing, of the wrong type or length, or refers to a row that does not exist.
    """

    people: Columns
    households: Columns
    places: Columns
    sites: Columns
    buildings: Columns
    zones: Columns
    nodes: Columns
    links: Columns
    turns: Columns
    signals: Columns

    def __init__(
        self,
        info: CityInfo,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        schedules: list[Schedule],
        layers: Mapping[str, Any] | None = None,
        path: Path | None = None,
    ):
        self.info = info
        self.schedules = list(schedules)
        self.path = path
        self._layers: dict[str, Any] = dict(layers or {})
        for table, specs in SCHEMA.items():
            given = tables.get(table, {})
            if table not in tables and any(spec.fill is None for spec in specs.values()):
                raise CityError(f"{self._where(table)}: table is missing")
            head, first = next(iter(specs.items()))
            rows = len(given[head]) - first.extra if head in given else 0
            columns = {}
            for name, spec in specs.items():
                if name in given:
                    columns[name] = given[name]
                elif spec.fill is not None:
                    columns[name] = np.full(rows, spec.fill, spec.dtype)
                else:
                    raise CityError(f"{self._where(table, name)}: column is missing; build the city again")
            setattr(self, table, Columns(columns, rows))
        self._check()

    def __repr__(self) -> str:
        return (
            f"City('{self.info.name}', {len(self.people):,} people, {len(self.households):,} households, "
            f"{len(self.places):,} places, {self.info.crs})"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "City":
        return self  # a city at rest never changes, so copies of a model share it

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is not None:
            return City.load, (self.path,)
        tables = {table: dict(getattr(self, table)) for table in SCHEMA}
        return City, (self.info, tables, self.schedules, {name: self.layer(name) for name in LAYERS})

    # ------------------------------------------------------------------ building

    @classmethod
    def synthetic(cls, people: int, seed: int = 1, name: str | None = None, country: str = "DE") -> "City":
        """Invent a plausible European city of 1,000 to 10,000,000 people; see :mod:`.builders.synthetic`.

        The residents have the ages of the country, one of :data:`.builders.households.COUNTRIES`.

        Raises:
            CityError: if ``people`` is outside that range, or the country is none of these.
        """
        from .builders.populate import populate
        from .builders.synthetic import invent

        return cls(*populate(invent(people, seed, name), people=people, seed=seed, country=country))

    @classmethod
    def one_place(cls, people: int, age: int = 40, name: str | None = None) -> "City":
        """Make a city where everybody spends the whole day in one room; see :mod:`.builders.one_place`.

        Raises:
            CityError: if ``people`` or ``age`` is outside its range.
        """
        from .builders.one_place import one_place

        return cls(*one_place(people, age, name))

    @classmethod
    def from_osm(
        cls,
        path: str | Path,
        people: int | None = None,
        seed: int = 1,
        census: str | Path | None = None,
        name: str | None = None,
        country: str | None = None,
    ) -> "City":
        """Make a city of a town in OpenStreetMap; needs ``pip install "citytwin[osm]"``.

        Args:
            path: an extract (``.osm.pbf``, ``.osm``, ``.osm.gz``, ``.osm.bz2``).
            people: residents; without them those that the extract states, or the census counts.
            seed: everything that is drawn depends on it.
            census: TOML file that names zones and a table of ages and households, see
                :func:`.builders.census.read_zone_table`; residents are then fitted zone by zone.
            name: name of the city; without it the one in the extract.
            country: one of :data:`.builders.households.COUNTRIES`, whose ages the residents have; without it, and without
                a census, Germany's (``"DE"``).

        Raises:
            CityError: if a file cannot be read or used, or the number of residents is unknown.
        """
        from .builders.osm import read_osm
        from .builders.populate import populate

        if census is None:
            return cls(*populate(read_osm(path, name=name), people=people, seed=seed, country=country or "DE"))
        from .builders.census import lay_zones, read_zone_table
        from .builders.census_fit import fit_households

        if people is not None:
            raise CityError(f"{path}: give the number of people or a census, not both; {census} counts them")
        if country is not None:
            raise CityError(f"{path}: give a country or a census, not both; {census} has ages of its own")
        table = read_zone_table(census)
        fabric = lay_zones(read_osm(path, name=name), table)
        fit = fit_households(table, seed=seed)
        fabric.report |= {"census": table.report | fit.report}
        return cls(*populate(fabric, seed=seed, households=fit.households, household_zone=fit.zone))

    @classmethod
    def from_census(cls, census: str | Path, seed: int = 1, name: str | None = None) -> "City":
        """Make a city of a census by zone alone: residents as counted, streets and buildings invented in the zones.

        Args:
            census: TOML file that names zones and a table of ages and households, see
                :func:`.builders.census.read_zone_table`.
            seed: everything that is drawn depends on it.
            name: name of the city; without it the name of the census file.

        Raises:
            CityError: if a file cannot be read or used.
        """
        from .builders.census import read_zone_table
        from .builders.census_fit import fit_households
        from .builders.populate import populate
        from .builders.synthetic import invent_in_zones

        table = read_zone_table(census)
        fabric = invent_in_zones(table.zones, table.inhabitants, seed, name or Path(census).stem)
        fit = fit_households(table, seed=seed)
        fabric.sources += table.sources
        fabric.report |= {"census": table.report | fit.report}
        return cls(*populate(fabric, seed=seed, households=fit.households, household_zone=fit.zone))

    @classmethod
    def from_sumo(
        cls, path: str | Path, additional: Iterable[str | Path] = (), name: str | None = None, crs: str | None = None
    ) -> "City":
        """Make a city of a network of SUMO: its streets, turns and signal programs, where nobody lives.

        Args:
            path: the network (``.net.xml``, ``.net.xml.gz``).
            additional: files with signal programs that replace those of the network.
            name: name of the city; without it that of the file.
            crs: projected CRS of the coordinates, if the file does not state a UTM zone.

        Raises:
            CityError: if a file cannot be read or used.
        """
        from .builders.streets_alone import read_as_city
        from .network.sumo import read_sumo

        return cls(*read_as_city(Path(path), name, lambda: read_sumo(path, additional, crs)))

    @classmethod
    def from_lines(
        cls,
        path: str | Path,
        name: str | None = None,
        *,
        geometry: str = "",
        crs: str = "EPSG:4326",
        **columns: Any,
    ) -> "City":
        """Make a city of lines of streets, where nobody lives.

        Args:
            path: a CSV with a column of GeoJSON or WKT, or whatever geopandas reads.
            name: name of the city; without it that of the file.
            geometry, crs: of a CSV, see :func:`.network.lines.read_lines`.
            columns: what the attributes mean, as :func:`.network.lines.network_of_lines` takes it.

        Raises:
            CityError: if the file cannot be read or used.
        """
        from .builders.streets_alone import read_as_city
        from .network.lines import network_of_lines, read_lines

        return cls(
            *read_as_city(
                Path(path), name, lambda: network_of_lines(read_lines(path, geometry=geometry, crs=crs), **columns)
            )
        )

    # ------------------------------------------------------------------ reading and writing

    @classmethod
    def load(cls, path: str | Path) -> "City":
        """Open a bundle, its columns memory-mapped and read-only.

        Raises:
            CityError: if the directory is no bundle, or a column is missing, short, foreign or out of range.
        """
        path = Path(path)
        return cls(*read_bundle(path), path=path)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the bundle; it appears under its name only when complete.

        Args:
            path: directory to make.
            overwrite: replace a bundle that stands there.

        Raises:
            CityError: if something stands at the path, or the disk does not take the bundle; nothing is left behind.
        """
        layers = {name: layer for name in LAYERS if (layer := self.layer(name)) is not None}
        tables = {table: getattr(self, table) for table in SCHEMA}
        return write_bundle(Path(path), self.info, tables, self.schedules, layers, overwrite=overwrite)

    def layer(self, name: str) -> "geopandas.GeoDataFrame | None":
        """Return a GeoDataFrame (zones, buildings, roads or sites), or None if the city has none of that name."""
        if name not in LAYERS:
            raise CityError(f"no layer '{name}'; there are: {', '.join(LAYERS)}")
        if name not in self._layers:
            self._layers[name] = None if self.path is None else read_layer(self.path, name)
        if callable(self._layers[name]):
            self._layers[name] = self._layers[name]()
        return self._layers[name]

    # ------------------------------------------------------------------ questions

    @property
    def homes(self) -> int:
        """Number of homes: places 0 … homes − 1, one a household."""
        return len(self.households)

    def counts(self) -> dict[str, int]:
        """Return the number of rows of every table, and of visits by day type."""
        rows = {table: len(getattr(self, table)) for table in SCHEMA}
        for name, schedule in zip(self.info.day_types, self.schedules, strict=True):
            rows[f"visits on {name}"] = schedule.visits
        return rows

    def schedule_on(self, weekday: int) -> Schedule:
        """Return the schedule of a day of the week (0 Monday … 6 Sunday)."""
        return self.schedules[self.info.week[weekday]]

    # ------------------------------------------------------------------ checks

    def _where(self, table: str, column: str = "") -> str:
        root = f"{self.path}/" if self.path is not None else f"city '{self.info.name}': "
        return f"{root}{table}/{column}.npy" if column else f"{root}{table}"

    def _check(self) -> None:
        """Refuse whatever could make a kernel read outside its arrays, or days that are no days."""
        if len(self.info.week) != DAYS_OF_WEEK or not all(0 <= t < len(self.schedules) for t in self.info.week):
            types = len(self.schedules)
            raise CityError(
                f"{self.path or self.info.name}: city.json: 'week' must name a day type below {types} for 7 days"
            )
        for table, specs in SCHEMA.items():
            columns = getattr(self, table)
            for name, spec in specs.items():
                where = self._where(table, name)
                check_column(columns[name], spec, len(columns), where)
                if spec.refers:
                    check_range(columns[name], -1 if spec.optional else 0, len(getattr(self, spec.refers)), where)
        check_turns(self.links, self.turns, self._where("turns", "from_link"))
        if np.any(~(self.links.capacity >= 0)):
            raise CityError(f"{self._where('links', 'capacity')}: is negative or no number; build the city again")
        check_signals(self.signals, self._where("signals"))
        check_pointer(self.households.first, len(self.people), self._where("households", "first"))
        check_incomes(self.households.income, self._where("households", "income"))
        if not np.array_equal(self.people.household, np.repeat(np.arange(self.homes), np.diff(self.households.first))):
            raise CityError(f"{self._where('people', 'household')}: does not agree with households/first.npy")
        if self.homes > len(self.places) or np.any(self.places.kind[: self.homes] != 0):
            raise CityError(f"{self._where('places', 'kind')}: the first {self.homes} places must be the homes")
        for number, schedule in enumerate(self.schedules):
            check_schedule(schedule, len(self.people), len(self.places), partial(self._where, f"schedules/{number}"))
