"""Incidents of a file of real events: accidents, calls, runs, with time, place and kind."""

import csv
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, field_validator, model_validator

from ...environment.randomness import key, uniforms
from ..parts import Part, Seconds, Whole
from ..traffic.matrices import DemandError, Problems, csv_rows, open_text
from .kinds import LAST_PRIORITY
from .scenes import CallError, zone_names

if TYPE_CHECKING:
    import pandas

    from ...environment.city import City

MOST_EVENTS = 5_000_000
SHOWN_OF_A_COLUMN = 5
"""Problems of one column that are listed."""
DAY = 86_400.0
_ZONE = re.compile(r"(?<=\d)\s?(Z|[+-]\d\d:?\d\d)$")
"""A time zone behind a time of ISO 8601."""
_Columns = Annotated[tuple[str, ...], Field(min_length=1, max_length=8)]


class EventSettings(Part):
    """Events read from a file: CSV with names in its first line, Parquet, or what GeoPandas reads, as GeoPackage.

    Attributes:
        file: the file.
        time: column with the time, or several that make it together, as year, month, day and hour.
        time_format: how it is written, as ``"%d/%m/%Y %H:%M"``, or for several columns, joined by blanks,
            ``"%Y %m %d %H"``; without, as ISO 8601 has it (2026-01-31 18:05). Times are those of the clocks in the city;
            a time zone behind them is not looked at.
        spread: how far after that the event may have happened, as the file says the hour only; drawn.
        x, y: columns with coordinates; not needed for points of a GeoPackage.
        zone_column: column with the name of the zone, in the place of coordinates; the event is put at a home there, the
            same one in every run.
        crs: CRS of the coordinates, as "EPSG:4326" for longitude and latitude; without, that of the file or the city.
        kind: the kind of all events, or without, see ``kind_column``.
        kind_column: column with the kind of each.
        kinds: kind of incident for each word in that column; words that are names of kinds need no entry.
        ignore: words in that column of which the events are left out.
        priority_column: column with the priority; without, it is drawn.
        priorities: priority (0 goes first) for each word in that column.
        units_column: column with the number of units that each service sends; without, as many as the kind asks.
        case_column: column with the number of the case; of rows with one number, the first counts.
        from_: ``from`` in the file: date in the events' file that falls on the first day of the run; without, that day's
            own date.
        repeat: whether the days from there on come again after the last.
        bad: what is done about rows with anything wrong: "refuse", or "skip", which counts them.
    """

    file: str
    time: str | _Columns
    time_format: str | None = None
    spread: Annotated[Seconds, Field(ge=0, le=DAY)] = 0.0
    x: str | None = None
    y: str | None = None
    zone_column: str | None = None
    crs: str | None = None
    kind: str | None = None
    kind_column: str | None = None
    kinds: dict[str, str] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    priority_column: str | None = None
    priorities: dict[str, Annotated[Whole, Field(ge=0, le=LAST_PRIORITY)]] = Field(default_factory=dict)
    units_column: str | None = None
    case_column: str | None = None
    from_: date | None = Field(default=None, alias="from")
    repeat: StrictBool = False
    bad: Literal["refuse", "skip"] = "refuse"

    @field_validator("crs")
    @classmethod
    def _check_crs(cls, value: str | None) -> str | None:
        if value is not None:
            from pyproj import CRS
            from pyproj.exceptions import CRSError

            try:
                CRS.from_user_input(value)
            except CRSError:
                raise ValueError(f"'{value}' is no CRS; write one as \"EPSG:4326\"") from None
        return value

    @field_validator("time_format")
    @classmethod
    def _check_format(cls, value: str | None) -> str | None:
        import pandas as pd

        if value is not None:
            try:
                told = pd.to_datetime("x", format=value, errors="coerce")
            except ValueError as error:
                raise ValueError(f"'{value}' is no form of a time ({error}); write one as \"%Y-%m-%d %H:%M\"") from None
            if "%z" in value or "%Z" in value or told is not pd.NaT:
                raise ValueError(f"'{value}' has a time zone or no time; give the times of the clocks in the city")
        return value

    @model_validator(mode="after")
    def _check(self) -> "EventSettings":
        if (self.kind is None) == (self.kind_column is None):
            raise ValueError("give either kind, for all events, or kind_column")
        if (self.x is None) != (self.y is None):
            raise ValueError("give both x and y, or neither for a file of points")
        if self.zone_column is not None and self.x is not None:
            raise ValueError("give either x and y or zone_column")
        return self


