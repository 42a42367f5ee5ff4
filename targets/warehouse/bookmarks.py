"""The bookmarks of a CRM's streams: as Meltano keeps them, and as the tables say they may be."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from dateutil.parser import isoparse
from psycopg2 import sql

from warehouse import crms, meltano
from warehouse.command import Refusal, Warehouse
from warehouse.runs import has_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = [
    "LOADER",
    "Bookmarks",
    "Rebuilt",
    "all_bookmarks",
    "catalog",
    "rebuilt",
    "settable",
    "text",
]

LOADER: Final = "target-warehouse"
KEY: Final = "replication_key"
VALUE: Final = "replication_key_value"


class Bookmarks:
    """The bookmarks of one CRM in the environment in use, which Meltano keeps."""

    def __init__(self, warehouse: Warehouse, crm: str) -> None:
        """Name the CRM.

        Raises:
            Refusal: The project has no such CRM, or no environment is in use.
        """
        self._warehouse = warehouse
        self.crm = crm
        self.state_id = _state_id(warehouse, crms.tap_of(warehouse.project, crm))

    def state(self) -> dict[str, Any]:
        """Return the whole state as the tap gets it; empty if there is none.

        Raises:
            Refusal: Meltano cannot read it.
        """
        found = json.loads(_meltano(self._warehouse, "state", "get", self.state_id) or "{}")
        state: dict[str, Any] = (found or {}).get("singer_state") or {}
        return state

    def read(self) -> dict[str, Any]:
        """Return stream → bookmark.

        Raises:
            Refusal: Meltano cannot read them.
        """
        return dict(self.state().get("bookmarks") or {})

    def write(self, bookmarks: Mapping[str, Any]) -> None:
        """Put these bookmarks into the place of all that there were.

        Raises:
            Refusal: Meltano cannot write them.
        """
        if not bookmarks:
            _meltano(self._warehouse, "state", "clear", "--force", self.state_id)
            return
        state = {"singer_state": {"bookmarks": dict(bookmarks)}}
        with TemporaryDirectory(prefix="warehouse-state-") as folder:
            path = Path(folder) / "state.json"
            path.write_text(json.dumps(state), encoding="utf-8")
            options = ("--force", f"--input-file={path}")
            _meltano(self._warehouse, "state", "set", *options, self.state_id)


def all_bookmarks(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Return crm_source → stream → bookmark, for the environment in use.

    Raises:
        Refusal: Meltano cannot read them.
    """
    states = json.loads(_meltano(warehouse, "state", "export") or "{}")
    result = {}
    for crm, tap in crms.crms(warehouse.project).items():
        found = states.get(_state_id(warehouse, tap)) or {}
        kinds = [(found.get(kind) or {}).get("singer_state") or {} for kind in _KINDS]
        bookmarks = {
            stream: bookmark
            for kind in kinds
            for stream, bookmark in (kind.get("bookmarks") or {}).items()
        }
        if bookmarks:
            result[crm] = bookmarks
    return result


_KINDS: Final = ("completed", "partial")  # the second is what a run left that did not end


def text(bookmark: Mapping[str, Any] | None) -> str:
    """Return a bookmark for people: its value, or all of it where it has another form."""
    if not bookmark:
        return ""
    return str(bookmark[VALUE]) if VALUE in bookmark else json.dumps(bookmark)


def catalog(warehouse: Warehouse, crm: str) -> dict[str, str | None]:
    """Ask a CRM for its streams: name → replication key, if it has one.

    Raises:
        Refusal: The tap cannot say.
    """
    tap = crms.tap_of(warehouse.project, crm)
    environment = meltano.environment(warehouse, crm)
    found = json.loads(
        _meltano(warehouse, "invoke", tap, "--discover", environment=environment) or "{}"
    )
    return {
        stream.get("stream") or stream["tap_stream_id"]: _replication_key(stream)
        for stream in found.get("streams", ())
    }


def _replication_key(stream: Mapping[str, Any]) -> str | None:
    if key := stream.get("replication_key"):
        return str(key)
    for entry in stream.get("metadata") or ():
        if not entry.get("breadcrumb"):
            keys = entry.get("metadata", {}).get("valid-replication-keys") or ()
            return next(iter(keys), None)
    return None


