"""Designs in a real town: street names, streets side by side, one-way streets, the old town as a superblock."""

import os
from pathlib import Path

import numpy as np
import pytest
import shapely
from superblock_proof import prove

from citytwin.environment.city import City
from citytwin.environment.design import Design, DesignError, write_template
from citytwin.environment.design.changes import Change
from citytwin.environment.design.pick import pick
from citytwin.environment.design.streets import Streets
from citytwin.environment.roads import Access

DATA = os.environ.get("CITYTWIN_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from"
)
MARKET = (5.9167, 52.5600)  # longitude and latitude of a place in the Oudestraat


@pytest.fixture(scope="module")
def kampen() -> City:
    return City.from_osm(Path(DATA or "") / "kampen_flood_city" / "kampen.osm.pbf", people=3_000)


def test_a_street_by_its_name(kampen: City) -> None:
    made = Design.from_dict({"name": "plan", "changes": [{"change": "close", "street": "IJsselkade"}]})
    (entry,) = made.check(kampen)
    names = kampen.layer("roads")["name"].to_numpy()
    car = (kampen.links.access & Access.CAR) > 0
    assert set(np.flatnonzero((names == "IJsselkade") & car).tolist()) <= set(entry["links"])
    assert set(names[entry["links"]]) == {"IJsselkade"}
    after = made.apply(kampen)
    assert not (after.links.access[entry["links"]] & Access.CAR).any()


def test_a_street_that_is_misspelt(kampen: City) -> None:
    made = Design.from_dict({"name": "plan", "changes": [{"change": "close", "street": "Oudestraatt"}]})
    with pytest.raises(DesignError, match=r"there is no street 'Oudestraatt' \(did you mean 'Oudestraat'\?\)"):
        made.apply(kampen)


def test_lines_drawn_beside_streets_find_them(kampen: City) -> None:
    """Every drawn street is found, in its direction; others hardly ever, unless they lie as near to the line."""
    streets = Streets(kampen)
    twins = streets.twins()
    car = np.flatnonzero((streets.access & Access.CAR) > 0)

    def away(row: int, line: shapely.LineString) -> float:
        places = shapely.line_interpolate_point(streets.lines[row], np.linspace(0.1, 0.9, 9), normalized=True)
        return float(shapely.distance(places, line).mean())

    farther = drawn = 0
    for row in car[:: len(car) // 200]:
        line = streets.lines[row].offset_curve(-4.0)  # on the right, where one drives
        if streets.lines[row].length < 15 or line.is_empty or line.geom_type != "LineString":
            continue
        line = line.simplify(2.0)
        wanted = {int(row)} | ({int(twins[row])} if twins[row] >= 0 else set())
        places = shapely.line_interpolate_point(line, np.linspace(0.1, 0.9, 9), normalized=True)
        others = streets.lines[np.setdiff1d(car, list(wanted))]
        nearer = shapely.distance(others[:, None], places[None, :]).min(0) < shapely.distance(
            streets.lines[row], places
        )
        if nearer.mean() > 0.3:
            continue  # what is drawn lies rather on another street
        values = {"heading": None, "buses": True, "bicycles": False}
        links, along = pick(streets, Change(1, "one_way", values, line), line)
        assert wanted <= set(links.tolist())
        assert along[links.tolist().index(row)]
        farther += any(away(other, line) > away(row, line) + 4.0 for other in set(links.tolist()) - wanted)
        drawn += 1
    assert drawn > 100
    assert farther <= 0.02 * drawn


def test_the_old_town_as_a_superblock(kampen: City) -> None:
    names = kampen.layer("roads")["name"] == "Oudestraat"
    middle = kampen.layer("roads")[names].union_all().centroid
    area = middle.buffer(300)
    change = {"change": "superblock", "geometry": shapely.geometry.mapping(area), "kmh": 15}
    made = Design.from_dict({"name": "plan", "crs": kampen.info.crs, "changes": [change]})
    after = made.apply(kampen)
    assert len(prove(kampen, after, area)) > 5
    closed = (kampen.links.access & Access.CAR > 0) & (after.links.access[: len(kampen.links)] & Access.CAR == 0)
    assert 0 < closed.sum() < 200
    assert (after.links.access[: len(kampen.links)] | Access.CAR | Access.BUS >= kampen.links.access).all()


def test_a_wrong_system_is_told(kampen: City) -> None:
    metres = {"change": "filter", "point": [191_000.0, 507_000.0]}  # of the Dutch national system
    with pytest.raises(DesignError, match=r"is no longitude and latitude.*EPSG:32631"):
        Design.from_dict({"name": "plan", "changes": [metres]}).apply(kampen)
    there = Design.from_dict(
        {"name": "plan", "crs": "EPSG:28992", "changes": [metres | {"change": "new_stop", "name": "a"}]}
    )
    assert there.transit(kampen)["stops"].shape == (1, 4)
    far = Design.from_dict({"name": "plan", "changes": [{"change": "filter", "point": MARKET[::-1]}]})
    with pytest.raises(DesignError, match="km away from the city"):
        far.apply(kampen)


def test_a_template_of_a_real_town(kampen: City, tmp_path: Path) -> None:
    file = write_template(kampen, tmp_path / "kampen.gpkg")
    assert file.stat().st_size < 20_000_000