@dataclass(frozen=True)
class Events:
    """Events of a file, by rising time, each column (events,).

    Attributes:
        second: float64 since the first day of the run; events of a file that repeats within its first round.
        kind: uint8 number of the kind.
        priority: int16 −1 where the file does not say.
        units: int16 0 where the file does not say.
        x, y: float64 m in the city's CRS.
        row: int64 row of the file, from 0.
        round_days: days after which they come again, 0 for never.
        spread: s, see :class:`EventSettings`.
        report: how many rows were left out, by why.
    """

    second: NDArray[np.float64]
    kind: NDArray[np.uint8]
    priority: NDArray[np.int16]
    units: NDArray[np.int16]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    row: NDArray[np.int64]
    round_days: int = 0
    spread: float = 0.0
    report: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.second)

    def of_day(self, day: int) -> tuple[NDArray[np.int64], int]:
        """Return which events happen on a day of the run, and for the how-manieth time they do, from 0."""
        time, of_round = divmod(day, self.round_days) if self.round_days else (0, day)
        begin, end = np.searchsorted(self.second, [of_round * DAY, (of_round + 1) * DAY])
        return np.arange(begin, end), time


def read_events(settings: EventSettings, city: "City | None", kinds: list[str], start: date, days: int) -> Events:
    """Read events from a file.

    Args:
        settings: the file and what its columns mean.
        city: where they happen; None to read the file alone, without a look at whether zones and points are in the city.
        kinds: names of all kinds of incidents.
        start: date of the first day of the run.
        days: length of the run.

    Raises:
        CallError: if the file cannot be read, or anything in it is wrong; all problems at once, each with its line.
    """
    try:
        return _Reading(settings, city, kinds).events(start, days)
    except DemandError as error:
        raise CallError(str(error)) from None


