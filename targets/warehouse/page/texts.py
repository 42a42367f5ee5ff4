"""How the page writes numbers, durations and moments."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Final

__all__ = ["NOTHING", "ago", "duration", "key", "moment", "number", "plain", "pretty", "rate"]

NOTHING: Final = "\N{EN DASH}"
"""Where there is no value."""
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def number(value: float | None) -> str:
    """Write a count with separators: 12,345."""
    return NOTHING if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Write records per second."""
    if value is None:
        return NOTHING
    return f"{value:,.0f} rec/s" if value >= 10 or not value else f"{value:.1f} rec/s"  # noqa: PLR2004


def duration(seconds: float | None) -> str:
    """Write seconds as people say them: 0.4 s, 75 s as 1 min 15 s, 2 h 05 min, 3 d 4 h."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{whole} s"  # noqa: PLR2004
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def moment(value: datetime | None) -> str:
    """Write a moment in UTC."""
    return NOTHING if value is None else f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def ago(value: datetime | None, now: datetime) -> str:
    """Write how long ago a moment is: 5 min ago."""
    if value is None:
        return "never"
    passed = now - value
    if passed < timedelta(seconds=1):
        return "now"
    seconds = round(passed.total_seconds())
    for unit, text in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= (2 if unit == _DAY else 1) * unit:
            return f"{seconds // unit} {text} ago"
    return f"{seconds} s ago"


def key(value: Any) -> str:
    """Write a record's key: its values, with their names where they are several."""
    if not isinstance(value, dict):
        return NOTHING if value is None else plain(value)
    if len(value) == 1:
        return plain(next(iter(value.values())))
    return ", ".join(f"{name}={plain(part)}" for name, part in value.items())


def plain(value: Any) -> str:
    """Write a value of JSON in one line; text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def pretty(value: Any) -> str:
    """Write a value of JSON in many lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)
