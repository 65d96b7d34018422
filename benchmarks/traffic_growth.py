"""How the cost of moving vehicles grows with vehicles and with links, and what the memory of the machine would allow.

Streets are a square grid that is closed to a ring in both directions, one lane of 150 m at 50 km/h each, so that no link
differs from another. Every car drives 20 links: some east or west, then the rest north or south. Departures are even over
24 hours. Ways are given, as they are in a city.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from traffic_jobs import cpu, memory

HOPS = 20
DAY = 86_400.0
LINKS_OF_VEHICLES = 30_000
"""Links of the network on which the number of vehicles grows."""
VEHICLES_A_LINK = 10
LEAST_VEHICLES = 100_000
"""Vehicles of the smallest networks, so that there is something to measure."""
BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
"""Of the palette of Okabe and Ito, told apart by all readers."""
COPIED = 1 << 25
"""Float64 values of the copy that measures bandwidth, 256 MB, beyond all caches."""
LINE = 64
"""Bytes that a processor fetches at once."""

# What a passage from one link into the next touches in agents/traffic/kernels.py, where nobody waits and there are no
# signals: elements of each array that are only read, and those that are also written.
READ = {
    "event_next": 1, "event_time": 1, "head": 1, "slots": 4, "slot_vehicle": 1, "slot_exit": 1, "end_state": 1, "path": 1,
    "closed": 1, "places": 2, "gaps": 2, "gap_time": 1, "left_units": 1, "next_exit": 1, "wait_head": 2, "target": 1,
    "free": 2, "gap": 1, "headway": 1, "entry_headway": 1, "centimetres": 1, "milliseconds": 1, "signal_first": 2,
}  # fmt: skip
WRITTEN = {
    "bucket": 2, "event_next": 1, "event_time": 1, "head": 1, "vehicles": 2, "slot_vehicle": 1, "slot_exit": 1,
    "gap_time": 1, "entered_units": 1, "left_units": 1, "next_exit": 1, "next_entry": 1, "entered": 1, "left": 1,
    "spent": 1, "vehicle": 1,
}  # fmt: skip
NOT_LINES = 5
"""Elements of the above that need no line of their own: three ends of ranges (slots, signal_first), which lie beside their
beginnings, and two of the calendar, which stays in the caches."""


def bytes_touched(flow: Any) -> tuple[float, float]:
    """Return the bytes that a passage touches (written ones twice), and those of the lines in which they lie at most."""
    sizes = {name: array.itemsize for part in (flow.streets, flow.state) for name, array in part._asdict().items()}
    sizes["path"] = flow.path.itemsize
    sizes["vehicle"] = flow.vehicles.itemsize * flow.vehicles.shape[1]
    named = sum(count * sizes[name] for name, count in READ.items())
    named += sum(2 * count * sizes[name] for name, count in WRITTEN.items())
    elements = sum(READ.values()) + sum(WRITTEN.values()) - NOT_LINES
    return float(named), float(elements * LINE)


def grid(links: int) -> tuple[Any, int]:
    """Return a network of about so many links, 4 at every crossing, and the crossings of a side."""
    from citytwin.environment.network.network import Network
    from citytwin.environment.roads import Access

    side = max(round((links / 4) ** 0.5), 3)
    node = np.arange(side * side)
    row, column = node // side, node % side
    heads = [
        row * side + (column + 1) % side,
        row * side + (column - 1) % side,
        (row + 1) % side * side + column,
        (row - 1) % side * side + column,
    ]
    count = 4 * len(node)
    network = Network(
        x=column * 150.0,
        y=row * 150.0,
        start=np.repeat(node, 4).astype(np.int32),
        end=np.stack(heads, axis=1).ravel().astype(np.int32),
        length=np.full(count, 150.0),
        speed=np.full(count, 50 / 3.6),
        lanes=np.ones(count),
        capacity=np.full(count, 0.5),
        access=np.full(count, int(Access.CAR), np.uint8),
        rank=np.zeros(count, np.uint8),
        way=np.arange(count),
        through=np.ones(len(node), bool),
    )
    return network, side


def ways(side: int, vehicles: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the origins (vehicles,), and the links of all ways one after the other, each closed by −1."""
    origin = rng.integers(0, side * side, vehicles)
    first = rng.integers(0, HOPS + 1, vehicles)  # links before the corner
    across, along = rng.integers(0, 2, vehicles), 2 + rng.integers(0, 2, vehicles)
    way = np.full((vehicles, HOPS + 1), -1, np.int32)
    row, column = origin // side, origin % side
    for hop in range(HOPS):
        direction = np.where(hop < first, across, along)
        way[:, hop] = 4 * (row * side + column) + direction
        column = (column + np.array([1, -1, 0, 0])[direction]) % side
        row = (row + np.array([0, 0, 1, -1])[direction]) % side
    return origin.astype(np.int32), way.ravel()


