"""Two tables of one stream, compared by value: which rows are missing, extra or different.

The types of a column need not be the same: one that grew in the course of time holds the same
values as the narrower one of a fresh table. Marked rows (``_sdc_deleted_at``) count as absent, and
what the loader writes for itself is not compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg2 import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Comparison", "Difference", "Known", "Shape", "compare", "shape_of"]

Kind = Literal["missing", "extra", "different"]

DELETED_AT: Final = "_sdc_deleted_at"
_OURS: Final = ("sync_issues", "sync_created_at", "sync_updated_at", "sync_fingerprint")
_PROPERTY: Final = "property: "
_NUMBERS: Final = frozenset(
    {"smallint", "integer", "bigint", "numeric", "real", "double precision"}
)
_ZONED: Final = "timestamp with time zone"
_MOMENTS: Final = frozenset({"date", _ZONED, "timestamp without time zone"})
_JSON: Final = frozenset({"json", "jsonb"})
_TEXTS: Final = frozenset({"text", "character varying", "character"})
_COMPARABLE: Final = frozenset(
    {*_NUMBERS, *_MOMENTS, *_TEXTS, "boolean", "bytea", "jsonb", "uuid", "time without time zone"}
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
        return sql.SQL("{} IS NULL").format(sql.Identifier(DELETED_AT))


@dataclass(frozen=True)
class Known:
    """What tells that a row has changed since the last sync.

    Attributes:
        started: When the comparison's own reading began; what was written later is no error.
        bookmark: Property by which newer is told from older.
        reached: How far the last sync came by it.
        complete: A property, and from which value of it on the source has given all that it has;
            rows before it that the source has not are not extra, they are history.
    """

    started: datetime
    bookmark: str | None = None
    reached: str | None = None
    complete: tuple[str, str] | None = None


@dataclass
class Difference:
    """One row, or with `count` several equal ones of a table without a key.

    Attributes:
        kind: ``missing`` in the table, ``extra`` in it, or ``different``.
        key: Its key; of a table without one the hash of its values.
        columns: Which columns differ; none but for ``different``.
        changed: It has changed since the last sync.
        count: How many such rows.
        values: Column → value in the table and in the source, of the columns that differ; else,
            where the row is on one side only, of all columns.
    """

    kind: Kind
    key: dict[str, Any]
    columns: list[str]
    changed: bool
    count: int = 1
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Comparison:
    """What was found; `unknown` are columns of the table that the source has not any more."""

    rows: int
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def shape_of(cursor: Cursor, schema: str, table: str) -> Shape | None:
    """Look at a table; None where there is none."""
    name = sql.Identifier(schema, table)
    text = name.as_string(cursor)
    cursor.execute(_COLUMNS, (text,))
    columns, marks_deleted = {}, False
    for column, kind, comment in cursor.fetchall():
        if column == DELETED_AT:
            marks_deleted = True
        elif column not in _OURS and not column.startswith("_sdc_"):
            noted = (comment or "").startswith(_PROPERTY)
            columns[comment[len(_PROPERTY) :] if noted else column] = (column, kind)
    cursor.execute(_KEY, (text,))
    key = [column for (column,) in cursor.fetchall()]
    return Shape(name, columns, key, marks_deleted) if columns else None


def compare(
    cursor: Cursor,
    table: Shape,
    source: Shape,
    known: Known,
    *,
    most: int | None = 10,
    values: bool = False,
) -> Comparison:
    """Compare a table with what a complete read of its source has just brought.

    Args:
        cursor: In a transaction that sees both as they are at one moment.
        table: The table.
        source: Where the source was read into.
        known: What tells that a row has changed meanwhile.
        most: How many rows to name of each kind; None: all.
        values: Also say what is in the columns.
    """
    cursor.execute("SET LOCAL TimeZone = 'UTC'")
    pairs = _pairs(cursor, table, source)
    keys = _key_of(source)
    keyed = bool(keys) and {*keys} <= table.columns.keys()
    statement = _keyed if keyed else _counted
    cursor.execute(
        sql.SQL("CREATE TEMP TABLE verified ON COMMIT DROP AS {}").format(
            statement(table, source, pairs, known)
        )
    )
    cursor.execute(sql.SQL("SELECT count(*) FROM {} WHERE {}").format(source.name, source.there))
    (rows,) = cursor.fetchone() or (0,)
    found = Comparison(rows, unknown=[*table.columns.keys() - source.columns.keys()])
    cursor.execute(
        "SELECT CASE WHEN changed THEN 'changed' ELSE kind END, sum(count)::bigint"
        " FROM verified GROUP BY 1"
    )
    found.counts = dict(cursor.fetchall())
    cursor.execute(
        "SELECT kind, key, columns, changed, count, old::text, new::text"
        " FROM (SELECT *, row_number() OVER (PARTITION BY changed, kind ORDER BY key::text)"
        " AS place FROM verified) AS numbered"
        " WHERE %(most)s IS NULL OR place <= %(most)s ORDER BY changed, kind, key::text",
        {"most": most},
    )
    found.differences = [
        Difference(
            kind,
            key,
            columns or [],
            changed,
            count,
            _values(kind, columns, old, new) if values else {},
        )
        for kind, key, columns, changed, count, old, new in cursor.fetchall()
    ]
    cursor.execute("DROP TABLE verified")
    return found


def _values(
    kind: Kind, columns: Iterable[str] | None, old_text: str | None, new_text: str | None
) -> dict[str, Any]:
    # Two numbers that differ shall be seen to differ, in whichever digit.
    old, new = (json.loads(text or "{}", parse_float=Decimal) for text in (old_text, new_text))
    if kind != "different":
        found: dict[str, Any] = new if kind == "missing" else old
        return found
    return {name: {"table": old.get(name), "source": new.get(name)} for name in columns or ()}


@dataclass(frozen=True)
class _Pair:
    """One property in both tables: expressions of one type, and whether nulls need a second look.

    `table` is None where the table lacks the column.
    """

    column: str
    table: sql.Composable
    source: sql.Composable
    differs: sql.Composable


def _key_of(shape: Shape) -> list[str]:
    """Return the properties of a table's key."""
    names = {column: name for name, (column, _) in shape.columns.items()}
    return [names[column] for column in shape.key]


