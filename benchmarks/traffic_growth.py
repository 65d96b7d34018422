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
LINE = 64
"""Bytes that a processor fetches at once."""
COPIED = 1 << 25
"""Float64 values of the copy that measures bandwidth, 256 MB, beyond all caches."""

# What a passage from one link into the next touches in agents/traffic/kernels.py, where nobody waits, there are no signals
# and the link entered is empty: records of agents/traffic/layout.py with the fields only read and those also written.
TOUCHED = (
    ("EVENT", ("time", "next"), ()),  # of the link left
    ("EVENT", (), ("time", "next")),  # of the link entered
    (
        "LINK",  # left
        ("free", "headway", "gap", "place_first", "ring", "windows", "waiting"),
        ("head", "vehicles", "units", "next_exit", "left", "spent"),
    ),
    (
        "LINK",  # entered
        (
            "free",
            "entry_headway",
            "place_first",
            "places",
            "ring",
            "centimetres",
            "windows",
            "closed",
            "head",
            "waiting",
            "next_exit",
        ),
        ("vehicles", "units", "next_entry", "entered"),
    ),
    ("PLACE", ("exit", "vehicle"), ("free_at",)),  # at the end of the link left
    ("PLACE", ("free_at",), ("exit", "vehicle")),  # at the beginning of the link entered
)
ROW_READ, ROW_WRITTEN, ROW = 8, 12, 32
"""Bytes of the row of the vehicle: size and flags, next link and metres and seconds driven; and its size."""
WAY = 4
"""Bytes of the next link in the paths."""


def bytes_touched() -> tuple[float, float]:
    """Return the bytes that a passage touches (written ones twice), and those of the lines in which they lie at most."""
    from citytwin.agents.traffic import layout

    named = ROW_READ + 2 * ROW_WRITTEN + WAY
    lines = [ROW, WAY]
    for name, read, written in TOUCHED:
        record = getattr(layout, name)
        sizes = {field: kind.itemsize for field, (kind, _) in record.fields.items()}
        named += sum(sizes[field] for field in read) + 2 * sum(sizes[field] for field in written)
        lines.append(record.itemsize)
    return float(named), float(sum(-(-size // LINE) * LINE for size in lines))


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
    named, lines = bytes_touched()
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
    """Return the bytes a processor second that this core copies, read and written ones together, the best of 5."""
    source, target = np.ones(COPIED), np.zeros(COPIED)
    best = 0.0
    for _ in range(5):
        began = time.process_time()
        np.copyto(target, source)
        best = max(best, 2 * source.nbytes / (time.process_time() - began))
    return best


def scattered() -> float:
    """Return the seconds of a read at a random place of 256 MB, where many are under way at once, the best of 3."""
    source, out = np.ones(COPIED), np.empty(1 << 22)
    place = np.random.default_rng(1).integers(0, COPIED, len(out))
    best = np.inf
    for _ in range(3):
        began = time.process_time()
        np.take(source, place, out=out, mode="clip")
        best = min(best, (time.process_time() - began) / len(out))
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