def move(links: int, vehicles: int, seed: int) -> dict[str, float]:
    """Move so many vehicles for a day through so many links."""
    from citytwin.agents.traffic.flow import Flow
    from citytwin.agents.traffic.layout import ARRIVED, MOVES, PATH_AT
    from citytwin.environment.network.graph import make_graph
    from citytwin.environment.roads import Access

    network, side = grid(links)
    graph = make_graph(network, Access.CAR)

    def day(count: int) -> tuple[float, float, Any]:
        rng = np.random.default_rng(seed)
        began = cpu()
        origin, path = ways(side, count, rng)
        flow = Flow(
            network,
            graph,
            depart=np.sort(rng.random(count)) * DAY,
            origin=origin,
            destination=np.full(count, -1, np.int32),
            destination_node=np.zeros(0, np.int32),
        )
        flow.path = path
        flow.vehicles[:, PATH_AT] = np.arange(count) * (HOPS + 1)
        ready = cpu()
        flow.advance(DAY + 3_600.0)
        return ready - began, cpu() - ready, flow

    day(100)
    build, run, flow = day(vehicles)
    moves = int(flow.state.counters[MOVES])
    if int(flow.state.counters[ARRIVED]) != vehicles or moves != vehicles * HOPS:
        raise RuntimeError(f"{flow.state.counters[ARRIVED]} of {vehicles} vehicles arrived with {moves} passages")
    named, lines = bytes_touched(flow)
    return {
        "links": network.links,
        "vehicles": vehicles,
        "moves": moves,
        "build": build,
        "run": run,
        "memory": memory(),
        "named": named,
        "lines": lines,
        "bandwidth": bandwidth(),
        "scattered": scattered(),
    }


def bandwidth() -> float:
    """Return the bytes a second that this core copies, read and written ones together, the best of 5."""
    source, target = np.ones(COPIED), np.zeros(COPIED)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, source)
        best = max(best, 2 * source.nbytes / (time.perf_counter() - began))
    return best


def scattered() -> float:
    """Return the seconds of a read at a random place of 256 MB, where many are under way at once, the best of 3."""
    source, out = np.ones(COPIED), np.empty(1 << 22)
    place = np.random.default_rng(1).integers(0, COPIED, len(out))
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        np.take(source, place, out=out, mode="clip")
        best = min(best, (time.perf_counter() - began) / len(out))
    return float(best)


def limits(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return what the memory would need for a passage, in ns."""
    speed, read = max(m["bandwidth"] for m in rows), min(m["scattered"] for m in rows)
    named, lines = rows[-1]["named"], rows[-1]["lines"]
    return {
        "bytes touched, at copy bandwidth": 1e9 * named / speed,
        "all lines, at copy bandwidth": 1e9 * lines / speed,
        "all lines, at the speed of random reads": 1e9 * lines / LINE * read,
    }


def growth_table(rows: list[dict[str, float]]) -> str:
    """Return a table in Markdown."""
    lines = [
        "| links | vehicles | passages, M | CPU s | ns per passage | M passages per CPU s | memory, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {m['links']:,.0f} | {m['vehicles']:,.0f} | {m['moves'] / 1e6:.1f} | {m['run']:.2f} "
        f"| {1e9 * m['run'] / m['moves']:.0f} | {m['moves'] / m['run'] / 1e6:.1f} | {m['memory']:.2f} |"
        for m in rows
    ]
    named, whole = rows[-1]["named"], rows[-1]["lines"]
    speed, read = max(m["bandwidth"] for m in rows), min(m["scattered"] for m in rows)
    lines += [
        "",
        f"A passage touches about {named:.0f} bytes in up to {whole / LINE:.0f} lines of the cache ({whole:,.0f} bytes). "
        f"This core copies {speed / 1e9:.1f} GB/s and reads at random places of 256 MB in {1e9 * read:.1f} ns. By that a "
        f"passage would take: {'; '.join(f'{words}, {ns:.0f} ns' for words, ns in limits(rows).items())}.",
    ]
    return "\n".join(lines)


def plot(rows: list[dict[str, float]], by: str, path: Path) -> None:
    """Draw CPU seconds and nanoseconds a passage against vehicles or links, with what the memory would allow."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sizes = [m[by] for m in rows]
    moves = np.array([m["moves"] for m in rows])
    picture, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    left.loglog(sizes, [m["run"] for m in rows], "o-", color=BLUE, label="measured")
    right.semilogx(sizes, [1e9 * m["run"] / m["moves"] for m in rows], "o-", color=BLUE, label="measured")
    styles = ((GREEN, "--"), (ORANGE, ":"), (BLACK, "-."))
    for (words, ns), (color, style) in zip(limits(rows).items(), styles, strict=True):
        left.loglog(sizes, moves * ns / 1e9, style, color=color, label=words)
        right.axhline(ns, color=color, ls=style)
    left.set_ylabel("CPU seconds of a day, one core")
    left.legend(fontsize="small")
    right.set_ylabel("ns per passage of a link")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel(by)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
    other = (
        f"on {rows[0]['links']:,.0f} links"
        if by == "vehicles"
        else f"{VEHICLES_A_LINK} vehicles a link, {LEAST_VEHICLES:,} at least"
    )
    picture.suptitle(f"Cost of a day of moving vehicles against {by} ({other}, {HOPS} links a trip)")
    picture.savefig(path, dpi=120)
