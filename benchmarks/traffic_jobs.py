"""The job that traffic models do side by side: an hour of departures on a network.

Each function imports its system, does a small run so that everything is compiled, does the job and returns its figures. All
of them get the same streets, the same trips and the same horizon:

- the network and the trips are TNTP files; lanes are capacity / 1,800 rounded, at least 1; links without a time
  (connectors) have 100 m at 20 m/s, all others at least 30 m and 5 to 35 m/s; a car stands on 7.5 m of a lane;
- trips inside a zone are dropped, those between zones are multiplied by a share and rounded so that their sum is kept;
  departures are drawn evenly over one hour; 10,800 s are simulated; there are no signals;
- drivers under way follow what is quickest by times that are renewed every 600 s, half old and half measured. SUMO's cars
  keep the routes that are quickest on empty streets.
"""

import dataclasses
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HORIZON = 10_800.0  # s
DEPARTING = 3_600.0  # s over which trips depart
REROUTE = 600.0  # s between two tables of routes
JAM_SPACING = 7.5  # m
WARM_UP = 500
"""Cars of the small run."""

MILE = 1609.344  # m
MINUTE_AT_50 = 50_000 / 60
"""Metres of a minute at 50 km/h: the lengths of Sioux Falls are minutes."""


class Place(NamedTuple):
    """A network of the TNTP collection.

    Attributes:
        folder, stem: its folder in the collection and how its files begin.
        metre: metres in the file's unit of length.
        first_through: number of the first node that trips may pass; None for what the file says.
    """

    folder: str
    stem: str
    metre: float = 1.0
    first_through: int | None = None


PLACES = {
    # The file says that all nodes may be passed, but zones 1 to 387 hang on connectors without a time: trips would pass
    # through the zones for nothing.
    "chicago": Place("Chicago-Sketch", "ChicagoSketch", MILE, 388),
    "siouxfalls": Place("SiouxFalls", "SiouxFalls", MINUTE_AT_50),
    "anaheim": Place("Anaheim", "Anaheim"),
    "barcelona": Place("Barcelona", "Barcelona"),
}


def file_of(data: Path, name: str, kind: str) -> Path:
    """Return the path of a file of a network in a folder laid out like the TNTP collection."""
    place = PLACES[name]
    return data / place.folder / f"{place.stem}_{kind}.tntp"


class Cars(NamedTuple):
    """Streets and the cars on them.

    Attributes:
        network: the streets.
        depart: float64 (cars,) seconds, rising.
        origin, destination: int32 (cars,) zones, which are the first nodes.
        zones: number of zones.
    """

    network: Any
    depart: NDArray[np.float64]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    zones: int


def cars_of(data: Path, name: str, share: float, seed: int, platoon: int = 1) -> Cars:
    """Read a network and draw its cars; with platoons, one row stands for so many cars."""
    from citytwin.environment.network.tntp import read_network, read_trips

    place = PLACES[name]
    net = read_network(file_of(data, name, "net"))
    trips = read_trips(file_of(data, name, "trips"), net.zones)
    network = net.network(metre=place.metre)
    if place.first_through:
        network = dataclasses.replace(network, through=np.arange(net.nodes) >= place.first_through - 1)
    between = trips.origin != trips.destination
    rng = np.random.default_rng(seed)
    sums = np.concatenate([[0.0], np.cumsum(trips.trips[between] * share / platoon)])
    row = np.repeat(np.arange(int(between.sum())), np.diff(np.floor(sums + rng.random()).astype(int)))
    depart = rng.random(len(row)) * DEPARTING
    order = np.argsort(depart, kind="stable")
    row = row[order]
    return Cars(network, depart[order], trips.origin[between][row], trips.destination[between][row], net.zones)


def cpu() -> float:
    """Return the processor seconds of this process and of those it has waited for."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def memory() -> float:
    """Return the most memory in GB that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


# ---------------------------------------------------------------------- vehicles that move


