"""What a table is like, and how its columns are compared with those of another one.

The types of a column need not be the same: one that grew in the course of time holds the same
values as the narrower one of a fresh table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["MOMENTS", "NUMBERS", "Pair", "Shape", "key_of", "pairs_of", "shape_of"]

_DELETED_AT: Final = "_sdc_deleted_at"
_OURS: Final = ("sync_issues", "sync_created_at", "sync_updated_at", "sync_fingerprint")
_PROPERTY: Final = "property: "
NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
_ZONED: Final = "timestamp with time zone"
MOMENTS: Final = frozenset({"date", _ZONED, "timestamp without time zone"})
_JSON: Final = frozenset({"json", "jsonb"})
_TEXTS: Final = frozenset({"text", "character varying", "character"})
_COMPARABLE: Final = frozenset(
    {*NUMBERS, *MOMENTS, *_TEXTS, "boolean", "bytea", "jsonb", "uuid", "time without time zone"}
)
_COLUMNS: Final = """
SELECT attname, atttypid::regtype::text, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
_KEY: Final = """
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
WHERE indrelid = to_regclass(%s) AND indisprimary ORDER BY array_position(indkey::int2[], attnum)
"""
_CAST: Final = """
CREATE OR REPLACE FUNCTION pg_temp.{name}(value text) RETURNS {type}
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN value::{type}; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$
"""


@dataclass(frozen=True)
class Shape:
    """A table: its columns, as (column, type) by the properties they hold, and those of its key."""

    name: sql.Identifier
    columns: Mapping[str, tuple[str, str]]
    key: Sequence[str]
    marks_deleted: bool

    @property
    def there(self) -> sql.Composable:
        """Condition that a row of it is there, and not marked as deleted."""
        if not self.marks_deleted:
            return sql.SQL("true")
        return sql.SQL("{} IS NULL").format(sql.Identifier(_DELETED_AT))


def shape_of(cursor: Cursor, schema: str, table: str) -> Shape | None:
    """Look at a table; None where there is none."""
    name = sql.Identifier(schema, table)
    text = name.as_string(cursor)
    cursor.execute(_COLUMNS, (text,))
    columns, marks_deleted = {}, False
    for column, kind, comment in cursor.fetchall():
        if column == _DELETED_AT:
            marks_deleted = True
        elif column not in _OURS and not column.startswith("_sdc_"):
            noted = (comment or "").startswith(_PROPERTY)
            columns[comment[len(_PROPERTY) :] if noted else column] = (column, kind)
    cursor.execute(_KEY, (text,))
    key = [column for (column,) in cursor.fetchall()]
    return Shape(name, columns, key, marks_deleted) if columns else None


@dataclass(frozen=True)
class Pair:
    """One property in both tables: expressions of one type, and whether nulls need a second look.

    `table` is None where the table lacks the column.
    """

    column: str
    table: sql.Composable
    source: sql.Composable
    differs: sql.Composable


def key_of(shape: Shape) -> list[str]:
    """Return the properties of a table's key."""
    names = {column: name for name, (column, _) in shape.columns.items()}
    return [names[column] for column in shape.key]


def pairs_of(cursor: Cursor, table: Shape, source: Shape) -> dict[str, Pair]:
    """Return property → how it is compared, for all properties the source has."""
    pairs = {}
    for name, (column, kind) in source.columns.items():
        right = sql.Identifier("source", column)
        if name not in table.columns:
            pairs[name] = Pair(
                column, sql.SQL("NULL::text"), _cast(right, "text"),
                sql.SQL("{} IS NOT NULL").format(right),
            )  # fmt: skip
            continue
        old_column, old_kind = table.columns[name]
        left = sql.Identifier("stored", old_column)
        both = _same_type(cursor, left, old_kind, right, kind)
        differs = sql.SQL("({0} IS NULL) <> ({1} IS NULL) OR {2} IS DISTINCT FROM {3}").format(
            left, right, *both
        )
        pairs[name] = Pair(old_column, *both, differs)
    return pairs


def _same_type(  # noqa: PLR0911 - one per pair of types
    cursor: Cursor, left: sql.Composable, old: str, right: sql.Composable, new: str
) -> tuple[sql.Composable, sql.Composable]:
    """Return both columns as values of one type that can be compared."""
    if {old, new} <= _JSON:
        return _cast(left, "jsonb"), _cast(right, "jsonb")
    if old == new and old in _COMPARABLE:
        return left, right
    if {old, new} <= NUMBERS:
        return _exact(left, old), _exact(right, new)
    if {old, new} <= MOMENTS:
        return _moment(left, old), _moment(right, new)
    if {old, new} <= _TEXTS | _JSON:
        return _as_json(cursor, left, old), _as_json(cursor, right, new)
    # One is text, or has no type in common with the other: it is read as the other's.
    left, old = _plain(left, old)
    right, new = _plain(right, new)
    if old in _TEXTS and new in _COMPARABLE - _TEXTS:
        return _read(cursor, left, new), right
    if new in _TEXTS and old in _COMPARABLE - _TEXTS:
        return left, _read(cursor, right, old)
    return _cast(left, "text"), _cast(right, "text")


def _plain(column: sql.Composable, kind: str) -> tuple[sql.Composable, str]:
    """Return a JSON value as the text it holds."""
    if kind in _JSON:
        return sql.SQL("({}::jsonb #>> '{{}}')").format(column), "text"
    return column, kind


def _cast(column: sql.Composable, kind: str) -> sql.Composable:
    return sql.SQL("{}::{}").format(column, sql.SQL(kind))


def _exact(column: sql.Composable, kind: str) -> sql.Composable:
    return _cast(column, "text::numeric" if kind in {"real", "double precision"} else "numeric")


def _moment(column: sql.Composable, kind: str) -> sql.Composable:
    return column if kind == _ZONED else _cast(column, _ZONED)  # the session is in UTC


def _as_json(cursor: Cursor, column: sql.Composable, kind: str) -> sql.Composable:
    """Return a value, or a text that may be JSON, so that the same values are the same."""
    plain, _ = _plain(column, kind)
    parsed = _read(cursor, plain, "jsonb")
    return sql.SQL("coalesce({}, to_jsonb({}::text))").format(parsed, plain)


def _read(cursor: Cursor, column: sql.Composable, kind: str) -> sql.Composable:
    """Return a text read as another type, null where it is no such value."""
    name = sql.Identifier("as " + kind)
    cursor.execute(sql.SQL(_CAST).format(name=name, type=sql.SQL(kind)))
    return sql.SQL("pg_temp.{}({}::text)").format(name, column)
