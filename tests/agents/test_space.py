"""The space of a model shows its city, and looking changes nothing."""

import copy
import pickle

import numpy as np
import pytest
from cities import CRS, SITES, SOUTH, WEST, tiny_city
from mesa_geo import GeoAgent, GeoSpace
from mesa_geo.raster_layers import RasterBase, RasterLayer
from pyproj import Transformer
from shapely.geometry import Point

from citytwin.agents.citizens import Citizen
from citytwin.agents.presence import Presence
from citytwin.agents.rows import RowModel
from citytwin.agents.space import CROWD, GridPicture, Hospital, School, Site, Station, Zone, make_space
from citytwin.environment.places import SiteKind


@pytest.fixture
def model():
    model = RowModel(rng=1)
    model.city = tiny_city(12)
    model.day = 0
    Citizen.of_city(model, model.city)
    return model


class TestAgents:
    def test_zones_and_institutions_are_agents_of_the_model(self, model):
        space = make_space(model)
        assert isinstance(space, GeoSpace)
        assert space.crs.to_string() == CRS
        counts = {kind: len(agents) for kind, agents in model.agents_by_type.items()}
        assert counts == {Citizen: 24, Zone: 4, School: 3, Hospital: 1, Station: 3}
        assert len(model.agents) == 35
        assert len(set(model.agents.get("unique_id"))) == 35
        assert len(space.agents) == 11
        assert all(isinstance(agent, GeoAgent) and agent in model.agents for agent in space.agents)

    def test_zones(self, model):
        make_space(model)
        zones = list(model.agents_by_type[Zone])
        assert [zone.name for zone in zones] == ["South West", "South East", "North West", "North East"]
        assert [zone.number for zone in zones] == [0, 1, 2, 3]
        citizens = model.agents_by_type[Citizen]
        for zone in zones:
            assert zone.area == pytest.approx(zone.geometry.area)
            homes = [Point(model.city.places.x[h], model.city.places.y[h]) for h in citizens.get("household")]
            assert zone.residents == sum(zone.geometry.contains(home) for home in homes)

    def test_sites(self, model):
        make_space(model)
        shown = {
            (site.kind, site.capacity, site.geometry.x - WEST, site.geometry.y - SOUTH)
            for site in model.agents.select(agent_type=Site)
        }
        hidden = (SiteKind.WORK, SiteKind.SHOP, SiteKind.LEISURE)
        assert shown == {site for site in SITES if site[0] not in hidden}
        assert model.agents.select(agent_type=Hospital).get("name") == ["Hospital 1"]

    def test_neighbours_are_found(self, model):
        space = make_space(model)
        station = model.agents.select(lambda a: getattr(a, "kind", None) == SiteKind.POLICE_STATION)[0]
        near = space.get_neighbors_within_distance(station, 300)
        assert {type(agent) for agent in near} == {Zone, School, Station}
        assert [zone.name for zone in space.agents_at(station.geometry) if isinstance(zone, Zone)] == ["South West"]

    def test_looking_changes_nothing(self, model):
        twin = copy.deepcopy(model)
        make_space(model)
        make_space(model)
        assert [Citizen(m).unique_id for m in (model, twin)] == [25, 25]
        assert model.random.random() == twin.random.random()
        assert model.rng.random() == twin.rng.random()

    def test_a_city_without_drawn_zones(self, model):
        model.city._layers.clear()
        make_space(model)
        assert Zone not in model.agents_by_type
        assert model.agents.select(agent_type=Hospital).get("name") == ["Hospital"]


class TestLayer:
    def test_the_grid_is_a_raster_without_an_agent_a_cell(self, model):
        layer = make_space(model, cell=50).layers[0]
        assert isinstance(layer, RasterBase)
        assert not isinstance(layer, RasterLayer)
        assert (layer.values.shape, layer.values.dtype) == ((4, 21, 21), np.uint8)
        assert layer.resolution == (50, 50)
        assert list(layer.total_bounds) == [WEST, SOUTH, WEST + 1050, SOUTH + 1050]

    def test_it_shows_where_people_are_now(self, model):
        space = make_space(model)
        layer, grid = space.layers[0], space.grid
        night = layer.values
        assert np.array_equal(night[3] > 0, grid["people"] > 0)
        model.time_of_day = 12 * 3600.0
        noon = layer.values
        assert grid[CROWD].sum() == 24
        work = int(grid.cell_of(WEST + 500, SOUTH + 500))
        assert grid[CROWD].flat[work] == grid["jobs"].sum() > 0
        assert not np.array_equal(night, noon)
        model.presence = Presence(model.city, 1)
        model.presence.confine(np.arange(24))
        assert np.array_equal(layer.values, night)

    def test_a_layer_of_ones_own(self, model):
        grid = make_space(model).grid
        grid.add("depth", np.eye(11))
        assert (GridPicture(grid, "depth").values[3] > 0).sum() == 11

    def test_on_a_web_map(self, model):
        layer = make_space(model).layers[0]
        image = layer.to_crs("EPSG:4326")
        assert (image.values.dtype, image.values.shape[0]) == (np.uint8, 4)
        assert (image.values[3] > 0).any()
        assert set(np.unique(image.values[3])) <= {0, 190}
        to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        for x, y in [(WEST, SOUTH), (WEST + 1000, SOUTH + 1000)]:
            lon, lat = to_degrees.transform(x, y)
            assert image.total_bounds[0] <= lon <= image.total_bounds[2]
            assert image.total_bounds[1] <= lat <= image.total_bounds[3]

    def test_a_person_alone_is_seen_at_the_right_spot(self, model):
        grid = make_space(model).grid
        spot = np.zeros(grid.shape)
        spot[2, 7] = 1.0
        grid.add("spot", spot)
        image = GridPicture(grid, "spot").to_crs("EPSG:4326")
        row, column = np.argwhere(image.values[3] > 0).mean(axis=0)
        west, south, east, north = image.total_bounds
        lon = west + (column + 0.5) / image.width * (east - west)
        lat = north - (row + 0.5) / image.height * (north - south)
        x, y = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(lon, lat)
        assert grid.cell_of(x, y) == 2 * grid.shape[1] + 7

    def test_the_grid_stays_in_the_citys_crs(self, model):
        with pytest.raises(ValueError, match="the grid stays in the CRS of its city"):
            make_space(model).layers[0].to_crs("EPSG:4326", inplace=True)


# What mesa-geo 0.9.3 itself uses or passes on.
@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Passing unrecognized arguments:DeprecationWarning")
def test_mesa_geo_draws_it(model):
    component = pytest.importorskip(
        "mesa_geo.visualization.components.geospace_component", reason="needs mesa-geo's visualization to be importable"
    )
    model.space = make_space(model)
    drawn = component.MapModule(lambda _: {"color": "Red"}, None).render(model)
    assert drawn["layers"]["rasters"][0]["url"].startswith("data:image/png;base64,")
    zones, markers = drawn["agents"]
    assert (len(zones["features"]), len(markers)) == (4, 7)


def test_a_space_is_saved_with_its_model(model):
    model.space = make_space(model)
    list(model.space.agents_at(Point(WEST + 250, SOUTH + 250)))
    for saved in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert len(saved.space.agents) == 11
        assert all(agent.model is saved for agent in saved.space.agents)
        assert [zone.name for zone in saved.space.agents_at(Point(WEST + 250, SOUTH + 251))] == ["South West"]
        assert np.array_equal(saved.space.layers[0].values, model.space.layers[0].values)