def citytwin_cars(data: Path, name: str, share: float, seed: int) -> dict[str, float]:
    """Single cars; every trip is written to a Parquet file, which counts."""
    from citytwin.agents.traffic.flow import Flow
    from citytwin.agents.traffic.layout import CENTIMETRES, FREE_MILLISECONDS, MOVES
    from citytwin.agents.traffic.record import standing_seconds
    from citytwin.environment.network.graph import make_graph
    from citytwin.environment.network.trees import next_arcs
    from citytwin.environment.roads import Access
    from citytwin.runners.storage.shards import ROW_GROUP, encoding

    def work(cars: Cars, horizon: float, path: Path) -> dict[str, float]:
        import pyarrow
        from pyarrow import parquet

        began = cpu()
        zones = np.arange(cars.zones, dtype=np.int32)
        graph = make_graph(cars.network, Access.CAR)
        flow = Flow(
            cars.network,
            graph,
            depart=cars.depart,
            origin=cars.origin,
            destination=cars.destination,
            destination_node=zones,
        )
        free = cars.network.free_time
        cost = free.copy()
        ready = cpu()
        spent = {"routes": 0.0, "flow": 0.0}
        for begin in np.arange(0.0, horizon, REROUTE):
            at = cpu()
            tables = next_arcs(graph, cost, zones)
            spent["routes"] += cpu() - at
            at = cpu()
            flow.advance(begin + REROUTE, tables)
            spent["flow"] += cpu() - at
            left = flow.left
            seen = np.where(left > 0, flow.spent / np.maximum(left, 1), standing_seconds(cars.network, flow))
            cost = 0.5 * cost + 0.5 * np.maximum(seen, free)
            flow.clear()
        at = cpu()
        arrive = flow.arrive
        table = {
            "origin": cars.origin + 1,
            "destination": cars.destination + 1,
            "depart": cars.depart,
            "arrive": arrive,
            "distance_m": (flow.vehicles[:, CENTIMETRES] / 100.0).astype(np.float32),
            "free_seconds": (flow.vehicles[:, FREE_MILLISECONDS] / 1000.0).astype(np.float32),
        }
        columns = pyarrow.table(table)
        # as the store of results writes numbers, see runners/storage/store.py
        codes = {field.name: encoding(field.type) for field in columns.schema}
        parquet.write_table(
            columns, path, compression="zstd", use_dictionary=False, column_encoding=codes, row_group_size=ROW_GROUP
        )
        done = np.isfinite(arrive)
        flow.balance()  # raises where a car was lost
        return {
            "cars": len(cars.depart),
            "done": int(done.sum()),
            "seconds": float((arrive - cars.depart)[done].mean()),
            "moves": int(flow.state.counters[MOVES]),
            "build": ready - began,
            "run": cpu() - ready,
            "write": cpu() - at,
            "memory": memory(),
            **spent,
        }

    cars = cars_of(data, name, share, seed)
    few = np.linspace(0, len(cars.depart) - 1, WARM_UP).astype(int)
    small = cars._replace(depart=cars.depart[few], origin=cars.origin[few], destination=cars.destination[few])
    with tempfile.TemporaryDirectory() as folder:
        work(small, REROUTE, Path(folder) / "warm.parquet")
        return work(cars, HORIZON, Path(folder) / "trips.parquet")


