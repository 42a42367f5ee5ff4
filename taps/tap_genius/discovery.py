"""What tables the database has, as information_schema tells it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import column, func, select, table

from tap_genius.columns import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from tap_genius.entities import Entity

__all__ = ["Table", "tables"]


@dataclass(frozen=True)
class Table:
    """A table or view.

    Attributes:
        name: Its name.
        columns: Its columns by name, in order.
        keys: Its key, or the first unique index without nulls; may be empty.
        indexes: The columns of each index.
    """

    name: str
    columns: dict[str, Column]
    keys: tuple[str, ...]
    indexes: frozenset[tuple[str, ...]]

    def sorts_by(self, *names: str) -> bool:
        """Whether an index has the rows in this order; InnoDB's go on with the primary key."""
        return any(index == names[: len(index)] for index in self.indexes)

    def key_for(self, entity: Entity) -> tuple[str, ...]:
        """The key of its rows; the entity's where the table declares none."""
        if self.keys or not set(entity.key) <= self.columns.keys():
            return self.keys
        return entity.key

    def moment(self, name: str | None) -> Column | None:
        """The column of a name, where it is there and holds moments."""
        found = self.columns.get(name or "")
        return found if found and found.is_moment else None


def tables(connection: Connection) -> dict[str, Table]:
    """All tables that the user may see, by name."""
    columns = _columns(connection)
    keys, indexes = _indexes(connection, columns)
    return {
        name: Table(name, found, keys.get(name, ()), frozenset(indexes[name]))
        for name, found in columns.items()
    }


def _rows(connection: Connection, source: str, *names: str, order: Iterable[str]) -> list[Any]:
    """Rows of one of information_schema's tables about this database."""
    schema = "constraint_schema" if source == "check_constraints" else "table_schema"
    statement = (
        select(*(column(name).label(name) for name in names))
        .select_from(table(source, schema="information_schema"))
        .where(column(schema) == func.database())
        .order_by(*(column(name) for name in order))
    )
    return list(connection.execute(statement))


def _columns(connection: Connection) -> dict[str, dict[str, Column]]:
    names = (
        "table_name", "column_name", "data_type", "column_type", "is_nullable",
        "numeric_scale", "datetime_precision",
    )  # fmt: skip
    json = _json_columns(connection)
    found: dict[str, dict[str, Column]] = defaultdict(dict)
    rows = _rows(connection, "columns", *names, order=("table_name", "ordinal_position"))
    for table_name, name, kind, declared, nullable, scale, fraction in rows:
        found[table_name][name] = Column(
            name=name,
            type=_text(kind).lower(),
            declared=_text(declared).lower(),
            nullable=nullable == "YES",
            scale=None if scale is None else int(scale),
            fraction=int(fraction or 0),
            is_json=_text(kind).lower() == "json" or (table_name, name) in json,
        )
    return dict(found)


def _json_columns(connection: Connection) -> set[tuple[str, str]]:
    """MariaDB's JSON columns: text that has to pass json_valid()."""
    if not connection.dialect.is_mariadb:  # type: ignore[attr-defined]  # MySQL's dialects have it
        return set()
    names = ("table_name", "check_clause")
    rows = _rows(connection, "check_constraints", *names, order=("table_name",))
    clauses = ((name, re.fullmatch(r"json_valid\(`(.+)`\)", _text(it))) for name, it in rows)
    return {(name, match[1]) for name, match in clauses if match}


def _indexes(
    connection: Connection, columns: dict[str, dict[str, Column]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, set[tuple[str, ...]]]]:
    keys: dict[str, tuple[str, ...]] = {}
    indexes: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    order = ("table_name", "index_name", "seq_in_index")
    names = ("table_name", "index_name", "column_name", "non_unique", "sub_part")
    rows = _rows(connection, "statistics", *names, order=order)
    for (table_name, index), group in groupby(rows, key=lambda row: (row[0], row[1])):
        parts = list(group)
        indexes[table_name].add(tuple(part.column_name for part in parts))
        if _identifies(parts, columns[table_name]) and (
            index == "PRIMARY" or table_name not in keys
        ):
            keys[table_name] = tuple(part.column_name for part in parts)
    return keys, indexes


def _identifies(parts: list[Any], columns: dict[str, Column]) -> bool:
    """Whether an index tells every row from every other."""
    return all(
        not int(part.non_unique)
        and part.sub_part is None
        and part.column_name in columns  # MySQL also indexes expressions
        and not columns[part.column_name].nullable
        for part in parts
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
