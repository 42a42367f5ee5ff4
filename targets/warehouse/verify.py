"""The tables of a CRM against its source: all of it is read into a scratch schema and compared.

It is the CRM's own pipeline, without state, whose loader is told another schema. Tables, history
and bookmarks stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse import crms
from warehouse.command import PREFIX, Refusal
from warehouse.comparison import Comparison, Known, compare, shape_of
from warehouse.configuration import variable
from warehouse.history import has_table
from warehouse.runs import rows, runs
from warehouse.scratch import Scratch, scratch_schema
from warehouse.sync import Options, prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.command import Warehouse
    from warehouse.pipeline import Pipeline
    from warehouse.sync import Sync

__all__ = ["Verification", "Wanted", "verify"]

_SETTINGS: Final = {
    "stream_schemas": "{}",
    "grant_select_to": "[]",
    "indexes": "{}",
    "index_bookmarks": "false",
    "fingerprints": "false",
    "force": "false",
    "dry_run": "false",
}
"""The loader's settings that make no sense for a table that is looked at once."""

_BOOKMARK: Final = """
SELECT configuration -> 'bookmarks' -> 'after' AS after FROM {}
WHERE crm_source = %s AND sync_type = %s
    AND jsonb_typeof(configuration -> 'bookmarks' -> 'after') = 'object'
ORDER BY id DESC LIMIT 1
"""
_TABLE: Final = """
SELECT configuration -> 'table' AS place FROM {}
WHERE crm_source = %s AND sync_type = %s AND configuration ? 'table' ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True)
class Wanted:
    """What is to be told.

    Attributes:
        streams: Which ones to read; none for all that the project selects.
        most: How many rows to name of each kind; None: all.
        values: Also what is in the columns.
        keep: Leave the scratch schema.
    """

    streams: Sequence[str] = ()
    most: int | None = 10
    values: bool = False
    keep: bool = False


@dataclass
class Verification:
    """What was found of one stream.

    Attributes:
        stream: The stream.
        found: What was found; None where it could not be verified.
        refused: Records of the read that the loader refused; they are in neither of the two.
        error: Why it could not be verified.
    """

    stream: str
    found: Comparison | None = None
    refused: int = 0
    error: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Rows that are missing, extra, different, and changed since the last sync."""
        names = ("missing", "extra", "different", "changed")
        return {name: self.found.counts.get(name, 0) if self.found else 0 for name in names}

    @property
    def ok(self) -> bool:
        """Whether the table has what the source had at the last sync."""
        wrong = sum(self.counts.values()) - self.counts["changed"]
        return self.found is not None and not wrong


def verify(
    warehouse: Warehouse,
    crm: str,
    wanted: Wanted,
    on_line: Callable[[str], None] = lambda _: None,
) -> tuple[list[Verification], str | None]:
    """Read a CRM's streams whole, and compare the tables with what came.

    Args:
        warehouse: The warehouse.
        crm: The CRM.
        wanted: What is to be told.
        on_line: Told what the pipeline says.

    Returns:
        What was found, by stream, and the scratch schema if it was kept.

    Raises:
        Refusal: The CRM could not be read at all.
        SystemExit: A signal has ended it.
    """
    with scratch_schema(warehouse, crm, keep=wanted.keep) as scratch:
        with (
            prepared(warehouse, crm, wanted.streams, Options(full=True)) as sync,
            TemporaryDirectory(prefix="warehouse-verify-") as folder,
        ):
            _redirect(warehouse, sync, scratch.name, Path(folder))
            _run(sync.pipeline, on_line)
        read = _read(warehouse, scratch.name)
        if not read:
            words = "\n".join(sync.pipeline.last_words)
            kept = f" The schema {scratch.name} is kept." if wanted.keep else ""
            raise Refusal(
                f"Nothing of {crm} could be read; see {sync.pipeline.log}.{kept}\n{words}"
            )
        results = [
            _verified(warehouse, crm, run, scratch, wanted)
            for run in sorted(read, key=lambda run: str(run["sync_type"]))
        ]
        unread = {*wanted.streams} - {run["sync_type"] for run in read}
        results += [
            Verification(name, error="it was not read; see warehouse sync, or the CRM's rights")
            for name in sorted(unread)
        ]
        return results, scratch.name if wanted.keep else None


