"""Emergency response with travel: Auckland's ambulances, growth with the fleet and with the city, tables after a change.

Streets, residents, stations and laws of calls are those of Auckland (JEMSS.jl, ``tests/DATA.md``). Cities of other sizes are
its parts: streets and residents within a radius of the hospital in its middle that holds so many people.
"""

import dataclasses
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from citytwin.agents.response.demand import scene_points
from citytwin.agents.response.jemss import JemssService, read_jemss
from citytwin.environment.network.jemss import JemssRoads
from citytwin.environment.network.network import Network

DAY = 86_400.0
UNITS = [*range(14), 6, 3]
CALLS = 280.0
RESIDENTS = 1_310_000
"""People in Auckland's urban area at the census of 2013, of which the raster is; used to name the sizes of parts."""
FLEETS = (4, 8, 16, 40, 100, 200, 400)
MOST_STATIONS = 100
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
PLACES = (18, 50, 100)
BLUE, ORANGE, BLACK = "#0072B2", "#D55E00", "#000000"
"""Of the palette of Okabe and Ito, told apart by all readers."""


def auckland(data: Path) -> JemssService:
    """Return the service of Auckland."""
    return read_jemss(data / "auckland_ems", "EPSG:2193")


def answer(service: JemssService, units: list[int], days: float, seed: int, **given: Any) -> dict[str, float]:
    """Return CPU seconds of answering the calls of some days, and what came of it."""
    tasks = service.tasks(days, seed=seed, per_day=given.pop("per_day", CALLS))
    centre = service.centre(units, **given)
    begin = time.process_time()
    centre.add(tasks)
    centre.run(days * DAY)
    seconds = time.process_time() - begin
    table = centre.table()
    minutes = (table["arrived"] - table["called"]) / 60
    low, median, high, late = np.nanpercentile(minutes, [25, 50, 75, 90])
    urgent = (minutes <= 8)[table["priority"] == 0].mean()
    busy = centre.spent()[:, 2:8].sum() / (days * DAY)
    return {
        "seconds": seconds, "calls": len(tasks), "busy": busy / len(units), "urgent": float(urgent),
        "low": low, "median": median, "high": high, "late": late,
    }  # fmt: skip