def _pairs(cursor: Cursor, table: Shape, source: Shape) -> dict[str, _Pair]:
    """Return property → how it is compared, for all properties the source has."""
    pairs = {}
    for name, (column, kind) in source.columns.items():
        right = sql.Identifier("source", column)
        if name not in table.columns:
            pairs[name] = _Pair(
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
        pairs[name] = _Pair(old_column, *both, differs)
    return pairs


def _same_type(  # noqa: PLR0911 - one per pair of types
    cursor: Cursor, left: sql.Composable, old: str, right: sql.Composable, new: str
) -> tuple[sql.Composable, sql.Composable]:
    """Return both columns as values of one type that can be compared."""
    if {old, new} <= _JSON:
        return _cast(left, "jsonb"), _cast(right, "jsonb")
    if old == new and old in _COMPARABLE:
        return left, right
    if {old, new} <= _NUMBERS:
        return _exact(left, old), _exact(right, new)
    if {old, new} <= _MOMENTS:
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


def _changed(
    source: Shape, known: Known, stored: sql.Composable, fresh: sql.Composable
) -> sql.Composable:
    """Condition that a row has changed since the last sync.

    Args:
        source: Where the source was read into.
        known: What tells it.
        stored: When the row was written.
        fresh: The source's bookmark of it.
    """
    conditions = [sql.SQL("coalesce({} >= {}, false)").format(stored, sql.Literal(known.started))]
    _, kind = source.columns.get(known.bookmark or "", ("", ""))
    if known.reached is not None and kind in {*_NUMBERS, *_MOMENTS}:
        conditions.append(
            sql.SQL("coalesce({} > {}::{}, false)").format(
                fresh, sql.Literal(str(known.reached)), sql.SQL(kind)
            )
        )
    return sql.SQL(" OR ").join(conditions)


def _asked_for(table: Shape, known: Known) -> sql.Composable:
    """Condition that a row of the table is not older than what the source still gives."""
    name, since = known.complete or ("", "")
    if name not in table.columns:
        return sql.SQL("true")
    column = sql.Identifier("stored", table.columns[name][0])
    return sql.SQL("coalesce({} >= {}, true)").format(column, sql.Literal(since))


def _row(relation: str, columns: Iterable[tuple[str, str]]) -> sql.Composable:
    """Return column → value as JSON."""
    pairs = [
        sql.SQL("{}::text, {}").format(sql.Literal(name), sql.Identifier(relation, column))
        for name, column in columns
    ]
    # A function takes no more than a hundred arguments.
    parts = [
        sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs[start : start + 45]))
        for start in range(0, len(pairs), 45)
    ]
    return sql.SQL(" || ").join(parts) if parts else sql.SQL("'{}'::jsonb")


