"""Calls at points with weights."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from streets import straight_streets

from citytwin.agents.response.demand import DAY, MOST_CALLS, poisson_tasks, raster_points, scene_points
from citytwin.agents.response.kinds import kinds_of
from citytwin.agents.response.scenes import CallError

KINDS = {name: kinds_of()[name] for name in ("illness", "disturbance")}
POINTS = scene_points([5, 6, 9], access=[1.0, 2.0, 3.0], x=[10.0, 20.0, 30.0], y=0.0, zone=[0, 0, 1])


def test_calls_have_their_points_and_kinds_by_weight():
    tasks = poisson_tasks(60, 30, POINTS, [1, 0, 3], KINDS, seed=2, shares=[1, 4])
    count = len(tasks)
    assert count == pytest.approx(60 * 24 * 30, abs=4 * np.sqrt(60 * 24 * 30))
    assert (tasks.node == 9).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / count))
    assert set(tasks.node) == {5, 9}
    assert np.array_equal(tasks.access, np.where(tasks.node == 9, 3.0, 1.0))
    assert np.array_equal(tasks.zone, np.where(tasks.node == 9, 1, 0))
    assert (tasks.kind == 1).mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.8 * 0.2 / count))
    assert np.array_equal(np.sort(tasks.called), tasks.called[np.argsort(tasks.incident)])


def test_rates_by_hour_hold_by_hour():
    rate = np.zeros(24)
    rate[[3, 20]] = 200, 100
    tasks = poisson_tasks(rate, 40, POINTS, [1, 1, 1], KINDS, seed=2)
    hour = np.bincount((tasks.called % DAY // 3600).astype(int), minlength=24)
    assert set(np.flatnonzero(hour)) == {3, 20}
    assert hour[[3, 20]] == pytest.approx([8000, 4000], abs=4 * np.sqrt(8000))
    week = np.zeros(168)
    week[30] = 500
    tasks = poisson_tasks(week, 7.5, POINTS, [1, 1, 1], KINDS, seed=2)
    assert (tasks.called // 3600 == 30).all()
    assert len(poisson_tasks(week, 1, POINTS, [1, 1, 1], KINDS, seed=2)) == 0


def test_a_longer_period_begins_with_the_calls_of_the_shorter():
    short, long = (poisson_tasks(20, days, POINTS, [1, 2, 3], KINDS, seed=5) for days in (3, 10))
    first = long.called < 3 * DAY
    assert first.sum() == len(short)
    assert np.array_equal(long.scene[first], short.scene)
    assert np.array_equal(long.called[first], short.called)
    assert (short.called < 3 * DAY).all()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"per_hour": [1, 2]}, "one rate, 24 or 168 are wanted, not 2"),
        ({"per_hour": -1}, "per_hour: all must be numbers of 0 or more"),
        ({"per_hour": np.nan}, "per_hour: all must be"),
        ({"days": np.inf}, "days: all must be"),
        ({"weights": [1, 2]}, "weights: 2 values for 3"),
        ({"weights": [0, 0, 0]}, "weights: one must be above 0"),
        ({"shares": [1]}, "shares: 1 values for 2"),
        ({"per_hour": MOST_CALLS}, "take fewer days"),
    ],
)
def test_what_makes_no_sense_is_refused(keys, message):
    given = {"per_hour": 1, "days": 10, "weights": [1, 1, 1], "shares": [1, 1]} | keys
    with pytest.raises(CallError, match=message):
        poisson_tasks(given.pop("per_hour"), given.pop("days"), POINTS, given.pop("weights"), KINDS, seed=1, **given)


@pytest.fixture
def raster(tmp_path):
    """Return the path of a raster of densities, from its north-west corner."""

    def write(values, *, corner, side, crs):
        path = tmp_path / "people.tif"
        values = np.array(values, float)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=values.shape[0],
            width=values.shape[1],
            count=1,
            dtype="float64",
            crs=crs,
            transform=Affine(side, 0, corner[0], 0, -side, corner[1]),
        ) as file:
            file.write(values, 1)
        return path

    return write


def test_cells_of_a_raster_are_points_with_their_people(raster):
    # nodes at 0, 1 and 2 km east; the last one cannot be reached
    network = straight_streets([0, 1000, 2000], [0, 0, 0], [0, 1], [1, 0])
    path = raster([[0, 3], [5, np.nan]], corner=(0, 2000), side=1000, crs="EPSG:32631")
    points, people = raster_points(path, network, speed=10.0)
    assert points.x.tolist() == [1500, 500]
    assert points.y.tolist() == [1500, 500]
    assert points.node[0] == 1
    assert points.access == pytest.approx([np.hypot(500, 1500) / 10, np.hypot(500, 500) / 10])
    assert people.tolist() == [3e6, 5e6]
    points, _ = raster_points(path, network, nodes=[2])
    assert points.node.tolist() == [2, 2]


def test_cells_in_degrees_are_smaller_in_the_north(raster):
    network = straight_streets([0, 1000], [0, 0], [0, 1], [1, 0])
    path = raster([[1.0], [1.0]], corner=(3, 61), side=1.0, crs="EPSG:4326")
    points, people = raster_points(path, network)
    assert people[0] / people[1] == pytest.approx(np.cos(np.radians(60.5)) / np.cos(np.radians(59.5)))
    assert points.y[0] - points.y[1] == pytest.approx(111_400, rel=0.01)


@pytest.mark.parametrize(
    ("values", "crs", "message"),
    [([[0.0]], "EPSG:4326", "some above 0"), ([[-1.0]], "EPSG:4326", "not negative"), ([[1.0]], None, "has no CRS")],
)
def test_rasters_that_make_no_sense_are_refused(raster, values, crs, message):
    network = straight_streets([0, 1000], [0, 0], [0, 1], [1, 0])
    with pytest.raises(CallError, match=message):
        raster_points(raster(values, corner=(0, 10), side=1.0, crs=crs), network)
    with pytest.raises(CallError, match="cannot be read as a raster"):
        raster_points("nowhere.tif", network)
