"""Who gains and who loses, as tables for a terminal and a page."""

from collections.abc import Iterator, Sequence
from math import isinf, isnan
from typing import TYPE_CHECKING

from ..compare import LEVEL, Measure
from ..reports.labels import amount, spread
from ..reports.report import Grid
from .access import GREEN, MINUTES, STOPS
from .areas import AROUND
from .evenness import Sides
from .gains import ALL, CROSSED, NOTABLE, ORDER
from .traffic import CITY, RatRun

if TYPE_CHECKING:
    import pandas as pd

    from .change import Change

Shown = tuple[str, Grid, str]
"""What stands above a table, the table, and a note below."""

ZONES, CELLS = 5, 3
"""Zones, and groups by mode, that are shown of those that lose most, and of those that gain most."""
FEW = 30
"""People below whom a group by mode is not named among those that change most: its mean is chance (assumed)."""
_BY = {
    "mode": "by mode before",
    "age": "by age",
    "income": "by income of the household",
    "cars": "by cars of the household",
    "zone": "by zone of home",
}
_MINUTES = Measure("change", "change", "min", 1.0, 2)
_WHOLE = Measure("", "", "")
_TENTH = Measure("", "", "", 1.0, 1)
_SHARE = Measure("", "", "%", 100.0, 1)
_GINI = Measure("", "", "", 1.0, 4)
_FIGURES = {
    "through": "through traffic, no buses",
    "vehicle_km": "vehicle-km",
    "vehicle_hours": "vehicle-hours",
    "delay_hours": "hours of delay",
    "co2_kg": "CO₂, kg",
    "nox_g": "NOx, g",
    "pm10_g": "PM10, g",
}
_PARTS = {"inside": "inside", "perimeter": "on its perimeter", "around": f"within {AROUND:g} m around"}
_EXPOSED = {
    "nox": ("NOx of traffic, µg/m³", Measure("", "", "", 1.0, 3)),
    "pm25": ("PM2.5 of traffic, µg/m³", Measure("", "", "", 1.0, 4)),
    "lden": ("noise Lden, dB", _TENTH),
    "above_55": ("above 55 dB, %", _SHARE),
}
_REACHED = ("schools", "care", GREEN)
"""Kinds of which the share of people is shown who reach one, beside the jobs."""
_EVEN = {
    "travel": ("minutes of travel", _TENTH),
    "nox": ("NOx at home, µg/m³", Measure("", "", "", 1.0, 3)),
    "pm25": ("PM2.5 at home, µg/m³", Measure("", "", "", 1.0, 4)),
    "jobs_walk": ("jobs in 30 min, walk", _WHOLE),
    "jobs_bicycle": ("jobs in 30 min, bicycle", _WHOLE),
    "jobs_car": ("jobs in 30 min, car", _WHOLE),
    "jobs_transit": ("jobs in 30 min, transit", _WHOLE),
}


def grids(change: "Change") -> Iterator[Shown]:
    """Yield the tables of a change, each with what stands above it, and a note below."""
    if change.travel is not None:
        yield _travel_grid(change.travel)
    if change.cross is not None and len(change.cross):
        yield _cross_grid(change.cross)
    if change.access is not None and len(change.access):
        yield _access_grid(change.access)
        yield _access_by_group_grid(change.access)
    if change.exposure is not None:
        yield _exposure_grid(change.exposure)
    if change.even:
        yield _evenness_grid(change.even)
    if change.traffic is not None:
        yield _traffic_grid(change.traffic)
    for place, named in change.rat_runs.items():
        if named:
            yield _rat_run_grid(place, named)


def _extremes(frame: "pd.DataFrame", by: str, most: int = ZONES) -> "tuple[pd.DataFrame, int]":
    """Return rows in falling order of a column, only those at both ends if there are many, and how many are left out."""
    shown = frame.sort_values(by, ascending=False, kind="stable")
    left_out = max(len(shown) - 2 * most, 0)
    if left_out:
        shown = shown.iloc[[*range(most), *range(len(shown) - most, len(shown))]]
    return shown, left_out


def _parted(frame: "pd.DataFrame") -> "list[tuple[str, pd.DataFrame]]":
    """Return the rows of each grouping, in the order of groupings."""
    parts = {str(by): part for by, part in frame.groupby("by", sort=False)}
    return sorted(parts.items(), key=lambda part: ORDER.index(part[0]))