def _keyed(table: Shape, source: Shape, pairs: Mapping[str, _Pair], known: Known) -> sql.Composable:
    keys = {name: pairs[name] for name in _key_of(source)}
    key = [
        sql.SQL("{}::text, coalesce(to_jsonb({}), to_jsonb({}))").format(
            sql.Literal(pair.column),
            sql.Identifier("stored", table.columns[name][0]),
            sql.Identifier("source", source.columns[name][0]),
        )
        for name, pair in keys.items()
    ]
    differing = [
        sql.SQL("CASE WHEN {} THEN {}::text END").format(pair.differs, sql.Literal(pair.column))
        for name, pair in pairs.items()
        if name not in keys
    ]
    bookmark = source.columns.get(known.bookmark or "", ("sync_updated_at", ""))[0]
    return sql.SQL(
        "SELECT *, 1::bigint AS count FROM (SELECT jsonb_build_object({key}) AS key,"
        " CASE WHEN NOT old_there THEN 'missing' WHEN NOT new_there THEN 'extra'"
        " ELSE 'different' END AS kind,"
        " CASE WHEN old_there AND new_there THEN array_remove(ARRAY[{differing}]::text[], NULL)"
        " END AS columns, {changed} AS changed, {old} AS old, {new} AS new"
        ' FROM (SELECT *, {table_there} AS "is there" FROM {table}) AS stored'
        ' FULL JOIN (SELECT *, {source_there} AS "is there" FROM {source}) AS source ON {same}'
        ' CROSS JOIN LATERAL (SELECT coalesce(stored."is there", false) AS old_there,'
        ' coalesce(source."is there", false) AS new_there) AS presence'
        " WHERE new_there OR old_there AND {asked_for}) AS compared"
        " WHERE kind <> 'different' OR columns <> '{{}}'"
    ).format(
        key=sql.SQL(", ").join(key),
        differing=sql.SQL(", ").join(differing),
        changed=_changed(
            source,
            known,
            sql.SQL("stored.sync_updated_at"),
            sql.Identifier("source", bookmark),
        ),
        asked_for=_asked_for(table, known),
        old=_row("stored", [(c, c) for c, _ in table.columns.values()]),
        new=_row("source", _named(table, source)),
        table_there=table.there,
        table=table.name,
        source_there=source.there,
        source=source.name,
        same=sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(pair.table, pair.source) for pair in keys.values()
        ),
    )


def _named(table: Shape, source: Shape) -> list[tuple[str, str]]:
    """Return the source's columns under the names that they have in the table."""
    return [
        (table.columns.get(name, (column, ""))[0], column)
        for name, (column, _) in source.columns.items()
    ]


def _counted(
    table: Shape, source: Shape, pairs: Mapping[str, _Pair], known: Known
) -> sql.Composable:
    """Compare as multisets: rows that are equal are counted on both sides."""
    names = [sql.Identifier(pair.column) for pair in pairs.values()]
    bookmark = source.columns.get(known.bookmark or "", ("sync_updated_at", ""))[0]

    def side(relation: str, shape: Shape, *, is_table: bool) -> sql.Composable:
        values = [
            sql.SQL("{} AS {}").format(pair.table if is_table else pair.source, name)
            for pair, name in zip(pairs.values(), names, strict=True)
        ]
        # What cannot be read as the other's type is null there, but not equal to a null.
        nulls = [
            sql.SQL("{} IS NULL").format(
                sql.Identifier(relation, shape.columns[name][0])
                if name in shape.columns
                else sql.SQL("NULL")
            )
            for name in pairs
        ]
        return sql.SQL(
            'SELECT {values}, ARRAY[{nulls}] AS "which are null", {sign} AS "its sign",'
            ' {updated} AS "its update", {fresh} AS "its bookmark" FROM {table} AS {relation}'
            " WHERE {there}"
        ).format(
            values=sql.SQL(", ").join(values),
            nulls=sql.SQL(", ").join(nulls),
            sign=sql.Literal(-1 if is_table else 1),
            updated=sql.SQL("sync_updated_at" if is_table else "NULL::timestamptz"),
            fresh=sql.SQL("NULL") if is_table else sql.Identifier(relation, bookmark),
            table=shape.name,
            relation=sql.Identifier(relation),
            there=shape.there,
        )

    row = _row("counted", [(pair.column, pair.column) for pair in pairs.values()])
    return sql.SQL(
        "SELECT jsonb_build_object('row', md5(({row})::text)) AS key,"
        " CASE WHEN surplus > 0 THEN 'missing' ELSE 'extra' END AS kind, NULL::text[] AS columns,"
        " {changed} AS changed, abs(surplus) AS count, {row} AS old, {row} AS new"
        ' FROM (SELECT {names}, sum("its sign") AS surplus, max("its update") AS "its update",'
        ' max("its bookmark") AS "its bookmark" FROM ({source} UNION ALL {table}) AS both_sides'
        ' GROUP BY {names}, "which are null" HAVING sum("its sign") <> 0) AS counted'
    ).format(
        row=row,
        changed=_changed(source, known, sql.SQL('"its update"'), sql.SQL('"its bookmark"')),
        names=sql.SQL(", ").join(names),
        source=side("source", source, is_table=False),
        table=side("stored", table, is_table=True),
    )
