"""Command for static assignment: flows at which nobody would gain by another path."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import JsonOption, app

if TYPE_CHECKING:
    import pandas

    from ...agents.assignment import Assignment, Demand, Streets

METADATA = b"citytwin.assignment"
"""Key of Parquet metadata by which a file of flows is known."""
SUFFIXES = (".parquet", ".csv")
_LARGEST = 10  # links shown


@app.command("assign")
def assign_trips(
    network: Annotated[
        Path, typer.Option("--network", metavar="FILE", help="A TNTP network (…_net.tntp), or a city bundle.")
    ],
    trips: Annotated[
        Path,
        typer.Option(
            "--trips", metavar="FILE", help="TNTP trips (…_trips.tntp), or a CSV with origin, destination, trips."
        ),
    ],
    gap: Annotated[float, typer.Option("--gap", help="Relative gap at which to end.")] = 1e-6,
    method: Annotated[
        str, typer.Option("--method", help="paths: by paths, the quicker; links: bi-conjugate Frank–Wolfe.")
    ] = "paths",
    iterations: Annotated[int, typer.Option("--iterations", help="Most rounds of shortest-path trees.")] = 100_000,
    toll_weight: Annotated[float, typer.Option("--toll-weight", help="Time that a unit of toll is worth.")] = 0.0,
    length_weight: Annotated[
        float, typer.Option("--length-weight", help="Time that a unit of length is worth on top of what it takes.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Table of flows by link to write: .parquet or .csv.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Assign trips to streets so that nobody would save time by another path (static user equilibrium).

    Times and costs are in the units of the network: seconds for a city bundle, whose nodes are numbered from 0 and whose
    trips are vehicles an hour; what the file uses for TNTP, whose nodes are numbered from 1.

    \b
    Examples:
        citytwin assign --network Anaheim_net.tntp --trips Anaheim_trips.tntp --gap 1e-6 --json
        citytwin assign --network town.city --trips morning.csv --out flows.parquet
    """
    from ...agents.assignment import assign
    from ..progress import progress_bar, sign_of_life

    if out is not None:
        _check_target(out)
    with sign_of_life("reading network and trips"):
        streets, demand = _read(network, trips, toll_weight, length_weight)
    with progress_bar("steps") as move:
        found = assign(
            streets,
            demand,
            gap=gap,
            method=method,  # type: ignore[arg-type]
            iterations=iterations,
            progress=_way_to(gap, move),
        )
    table = _table(streets, found)
    if out is not None:
        _write(table, found, out)
    facts = _facts(streets, found, network, trips)
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else _text(facts, table))
    if out is not None:
        typer.echo(f"\nFlows by link: {out}", err=as_json)
    if not found.converged:
        typer.echo(f"The gap is {found.relative_gap:.2e} after {found.iterations} rounds, not {gap:g}.", err=True)
        raise typer.Exit(1)


def _read(network: Path, trips: Path, toll_weight: float, length_weight: float) -> "tuple[Streets, Demand]":
    from ...agents.assignment import Demand, Streets, streets_of
    from ...environment.network.tntp import read_network, read_trips

    zones = None
    if network.is_dir():
        from ...environment.city import City
        from ...environment.network.of_city import network_of_city

        whole = network_of_city(City.load(network))
        streets = streets_of(whole, toll_weight=toll_weight, length_weight=length_weight)
    else:
        net = read_network(network)
        zones = net.zones
        streets = Streets.of_tntp(net, toll_weight=toll_weight, length_weight=length_weight)
    if trips.suffix.lower() == ".csv":
        return streets, Demand.of_csv(trips, zones or streets.places, streets.first_name)
    if zones is None:
        raise typer.BadParameter("trips of a city come as a .csv with origin, destination, trips", param_hint="--trips")
    return streets, Demand.of_tntp(read_trips(trips, zones))


def _way_to(gap: float, move: Callable[[int, int, float | None, str], None]) -> Callable[[int, float], None]:
    """Return how to show a gap: equal steps on a logarithmic scale from 1 to the gap wanted."""
    total = max(round(-10 * math.log10(gap)), 1) if 0 < gap < 1 else 1
    done = 0

    def show(iteration: int, reached: float) -> None:
        nonlocal done  # gaps may rise for a round, what is shown does not
        done = total if reached <= gap else max(min(round(-10 * math.log10(reached)), total - 1), done)
        move(done, total, None, f"gap {reached:.1e} (round {iteration})")

    return show


