"""Which bookmarks the tables allow: for those that were lost, and those that a user sets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dateutil.parser import isoparse
from psycopg2 import sql

from warehouse.bookmarks import KEY, VALUE, catalog
from warehouse.command import Refusal, Warehouse
from warehouse.history import has_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Rebuilt", "rebuilt", "settable"]

_WHOLE: Final = "it has no bookmark: each run reads everything"
_UNENDED: Final = "no run of it has ended: the next run reads everything"
_FROM_HISTORY: Final = "as the last run of sync_history left it"
_KNOWN: Final = """
WITH streams AS (
    SELECT sync_type, bool_or(status = 'success') AS ended FROM {history}
    WHERE crm_source = %(crm)s GROUP BY sync_type
)
SELECT sync_type, ended, (
    SELECT configuration #> '{{bookmarks,after}}' FROM {history} AS run
    WHERE crm_source = %(crm)s AND run.sync_type = streams.sync_type
        AND configuration #> '{{bookmarks,after}}' NOT IN ('null', '{{}}')
    ORDER BY id DESC LIMIT 1
), (
    SELECT configuration -> 'table' FROM {history} AS run
    WHERE crm_source = %(crm)s AND run.sync_type = streams.sync_type AND configuration ? 'table'
    ORDER BY id DESC LIMIT 1
) FROM streams
"""
"""Of each stream: whether a run of it ever ended well, its last bookmark, its table."""


@dataclass(frozen=True)
class Rebuilt:
    """What a stream's bookmark is to be, and why; None: it has none, so that all is read."""

    stream: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str


@dataclass(frozen=True)
class _Known:
    """What sync_history has of a stream: its last bookmark, its table, whether it ever ended."""

    bookmark: Mapping[str, Any]
    table: tuple[str, str]
    ended: bool


class _Tables:
    """A CRM's streams, by sync_history and by what is in its schema."""

    def __init__(self, warehouse: Warehouse, crm: str, cursor: Cursor) -> None:
        self._warehouse, self._crm, self._cursor = warehouse, crm, cursor
        self._known = self._history()
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (crm,))
        self._stored = {row[0] for row in cursor.fetchall()}

    @property
    def streams(self) -> list[str]:
        tables = {known.table for known in self._known.values()}
        other = {name for name in self._stored if (self._crm, name) not in tables}
        return sorted({*self._known, *other})

    def bookmark(self, stream: str) -> Mapping[str, Any]:
        """Return the last one that was committed; where no run is known, its key's name alone."""
        if known := self._known.get(stream):
            return known.bookmark
        key = self._keys.get(stream)
        return {KEY: key} if key else {}

    def ended(self, stream: str) -> bool:
        """Tell whether a run of a stream ended well, or none is known."""
        known = self._known.get(stream)
        return known is None or known.ended

    def is_empty(self, stream: str) -> bool:
        schema, name = self._table(stream)
        if not has_table(self._cursor, schema, name):
            return True
        self._cursor.execute(
            sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, name))
        )
        return bool(_one(self._cursor))

    def largest(self, stream: str, column: str) -> Any:
        """Return the largest value that is stored; None where there is no such column."""
        schema, name = self._table(stream)
        self._cursor.execute(
            "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attname = %s"
            " AND attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
            " AND NOT attisdropped",
            (column, schema, name),
        )
        kind = _one(self._cursor)
        if kind is None:
            return None
        order = sql.SQL('COLLATE "C"' if kind in {"text", "character varying"} else "")
        self._cursor.execute(
            sql.SQL("SELECT max({} {}) FROM {}").format(
                sql.Identifier(column), order, sql.Identifier(schema, name)
            )
        )
        return _one(self._cursor)

    def _table(self, stream: str) -> tuple[str, str]:
        known = self._known.get(stream)
        return known.table if known else (self._crm, stream)

    @cached_property
    def _keys(self) -> Mapping[str, str | None]:
        return catalog(self._warehouse, self._crm)

    def _history(self) -> dict[str, _Known]:
        schema = self._warehouse.history_schema
        if not has_table(self._cursor, schema, "sync_history"):
            return {}
        self._cursor.execute(
            sql.SQL(_KNOWN).format(history=sql.Identifier(schema, "sync_history")),
            {"crm": self._crm},
        )
        return {
            stream: _Known(
                bookmark or {},
                (table["schema"], table["name"]) if table else (self._crm, stream),
                ended=ended,
            )
            for stream, ended, bookmark, table in self._cursor.fetchall()
        }


