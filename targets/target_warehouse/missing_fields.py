"""Setting ``missing_fields: keep``: what a record does not mention stays as it is stored."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec
from psycopg2 import sql
from psycopg2.extras import Json

from target_warehouse.jsontext import clean, loads
from target_warehouse.names import EXTRA
from target_warehouse.staging import SEQUENCE, Staging, equal, names
from target_warehouse.table import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.columns import Column
    from target_warehouse.encoder import Item

__all__ = ["MissingFields"]

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_PLACE: Final = sql.Identifier(SEQUENCE)


class MissingFields:
    """The fields that the records of one batch lack, in a temporary table beside the staged rows.

    A deletion's mark and the undeclared fields are never kept: their absence says something.
    """

    def __init__(self, staging: Staging) -> None:
        """Take the staging table of the stream."""
        self.staging = staging
        table = staging.table
        never = {*table.keys, DELETED_AT, table.columns_of.get(EXTRA)}
        self._columns = [c for c in table.columns if c.name not in never]
        self._fields = frozenset(c.field for c in self._columns)
        self.name = sql.Identifier("pg_temp", f"{staging.bare} missing")

    def note(self, cursor: Cursor, items: Iterable[Item]) -> bool:
        """Note what each record lacks; return whether any does."""
        places: defaultdict[frozenset[str], list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            if missing := self._fields.difference(_fields(item)):
                places[missing].append(place)
        if not places:
            return False
        sets = [{"f": [*map(clean, fields)], "p": numbers} for fields, numbers in places.items()]
        cursor.execute(
            sql.SQL(
                "CREATE TEMP TABLE IF NOT EXISTS {bare}"
                " (place bigint PRIMARY KEY, fields text[] NOT NULL) ON COMMIT DELETE ROWS;"
                " INSERT INTO {missing} SELECT place::bigint,"
                " ARRAY(SELECT jsonb_array_elements_text(each -> 'f'))"
                " FROM jsonb_array_elements({sets}) AS each,"
                " jsonb_array_elements_text(each -> 'p') AS place; ANALYZE {missing}"
            ).format(
                bare=sql.Identifier(f"{self.staging.bare} missing"),
                missing=self.name,
                sets=sql.Literal(Json(sets)),
            )
        )
        return True

    def fold(self, cursor: Cursor) -> None:
        """Give all records of one key what the last one leaves of those before it.

        A record that is older than one before it, or than the stored row, would not have been
        written, and so has no part in it.
        """
        staging, keys = self.staging, self.staging.table.keys
        every = [*self._columns, *(c for c in staging.table.columns if c.name in keys)]
        issues = [self._last(c, sql.SQL("sync_issues -> {}").format(_literal(c))) for c in every]
        cursor.execute(
            sql.SQL(
                "WITH known AS (SELECT staged.*,"
                " coalesce(missing.fields, '{{}}') AS missing_fields,"
                " count(*) OVER (PARTITION BY {staged_keys}) AS of_key, {applied} AS is_applied"
                " FROM {staging} AS staged LEFT JOIN {missing} AS missing ON place = {place}"
                " LEFT JOIN {table} AS stored ON {same_stored}),"
                " folded AS (SELECT {keys}, {values}, ARRAY[{issues}]::jsonb[] AS issues,"
                " array_remove(ARRAY[{still}]::text[], NULL) AS missing_fields"
                " FROM known WHERE of_key > 1 GROUP BY {keys}),"
                " noted AS (INSERT INTO {missing} SELECT staged.{place}, missing_fields"
                " FROM folded JOIN {staging} AS staged ON {same_staged}"
                " ON CONFLICT (place) DO UPDATE SET fields = excluded.fields)"
                " UPDATE {staging} AS staged SET {assigned}, sync_issues = (SELECT"
                " jsonb_object_agg(field, issue) FROM unnest(ARRAY[{fields}], folded.issues)"
                " AS pairs (field, issue) WHERE issue IS NOT NULL)"
                " FROM folded WHERE {same_staged}"
            ).format(
                staging=staging.name,
                missing=self.name,
                table=staging.table.sql,
                place=_PLACE,
                keys=names(keys),
                staged_keys=names(keys, "staged"),
                applied=self._applied(),
                values=_list(
                    sql.SQL("{} AS {}").format(self._last(c, sql.Identifier(c.name)), _name(c))
                    for c in self._columns
                ),
                issues=_list(issues),
                fields=_list(map(_literal, every)),
                still=_list(
                    sql.SQL(
                        "CASE WHEN bool_and({0} = ANY (missing_fields)) FILTER (WHERE is_applied)"
                        " THEN {0} END"
                    ).format(_literal(c))
                    for c in self._columns
                ),
                assigned=_list(sql.SQL("{0} = folded.{0}").format(_name(c)) for c in self._columns),
                same_stored=equal(keys, "stored", "staged"),
                same_staged=equal(keys, "folded", "staged"),
            )
        )

    def keep(self, cursor: Cursor) -> None:
        """Give staged rows the stored values of what their records lack."""
        staging = self.staging
        assigned = _list(
            sql.SQL(
                "{0} = CASE WHEN {1} = ANY (fields) THEN stored.{0} ELSE staged.{0} END"
            ).format(_name(c), _literal(c))
            for c in self._columns
        )
        cursor.execute(
            sql.SQL(
                "UPDATE {staging} AS staged SET {assigned}, sync_issues = nullif("
                "coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(stored.sync_issues)"
                " WHERE key = ANY (fields)), '{{}}')"
                " || coalesce(staged.sync_issues, '{{}}'), '{{}}')"
                " FROM {missing} AS missing, {table} AS stored"
                " WHERE place = staged.{place} AND {same}"
            ).format(
                staging=staging.name,
                assigned=assigned,
                missing=self.name,
                table=staging.table.sql,
                place=_PLACE,
                same=equal(staging.table.keys, "stored", "staged"),
            )
        )

    def _applied(self) -> sql.Composable:
        staging = self.staging
        if staging.force or not staging.bookmark:
            return sql.SQL("true")
        return sql.SQL(
            "coalesce(staged.{0} >= greatest(stored.{0}, max(staged.{0}) OVER (PARTITION BY {1}"
            " ORDER BY staged.{2} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)), true)"
        ).format(sql.Identifier(staging.bookmark[0]), names(staging.table.keys, "staged"), _PLACE)

    def _last(self, column: Column, value: sql.Composable) -> sql.Composed:
        """Return the last value among the records of a key that have the field."""
        return sql.SQL(
            "(array_agg({} ORDER BY {} DESC) FILTER (WHERE is_applied"
            " AND {} <> ALL (missing_fields)))[1]"
        ).format(value, _PLACE, _literal(column))


def _fields(item: Item) -> Iterable[str]:
    if isinstance(item, dict):
        return item
    try:
        return _decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:
        record = loads(bytes(item))
    except ValueError:
        return ()  # it is refused anyway
    return record if isinstance(record, dict) else ()


def _literal(column: Column) -> sql.Composable:
    return sql.Literal(clean(column.field))


def _name(column: Column) -> sql.Identifier:
    return sql.Identifier(column.name)


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
