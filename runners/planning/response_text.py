"""How soon help came, in words: tables for a terminal and for the page of a report, and facts for scripts."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ..compare import LEVEL, Measure
from ..reports.labels import amount, spread
from ..reports.report import Grid
from .change import records
from .response import FEW, Answered, answered
from .text import table_lines, title_of

if TYPE_CHECKING:
    import pandas as pd

    from ..results import Results

ZONES = 5
"""Zones that a terminal shows."""
_MINUTES = Measure("", "", "min", 1.0, 2)
_SHARE = Measure("", "", "%", 100.0, 1)
_COUNT = Measure("", "", "")
_GINI = Measure("", "", "", 1.0, 3)
_FIGURES = {"median": ("median", _MINUTES), "late": ("90 % within", _MINUTES), "in_time": ("in time", _SHARE)}
_EVENNESS = {
    "gini": ("Gini of the zones’ mean response", _GINI),
    "worst_zone": ("slowest zone, mean, min", _MINUTES),
    "worst_tenth": ("the tenth that waits longest, mean, min", _MINUTES),
}


def response_facts(
    results: "Results", baseline: int = 0, points: Collection[int] | None = None
) -> dict[int, dict[str, Any]]:
    """Return by point how soon help came, JSON-able: ``response``, ``response_zones`` and ``response_evenness``.

    Args:
        results: the results; without a table ``incidents`` there is nothing to tell.
        baseline: point with which the others are compared.
        points: those that are wanted; all if None.
    """
    return {
        one.point: {
            "response": records(one.priorities),
            "response_zones": records(one.zones),
            "response_evenness": records(one.evenness),
        }
        for one in answered(results, baseline, points)
    }


def response_text(results: "Results", baseline: int = 0, points: Collection[int] | None = None) -> str:
    """Return how soon help came, for a terminal; nothing without a table ``incidents``.

    Arguments are those of :func:`response_facts`.
    """
    lines: list[str] = []
    for one in answered(results, baseline, points):
        lines += ["", response_title(results, one.point, baseline)]
        for head, (heads, rows), note in response_grids(one):
            lines += ["", head, *table_lines(heads, rows), *([note] if note else [])]
    return "\n".join(lines[1:])


def response_title(results: "Results", point: int, baseline: int) -> str:
    """Return what is compared, in one line."""
    return "Emergency response" if point == baseline else f"Emergency response: {title_of(results, point, baseline)}"


def response_grids(one: Answered) -> Iterator[tuple[str, Grid, str]]:
    """Yield the tables of a point, each with what stands above it, and a note below."""
    alone = one.priorities["median_before"].isna().all() if len(one.priorities) else True
    if len(one.priorities):
        yield "Time from the call to the first unit at the scene", _priority_grid(one.priorities, alone=alone), ""
    if len(one.zones):
        yield _zone_grid(one.zones, alone=alone)
    if len(one.evenness):
        yield "How evenly it is spread", _evenness_grid(one.evenness, alone=alone), ""


def _cells(row: dict[str, Any], name: str, measure: Measure, *, alone: bool) -> list[str]:
    """Return a figure; if there is a baseline the figure there and the change with its interval."""
    if alone:
        return [amount(row[name], measure)]
    change = spread(row[f"{name}_change"], row[f"{name}_low"], row[f"{name}_high"], measure)
    return [amount(row[f"{name}_before"], measure), change]


def _heads(label: str, unit: str, *, alone: bool) -> list[str]:
    return [f"{label}, {unit}"] if alone else [f"{label} before, {unit}", f"change ({LEVEL:.0%} interval)"]


def _priority_grid(frame: "pd.DataFrame", *, alone: bool) -> Grid:
    heads = ["", "calls"]
    for label, measure in _FIGURES.values():
        heads += _heads(label, measure.unit, alone=alone)
    rows: list[list[str]] = []
    for service, part in frame.groupby("service", sort=False):
        for row in part.to_dict("records"):
            name = str(service) if row["group"] == "all calls" else f"  {row['group']}"
            cells = [cell for key, (_, measure) in _FIGURES.items() for cell in _cells(row, key, measure, alone=alone)]
            rows.append([name, amount(row["calls"], _COUNT), *cells])
    return heads, rows


def _zone_grid(frame: "pd.DataFrame", *, alone: bool) -> tuple[str, Grid, str]:
    """Return the slowest zones of each service, or those that change most."""
    rows: list[list[str]] = []
    by = "mean" if alone else "mean_change"
    for service, part in frame.groupby("service", sort=False):
        rows.append([str(service), *[""] * (2 if alone else 3)])
        shown = part.sort_values(by, ascending=False, kind="stable")
        rows += [
            [f"  {row['zone']}", amount(row["calls"], _COUNT), *_cells(row, "mean", _MINUTES, alone=alone)]
            for row in shown.head(ZONES).to_dict("records")
        ]
    what = "Zones that are reached slowest" if alone else "Zones that lose most"
    note = f"at most {ZONES} of each service, of those with {FEW} calls a run or more; --json has all"
    return what, (["", "calls", *_heads("mean", "min", alone=alone)], rows), note


def _evenness_grid(frame: "pd.DataFrame", *, alone: bool) -> Grid:
    rows: list[list[str]] = []
    for service, part in frame.groupby("service", sort=False):
        rows.append([str(service), *[""] * (1 if alone else 2)])
        for row in part.to_dict("records"):
            label, measure = _EVENNESS[row["measure"]]
            rows.append([f"  {label}", *_cells(row, "value", measure, alone=alone)])
    return ["", "value"] if alone else ["", "before", f"change ({LEVEL:.0%} interval)"], rows
