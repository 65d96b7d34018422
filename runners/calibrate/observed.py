"""Observations: a CSV file of figures by day, checked before anything runs.

The file is untrusted: it has a largest size, numbers are written as such (no thousands separators, no "nan"), and every
misfit is told with line and column.
"""

import csv
import datetime
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..scenarios.documents import MAX_PROBLEMS, Problem, ScenarioError, Where, suggestion, visible
from ..scenarios.sections import ClockSettings
from .settings import CalibrateSettings, Observation

MAX_BYTES = 10_000_000
MAX_ROWS = 100_000
PEOPLE = frozenset(
    [
        "susceptible",
        "exposed",
        "infectious",
        "recovered",
        "ill",
        "severe",
        "critical",
        "dead",
        "new_deaths",
        "new_infections",
        "new_imported",
        "new_home",
        "new_school",
        "new_university",
        "new_work",
        "new_shop",
        "new_leisure",
        "new_hospital",
        "new_guests",
        "hospital_patients",
        "icu_patients",
        "admissions",
        "turned_away",
        "without_bed",
        "isolated",
        "quarantined",
        "traced",
    ]
)
"""Figures of a day that count each person once, so that none is larger than the city."""
LARGEST = 1e12
"""Largest figure taken; there are no 10¹² people."""
DATE, DAY = "date", "day"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Observed:
    """What was observed.

    Attributes:
        days: (n,) days of the run, rising.
        values: by column (n,), not a number where nothing was observed.
        last: last day that is fitted; later ones are held out.
        digest: checksum of the file.
    """

    days: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    last: int
    digest: str

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Whether each day is fitted, (n,)."""
        return self.days <= self.last


def read_observed(path: str | Path, settings: CalibrateSettings, clock: ClockSettings, until: Where) -> Observed:
    """Read a CSV file of observations.

    Args:
        path: the file; its first line names the columns, among them ``date`` (2020-02-24) or ``day`` (0 is the first).
        settings: the columns wanted, and the last day that is fitted.
        clock: when the scenario plays.
        until: where ``until`` stands, for messages.

    Raises:
        ScenarioError: with every problem of the file, each with line, column and what is allowed.
    """
    label = str(path)
    content = _content(Path(path), label)
    rows = _rows(content, label)
    header, wanted = rows[0][1], settings.observations
    problems = _header_problems(header, wanted, Where(label, rows[0][0]))
    if problems:
        raise ScenarioError(problems)
    when = DATE if DATE in header else DAY
    found: dict[int, dict[str, float]] = {}
    lines: dict[int, int] = {}
    for line, cells in rows[1:]:
        if len(problems) > MAX_PROBLEMS:
            break
        if len(cells) != len(header):
            message = f"{len(cells)} cells, the header has {len(header)}"
            problems.append(Problem(Where(label, line), "", message))
            continue
        day = _day(cells[header.index(when)].strip(), when, clock)
        if isinstance(day, str):
            problems.append(Problem(Where(label, line), when, day))
            continue
        if day in found:
            message = f"{cells[header.index(when)].strip()} stands in line {lines[day]} already; one line a day"
            problems.append(Problem(Where(label, line), when, message))
            continue
        lines[day], found[day] = line, {}
        for name, observation in wanted.items():
            value = _figure(cells[header.index(name)].strip(), observation)
            if isinstance(value, str):
                problems.append(Problem(Where(label, line), name, value))
            else:
                found[day][name] = value
    if problems:
        raise ScenarioError(problems)
    days = np.array(sorted(found), np.int64)
    values = {name: np.array([found[day][name] for day in days.tolist()], float) for name in wanted}
    last = settings.until
    last = clock.days - 1 if last is None else clock.day(last) if isinstance(last, datetime.date) else last
    observed = Observed(days, values, last, hashlib.sha256(content).hexdigest())
    problems = _window_problems(observed, wanted, Where(label), until, settings)
    if problems:
        raise ScenarioError(problems)
    return observed


def check_people(observed: Observed, settings: CalibrateSettings, people: int, label: str) -> None:
    """Make sure that no more people were observed than the city has, times the scale.

    Args:
        observed: the data.
        settings: the section ``[calibrate]``; of a scale that is fitted the upper end counts.
        people: number of people of the city.
        label: what the file of the data is called.

    Raises:
        ScenarioError: with a line for each column with such a figure.
    """
    highest = {name: prior.to for name, prior in settings.parameters.items()}
    problems = []
    for name, observation in settings.at(highest).items():
        values = observed.values[name]
        most = people * observation.scale
        if observation.series not in PEOPLE or not np.any(values > most):
            continue
        first = int(np.argmax(values > most))
        message = (
            f"{values[first]:,.0f} on day {observed.days[first]}: more than the city has people, {people:,}"
            f"{f' times {observation.scale:g}' if observation.scale != 1 else ''}; "
            f"raise calibrate.observations.{name}.scale, or take a larger city"
        )
        problems.append(Problem(Where(label), name, message))
    if problems:
        raise ScenarioError(problems)


def _content(path: Path, label: str) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise ScenarioError([Problem(Where(label), "", "is not a file")])
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ScenarioError([Problem(Where(label), "", f"{size:,} bytes; observations have at most {MAX_BYTES:,}")])
        return path.read_bytes()
    except OSError as error:
        raise ScenarioError([Problem(Where(label), "", f"cannot be read ({error.strerror or error})")]) from None


def _rows(content: bytes, label: str) -> list[tuple[int, list[str]]]:
    """Return line number and cells of every line that is not empty, the header first."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start:,}); save it as CSV in UTF-8"
        raise ScenarioError([Problem(Where(label), "", message)]) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, cells))
            if len(rows) > MAX_ROWS + 1:
                message = f"more than {MAX_ROWS:,} lines; leave out those outside the clock"
                raise ScenarioError([Problem(Where(label, reader.line_num), "", message)])
    except csv.Error as error:
        raise ScenarioError([Problem(Where(label, reader.line_num), "", f"not valid CSV: {error}")]) from None
    if len(rows) < 2:
        message = "holds no observations; write a line of column names and a line for each day"
        raise ScenarioError([Problem(Where(label), "", message)])
    return [(rows[0][0], [cell.strip() for cell in rows[0][1]]), *rows[1:]]


