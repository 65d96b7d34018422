"""Timetables from GTFS feeds (General Transit Feed Specification), one or several side by side."""

import contextlib
import datetime
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .feed import Feed
from .timetable import Timetable, TransitError, make_timetable, walk_columns


def read_gtfs(
    path: str | Path | Sequence[str | Path],
    date: str | datetime.date,
    crs: str | None = None,
    within: tuple[float, float, float, float] | None = None,
) -> Timetable:
    """Read what runs on a day from one or more GTFS feeds.

    Trips of the day before that run past midnight are part of the day, with the identifier's ending ``"@-1"``.

    Args:
        path: a zip archive, or several, whose stops and lines are put side by side; with several, identifiers are
            preceded by the archive's name.
        date: the day, as a date or ``"2019-05-14"``.
        crs: projected CRS in metres, for example a city's; without it the UTM zone of the stops.
        within: (west, south, east, north) in that CRS: calls outside are left out, for feeds larger than the city.

    Returns:
        The timetable, with walks where the feed's transfers state times; :meth:`~.timetable.Timetable.with_walks` adds
        others. ``report`` counts what was repaired or left out.

    Raises:
        TransitError: if a feed cannot be read, refers to what it does not have, or has no service on that day; the
            message names feed, file, line and identifier, or the days for which the feed is valid.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if not paths:
        raise TransitError("no GTFS feed given; name at least one zip archive")
    try:
        day = date if isinstance(date, datetime.date) else datetime.date.fromisoformat(date)
    except ValueError:
        raise TransitError(f"date {date!r}: not a day; write it as 2019-05-14") from None
    feeds = []
    for each in paths:
        prefix = f"{each.stem}:" if len(paths) > 1 else ""
        with _opened(each) as archive:
            feeds.append(Feed(each, archive, prefix).read(day))
    return _join(feeds, crs, within)


def check_day(path: str | Path, day: datetime.date) -> None:
    """Make sure that a feed has service on a day, by its calendars alone.

    Raises:
        TransitError: if it has not, or cannot be read; the message names the days for which it is valid.
    """
    with _opened(Path(path)) as archive:
        Feed(Path(path), archive, "").services(day)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the archive of a feed; whatever goes wrong in reading it is a TransitError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise TransitError(f"{path}: there is no such file; give the feed's zip archive") from None
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError) as error:
        raise TransitError(f"{path}: cannot be read as a zip archive ({error}); get the feed again") from None


def _join(feeds: list[Feed], crs: str | None, within: tuple[float, float, float, float] | None) -> Timetable:
    """Put feeds side by side in one projected CRS; stops at which nothing calls are left out."""
    import pyproj
    from pyproj.aoi import AreaOfInterest
    from pyproj.database import query_utm_crs_info

    lon = np.concatenate([np.array(feed.lon) for feed in feeds])
    lat = np.concatenate([np.array(feed.lat) for feed in feeds])
    known = np.isfinite(lon)
    if not known.any():
        raise TransitError(f"{feeds[0].path}: stops.txt has no stop with coordinates")
    if crs is None:
        middle = (float(np.median(lon[known])), float(np.median(lat[known])))
        zones = query_utm_crs_info("WGS 84", AreaOfInterest(*middle, *middle))
        crs = f"EPSG:{zones[0].code}"
    try:
        target = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise TransitError(f"crs '{crs}': {error}; name a projected one, for example EPSG:31982") from None
    if not target.is_projected:
        raise TransitError(f"crs '{crs}' is not projected; name one in metres, for example EPSG:31982")
    x, y = pyproj.Transformer.from_crs("EPSG:4326", target, always_xy=True).transform(lon, lat)
    kept = np.isfinite(x) & np.isfinite(y)
    if within is not None:
        west, south, east, north = within
        kept &= (x >= west) & (x <= east) & (y >= south) & (y <= north)
        if not kept.any():
            raise TransitError(
                f"{', '.join(str(feed.path) for feed in feeds)}: no stop lies within the city, ({west:.0f}, {south:.0f}) to "
                f"({east:.0f}, {north:.0f}) in {crs}; stops are around longitude {np.nanmedian(lon):.2f}, latitude "
                f"{np.nanmedian(lat):.2f}: is this the feed of another city?"
            )
    stop_first = np.cumsum([0] + [len(feed.lon) for feed in feeds])
    route_first = np.cumsum([0] + [len(feed.route_name) for feed in feeds])
    runs = [feed.runs(kept[low:high]) for feed, low, high in zip(feeds, stop_first, stop_first[1:], strict=False)]
    stop = np.concatenate([run["stop"] + low for run, low in zip(runs, stop_first, strict=False)])
    used = np.unique(stop)
    new = np.full(len(lon), -1, np.int64)
    new[used] = np.arange(len(used))
    ids = [feed.prefix + stop for feed in feeds for stop in feed.stop_row]
    names = [name for feed in feeds for name in feed.stop_name]
    report: dict[str, Any] = {}
    for feed in feeds:
        for what, number in feed.report.items():
            report[what] = report.get(what, 0) + number
    report["stops at which nothing calls left out"] = len(lon) - len(used)
    transfers = [
        (new[start + low], new[end + low], seconds)
        for feed, low in zip(feeds, stop_first, strict=False)
        for (start, end), seconds in feed.transfers.items()
    ]
    pairs = np.array([t for t in transfers if t[0] >= 0 and t[1] >= 0], float).reshape(-1, 3)
    same = pairs[:, 0] == pairs[:, 1]
    change = np.zeros(len(used))
    change[pairs[same, 0].astype(int)] = pairs[same, 2]
    timetable = make_timetable(
        crs=crs,
        stops={
            "x": x[used],
            "y": y[used],
            "id": [ids[s] for s in used],
            "name": [names[s] for s in used],
            "change": change,
        },
        routes={
            "id": [feed.prefix + route for feed in feeds for route in feed.route_row],
            "name": [name for feed in feeds for name in feed.route_name],
            "type": [kind for feed in feeds for kind in feed.route_type],
        },
        trips={
            "id": [name for run in runs for name in run["id"]],
            "route": np.concatenate([run["route"] + low for run, low in zip(runs, route_first, strict=False)]),
            "first": np.concatenate([[0], np.cumsum(np.concatenate([run["lengths"] for run in runs]))]),
        },
        calls={
            "stop": new[stop],
            **{
                name: np.concatenate([run[name] for run in runs])
                for name in ("arrival", "departure", "board", "alight")
            },
        },
        report=report,
    )
    pairs = pairs[~same]
    walks = walk_columns(len(used), pairs[:, 0].astype(int), pairs[:, 1].astype(int), pairs[:, 2])
    return replace(timetable, **walks)
