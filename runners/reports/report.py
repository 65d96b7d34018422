"""The report of a run or a sweep: a table for the terminal, and a page with picture, tables and their origin."""

import os
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..compare import LEVEL, NAMED_POINTS, PEAKS, Measure, compare, still_rising
from .files import PAGES, check_target, write_target
from .labels import (
    amount,
    attributions,
    cities_of,
    counted,
    headline,
    point_label,
    short_names,
    spread,
    value_text,
)
from .view import View, view_of

if TYPE_CHECKING:
    import pandas as pd

    from ..results import Results

WIDTH = 120
"""Columns of a terminal that a table may take at most."""

Grid = tuple[list[str], list[list[str]]]
"""Headings, and rows of cells."""


def levels_grid(
    results: "Results",
    frame: "pd.DataFrame",
    measures: Sequence[Measure],
    *,
    named: bool,
    points: Sequence[int] | None = None,
) -> Grid:
    """Return what each point came to: the mean over its runs.

    Args:
        results: the results.
        frame: from :func:`compare.compare`.
        measures: figures to show.
        named: whether each swept parameter has a column.
        points: which ones, in order; all if None.
    """
    names = short_names(results.info["parameters"])
    seeds = len(results.info["replicates"])
    heads = ["point", *(names.values() if named else []), "runs"]
    heads += [f"{measure.label}, {measure.unit}" if measure.unit != "day" else measure.label for measure in measures]
    rising = still_rising(results.summary)
    rows = []
    by_point = dict(iter(frame.groupby("point")))
    all_points = results.points
    for point in range(len(all_points)) if points is None else points:
        parameters = all_points[point]
        found = by_point.get(point, frame[:0]).set_index("measure")
        runs = int(found["runs"].iloc[0]) if len(found) else 0
        values = [value_text(parameters.get(name, "")) for name in names] if named else []
        means = [
            ("≥ " if m.column in PEAKS and point in rising else "") + amount(float(found["mean"][m.column]), m)
            if len(found)
            else "–"
            for m in measures
        ]
        rows.append([str(point), *values, str(runs) if runs == seeds else f"{runs} of {seeds}", *means])
    return heads, rows


def differences_grid(
    results: "Results",
    frame: "pd.DataFrame",
    measures: Sequence[Measure],
    baseline: int,
    points: Sequence[int] | None = None,
) -> Grid:
    """Return how each point differs from the baseline, with its interval, and by how many pairs of runs that is known."""
    rising = still_rising(results.summary)
    heads = ["point", "pairs", *(f"{m.label}, {m.change or m.unit}" for m in measures)]
    rows = []
    by_point = dict(iter(frame.groupby("point")))
    for point in range(len(results.points)) if points is None else points:
        found = by_point.get(point, frame[:0]).set_index("measure")
        if point == baseline or not len(found):
            rows.append([str(point), "", *["baseline" if point == baseline else "no run"] * len(measures)])
            continue
        cells = [
            spread(
                float(found["difference"][m.column]),
                float(found["low"][m.column]),
                float(found["high"][m.column]),
                m,
                mark="*" if m.column in PEAKS and {point, baseline} & rising.keys() else "",
            )
            for m in measures
        ]
        rows.append([str(point), _pairs_text(found, by_point[baseline]), *cells])
    return heads, rows


def _pairs_text(found: "pd.DataFrame", base: "pd.DataFrame") -> str:
    pairs, runs = (int(found[name].iloc[0]) for name in ("pairs", "runs"))
    most = max(runs, int(base["runs"].iloc[0]))
    return "unpaired" if not pairs else str(pairs) if pairs == most else f"{pairs} of {most}"


def pairing(
    results: "Results", frame: "pd.DataFrame", baseline: int, points: Sequence[int] | None = None
) -> tuple[str, str]:
    """Return how differences to the baseline were taken, and what there is to say of points that were not paired.

    Args:
        results: the results.
        frame: from :func:`compare.compare`.
        baseline: point with which the others are compared.
        points: those that are shown; all if None.
    """
    shown = frame[frame["point"] != baseline] if points is None else frame[frame["point"].isin({*points} - {baseline})]
    first = shown.drop_duplicates("point")
    most = np.maximum(first["runs"], frame.loc[frame["point"] == baseline, "runs"].iloc[0])
    alone = first["pairs"] == 0
    partly = int((~alone & (first["pairs"] < most)).sum())
    how = f"mean of the differences, runs of the same seed paired ({LEVEL:.0%} interval, Student’s t)"
    notes = []
    if alone.any():
        unpaired = f"difference of the means, unpaired ({LEVEL:.0%} interval, Welch’s t)"
        how = unpaired if alone.all() else f"{how}; where there is no pair {unpaired}"
        many = counted(int(alone.sum()), "point")
        notes.append(
            f"Unpaired: {many} and point {baseline} share no seed, so the luck of both stays in the difference and "
            "intervals are wider than those of pairs."
        )
        if results.is_of_city and results.scenario.sweep.seeds == "independent":
            notes.append('This sweep has seeds = "independent"; with common seeds, the default, runs are paired.')
        if {"trips", "links", "incidents"} & set(results.tables):
            notes.append("Tables of travel, access, exposure and response are of pairs, and leave these points out.")
    if partly:
        notes.append(f"Pairs n of m: of {counted(partly, 'point')} only the seeds that both points have are compared.")
    return how, " ".join(notes)


