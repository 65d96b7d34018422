"""A results directory with trips and links tables, made by the real store from trips on cheapest ways."""

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from citytwin.environment.city import City
from citytwin.environment.roads import Access, largest_component
from citytwin.runners.engine import manifest
from citytwin.runners.preparation import sweep_tasks
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage import store
from citytwin.runners.storage.tables import to_tables

SCENARIO = """\
name = "a superblock"
seed = 3
[city]
bundle = "BUNDLE"
[clock]
start = 2026-01-05
days = 1
[epidemic]
disease = "covid"
transmission = 0.01
initial_infections = 1
[sweep]
replicates = 2
[sweep.parameters]
"epidemic.initial_infections" = [1, 2]
"""
HOUR = 3600.0


class Day:
    """Trips of a day and the ways they take.

    Attributes:
        trips: columns of the table trips.
        links: columns of the table links.
        ways: links of each trip by car, in order, by its place before the trips were sorted.
        order: place before sorting of each row of ``trips``.
    """

    def __init__(self, city: City, people: np.ndarray, seed: int, shut: np.ndarray, most: int = 3000):
        rng = np.random.default_rng(seed)
        links = city.links
        cars = (links.access & Access.CAR) > 0
        inside = np.flatnonzero(largest_component(links.start[cars], links.end[cars], len(city.nodes)))
        count = min(most, 2 * len(people))
        person = np.repeat(people, 2)[:count]
        home, away = (rng.choice(inside, count // 2) for _ in range(2))
        origin = np.stack([home, away], 1).ravel()
        destination = np.stack([away, home], 1).ravel()
        depart = np.stack([rng.normal(8, 0.8, count // 2), rng.normal(17, 1.2, count // 2)], 1).ravel() * HOUR
        depart = np.clip(depart, 0, 86_000)
        mode = np.repeat(rng.choice([0, 0, 0, 2, 4], count // 2), 2)
        busy = (
            1 + 0.8 * np.exp(-(((depart / HOUR - 8) / 1.0) ** 2)) + 0.6 * np.exp(-(((depart / HOUR - 17) / 1.5) ** 2))
        )
        free = links.length / links.speed
        self.ways = self._ways(city, np.where(shut, 50 * free + 600, free), cars, origin, destination, mode == 0)
        arrive = depart + 900.0
        passed: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for trip, way in self.ways.items():
            times = free[way] * busy[trip]
            gone = depart[trip] + np.cumsum(times)
            arrive[trip] = gone[-1] if len(way) else depart[trip]
            passed.append((way, gone, times))
        link, gone, times = (np.concatenate(part) for part in zip(*passed, strict=True))
        quarter = np.minimum(gone // 900, 95).astype(int)
        cell = quarter * len(links) + link
        cells, place = np.unique(cell, return_inverse=True)
        left, seconds = np.bincount(place), np.bincount(place, times)
        row = cells % len(links)
        self.links = {
            "day": np.zeros(len(cells), np.int32),
            "quarter": (cells // len(links)).astype(np.uint8),
            "link": row.astype(np.int32),
            "entered": left.astype(np.int32),
            "left": left.astype(np.int32),
            "left_car": left.astype(np.int32),
            "left_bus": np.zeros(len(cells), np.int32),
            "left_truck": np.zeros(len(cells), np.int32),
            "travel_seconds": seconds / left,
            "speed": links.length[row] / (seconds / left),
            "vehicles": np.zeros(len(cells), np.int32),
        }
        self.trips = {
            "day": np.zeros(count, np.int32),
            "person": person.astype(np.int32),
            "purpose": np.tile(np.array([5, 0], np.uint8), count // 2),
            "mode": mode.astype(np.uint8),
            "origin": origin.astype(np.int32),
            "destination": destination.astype(np.int32),
            "depart": depart,
            "arrive": arrive,
        }
        self.order = np.argsort(depart, kind="stable")
        self.trips = {name: values[self.order] for name, values in self.trips.items()}

    @staticmethod
    def _ways(city, cost, cars, origin, destination, driven):
        links, nodes = city.links, len(city.nodes)
        rows = np.flatnonzero(cars)
        rows = rows[np.argsort(cost[rows], kind="stable")]
        pair = links.start[rows].astype(np.int64) * nodes + links.end[rows]
        _, first = np.unique(pair, return_index=True)
        rows = rows[first]
        graph = csr_matrix((cost[rows], (links.start[rows], links.end[rows])), shape=(nodes, nodes))
        link_of = {(int(links.start[row]), int(links.end[row])): int(row) for row in rows}
        sources, place = np.unique(origin, return_inverse=True)
        _, before = dijkstra(graph, indices=sources, return_predecessors=True)
        ways = {}
        for trip in np.flatnonzero(driven).tolist():
            node, way = int(destination[trip]), []
            while node != origin[trip]:
                last = int(before[place[trip], node])
                way.append(link_of[last, node])
                node = last
            ways[trip] = np.array(way[::-1], np.int64)
        return ways


def make_results(folder: Path, city: City, shut: np.ndarray, most: int = 3000) -> tuple[Path, dict[str, Day]]:
    """Make results of two points and two seeds; at point 1 nobody likes to drive on the links that are shut.

    Args:
        folder: where city and results go.
        city: the city.
        shut: bool (links,) links that cost much more at point 1.
        most: trips at most.

    Returns:
        The directory, and the day of each run.
    """
    bundle = city.path or city.save(folder / "town.city")
    out = folder / "results"
    out.mkdir()
    tasks, execute, context = sweep_tasks(Scenario.from_text(SCENARIO.replace("BUNDLE", str(bundle))), out / "cities")
    described = manifest.describe(tasks, execute, context, 4)
    manifest.write_tasks(out, tasks)
    days = {}
    people = np.arange(len(city.people))
    for task in tasks:
        day = Day(city, people, task["seed"], shut if task["point"] else np.zeros(len(city.links), bool), most)
        summary = {
            "people": len(people),
            "days": 1,
            "attack_rate": 0.0,
            "infections": 0,
            "peak_infectious": 0,
            "peak_day": 0,
        }
        outputs = {"summary": summary, "series": {"day": np.array([0])}, "trips": day.trips, "links": day.links}
        store.commit(out, task["run_id"], to_tables(task, outputs, {"epidemic.initial_infections": "int"}))
        days[task["run_id"]] = day
    store.Store(out, [task["run_id"] for task in tasks], 4, {"scenario": "{}", "versions": "{}"}).seal(0)
    manifest.write_manifest(out, described | {"ended": described["started"]})
    return out, days
