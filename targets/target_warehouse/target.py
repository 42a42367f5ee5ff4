"""The Singer target: messages in, rows in Postgres, state out."""

from __future__ import annotations

import logging
import signal
import sys
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from singer_sdk.exceptions import (
    InvalidJSONSchema,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.sql import SQLTarget
from warehouse.server import WarehouseUnavailableError, libpq_url

from target_warehouse import batch_files, jsontext
from target_warehouse.batch_load import Batch
from target_warehouse.errors import BadInputError, TargetError, TerminatedError
from target_warehouse.reader import Reader, RecordMessage
from target_warehouse.run import Run, StreamRun
from target_warehouse.session import Session
from target_warehouse.settings import SETTINGS, check, crm_source, numbers
from target_warehouse.sink import WarehouseSink
from target_warehouse.states import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from msgspec import Raw
    from singer_sdk.sinks import Sink

    from target_warehouse.encoder import Item

__all__ = ["TargetWarehouse"]

logger = logging.getLogger("target-warehouse")

_SWITCH_INTERVAL: Final = 1e-4
"""Seconds after which the reading thread lets the writing one go on, which has little to do each
time but send more; Python's own 5 ms would leave the server waiting for a third of the time."""

_TOGETHER: Final = 1 << 16  # bytes of a file that are handed on at once
_AROUND: Final = 50  # bytes of a message that are not the record's, more or less
_STREAM_AND_VERSION: Final = attrgetter("stream", "version")

_SAID: Final = (
    TargetError,
    WarehouseUnavailableError,
    InvalidJSONSchema,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)
_PATIENCE: Final = 10.0  # seconds for the server, once a signal has come


class TargetWarehouse(SQLTarget):
    """Loads any tap's records into Postgres and keeps SyncHistory."""

    name = "target-warehouse"
    package_name = "crm-warehouse"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS
    default_sink_class = WarehouseSink

    def __init__(self, **options: Any) -> None:
        """Take the SDK's options; nothing is connected before the input is read."""
        reader = Reader()
        reader.running = self._running
        reader.on_records = self._process_records
        reader.on_pause = self._on_pause
        super().__init__(**{"message_reader": reader, **options})
        for name, setting in SETTINGS["properties"].items():
            if self._config.get(name) is None and "default" in setting:
                self._config[name] = setting["default"]
        self._config |= numbers(self._config)
        self.max_parallelism = 1
        self._read = 0
        self._waiting_bytes = 0
        # One half is read while the other one is under way.
        self._most_bytes: int = self.config["batch_size_bytes"] // 2
        self._longest_wait = float(self.config["batch_max_age"])
        self._direct: dict[str, WarehouseSink] = {}
        self._bookmark_properties: dict[str, Sequence[str]] = {}
        self._bookmarks: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._discarded: list[int] = []
        self._terminated: int | None = None
        self._is_writing = False
        self._overwrites = self.config["load_method"] == "overwrite"
        self._watermark = Watermark(self._write_state_message)

    @cached_property
    def run(self) -> Run:
        """The run: connection and history."""
        check(self.config)
        source = crm_source(self.config)
        session = Session(
            libpq_url(self.target_connector.sqlalchemy_url),
            retries=self.config["connection_retries"],
            keep=not self.config["dry_run"],
            checkpoint=self._stop_if_terminated,
        )
        try:
            return Run(session, source, self.config)
        except BaseException:
            session.close()
            raise

    @property
    def _sinks(self) -> dict[str, WarehouseSink]:
        return cast("dict[str, WarehouseSink]", self._sinks_active)

    def open_stream(self, name: str) -> StreamRun:
        """Return a stream's run, with its bookmark when it is new."""
        return self.run.stream(name, self._bookmarks.get(name))

    def bookmark_properties(self, stream: str) -> Sequence[str]:
        """Return the properties by which a stream's newer records are told from older ones."""
        return self._bookmark_properties.get(stream, ())

    @classmethod
    def invoke(cls, **options: Any) -> None:
        """Run as a command: what the user can mend is said in a sentence, without a traceback."""
        try:
            if sys.stdin is None and not options.get("file_input"):
                raise BadInputError("There is no input: standard input is closed")
            super().invoke(**options)
        except _SAID as error:
            logger.error("%s", error)  # noqa: TRY400 - on purpose
            sys.exit(1)

    # The end, whichever

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Close the history, whatever ends the run."""
        run = self.run
        sys.setswitchinterval(_SWITCH_INTERVAL)
        try:
            yield
        except BaseException as error:
            with suppress(TargetError, TerminatedError, BrokenPipeError):
                run.session.wait()
            if self._terminated:
                with suppress(TargetError, TerminatedError, BrokenPipeError):
                    run.session.stop(_PATIENCE)
            self._terminated = None
            try:
                run.fail(error)
            except TargetError as failure:
                logger.warning("The history stays open until the next run: %s", failure)
            run.session.close()
            raise

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Let the run end where it next looks; an exception just anywhere could leave locks behind.

        But at once where nobody takes the states.
        """
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        self._terminated = signum
        if self._is_writing:
            raise TerminatedError(signum)

    def _stop_if_terminated(self) -> None:
        if self._terminated:
            raise TerminatedError(self._terminated)

    def process_endofpipe(self) -> None:
        with self._running():
            for stream in list(self.run.open_streams()):
                self._finish(stream)
            self.advance()
            super().process_endofpipe()
        self.run.session.close()

    def _finish(self, stream: StreamRun) -> None:
        """Bring a stream after which nothing comes to its end."""
        complete = stream.finished or not stream.report
        if sink := self._sinks.get(stream.name):
            self._commit(sink, complete=complete)
            if sink.oldest is not None:
                # The rest of a scope will not come. The part that came says nothing about the
                # whole and comes again, because no state goes past it.
                self._discarded.append(sink.oldest)
                sink.batch = Batch()
            if complete and stream.report.get("status") != "failed":
                sink.loader.ensure_table()
                self._delete_unseen(stream, sink)
            sink.loader.findings.finish()
        if complete:
            stream.bookmark_after = self._bookmarks.get(stream.name)
        self.run.close(stream)

    def _delete_unseen(self, stream: StreamRun, sink: WarehouseSink) -> None:
        """Delete what a complete read did not bring, if there was one, or one of a window."""
        if self.run.dry:
            return
        since, window = stream.report.get("complete_since"), sink.loader.plan.window
        if since and window:
            stream.configuration["complete"] = {"property": window, "since": since}
        if self._versions.pop(stream.name, None) is None and not self._overwrites:
            wanted = self.config["process_activate_version_messages"]
            if since and window and wanted:
                sink.loader.delete_unseen(hard=self.config["hard_delete"], since=since)
            return
        if not (stream.received or stream.report):
            logger.warning(
                "Stream %s sent a complete read of no records; nothing is deleted, because its"
                " extractor does not say that it succeeded",
                stream.name,
            )
        elif self._overwrites:
            sink.loader.replace_rows()
        else:
            sink.loader.delete_unseen(hard=self.config["hard_delete"])

    # Messages

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, {"stream", "schema"})
        stream = message_dict["stream"]
        if scope := message_dict.get("x-replace-by"):
            message_dict["schema"]["x-replace-by"] = scope
        if ids := message_dict.get("x-rejects"):
            first = self._read + 1
            self.run.replays.setdefault(stream, {}).update(enumerate(ids, first))
        for name in (stream, *self._aliases(stream)):
            self._bookmark_properties[name] = message_dict.get("bookmark_properties") or ()
        super()._process_schema_message(message_dict)
        for name in self._aliases(stream):
            self._sinks[name].open()
        maps = self.mapper.stream_maps[stream]
        if (
            len(maps) == 1
            and isinstance(maps[0], SameRecordTransform)
            and not maps[0].flattening_enabled
        ):
            self._direct[stream] = self._sinks[maps[0].stream_alias]

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
        existing = self._sinks.get(stream_name)
        if existing and schema and (existing.schema != schema or existing.key_properties != keys):
            self._commit(existing)
            existing.loader.forget_keys_unless(schema, keys)
            existing.clean_up()
            del self._sinks[stream_name]
        return super().get_sink(stream_name, record=record, schema=schema, key_properties=keys)

    def _process_records(self, messages: Sequence[RecordMessage], size: int) -> None:
        """Buffer records that came one after the other and are `size` bytes together."""
        each = size // len(messages)
        is_mixed = len({message.stream for message in messages}) > 1
        if is_mixed:
            for message in messages:  # or one that waits would keep all of them in memory
                message.record = message.record.copy()
        for (name, version), group in groupby(messages, _STREAM_AND_VERSION):
            some = list(group)
            if is_mixed:  # one stream's records may be a thousand times as long as another's
                each = sum(len(message.record) for message in some) // len(some) + _AROUND
            if (sink := self._direct.get(name)) and sink.takes_many:
                if sink.batch.items and sink.batch.version != version:
                    self._drain(sink)
                self._add_many(sink, some, each)
            else:
                for message in some:
                    self._process_record(message, each)

    def _add_many(self, sink: WarehouseSink, messages: Sequence[RecordMessage], size: int) -> None:
        while messages:
            room = max(1, -(-(self._most_bytes - self._waiting_bytes) // size))
            taken = sink.add_many(messages[:room], size, self._read + 1)
            self._read += taken
            self._waiting_bytes += taken * size
            messages = messages[taken:]
            self._drain_what_is_full(sink)

    def _process_record(self, message: RecordMessage, size: int) -> None:
        self._read += 1
        if sink := self._direct.get(message.stream):
            self._add(sink, message.record, message, size)
            return
        item = cast("Item", message.record)
        if message.stream not in self.mapper.stream_maps:
            raise RecordsWithoutSchemaException(
                f"A record of stream '{message.stream}' came before its schema"
            )
        record = item if isinstance(item, dict) else jsontext.loads(bytes(item))
        for stream_map in self.mapper.stream_maps[message.stream]:
            if (mapped := stream_map.transform(dict(record))) is not None:
                self._add(self._sinks[stream_map.stream_alias], mapped, message, size)

    def _add(self, sink: WarehouseSink, item: Item, message: RecordMessage, size: int) -> None:
        batch = sink.batch
        if batch.items and (
            batch.version != message.version
            or (sink.scoped and sink.is_full and sink.starts_scope(item))
        ):
            self._drain(sink, complete=True)
        sink.add(item, message, size, self._read)
        self._waiting_bytes += size
        self._drain_what_is_full(sink)

    def _drain_what_is_full(self, sink: WarehouseSink) -> None:
        if not sink.scoped and sink.is_full:
            self._drain(sink)
        elif self._waiting_bytes >= self._most_bytes:
            self._drain(max(self._sinks.values(), key=lambda waiting: waiting.batch.size))

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, {"stream", "encoding", "manifest"})
        stream = message_dict["stream"]
        if stream not in self.mapper.stream_maps:
            raise RecordsWithoutSchemaException(f"A batch of '{stream}' came before its schema")
        properties = self.mapper.stream_maps[stream][0].raw_schema["properties"]
        version = message_dict.get("version")
        messages: list[RecordMessage] = []
        size = 0
        for line in batch_files.records(message_dict, properties):
            messages.append(RecordMessage(stream, cast("Raw", line), version))
            size += len(line)
            if size >= _TOGETHER:
                self._process_records(messages, size)
                messages, size = [], 0
        if messages:
            self._process_records(messages, size)

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Delete what a complete read did not bring: now, or when it has ended."""
        self._assert_line_requires(message_dict, {"stream", "version"})
        if not self.config["process_activate_version_messages"] or self._overwrites:
            return
        stream, version = message_dict["stream"], message_dict["version"]
        for name in self._aliases(stream):
            if sink := self._sinks.get(name):
                self._commit(sink)
                received = sink.loader.stream.received
                if received and received.version == version:
                    self._versions.pop(name, None)
                    sink.loader.delete_unseen(hard=self.config["hard_delete"])
                    continue
            self._versions[name] = version

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, {"value"})
        value = message_dict["value"]
        if not isinstance(value, dict):
            raise BadInputError("The value of a STATE message is not an object")
        if isinstance(bookmarks := value.get("bookmarks"), dict):
            self._bookmarks = jsontext.plain(bookmarks)
        self._watermark.add(self._read, value)
        reports = value.get("sync")
        for name, report in (reports if isinstance(reports, dict) else {}).items():
            for alias in self._aliases(name):
                self._take_report(self.open_stream(alias), report)
        self.advance()

    def _take_report(self, stream: StreamRun, report: dict[str, Any]) -> None:
        if stream.report != report:
            stream.report = report
            if stream.finished and stream.closed is None:
                self._finish(stream)

    def _aliases(self, stream: str) -> list[str]:
        """Return the names under which a stream is stored: more than one, or none, by its maps."""
        if stream not in self.mapper.stream_maps:
            return [stream]
        return [
            stream_map.stream_alias
            for stream_map in self.mapper.stream_maps[stream]
            if not isinstance(stream_map, RemoveRecordTransform)
        ]

    # Commits

    def _drain(self, sink: WarehouseSink, *, complete: bool = False) -> None:
        """Begin to commit what a sink holds; the state that becomes valid by it follows.

        A scope whose end has not come (see `WarehouseSink.scoped`) waits, unless `complete`.
        """
        self._waiting_bytes -= sink.batch.size
        held = None if complete or not sink.scoped else sink.hold_back_last_scope()
        self.drain_one(sink)
        if held:
            sink.batch = held

    def _commit(self, sink: WarehouseSink, *, complete: bool = True) -> None:
        """Commit what a sink holds, now."""
        self._drain(sink, complete=complete)
        self.run.session.wait()

    def _on_pause(self) -> None:
        """Commit what has waited too long; also when no input comes."""
        self._stop_if_terminated()
        self.run.session.collect()
        oldest = time.time() - self._longest_wait
        for sink in self._sinks.values():
            if sink.batch.items and sink.batch.started <= oldest:
                self._drain(sink)
            elif sink.batch.size >= self._most_bytes // 8:
                sink.loader.begin()

    def advance(self) -> None:
        """Send the newest state of which all records are committed."""
        waiting = [sink.oldest for sink in self._sinks.values()]
        waiting += [stream.gathers_from for stream in self.run.streams.values()]
        open_records = [number for number in waiting if number is not None]
        first_open = min([*self._discarded, *open_records], default=self._read + 1)
        state = self._watermark.advance(first_open - 1)
        for name, bookmark in ((state or {}).get("bookmarks") or {}).items():
            if name in self.run.streams:
                self.run.streams[name].bookmark_after = jsontext.plain(bookmark)

    def _write_state_message(self, state: dict[str, Any]) -> None:
        if not self.config["dry_run"]:
            self.write_line(state)

    def write_line(self, value: dict[str, Any]) -> None:
        """Write a line to stdout: a state, or in its place what became of replayed rejects."""
        self._is_writing = True
        try:
            sys.stdout.write(f"{jsontext.dumps(value, exact=True)}\n")
            sys.stdout.flush()
        finally:
            self._is_writing = False
