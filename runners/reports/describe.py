"""Cities, scenarios and results as plain facts: for scripts as JSON, for people as text."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from ...environment.equity import gini, group_means, theil_by_group
from ...environment.groups import groups_of
from ...environment.places import BuildingUse, PlaceKind, Role, SiteKind
from ...environment.roads import Access, largest_component, length_by_rank, street_length
from ..compare import compare, figures_in, still_rising
from ..scenarios.documents import visible

if TYPE_CHECKING:
    from enum import IntEnum

    from numpy.typing import NDArray

    from ...environment.city import City
    from ..results import Results
    from .view import View

WIDTH = 100
"""Columns of a terminal that a description may take."""
AGE_CLASSES = (0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80)
"""First age of each class shown; the last one is open."""
POVERTY = 0.6
"""Income over the median below which people are at risk of poverty: Eurostat."""
LARGEST_HOUSEHOLD = 6
"""Households of this size and larger are counted together."""


def city_facts(city: "City") -> dict[str, Any]:
    """Return what is in a city, JSON-able: lengths in km, areas in km², shares from 0 to 1."""
    links = {name: city.links[name] for name in ("start", "end", "length", "way", "rank")}
    cars = (city.links.access & Access.CAR) > 0
    metres = float(street_length(links).sum())
    inside = largest_component(city.links.start[cars], city.links.end[cars], len(city.nodes))
    car_nodes = np.unique(np.concatenate([city.links.start[cars], city.links.end[cars]]))
    sizes = np.diff(city.households.first)
    ages = np.searchsorted(AGE_CLASSES, city.people.age, side="right") - 1
    area = float(city.zones.area.sum()) / 1e6
    return {
        "name": city.info.name,
        "crs": city.info.crs,
        "bounds": list(city.info.bounds),
        "seed": city.info.seed,
        "area_km2": round(area, 3),
        "people": len(city.people),
        "people_per_km2": round(len(city.people) / area, 1) if area else None,
        "ages": _named(np.bincount(ages, minlength=len(AGE_CLASSES)), _age_names()),
        "mean_age": round(float(city.people.age.mean()), 2) if len(city.people) else None,
        "women_share": round(float((city.people.sex == 0).mean()), 4) if len(city.people) else None,
        "roles": _kinds(city.people.role, Role),
        "households": len(city.households),
        "household_sizes": _named(
            np.bincount(np.minimum(sizes, LARGEST_HOUSEHOLD), minlength=LARGEST_HOUSEHOLD + 1)[1:], _size_names()
        ),
        "mean_household_size": round(float(sizes.mean()), 3) if len(sizes) else None,
        "incomes": _incomes(city),
        "places": _kinds(city.places.kind, PlaceKind),
        "sites": _kinds(city.sites.kind, SiteKind),
        "buildings": _kinds(city.buildings.use, BuildingUse),
        "dwellings": int(city.buildings.dwellings.sum()),
        "zones": len(city.zones),
        "road_km": round(metres / 1000, 3),
        "road_km_by_rank": {name: round(length / 1000, 3) for name, length in length_by_rank(links).items()},
        "nodes": len(city.nodes),
        "links": len(city.links),
        "car_nodes_in_largest_component": round(float(inside[car_nodes].mean()), 4) if len(car_nodes) else None,
        "visits_per_person": {
            name: round(schedule.visits / max(len(city.people), 1), 3)
            for name, schedule in zip(city.info.day_types, city.schedules, strict=True)
        },
        "sources": [
            {"name": s.name, "licence": s.licence, "attribution": s.attribution, "file": s.file, "sha256": s.sha256}
            for s in city.info.sources
        ],
        "report": city.info.report,
    }


def _incomes(city: "City") -> dict[str, Any] | None:
    """Return how unevenly incomes are spread over people; None where the city knows none."""
    groups = groups_of(city)
    if "income" not in groups:
        return None
    income = city.households.income[city.people.household].astype(float)
    parts = theil_by_group(income, groups["zone"].of)
    names, fifth = groups["income"]
    return {
        "mean_of_fifths": {
            name: round(float(value), 3)
            for name, value in zip(names, group_means(income, fifth, len(names)), strict=True)
        },
        "gini": round(gini(income), 4),
        "below_60_percent": round(float((income < POVERTY).mean()), 4),
        "theil": round(parts.total, 4),
        "theil_between_zones": round(parts.between, 4),
    }


def _named(counts: Any, names: list[str]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _kinds(column: Any, kinds: "type[IntEnum]") -> dict[str, int]:
    """Return how often each kind occurs, by its name in words; kinds that do not occur are left out."""
    counts = np.bincount(column, minlength=max(kinds) + 1)
    return {kind.name.lower().replace("_", " "): int(counts[kind]) for kind in kinds if counts[kind]}


def _age_names() -> list[str]:
    upper = [first - 1 for first in AGE_CLASSES[1:]]
    return [f"{low}–{high}" for low, high in zip(AGE_CLASSES, upper, strict=False)] + [f"{AGE_CLASSES[-1]}+"]


def _size_names() -> list[str]:
    return [*map(str, range(1, LARGEST_HOUSEHOLD)), f"{LARGEST_HOUSEHOLD}+"]


def city_text(facts: dict[str, Any]) -> str:
    """Return the facts of a city for people to read."""
    west, south, east, north = facts["bounds"]
    extent = f"{(east - west) / 1000:.1f} x {(north - south) / 1000:.1f} km"
    density = f", {facts['people_per_km2']:,.0f} people per km²" if facts["people_per_km2"] else ""
    share = facts["car_nodes_in_largest_component"]
    lines = [
        facts["name"],
        _line("area", f"{facts['area_km2']:,.1f} km² in {facts['zones']:,} zones{density}"),
        _line("extent", f"{extent}, {facts['crs']}"),
        *_people_lines(facts),
        _line("roads", f"{facts['road_km']:,.1f} km, {facts['links']:,} links, {facts['nodes']:,} nodes"),
        _line("", ", ".join(f"{name} {km:,.1f}" for name, km in facts["road_km_by_rank"].items()) + " km"),
    ]
    if share is not None:
        lines.append(_line("", f"{share:.1%} of the nodes for cars are in the largest connected part"))
    if facts["people"]:
        visits = ", ".join(f"{name} {number:.2f}" for name, number in facts["visits_per_person"].items())
        lines.append(_line("visits", f"{visits} per person"))
    for source in facts["sources"]:
        author = source["attribution"] or "origin not stated"
        lines.append(_line("source", f"{source['name']}: {author} (licence: {source['licence']})"))
        if source["file"]:
            lines.append(_line("", f"{source['file']}  sha256 {source['sha256'][:16]}…"))
    lines += [
        _line("build" if n == 0 else "", f"{name}: {_plain(v)}") for n, (name, v) in enumerate(facts["report"].items())
    ]
    return "\n".join(visible(row) for line in lines for row in line.splitlines())


def _people_lines(facts: dict[str, Any]) -> list[str]:
    """Return the lines about people and what is built for them."""
    if not facts["people"]:
        return [_line("people", "nobody lives here; trips are those of files (matrices, trip_tables, sumo_routes)")]
    return [
        _line("people", f"{facts['people']:,}, mean age {facts['mean_age']}, {facts['women_share']:.1%} women"),
        _shares("ages", facts["ages"]),
        _shares("by day", facts["roles"]),
        _line("households", f"{facts['households']:,}, {facts['mean_household_size']:.2f} people on average"),
        _shares("of size", facts["household_sizes"]),
        *_income_lines(facts["incomes"]),
        _counts("places", facts["places"]),
        _counts("sites", facts["sites"]),
        _counts("buildings", facts["buildings"]),
        _line("dwellings", f"{facts['dwellings']:,}"),
    ]


def _income_lines(incomes: dict[str, Any] | None) -> list[str]:
    if incomes is None:
        return []
    means = ", ".join(f"{name} {value:.2f}" for name, value in incomes["mean_of_fifths"].items())
    between = incomes["theil_between_zones"] / incomes["theil"]
    uneven = f"Gini {incomes['gini']:.3f}, {between:.0%} of Theil’s index between zones"
    return [
        _line("incomes", f"over the median: {means} on average"),
        _line("", f"{uneven}; {incomes['below_60_percent']:.1%} below 60 % of the median"),
    ]


def _line(name: str, text: str) -> str:
    start = f"  {name:<11}"
    return textwrap.fill(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)


def _shares(name: str, counts: dict[str, int]) -> str:
    total = max(sum(counts.values()), 1)
    return _line(name, ", ".join(f"{kind} {count / total:.1%}" for kind, count in counts.items()))


def _counts(name: str, counts: dict[str, int]) -> str:
    return _line(name, f"{sum(counts.values()):,}: " + ", ".join(f"{kind} {count:,}" for kind, count in counts.items()))


def _plain(value: Any) -> str:
    """Return a figure of the build's report in words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


