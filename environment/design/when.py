"""When a change holds: dates, weekdays and hours of the day."""

import contextlib
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_GROUPS = {"weekdays": frozenset(range(5)), "weekend": frozenset({5, 6}), "daily": frozenset(range(7))}


@dataclass(frozen=True)
class When:
    """When a change holds; by default always.

    Attributes:
        first, last: first and last date, None where there is none.
        weekdays: days of the week, 0 Monday.
        hours: seconds of the day from which to which; an end before the start lies on the next day. Empty: all day.
    """

    first: datetime.date | None = None
    last: datetime.date | None = None
    weekdays: frozenset[int] = frozenset(range(7))
    hours: tuple[tuple[int, int], ...] = ()

    @property
    def always(self) -> bool:
        """Whether the change is permanent."""
        return self == When()

    def begins_on(self, date: datetime.date) -> bool:
        """Return whether hours of this change begin on a date."""
        after = self.first is None or date >= self.first
        return after and (self.last is None or date <= self.last) and date.weekday() in self.weekdays

    def spells(self, date: datetime.date) -> list[tuple[int, int]]:
        """Return the seconds of a date from which to which the change holds."""
        found = []
        hours = self.hours or ((0, 86_400),)
        if self.begins_on(date):
            found += [(start, end if end > start else 86_400) for start, end in hours]
        if date > datetime.date.min and self.begins_on(date - datetime.timedelta(days=1)):
            found += [(0, end) for start, end in hours if end <= start and end > 0]
        return sorted(found)

    def meets(self, other: "When") -> bool:
        """Return whether two changes may hold at one time; the dates of a week are tried, and their limits."""
        firsts = [date for date in (self.first, other.first) if date is not None]
        begin = max(firsts, default=min([d for d in (self.last, other.last) if d] or [datetime.date(2000, 1, 3)]))
        for number in range(8):
            try:
                date = begin + datetime.timedelta(days=number if firsts or not (self.last or other.last) else -number)
            except OverflowError:
                break
            for a in self.spells(date):
                if any(a[0] < b[1] and b[0] < a[1] for b in other.spells(date)):
                    return True
        return False


def shown(value: Any) -> str:
    """Return a value as a message shows it: short, and without control characters."""
    text = repr(value) if isinstance(value, str) else str(value)
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return text if len(text) <= 60 else f"{text[:57]}…"


def seconds_of(text: Any) -> int:
    """Return the seconds since midnight of a time such as ``07:30``; 24:00 is the end of the day.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(text, datetime.time):
        return text.hour * 3600 + text.minute * 60 + text.second
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must be a time such as 07:30 (given {shown(text)})")
    hour, minute = int(match[1]), int(match[2])
    if minute > 59 or hour * 60 + minute > 24 * 60:
        raise ValueError(f"must be a time from 00:00 to 24:00 (given {shown(text)})")
    return hour * 3600 + minute * 60


def read_when(given: Mapping[str, Any]) -> When:
    """Return when a change holds by ``from``, ``until``, ``hours`` and ``weekdays``.

    Raises:
        ValueError: if one of them is wrong; the message begins with its name.
    """
    dates = {}
    for name in ("from", "until"):
        value = given.get(name)
        if isinstance(value, datetime.datetime):
            value = value.date()
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = datetime.date.fromisoformat(value)
        if value is not None and not isinstance(value, datetime.date):
            raise ValueError(f"{name}: must be a date such as 2026-05-01 (given {shown(value)})")
        dates[name] = value
    if dates["from"] and dates["until"] and dates["from"] > dates["until"]:
        raise ValueError(f"until: {dates['until']} lies before from, {dates['from']}")
    hours = []
    texts = given.get("hours", [])
    for text in re.split(r"[,;]", texts) if isinstance(texts, str) else texts if isinstance(texts, list) else [texts]:
        parts = re.split(r"[-\u2013]", text) if isinstance(text, str) else []
        if len(parts) != 2:
            raise ValueError(f'hours: must be as in "07:30-09:00" (given {shown(text)})')
        try:
            start, end = (seconds_of(part) for part in parts)
        except ValueError as error:
            raise ValueError(f"hours: {error}") from None
        if start in (end, 86_400):
            raise ValueError(f"hours: {shown(text)} is no time at all; for the whole day leave it out")
        hours.append((start, end))
    return When(dates["from"], dates["until"], _weekdays(given.get("weekdays")), tuple(sorted(hours)))


def _weekdays(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset(range(7))
    words = re.split(r"[,;]", value) if isinstance(value, str) else value if isinstance(value, list) else [value]
    found: set[int] = set()
    for word in words:
        text = word.strip().casefold() if isinstance(word, str) else ""
        if text in _DAY_GROUPS:
            found |= _DAY_GROUPS[text]
            continue
        ends = [part.strip()[:3] for part in re.split(r"[-\u2013]", text)]
        if not 1 <= len(ends) <= 2 or not all(end in DAYS for end in ends):
            raise ValueError(f'weekdays: must be as in "Mon-Fri" or "Sat, Sun" (given {shown(word)})')
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        found |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return frozenset(found)
