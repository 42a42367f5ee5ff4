"""The Singer target: messages in, rows in Postgres, state out."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import sys
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.exceptions import RecordsWithoutSchemaException
from singer_sdk.helpers._batch import (
    BaseBatchFileEncoding,
    BatchFileFormat,
    StorageTarget,
)
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.sql import SQLTarget

from target_warehouse import jsontext
from target_warehouse.errors import BadInputError, TargetError, TerminatedError
from target_warehouse.loader import Batch
from target_warehouse.reader import Reader, RecordMessage
from target_warehouse.run import Run, StreamRun
from target_warehouse.session import Session
from target_warehouse.settings import SETTINGS, crm_source
from target_warehouse.sink import WarehouseSink
from target_warehouse.states import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

    from singer_sdk.sinks import Sink

__all__ = ["TargetWarehouse"]

logger = logging.getLogger("target-warehouse")


class TargetWarehouse(SQLTarget):
    """Loads any tap's records into Postgres and keeps SyncHistory."""

    name = "target-warehouse"
    package_name = "crm-warehouse"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS
    default_sink_class = WarehouseSink
    message_reader_class = Reader

    def __init__(self, **options: Any) -> None:
        """Take the SDK's options; nothing is connected before the first message."""
        super().__init__(**options)
        self.max_parallelism = 1
        self._read = 0
        self._waiting = 0
        self._most_waiting: int = self.config["batch_size_bytes"]
        self._discarded: list[int] = []
        self._direct: dict[str, WarehouseSink] = {}
        self._bookmark_properties: dict[str, Sequence[str]] = {}
        self._bookmarks: dict[str, Any] = {}
        self._pending_versions: dict[str, int] = {}
        self._watermark = Watermark(self._write_state_message)
        self.message_reader.running = self._running
        self.message_reader.on_pause = self._drain_aged

    @cached_property
    def run(self) -> Run:
        """The run: connection and history."""
        source = crm_source(self.config)
        session = Session(
            self.target_connector.sqlalchemy_url,
            retries=self.config["connection_retries"],
            keep=not self.config["dry_run"],
        )
        return Run(session, source, self.config)

    def open_stream(self, name: str) -> StreamRun:
        """Return a stream's run, with its bookmark when it is new."""
        return self.run.stream(name, self._bookmarks.get(name))

    def bookmark_properties(self, stream: str) -> Sequence[str]:
        """Return the properties by which a stream's newer records are told from older ones."""
        return self._bookmark_properties.get(stream, ())

    # Ends

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Close the history, whatever ends the run."""
        run = self.run
        try:
            yield
        except BaseException as error:
            try:
                run.fail(error)
            except TargetError as failure:
                logger.warning("The history stays open until the next run: %s", failure)
            run.session.close()
            raise

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Leave by an exception: what is under way rolls back and nothing is emitted."""
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        raise TerminatedError(signum)

    def process_endofpipe(self) -> None:
        with self._running():
            for stream in list(self.run.streams.values()):
                if stream.closed is None:
                    self._finish(stream)
            self._advance()
            super().process_endofpipe()
        self.run.session.close()

    def _finish(self, stream: StreamRun) -> None:
        """Bring a stream whose last record has come to its end."""
        sink = self._sinks_active.get(stream.name)
        complete = stream.finished or not stream.report
        if isinstance(sink, WarehouseSink):
            self._drain(sink, complete=complete)
            if sink.oldest is not None:
                # The rest of a scope will not come. The part that came says nothing about the whole
                # and comes again, because no state goes past it.
                self._discarded.append(sink.oldest)
                sink.batch = Batch()
            if complete and stream.report.get("status") != "failed":
                sink.loader.ensure_table()
                self._delete_unseen(stream, sink)
            sink.loader.finish()
        if complete:
            stream.bookmark_after = self._bookmarks.get(stream.name)
        self.run.close(stream)

    def _delete_unseen(self, stream: StreamRun, sink: WarehouseSink) -> None:
        if self.config["load_method"] == "overwrite":
            version, hard = None, True
        else:
            version, hard = self._pending_versions.pop(stream.name, None), False
            if version is None:
                return
        if stream.received or stream.report:
            sink.loader.delete_unseen(hard=hard or self.config["hard_delete"])
        else:
            logger.warning(
                "Stream %s sent a complete read of no records; nothing is deleted, because its"
                " extractor does not say that it succeeded",
                stream.name,
            )

    # Messages

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, {"stream", "schema"})
        stream = message_dict["stream"]
        bookmark = message_dict.get("bookmark_properties") or ()
        for name in (stream, *self._aliases(stream)):
            self._bookmark_properties[name] = bookmark
        if scope := message_dict.get("x-replace-by"):
            message_dict["schema"]["x-replace-by"] = scope
        super()._process_schema_message(message_dict)
        maps = self.mapper.stream_maps[stream]
        self._direct.pop(stream, None)
        if (
            len(maps) == 1
            and isinstance(maps[0], SameRecordTransform)
            and not maps[0].flattening_enabled
        ):
            sink = self._sinks_active[maps[0].stream_alias]
            if isinstance(sink, WarehouseSink):
                self._direct[stream] = sink

    def get_sink(
        self,
        stream_name: str,
        *,
        record: dict[str, Any] | None = None,
        schema: dict[str, Any] | None = None,
        key_properties: Sequence[str] | None = None,
    ) -> Sink:
        """Return the stream's sink; records of an older schema are written before it changes."""
        keys = list(key_properties or ())
        existing = self._sinks_active.get(stream_name)
        if (
            isinstance(existing, WarehouseSink)
            and schema is not None
            and (existing.schema != schema or existing.key_properties != keys)
        ):
            self._drain(existing, complete=True)
            existing.clean_up()
            del self._sinks_active[stream_name]
        return super().get_sink(stream_name, record=record, schema=schema, key_properties=keys)

    def _process_record_message(self, message: RecordMessage) -> None:  # type: ignore[override]
        self._read += 1
        if (sink := self._direct.get(message.stream)) is not None:
            self._add(sink, message.record, message)
            return
        if message.stream not in self.mapper.stream_maps:
            raise RecordsWithoutSchemaException(
                f"A record of stream '{message.stream}' came before its schema"
            )
        record = message.record
        parsed = record if isinstance(record, dict) else jsontext.loads(bytes(record))
        for stream_map in self.mapper.stream_maps[message.stream]:
            mapped = stream_map.transform(dict(parsed))
            if mapped is not None:
                sink = self._sinks_active[stream_map.stream_alias]
                self._add(sink, mapped, message)

    def _add(self, sink: WarehouseSink, item: Any, message: RecordMessage) -> None:
        batch = sink.batch
        if batch.items:
            if batch.version != message.version or (
                sink.scoped and sink.is_full and sink.starts_scope(item)
            ):
                self._drain(sink, complete=True)
        sink.add(item, message, self._read)
        self._waiting += message.size
        if sink.is_full and not sink.scoped:
            self._drain(sink)
        elif self._waiting >= self._most_waiting:
            self._drain_every()

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Feed the records of BATCH files through the same path as any other."""
        self._assert_line_requires(message_dict, {"stream", "encoding", "manifest"})
        encoding = BaseBatchFileEncoding.from_dict(message_dict["encoding"])
        if encoding.format != BatchFileFormat.JSONL:
            raise BadInputError(f"BATCH files of format {encoding.format} cannot be read")
        storage = self.config.get("batch_config", {}).get("storage")
        for path in message_dict["manifest"]:
            head, tail = StorageTarget.split_url(path)
            opened = StorageTarget.from_dict(storage) if storage else StorageTarget.from_url(head)
            with opened.open(tail, mode="rb") as file:
                lines: Iterable[bytes] = gzip.open(file) if encoding.compression == "gzip" else file
                for line in lines:
                    if line.strip():
                        self._process_record_message(
                            RecordMessage(message_dict["stream"], line, size=len(line))  # type: ignore[arg-type]
                        )

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Delete at once what a complete read did not bring; before the read, remember to."""
        self._assert_line_requires(message_dict, {"stream", "version"})
        if not self.config.get("process_activate_version_messages", True):
            return
        version = message_dict["version"]
        for name in self._aliases(message_dict["stream"]) or [message_dict["stream"]]:
            sink = self._sinks_active.get(name)
            if isinstance(sink, WarehouseSink):
                self._drain(sink, complete=True)
                received = sink.loader.stream.received
                if received and received.version == version:
                    self._pending_versions.pop(name, None)
                    sink.loader.delete_unseen(hard=self.config["hard_delete"])
                    continue
            self._pending_versions[name] = version

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, {"value"})
        value = message_dict["value"]
        if isinstance(bookmarks := value.get("bookmarks"), dict):
            self._bookmarks = json.loads(jsontext.dumps(bookmarks))
        self._watermark.add(self._read, value)
        reports = value.get("sync")
        for name, report in (reports if isinstance(reports, dict) else {}).items():
            self._take_report(name, report)
        self._advance()

    def _take_report(self, name: str, report: dict[str, Any]) -> None:
        for alias in self._aliases(name) or [name]:
            stream = self.open_stream(alias)
            if stream.report == report:
                continue
            stream.report = report
            if stream.finished and stream.closed is None:
                self._finish(stream)

    def _aliases(self, stream: str) -> list[str]:
        return [m.stream_alias for m in self.mapper.stream_maps.get(stream, ())]

    # Commits

    def _drain(self, sink: WarehouseSink, *, complete: bool = False) -> None:
        """Commit what a sink holds and send the state that becomes valid by it.

        A scope whose end has not come (see `WarehouseSink.scoped`) waits, unless `complete`.
        """
        held = None if complete or not sink.scoped else sink.hold_back_last_scope()
        self._waiting -= sink.batch.size
        self.drain_one(sink)
        if held:
            sink.batch = held
        self._advance()

    def _drain_every(self) -> None:
        for sink in list(self._sinks_active.values()):
            if isinstance(sink, WarehouseSink):
                self._drain(sink)

    def _drain_aged(self) -> None:
        """Commit what has waited too long; also when no input comes."""
        oldest = time.time() - self.config["batch_max_age"]
        for sink in list(self._sinks_active.values()):
            if (
                isinstance(sink, WarehouseSink)
                and sink.batch.items
                and sink.batch.started <= oldest
            ):
                self._drain(sink)

    def _advance(self) -> None:
        waiting = [
            *self._discarded,
            *(
                sink.oldest
                for sink in self._sinks_active.values()
                if isinstance(sink, WarehouseSink) and sink.oldest is not None
            ),
        ]
        state = self._watermark.advance(min(waiting, default=self._read + 1) - 1)
        for name, bookmark in ((state or {}).get("bookmarks") or {}).items():
            if name in self.run.streams:
                self.run.streams[name].bookmark_after = json.loads(jsontext.dumps(bookmark))

    def _write_state_message(self, state: dict[str, Any]) -> None:
        if not self.config["dry_run"]:
            sys.stdout.write(f"{jsontext.dumps(state, exact=True)}\n")
            sys.stdout.flush()
