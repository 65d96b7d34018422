"""Made-up results that the tests of planning share."""

from pathlib import Path
from typing import NamedTuple

import geopandas
import numpy as np
import pytest
import shapely
from made_up import Day, make_results

from citytwin.environment.city import City
from citytwin.runners.results import Results


class Planned(NamedTuple):
    """Results of a superblock: the city, what happened in each run, the area and the file that draws it."""

    results: Results
    city: City
    days: dict[str, Day]
    area: shapely.Polygon
    file: Path


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """Two points and two seeds in a city of 5,000 people; at point 1 few drive on the streets of an area."""
    folder = tmp_path_factory.mktemp("planned")
    city = City.load(City.synthetic(5_000, seed=4).save(folder / "town.city"))
    west, south, east, north = city.info.bounds
    x, y = (west + east) / 2, (south + north) / 2
    area = shapely.box(x - 300, y - 300, x + 300, y + 300)
    links, nodes = city.links, city.nodes
    middle = shapely.points(*((axis[links.start] + axis[links.end]) / 2 for axis in (nodes.x, nodes.y)))
    shut = shapely.contains(area, middle)
    out, days = make_results(folder, city, np.asarray(shut))
    file = folder / "area.geojson"
    geopandas.GeoDataFrame({"name": ["Block"]}, geometry=[area], crs=city.info.crs).to_crs(4326).to_file(file)
    return Planned(Results(out), city, days, area, file)
