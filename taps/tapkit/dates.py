"""Moments in time: parsing what CRMs write, and the one form in which records and state hold them.

That form is ISO 8601 in UTC with microseconds, `2026-10-30T17:02:10.431000Z`: as every text has
the same length, comparing texts compares moments.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import msgspec
from dateutil import parser as dateutil_parser

__all__ = ["now", "parse_date", "parse_datetime", "parse_time", "text"]

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM = 100_000_000_000
"""Digits alone are milliseconds from here on (1973), and below it seconds (until the year 5138)."""
PROBES = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 2, 2, tzinfo=UTC))
"""Two defaults for dateutil: a text that lacks year, month or day gives two results."""


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def text(moment: datetime) -> str:
    """A moment in the form that records and state use; a naive one is taken as UTC."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def parse_datetime(value: object) -> datetime:
    """Read a moment: ISO 8601, epoch seconds or milliseconds, or what dateutil understands.

    A time without zone is UTC, a date alone is its midnight. The result is in UTC.

    Raises:
        ValueError: It is not a moment, or not a complete one.
    """
    if isinstance(value, str):
        try:
            moment = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            moment = _parse_loosely(value)
    elif isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        moment = _from_epoch(float(value))
    elif isinstance(value, datetime):
        moment = value
    else:
        raise ValueError("not a date and time")
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("out of range for a date and time") from None


def parse_date(value: object) -> date:
    """Read a day; a moment is cut to its day in UTC.

    Raises:
        ValueError: It is not a day.
    """
    if isinstance(value, str):
        try:
            return msgspec.convert(value, date)
        except msgspec.ValidationError:
            pass
    try:
        return parse_datetime(value).date()
    except ValueError:
        raise ValueError("not a date") from None


def parse_time(value: object) -> time:
    """Read a time of day; of a moment, its time.

    Raises:
        ValueError: It is not a time of day.
    """
    if not isinstance(value, str) or not value.strip() or value.strip()[0] in "+-":
        raise ValueError("not a time of day")  # a sign makes it a duration
    try:
        return msgspec.convert(value, time)
    except msgspec.ValidationError:
        pass
    try:
        return dateutil_parser.parse(value, default=PROBES[0]).time()
    except (ValueError, OverflowError):
        raise ValueError("not a time of day") from None


def _zone(name: str | None, offset: float | None) -> timezone | None:
    """A zone by its offset; a name alone means different offsets to different people."""
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is not None:
        raise ValueError("unknown time zone")
    return None


def _from_epoch(value: float) -> datetime:
    try:
        if abs(value) >= MILLISECONDS_FROM:
            return EPOCH + timedelta(milliseconds=value)
        return EPOCH + timedelta(seconds=value)
    except (OverflowError, ValueError):
        raise ValueError("out of range for a date and time") from None


def _parse_loosely(value: str) -> datetime:
    digits = value.strip()
    if digits.lstrip("-").isdecimal():
        if len(digits) < len("1000000000"):
            raise ValueError("not a date and time")
        return _from_epoch(int(digits))
    try:
        first, second = (
            dateutil_parser.parse(value, default=probe, tzinfos=_zone) for probe in PROBES
        )
    except (ValueError, OverflowError):
        raise ValueError("not a date and time") from None
    if first != second:
        raise ValueError("not a complete date")
    return first
