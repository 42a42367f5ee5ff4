"""The statements that compare two tables: by key, or as multisets where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from warehouse.shapes import MOMENTS, NUMBERS, Pair, Shape, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

__all__ = ["Known", "by_key", "by_value"]


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
    if known.reached is not None and kind in {*NUMBERS, *MOMENTS}:
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


def by_key(table: Shape, source: Shape, pairs: Mapping[str, Pair], known: Known) -> sql.Composable:
    """Return the query of all rows that differ: key, kind, columns, changed, old, new and count.

    Args:
        table: The table.
        source: Where the source was read into, whose key tells which rows belong together.
        pairs: How their columns are compared, by the properties they hold.
        known: What tells that a row has changed meanwhile.
    """
    keys = {name: pairs[name] for name in key_of(source)}
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


def by_value(
    table: Shape, source: Shape, pairs: Mapping[str, Pair], known: Known
) -> sql.Composable:
    """Return the same of tables as multisets: rows that are equal are counted on both sides."""
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
