"""Who gains and who loses, in words: tables for a terminal, and facts for scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compare import LEVEL, Measure
from ..geo import city_of
from ..labels import amount, point_label, short_names, spread
from ..report import Grid, aligned
from .areas import AROUND, design_shapes, read_shapes
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
    "co2_kg": "CO₂, kg",
    "nox_g": "NOx, g",
    "pm10_g": "PM10, g",
}
_EVENNESS = {
    "gini": ("Gini coefficient", Measure("", "", "", 1.0, 4)),
    "theil": ("Theil’s index", Measure("", "", "", 1.0, 4)),
    "worst_tenth": ("the tenth that travels longest, min", _TENTH),
    "worst_change": ("the tenth that loses most, min", _MINUTES),
}
_PARTS = {"inside": "inside", "perimeter": "on its perimeter", "around": f"within {AROUND:g} m around"}


def planning_facts(results: "Results", baseline: int = 0, area: Path | None = None) -> dict[int, dict[str, Any]]:
    """Return by point what differs from the baseline, JSON-able: ``travel``, ``evenness``, ``traffic``, ``rat_runs``.

    What the results have no table for is left out; None stands for what is not known.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        area: file with polygons, for through traffic; without it the superblocks of the point's designs.

    Raises:
        StoreError: if the file cannot be read, or needs a table ``links`` that is not there.
    """
    found: dict[int, dict[str, Any]] = {}
    for change in compared(results, baseline, area):
        facts: dict[str, Any] = {}
        if change.travel is not None and change.evenness is not None:
            facts |= {"travel": _records(change.travel), "evenness": _records(change.evenness)}
        if change.traffic is not None:
            facts["traffic"] = _records(change.traffic)
            facts["rat_runs"] = {place: [asdict(run) for run in named] for place, named in change.rat_runs.items()}
        found[change.point] = facts
    return found


def planning_text(results: "Results", baseline: int = 0, area: Path | None = None) -> str:
    """Return who gains and who loses at each point, for a terminal; nothing if no trips and links were kept.

    Args:
        results, baseline, area: as for :func:`planning_facts`.
    """
    lines: list[str] = []
    for change in compared(results, baseline, area):
        lines += ["", title_of(results, change.point, baseline)]
        for head, (heads, rows), note in grids(change):
            lines += ["", *([head] if head else []), *_table(heads, rows), *([note] if note else [])]
    return "\n".join(lines[1:])


def title_of(results: "Results", point: int, baseline: int) -> str:
    """Return which points are compared, in one line."""
    names = short_names(results.info["parameters"])
    return f"Point {point} against point {baseline}: {point_label(results.points[point], names)}"


@dataclass(frozen=True)
class Change:
    """What differs at a point from the baseline; None, or empty, where the results have no table for it.

    Attributes:
        point: the point.
        travel, evenness: from :func:`.gains.gains`.
        traffic, rat_runs: from :func:`.traffic.compare_traffic`.
    """

    point: int
    travel: "pd.DataFrame | None" = None
    evenness: "pd.DataFrame | None" = None
    traffic: "pd.DataFrame | None" = None
    rat_runs: dict[str, list[RatRun]] = field(default_factory=dict)


def compared(results: "Results", baseline: int = 0, area: Path | None = None) -> Iterator[Change]:
    """Yield what differs at each other point with runs.

    Args:
        results, baseline, area: as for :func:`planning_facts`.

    Raises:
        StoreError: as :func:`planning_facts`.
    """
    tables = results.tables
    if area is not None:
        need(results, LINKS)
    if not {TRIPS, LINKS} & set(tables) or results.directory is None:
        return
    for point in sorted(set(results.summary["point"].tolist()) - {baseline}):
        found: dict[str, Any] = {}
        if TRIPS in tables:
            travel, evenness = gains(results, point, baseline)
            if len(travel):  # there is none where nobody of the city made a trip
                found["travel"], found["evenness"] = travel, evenness
        if LINKS in tables:
            crs = city_of(results, baseline).info.crs
            shapes = design_shapes(results, point, crs) if area is None else read_shapes(area, crs)
            found["traffic"], found["rat_runs"] = compare_traffic(results, point, baseline, shapes)
        yield Change(point, **found)


def grids(change: Change) -> Iterator[tuple[str, Grid, str]]:
    """Yield the tables of a change, each with what stands above it, and a note below."""
    if change.travel is not None and change.evenness is not None:
        yield _travel_grid(change.travel)
        if len(change.evenness):
            yield _evenness_grid(change.evenness)
    if change.traffic is not None:
        yield _traffic_grid(change.traffic)
    for place, named in change.rat_runs.items():
        if named:
            yield _rat_run_grid(place, named)


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [
        {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _travel_grid(travel: "pd.DataFrame") -> tuple[str, Grid, str]:
    """Return the table of who gains and who loses; of many zones, those that change most."""
    heads = ["", "people", "before, min", f"change, min ({LEVEL:.0%} interval)", "better off", "worse off"]
    stranded = bool((travel["stranded"] != 0).any())
    heads += ["trips that no longer arrive"] if stranded else []
    rows: list[list[str]] = []
    notes = []
    for by, part in travel.groupby("by", sort=False):
        shown = part
        if by == "zone":
            shown = part.sort_values("change", ascending=False, kind="stable")
            if len(shown) > 2 * ZONES:
                notes.append(f"{len(shown) - 2 * ZONES} zones between these are left out; --json has all")
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
    whole = travel[travel["by"] == ALL].iloc[0]
    if whole["unpaired"]:
        notes.insert(0, f"Of trips made in both; {amount(whole['unpaired'], _WHOLE)} trips a day are made in one only")
    pairs = int(whole["pairs"])
    head = f"Travel time a person and day: {pairs} pair{'s' * (pairs > 1)} of runs; "
    return head + f"better or worse off: by more than {NOTABLE / 60:g} min", (heads, rows), ". ".join(notes)


def _evenness_grid(evenness: "pd.DataFrame") -> tuple[str, Grid, str]:
    rows = []
    for row in evenness.to_dict("records"):
        label, measure = _EVENNESS[row["measure"]]
        change = amount(row["after"] - row["before"], measure, sign=True)
        sides = ["", ""] if row["measure"] == "worst_change" else [amount(row[s], measure) for s in ("before", "after")]
        rows.append([label, *sides, change])
    return "How evenly travel times are spread over people", (["", "before", "after", "change"], rows), ""


def _traffic_grid(traffic: "pd.DataFrame") -> tuple[str, Grid, str]:
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
    return "Traffic on an average day", (["", "before", "after", "change", "of before"], rows), ""


def _rat_run_grid(place: str, named: Sequence[RatRun]) -> tuple[str, Grid, str]:
    where = "" if place == CITY else f" around {place}"
    rows = [
        [run.street, *(amount(value, _WHOLE) for value in (run.before, run.after)), amount(run.rise, _WHOLE, sign=True)]
        for run in named
    ]
    head = f"Minor streets{where} with more through traffic, vehicles a day"
    return head, (["", "before", "after", "change"], rows), ""


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table whose first column is flush left."""
    width = max(len(row[0]) for row in rows)
    return aligned(heads, [[row[0].ljust(width), *row[1:]] for row in rows])
