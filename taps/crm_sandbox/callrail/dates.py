"""The days a request asks for (section 4 of the sheet)."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from dateutil.relativedelta import relativedelta
from dateutil.tz import gettz

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crm_sandbox.callrail.switches import Switches

RETENTION = relativedelta(months=25)
LAST_SECOND = time(23, 59, 59)
RANGES = {
    "recent": 7,
    "today": 0,
    "last_7_days": 7,
    "last_30_days": 30,
    "this_year": 365,
}
"""Days before today with which some named ranges begin."""


class TooFarBack(ValueError):
    """The range begins before what CallRail keeps."""


def oldest(now: datetime) -> datetime:
    """Return the moment before which nothing is kept."""
    return now - RETENTION


def span(
    query: Mapping[str, str], now: datetime, switches: Switches
) -> tuple[datetime | None, datetime]:
    """Return the first and the last moment asked for; both belong to it.

    Raises:
        TooFarBack: the first one is not kept any more.
    """
    zone = _zone(query.get("time_zone")) or _zone(switches.user_time_zone) or timezone.utc
    first = _moment(query.get("start_date"), zone, time())
    last_second = LAST_SECOND if switches.day_ends == "last_second" else time.max
    last = _moment(query.get("end_date"), zone, last_second) or now
    if first is None:
        name = query.get("date_range", "")
        if name == "all_time":
            raise TooFarBack("all_time")
        name = name if name in RANGES else switches.default_range
        if name == "all_time":
            return None, last
        day = now.astimezone(zone).date() - timedelta(days=RANGES[name])
        first = datetime.combine(day, time(), zone)
    if first < oldest(now):
        raise TooFarBack(first.isoformat())
    return first, last


def from_ms(moment: int) -> datetime:
    """Return a moment of the sandbox's clock."""
    return datetime.fromtimestamp(moment / 1000, timezone.utc)


def _zone(name: str | None) -> tzinfo | None:
    """Return a zone by its name, from dateutil, which has the data where the system has none."""
    return gettz(name) if name else None


def _moment(text: str | None, zone: tzinfo, at: time) -> datetime | None:
    """Read a date or a date with a time; what is neither is ignored, as CallRail does."""
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M"):
        try:
            moment = datetime.strptime(text or "", form)  # noqa: DTZ007 - the zone comes next
        except ValueError:
            continue
        if "T" not in form:
            moment = datetime.combine(moment, at)
        return moment.replace(tzinfo=zone)
    return None
