"""What a viewer asked for in the address, and the addresses of the other pages of it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from warehouse.page.refused import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PERIODS", "STATUSES", "BadFilter", "Filters"]

STATUSES: Final = ("running", "success", "partial", "failed")
PERIODS: Final = (7, 30, 90)
"""Days that the activity can be shown for."""
_MOST_PAGES: Final = 1_000_000
_MOST_ID: Final = 2**63 - 1


class BadFilter(Exception):
    """A filter that means nothing; the message says which."""


@dataclass(frozen=True)
class Filters:
    """Filters of runs, rejects and activity; None where there is none.

    Attributes:
        crm: One crm_source.
        stream: One sync_type.
        status: One of `STATUSES`.
        error_class: One of the rejects' classes.
        since: First day of the period, as YYYY-MM-DD.
        until: Last day of the period, as YYYY-MM-DD.
        run: Id in sync_history.
        days: How many days of activity.
        page: Counted from 1.
    """

    crm: str | None = None
    stream: str | None = None
    status: str | None = None
    error_class: str | None = None
    since: str | None = None
    until: str | None = None
    run: int | None = None
    days: int = 30
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """Return the filters of an address; what is empty or unknown is no filter.

        Raises:
            BadFilter: A value that cannot be.
        """
        given = {name: text.strip() for name, text in query.items() if text.strip()}
        if wrong := [name for name, text in given.items() if "\0" in text]:
            raise BadFilter(f"{wrong[0]} has a character that no name has.")
        return cls(
            crm=given.get("crm"),
            stream=given.get("stream"),
            status=_one_of(given, "status", STATUSES),
            error_class=_one_of(given, "error_class", CLASSES),
            since=_day(given, "since"),
            until=_day(given, "until"),
            run=_number(given, "run", _MOST_ID),
            days=_number(given, "days", max(PERIODS)) or cls.days,
            page=_number(given, "page", _MOST_PAGES) or 1,
        )

    @property
    def begins(self) -> datetime | None:
        """Moment from which runs are shown."""
        return _midnight(self.since) if self.since else None

    @property
    def ends(self) -> datetime | None:
        """Moment from which on they are not."""
        return _midnight(self.until) + timedelta(days=1) if self.until else None

    @property
    def is_set(self) -> bool:
        """Whether anything is left out."""
        return replace(self, page=1, days=Filters.days) != Filters()

    def link(self, **changes: Any) -> str:
        """Return the query of an address, from its question mark on, with some things changed."""
        changed, plain = replace(self, **changes), Filters()
        query = {
            field.name: value
            for field in fields(self)
            if (value := getattr(changed, field.name)) != getattr(plain, field.name)
        }
        return f"?{urlencode(query)}"


def _one_of(given: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is not None and value not in known:
        raise BadFilter(f"{name} is one of {', '.join(known)}.")
    return value


def _number(given: Mapping[str, str], name: str, most: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= most):  # noqa: PLR2004
        raise BadFilter(f"{name} is a number from 1 to {most}.")
    return int(text)


def _day(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None:
        try:
            _midnight(text) + timedelta(days=1)
        except (ValueError, OverflowError):
            raise BadFilter(f"{name} is a day, written as 2026-01-31.") from None
    return text


def _midnight(day: str) -> datetime:
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc)
