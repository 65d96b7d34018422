"""Areas on the network: the streets inside, those along the border, and those around."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.polygons import PolygonError, read_polygons
from ...environment.roads import Access, largest_component

if TYPE_CHECKING:
    from ...environment.network.network import Network
    from ..results import Results

BORDER = 25.0
"""Metres from the border of an area up to which a street counts as its perimeter, where no design says otherwise (assumed:
half the width of a wide street, and what a border drawn by hand is off)."""
AROUND = 500.0
"""Metres around an area within which displaced traffic is looked for."""
SUPERBLOCK = "superblock"
"""Kind of change of a design whose area is looked at."""


@dataclass(frozen=True)
class Area:
    """A part of a city, and what of a network belongs to it.

    Attributes:
        name: what tables call it.
        inside: bool (links,) streets inside, off the border.
        perimeter: bool (links,) streets along the border.
        around: bool (links,) streets outside, within :data:`AROUND` of it.
        nodes: bool (nodes,) junctions that cars reach only by streets inside, also beyond the area; the others are gates.
    """

    name: str
    inside: NDArray[np.bool_]
    perimeter: NDArray[np.bool_]
    around: NDArray[np.bool_]
    nodes: NDArray[np.bool_]


class Outline(NamedTuple):
    """An area as it was drawn.

    Attributes:
        shape: shapely polygon in the CRS of the city.
        margin: metres from its border up to which a street counts as the perimeter.
    """

    shape: Any
    margin: float = BORDER


def make_area(name: str, outline: Outline, network: "Network", lines: NDArray[Any] | None = None) -> Area:
    """Return what of a network lies in and around an area.

    A link is on the perimeter if all of it is within the margin of the border; others are inside, or around, if the middle
    of them is. Superblocks of designs go by the same rule.

    Args:
        name: of the area.
        outline: the area.
        network: the network.
        lines: (links,) shapely lines, the course of each link; straight if None.
    """
    import shapely

    if lines is None:
        ends = [np.stack([network.x[node], network.y[node]], 1) for node in (network.start, network.end)]
        lines = shapely.linestrings(np.stack(ends, 1))
    shape = outline.shape
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    strip = shapely.boundary(shape).buffer(outline.margin)
    shapely.prepare([shape, strip])
    perimeter = shapely.covered_by(lines, strip)
    inside = shapely.contains(shape, middle) & ~perimeter
    around = ~inside & ~perimeter & shapely.dwithin(middle, shape, AROUND)
    cars = network.usable(Access.CAR)
    touched = np.zeros(network.nodes, bool)
    touched[network.start[inside]] = touched[network.end[inside]] = True
    kept = cars & ~inside
    core = largest_component(network.start[kept], network.end[kept], network.nodes)
    nodes = (touched | network.main_part(Access.CAR)) & ~core
    return Area(name, inside, perimeter, around, nodes)


def read_shapes(path: Path, crs: str) -> dict[str, Outline]:
    """Read polygons from GeoJSON or GeoPackage, by the attribute ``name``, else by number; of a design, its superblocks.

    Args:
        path: the file.
        crs: CRS of the city, into which they are brought; empty if its coordinates mean nothing.

    Raises:
        PolygonError: if the file cannot be read, holds no polygon, or the border of one crosses itself.
    """
    rows = read_polygons(path, crs, "areas")
    broken = [str(number) for number in rows.index[~rows.geometry.is_valid]]
    if broken:
        raise PolygonError(f"{path}: the border of feature {', '.join(broken)} crosses itself; draw it again")
    if "change" in rows and (rows["change"] == SUPERBLOCK).any():  # a design
        rows = rows[rows["change"] == SUPERBLOCK]
    named = rows["name"] if "name" in rows else [None] * len(rows)
    names = [name if isinstance(name, str) else f"area {at}" for name, at in zip(named, rows.index, strict=True)]
    return {
        name: Outline(shapes.union_all())
        for name, shapes in rows.geometry.groupby(np.asarray(names, object), sort=False)
    }


def design_shapes(results: "Results", point: int, crs: str) -> dict[str, Outline]:
    """Return the areas of the superblocks that the designs of a point make, by name of the design.

    Args:
        results: the results.
        point: the point.
        crs: CRS of the city, into which they are brought.
    """
    import geopandas

    from ..scenarios.street_designs import built_designs

    shapes: dict[str, Outline] = {}
    for design in built_designs(results.scenario.at_point(results.points[point]).city):
        areas = [change for change in design.changes if change.kind == SUPERBLOCK and change.shape == "area"]
        for number, change in enumerate(areas, start=1):
            shape = geopandas.GeoSeries([change.geometry], crs=design.crs).to_crs(crs).iloc[0]
            shapes[design.name if len(areas) == 1 else f"{design.name} {number}"] = Outline(
                shape, change.values["margin"]
            )
    return shapes
