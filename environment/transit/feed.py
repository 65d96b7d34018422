"""One GTFS feed, read line by line out of its zip archive, so that only the trips of the day asked for are kept.

Read are ``stops, routes, trips, stop_times, calendar, calendar_dates, frequencies`` and ``transfers`` of the General
Transit Feed Specification (gtfs.org/documentation/schedule/reference); all else is ignored.
"""

import csv
import datetime
import io
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .timetable import DAY, RouteType, TransitError

LARGEST_FILE = 8 * 1024**3
"""Bytes of one file of a feed, unpacked: the stop times of a whole country take some 2 GB."""
MOST_DEPARTURES = 1_000_000
"""Departures of trips that are repeated at a headway."""
LONGEST_LINE = 1 << 20
"""Characters of a line of a feed."""
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EXTENDED = {
    # hundreds of the extended types (developers.google.com/transit/gtfs/reference/extended-route-types)
    1: RouteType.RAIL,
    2: RouteType.BUS,
    3: RouteType.RAIL,
    4: RouteType.METRO,
    5: RouteType.METRO,
    6: RouteType.METRO,
    7: RouteType.BUS,
    8: RouteType.TROLLEYBUS,
    9: RouteType.TRAM,
    10: RouteType.FERRY,
    12: RouteType.FERRY,
    13: RouteType.AERIAL_LIFT,
    14: RouteType.FUNICULAR,
}
_MONORAIL = 405


@dataclass
class _Calls:
    """Calls of trips while they are read."""

    trip: array = field(default_factory=lambda: array("i"))
    stop: array = field(default_factory=lambda: array("i"))
    sequence: array = field(default_factory=lambda: array("q"))
    arrival: array = field(default_factory=lambda: array("d"))
    departure: array = field(default_factory=lambda: array("d"))
    board: array = field(default_factory=lambda: array("b"))
    alight: array = field(default_factory=lambda: array("b"))
    line: array = field(default_factory=lambda: array("i"))


