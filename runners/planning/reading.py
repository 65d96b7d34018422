"""Read the tables ``trips`` and ``links`` of a run piece by piece, and pair the trips of two runs of one seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..storage import store
from ..storage.tables import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

    from ...environment.network.network import Network
    from ..results import Results

TRIPS, LINKS = "trips", "links"
QUARTERS = 96
"""Quarters of an hour of a day."""
QUARTER = 900.0
"""Seconds of a quarter of an hour."""

Rows = dict[str, NDArray[Any]]
"""Columns by name, of one length."""


def runs_of(results: "Results", point: int) -> dict[int, str]:
    """Return the runs of a point that are in the results, by seed.

    Raises:
        StoreError: if there is no such point.
    """
    if not 0 <= point < len(results.points):
        raise StoreError(f"point {point}: there are points 0 to {len(results.points) - 1}")
    rows = results.summary[results.summary["point"] == point]
    return {int(seed): str(run) for seed, run in zip(rows["seed"], rows["run_id"], strict=True)}


def with_pairs(results: "Results", baseline: int) -> list[int]:
    """Return the other points of which a run and one of the baseline have the same seed."""
    seeds = results.summary.loc[results.summary["point"] == baseline, "seed"]
    paired = results.summary.loc[results.summary["seed"].isin(seeds), "point"]
    return sorted(set(paired.tolist()) - {baseline})


def run_pairs(results: "Results", point: int, baseline: int) -> list[tuple[int, str, str]]:
    """Return each seed of which baseline and point both have a run, with the run of the baseline and that of the point.

    Raises:
        StoreError: if there is none.
    """
    base, runs = runs_of(results, baseline), runs_of(results, point)
    pairs = [(seed, base[seed], run) for seed, run in runs.items() if seed in base]
    if not pairs:
        raise StoreError(
            f"points {baseline} and {point}: have no seed in common, so that no run of one can be set against one of the "
            'other; sweep without seeds = "independent", or go on with a sweep that is not finished'
        )
    return pairs


def need(results: "Results", table: str) -> None:
    """Refuse results without a table.

    Raises:
        StoreError: if it is not there; the message says how to keep it.
    """
    if table not in results.tables:
        where = results.directory or "the results"
        raise StoreError(
            f"{where}: no table '{table}' was kept; write tables = [\"{table}\"] under [output] and run again"
        )


def batches(results: "Results", table: str, run: str, columns: Sequence[str]) -> Iterator[Rows]:
    """Yield the rows of one run, a piece at a time, so that a large table is never whole in memory.

    Args:
        results: the results.
        table: name of the table.
        run: the run.
        columns: those that are wanted.

    Raises:
        StoreError: if the table lacks one of the columns, or a file is damaged.
    """
    for piece in _pieces(results, table, run, columns):
        if len(piece):
            yield {name: piece.column(name).to_numpy() for name in columns}


def rows_of(results: "Results", table: str, run: str, columns: Sequence[str]) -> Rows:
    """Return columns of all rows of one run; see :func:`batches`."""
    pieces = list(batches(results, table, run, columns))
    return {name: np.concatenate([piece[name] for piece in pieces]) if pieces else np.empty(0) for name in columns}


def _pieces(results: "Results", table: str, run: str, columns: Sequence[str]) -> "Iterator[pa.Table]":
    """Yield tables with the columns of one run: a row group at a time."""
    import pyarrow as pa

    if results.directory is None:
        frame = results.table(table, columns=list(dict.fromkeys(["run_id", *columns])))
        yield pa.Table.from_pandas(frame.loc[frame["run_id"] == run, list(columns)], preserve_index=False)
        return
    yield from store.run_pieces(results.directory, table, run, columns)


# ---------------------------------------------------------------------- links


def link_days(results: "Results", run: str, links: int) -> tuple[Rows, int]:
    """Return what happened on each link on an average day of a run.

    Args:
        results: the results.
        run: the run.
        links: number of links.

    Returns:
        ``entered`` and ``left`` (vehicles a day), ``left_bus`` (buses of these), ``seconds`` (that those which left spent on
        the link, summed) and ``peak`` (most vehicles that left in one clock hour), each float64 (links,); and the number of
        days.

    Raises:
        StoreError: if the table names other links.
    """
    counts = ("entered", "left", "left_bus")
    sums = {name: np.zeros(links) for name in (*counts, "seconds")}
    hours: dict[int, NDArray[np.float64]] = {}
    days: set[int] = set()
    for rows in batches(results, LINKS, run, ("day", "quarter", "link", *counts, "travel_seconds")):
        link = _known(rows["link"], links)
        left = rows["left"].astype(float)
        seconds = np.where(left > 0, left * np.nan_to_num(rows["travel_seconds"].astype(float)), 0.0)
        for name in counts:
            sums[name] += np.bincount(link, rows[name].astype(float), links)
        sums["seconds"] += np.bincount(link, seconds, links)
        hour = rows["day"].astype(np.int64) * 24 + rows["quarter"] // 4
        days.update(np.unique(rows["day"]).tolist())
        for at in np.unique(hour).tolist():
            now = hour == at
            hours[at] = hours.get(at, np.zeros(links)) + np.bincount(link[now], left[now], links)
    count = max(len(days), 1)
    peak = np.max(list(hours.values()), axis=0) if hours else np.zeros(links)
    return {name: values / count for name, values in sums.items()} | {"peak": peak}, count


def quarters(results: "Results", run: str, day: int, links: int) -> Rows:
    """Return the quarters of an hour of one day of a run.

    Returns:
        ``left`` (vehicles in the quarter) and ``speed`` (m/s; missing where nobody was), float32 (96, links).

    Raises:
        StoreError: if the table names other links, or has no row of the day.
    """
    left = np.zeros((QUARTERS, links), np.float32)
    speed = np.full((QUARTERS, links), np.nan, np.float32)
    found: set[int] = set()
    for rows in batches(results, LINKS, run, ("day", "quarter", "link", "left", "speed")):
        found.update(np.unique(rows["day"]).tolist())
        now = rows["day"] == day
        quarter, link = rows["quarter"][now].astype(np.int64), _known(rows["link"][now], links)
        left[quarter, link] = rows["left"][now]
        speed[quarter, link] = rows["speed"][now]
    if day not in found:
        there = f"days {min(found)} to {max(found)}" if found else "no day"
        raise StoreError(f"day {day}: the links table of run {run} has {there}")
    return {"left": left, "speed": speed}


def _known(link: NDArray[Any], links: int) -> NDArray[np.int64]:
    if len(link) and not 0 <= int(link.min()) <= int(link.max()) < links:
        raise StoreError(f"the links table names link {link.max()}, its city has {links}; was the city replaced?")
    return link.astype(np.int64)


# ---------------------------------------------------------------------- trips


@dataclass(frozen=True)
class Pairs:
    """Trips of the same people in two runs: the n-th of a person's day in one and in the other.

    Attributes:
        day, person: int64 (n,).
        mode_before, mode_after: int64 (n,).
        before, after: float64 (n,) seconds from departure to arrival; missing where the trip did not end.
        days: number of days.
        alone: int64 (m,) persons of trips of one run without a partner in the other, or with one to another sort of place.
    """

    day: NDArray[np.int64]
    person: NDArray[np.int64]
    mode_before: NDArray[np.int64]
    mode_after: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    days: int
    alone: NDArray[np.int64]


TRIP_COLUMNS = ("day", "person", "purpose", "mode", "depart", "arrive")


def paired_trips(before: Rows, after: Rows) -> Pairs:
    """Pair the trips of two runs by day, person and order of departure; trips of nobody's day are left out.

    Args:
        before, after: trips with :data:`TRIP_COLUMNS`.
    """
    sides = [{name: values[rows["person"] >= 0] for name, values in rows.items()} for rows in (before, after)]
    people = 1 + max((int(side["person"].max()) for side in sides if len(side["person"])), default=0)
    ranks = [_ranks(side) for side in sides]
    most = 1 + max((int(rank.max()) for rank in ranks if len(rank)), default=0)
    keys = [
        (side["day"].astype(np.int64) * people + side["person"]) * most + rank
        for side, rank in zip(sides, ranks, strict=True)
    ]
    _, first, second = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    same = sides[0]["purpose"][first] == sides[1]["purpose"][second]
    first, second = first[same], second[same]
    old, new = sides
    return Pairs(
        day=old["day"][first].astype(np.int64),
        person=old["person"][first].astype(np.int64),
        mode_before=old["mode"][first].astype(np.int64),
        mode_after=new["mode"][second].astype(np.int64),
        before=(old["arrive"] - old["depart"])[first],
        after=(new["arrive"] - new["depart"])[second],
        days=max(len(np.unique(old["day"])), 1),
        alone=np.concatenate([np.delete(old["person"], first), np.delete(new["person"], second)]).astype(np.int64),
    )


def _ranks(rows: Rows) -> NDArray[np.int64]:
    """Return of each trip how many the person began before on that day."""
    count = len(rows["person"])
    order = np.lexsort((np.arange(count), rows["depart"], rows["person"], rows["day"]))
    day, person = rows["day"][order], rows["person"][order]
    fresh = np.ones(count, bool)
    fresh[1:] = (day[1:] != day[:-1]) | (person[1:] != person[:-1])
    begin = np.maximum.accumulate(np.where(fresh, np.arange(count), 0))
    ranks = np.empty(count, np.int64)
    ranks[order] = np.arange(count) - begin
    return ranks


# ---------------------------------------------------------------------- links of two networks


def same_links(one: "Network", other: "Network") -> NDArray[np.int64]:
    """Return for each link of one network the same link of another, −1 where it has none, (links,).

    Links are the same whose street and ends are, to the decimetre; a network compared with itself gives its rows.
    """
    if one is other:
        return np.arange(one.links)
    known = {key: row for row, key in reversed(list(enumerate(_link_keys(other))))}
    return np.array([known.get(key, -1) for key in _link_keys(one)], np.int64)


def _link_keys(network: "Network") -> list[tuple[int, ...]]:
    """Return street and ends of each link, and how many links with the same came before it."""
    x, y = (np.rint(values * 10).astype(np.int64) for values in (network.x, network.y))
    ends = (network.start, network.end)
    columns = [network.way.tolist(), *(axis[node].tolist() for node in ends for axis in (x, y))]
    seen: dict[tuple[int, ...], int] = {}
    keys = []
    for key in zip(*columns, strict=True):
        seen[key] = seen.get(key, -1) + 1
        keys.append((*key, seen[key]))
    return keys
