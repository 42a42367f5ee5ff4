"""Refused records through the loader again, as a run of its own.

The loader is a process that reads each SCHEMA message with the ids of the rejects it sends again
(``x-rejects``) and settles every one of them in the transaction that stores it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse import crms, meltano
from warehouse.command import Refusal
from warehouse.refusals import Filter, find
from warehouse.rejects import Rejects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg2.extensions import connection as Connection  # noqa: N812

    from warehouse.command import Warehouse

__all__ = ["Outcome", "replay"]

_WHERE: Final = ("default_target_schema", "naming", "load_method")
"""Settings that stay what they were when a record was refused: they decide where its row goes."""

_ALSO: Final = ("batch_size_bytes", "batch_size_rows", "connection_retries", "lock_timeout")
_TRUE: Final = frozenset({"true", "1", "yes", "on"})  # as the SDK reads them
_CHUNK: Final = 1000
_ERROR: Final = re.compile(r"\| (ERROR|CRITICAL) +\|")
_FOREIGN: Final = ("MELTANO_", "TARGET_WAREHOUSE_", "SINGER_SDK_LOG")


@dataclass
class Outcome:
    """What became of rejects, by their ids.

    Attributes:
        passed: They are stored, or what is stored is newer by its bookmark; they left the table.
        failed: They were refused again.
        kept: Not tried, because a sync has written their row since, and nothing tells the age.
        gone: Another replay or a purge was faster.
        impossible: They cannot be sent again; each with the reason.
        unreached: The loader failed before them.
        errors: What it said.
    """

    passed: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    impossible: dict[int, str] = field(default_factory=dict)
    unreached: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether none of the rejects is left."""
        left = (self.failed, self.kept, self.impossible, self.unreached, self.errors)
        return not any(left)


def replay(
    warehouse: Warehouse, chosen: Filter, *, force: bool = False, dry_run: bool = False
) -> Outcome:
    """Send rejects through the loader again, the oldest of each stream first.

    Args:
        warehouse: The warehouse.
        chosen: Which ones.
        force: Also where the stored row is, or may be, newer.
        dry_run: Only find out what would become of them.
    """
    outcome = Outcome()
    rejects = Rejects(warehouse.history_schema)
    with warehouse.connect() as connection:
        with connection.cursor() as cursor:
            found = find(cursor, rejects, chosen)[::-1]
        outcome.impossible = {row["id"]: row["obstacle"] for row in found if row["obstacle"]}
        outcome.gone = sorted({*chosen.ids} - {row["id"] for row in found})
        possible = [row for row in found if not row["obstacle"]]
        origins = _origins(connection, rejects, {row["schema_hash"] for row in possible})
        connection.commit()
        current = _current_settings(warehouse) if possible else None
        for place, some in _by_place(possible, origins).items():
            kept = origins[some[-1]["schema_hash"]]["settings"]
            config = _config(warehouse, kept, current) | {
                "sqlalchemy_url": warehouse.url,
                "crm_source": place[0],
                "force": force,
                "dry_run": dry_run,
            }
            messages = _messages(connection, rejects, some, origins, outcome)
            _load(config, messages, [row["id"] for row in some], outcome)
        if outcome.unreached:  # or settled, by a loader that could not say so any more
            with connection.cursor() as cursor:
                left = {row["id"] for row in find(cursor, rejects, Filter(ids=outcome.unreached))}
            outcome.gone += sorted({*outcome.unreached} - left)
            outcome.unreached = sorted(left)
    return outcome


def _origins(
    connection: Connection, rejects: Rejects, hashes: set[str]
) -> dict[str, dict[str, Any]]:
    if not hashes:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT hash, message, settings FROM {} WHERE hash = ANY (%s)").format(
                rejects.schemas
            ),
            ([*hashes],),
        )
        return {
            key: {"message": message, "settings": settings}
            for key, message, settings in cursor.fetchall()
        }