def _sides(before: float, after: float, measure: Measure) -> list[str]:
    """Return the cells of a figure before, and its change."""
    return [amount(before, measure), amount(after - before, measure, sign=True)]


def _travel_grid(travel: "pd.DataFrame") -> Shown:
    """Return the table of who gains and who loses; of many zones, those that change most."""
    heads = ["", "people", "before, min", f"change, min ({LEVEL:.0%} interval)", "better off", "worse off"]
    stranded = bool((travel["stranded"] != 0).any())
    heads += ["trips that no longer arrive"] if stranded else []
    rows: list[list[str]] = []
    notes = []
    for by, part in _parted(travel):
        shown = part
        if by == "zone":
            shown, left_out = _extremes(part, "change")
            if left_out:
                notes.append(f"{left_out} zones between these are left out; --json has all")
        if by != ALL:
            rows.append([_BY[by], *[""] * (len(heads) - 1)])
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


def _cross_grid(cross: "pd.DataFrame") -> Shown:
    """Return the groups by mode that lose and gain most."""
    heads = ["", "people", "before, min", "change, min", "better off", "worse off"]
    rows: list[list[str]] = []
    left = 0
    for by in CROSSED:
        part = cross[(cross["by"] == by) & (cross["people"] >= FEW)]
        if not len(part):
            continue
        shown, left_out = _extremes(part, "change", CELLS)
        rows.append([f"{_BY[by]} and mode", *[""] * (len(heads) - 1)])
        rows += [
            [
                f"  {row['group']}, {row['mode']}",
                amount(row["people"], _WHOLE),
                amount(row["before"], _TENTH),
                amount(row["change"], _MINUTES, sign=True),
                f"{row['better']:.1%}",
                f"{row['worse']:.1%}",
            ]
            for row in shown.to_dict("records")
        ]
        left += left_out
    note = f"Of groups with {FEW} people or more; {left} between these are left out, --json has all"
    return "Who loses and who gains most: travel time a person and day by group and mode before", (heads, rows), note


def _access_grid(access: "pd.DataFrame") -> Shown:
    """Return what everybody reaches, by mode and limit."""
    whole = access[access["by"] == ALL].set_index(["mode", "minutes", "kind"])
    timed = access[(access["by"] == ALL) & access["minutes"].notna()]
    kinds = [kind for kind in _REACHED if kind in set(timed["kind"])]
    heads = ["", "jobs", "change", *(text for kind in kinds for text in (f"{kind}, %", "change"))]
    rows: list[list[str]] = []
    for limit in MINUTES:
        rows.append([f"within {limit:g} min", *[""] * (len(heads) - 1)])
        for mode in dict.fromkeys(timed["mode"]):
            jobs = whole.loc[(mode, limit, "jobs")]
            cells = [amount(jobs["before"], _WHOLE), amount(jobs["after"] - jobs["before"], _TENTH, sign=True)]
            for kind in kinds:
                found = whole.loc[(mode, limit, kind)]
                cells += _sides(found["share_before"], found["share_after"], _SHARE)
            rows.append([f"  {mode}", *cells])
    said = {STOPS: "500 m of a stop or 1 km of a station (SDG 11.2.1)", GREEN: "300 m of green space"}
    near = access[(access["by"] == ALL) & access["minutes"].isna()]
    notes = [
        f"within {said[row['kind']]}: {row['share_before']:.1%} of the people before, {row['share_after']:.1%} after"
        for row in near.to_dict("records")
    ]
    head = "What residents reach: jobs a person, and share of the people who reach at least one of the others"
    return head, (heads, rows), "; ".join(notes)[:1].upper() + "; ".join(notes)[1:]