def _facts(streets: "Streets", found: "Assignment", network: Path, trips: Path) -> dict[str, Any]:
    return {
        "network": str(network),
        "trips_file": str(trips),
        "method": found.method,
        "nodes": streets.places,
        "links": int((streets.link >= 0).sum()),
        "trips": found.trips,
        "intrazonal_trips": found.intrazonal,
        "objective": found.objective,
        "relative_gap": found.relative_gap,
        "average_excess_cost": found.average_excess_cost,
        "iterations": found.iterations,
        "converged": found.converged,
        "total_time": found.total_time,
        "total_cost": found.total_cost,
        "max_node_imbalance": found.max_node_imbalance,
        "cpu_seconds": found.cpu_seconds,
    }


def _text(facts: dict[str, Any], table: "pandas.DataFrame") -> str:
    mean = facts["total_time"] / facts["trips"] if facts["trips"] else 0.0
    rows = [
        ("trips assigned", f"{facts['trips']:,.2f}"),
        ("trips inside a zone, not assigned", f"{facts['intrazonal_trips']:,.2f}"),
        ("total time", f"{facts['total_time']:,.3f}"),
        ("mean time of a trip", f"{mean:,.4f}"),
        ("objective", f"{facts['objective']:,.6f}"),
        ("relative gap", f"{facts['relative_gap']:.2e}"),
        ("average excess cost", f"{facts['average_excess_cost']:.2e}"),
        ("rounds", f"{facts['iterations']:,}"),
        ("largest imbalance of a node", f"{facts['max_node_imbalance']:.1e}"),
        ("processor seconds", f"{facts['cpu_seconds']:.3f}"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{Path(facts['network']).name}: {facts['nodes']:,} nodes, {facts['links']:,} links", ""]
    lines += [f"{name:<{width}}  {value:>20}" for name, value in rows]
    lines += ["", "Links that delay most:", f"{'from':>8} {'to':>8} {'flow':>12} {'flow/capacity':>14} {'time':>12}"]
    delay = table["flow"] * (table["time"] - table["free_time"])
    for row in table.loc[delay.nlargest(_LARGEST).index].itertuples():
        lines.append(f"{row.start:>8} {row.end:>8} {row.flow:>12,.1f} {row.flow_to_capacity:>14.3f} {row.time:>12,.3f}")
    return "\n".join(lines)


def _table(streets: "Streets", found: "Assignment") -> "pandas.DataFrame":
    """Return flows and costs, a row a link, with the numbers that nodes have in the network's own files."""
    import pandas

    columns = {
        "link": streets.link + streets.first_name,
        "start": streets.names(streets.start),
        "end": streets.names(streets.end),
        "flow": found.flow,
        "time": found.time,
        "cost": found.cost,
        "free_time": streets.free_time,
        "capacity": streets.capacity,
        "flow_to_capacity": found.flow / streets.capacity,
    }
    return pandas.DataFrame({name: values[streets.link >= 0] for name, values in columns.items()})


def _check_target(path: Path) -> None:
    """Refuse a file that must not be written; one that this command wrote may be replaced."""
    from ...agents.assignment import AssignmentError

    if path.suffix.lower() not in SUFFIXES:
        raise AssignmentError(f"{path}: the name must end with {' or '.join(SUFFIXES)}")
    if path.is_dir():
        raise AssignmentError(f"{path}: is a directory; choose another name")
    if not path.parent.is_dir():
        raise AssignmentError(f"{path}: the folder {path.parent} does not exist; make it first")
    try:
        content = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise AssignmentError(f"{path}: cannot be read ({error.strerror or error})") from None
    ours = b"link,start,end,flow," if path.suffix.lower() == ".csv" else METADATA
    if content is not None and ours not in content:
        raise AssignmentError(f"{path}: exists and was not made by citytwin; choose another name or remove it first")


def _write(table: "pandas.DataFrame", found: "Assignment", path: Path) -> None:
    from ...agents.assignment import AssignmentError

    try:
        if path.suffix.lower() == ".csv":
            table.to_csv(path, index=False)
            return
        import pyarrow
        from pyarrow import parquet

        whole = pyarrow.Table.from_pandas(table, preserve_index=False)
        origin = {"objective": found.objective, "relative_gap": found.relative_gap, "method": found.method}
        metadata = {**(whole.schema.metadata or {}), METADATA: json.dumps(origin).encode()}
        parquet.write_table(whole.replace_schema_metadata(metadata), path)
    except OSError as error:
        raise AssignmentError(f"{path}: cannot be written ({error.strerror or error})") from None