def _by_place(
    found: Sequence[dict[str, Any]], origins: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Return rejects by where they go; each table is loaded by a run of its own."""
    places = defaultdict(list)
    for row in found:
        settings = origins[row["schema_hash"]]["settings"]
        where = tuple(settings.get(name) for name in _WHERE)
        places[(row["crm_source"], row["stream"], *where)].append(row)
    return places


# The loader's settings


def _current_settings(warehouse: Warehouse) -> Mapping[str, Any] | None:
    """Return the loader's settings in the project's meltano.yml, or None where Meltano has none."""
    if not (warehouse.project / "meltano.yml").exists():
        return None
    name = crms.environment_name(warehouse)
    options = [f"--environment={name}"] if name else []  # or what holds in it would not count
    with suppress(Refusal, ValueError):  # without Meltano those that were kept have to do
        said = meltano.run(
            warehouse,
            *options,
            *("config", "print", "target-warehouse", "--format=json"),
            environment=meltano.environment(warehouse),
        )
        settings: dict[str, Any] | None = json.loads(said.stdout) if said.returncode == 0 else None
        return settings
    return None


def _config(
    warehouse: Warehouse, kept: Mapping[str, Any], current: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the settings for a replay: as they are now, but the rows go where they would have."""
    found = dict(kept)
    for name in (*kept, *_ALSO):
        if current is not None and current.get(name) is not None:
            found[name] = current[name]
        if (text := warehouse.settings.get(name)) is not None:
            found[name] = _typed(str(text), kept.get(name))
    found |= {name: kept.get(name) for name in _WHERE}
    if found["load_method"] == "overwrite":  # which would leave nothing but the replayed
        found["load_method"] = "upsert"
    found["history_schema"] = warehouse.history_schema
    return {name: value for name, value in found.items() if value is not None}


def _typed(text: str, like: Any) -> Any:
    if isinstance(like, bool):
        return text.lower() in _TRUE
    if isinstance(like, str):
        return text
    with suppress(ValueError):
        return json.loads(text)
    return text


# The loader


def _messages(
    connection: Connection,
    rejects: Rejects,
    found: Sequence[dict[str, Any]],
    origins: Mapping[str, Mapping[str, Any]],
    outcome: Outcome,
) -> Iterator[str]:
    """Yield SCHEMA and RECORD messages; a record that cannot be sent is noted and left out."""
    for origin, group in groupby(found, key=lambda row: row["schema_hash"]):
        message = origins[origin]["message"]
        schema = json.loads(message)["schema"]
        ids = [row["id"] for row in group]
        for start in range(0, len(ids), _CHUNK):
            sent, lines = [], []
            for number, text, stream, moment in _read(
                connection, rejects, ids[start : start + _CHUNK]
            ):
                if why := _unfit(text, schema):
                    outcome.impossible[number] = why
                    continue
                sent.append(number)
                lines.append(
                    f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{text},'
                    f'"time_extracted":"{moment.isoformat()}"}}\n'
                )
            if sent:
                yield f'{message[:-1]}, "x-rejects": {json.dumps(sent)}}}\n'
                yield from lines


def _read(
    connection: Connection, rejects: Rejects, ids: Sequence[int]
) -> list[tuple[int, str, str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT id, record, stream, created_at FROM {} WHERE id = ANY (%s) ORDER BY id"
            ).format(rejects.table),
            ([*ids],),
        )
        found = cursor.fetchall()
    connection.commit()  # the loader may have to wait for what an open transaction has seen
    return found


def _unfit(text: str, schema: Mapping[str, Any]) -> str | None:
    """Return why a record cannot be sent, or None."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or "\n" in text:
        return "it is no JSON object, in one line"
    if schema.get("x-replace-by") and record.get("_sdc_deleted_at"):
        return "it says that a set is empty, which only a sync can know"
    return None


def _load(
    config: Mapping[str, Any], messages: Iterator[str], ids: Sequence[int], outcome: Outcome
) -> None:
    """Run the loader on these messages, and add what became of the rejects."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as log:
        code = _run(config, messages, said, log)
        said.seek(0)
        for line in said:
            for name, numbers in json.loads(line).items():
                getattr(outcome, name).extend(numbers)
        told = {*outcome.passed, *outcome.failed, *outcome.kept, *outcome.gone, *outcome.impossible}
        missing = [number for number in ids if number not in told]
        if code:
            outcome.unreached.extend(missing)
            log.seek(0)
            outcome.errors.append(_last_words(log, code))
        else:  # purged before it was sent
            outcome.gone.extend(missing)


def _run(config: Mapping[str, Any], messages: Iterator[str], said: IO[str], log: IO[str]) -> int:
    loader = Path(sys.executable).with_name("target-warehouse")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    # Through a pipe, so that the password is in no file and in no list of processes.
    reading, writing = os.pipe()
    with open(writing, "w") as file:  # noqa: PTH123 - a descriptor
        json.dump(config, file)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [str(loader), "--config", f"/dev/fd/{reading}"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment,
            pass_fds=[reading],
        )
    except FileNotFoundError:
        raise Refusal("target-warehouse is not installed beside this command.") from None
    finally:
        os.close(reading)
    with suppress(BrokenPipeError), process:  # it says why it has stopped
        if process.stdin is not None:
            for message in messages:
                process.stdin.write(message)
    return process.returncode


def _last_words(log: IO[str], code: int) -> str:
    """Return the last error in a log; nothing else of it, which might quote a record."""
    errors = [line.strip() for line in log if _ERROR.search(line)]
    return errors[-1].rpartition(" | ")[2] if errors else f"target-warehouse ended with {code}"