def uxsim_cars(data: Path, name: str, share: float, seed: int, platoon: int) -> dict[str, float]:
    """UXsim's engine in C++ without log; zones that must not be passed become a node to depart and one to arrive."""
    from uxsim import World

    cars = cars_of(data, name, share, seed, platoon)
    network = cars.network
    began = cpu()
    world: Any = World(
        name="", deltan=platoon, tmax=HORIZON + 2 * platoon, print_mode=0, save_mode=0, show_mode=0, random_seed=seed,
        duo_update_time=REROUTE, duo_update_weight=0.5, vehicle_logging_timestep_interval=-1, cpp=True, threads=1,
    )  # fmt: skip
    passed = network.through
    for node in range(network.nodes):
        for part in ("",) if passed[node] else ("from", "to"):
            world.addNode(f"{part}{node}", node % 100, node // 100)
    for link in range(network.links):
        start, end = int(network.start[link]), int(network.end[link])
        world.addLink(
            f"link{link}", f"{'' if passed[start] else 'from'}{start}", f"{'' if passed[end] else 'to'}{end}",
            float(network.length[link]), free_flow_speed=float(network.speed[link]),
            jam_density_per_lane=1 / JAM_SPACING, number_of_lanes=int(network.lanes[link]),
            capacity_out=float(network.capacity[link]),
        )  # fmt: skip
    for depart, origin, destination in zip(cars.depart, cars.origin, cars.destination, strict=True):
        begin = f"{'' if passed[origin] else 'from'}{origin}"
        world.addVehicle(begin, f"{'' if passed[destination] else 'to'}{destination}", float(depart))
    world.finalize_scenario()
    ready = cpu()
    world.exec_simulation(until_t=HORIZON)  # short of its end, so that its analysis does not count
    spent = cpu() - ready
    peak = memory()
    ended = [vehicle for vehicle in world.VEHICLES.values() if vehicle.state == "end"]
    return {
        "cars": len(cars.depart) * platoon,
        "done": len(ended) * platoon,
        "seconds": float(np.mean([vehicle.travel_time for vehicle in ended])),
        "moves": float(sum(link.cum_departure.max() for link in world.LINKS)),
        "build": ready - began,
        "run": spent,
        "memory": peak,
    }


def uxsim_platoons(data: Path, name: str, share: float, seed: int) -> dict[str, float]:
    """Platoons of 5 cars, UXsim's default."""
    return uxsim_cars(data, name, share, seed, 5)


def uxsim_single(data: Path, name: str, share: float, seed: int) -> dict[str, float]:
    """Single cars."""
    return uxsim_cars(data, name, share, seed, 1)


def sumo_meso(data: Path, name: str, share: float, seed: int) -> dict[str, float]:
    """SUMO's mesoscopic model on fixed routes, segments of up to 2 km; its whole process counts, reading included.

    Cars drive at the link's speed without spread, as those of the others do.
    """
    import sumo

    from citytwin.environment.network.graph import make_graph
    from citytwin.environment.network.search import paths
    from citytwin.environment.roads import Access

    cars = cars_of(data, name, share, seed)
    network = cars.network
    graph = make_graph(network, Access.CAR)
    began = cpu()
    first, link = paths(graph, network.free_time, cars.origin, cars.destination)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write_sumo(folder, network, _coordinates(file_of(data, name, "node"), network.nodes), cars, first, link)
        tools = Path(sumo.SUMO_HOME) / "bin"
        _tool(
            tools / "netconvert", "-n", folder / "a.nod.xml", "-e", folder / "a.edg.xml", "-o", folder / "a.net.xml",
            "--no-internal-links", "true", "--offset.disable-normalization", "true",
        )  # fmt: skip
        ready = cpu()
        peak = _tool(
            tools / "sumo", "-n", folder / "a.net.xml", "-r", folder / "a.rou.xml", "--mesosim", "true",
            "--meso-edgelength", "2000", "--end", str(HORIZON), "--no-step-log", "true", "--seed", str(seed),
            "--tripinfo-output", folder / "trips.xml", "--time-to-teleport", "-1", "--threads", "1",
        )  # fmt: skip
        spent = cpu() - ready
        seconds, moves = _trip_seconds(folder / "trips.xml", np.diff(first))
    return {
        "cars": len(cars.depart),
        "done": len(seconds),
        "seconds": float(np.mean(seconds)),
        "moves": moves,
        "build": ready - began,
        "run": spent,
        "memory": peak,
    }


def _tool(*command: Any) -> float:
    """Run a program and return the most memory it has had, in GB.

    It is asked while it runs: what the system reports of a process that has ended includes the memory of its parent.
    """
    peak = 0.0
    with tempfile.TemporaryFile("w+") as errors:
        words = [str(part) for part in command]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors) as process:
            status, exe = (Path(f"/proc/{process.pid}/{name}") for name in ("status", "exe"))
            while process.poll() is None:
                for line in status.read_text().splitlines() if status.exists() else ():
                    if line.startswith("VmHWM") and str(exe.readlink()) == words[0]:
                        peak = max(peak, float(line.split()[1]) / 1e6)
                time.sleep(0.2)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{Path(words[0]).name} failed:\n{errors.read()[-2000:]}")
    return peak