# ---------------------------------------------------------------------- results


def comparison_facts(results: "Results", baseline: int = 0, view: "View | None" = None) -> list[dict[str, Any]]:
    """Return what points came to and how they differ from the baseline, JSON-able; None where it is not known.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        view: which points and figures are told; all if None.
    """
    frame = compare(results.summary, baseline, measures=figures_in(results) if view is None else view.measures)
    rising = still_rising(results.summary)
    by_point = dict(iter(frame.groupby("point")))
    points, all_points = [], results.points
    for point in range(len(all_points)) if view is None else view.points:
        rows = by_point.get(point, frame[:0])
        measures = {
            row["measure"]: {name: _number(row[name]) for name in ("mean", "difference", "low", "high")}
            for row in rows.to_dict("records")
        }
        runs, pairs = (int(rows[name].iloc[0]) if len(rows) else 0 for name in ("runs", "pairs"))
        about = {"point": point, "parameters": all_points[point], "runs": runs, "pairs": pairs, "paired": pairs > 0}
        points.append(about | {"runs_still_rising": rising.get(point, 0), "measures": measures})
    return points


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)


def results_facts(results: "Results") -> dict[str, Any]:
    """Return what a sweep or run came to, JSON-able."""
    failures = results.failures
    done = len(results.summary) if "summary" in results.tables else 0
    return {
        "directory": None if results.directory is None else str(results.directory),
        "runs": results.info["runs"],
        "done": done,
        "failed": len(failures),
        "failures": failures,
        "points": comparison_facts(results, first_point(results)) if done else [],
    }


def first_point(results: "Results") -> int:
    """Return point 0, or the first one that has a run."""
    return int(results.summary["point"].min())


def contacts_text(name: str, bands: Sequence[int], minutes: int, matrix: "NDArray[np.float64]") -> str:
    """Return a table of contacts by age.

    Args:
        name: of the city.
        bands: first age of each band.
        minutes: time together from which on a contact counts.
        matrix: (bands, bands) contacts a day of a person of one band with people of another.
    """
    names = [f"{low}–{high - 1}" for low, high in pairwise(bands)] + [f"{bands[-1]}+"]

    def row(head: str, cells: Iterable[str]) -> str:
        return f"{head:>7}" + "".join(f"{cell:>8}" for cell in cells)

    lines = [f"{name}: contacts of at least {minutes} minutes a person and day", "", row("age", [*names, "all"])]
    for head, cells in zip(names, matrix, strict=True):
        lines.append(row(head, [f"{cell:.2f}" for cell in (*cells, cells.sum())]))
    return "\n".join(lines)
