"""One run of the target: its connection, its streams, and what SyncHistory says of them."""

from __future__ import annotations

import logging
import os
import platform
import time
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from warehouse.history import Counts, History, Status, take_turns
from warehouse.rejects import Rejects

from target_warehouse.claims import Claims
from target_warehouse.errors import TargetError, TooManyRejectsError
from target_warehouse.jsontext import clean, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.session import Session

__all__ = ["STOPPED", "Received", "Run", "StreamRun"]

logger = logging.getLogger("target-warehouse")

STOPPED: Final = "extractor stopped before the stream was complete"
_SHARE_FROM: Final = 1000  # records before a share of rejects means something
_FINAL: Final = ("success", "partial", "failed")
_COUNTED: Final = ("processed", "created", "updated", "failed")
_KEPT_SETTINGS: Final = (
    "load_method", "force", "hard_delete", "strict_validation", "validate_records",
    "batch_size_rows", "batch_size_bytes", "max_rejects", "add_record_metadata",
)  # fmt: skip


@dataclass
class Received:
    """Keys noted for a full table: of which version, and whether all of them are still there.

    `gathered` are rows that wait to take the place of the table's (see `Replacement`). Where
    `covers_table`, every row of the table was received, so that no key needed to be noted.
    """

    version: int | None
    generation: int
    since: Any = None
    gathered: int = 0
    covers_table: bool = False


@dataclass
class StreamRun:
    """One stream in one run, which is one row of SyncHistory."""

    name: str
    number: int
    history_id: int
    bookmark_before: Any = None
    bookmark_after: Any = None
    counts: Counts = field(default_factory=Counts)
    report: Mapping[str, Any] = field(default_factory=dict)
    """What the extractor says of it under ``sync``; empty for extractors that do not."""
    started: float = field(default_factory=time.monotonic)
    closed: Status | None = None
    received: Received | None = None
    gathers_from: int | None = None
    """Number of the first record that is gathered but not in the table (see `Replacement`)."""
    replays_since: Any = None
    """When a replay of its rejects began to write."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """What else goes into the row's ``configuration``."""

    @property
    def finished(self) -> bool:
        """Whether the extractor says that the stream is at its end."""
        return self.report.get("status") in _FINAL

    def metrics(self, counts: Counts) -> dict[str, Any]:
        """Return ``performance_metrics`` for these counters."""
        said = {
            f"records_{name}": self.report.get(name)
            for name in ("expected", "extracted")
            if self.report.get(name) is not None
        }
        return said | counts.metrics(
            time.monotonic() - self.started,
            api_calls=self.report.get("api_calls") or 0,
            warnings=self.report.get("warnings") or 0,
        )