def rebuilt(
    warehouse: Warehouse, crm: str, before: Mapping[str, Any], streams: Iterable[str] = ()
) -> list[Rebuilt]:
    """Find what the bookmarks may be by what is stored: never ahead of it, nor of what was read.

    That is the last bookmark that sync_history has of a stream, or the largest value among the
    stored rows where that is smaller. (The largest value alone could be ahead: a run that was
    interrupted has stored new records before old ones.) Where sync_history knows nothing of a
    stream it is the largest value alone.

    Args:
        warehouse: Where the tables are.
        crm: The CRM.
        before: Its bookmarks as they are.
        streams: Those in question; none for all.

    Raises:
        Refusal: The database cannot be reached, or the tap not be asked.
    """
    with warehouse.connect() as connection, connection.cursor() as cursor:
        tables = _Tables(warehouse, crm, cursor)
        return [
            _rebuilt(tables, stream, before.get(stream)) for stream in streams or tables.streams
        ]


def _rebuilt(tables: _Tables, stream: str, before: Mapping[str, Any] | None) -> Rebuilt:
    bookmark = tables.bookmark(stream)
    if tables.is_empty(stream):
        after, why = None, "nothing is stored: the next run reads everything"
    elif not bookmark:
        after, why = None, _WHOLE if tables.ended(stream) else _UNENDED
    elif KEY not in bookmark:
        after, why = before or bookmark, _FROM_HISTORY
    else:
        after, why = _by_key(bookmark, before, tables.largest(stream, bookmark[KEY]))
    return Rebuilt(stream, before, after, why)


def _by_key(
    bookmark: Mapping[str, Any], before: Mapping[str, Any] | None, largest: Any
) -> tuple[Mapping[str, Any] | None, str]:
    """Return a stream's bookmark, where it is a value of a column, and why it is this one."""
    key = bookmark[KEY]
    if largest is None:
        return None, f"its table has no value of {key}: the next run reads everything"
    if before and before.get(KEY) == key and not _ahead(before.get(VALUE), largest):
        return before, "it is there, and not ahead of what is stored"
    if VALUE in bookmark and not _ahead(bookmark[VALUE], largest):
        return bookmark, _FROM_HISTORY
    return {KEY: key, VALUE: _value(largest)}, f"the largest {key} that is stored"


def settable(warehouse: Warehouse, crm: str, stream: str, value: str) -> Mapping[str, Any]:
    """Return the bookmark with this value, which is not ahead of what is stored.

    Raises:
        Refusal: It is, or is of another kind, or the stream has no bookmark.
    """
    with warehouse.connect() as connection, connection.cursor() as cursor:
        tables = _Tables(warehouse, crm, cursor)
        if stream not in tables.streams:
            names = ", ".join(tables.streams) or "nothing yet"
            raise Refusal(f"Nothing is stored of {crm} {stream}; there is: {names}.")
        known = tables.bookmark(stream)
        key = known.get(KEY)
        largest = tables.largest(stream, key) if key else None
    if largest is None:
        raise Refusal(f"{crm} {stream} has no bookmark that is one value of a column.")
    if VALUE in known and not _ahead(known[VALUE], largest):
        largest = _like(known[VALUE], largest)  # what lies beyond may have gaps
    try:
        parsed = _like(value, largest)
    except (ValueError, InvalidOperation):
        raise Refusal(f"'{value}' is no value of {key}; write it like {_value(largest)}.") from None
    if parsed > largest:
        raise Refusal(
            f"{value} is ahead of what is stored without gaps: {key} up to {_value(largest)}."
            " Records between would never be read."
        )
    return {KEY: key, VALUE: _value(parsed)}


def _ahead(said: Any, largest: Any) -> bool:
    """Tell whether a bookmark's value is beyond the largest that is stored, or of another kind."""
    try:
        return bool(_like(said, largest) > largest)
    except (ValueError, TypeError, InvalidOperation):
        return True


def _like(value: Any, other: Any) -> Any:
    """Read a bookmark's value as what the column holds."""
    if isinstance(other, datetime):
        moment = isoparse(str(value))
        if other.tzinfo is None:
            return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    if isinstance(other, date):
        return date.fromisoformat(str(value)[:10])
    if isinstance(other, int):
        return int(value)
    if isinstance(other, (Decimal, float)):
        return Decimal(str(value))
    return str(value)


def _value(value: Any) -> Any:
    """Return a column's value as a bookmark has it: moments in UTC, with microseconds."""
    if isinstance(value, datetime):
        moment = value.astimezone(timezone.utc) if value.tzinfo else value
        return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int) else str(value)


def _one(cursor: Cursor) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None
