"""The job that static assignments do side by side: the flows of a TNTP network down to a gap."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from traffic_jobs import cpu, file_of, memory


def _static(data: Path, name: str) -> tuple[Any, Any, Any, Any]:
    from citytwin.agents.assignment import Demand, Streets
    from citytwin.environment.network.tntp import read_network, read_trips

    net = read_network(file_of(data, name, "net"))
    trips = read_trips(file_of(data, name, "trips"), net.zones)
    return net, trips, Streets.of_tntp(net), Demand.of_tntp(trips)


def imbalance(net: Any, trips: Any, flow: NDArray[np.float64]) -> float:
    """Return the most trips by which any node's inflow, outflow and demand do not match."""
    between = trips.origin != trips.destination
    size = net.nodes
    left = np.bincount(net.start, flow, size) - np.bincount(net.end, flow, size)
    left -= np.bincount(trips.origin[between], trips.trips[between], size)
    left += np.bincount(trips.destination[between], trips.trips[between], size)
    return float(np.abs(left).max())


def citytwin_static(data: Path, name: str, gap: float) -> dict[str, float]:
    """Gradient projection on paths."""
    from citytwin.agents.assignment import assign

    net, trips, streets, demand = _static(data, name)
    found = assign(streets, demand, gap=gap)
    return {
        "run": found.cpu_seconds,
        "gap": found.relative_gap,
        "rounds": found.iterations,
        "objective": found.objective,
        "imbalance": imbalance(net, trips, found.flow),
        "memory": memory(),
    }


def aequilibrae_static(data: Path, name: str, gap: float) -> dict[str, float]:
    """Bi-conjugate Frank-Wolfe on one core; a first run with one round is not counted.

    AequilibraE refuses powers below 1. Links with power 0 have a constant time, which is written as one without congestion.
    """
    import pandas as pd
    from aequilibrae.matrix import AequilibraeMatrix
    from aequilibrae.paths import Graph, TrafficAssignment, TrafficClass

    net, trips, streets, _ = _static(data, name)
    constant = net.power == 0
    table = {
        "link_id": np.arange(1, net.links + 1),
        "a_node": net.start + 1,
        "b_node": net.end + 1,
        "direction": 1,
        "capacity": net.capacity,
        "free_flow_time": net.free_time * np.where(constant, 1.0 + net.b, 1.0),
        "b": np.where(constant, 0.0, net.b),
        "power": np.where(constant, 1.0, net.power),
    }
    zones = np.arange(1, net.zones + 1)
    matrix = AequilibraeMatrix()
    matrix.create_empty(zones=net.zones, matrix_names=["cars"], memory_only=True)
    matrix.index[:] = zones
    whole = np.zeros((net.zones, net.zones))
    whole[trips.origin, trips.destination] = trips.trips
    np.fill_diagonal(whole, 0.0)
    matrix.matrix["cars"][:, :] = whole
    matrix.computational_view(["cars"])

    def search(rounds: int) -> tuple[float, Any]:
        graph = Graph()
        graph.network = pd.DataFrame(table)
        graph.prepare_graph(zones)
        graph.set_graph("free_flow_time")
        graph.set_blocked_centroid_flows(not net.through.all())
        assignment = TrafficAssignment()
        assignment.set_classes([TrafficClass("cars", graph, matrix)])
        assignment.set_vdf("BPR")
        assignment.set_vdf_parameters({"alpha": "b", "beta": "power"})
        assignment.set_capacity_field("capacity")
        assignment.set_time_field("free_flow_time")
        assignment.set_algorithm("bfw")
        assignment.max_iter = rounds
        assignment.rgap_target = gap
        assignment.set_cores(1)
        began = cpu()
        assignment.execute(log_specification=False)
        return cpu() - began, assignment

    search(1)
    spent, assignment = search(20_000)
    flow = assignment.results()["cars_tot"].reindex(table["link_id"]).fillna(0.0).to_numpy()
    return {
        "run": spent,
        "gap": float(assignment.assignment.rgap),
        "rounds": int(assignment.assignment.iter),
        "objective": streets.objective(flow),
        "imbalance": imbalance(net, trips, flow),
        "memory": memory(),
    }


def best_objective(data: Path, name: str) -> float:
    """Return the objective of the best flows known, from the network's ``_flow.tntp`` file."""
    net, _, streets, _ = _static(data, name)
    rows = [line.split() for line in file_of(data, name, "flow").read_text(encoding="utf-8").splitlines()]
    flows: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        numbers = [word for word in row if word not in (":", ";")]
        if len(numbers) >= 3 and numbers[0].isdigit() and numbers[1].isdigit():
            flows.setdefault((int(numbers[0]) - 1, int(numbers[1]) - 1), []).append(float(numbers[2]))
    pairs = zip(net.start.tolist(), net.end.tolist(), strict=True)
    return float(streets.objective(np.array([flows[pair].pop(0) for pair in pairs])))


class Assigner(NamedTuple):
    """A static assignment: what is shown of it, its package, and its job."""

    label: str
    package: str
    job: Callable[[Path, str, float], dict[str, float]]


ASSIGNERS = {
    "citytwin": Assigner("paths", "citytwin", citytwin_static),
    "aequilibrae": Assigner("bi-conjugate Frank-Wolfe", "aequilibrae", aequilibrae_static),
}