def rising_note(results: "Results") -> str:
    """Return what the marks of peaks mean, or nothing if there are none."""
    rising = still_rising(results.summary)
    if not rising:
        return ""
    runs = sum(rising.values())
    text = f"≥: on the last day the infectious were still increasing in {runs} of {len(results.summary)} runs "
    text += f"({_points(list(rising))}); a peak there is at least as large and as late as shown"
    return text + ("; *: a difference of such peaks." if len(results.points) > 1 else ".")


def _points(points: list[int]) -> str:
    if len(points) > NAMED_POINTS:
        return f"{len(points):,} points"
    return f"point{'' if len(points) == 1 else 's'} {', '.join(map(str, points))}"


def text_report(results: "Results", baseline: int = 0, width: int = WIDTH, view: View | None = None) -> str:
    """Return the report for a terminal.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        width: columns that it may take.
        view: which points and figures are shown; if None, all figures, and of many points those at both ends.

    Raises:
        StoreError: if there is no run, or none of the baseline.
    """
    view = view or view_of(results, baseline)
    frame = compare(results.summary, baseline, measures=view.measures)
    points = results.points
    lines = [*textwrap.wrap(f"{results.name}: {headline(results)}", width), ""]
    if view.note:
        lines += [*textwrap.wrap(view.note, width), ""]
    names = short_names(results.info["parameters"])
    table = aligned(*levels_grid(results, frame, view.measures, named=True, points=view.points))
    if _width(table) > width:  # too wide: name the points below, then break the columns into several tables
        lines += _stacked(partial(levels_grid, results, frame, named=False, points=view.points), view.measures, width)
        lines += ["", *(f"{point:>5}  {point_label(points[point], names)}" for point in view.points)]
    else:
        lines += table
    if len(points) > 1:
        how, unpaired = pairing(results, frame, baseline, view.points)
        lines += ["", *textwrap.wrap(f"Difference to point {baseline}: {how}", width)]
        shown = [measure for measure in view.measures if measure.column != "infections"] or view.measures
        lines += _stacked(
            partial(differences_grid, results, frame, baseline=baseline, points=view.points), shown, width
        )
        lines += ["", *textwrap.wrap(unpaired, width)] if unpaired else []
    if note := rising_note(results):
        lines += ["", *textwrap.wrap(note, width)]
    for note in attributions(cities_of(results)):
        lines += ["", f"City: {note}"]
    return "\n".join(lines)


def compared(results: "Results", baseline: int) -> "tuple[pd.DataFrame, list[Measure]]":
    """Return the comparison of all points with a baseline, and the figures in it.

    Raises:
        StoreError: if there is no run, or none of the baseline.
    """
    measures = view_of(results, baseline).measures
    return compare(results.summary, baseline, measures=measures), list(measures)


def _stacked(grid: Callable[[Sequence[Measure]], Grid], measures: Sequence[Measure], width: int) -> list[str]:
    """Return the lines of as many tables as it takes to show all measures in so many columns."""
    lines: list[str] = []
    while measures:
        number = len(measures)
        while number > 1 and _width(aligned(*grid(measures[:number]))) > width:
            number -= 1
        lines += [*([""] if lines else []), *aligned(*grid(measures[:number]))]
        measures = measures[number:]
    return lines


def _width(lines: list[str]) -> int:
    return max(map(len, lines))


def aligned(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return lines with cells under headings that are broken to the width of their column."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(heads))]
    broken = [_broken(head, max(width, 9)) for head, width in zip(heads, widths, strict=True)]
    widths = [max(width, *map(len, head)) for head, width in zip(broken, widths, strict=True)]
    depth = max(map(len, broken))
    lines = []
    for level in range(depth):
        cells = (head[level - depth + len(head)] if level >= depth - len(head) else "" for head in broken)
        lines.append("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    lines.append("  ".join("─" * width for width in widths))
    lines += ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return lines


def _broken(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


# ---------------------------------------------------------------------- page


def write_report(results: "Results", path: Path, baseline: int = 0) -> Path:
    """Write a page that stands alone, one HTML file with the pictures inside, and metadata into the results.

    Args:
        results: the results.
        path: file to write, ``….html``; an older report is replaced.
        baseline: point with which the others are compared.

    Raises:
        StoreError: if there is nothing to report, another file stands there, or it cannot be written.
    """
    from .crate import write_crate
    from .report_page import html_report

    check_target(path, PAGES)
    write_target(path, html_report(results, baseline).encode())
    if results.directory is not None and os.access(results.directory, os.W_OK):  # it may be an archive
        write_crate(results)
    return path
