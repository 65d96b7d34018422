"""The grid counts what lies in its cells."""

import numpy as np
import pytest
import shapely
from cities import SOUTH, WEST, tiny_city
from hypothesis import given
from hypothesis import strategies as st

from citytwin.environment.grid import CityGrid, picture


@pytest.fixture
def grid():
    return CityGrid((0, 0, 399, 250), "EPSG:32631", cell=100)


class TestCells:
    def test_cells_cover_the_bounds(self, grid):
        assert (grid.shape, grid.bounds) == ((3, 4), (0, 0, 400, 300))
        assert CityGrid((0, 0, 400, 300), "EPSG:32631", cell=100).shape == (4, 5)
        assert CityGrid((5, 5, 5, 5), "EPSG:32631", cell=100).shape == (1, 1)

    def test_numbers_run_from_the_north_west(self, grid):
        assert grid.cell_of([50, 350, 50, 150], [250, 250, 50, 150]).tolist() == [0, 3, 8, 5]
        assert grid.cell_of(0, 0) == 8

    def test_points_outside_have_no_cell(self, grid):
        assert grid.cell_of([-1, 401, 50, 50, np.nan], [50, 50, -1, 301, 50]).tolist() == [-1] * 5

    def test_borders_belong_to_the_cell_in_the_north_east(self, grid):
        assert grid.cell_of(100, 100) == grid.cell_of(150, 150)

    @given(
        points=st.lists(st.tuples(st.floats(-10, 1010), st.floats(-10, 710)), max_size=20),
        cell=st.floats(7, 300),
    )
    def test_a_point_lies_in_the_square_of_its_cell(self, points, cell):
        grid = CityGrid((0, 0, 1000, 700), "EPSG:32631", cell=cell)
        x, y = np.array(points).reshape(-1, 2).T
        numbers = grid.cell_of(x, y)
        west, south, east, north = grid.bounds
        for number, px, py in zip(numbers.tolist(), x, y, strict=True):
            if number < 0:
                assert not (west <= px < east and south <= py < north)
            else:
                mid_x, mid_y = grid.centre_of(number)
                square = shapely.box(mid_x - cell / 2, mid_y - cell / 2, mid_x + cell / 2, mid_y + cell / 2)
                assert square.buffer(1e-6).covers(shapely.Point(px, py))
        assert grid.count(x, y).sum() == (numbers >= 0).sum()

    def test_centres_are_in_their_cells(self, grid):
        cells = np.arange(12)
        assert np.array_equal(grid.cell_of(*grid.centre_of(cells)), cells)

    @pytest.mark.parametrize(
        ("bounds", "cell", "message"),
        [
            ((0, 0, -1, 5), 100, "west, south, east, north in metres wanted"),
            ((0, 0, np.inf, 5), 100, "west, south, east, north"),
            ((0, 0, 10, 10), 0, "a cell of 0 m is not possible"),
            ((0, 0, 1e6, 1e6), 1, "take larger cells"),
        ],
    )
    def test_impossible_grids_are_refused(self, bounds, cell, message):
        with pytest.raises(ValueError, match=message):
            CityGrid(bounds, "EPSG:32631", cell)


class TestLayers:
    def test_layers_by_name(self, grid):
        depth = np.zeros((3, 4))
        assert grid.add("depth", depth, "m", "water above ground") is depth
        grid["depth"][1, 2] = 0.5
        grid.add("height", 7.0)
        assert (list(grid), len(grid), depth[1, 2]) == (["depth", "height"], 2, 0.5)
        assert (grid.layers["depth"].unit, grid.layers["depth"].doc) == ("m", "water above ground")
        assert grid["height"].tolist() == [[7.0] * 4] * 3
        assert repr(grid) == "CityGrid(4 x 3 cells of 100 m, EPSG:32631: depth, height)"

    def test_a_layer_has_the_shape_of_the_grid(self, grid):
        with pytest.raises(ValueError, match=r"layer 'depth': shape \(4, 3\), the grid has \(3, 4\)"):
            grid.add("depth", np.zeros((4, 3)))

    def test_an_unknown_layer_is_named(self, grid):
        grid.add("depth", 0.0)
        with pytest.raises(KeyError, match="no layer 'deep'; there are: depth"):
            _ = grid["deep"]
        assert "deep" not in grid

    def test_counts(self, grid):
        counts = grid.count([50, 60, 350, 1000], [50, 60, 250, 0])
        assert counts.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0], [2, 0, 0, 0]]
        grid.add("people", counts)
        assert grid.density("people")[2, 0] == 200  # 2 people on a hectare


class TestOfCity:
    @pytest.mark.parametrize("cell", [100.0, 333.0, 5000.0])
    def test_everybody_is_counted_where_they_live_and_work(self, cell):
        city = tiny_city(40)
        grid = CityGrid.of_city(city, cell)
        assert grid.crs == city.info.crs
        assert grid["people"].sum() == len(city.people)
        workers = (city.people.age >= 18) & (city.people.age < 65)
        assert grid["jobs"].sum() == workers.sum()
        for cell_number in range(grid["people"].size):
            x, y = grid.centre_of(cell_number)
            inside = [
                x - cell / 2 <= city.places.x[home] < x + cell / 2
                and y - cell / 2 <= city.places.y[home] < y + cell / 2
                for home in city.people.household.tolist()
            ]
            assert grid["people"].flat[cell_number] == sum(inside)
        work = grid.cell_of(WEST + 500, SOUTH + 500)
        assert grid["jobs"].flat[work] == workers.sum()

    def test_places_beyond_the_bounds_are_covered(self):
        city = tiny_city()
        city.info.bounds = (WEST + 300, SOUTH + 300, WEST + 400, SOUTH + 400)
        assert CityGrid.of_city(city)["people"].sum() == len(city.people)


class TestPicture:
    def test_empty_cells_are_clear_and_more_is_darker(self):
        image = picture(np.array([[0, 1], [4, 100]]))
        assert (image.shape, image.dtype) == ((4, 2, 2), np.uint8)
        assert (image[3] > 0).tolist() == [[False, True], [True, True]]
        assert image[1, 0, 1] > image[1, 1, 0] > image[1, 1, 1]
        assert image[:3, 1, 1].tolist() == [128, 0, 38]

    @pytest.mark.parametrize("values", [np.zeros((2, 3)), np.full((2, 3), np.nan), -np.ones((2, 3))])
    def test_nothing_to_see(self, values):
        assert not picture(values).any()

    def test_one_value_everywhere(self):
        assert (picture(np.full((2, 3), 5.0))[3] > 0).all()
