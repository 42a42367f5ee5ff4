"""What SyncHistory says, for Prometheus.

All are gauges: they are read from tables, of which somebody may delete rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from psycopg2 import sql

from warehouse.history import History
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.health import Health, StreamHealth
    from warehouse.page.database import Database

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

_STREAM: Final = ("crm_source", "sync_type")

_RUNS: Final = "SELECT crm_source, sync_type, status, count(*) FROM {table} GROUP BY 1, 2, 3"

_RECORDS: Final = """
SELECT crm_source, sync_type, sum(records_created) AS created, sum(records_updated) AS updated,
    sum(records_failed) AS failed, sum(records_processed) AS processed
FROM {table} GROUP BY 1, 2
"""

_LAST: Final = """
SELECT id, records_processed, performance_metrics ->> 'duration_seconds' AS seconds
FROM {table} WHERE id = ANY (%s)
"""


class _Warehouse(Collector):
    """One look at the database."""

    def __init__(self, database: Database, examine: Callable[[Cursor], Health]) -> None:
        self.database, self.examine = database, examine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        schema = self.database.schema
        with self.database.reading() as cursor:
            found = self.examine(cursor)
            yield from _of_health(found)
            if History(schema).exists(cursor):
                yield from _of_history(cursor, schema, found)

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # so that registering does not ask the database


def exposition(database: Database, examine: Callable[[Cursor], Health]) -> bytes:
    """Return the metrics in Prometheus' text form.

    Raises:
        Unreadable: The database does not answer.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Warehouse(database, examine))
    return generate_latest(registry)


def _of_health(found: Health) -> Iterator[GaugeMetricFamily]:
    whole = _gauge("healthy", "1 if nothing is wrong with any pipeline, else 0", ())
    whole.add_metric((), found.ok)
    yield whole
    crms = _gauge("crm_healthy", "1 if nothing is wrong with the CRM", _STREAM[:1])
    ill = {problem.crm_source for problem in found.problems}
    for crm in found.crms:
        crms.add_metric((crm,), crm not in ill)
    yield crms
    streams: dict[str, tuple[str, Callable[[StreamHealth], float]]] = {
        "stream_healthy": ("1 if nothing is wrong with the stream", lambda stream: stream.ok),
        "running": ("Runs under way", lambda stream: stream.running),
        "stuck": ("Runs that say so but do not get on", lambda stream: len(stream.stuck)),
        "rejects": ("Records that wait in sync_rejects", lambda stream: stream.rejects),
    }
    for name, (meaning, value) in streams.items():
        family = _gauge(name, meaning, _STREAM)
        for stream in found.streams:
            family.add_metric((stream.crm_source, stream.sync_type), value(stream))
        yield family
    success = _gauge(
        "last_success_timestamp_seconds", "When the stream was last read to its end", _STREAM
    )
    for stream in found.streams:
        if stream.last_success:
            success.add_metric(
                (stream.crm_source, stream.sync_type), stream.last_success.timestamp()
            )
    yield success


def _of_history(cursor: Cursor, schema: str, found: Health) -> Iterator[GaugeMetricFamily]:
    table = History(schema).table
    runs = _gauge("runs", "Runs in sync_history, by status", (*_STREAM, "status"))
    cursor.execute(sql.SQL(_RUNS).format(table=table))
    for row in rows(cursor):
        runs.add_metric((*_labels(row), row["status"]), row["count"])
    yield runs
    records = _gauge("records", "Records of all runs, by what became of them", (*_STREAM, "result"))
    cursor.execute(sql.SQL(_RECORDS).format(table=table))
    for row in rows(cursor):
        for result in ("created", "updated", "failed", "processed"):
            records.add_metric((*_labels(row), result), float(row[result]))
    yield records
    cursor.execute(
        sql.SQL(_LAST).format(table=table),
        ([stream.last_run["id"] for stream in found.streams if stream.last_run],),
    )
    last = {row["id"]: row for row in rows(cursor)}
    seconds = _gauge("last_run_duration_seconds", "Duration of the newest run", _STREAM)
    size = _gauge("last_run_records", "Records processed by the newest run", _STREAM)
    for stream in found.streams:
        labels = stream.crm_source, stream.sync_type
        run = last.get(stream.last_run["id"]) if stream.last_run else None
        if run:
            seconds.add_metric(labels, float(run["seconds"] or 0))
            size.add_metric(labels, run["records_processed"])
    yield seconds
    yield size


def _gauge(name: str, meaning: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"warehouse_{name}", meaning, labels=list(labels))


def _labels(row: dict[str, Any]) -> tuple[str, str]:
    return row["crm_source"], row["sync_type"]