# The pipeline


def _redirect(warehouse: Warehouse, sync: Sync, scratch: str, folder: Path) -> None:
    """Let a sync read everything into the scratch schema, and leave no trace elsewhere."""
    pipeline = sync.pipeline
    tap = crms.tap_of(warehouse.project, sync.crm)
    settings = _SETTINGS | {"default_target_schema": scratch, "history_schema": scratch}
    pipeline.environment = {
        **pipeline.environment,
        **{f"{PREFIX}{name.upper()}": value for name, value in settings.items()},
        # Meltano's own tables may be in the warehouse, too.
        "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
        "MELTANO_STATE_BACKEND_URI": "systemdb",
    }
    if "max_records" in crms.tap_settings(tap):
        pipeline.environment |= {variable(tap, "max_records"): "0"}
    *before, reader, loader = pipeline.command
    options = ["--no-state-update", f"--state-id-suffix={scratch}"]
    pipeline.command = [*before, *options, reader, loader]


def _run(pipeline: Pipeline, on_line: Callable[[str], None]) -> None:
    for line in pipeline.lines():
        if line is not None and not line.is_noise:
            on_line(line.text)
    if pipeline.stopped_by:
        raise SystemExit(pipeline.exit_code)


# The comparison


def _read(warehouse: Warehouse, scratch: str) -> list[dict[str, Any]]:
    with warehouse.connect() as connection, connection.cursor() as cursor:
        return runs(cursor, scratch, last=None)


def _verified(
    warehouse: Warehouse, crm: str, run: dict[str, Any], scratch: Scratch, wanted: Wanted
) -> Verification:
    stream = run["sync_type"]
    result = Verification(stream, refused=run["records_failed"])
    if run["status"] not in {"success", "partial"}:
        result.error = f"the source could not be read to its end: {run['error_message']}"
        return result
    with warehouse.connect() as connection:
        connection.set_session(isolation_level="REPEATABLE READ")
        with connection.cursor() as cursor:
            place = run["configuration"].get("table")
            source = place and shape_of(cursor, place["schema"], place["name"])
            if not source:
                result.found = Comparison(0)  # an empty stream that not even its schema came of
                return result
            schema, name = _place(cursor, warehouse, crm, stream, place["name"])
            table = shape_of(cursor, schema, name)
            if table is None:
                result.error = f"there is no table {schema}.{name}; was it ever synced?"
                return result
            known = _known(cursor, warehouse, crm, run, scratch.started)
            result.found = compare(
                cursor, table, source, known, most=wanted.most, values=wanted.values
            )
    return result


def _place(
    cursor: Cursor, warehouse: Warehouse, crm: str, stream: str, name: str
) -> tuple[str, str]:
    """Return schema and name of a stream's table, as the last sync has noted them."""
    found = _newest(cursor, warehouse, _TABLE, crm, stream)
    if found:
        return found["schema"], found["name"]
    return str(warehouse.settings.get("default_target_schema") or crm), name


def _known(
    cursor: Cursor, warehouse: Warehouse, crm: str, run: dict[str, Any], started: datetime
) -> Known:
    found = _newest(cursor, warehouse, _BOOKMARK, crm, run["sync_type"]) or {}
    complete = run["configuration"].get("complete")
    return Known(
        started,
        found.get("replication_key"),
        found.get("replication_key_value"),
        (complete["property"], complete["since"]) if complete else None,
    )


def _newest(
    cursor: Cursor, warehouse: Warehouse, query: str, crm: str, stream: str
) -> dict[str, Any] | None:
    schema = warehouse.history_schema
    if not has_table(cursor, schema, "sync_history"):
        return None
    cursor.execute(sql.SQL(query).format(sql.Identifier(schema, "sync_history")), (crm, stream))
    found = rows(cursor)
    return next(iter(found[0].values())) if found else None
