"""The base of every stream: records are mapped, counted, bounded, bookmarked and accounted for."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.streams import Stream as SDKStream

from tapkit import dates
from tapkit.encoded import EncodedPage
from tapkit.errors import (
    ConfigValidationError,
    FatalAPIError,
    RetriableAPIError,
    RunEnded,
    SkippableAPIError,
)
from tapkit.fields import Field, FieldTable
from tapkit.issues import IssueLog
from tapkit.progress import Progress
from tapkit.status import Status
from tapkit.writer import Writer, encode

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import SchemaMessage

    from tapkit.tap import Tap

__all__ = ["DELETED_AT", "Stream"]

DELETED_AT = Field("_sdc_deleted_at", "datetime", description="When the CRM deleted the record")
"""For streams that learn of deletions."""


class Stream(SDKStream):
    """One stream of a CRM.

    A subclass says what differs: `name`, `primary_keys`, `replication_key`, `fields`, and in
    `pages` how its records are read. A page is a list of records as the CRM gives them, or where
    `is_encoded` an `EncodedPage`.

    The bookmark is the largest replication value that was read. It moves only when everything
    before it was read: at the end, or on the way where `is_sorted`.

    Attributes:
        fields: The field table.
        replace_by: Key columns of a parent: the records of one parent come together, and are all
            that it has. The target removes what is missing (schema keyword `x-replace-by`).
        window: A property with dates, for a stream of which only a part is read again: from
            `status.complete_since` on, the target removes what is missing (keyword `x-window`).
        is_encoded: Whether `pages` gives records that are converted and encoded already. They go
            out as they are, unless the user has them mapped, flattened or put into files.
        endpoint: Where the records come from, for sync_history.
        status: How this run of it is doing.
        is_cut: Whether `max_records` ended it.
    """

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # the field table has done it
    emit_activate_version_messages = False  # the SDK sends it first; ours follows the last record

    fields: Iterable[Field] = ()
    replace_by: ClassVar[tuple[str, ...]] = ()
    window: ClassVar[str] = ""
    is_encoded: bool = False
    endpoint: str | None = None
    tap: Tap

    def __init__(self, tap: Tap, name: str | None = None) -> None:
        super().__init__(tap, name=name)
        self.tap = tap
        skip = bool(self.config.get("skip_validation"))
        mappings = (self.config.get("field_mappings") or {}).get(self.name, {})
        self.table = FieldTable(self.fields).extend(mappings, validate=not skip)
        needed = {*self.primary_keys, *filter(None, [self.replication_key])}
        if missing := needed - self.table.fields.keys():
            what = f"Setting field_mappings may not leave out {', '.join(missing)} of {self.name}."
            raise ConfigValidationError(what, errors=[what])
        self.status = Status(endpoint=self.endpoint)
        self.issues = IssueLog(self.tap.crm_source, self.table, self.primary_keys, self.logger)
        self._high: str | None = None
        self._below: str | None = None
        self.is_cut = False

    @abstractmethod
    def pages(self) -> Iterator[list[Any]] | Iterator[EncodedPage]:
        """Read the records, a page at a time, from `starting_point` on."""

    @property
    def schema(self) -> dict[str, Any]:
        return self.table.schema

    # Where to start, where to end

    def starting_point(self) -> datetime | None:
        """From when on to read: start date, or bookmark minus look-back, or None for everything."""
        if self.replication_method == "FULL_TABLE":
            return None
        if self.tap.start_date is not None:
            return self.tap.start_date
        bookmark = self.bookmark()
        return bookmark - self.look_back if bookmark else None

    @property
    def reads_everything(self) -> bool:
        """Whether this run reads all records, so that the target may remove the others."""
        return self.starting_point() is None

    def bookmark(self) -> datetime | None:
        """The largest replication value of the runs before, if any."""
        value = self.stream_state.get("replication_key_value")
        return dates.parse_datetime(value) if value else None

    @property
    def look_back(self) -> timedelta:
        """How far before the bookmark to start."""
        return self.tap.look_back

    def read_below(self, moment: datetime) -> None:
        """Set the upper bound of what this run reads; the bookmark stays below it."""
        self._below = dates.text(moment)

    def keep_unread(self) -> None:
        """What this run does not read stays: it turned out not to show all that there is."""
        self._stream_version = None

    @property
    def selected_fields(self) -> list[Field]:
        """The columns that the catalog selects; keys always are."""
        return [field for field in self.table if self.mask["properties", field.name]]

    def expect(self, records: int) -> None:
        """Learn how many records there will be."""
        self.status.expected = (self.status.expected or 0) + records

    # The SDK's hooks, in the order in which it calls them

    def get_replication_key_signpost(self, context: Context | None = None) -> None:  # noqa: ARG002
        return None  # `read_below` bounds the bookmark

    def _write_schema_message(self) -> None:
        self.tap.statuses[self.name] = self.status
        self.state_manager.is_flushed = False
        self._write_state_message()
        super()._write_schema_message()

    def _generate_schema_messages(self) -> Generator[SchemaMessage, None, None]:
        for message in super()._generate_schema_messages():
            if self.replace_by:
                message.schema = {**message.schema, "x-replace-by": list(self.replace_by)}
            if self.window:
                message.schema = {**message.schema, "x-window": self.window}
            yield message

    def _write_starting_replication_value(self, context: Context | None) -> None:
        """Leave the state as it is: `starting_point` derives the start."""

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        batches = self.get_batch_config(self.config) is not None  # whose records have no version
        whole = self.reads_everything and not batches
        self._stream_version = self._initialized_at if whole else None
        self._prepare_writing()
        calls = self.tap.api_calls
        direct = self.is_encoded and self._lean and write_messages
        try:
            if direct and self.ABORT_AT_RECORD_COUNT is None:
                self._write_pages()
            else:
                for record in super()._sync_records(context, write_messages=write_messages):
                    self.status.extracted += 1
                    yield record
            self.status.finish(self.tap.api_calls - calls)
        except (FatalAPIError, RetriableAPIError, SkippableAPIError) as error:
            self.status.fail(str(error), self.tap.api_calls - calls)
            self.logger.error("%s %s failed: %s", self.tap.crm_source, self.name, error)  # noqa: TRY400
            self.state_manager.is_flushed = False
            if isinstance(error, RunEnded):
                self._write_state_message()
                raise
        finally:
            self.issues.summarize()

    def get_records(self, context: Context | None) -> Iterator[Any]:  # noqa: ARG002
        for page in self._bounded_pages():
            yield from page.records() if isinstance(page, EncodedPage) else page

    def _bounded_pages(self) -> Iterator[list[Any] | EncodedPage]:
        """The pages, as far as `max_records` lets them through."""
        limit: int = self.config.get("max_records") or 0
        read = 0
        with Progress(f"{self.tap.crm_source} {self.name}") as progress:
            for page in self._checked_pages():
                self._extracted_at = encode(dates.text(dates.now()))
                progress.expect(self.status.expected)
                room = max(limit - read, 0) if limit else len(page)
                self.is_cut = len(page) > room
                if self.is_cut and self.replace_by and room:
                    room = len(page)  # the records of one parent are never parted
                part = page[:room]
                if isinstance(part, EncodedPage):
                    for issues, keys in part.issues.values():
                        self._report(issues, keys)
                yield part
                read += len(part)
                progress.advance(len(part))
                if self.is_cut:
                    self.logger.warning("Stopped %s at max_records=%d", self.name, limit)
                    return

    def _write_pages(self) -> None:
        """Write the records of encoded pages: a page costs about what one record does otherwise."""
        unsaid = 0
        with self.get_record_counter() as counter, self.get_sync_timer():
            for page in self._bounded_pages():
                if not isinstance(page, EncodedPage):
                    raise TypeError(f"Stream {self.name} gives a page that is not encoded")
                if page:
                    end = b"".join((self._version, self._extracted_at, b"}\n"))
                    lines = (end + self._prefix).join(page.lines)
                    self._writer.write_line(b"".join((self._prefix, lines, end)))
                    self.state_manager.is_flushed = False
                    self.status.extracted += len(page)
                    counter.increment(len(page))
                self._raise_high(page.high)
                unsaid += len(page)
                if unsaid >= self.STATE_MSG_FREQUENCY:
                    unsaid = 0
                    self._write_state_message()
        self._write_state_message()

    def _checked_pages(self) -> Iterator[list[Any] | EncodedPage]:
        """The pages; an answer that lacks what it must have fails the stream, not the run."""
        try:
            for page in self.pages():
                _ = len(page)
                yield page
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            msg = f"The API's answer has an unexpected form ({type(error).__name__} in {where})"
            raise FatalAPIError(msg) from error

    def post_process(self, row: Any, context: Context | None = None) -> Record | None:  # noqa: ARG002
        if self.is_encoded:
            return cast("Record", row)
        record, issues = self.table.convert(row)
        if issues:
            self._report(issues, record)
        for name in self._deselected:
            record.pop(name, None)
        return record

    def _write_record_message(self, record: Record) -> None:
        if not self._lean:
            super()._write_record_message(record)
            return
        line = b"".join(
            (self._prefix, encode(record), self._version, self._extracted_at, b"}\n"),
        )
        self._writer.write_line(line)
        self.state_manager.is_flushed = False

    def _increment_stream_state(
        self,
        latest_record: Record,
        *,
        context: Context | None = None,  # noqa: ARG002
    ) -> None:
        if self.replication_key:
            self._raise_high(latest_record.get(self.replication_key))

    def _raise_high(self, value: str | None) -> None:
        if value is None or (self._below and value >= self._below):
            return
        if self._high is None or value > self._high:
            self._high = value
            if self.is_sorted:
                self._move_bookmark()

    def _finalize_state(self, state: dict[str, Any] | None = None) -> None:
        """Leave the state as it is: `finalize_state_progress_markers` moves the bookmark."""

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Close the stream; the SDK calls this after the stream's last message."""
        if self.status.status == "success" and not self.is_cut:
            if self._stream_version:
                self._write_activate_version_message(self._stream_version)
            if self.replication_key:
                self._move_bookmark()
        self.state_manager.is_flushed = False
        self._write_state_message()

    # Inside

    def _report(self, issues: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        self.status.warnings += len(issues)
        self.issues.report(issues, record)

    def _move_bookmark(self) -> None:
        """Move the bookmark to the largest value read, never back and never over a gap."""
        bookmark, start = self.bookmark(), self.starting_point()
        if self._high is None or (bookmark and start and start > bookmark):
            return
        if bookmark is None or self._high > dates.text(bookmark):
            self.stream_state["replication_key"] = self.replication_key
            self.stream_state["replication_key_value"] = self._high

    def _prepare_writing(self) -> None:
        """Find out whether records can be written without the SDK's mapping, and prepare that."""
        writer = self.tap.message_writer
        maps = self.stream_maps
        self._lean = (
            isinstance(writer, Writer)
            and len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not self.config.get("flattening_enabled")
        )
        if isinstance(writer, Writer):
            self._writer = writer
        self._deselected = [
            name for name in self.schema["properties"] if not self.mask["properties", name]
        ]
        version = b'"version":%d,' % self._stream_version if self._stream_version else b""
        self._prefix = b'{"type":"RECORD","stream":%s,"record":' % encode(self.name)
        self._version = b"," + version + b'"time_extracted":'
        self._extracted_at = encode(dates.text(dates.now()))