def design(service: JemssService, replications: int, days: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each rule of calling units away: seconds of all replications, the mean of what came of them."""
    answer(service, UNITS, 2, 0, redispatch=[(2, 0)])  # compiles
    for name, pairs in sorted(service.redispatch.items(), key=lambda item: len(item[1])):
        runs = [answer(service, UNITS, days, seed, redispatch=pairs) for seed in range(replications)]
        row: dict[str, Any] = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        row |= {key: sum(run[key] for run in runs) for key in ("seconds", "calls")}
        yield {"rule": name.removeprefix("redispatch_").replace("_", " ")} | row


def with_stations(service: JemssService, stations: int) -> JemssService:
    """Return the service with stations at points drawn by residents, and its hospitals."""
    rng = np.random.default_rng(stations)
    weight = service.weights / service.weights.sum()
    at = service.points.node[rng.choice(len(weight), stations, replace=False, p=weight)]
    place = np.concatenate([at, service.place[-len(service.hospitals) :]]).astype(np.int32)
    return dataclasses.replace(
        service, stations=tuple(map(str, range(stations))), place=place, aside=np.zeros(len(place))
    )


def by_fleet(service: JemssService, rounds: int) -> list[dict[str, float]]:
    """Return microseconds a call by the number of units, calls growing with them."""
    rows = []
    for units in FLEETS:
        city = with_stations(service, min(units, MOST_STATIONS))
        per_day = CALLS * units / 16
        days = 25_000 / per_day
        stations = [unit % len(city.stations) for unit in range(units)]
        row: dict[str, float] = {"units": units}
        for what, pairs in (("plain", ()), ("called away", ((2, 0), (2, 1)))):
            runs = [answer(city, stations, days, n, per_day=per_day, redispatch=pairs) for n in range(rounds)]
            row[what] = 1e6 * statistics.median(run["seconds"] / run["calls"] for run in runs)
            row["busy"] = runs[0]["busy"]
        rows.append(row)
    return rows


def part_of(service: JemssService, people: int) -> JemssService:
    """Return the middle of the city with so many residents, and the 14 stations and 4 hospitals that it then has."""
    network, points = service.roads.network, service.points
    middle = service.place[len(service.stations)]
    away = np.hypot(points.x - network.x[middle], points.y - network.y[middle])
    order = np.argsort(away)
    share = np.cumsum(service.weights[order]) / service.weights.sum()
    radius = away[order[min(np.searchsorted(share, people / RESIDENTS), len(order) - 1)]]
    near = np.hypot(network.x - network.x[middle], network.y - network.y[middle]) <= radius + 500.0
    links = near[network.start] & near[network.end]
    number = np.cumsum(near) - 1
    columns: dict[str, Any] = {
        name: getattr(network, name)[near] for name in ("x", "y", "through")
    } | {
        name: getattr(network, name)[links]
        for name in ("length", "speed", "lanes", "capacity", "access", "rank", "way")
    }  # fmt: skip
    ends: dict[str, NDArray[np.int32]] = {
        name: number[getattr(network, name)[links]].astype(np.int32) for name in ("start", "end")
    }
    smaller = Network(**columns, **ends, crs=network.crs)
    good = np.flatnonzero(smaller.main_part(1))
    kept = np.flatnonzero((away <= radius) & near[points.node])
    kept = kept[np.isin(number[points.node[kept]], good)]
    inside = scene_points(number[points.node[kept]], access=points.access[kept], x=points.x[kept], y=points.y[kept])
    weights = service.weights[kept]
    drawn = np.random.default_rng(people).choice(len(kept), 18, replace=False, p=weights / weights.sum())
    roads = JemssRoads(smaller, [mode[links] for mode in service.roads.seconds], service.roads.off_road[near])
    return dataclasses.replace(
        service, roads=roads, place=inside.node[drawn], aside=np.zeros(18), points=inside, weights=weights
    )


def by_city(service: JemssService, rounds: int) -> list[dict[str, float]]:
    """Return microseconds a call, and CPU seconds of making tables of travel anew, by the size of the city."""
    rows = []
    for people in SIZES:
        city = part_of(service, people)
        row: dict[str, float] = {"people": people, "nodes": city.roads.network.nodes}
        for what, pairs in (("plain", ()), ("called away", ((2, 0), (2, 1)))):
            runs = [answer(city, UNITS, 90, n, redispatch=pairs) for n in range(rounds)]
            row[what] = 1e6 * statistics.median(run["seconds"] / run["calls"] for run in runs)
        row["renewal"] = renewal(city, rounds)
        rows.append(row)
    return rows


def renewal(service: JemssService, rounds: int) -> float:
    """Return CPU seconds in which tables of travel of one mode are made anew."""
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        service.travel.roads(service.roads.seconds)
        found.append((time.process_time() - begin) / len(service.roads.seconds))
    return statistics.median(found)


def by_places(service: JemssService, rounds: int) -> list[dict[str, float]]:
    """Return CPU seconds of making tables of one mode anew, by the number of stations and hospitals."""
    cities = {places: with_stations(service, places - len(service.hospitals)) for places in PLACES}
    return [{"places": places, "renewal": renewal(city, rounds)} for places, city in cities.items()]


def plot(rows: list[dict[str, float]], by: str, title: str, path: Path) -> None:
    """Draw what a call costs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    x = [row[by] for row in rows]
    axes.plot(x, [row["plain"] for row in rows], "o-", color=BLUE, label="units go where they were sent")
    axes.plot(
        x, [row["called away"] for row in rows], "s--", color=ORANGE, label="units are called away for the urgent"
    )
    axes.set(xscale="log", xlabel=title, ylabel="CPU microseconds a call", ylim=(0, None))
    axes.set_xticks(x, [f"{value:,.0f}" for value in x])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)
