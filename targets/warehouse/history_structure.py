"""Whether the table sync_history has the columns, indexes and constraints that it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from warehouse.history import History
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["TYPES", "columns", "flaws"]

TYPES: Final = {
    "id": "bigint",
    "crm_source": "character varying(50)",
    "sync_type": "character varying(100)",
    "endpoint": "character varying(200)",
    "status": "character varying(20)",
    "start_time": "timestamp with time zone",
    "end_time": "timestamp with time zone",
    "records_processed": "bigint",
    "records_created": "bigint",
    "records_updated": "bigint",
    "records_failed": "bigint",
    "error_message": "text",
    "performance_metrics": "jsonb",
    "configuration": "jsonb",
    "created_at": "timestamp with time zone",
}
_ALSO: Final = {"bigint": {"integer"}}
_NULLABLE: Final = {"endpoint", "end_time", "error_message"}
_INDEXES: Final = ("(crm_source, sync_type)", "(start_time)", "(status)")
_STATUSES: Final = ("running", "success", "partial", "failed")


def columns(cursor: Cursor, schema: str) -> dict[str, dict[str, Any]]:
    """Return the table's columns: name → attname, type, attnotnull."""
    cursor.execute(
        "SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        (History(schema).table.as_string(cursor),),
    )
    return {row["attname"]: row for row in rows(cursor)}


def flaws(cursor: Cursor, schema: str) -> Iterator[str]:
    """Yield what the table lacks of its columns, indexes and constraints, a sentence each."""

    def flaw(text: str) -> str:
        return f"Table {schema}.sync_history {text}."

    found = columns(cursor, schema)
    for name, wanted in TYPES.items():
        if not (column := found.get(name)):
            yield flaw(f"has no column {name}")
        elif column["type"] not in {wanted, *_ALSO.get(wanted, ())}:
            yield flaw(f"has {name} as {column['type']} instead of {wanted}")
        elif not column["attnotnull"] and name not in _NULLABLE:
            yield flaw(f"allows null in {name}")
    name = History(schema).table.as_string(cursor)
    cursor.execute(
        "SELECT pg_get_indexdef(indexrelid) AS text, indisprimary FROM pg_index"
        " WHERE indrelid = to_regclass(%s) AND indisvalid",
        (name,),
    )
    indexes = rows(cursor)
    for index in _INDEXES:
        if not any(found["text"].endswith(index) for found in indexes):
            yield flaw(f"has no index on {index}")
    if not any(index["indisprimary"] and index["text"].endswith("(id)") for index in indexes):
        yield flaw("has no primary key id")
    cursor.execute(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint"
        " WHERE conrelid = to_regclass(%s) AND contype = 'c' AND convalidated",
        (name,),
    )
    checks = [row["text"] for row in rows(cursor)]
    if not any(all(f"'{status}'" in text for status in _STATUSES) for text in checks):
        yield flaw("has no constraint that allows only its four statuses")