class _Reading:
    """One file that is read; ``good`` says which of its rows hold so far."""

    def __init__(self, settings: EventSettings, city: "City | None", kinds: list[str]):
        self.settings, self.city = settings, city
        self.numbers = {name: number for number, name in enumerate(kinds)}
        self.problems = Problems(settings.file)
        self.table, self.line, self.unit = _read(Path(settings.file), self.problems)
        self.good = np.ones(len(self.table), bool)
        self.report: dict[str, int] = {}
        wanted = [settings.time] if isinstance(settings.time, str) else list(settings.time)
        columns = (settings.x, settings.y, settings.zone_column, settings.kind_column, settings.priority_column)
        wanted += [name for name in (*columns, settings.units_column, settings.case_column) if name is not None]
        lacking = [name for name in wanted if name not in self.table.columns]
        if lacking:
            raise CallError(
                f"{settings.file}: no column '{lacking[0]}'; there are: {', '.join(map(str, self.table.columns)) or 'none'}"
            )

    def events(self, start: date, days: int) -> Events:
        settings = self.settings
        kind = self._kinds()
        time = self._times()
        x, y = self._points() if settings.zone_column is None else self._in_zones(settings.zone_column)
        priority = self._words(settings.priority_column, settings.priorities, "priority", LAST_PRIORITY)
        units = self._words(settings.units_column, {}, "number of units", 50, least=1)
        if settings.bad == "refuse":
            self.problems.refuse()
        elif self.problems.count:
            self.report["bad"] = self.problems.count
        keep = self.good & (kind >= 0)
        if settings.case_column is not None:
            again = _again(self._text(settings.case_column), keep)
            self.report["of a case before"] = int(again.sum())
            keep &= ~again
        if not keep.any():
            count = len(self.table)
            what = f"none of its {count:,} rows is an event that counts" if count else "there is no event in it"
            raise CallError(f"{settings.file}: {what}, so nothing would happen; take another file or leave it out")
        first = np.datetime64(settings.from_ or start, "D")
        second = (time - first).astype("timedelta64[s]").astype(float)
        round_days = 0
        if settings.repeat:
            round_days = int(second[keep].max() // DAY) + 1
        outside = keep & ~((second >= 0) & (second < (round_days or days) * DAY))
        self.report["outside the clock"] = int(outside.sum())
        inside = np.flatnonzero(keep & ~outside)
        if not len(inside):
            held = f"{time[keep].min().astype('datetime64[D]')} to {time[keep].max().astype('datetime64[D]')}"
            raise CallError(
                f"{settings.file}: no event falls on the {days} days from {first} on; the file has those of {held}. Set "
                "'from' to the date in it that is to be the first day of the run"
            )
        rows = inside[np.argsort(second[inside], kind="stable")]
        return Events(
            second=second[rows],
            kind=kind[rows].astype(np.uint8),
            priority=priority[rows].astype(np.int16),
            units=np.maximum(units[rows], 0).astype(np.int16),
            x=x[rows],
            y=y[rows],
            row=rows.astype(np.int64),
            round_days=round_days,
            spread=settings.spread,
            report=self.report,
        )

    # ------------------------------------------------------------------ columns

    def _text(self, name: str) -> NDArray[Any]:
        """Return a column as texts without blanks around."""
        column = self.table[name]
        return column.where(column.notna(), "").astype(str).str.strip().to_numpy(object)  # type: ignore[no-any-return]

    def _refuse(self, wrong: NDArray[np.bool_], column: str, message: Any) -> None:
        """Note rows that are wrong; ``message`` makes what to say of a row."""
        rows = np.flatnonzero(wrong & self.good)
        for row in rows[:SHOWN_OF_A_COLUMN].tolist():
            self.problems.add(f"{self.unit}{self.line[row]}", f"{column}: {message(row)}")
        self.problems.count += max(len(rows) - SHOWN_OF_A_COLUMN, 0)
        self.good[rows] = False

    def _kinds(self) -> NDArray[np.int64]:
        """Return the number of the kind of each row, −1 for those that are left out."""
        settings = self.settings
        for given in (settings.kind, *settings.kinds.values()):
            if given is not None and given not in self.numbers:
                raise CallError(
                    f"{settings.file}: '{given}' is no kind of incident; there are: {', '.join(self.numbers)}"
                )
        if settings.kind_column is None:
            return np.full(len(self.table), self.numbers[str(settings.kind)])
        words = self._text(settings.kind_column)
        known = {word: self.numbers[kind] for word, kind in settings.kinds.items()}
        meaning = self.numbers | known | dict.fromkeys(settings.ignore, -1)
        kind = np.array([meaning.get(word, -2) for word in words], np.int64)
        allowed = ", ".join([*settings.kinds, *settings.ignore]) or ", ".join(self.numbers)
        self._refuse(
            kind == -2,
            settings.kind_column,
            lambda row: f"'{words[row]}' has no kind; add it to kinds or ignore, which have: {allowed}",
        )
        self.report["ignored"] = int((kind == -1).sum())
        self.good &= kind != -1  # nothing else of them matters
        return kind

    def _times(self) -> NDArray[np.datetime64]:
        import pandas as pd

        names = (self.settings.time,) if isinstance(self.settings.time, str) else self.settings.time
        if len(names) == 1 and np.issubdtype(self.table[names[0]].dtype, np.datetime64):
            parsed = self.table[names[0]]
            text = parsed.astype(str).to_numpy()
        else:
            parts = [self._text(name) for name in names]
            text = np.array([" ".join(row) for row in zip(*parts, strict=True)], object)
            local = text if self.settings.time_format else np.array([_ZONE.sub("", one) for one in text], object)
            form = self.settings.time_format or "ISO8601"
            parsed = pd.Series(pd.to_datetime(pd.Series(local, dtype=object), format=form, errors="coerce"))
        if getattr(parsed.dtype, "tz", None) is not None:
            parsed = parsed.dt.tz_localize(None)
        time = parsed.to_numpy().astype("datetime64[s]")
        time[[not any(map(str.isdigit, one)) for one in text]] = np.datetime64("NaT")  # pandas reads "now" as a time
        form = self.settings.time_format or "2026-01-31 18:05"
        negative = np.array([one.startswith("-") for one in text.astype(str)], bool)  # no year before year 0
        self._refuse(negative, " ".join(names), lambda row: f"'{text[row]}' is negative; a time has the form {form}")
        self._refuse(np.isnat(time), " ".join(names), lambda row: f"'{text[row]}' is no time of the form {form}")
        return time  # type: ignore[no-any-return]

    def _points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from pyproj import Transformer

        settings, names = self.settings, ("x", "y")
        crs = settings.crs
        if settings.x is not None and settings.y is not None:
            names = (settings.x, settings.y)
            texts = [self._text(name) for name in names]
            x, y = (np.array([_number(text) for text in column]) for column in texts)
            for name, column, values in zip(names, texts, (x, y), strict=True):
                self._refuse(~np.isfinite(values), name, lambda row, column=column: f"'{column[row]}' is no coordinate")
        elif "geometry" in self.table.columns:
            shapes = self.table.geometry
            pointed = (shapes.geom_type == "Point").to_numpy()
            names = ("geometry", "geometry")
            self._refuse(~pointed, "geometry", lambda row: f"{shapes.iloc[row] or 'nothing'} is no point"[:80])
            x, y = np.full(len(shapes), np.nan), np.full(len(shapes), np.nan)
            x[pointed], y[pointed] = shapes[pointed].x, shapes[pointed].y
            crs = settings.crs or (str(shapes.crs) if shapes.crs is not None else None)
        else:
            raise CallError(f"{settings.file}: give x and y, the columns with coordinates; the file has no points")
        if self.city is None:
            return x, y
        crs = crs or self.city.info.crs
        if crs != self.city.info.crs:
            x, y = Transformer.from_crs(crs, self.city.info.crs, always_xy=True).transform(x, y)
        west, south, east, north = self.city.info.bounds
        with np.errstate(invalid="ignore"):
            away = np.maximum(np.maximum(west - x, x - east), np.maximum(south - y, y - north))
        bounds = f"{west:.0f} … {east:.0f} east, {south:.0f} … {north:.0f} north in {self.city.info.crs}"
        self._refuse(
            ~(away <= 0),
            "/".join(dict.fromkeys(names)),
            lambda row: (
                f"the event is at {x[row]:.0f}, {y[row]:.0f}, outside the city, which is {bounds}; is crs right?"
            ),
        )
        return np.asarray(x, float), np.asarray(y, float)

    def _in_zones(self, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a home in the zone of each row, or the middle of a zone without homes."""
        city, words = self.city, self._text(column)
        if city is None:
            return np.zeros(len(words)), np.zeros(len(words))
        numbers = zone_names(city)
        zone = np.array([numbers.get(word, -1) for word in words], np.int64)
        there = ", ".join(list(numbers)[:20]) + (" …" if len(numbers) > 20 else "")
        self._refuse(zone < 0, column, lambda row: f"'{words[row]}' is no zone of the city; there are: {there}")
        home = np.argsort(city.places.zone[: city.homes], kind="stable")
        first = np.searchsorted(city.places.zone[: city.homes][home], np.arange(len(city.zones) + 1))
        homes = np.diff(first)[zone]
        luck = uniforms(key(0, "home of an event in a zone"), np.arange(len(zone)), 0)
        place = np.minimum(first[zone] + (luck * homes).astype(np.int64), max(len(home) - 1, 0))
        chosen = home[place] if len(home) else zone
        x = np.where(homes > 0, city.places.x[chosen], city.zones.x[zone])
        y = np.where(homes > 0, city.places.y[chosen], city.zones.y[zone])
        return x.astype(float), y.astype(float)

    def _words(
        self, column: str | None, words: dict[str, int], what: str, most: int, *, least: int = 0
    ) -> NDArray[np.int64]:
        """Return the whole number that each word of a column is or stands for; −1 where there is no column."""
        if column is None:
            return np.full(len(self.table), -1)
        texts = self._text(column)
        value = np.array([words.get(text, _whole(text, least, most)) for text in texts], np.int64)
        allowed = f"{', '.join(words)} or {least} to {most}" if words else f"{least} to {most}"
        self._refuse(value < 0, column, lambda row: f"'{texts[row]}' is no {what}; allowed: {allowed}")
        return value


def _read(path: Path, problems: Problems) -> tuple["pandas.DataFrame", NDArray[np.int64], str]:
    """Return the table of a file, the number of each row there, and what that number is called in messages."""
    import pandas as pd

    if path.suffix.lower() in (".csv", ".txt"):
        with open_text(path) as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_commas(path, header)
            rows, lines = [], []
            for row in csv_rows(reader, path):
                if not any(map(str.strip, row)):
                    continue
                if len(row) != len(header):
                    message = f"has {len(row)} values, the first line names {len(header)} columns"
                    problems.add(str(reader.line_num), message)
                    continue
                rows.append(row)
                lines.append(reader.line_num)
                if len(rows) > MOST_EVENTS:
                    raise CallError(f"{path}: more than {MOST_EVENTS:,} rows; take a part of it")
        doubled = [name for number, name in enumerate(header) if name in header[:number]]
        if doubled:
            raise CallError(f"{path}:1: two columns are called '{doubled[0]}'")
        return pd.DataFrame(rows, columns=header, dtype=object), np.array(lines, np.int64), ""
    open_text(path).close()  # tells if it is missing or too large
    import geopandas

    try:
        if path.suffix.lower() in (".parquet", ".geoparquet"):
            try:
                table = geopandas.read_parquet(path)
            except ValueError:  # no geometry in it
                table = pd.read_parquet(path)
        else:
            table = geopandas.read_file(path)
    except Exception as error:  # the readers of formats raise what they like
        raise CallError(f"{path}: cannot be read as a table: {error}") from None
    if len(table) > MOST_EVENTS:
        raise CallError(f"{path}: {len(table):,} rows, at most {MOST_EVENTS:,} are read; take a part of it")
    return table.reset_index(drop=True), np.arange(1, len(table) + 1), "row "


def _check_commas(path: Path, header: list[str]) -> None:
    """Refuse a file whose columns are parted by something else.

    Raises:
        CallError: saying by what.
    """
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if 0 < len(header) <= sum(column.count(sign) for column in header):
            raise CallError(
                f"{path}:1: its columns are parted by {name}; commas are wanted: save it as CSV with commas, where numbers "
                "with a decimal comma stand in quotes"
            )


def _number(text: str) -> float:
    """Return a number that may have a decimal comma, not a number if it is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")


def _whole(text: str, least: int, most: int) -> int:
    """Return a whole number in a range, −1 if it is none."""
    number = _number(text) if len(text) < 10 else float("nan")
    return int(number) if least <= number <= most and number == int(number) else -1


def _again(case: NDArray[Any], rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of some rows have the case of an earlier one of them; rows without a case have none in common."""
    again = np.zeros(len(case), bool)
    seen: set[str] = set()
    for row in np.flatnonzero(rows & (case != "")).tolist():
        again[row] = case[row] in seen
        seen.add(case[row])
    return again
