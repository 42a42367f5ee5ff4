"""Two tables of one stream, compared by value: which rows are missing, extra or different.

Marked rows (``_sdc_deleted_at``) count as absent, and what the loader writes for itself is not
compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from psycopg2 import sql

from warehouse.differences import Known, by_key, by_value
from warehouse.shapes import Shape, key_of, pairs_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Comparison", "Difference", "Known", "Shape", "compare", "shape_of"]

Kind = Literal["missing", "extra", "different"]


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
    pairs = pairs_of(cursor, table, source)
    keys = key_of(source)
    keyed = bool(keys) and {*keys} <= table.columns.keys()
    statement = by_key if keyed else by_value
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