def _coordinates(path: Path, nodes: int) -> NDArray[np.float64]:
    """Read a ``_node.tntp`` file, (nodes, 2); turns depend on it, lengths do not."""
    rows = [line.replace(";", " ").split() for line in path.read_text(encoding="utf-8").splitlines()]
    found = np.full((nodes, 2), np.nan)
    for row in rows:
        if row and row[0].isdigit():
            found[int(row[0]) - 1] = float(row[1]), float(row[2])
    if np.isnan(found).any():
        raise SystemExit(f"{path}: has no coordinates for some nodes")
    found -= found.min(axis=0)
    return found * (50_000.0 / found.max())  # some files have degrees, some feet


def _write_sumo(
    folder: Path,
    network: Any,
    at: NDArray[np.float64],
    cars: Cars,
    first: NDArray[np.int64],
    link: NDArray[np.int32],
) -> None:
    """Write nodes, edges and routed trips."""
    passed = network.through

    def lines(name: str, root: str, rows: list[str]) -> None:
        (folder / name).write_text("\n".join([f"<{root}>", *rows, f"</{root}>"]), encoding="utf-8")

    rows = []
    for node, (x, y) in enumerate(at):
        for number, part in enumerate(("",) if passed[node] else ("from", "to")):
            # no two nodes in one place
            rows.append(f'<node id="{part}{node}" x="{x + 20 * number:.1f}" y="{y:.1f}" type="priority"/>')
    lines("a.nod.xml", "nodes", rows)
    columns = (network.start, network.end, network.lanes, network.speed, network.length)
    rows = [
        f'<edge id="e{number}" from="{"" if passed[start] else "from"}{start}" to="{"" if passed[end] else "to"}{end}" '
        f'numLanes="{int(lanes)}" speed="{speed:.4f}" length="{length:.3f}"/>'
        for number, (start, end, lanes, speed, length) in enumerate(zip(*columns, strict=True))
    ]
    lines("a.edg.xml", "edges", rows)
    rows = ['<vType id="car" length="5" minGap="2.5" speedDev="0"/>']
    for car, depart in enumerate(cars.depart):
        edges = " ".join(f"e{number}" for number in link[first[car] : first[car + 1]])
        rows.append(f'<vehicle id="{car}" type="car" depart="{depart:.2f}"><route edges="{edges}"/></vehicle>')
    lines("a.rou.xml", "routes", rows)


def _trip_seconds(path: Path, links: NDArray[np.int64]) -> tuple[list[float], int]:
    """Return the seconds of SUMO's finished trips from their planned departures, and how many links they drove."""
    from xml.etree import ElementTree

    seconds, moves = [], 0
    for _, element in ElementTree.iterparse(path):
        if element.tag == "tripinfo":
            if float(element.get("arrival", "-1")) >= 0:
                seconds.append(float(element.get("duration", "nan")) + float(element.get("departDelay", "0")))
                moves += int(links[int(element.get("id", "-1"))])
            element.clear()
    return seconds, moves


class Mover(NamedTuple):
    """A model of vehicles that move: what is shown of it, its package, and its job."""

    label: str
    package: str
    job: Callable[[Path, str, float, int], dict[str, float]]


MOVERS = {
    "citytwin": Mover("single cars, all trips written", "citytwin", citytwin_cars),
    "uxsim5": Mover("C++, platoons of 5, no log", "uxsim", uxsim_platoons),
    "uxsim1": Mover("C++, single cars, no log", "uxsim", uxsim_single),
    "sumo": Mover("meso, fixed routes, 2 km segments", "eclipse-sumo", sumo_meso),
}
