"""Which points and figures of a comparison are shown: of a sweep with many points, those at both ends of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..compare import Measure, figures_in, measures_named
from ..storage.tables import StoreError
from .labels import counted

if TYPE_CHECKING:
    from ..results import Results

SHOWN_WHOLE = 40
"""Points up to which all are shown where nothing else is wanted: about a page of a terminal."""
AT_EACH_END = 10
"""Points shown at either end of the order of more."""


@dataclass(frozen=True)
class View:
    """What of a comparison is shown.

    Attributes:
        measures: the figures.
        points: the points, in order.
        note: which points are left out, "" if none.
    """

    measures: tuple[Measure, ...]
    points: tuple[int, ...]
    note: str


def view_of(
    results: "Results",
    baseline: int = 0,
    *,
    names: Sequence[str] = (),
    sort: str | None = None,
    limit: int | None = None,
) -> View:
    """Return what of a comparison is shown; the baseline always is.

    Args:
        results: the results.
        baseline: the point with which the others are compared.
        names: columns of the summary that are shown; those that are commonly compared if there are none.
        sort: column by whose mean the points are ordered, the least first; by number if None, or, where some have to
            be left out, by the first measure.
        limit: points shown at either end of the order; all of them if they are few, else 10, where it is None.

    Raises:
        StoreError: if there is no run, no such column or point, or nothing to compare.
    """
    if "summary" not in results.tables or not len(results.summary):
        raise StoreError("no run is in the results yet")
    points = len(results.points)
    if not 0 <= baseline < points:
        raise StoreError(f"baseline {baseline}: there are points 0 to {points - 1}")
    summary = results.summary
    measures = measures_named(summary, names) if names else figures_in(results)
    if not measures:
        raise StoreError("the summary has none of the figures that are compared (attack_rate, peak_infectious, …)")
    [by] = measures_named(summary, [sort]) if sort is not None else [measures[0]]
    if limit is None:
        limit = points if points <= SHOWN_WHOLE else AT_EACH_END
    order = list(range(points))
    if sort is not None or points > 2 * limit:
        means = summary.groupby("point")[by.column].mean().dropna()  # what has no figure comes last
        order.sort(key=lambda point: means.get(point, float("inf")))
    if points <= 2 * limit:
        return View(tuple(measures), tuple(order), "")
    known = set(summary["point"].tolist())
    order = [point for point in order if point in known]
    ends = order if len(order) <= 2 * limit else [*order[:limit], *order[len(order) - limit :]]
    note = (
        f"{len(ends)} of {points:,} points: those with the least and the most {by.label}, {limit} each, after the "
        "baseline; --sort and --limit show others"
    )
    if len(known) < points:
        missing = points - len(known)
        note += f"; {counted(missing, 'point')} {'has' if missing == 1 else 'have'} no run"
    return View(tuple(measures), (baseline, *(point for point in ends if point != baseline)), note)
