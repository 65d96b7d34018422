"""Who gains and who loses, in words: tables for a terminal, and facts for scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compare import LEVEL, Measure
from ..labels import amount, point_label, short_names, spread
from ..report import aligned
from .areas import AROUND, read_shapes
from .gains import ALL, NOTABLE, gains
from .reading import LINKS, TRIPS, need
from .traffic import CITY, RatRun, compare_traffic

if TYPE_CHECKING:
    import pandas as pd

    from ..results import Results

ZONES = 5
"""Zones that a terminal shows of those that lose most, and of those that gain most."""
_BY = {"mode": "by mode before", "age": "by age", "cars": "by cars of the household", "zone": "by zone of home"}
_MINUTES = Measure("change", "change", "min", 1.0, 2)
_WHOLE = Measure("", "", "")
_TENTH = Measure("", "", "", 1.0, 1)
_FIGURES = {
    "through": "through traffic, vehicles",
    "vehicle_km": "vehicle-km",
    "vehicle_hours": "vehicle-hours",
    "delay_hours": "hours of delay",
}
_PARTS = {"inside": "inside", "perimeter": "on its perimeter", "around": f"within {AROUND:g} m around"}


def planning_facts(results: "Results", baseline: int = 0, area: Path | None = None) -> dict[int, dict[str, Any]]:
    """Return by point what differs from the baseline, JSON-able: ``travel``, ``traffic`` and ``rat_runs``.

    What the results have no table for is left out; None stands for what is not known.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        area: file with polygons, for through traffic.

    Raises:
        StoreError: if the file cannot be read, or needs a table ``links`` that is not there.
    """
    found: dict[int, dict[str, Any]] = {}
    for point, travel, traffic, runs in _compared(results, baseline, area):
        facts: dict[str, Any] = {}
        if travel is not None:
            facts["travel"] = _records(travel)
        if traffic is not None:
            facts["traffic"] = _records(traffic)
            facts["rat_runs"] = {place: [asdict(run) for run in named] for place, named in runs.items()}
        found[point] = facts
    return found


def planning_text(results: "Results", baseline: int = 0, area: Path | None = None) -> str:
    """Return who gains and who loses at each point, for a terminal; nothing if no trips and links were kept.

    Args:
        results, baseline, area: as for :func:`planning_facts`.
    """
    names = short_names(results.info["parameters"])
    lines: list[str] = []
    for point, travel, traffic, runs in _compared(results, baseline, area):
        lines += ["", f"Point {point} against point {baseline}: {point_label(results.points[point], names)}"]
        if travel is not None:
            lines += ["", *_travel_lines(travel)]
        if traffic is not None:
            lines += ["", *_traffic_lines(traffic)]
            for place, named in runs.items():
                lines += _rat_run_lines(place, named)
    return "\n".join(lines[1:])


def _compared(
    results: "Results", baseline: int, area: Path | None
) -> "Iterator[tuple[int, pd.DataFrame | None, pd.DataFrame | None, dict[str, list[RatRun]]]]":
    """Yield for each other point with runs: its number, travel times, traffic and rat runs, None without a table."""
    tables = results.tables
    if area is not None:
        need(results, LINKS)
    if not {TRIPS, LINKS} & set(tables) or results.directory is None:
        return
    shapes: dict[str, Any] = {}
    if area is not None:
        from ..geo import city_of

        shapes = read_shapes(area, city_of(results, baseline).info.crs)
    for point in sorted(set(results.summary["point"].tolist()) - {baseline}):
        travel = gains(results, point, baseline) if TRIPS in tables else None
        traffic, runs = compare_traffic(results, point, baseline, shapes) if LINKS in tables else (None, {})
        yield point, travel, traffic, runs


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [
        {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _travel_lines(travel: "pd.DataFrame") -> list[str]:
    """Return the table of who gains and who loses; of many zones, those that change most."""
    heads = ["", "people", "before, min", f"change, min ({LEVEL:.0%} interval)", "better off", "worse off"]
    stranded = bool((travel["stranded"] != 0).any())
    heads += ["trips that no longer arrive"] if stranded else []
    rows: list[list[str]] = []
    left_out = 0
    for by, part in travel.groupby("by", sort=False):
        shown = part
        if by == "zone":
            shown = part.sort_values("change", ascending=False, kind="stable")
            if len(shown) > 2 * ZONES:
                left_out = len(shown) - 2 * ZONES
                shown = shown.iloc[[*range(ZONES), *range(len(shown) - ZONES, len(shown))]]
        if by != ALL:
            rows.append([_BY[str(by)], *[""] * (len(heads) - 1)])
        for row in shown.to_dict("records"):
            cells = [
                ("" if by == ALL else "  ") + row["group"],
                amount(row["people"], _WHOLE),
                amount(row["before"], _TENTH),
                spread(row["change"], row["low"], row["high"], _MINUTES),
                f"{row['better']:.1%}",
                f"{row['worse']:.1%}",
            ]
            rows.append(cells + ([amount(row["stranded"], _TENTH, sign=True)] if stranded else []))
    pairs = int(travel["pairs"].max())
    lines = [
        f"Travel time a person and day: {pairs} pair{'s' * (pairs > 1)} of runs; "
        f"better or worse off: by more than {NOTABLE / 60:g} min",
        *_table(heads, rows),
    ]
    return lines + ([f"{left_out} zones between these are left out; --json has all"] if left_out else [])


def _traffic_lines(traffic: "pd.DataFrame") -> list[str]:
    rows = []
    for place, part in traffic.groupby("place", sort=False):
        rows.append([str(place), "", "", "", ""])
        for row in part.to_dict("records"):
            head, _, rest = row["figure"].partition("_")
            name = f"{_FIGURES[rest]} {_PARTS[head]}" if head in _PARTS else _FIGURES[row["figure"]]
            change = row["after"] - row["before"]
            share = amount(100 * change / row["before"], _TENTH, sign=True) + " %" if row["before"] else "–"
            figures = (amount(row["before"], _TENTH), amount(row["after"], _TENTH), amount(change, _TENTH, sign=True))
            rows.append([f"  {name}", *figures, share])
    return ["Traffic on an average day", *_table(["", "before", "after", "change", "of before"], rows)]


def _rat_run_lines(place: str, named: Sequence[RatRun]) -> list[str]:
    if not named:
        return []
    where = "" if place == CITY else f" around {place}"
    rows = [
        [run.street, *(amount(value, _WHOLE) for value in (run.before, run.after)), amount(run.rise, _WHOLE, sign=True)]
        for run in named
    ]
    head = f"Minor streets{where} with more through traffic, vehicles a day"
    return ["", head, *_table(["", "before", "after", "change"], rows)]


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table whose first column is flush left."""
    width = max(len(row[0]) for row in rows)
    return aligned(heads, [[row[0].ljust(width), *row[1:]] for row in rows])
