"""Dates and times: which texts Postgres will take for what they say."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timezone
from typing import Final

from dateutil.parser import isoparse

__all__ = ["CLOCK", "DATETIME", "clamp", "parse_date", "parse_datetime", "parse_time"]

CLOCK: Final = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
DATE: Final = r"\d{4}-\d\d-\d\d"
DATETIME: Final = rf"{DATE}[T ]{CLOCK}(?:Z|[+-](?:0\d|1[0-5])(?::?\d\d)?)?"
"""Forms whose meaning is the same to Python and to Postgres; the range still needs a check."""

_DATE: Final = re.compile(DATE)
_DATETIME: Final = re.compile(DATETIME)
_TIME: Final = re.compile(rf"({CLOCK})(?:Z|[+-]00(?::?00)?)?")
_YEAR: Final = re.compile(r"([+-]?\d{4,9})-\d\d-\d\d")
_LAST_YEAR: Final = 9999
_SHORTEST: Final = len("20240131")


def parse_datetime(text: str) -> str | None:
    """Return the moment as Postgres reads it, or None where it is none.

    A moment without an offset is UTC. Other ISO 8601 forms are rewritten; anything else would be a
    guess.
    """
    try:
        if _DATETIME.fullmatch(text):
            datetime.fromisoformat(text)
            return text
        if len(text) < _SHORTEST:
            return None
        moment = isoparse(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).isoformat()


def parse_date(text: str) -> str | None:
    """Return the date, or None; a moment is a date only at midnight."""
    try:
        if _DATE.fullmatch(text):
            date.fromisoformat(text)
            return text
    except ValueError:
        return None
    if (moment := parse_datetime(text)) is None:
        return None
    parsed = isoparse(moment.replace(" ", "T", 1))
    return parsed.date().isoformat() if parsed.time() == time() else None


def parse_time(text: str) -> str | None:
    """Return the time of day, or None; only an offset of zero is understood."""
    if not (match := _TIME.fullmatch(text)):
        return None
    try:
        time.fromisoformat(match[1])
    except ValueError:
        return None
    return match[1]


def clamp(text: str) -> str | None:
    """Return the first or the last day for one outside of the years 1 to 9999, or None.

    The last is a moment's last microsecond too: Postgres takes it for a date as well.
    """
    if not (match := _YEAR.match(text)):
        return None
    year = int(match[1])
    if year < 1:
        return "0001-01-01 00:00:00+00"
    return "9999-12-31 23:59:59.999999+00" if year > _LAST_YEAR else None
