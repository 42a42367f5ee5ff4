"""Moments on the command line: a date, a date and a time, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

import click
from dateutil.parser import isoparse

__all__ = ["moment"]

_AGO: Final = re.compile(r"(\d+)([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str) -> datetime:
    """Read 2026-11-21, 2026-11-21T06:30 (UTC unless it has an offset), or 30m, 24h, 7d, 2w ago.

    For click, as the type of an option.

    Raises:
        click.BadParameter: It is none of these.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(timezone.utc) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = isoparse(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no moment; write 2026-11-21, 2026-11-21T06:30 or, for how long ago, 30m,"
            " 24h, 7d, 2w."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