def _access_by_group_grid(access: "pd.DataFrame") -> Shown:
    """Return who reaches more jobs, and who fewer."""
    limit = min(MINUTES)  # within more, a car reaches all there is in most cities
    jobs = access[(access["kind"] == "jobs") & (access["minutes"] == limit)]
    modes = list(dict.fromkeys(jobs["mode"]))
    stops = access[access["kind"] == STOPS]
    heads = ["", "people", *modes, *(["near a stop, %", "change"] if len(stops) else [])]
    rows: list[list[str]] = []
    notes = []
    for by, part in _parted(jobs):
        wide = part.assign(share=(part["after"] - part["before"]) / part["before"]).fillna({"share": 0.0})
        wide = wide.pivot_table(index=["group", "people"], columns="mode", values="share", sort=False).reset_index()
        if by == "zone":
            wide, left_out = _extremes(wide.assign(worst=-wide[modes].min(axis=1)), "worst")
            notes += [f"{left_out} zones between these are left out; --json has all"] if left_out else []
        if by != ALL:
            rows.append([_BY[by], *[""] * (len(heads) - 1)])
        near = stops[stops["by"] == by].set_index("group")
        for row in wide.to_dict("records"):
            # no share of nothing, where none were reached before
            cells = ["–" if isinf(row[mode]) else amount(row[mode], _SHARE, sign=True) for mode in modes]
            if len(stops):
                walk = near.loc[row["group"]]
                cells += _sides(walk["share_before"], walk["share_after"], _SHARE)
            rows.append([("" if by == ALL else "  ") + row["group"], amount(row["people"], _WHOLE), *cells])
    return f"Change of the jobs that residents reach within {limit:g} min, in %", (heads, rows), "; ".join(notes)


def _exposure_grid(exposure: "pd.DataFrame") -> Shown:
    """Return what groups meet at home."""
    figures = [name for name in _EXPOSED if name in set(exposure["figure"])]
    figures = [name for name in figures if name != "lden"] if "nox" in figures else figures  # room for three
    heads = ["", "people", *(text for name in figures for text in (_EXPOSED[name][0], "change"))]
    rows: list[list[str]] = []
    notes = []
    for by, part in _parted(exposure):
        before, after = (
            part.pivot_table(index=["group", "people"], columns="figure", values=side, sort=False)
            for side in ("before", "after")
        )
        shown = (after - before)[figures[:1]]
        if by == "zone":
            shown, left_out = _extremes(shown, figures[0])
            notes += [f"{left_out} zones between these are left out; --json has all"] if left_out else []
        if by != ALL:
            rows.append([_BY[by], *[""] * (len(heads) - 1)])
        for group, people in shown.index:
            pairs = [(before.loc[(group, people), name], after.loc[(group, people), name]) for name in figures]
            cells = [_sides(*pair, _EXPOSED[name][1]) for name, pair in zip(figures, pairs, strict=True)]
            name = ("" if by == ALL else "  ") + group
            rows.append([name, amount(people, _WHOLE), *(cell for sides in cells for cell in sides)])
    return "What traffic lays on residents at home", (heads, rows), "; ".join(notes)


def _evenness_grid(even: dict[str, Sides]) -> Shown:
    """Return how evenly things are spread, a row each."""
    heads = ["", "Gini", "change", "Theil", "of it between zones, %", "between incomes, %", "worst-off tenth", "change"]
    rows = []
    for name, sides in even.items():
        label, measure = _EVEN[name]
        cells = [*_sides(*sides["gini"], _GINI), amount(sides["theil"][0], _GINI)]
        cells += [_parts(sides, by) for by in ("zone", "income")]
        rows.append([label, *cells, *_sides(*sides["worst_tenth"], measure)])
    if all("theil_between_income" not in sides for sides in even.values()):
        heads.pop(5)
        rows = [[*row[:5], *row[6:]] for row in rows]
    note = ""
    if "travel" in even:
        change = amount(even["travel"]["worst_change"][1], _MINUTES, sign=True)
        note = f"Travel of the tenth that loses most: {change} min a day"
    return "How evenly this is spread over people", (heads, rows), note


def _parts(sides: Sides, by: str) -> str:
    """Return the shares of Theil's index between groups, before and after."""
    name = f"theil_between_{by}"
    if name not in sides:
        return ""
    shares = [part / whole if whole else 0.0 for part, whole in zip(sides[name], sides["theil"], strict=True)]
    if any(isnan(share) for share in shares):
        return "–"
    return " → ".join(amount(share, _SHARE) for share in shares)


def _traffic_grid(traffic: "pd.DataFrame") -> Shown:
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
    note = "Hours and delay are those on the streets; who waits to set out, or never leaves a street, is not in them"
    return "Traffic on an average day", (["", "before", "after", "change", "of before"], rows), note


def _rat_run_grid(place: str, named: Sequence[RatRun]) -> Shown:
    where = "" if place == CITY else f" around {place}"
    rows = [
        [run.street, *(amount(value, _WHOLE) for value in (run.before, run.after)), amount(run.rise, _WHOLE, sign=True)]
        for run in named
    ]
    head = f"Minor streets{where} with more through traffic, vehicles a day"
    return head, (["", "before", "after", "change"], rows), ""
