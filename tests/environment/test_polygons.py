"""Polygons of files: what is kept, in which CRS, and what is refused."""

import geopandas
import pytest
import shapely

from citytwin.environment import polygons
from citytwin.environment.polygons import PolygonError, read_polygons

SQUARE = shapely.box(500_000, 5_400_000, 500_100, 5_400_100)


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg"])
def test_polygons_come_in_the_wanted_crs_with_their_attributes(tmp_path, name):
    shapes = [SQUARE, shapely.MultiPolygon([SQUARE, shapely.box(500_200, 5_400_000, 500_300, 5_400_100)])]
    drawn = geopandas.GeoDataFrame({"name": ["one", "two"]}, geometry=shapes, crs=32631)
    drawn.to_crs(4326).to_file(tmp_path / name)
    found = read_polygons(tmp_path / name, "EPSG:32631", "areas")
    assert found["name"].tolist() == ["one", "two"]
    assert found.area.tolist() == pytest.approx([1e4, 2e4], rel=1e-4)


def test_other_geometries_are_left_aside(tmp_path):
    geopandas.GeoDataFrame(geometry=[SQUARE, SQUARE.centroid], crs=32631).to_file(tmp_path / "a.geojson")
    assert len(read_polygons(tmp_path / "a.geojson", "EPSG:32631", "areas")) == 1


def test_what_cannot_be_used_is_named(tmp_path, monkeypatch):
    geopandas.GeoDataFrame(geometry=[SQUARE.centroid], crs=32631).to_file(tmp_path / "points.geojson")
    (tmp_path / "torn.geojson").write_text('{"type": "FeatureCollection", "features": [')
    for name, said in (
        ("points.geojson", r"points\.geojson: holds no polygon; wanted are parks"),
        ("torn.geojson", "cannot be read"),
        ("none.gpkg", r"cannot be read \(No such file"),
        ("parks.shp", "parks are read from .geojson, .json, .gpkg"),
    ):
        with pytest.raises(PolygonError, match=said):
            read_polygons(tmp_path / name, "EPSG:32631", "parks")
    monkeypatch.setattr(polygons, "LARGEST_FILE", 10)
    with pytest.raises(PolygonError, match="larger than 0 MiB; keep the parks of the city alone"):
        read_polygons(tmp_path / "torn.geojson", "EPSG:32631", "parks")
