"""All that differs at a point from a baseline: travel, access, exposure, traffic."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..reports.geo import about, city_of, write_table
from .access import Reach
from .areas import design_shapes, read_shapes
from .evenness import Sides
from .exposure import compare_exposure
from .gains import gains
from .reading import LINKS, TRIPS, need, with_pairs
from .traffic import RatRun, compare_traffic

if TYPE_CHECKING:
    import pandas as pd

    from ..results import Results


@dataclass(frozen=True)
class Change:
    """What differs at a point from the baseline; None, or empty, where the results have no table for it.

    Attributes:
        point: the point.
        travel, cross: from :func:`.gains.gains`.
        access: from :meth:`.access.Reach.compare`.
        exposure: from :func:`.exposure.compare_exposure`.
        even: how evenly each of these is spread: ``travel``, ``nox``, ``pm25``, and ``jobs_`` with a mode.
        traffic, rat_runs: from :func:`.traffic.compare_traffic`.
        notes: what a reader must know.
    """

    point: int
    travel: "pd.DataFrame | None" = None
    cross: "pd.DataFrame | None" = None
    access: "pd.DataFrame | None" = None
    exposure: "pd.DataFrame | None" = None
    even: dict[str, Sides] = field(default_factory=dict)
    traffic: "pd.DataFrame | None" = None
    rat_runs: dict[str, list[RatRun]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def frames(self) -> "dict[str, pd.DataFrame]":
        """Return the tables there are by name, ``evenness`` among them."""
        import pandas as pd

        named = {name: getattr(self, name) for name in ("travel", "cross", "access", "exposure", "traffic")}
        found = {name: frame for name, frame in named.items() if frame is not None}
        rows = [
            {"of": name, "measure": measure, "before": before, "after": after}
            for name, sides in self.even.items()
            for measure, (before, after) in sides.items()
        ]
        return found | ({"evenness": pd.DataFrame(rows)} if rows else {})

    def facts(self) -> dict[str, Any]:
        """Return all of it, JSON-able; None stands for what is not known."""
        facts: dict[str, Any] = {name: records(frame) for name, frame in self.frames().items()}
        if self.traffic is not None:
            facts["rat_runs"] = {place: [asdict(run) for run in named] for place, named in self.rat_runs.items()}
        return facts | ({"notes": list(self.notes)} if self.notes else {})


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows of a frame, JSON-able; None for what is not known."""
    return [
        {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def compared(
    results: "Results",
    baseline: int = 0,
    area: Path | None = None,
    green: Path | None = None,
    points: Collection[int] | None = None,
) -> Iterator[Change]:
    """Yield what differs at each other point with runs of the baseline's seeds; nothing without trips and links.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        area: file with polygons, for through traffic; without it the superblocks of the point's designs.
        green: file with polygons of public green space, for access; None for none.
        points: those that are wanted; all if None.

    Raises:
        StoreError: if a file needs a table that is not there, or points have other people.
        PolygonError: if a file cannot be read.
        AccessError: if the green space cannot be entered.
    """
    tables = results.tables
    if area is not None:
        need(results, LINKS)
    if green is not None and not {TRIPS, LINKS} & set(tables):
        need(results, TRIPS)
    if not {TRIPS, LINKS} & set(tables) or results.directory is None:
        return
    reach = Reach(results, green)
    for point in with_pairs(results, baseline):
        if points is not None and point not in points:
            continue
        found: dict[str, Any] = {}
        even: dict[str, Sides] = {}
        if TRIPS in tables:
            travel, cross, minutes = gains(results, point, baseline)
            if len(travel):  # there is none where nobody of the city made a trip
                found["travel"], found["cross"] = travel, cross
            even |= {"travel": minutes} if minutes else {}
        before, after = (city_of(results, number).people.household for number in (baseline, point))
        if np.array_equal(before, after) and len(before):
            if {"air", "noise"} & set(tables):
                found["exposure"], breathed = compare_exposure(results, point, baseline)
                even |= breathed
            found["access"], jobs = reach.compare(point, baseline)
            even |= {f"jobs_{mode}": sides for mode, sides in jobs.items()}
            found["notes"] = tuple(reach.notes)
        elif len(before) or len(after):
            found["notes"] = ("The cities of these points have other people: access and exposure are not compared",)
        if LINKS in tables:
            crs = city_of(results, baseline).info.crs
            shapes = design_shapes(results, point, crs) if area is None else read_shapes(area, crs)
            found["traffic"], found["rat_runs"] = compare_traffic(results, point, baseline, shapes)
        yield Change(point, **found, even=even)


def write_changes(results: "Results", changes: list[Change], baseline: int, folder: Path) -> list[Path]:
    """Write the tables of all points as Parquet, with a column ``point``: travel, cross, access, exposure and so on.

    Args:
        results: the results.
        changes: from :func:`compared`.
        baseline: point with which the others are compared.
        folder: where the files go.

    Returns:
        The files.

    Raises:
        StoreError: if another file stands there, or it cannot be written.
    """
    import pandas as pd
    import pyarrow as pa

    parts: dict[str, list[pd.DataFrame]] = {}
    for change in changes:
        for name, frame in change.frames().items():
            parts.setdefault(name, []).append(frame.assign(point=change.point))
    facts = about(results, city_of(results, baseline), baseline) | {
        "figures": "each point against the baseline: before, after or change; shares are 0 to 1",
        "baseline": baseline,
    }
    return [
        write_table(
            pa.Table.from_pandas(pd.concat(frames, ignore_index=True), preserve_index=False),
            folder / f"{name}.parquet",
            facts,
        )
        for name, frames in parts.items()
    ]