class Feed:
    """One feed while it is read.

    Args:
        path: of the archive, for messages.
        archive: open zip archive.
        prefix: put before identifiers of trips.

    Attributes:
        stop_row, route_row: row of each identifier; ``lon, lat, stop_name, route_name, route_type`` are by row.
        transfers: seconds of changes by pair of stops, infinite where none is possible.
        report: what was repaired or left out, by name.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, prefix: str):
        self.path = path
        self.archive = archive
        self.prefix = prefix
        self.names = set(archive.namelist())
        self.report: dict[str, int] = {}

    # ------------------------------------------------------------------ rows

    def rows(self, file: str, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of the line and the values of the columns; empty where an optional column is missing."""
        info = self.archive.getinfo(file)
        if info.file_size > LARGEST_FILE:
            raise TransitError(f"{self.path}: {file}: {info.file_size:,} bytes, at most {LARGEST_FILE:,} are read")
        with self.archive.open(info) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            reader = csv.reader(self.lines(file, text))
            try:
                head = [name.strip() for name in next(reader, [])]
                twice = [name for name in (*columns, *optional) if head.count(name) > 1]
                if twice:
                    raise self.wrong(file, 1, f"column '{twice[0]}' is there more than once; name every column once")
                missing = [name for name in columns if name not in head]
                if missing:
                    raise self.wrong(
                        file, 1, f"column '{missing[0]}' is missing; there are: {', '.join(head) or 'none'}"
                    )
                places = [head.index(name) if name in head else -1 for name in (*columns, *optional)]
                needed = max(places) + 1
                for row in reader:
                    if not row:
                        continue
                    row.extend([""] * (needed - len(row)))  # some feeds leave out empty values at the end
                    yield reader.line_num, [row[p].strip() if p >= 0 else "" for p in places]
            except csv.Error as error:
                raise self.wrong(file, reader.line_num, f"{error}; it must be comma-separated text") from None
            except UnicodeDecodeError as error:
                raise self.wrong(file, reader.line_num, f"not UTF-8 ({error.reason}); save the file as UTF-8") from None

    def lines(self, file: str, text: io.TextIOWrapper) -> Iterator[str]:
        """Yield lines; one that never ends is not taken into memory."""
        while line := text.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise TransitError(
                    f"{self.path}: {file}: a line is longer than {LONGEST_LINE:,} characters; it is no table"
                )
            yield line

    def wrong(self, file: str, line: int, what: str) -> TransitError:
        return TransitError(f"{self.path}: {file}, line {line}: {what}")

    def need(self, file: str) -> None:
        if file not in self.names:
            inside = sorted(name for name in self.names if name.endswith("/" + file))
            hint = (
                f"; it is at {inside[0]}: pack the files without a folder" if inside else "; a GTFS feed must have it"
            )
            raise TransitError(f"{self.path}: {file} is missing{hint}")

    def count(self, what: str, number: int = 1) -> None:
        self.report[what] = self.report.get(what, 0) + number

    # ------------------------------------------------------------------ the parts of a feed

    def read(self, day: datetime.date) -> "Feed":
        """Read all files, keeping what runs on the day; return the feed itself."""
        for file in ("stops.txt", "routes.txt", "trips.txt", "stop_times.txt"):
            self.need(file)
        self.read_stops()
        self.read_routes()
        today, yesterday = self.services(day)
        self.read_trips(today, yesterday)
        self.read_calls()
        self.read_frequencies()
        self.read_transfers()
        return self

    def read_stops(self) -> None:
        self.stop_row: dict[str, int] = {}
        self.lon: list[float] = []
        self.lat: list[float] = []
        self.stop_name: list[str] = []
        self.parent: dict[str, str] = {}
        for line, (stop, name, lat, lon, parent) in self.rows(
            "stops.txt", ("stop_id",), ("stop_name", "stop_lat", "stop_lon", "parent_station")
        ):
            if stop in self.stop_row:
                raise self.wrong("stops.txt", line, f"stop_id '{stop}' stands twice")
            if lat and lon:
                x, y = (self.number("stops.txt", line, *what) for what in (("stop_lon", lon), ("stop_lat", lat)))
                if not (-180 <= x <= 180 and -90 <= y <= 90):
                    raise self.wrong("stops.txt", line, f"stop '{stop}': longitude {lon}, latitude {lat} is nowhere")
            else:
                x = y = float("nan")  # allowed for what no vehicle calls at
            self.stop_row[stop] = len(self.lon)
            self.lon.append(x)
            self.lat.append(y)
            self.stop_name.append(name)
            if parent:
                self.parent[stop] = parent

    def read_routes(self) -> None:
        self.route_row: dict[str, int] = {}
        self.route_name: list[str] = []
        self.route_type: list[int] = []
        for line, (route, kind, short, long) in self.rows(
            "routes.txt", ("route_id", "route_type"), ("route_short_name", "route_long_name")
        ):
            if route in self.route_row:
                raise self.wrong("routes.txt", line, f"route_id '{route}' stands twice")
            self.route_row[route] = len(self.route_name)
            self.route_name.append(short or long or route)
            self.route_type.append(self.kind(line, route, kind))

    def kind(self, line: int, route: str, kind: str) -> int:
        value = self.whole("routes.txt", line, "route_type", kind)
        if value in set(RouteType):
            return value
        if value == _MONORAIL:
            return RouteType.MONORAIL
        if value // 100 in _EXTENDED:
            return _EXTENDED[value // 100]
        allowed = ", ".join(str(int(known)) for known in RouteType)
        raise self.wrong("routes.txt", line, f"route '{route}': route_type {kind}; allowed are {allowed}, 100 … 1499")

    def services(self, day: datetime.date) -> tuple[set[str], set[str]]:
        """Return the services that run on the day and on the day before."""
        if "calendar.txt" not in self.names and "calendar_dates.txt" not in self.names:
            raise TransitError(
                f"{self.path}: calendar.txt and calendar_dates.txt are missing; one of them must be there"
            )
        before = day - datetime.timedelta(days=1)
        running: dict[datetime.date, set[str]] = {day: set(), before: set()}
        low, high = datetime.date.max, datetime.date.min
        self.service_ids: set[str] = set()
        if "calendar.txt" in self.names:
            week = ("service_id", *_WEEKDAYS, "start_date", "end_date")
            for line, (service, *flags, start, end) in self.rows("calendar.txt", week):
                begin, last = self.date("calendar.txt", line, start), self.date("calendar.txt", line, end)
                self.service_ids.add(service)
                if "1" in flags and begin <= last:
                    low, high = min(low, begin), max(high, last)
                for each, services in running.items():
                    if begin <= each <= last and flags[each.weekday()] == "1":
                        services.add(service)
        if "calendar_dates.txt" in self.names:
            columns = ("service_id", "date", "exception_type")
            for line, (service, text, what) in self.rows("calendar_dates.txt", columns):
                each = self.date("calendar_dates.txt", line, text)
                self.service_ids.add(service)
                if what not in ("1", "2"):
                    raise self.wrong("calendar_dates.txt", line, f"exception_type '{what}'; allowed are 1 and 2")
                if what == "1":
                    low, high = min(low, each), max(high, each)
                if each in running:
                    (running[each].add if what == "1" else running[each].discard)(service)
        if not running[day]:
            if low > high:
                raise TransitError(f"{self.path}: the calendar has no day with service")
            if low <= day <= high:
                raise TransitError(
                    f"{self.path}: no service runs on {day:%A %Y-%m-%d}, though the feed has {low} … {high}"
                )
            raise TransitError(f"{self.path}: {day} is outside the feed's validity, {low} … {high}; choose a day of it")
        return running[day], running[before]

    def read_trips(self, today: set[str], yesterday: set[str]) -> None:
        self.trip_row: dict[str, int] = {}
        self.trip_id: list[str] = []
        self.trip_route, self.trip_days = array("i"), array("b")  # days: bit 0 today, bit 1 the day before
        self.idle: set[str] = set()
        for line, (trip, route, service) in self.rows("trips.txt", ("trip_id", "route_id", "service_id")):
            if trip in self.trip_row or trip in self.idle:
                raise self.wrong("trips.txt", line, f"trip_id '{trip}' stands twice")
            if route not in self.route_row:
                raise self.wrong("trips.txt", line, f"trip '{trip}': route_id '{route}' is not in routes.txt")
            if service not in self.service_ids:
                raise self.wrong(
                    "trips.txt",
                    line,
                    f"trip '{trip}': service_id '{service}' is in no calendar file",
                )
            days = (service in today) + 2 * (service in yesterday)
            if not days:
                self.idle.add(trip)
                continue
            self.trip_row[trip] = len(self.trip_id)
            self.trip_id.append(trip)
            self.trip_route.append(self.route_row[route])
            self.trip_days.append(days)

    def read_calls(self) -> None:
        calls, known = _Calls(), {"": float("nan")}
        file = "stop_times.txt"
        columns = ("trip_id", "stop_id", "stop_sequence")
        optional = ("arrival_time", "departure_time", "pickup_type", "drop_off_type")
        for line, (trip, stop, sequence, arrive, leave, pickup, drop) in self.rows(file, columns, optional):
            row = self.trip_row.get(trip, -1)
            if row < 0:
                if trip not in self.idle:
                    raise self.wrong(file, line, f"trip_id '{trip}' is not in trips.txt")
                continue
            at = self.stop_row.get(stop, -1)
            if at < 0:
                raise self.wrong(file, line, f"trip '{trip}': stop_id '{stop}' is not in stops.txt")
            if self.lon[at] != self.lon[at]:
                raise self.wrong(file, line, f"trip '{trip}': stop '{stop}' has no coordinates in stops.txt")
            for text in (arrive, leave):
                if text not in known:
                    known[text] = self.seconds(file, line, text)
            calls.trip.append(row)
            calls.stop.append(at)
            calls.sequence.append(self.whole(file, line, "stop_sequence", sequence))
            calls.arrival.append(known[arrive or leave])
            calls.departure.append(known[leave or arrive])
            calls.board.append(pickup != "1")
            calls.alight.append(drop != "1")
            calls.line.append(line)
        read = {name: np.array(values) for name, values in vars(calls).items()}
        order = np.lexsort((read["sequence"], read["trip"]))
        self.calls = {name: values[order] for name, values in read.items()}
        self.check_calls()

    def check_calls(self) -> None:
        """Refuse doubled calls and times that run backwards; fill times that are not given."""
        calls = self.calls
        trip, line, arrival, departure = calls["trip"], calls["line"], calls["arrival"], calls["departure"]
        same = trip[1:] == trip[:-1]
        twice = np.flatnonzero(same & (calls["sequence"][1:] == calls["sequence"][:-1]))
        if len(twice):
            row = int(twice[0]) + 1
            what = f"trip '{self.trip_id[trip[row]]}': stop_sequence {calls['sequence'][row]} stands twice"
            raise self.wrong("stop_times.txt", int(line[row]), what)
        ends = np.ones(len(trip), bool)
        ends[1:-1] = ~same[1:] | ~same[:-1]
        without = np.flatnonzero(ends & np.isnan(arrival))
        if len(without):
            row = int(without[0])
            what = f"trip '{self.trip_id[trip[row]]}': the first and the last stop of a trip need times"
            raise self.wrong("stop_times.txt", int(line[row]), what)
        timed = np.flatnonzero(~np.isnan(arrival))
        backwards = arrival[timed[1:]] < departure[timed[:-1]]
        backwards &= trip[timed[1:]] == trip[timed[:-1]]
        rows = np.concatenate([timed[1:][backwards], np.flatnonzero(departure < arrival)])
        if len(rows):
            row = int(rows.min())
            what = f"trip '{self.trip_id[trip[row]]}': times run backwards"
            raise self.wrong("stop_times.txt", int(line[row]), what)
        self.count("calls whose times were interpolated", len(arrival) - len(timed))
        self.interpolate(timed)

    def interpolate(self, timed: NDArray[np.int64]) -> None:
        """Give calls without times those at even speed, as the crow flies, between the calls that have them."""
        calls = self.calls
        if len(timed) == len(calls["trip"]):
            return
        lon, lat = np.array(self.lon)[calls["stop"]], np.array(self.lat)[calls["stop"]]
        step = np.zeros(len(lon))
        step[1:] = np.hypot((lon[1:] - lon[:-1]) * np.cos(np.radians(lat[1:])), lat[1:] - lat[:-1])
        along = np.cumsum(step + 1e-9)  # where stops coincide time still passes evenly
        missing = np.flatnonzero(np.isnan(calls["arrival"]))
        after = np.searchsorted(timed, missing)
        low, high = timed[after - 1], timed[after]
        share = (along[missing] - along[low]) / (along[high] - along[low])
        begin, end = calls["departure"][low], calls["arrival"][high]
        calls["arrival"][missing] = calls["departure"][missing] = np.floor(begin + share * (end - begin))

    def read_frequencies(self) -> None:
        """Keep the departures of trips that are repeated at a headway, which is taken to be exact."""
        self.repeats: dict[int, list[float]] = {}
        if "frequencies.txt" not in self.names:
            return
        file, departures = "frequencies.txt", 0
        for line, (trip, start, end, headway) in self.rows(file, ("trip_id", "start_time", "end_time", "headway_secs")):
            row = self.trip_row.get(trip, -1)
            if row < 0:
                if trip not in self.idle:
                    raise self.wrong(file, line, f"trip_id '{trip}' is not in trips.txt")
                continue
            begin, last = self.seconds(file, line, start), self.seconds(file, line, end)
            step = self.whole(file, line, "headway_secs", headway)
            if step <= 0 or last < begin:
                raise self.wrong(file, line, f"trip '{trip}': every {headway} s, {start} to {end}; must be above 0")
            departures += int((last - begin) // step)
            if departures > MOST_DEPARTURES:
                raise self.wrong(file, line, f"more than {MOST_DEPARTURES:,} departures; is headway_secs in seconds?")
            self.repeats.setdefault(row, []).extend(np.arange(begin, last, step).tolist())

    def read_transfers(self) -> None:
        """Keep the seconds that changes take between pairs of stops; infinite where a change is not possible."""
        self.transfers: dict[tuple[int, int], float] = {}
        if "transfers.txt" not in self.names:
            return
        file = "transfers.txt"
        children: dict[str, list[int]] = {}
        for stop, parent in self.parent.items():
            children.setdefault(parent, []).append(self.stop_row[stop])
        optional = ("min_transfer_time", "from_route_id", "to_route_id", "from_trip_id", "to_trip_id")
        for line, (start, end, kind, seconds, *only) in self.rows(
            file, ("from_stop_id", "to_stop_id", "transfer_type"), optional
        ):
            if any(only) or kind in ("4", "5") or not (start and end):
                self.count("transfers of single lines or trips left out")
                continue
            for name, stop in (("from_stop_id", start), ("to_stop_id", end)):
                if stop not in self.stop_row:
                    raise self.wrong(file, line, f"{name} '{stop}' is not in stops.txt")
            if kind == "3":
                time = float("inf")
            elif kind == "2" or seconds:
                time = self.number(file, line, "min_transfer_time", seconds)
            else:
                continue  # recommended or timed: the walk between the stops decides
            for a in children.get(start, [self.stop_row[start]]):
                for b in children.get(end, [self.stop_row[end]]):
                    self.transfers[a, b] = time

    # ------------------------------------------------------------------ values

    def number(self, file: str, line: int, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise self.wrong(file, line, f"{name} '{text}' is not a number")
        return value

    def whole(self, file: str, line: int, name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise self.wrong(file, line, f"{name} '{text}' is not a whole number from 0")
        return int(text)

    def seconds(self, file: str, line: int, text: str) -> float:
        parts = text.split(":")
        if len(parts) == 3 and all(p.isascii() and p.isdigit() and len(p) <= 2 for p in parts):
            hours, minutes, seconds = (int(p) for p in parts)
            if minutes < 60 and seconds < 60:
                return hours * 3600.0 + minutes * 60.0 + seconds
        raise self.wrong(file, line, f"time '{text}'; write it as 08:05:00, hours may pass 24")

    def date(self, file: str, line: int, text: str) -> datetime.date:
        try:
            if len(text) != 8 or not (text.isascii() and text.isdigit()):
                raise ValueError
            return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise self.wrong(file, line, f"date '{text}'; write it as 20190514") from None

    # ------------------------------------------------------------------ trips as they run

    def runs(self, kept: NDArray[np.bool_]) -> dict[str, Any]:
        """Return every run of the day at the stops that are kept: columns of trips and of their calls."""
        calls = self.calls
        rows = np.flatnonzero(kept[calls["stop"]]) if len(kept) else np.zeros(0, np.int64)
        first = np.searchsorted(calls["trip"][rows], np.arange(len(self.trip_id) + 1))
        full = np.searchsorted(calls["trip"], np.arange(len(self.trip_id) + 1))
        trips: list[tuple[str, int]] = []
        taken: list[NDArray[np.int64]] = []
        shifts: list[float] = []
        for trip, name in enumerate(self.trip_id):
            own = rows[first[trip] : first[trip + 1]]
            if len(own) < 2:
                self.count("trips with fewer than two calls left out")
                continue
            begin = calls["departure"][full[trip]]
            starts = [start - begin for start in self.repeats[trip]] if trip in self.repeats else [0.0]
            for number, start in enumerate(starts):
                label = f"{name}#{number}" if trip in self.repeats else name
                for bit, shift, ending in ((1, 0.0, ""), (2, -DAY, "@-1")):
                    if self.trip_days[trip] & bit and calls["arrival"][own[-1]] + start + shift > 0:
                        trips.append((label + ending, self.trip_route[trip]))
                        taken.append(own)
                        shifts.append(start + shift)
        picked = np.concatenate(taken) if taken else np.zeros(0, np.int64)
        lengths = np.array([len(own) for own in taken], np.int64)
        later = np.repeat(np.array(shifts), lengths)
        return {
            "id": [self.prefix + label for label, _ in trips],
            "route": np.array([route for _, route in trips], np.int32),
            "lengths": lengths,
            "stop": calls["stop"][picked],
            "arrival": calls["arrival"][picked] + later,
            "departure": calls["departure"][picked] + later,
            "board": calls["board"][picked].astype(bool),
            "alight": calls["alight"][picked].astype(bool),
        }
