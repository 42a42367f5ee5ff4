"""How fresh each table is, and about how many rows it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.history import History
from warehouse.page.queries import STREAMS
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["tables"]

_LOOKED_INTO: Final = 8 << 20
"""Bytes up to which a table is read through for the time of its last change, some 10 ms."""

# sync_updated_at marks what the loader has made; the planner's estimate costs nothing. Who changes
# a table's columns locks it until the end of the transaction; nobody waits for that here.
_TABLES: Final = """
WITH marked AS MATERIALIZED (
    SELECT pg_class.oid, nspname, relname, reltuples,
        has_schema_privilege(pg_namespace.oid, 'USAGE')
            AND has_column_privilege(pg_class.oid, attnum, 'SELECT')
            AND NOT EXISTS (
                SELECT FROM pg_locks WHERE relation = pg_class.oid AND mode = 'AccessExclusiveLock'
            ) AS readable
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'sync_updated_at'
    WHERE relkind IN ('r', 'p') AND relpersistence <> 't' AND NOT relispartition
        AND NOT attisdropped
)
SELECT nspname AS schema, relname AS name, nullif(reltuples, -1)::bigint AS rows,
    CASE WHEN readable THEN pg_table_size(oid) END AS bytes
FROM marked ORDER BY 1, 2
"""

# From the newest run back, which for a stream that is read well is a step or two of an index. As
# for health, a partial run counts: it read its stream to the end.
_SUCCEEDED: Final = """
SELECT found.*, succeeded.*
FROM found
LEFT JOIN LATERAL (
    SELECT end_time AS succeeded, configuration -> 'table' AS place FROM {table} AS run
    WHERE (run.crm_source, run.sync_type) = (found.crm_source, found.sync_type)
        AND status IN ('success', 'partial') AND configuration ->> 'mode' IS DISTINCT FROM 'replay'
    ORDER BY start_time DESC LIMIT 1
) AS succeeded ON true
"""

_CHANGED: Final = """
SELECT coalesce(end_time, start_time) AS changed FROM {table}
WHERE (crm_source, sync_type) = (%s, %s)
    AND (records_created + records_updated > 0 OR performance_metrics ->> 'records_deleted' <> '0')
ORDER BY start_time DESC LIMIT 1
"""


def tables(cursor: Cursor, schema: str) -> list[dict[str, Any]]:
    """Return the loader's tables, with what SyncHistory knows of their streams.

    Small tables that the role may read are `exact`: rows are counted, and `changed` is the newest
    sync_updated_at. Of others rows are the planner's estimate, None where there is none yet, and
    `changed` is the end of the last run that changed something. A table of no known stream has no
    `succeeded`.
    """
    cursor.execute(_TABLES)
    found = rows(cursor)
    history = History(schema)
    known = _succeeded(cursor, history) if history.exists(cursor) else {}
    exact = _exact(cursor, found)
    for row in found:
        name = row["schema"], row["name"]
        run = known.get(name)
        row.update(succeeded=run and run["succeeded"], changed=None, exact=name in exact)
        if name in exact:
            row.update(exact[name])
        elif run:
            cursor.execute(
                sql.SQL(_CHANGED).format(table=history.table), (run["crm_source"], run["sync_type"])
            )
            row.update(*rows(cursor))
    return found


def _succeeded(cursor: Cursor, history: History) -> dict[tuple[str, str], dict[str, Any]]:
    """Return table → its stream and last success.

    The table is what the run says that it wrote; runs of earlier versions do not, and wrote to
    their CRM's schema.
    """
    cursor.execute(sql.SQL(STREAMS + _SUCCEEDED).format(table=history.table))
    known = {}
    for row in rows(cursor):
        place = row["place"] or {"schema": row["crm_source"], "name": row["sync_type"]}
        known[place["schema"], place["name"]] = row
    return known


def _exact(
    cursor: Cursor, found: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, Any]]:
    small = [
        (row["schema"], row["name"])
        for row in found
        if row["bytes"] is not None and row["bytes"] <= _LOOKED_INTO
    ]
    if not small:
        return {}
    cursor.execute(
        sql.SQL(" UNION ALL ").join(
            sql.SQL(
                "SELECT {} AS number, count(*) AS rows, max(sync_updated_at) AS changed FROM {}"
            ).format(sql.Literal(number), sql.Identifier(*name))
            for number, name in enumerate(small)
        )
    )
    return {small[row.pop("number")]: row for row in rows(cursor)}