# What the tables say


@dataclass(frozen=True)
class Rebuilt:
    """What a stream's bookmark is to be; `after` None is no bookmark, so that all is read."""

    stream: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str


@dataclass(frozen=True)
class _Known:
    """What sync_history has of a stream: its last bookmark, and its table."""

    bookmark: Mapping[str, Any]
    table: tuple[str, str]


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
        """Return the last one that was committed; without any, the name of the key alone."""
        known = self._known.get(stream)
        if known and known.bookmark:
            return known.bookmark
        if known and stream in self._read_whole:
            return {}
        key = self._keys.get(stream)
        return {KEY: key} if key else {}

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
            sql.SQL(
                "SELECT sync_type, configuration -> 'bookmarks' -> 'after',"
                " configuration -> 'table', status FROM {} WHERE crm_source = %s ORDER BY id"
            ).format(sql.Identifier(schema, "sync_history")),
            (self._crm,),
        )
        bookmarks: dict[str, Mapping[str, Any]] = {}
        tables: dict[str, tuple[str, str]] = {}
        ended: dict[str, set[str]] = defaultdict(set)
        for stream, after, table, status in self._cursor.fetchall():
            bookmarks[stream] = after or bookmarks.get(stream) or {}
            tables[stream] = (
                (table["schema"], table["name"])
                if table
                else tables.get(stream, (self._crm, stream))
            )
            ended[stream].add(status)
        self._read_whole = {
            name
            for name, bookmark in bookmarks.items()
            if not bookmark and "success" in ended[name]
        }
        return {name: _Known(bookmarks[name], tables[name]) for name in bookmarks}


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
    if tables.is_empty(stream):
        return Rebuilt(stream, before, None, "nothing is stored: the next run reads everything")
    bookmark = tables.bookmark(stream)
    if not bookmark:
        return Rebuilt(stream, before, None, "it has no bookmark: each run reads everything")
    if KEY not in bookmark:
        return Rebuilt(stream, before, before or bookmark, "as the last run of sync_history left it")
    key = bookmark[KEY]
    largest = tables.largest(stream, key)
    if largest is None:
        why = f"its table has no value of {key}: the next run reads everything"
        return Rebuilt(stream, before, None, why)
    if before and before.get(KEY) == key and not _ahead(before.get(VALUE), largest):
        return Rebuilt(stream, before, before, "it is there, and not ahead of what is stored")
    said = bookmark.get(VALUE)
    if said is not None and not _ahead(said, largest):
        return Rebuilt(stream, before, bookmark, "as the last run of sync_history left it")
    after = {KEY: key, VALUE: _value(largest)}
    return Rebuilt(stream, before, after, f"the largest {key} that is stored")


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
        key = tables.bookmark(stream).get(KEY)
        largest = tables.largest(stream, key) if key else None
    if largest is None:
        raise Refusal(f"{crm} {stream} has no bookmark that is one value of a column.")
    try:
        parsed = _like(value, largest)
    except (ValueError, InvalidOperation):
        raise Refusal(f"'{value}' is no value of {key}; write it like {_value(largest)}.") from None
    if parsed > largest:
        raise Refusal(
            f"{value} is ahead of what is stored: the largest {key} is {_value(largest)}."
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


# Meltano


def _state_id(warehouse: Warehouse, tap: str) -> str:
    name = crms.environment_name(warehouse)
    if not name:
        raise Refusal(
            "No Meltano environment is in use, so there are no bookmarks. Set MELTANO_ENVIRONMENT,"
            " or default_environment in meltano.yml."
        )
    suffix = crms.state_id_suffix(warehouse, name)
    return ":".join(filter(None, (name, f"{tap}-to-{LOADER}", suffix)))


def _meltano(
    warehouse: Warehouse, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """Return what Meltano wrote.

    Raises:
        Refusal: It failed; with its last line.
    """
    if environment is None:
        environment = meltano.environment(warehouse)
    done = meltano.run(warehouse, "--log-format=plain", *arguments, environment=environment)
    if done.returncode:
        said: Sequence[str] = [line for line in done.stderr.splitlines() if line.strip()]
        raise Refusal(f"meltano {' '.join(arguments[:3])} failed: {said[-1] if said else '?'}")
    return done.stdout
