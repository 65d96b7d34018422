"""Calls where no citizens are known, only points with weights: a raster of population, zones, nodes of a network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...environment.network.network import Network
from ...environment.randomness import key, uniforms
from ...environment.roads import Access
from .incidents import Incidents, draws, tasks_of
from .kinds import KindSettings, Services, shipped
from .scenes import DETOUR, WALKING_SPEED, CallError, Scene
from .tasks import Tasks

HOUR = 3600.0
DAY = 86_400.0
MOST_CELLS = 100_000_000
MOST_CALLS = 5_000_000
"""Calls made at once; more take too much memory."""


def scene_points(
    node: ArrayLike, *, access: ArrayLike = 0.0, x: ArrayLike = np.nan, y: ArrayLike = np.nan, zone: ArrayLike = -1
) -> Scene:
    """Return points (n,) where calls may come from; see :data:`~.tasks.COLUMNS`.

    Args:
        node: node of each.
        access: seconds from there to the point; these and what follows one value, or one a point.
        x, y: m.
        zone: number of the zone.
    """
    nodes = np.atleast_1d(np.asarray(node, np.int32))
    rows = len(nodes)
    return Scene(
        nodes,
        np.broadcast_to(np.asarray(access, np.float32), rows),
        np.broadcast_to(np.asarray(x, np.float64), rows),
        np.broadcast_to(np.asarray(y, np.float64), rows),
        np.broadcast_to(np.asarray(zone, np.int32), rows),
    )


def raster_points(
    path: str | Path, network: Network, *, nodes: ArrayLike | None = None, speed: float = WALKING_SPEED / DETOUR
) -> tuple[Scene, NDArray[np.float64]]:
    """Return the cells of a raster of densities as points (n,), and what each holds, in proportion: density times area.

    Args:
        path: raster that rasterio reads, its first band; cells without anything are left out.
        network: the streets, whose CRS the points get.
        nodes: nodes from which one leaves the streets, by default those that cars or buses reach; each cell has the
            nearest.
        speed: of the straight way from there to the middle of the cell, m/s.

    Raises:
        CallError: if the file cannot be read, is too large, has no CRS, negative cells or nothing in it.
    """
    import rasterio
    from pyproj import CRS, Transformer
    from rasterio.errors import RasterioError
    from scipy.spatial import cKDTree

    try:
        with rasterio.open(path) as raster:
            if raster.width * raster.height > MOST_CELLS:
                raise CallError(f"{path}: {raster.width} x {raster.height} cells, at most {MOST_CELLS:,} are read")
            density, place, told = raster.read(1, masked=True).filled(0).astype(float), raster.transform, raster.crs
    except RasterioError as error:
        raise CallError(f"{path}: cannot be read as a raster: {error}") from None
    if told is None:
        raise CallError(f"{path}: has no CRS; write it with one")
    density[np.isnan(density)] = 0.0
    rows, columns = np.nonzero(density)
    if not len(rows) or density.min() < 0 or not np.isfinite(density).all():
        raise CallError(f"{path}: densities must be finite, not negative, and some above 0")
    x = place.c + place.a * (columns + 0.5) + place.b * (rows + 0.5)
    y = place.f + place.d * (columns + 0.5) + place.e * (rows + 0.5)
    crs = CRS.from_user_input(told.to_wkt())
    area = abs(place.a * place.e - place.b * place.d) * (
        np.cos(np.radians(y)) if crs.is_geographic else np.ones(len(y))
    )
    x, y = Transformer.from_crs(crs, network.crs, always_xy=True).transform(x, y)
    good = np.flatnonzero(network.main_part(Access.CAR | Access.BUS)) if nodes is None else np.asarray(nodes)
    away, nearest = cKDTree(np.column_stack([network.x[good], network.y[good]])).query(np.column_stack([x, y]))
    return scene_points(good[nearest], access=away / speed, x=x, y=y), density[rows, columns] * area


def poisson_tasks(
    per_hour: ArrayLike,
    days: float,
    points: Scene,
    weights: ArrayLike,
    kinds: Mapping[str, KindSettings],
    *,
    seed: int,
    shares: ArrayLike | None = None,
    services: Services | None = None,
) -> Tasks:
    """Return the tasks of a Poisson process of calls at points.

    Calls come at the moments where the integral of the rate passes those of a process of rate 1, which is exact for rates
    that change by the hour.

    Args:
        per_hour: calls an hour, a number or one for each hour of a day (24,) or of a week from its first day (168,).
        days: length of the period, from second 0.
        points: where calls may come from.
        weights: how often each does, in proportion (points,).
        kinds: kinds of incidents by name.
        seed: all draws depend on it.
        shares: of the kinds, in proportion; alike without.
        services: turnout and clearing; the shipped ones without.

    Raises:
        CallError: if rates, weights or shares are negative, no numbers or of another length, or the calls too many.
    """
    rates = np.atleast_1d(np.asarray(per_hour, float))
    if len(rates) not in (1, 24, 168):
        raise CallError(f"per_hour: one rate, 24 or 168 are wanted, not {len(rates)}")
    part = np.ones(len(kinds)) if shares is None else np.asarray(shares, float)
    weight = np.asarray(weights, float)
    for name, values, wanted in (("shares", part, len(kinds)), ("weights", weight, len(points.node))):
        if len(values) != wanted:
            raise CallError(f"{name}: {len(values)} values for {wanted}")
    for name, values in (("per_hour", rates), ("shares", part), ("weights", weight), ("days", np.array([days]))):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise CallError(f"{name}: all must be numbers of 0 or more")
        if name in ("shares", "weights") and not values.sum() > 0:
            raise CallError(f"{name}: one must be above 0")
    moment = _moments(rates, days, seed)
    who = np.arange(len(moment))
    kind = _drawn(part, uniforms(key(seed, "response points kind"), who, 0))
    point = _drawn(weight, uniforms(key(seed, "response points place"), who, 0))
    scene = {name: column[point] for name, column in points._asdict().items()}
    incidents = Incidents.of(moment, kind=kind, who=who, **scene)
    chosen = shipped().services if services is None else services
    return tasks_of(incidents, kinds, chosen, seed, source="points", causes=("points",))


def _moments(per_hour: NDArray[np.float64], days: float, seed: int) -> NDArray[np.float64]:
    """Return the seconds at which calls come, rising."""
    knots = np.append(np.arange(0.0, np.ceil(days * 24)) * HOUR, days * DAY)
    hour = np.arange(len(knots) - 1)
    integral = np.concatenate([[0.0], np.cumsum(per_hour[hour % len(per_hour)] * np.diff(knots) / HOUR)])
    total = float(integral[-1])
    if total > MOST_CALLS:
        raise CallError(f"{total:,.0f} calls are asked for at once, at most {MOST_CALLS:,} are made; take fewer days")
    purpose = key(seed, "response points moment")
    made, last = np.zeros(0), 0.0
    while last <= total:
        more = int(total - last + 6 * np.sqrt(total - last) + 20)
        who = np.arange(len(made), len(made) + more)
        made = np.concatenate([made, last - np.log(draws(purpose, who, np.zeros(more, np.int64))).cumsum()])
        last = float(made[-1])
    return np.interp(made[made < total], integral, knots)


def _drawn(weights: NDArray[np.float64], luck: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a position for each draw, by weight."""
    steps = np.cumsum(weights)
    found = np.searchsorted(steps, luck * steps[-1], side="right")
    return np.minimum(found, np.flatnonzero(weights)[-1])