def _header_problems(header: list[str], wanted: Mapping[str, Observation], where: Where) -> list[Problem]:
    problems = []
    named = [name for name in header if name]
    shown = visible(", ".join(named))[:200]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        problems.append(Problem(where, visible(twice[0]), "two columns have this name; rename one"))
    if (DATE in named) == (DAY in named):
        message = f"needs a column '{DATE}' or a column '{DAY}', and not both; it has: {shown}"
        if len(named) == 1 and (";" in shown or "\\t" in shown):
            message = f"cells must be separated by commas; the line reads: {shown}"
        problems.append(Problem(where, "", message))
    for name in wanted:
        if name not in named or name in (DATE, DAY):
            near = suggestion(name, [other for other in named if other not in (DATE, DAY)])
            problems.append(Problem(where, name, f"no such column of figures; it has: {shown}{near}"))
    return problems


def _day(cell: str, when: str, clock: ClockSettings) -> int | str:
    """Return the day of the run that a cell names, or what is wrong with it."""
    given = visible(cell[:40]) or "nothing"
    if when == DATE:
        try:
            if not _DATE.fullmatch(cell):
                raise ValueError
            day = clock.day(datetime.date.fromisoformat(cell))
        except ValueError:
            return f"must be a date such as 2020-02-24 (given {given})"
    elif not _WHOLE.fullmatch(cell):
        return f"must be a day of the run, a whole number from 0 (given {given})"
    else:
        day = int(cell)
    if not 0 <= day < clock.days:
        last = clock.date(clock.days - 1)
        span = f"{clock.start} to {last}" if when == DATE else f"0 to {clock.days - 1}"
        return f"outside the clock, {span} (given {given}); leave the line out or change [clock]"
    return day


def _figure(cell: str, observation: Observation) -> float | str:
    """Return the number in a cell, not a number if it is empty, or what is wrong with it."""
    if not cell:
        return float("nan")
    given = visible(cell[:40])
    if not _NUMBER.fullmatch(cell):
        return f"must be a number such as 12 or 0.5, or empty where nothing was observed (given {given})"
    value = float(cell)
    if abs(value) > LARGEST:
        return f"must be at most {LARGEST:g} (given {given})"
    if observation.error == "counts" and value < 0:
        return f'a count cannot be negative (given {given}); correct it, leave it empty, or write error = "normal"'
    return value


def _window_problems(
    observed: Observed, wanted: Mapping[str, Observation], where: Where, until: Where, settings: CalibrateSettings
) -> list[Problem]:
    """Find columns of which nothing can be learnt."""
    if not observed.fitted.any():
        message = f"no observation lies before its end; the first is of day {observed.days[0]} (given {settings.until})"
        return [Problem(until, "calibrate.until", message)]
    problems = []
    for name, observation in wanted.items():
        values = observed.values[name][observed.fitted]
        values = values[~np.isnan(values)]
        if not len(values):
            problems.append(Problem(where, name, "has no figure within the days that are fitted"))
        elif observation.error == "normal" and observation.sd is None and not np.ptp(values) > 0:
            message = f"its fitted figures are all {values[0]:g}; give their error: calibrate.observations.{name}.sd"
            problems.append(Problem(where, name, message))
    return problems