class Run:
    """Opens, moves and closes the rows of SyncHistory; in a dry run it only counts."""

    def __init__(self, session: Session, crm_source: str, config: Mapping[str, Any]) -> None:
        """Close what earlier runs left open.

        Args:
            session: Connection of the run.
            crm_source: Name of the CRM, as stored in every row.
            config: The target's settings.
        """
        self.session, self.crm_source, self.config = session, crm_source, config
        self.dry = bool(config["dry_run"])
        self.started_at = round(time.time() * 1000)
        self.streams: dict[str, StreamRun] = {}
        self.history = History(config["history_schema"])
        self.rejects = Rejects(config["history_schema"])
        self.claims = Claims(session, config["lock_timeout"])
        self.replays: dict[str, dict[int, int]] = {}
        """Stream → number of a record in the input → its id in ``sync_rejects`` (see `replay`)."""
        if not self.dry:
            session.on_reconnect = self._lock_again
            for name in session.transaction(lambda cursor, _: self._begin(cursor)):
                logger.warning("Closed an abandoned run of %s as failed", name)

    def _begin(self, cursor: Cursor) -> list[str]:
        take_turns(cursor, f"runs in {self.history.schema}")
        self.history.ensure(cursor)
        self.rejects.ensure(cursor)
        return self.history.close_abandoned(cursor)

    def _lock_again(self, cursor: Cursor) -> None:
        for stream in self.open_streams():
            self.history.lock(cursor, stream.history_id)
        self.claims.take_again(cursor)

    def open_streams(self) -> Iterator[StreamRun]:
        """Yield the streams that are not closed."""
        return (stream for stream in self.streams.values() if stream.closed is None)

    def stream(self, name: str, bookmark: Any = None) -> StreamRun:
        """Return a stream's run; the first time, its row is opened.

        Args:
            name: The stream.
            bookmark: Its bookmark in the extractor's last state.
        """
        if name not in self.streams:
            history_id = 0 if self.dry else self._open(name, bookmark)
            self.streams[name] = StreamRun(name, len(self.streams), history_id, bookmark)
        return self.streams[name]

    def _open(self, name: str, bookmark: Any) -> int:
        config = self.config
        mode = "incremental" if bookmark else "full"
        if name in self.replays:
            mode = "replay"
        elif config.get("force"):
            mode = "force"
        configuration = {
            "mode": mode,
            "bookmarks": {"before": bookmark, "after": None},
            "settings": plain({key: config.get(key) for key in _KEPT_SETTINGS}),
            "versions": {
                "crm-warehouse": metadata.version("crm-warehouse"),
                "singer-sdk": metadata.version("singer-sdk"),
                "python": platform.python_version(),
                "postgres": self.session.server_version,
            },
            "meltano": {
                name: os.environ.get(f"MELTANO_{name.upper()}")
                for name in ("run_id", "environment", "extractor_name")
            },
        }
        return self.session.transaction(
            lambda cursor, _: self.history.open(cursor, self.crm_source, name, configuration)
        )

    def add(self, stream: StreamRun, total: Counts) -> None:
        """Take over a stream's counters as a committed batch left them.

        Raises:
            TooManyRejectsError: `max_rejects` is passed.
        """
        known, stream.counts = stream.counts, total
        stream.closed = None
        allowed = self.config.get("max_rejects")
        if allowed is None or total.failed == known.failed:
            return
        if 0 < allowed < 1:
            allowed = allowed * total.processed if total.processed >= _SHARE_FROM else total.failed
        if total.failed > allowed:
            raise TooManyRejectsError(
                f"{total.failed} of {total.processed} {stream.name} records were refused, more than"
                " max_rejects allows; sync_rejects has them with their reasons"
            )

    def close(self, stream: StreamRun) -> None:
        """Close a stream at its end, by what the extractor says and what was refused."""
        status = stream.report.get("status", "success")
        error = stream.report.get("error")
        if status not in _FINAL:
            status, error = "failed", STOPPED
        elif status == "success" and stream.counts.failed:
            status = "partial"
        if stream.counts.failed and not error:
            error = f"{stream.counts.failed} records were refused; see sync_rejects"
        self._close(stream, status, error)

    def fail(self, error: BaseException) -> None:
        """Close every open stream as failed.

        Raises:
            TargetError: The server is gone; the next run closes the rows.
        """
        named = isinstance(error, (TargetError, SystemExit))
        reason = str(error) if named else f"The loader failed: {type(error).__name__}"
        for stream in self.open_streams():
            self._close(stream, "failed", reason)

    def _close(self, stream: StreamRun, status: Status, error: str | None) -> None:
        counts = stream.counts
        if not self.dry:
            after = {"before": stream.bookmark_before, "after": stream.bookmark_after}
            self.session.transaction(
                lambda cursor, _: self.history.close(
                    cursor,
                    stream.history_id,
                    status,
                    metrics=stream.metrics(counts),
                    configuration=stream.configuration | {"bookmarks": after},
                    endpoint=stream.report.get("endpoint"),
                    error=clean(error) if error else None,
                )
            )
        stream.closed = status
        if status == "failed":
            logger.error("Failed %s %s sync: %s", self.crm_source, stream.name, error)
        logger.info(
            "%s %s %s sync: %d created, %d updated, %d failed",
            "Dry run of" if self.dry else "Completed" if status != "failed" else "Stopped",
            self.crm_source,
            stream.name,
            counts.created,
            counts.updated,
            counts.failed,
            extra={"sync": self._row(stream, status, error)} if self.dry else None,
        )

    def _row(self, stream: StreamRun, status: Status, error: str | None) -> dict[str, Any]:
        """Return what the row of SyncHistory would have been, for whoever reads structured logs."""
        return {
            "crm_source": self.crm_source,
            "sync_type": stream.name,
            "status": status,
            **{f"records_{name}": getattr(stream.counts, name) for name in _COUNTED},
            "error_message": error,
            "performance_metrics": stream.metrics(stream.counts),
        }
