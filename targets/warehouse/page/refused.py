"""The records that wait in sync_rejects: why, and what they hold only where that is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.page.queries import may_read
from warehouse.refusals import reason
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["CLASSES", "COUNTED", "reasons", "reject", "rejects"]

CLASSES: Final = ("validation", "database", "conversion")
COUNTED: Final = 2_000
"""Of how many of the newest the reasons are counted."""

_SHOWN: Final = sql.SQL("id, history_id, crm_source, stream, key, error_class, message, created_at")
_FILTERS: Final = {
    "crm": sql.SQL("crm_source = %(crm)s"),
    "stream": sql.SQL("stream = %(stream)s"),
    "error_class": sql.SQL("error_class = %(error_class)s"),
    "run": sql.SQL("history_id = %(run)s"),
}


def _exists(cursor: Cursor, schema: str) -> bool:
    return may_read(cursor, schema, "sync_rejects", "message")


def rejects(
    cursor: Cursor, schema: str, wanted: Mapping[str, Any], *, last: int, offset: int = 0
) -> list[dict[str, Any]]:
    """Return refused records without themselves and without values in ``reason``, the newest first.

    Args:
        cursor: Of any kind.
        schema: Where sync_rejects is.
        wanted: crm, stream, error_class, run; None or absent: any.
        last: How many.
        offset: How many of the newest to leave out.
    """
    if not _exists(cursor, schema):
        return []
    conditions = [text for name, text in _FILTERS.items() if wanted.get(name) is not None]
    cursor.execute(
        sql.SQL(
            "SELECT {} FROM {} WHERE {} ORDER BY id DESC LIMIT %(last)s OFFSET %(offset)s"
        ).format(
            _SHOWN,
            sql.Identifier(schema, "sync_rejects"),
            sql.SQL(" AND ").join(conditions or [sql.SQL("true")]),
        ),
        {**wanted, "last": last, "offset": offset},
    )
    return [_told(row) for row in rows(cursor)]


def reject(
    cursor: Cursor, schema: str, reject_id: int, *, with_record: bool
) -> dict[str, Any] | None:
    """Return one refused record, or None; whole, or without what it holds."""
    if not _exists(cursor, schema):
        return None
    cursor.execute(
        sql.SQL("SELECT {}{} FROM {} WHERE id = %s").format(
            _SHOWN,
            sql.SQL(", record" if with_record else ""),
            sql.Identifier(schema, "sync_rejects"),
        ),
        (reject_id,),
    )
    found = rows(cursor)
    if not found:
        return None
    return found[0] | {"reason": found[0]["message"]} if with_record else _told(found[0])


def reasons(cursor: Cursor, schema: str, most: int = 12) -> list[dict[str, Any]]:
    """Return the commonest reasons among the newest: CRM, stream, class, reason, count, newest."""
    if not _exists(cursor, schema):
        return []
    cursor.execute(
        sql.SQL(
            "SELECT crm_source, stream, error_class, message, count(*), max(created_at) AS newest"
            " FROM (SELECT {} FROM {} ORDER BY id DESC LIMIT %s) AS r GROUP BY 1, 2, 3, 4"
        ).format(_SHOWN, sql.Identifier(schema, "sync_rejects")),
        (COUNTED,),
    )
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in map(_told, rows(cursor)):
        key = tuple(row[name] for name in ("crm_source", "stream", "error_class", "reason"))
        group = groups.setdefault(key, row | {"count": 0})
        group["count"] += row["count"]
        group["newest"] = max(group["newest"], row["newest"])
    ordered = sorted(groups.items(), key=lambda item: (-item[1]["count"], item[0]))
    return [group for _, group in ordered[:most]]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Add the reason without the values that the message quotes, and leave the message out."""
    told = row | {"reason": reason(row["error_class"], row["message"])}
    del told["message"]
    return told
