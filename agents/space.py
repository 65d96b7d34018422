"""What a model looks like on a map: a mesa-geo space of the city's grid, zones, schools, hospitals and stations.

It is made when somebody looks (``model.space``), and looking changes nothing: no number is drawn, and the agents made
here do not take identifiers that others would get.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from mesa_geo import GeoAgent, GeoSpace
from mesa_geo.raster_layers import ImageLayer, RasterBase
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject, transform_bounds
from shapely.geometry.base import BaseGeometry

from ..environment.grid import CELL, CityGrid, picture
from ..environment.places import SiteKind
from ..environment.positions import site_point
from .citizens import everyone_at, slot_of_day
from .compat import side_ids

if TYPE_CHECKING:
    from .rows import RowModel

CROWD = "people now"
SCHOOLS = (SiteKind.KINDERGARTEN, SiteKind.PRIMARY, SiteKind.SECONDARY, SiteKind.UNIVERSITY)
STATIONS = (SiteKind.FIRE_STATION, SiteKind.AMBULANCE_STATION, SiteKind.POLICE_STATION)


class Zone(GeoAgent):
    """A part of the city by which results are told apart.

    Attributes:
        number: row in ``city.zones``.
        name: its name.
        area: m2.
        residents: number of people who live there.
    """

    def __init__(
        self,
        model: "RowModel",
        geometry: BaseGeometry,
        crs: Any,
        *,
        number: int,
        name: str,
        area: float,
        residents: int,
    ):
        super().__init__(model, geometry, crs)
        self.number = number
        self.name = name
        self.area = area
        self.residents = residents


class Site(GeoAgent):
    """An institution.

    Attributes:
        number: row in ``city.sites``.
        kind: places.SiteKind.
        name: its name.
        capacity: pupils, beds or vehicles; 0 if unknown.
    """

    def __init__(
        self,
        model: "RowModel",
        geometry: BaseGeometry,
        crs: Any,
        *,
        number: int,
        kind: SiteKind,
        name: str,
        capacity: int,
    ):
        super().__init__(model, geometry, crs)
        self.number = number
        self.kind = kind
        self.name = name
        self.capacity = capacity


class School(Site):
    """A kindergarten, school or university; ``capacity`` counts pupils."""


class Hospital(Site):
    """A hospital; ``capacity`` counts beds."""


class Station(Site):
    """A fire, ambulance or police station; ``capacity`` counts vehicles."""


SITE_CLASSES: dict[SiteKind, type[Site]] = {
    **dict.fromkeys(SCHOOLS, School),
    SiteKind.HOSPITAL: Hospital,
    **dict.fromkeys(STATIONS, Station),
}


class _Raster(RasterBase):
    """A raster whose transform is made here: rasterio's helper warns with new versions of the affine package."""

    def _update_transform(self) -> None:
        west, south, east, north = self.total_bounds
        self._transform = Affine((east - west) / self.width, 0.0, west, 0.0, (south - north) / self.height, north)


class _Image(_Raster, ImageLayer):
    """A picture in another CRS."""


class GridPicture(_Raster):
    """A layer of a grid, drawn as a picture whenever it is looked at.

    Args:
        grid: the grid.
        name: layer to draw.
        update: called before drawing, to bring the layer up to date.
    """

    def __init__(self, grid: CityGrid, name: str, update: Callable[[], Any] | None = None):
        rows, columns = grid.shape
        super().__init__(columns, rows, grid.crs, np.array(grid.bounds))
        self.grid = grid
        self.name = name
        self.update = update

    @property
    def values(self) -> NDArray[np.uint8]:
        """The picture, uint8 (4, rows, columns): red, green, blue, opacity."""
        if self.update is not None:
            self.update()
        return picture(self.grid[self.name])

    def to_crs(self, crs: Any, inplace: bool = False) -> ImageLayer | None:
        """Return the picture of now in another CRS.

        Raises:
            ValueError: if ``inplace``: the grid stays in the CRS of its city.
        """
        if inplace:
            raise ValueError("the grid stays in the CRS of its city; take a converted picture: layer.to_crs(crs)")
        source = self.values
        # Twice as fine, so that no cell falls between two pixels.
        image = _Image(
            np.zeros((len(source), 2 * self.height, 2 * self.width), np.uint8),
            crs,
            np.array(transform_bounds(self.crs, crs, *self.grid.bounds)),
        )
        reproject(
            source,
            image.values,
            src_transform=self.transform,
            src_crs=self.crs,
            dst_transform=image.transform,
            dst_crs=image.crs,
            resampling=Resampling.nearest,
        )
        return image


class CitySpace(GeoSpace):
    """A mesa-geo space that can be saved with its model.

    Attributes:
        grid: the city's grid.
    """

    def __init__(self, grid: CityGrid):
        super().__init__(grid.crs)
        self.grid = grid

    def __getstate__(self) -> dict[str, Any]:
        self._agent_layer._invalidate()  # an index lives in memory of its own; it is made again when asked for
        return self.__dict__.copy()


def make_space(model: "RowModel", cell: float = CELL) -> CitySpace:
    """Make the space of a model with a city, and the agents of its zones, schools, hospitals and stations.

    Args:
        model: a model with ``city``; its ``day``, ``time_of_day`` and ``presence`` say where people are now.
        cell: side of a grid cell, metres.

    Returns:
        A space in the city's CRS: one layer, the people now by cell, and the agents, which are in ``model.agents`` too.
    """
    city = model.city
    grid = CityGrid.of_city(city, cell)
    space = CitySpace(grid)
    space.add_layer(GridPicture(grid, CROWD, partial(_count_people, model, grid)))
    with side_ids(model):
        space.add_agents([*_zones(model, space.crs), *_sites(model, space.crs)])
    return space


def _count_people(model: "RowModel", grid: CityGrid) -> None:
    places = everyone_at(model, getattr(model, "day", 0), slot_of_day(model))
    grid.add(CROWD, grid.count_in(model.city, places), "people", "people by the place where they are now")


def _zones(model: "RowModel", crs: Any) -> list[Zone]:
    city, layer = model.city, model.city.layer("zones")
    if layer is None:
        return []
    residents = np.bincount(city.places.zone[city.people.household], minlength=len(city.zones))
    return [
        Zone(
            model,
            geometry,
            crs,
            number=number,
            name=str(name),
            area=float(city.zones.area[number]),
            residents=int(residents[number]),
        )
        for number, (name, geometry) in enumerate(zip(layer["name"], layer.geometry, strict=True))
    ]


def _sites(model: "RowModel", crs: Any) -> list[Site]:
    city, layer = model.city, model.city.layer("sites")
    agents = []
    for number in np.flatnonzero(np.isin(city.sites.kind, list(SITE_CLASSES))).tolist():
        kind = SiteKind(int(city.sites.kind[number]))
        name = "" if layer is None else str(layer["name"].iloc[number])
        agents.append(
            SITE_CLASSES[kind](
                model,
                site_point(city, number),
                crs,
                number=number,
                kind=kind,
                name=name or kind.name.replace("_", " ").capitalize(),
                capacity=int(city.sites.capacity[number]),
            )
        )
    return agents
