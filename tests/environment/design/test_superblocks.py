"""Superblocks: nobody drives through, and every address stays reachable."""

import numpy as np
import pytest
import shapely
from grids import at, box, cars, design, grid_city, link, node
from superblock_proof import prove

from citytwin.environment.city import City
from citytwin.environment.design import Design, DesignError
from citytwin.environment.roads import Access


def test_a_block_of_the_grid() -> None:
    city = grid_city()
    change = {"change": "superblock", "area": box(3, 3, 6, 6), "kmh": 10}
    after = design(change).apply(city)
    gates = prove(city, after, shapely.Polygon(box(3, 3, 6, 6)))
    assert gates == {node(c, r) for c, r in [(4, 3), (5, 3), (4, 6), (5, 6), (3, 4), (3, 5), (6, 4), (6, 5)]}
    # the edge and everybody but cars are left alone
    assert cars(after, link(city, (3, 3), (4, 3)))
    assert (after.links.access | Access.CAR == city.links.access).all()
    assert after.links.speed[link(city, (4, 4), (5, 4))] * 3.6 == pytest.approx(10)
    assert after.links.speed[link(city, (3, 3), (4, 3))] * 3.6 == pytest.approx(50)
    assert after.layer("roads")["design"][link(city, (4, 4), (5, 4))] == "superblock"


@pytest.mark.parametrize("seed", range(4))
def test_one_way_streets_inside(seed: int) -> None:
    luck = np.random.default_rng(seed)
    pairs = [((c, r), (c + 1, r)) for c in range(2, 8) for r in range(3, 8)]
    pairs += [((c, r), (c, r + 1)) for c in range(3, 8) for r in range(2, 8)]
    chosen = [pair for pair in pairs if luck.random() < 0.6]
    one_way = tuple((node(*a), node(*b)) if luck.random() < 0.5 else (node(*b), node(*a)) for a, b in chosen)
    city = grid_city(one_way=one_way)
    outline = box(2, 2, 8, 8)
    after = design({"change": "superblock", "area": outline}).apply(city)
    prove(city, after, shapely.Polygon(outline))


def test_a_link_is_added_where_a_one_way_street_has_no_other_direction() -> None:
    city = grid_city()
    keep = np.ones(len(city.links), bool)
    # a junction that one leaves to the north only, into another cell; no street leads back
    for a, b in (((4, 4), (5, 4)), ((4, 4), (4, 3)), ((4, 4), (3, 4))):
        keep[link(city, a, b)] = False
    tables = {name: dict(getattr(city, name)) for name in ("people", "households", "places", "sites", "buildings")}
    tables |= {"zones": dict(city.zones), "nodes": dict(city.nodes)}
    tables["links"] = {name: values[keep] for name, values in city.links.items()}
    trap = City(city.info, tables, city.schedules, {"roads": city.layer("roads")[keep].reset_index(drop=True)})
    after = design({"change": "superblock", "area": box(3, 3, 6, 6)}).apply(trap)
    prove(trap, after, shapely.Polygon(box(3, 3, 6, 6)))
    assert len(after.links) == len(trap.links) + 1
    assert int(after.links.start[-1]) == node(4, 4)


def test_a_street_that_leads_into_the_block_only_is_closed_where_it_begins() -> None:
    city = grid_city()
    keep = np.ones(len(city.links), bool)
    # from the edge at (4, 3) southwards nothing is left but a one-way street from (4, 2) into the block
    for a, b in (((4, 3), (3, 3)), ((4, 3), (5, 3)), ((3, 3), (4, 3)), ((5, 3), (4, 3)), ((4, 3), (4, 2))):
        keep[link(city, a, b)] = False
    tables = {name: dict(getattr(city, name)) for name in ("people", "households", "places", "sites", "buildings")}
    tables |= {"zones": dict(city.zones), "nodes": dict(city.nodes)}
    tables["links"] = {name: values[keep] for name, values in city.links.items()}
    spur = City(city.info, tables, city.schedules, {"roads": city.layer("roads")[keep].reset_index(drop=True)})
    after = design({"change": "superblock", "area": box(3, 3, 6, 6)}).apply(spur)
    prove(spur, after, shapely.Polygon(box(3, 3, 6, 6)))
    assert not cars(after, link(spur, (4, 2), (4, 3)))
    assert cars(after, link(after, (4, 3), (4, 4))) and cars(after, link(after, (4, 4), (4, 3)))


def test_an_invented_city() -> None:
    city = City.synthetic(20_000, seed=3)
    x, y = np.median(city.nodes.x), np.median(city.nodes.y)
    area = shapely.box(x - 700, y - 700, x + 700, y + 700)
    made = Design.from_dict(
        {"crs": city.info.crs, "changes": [{"change": "superblock", "geometry": shapely.geometry.mapping(area)}]}
    )
    gates = prove(city, made.apply(city), area)
    assert len(gates) > 10


def test_an_area_without_an_inside_is_refused() -> None:
    with pytest.raises(DesignError, match="no street with cars lies inside"):
        design({"change": "superblock", "area": box(3, 3, 4, 4)}).apply(grid_city())
    with pytest.raises(DesignError, match="from no street around"):
        design({"change": "superblock", "area": box(-1, -1, 11, 11)}).apply(grid_city())


def test_a_filter_inside_a_superblock_stands() -> None:
    city = grid_city()
    changes = {"change": "superblock", "area": box(2, 2, 8, 8)}, {"change": "filter", "point": at(2.5, 5)}
    after = design(*changes).apply(city)
    assert not cars(after, link(city, (2, 5), (3, 5)))
