"""Reads Singer messages; a record stays as it is in its message until its batch is loaded."""

from __future__ import annotations

import os
import select
import sys
from collections import Counter
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from target_warehouse.errors import BadInputError
from target_warehouse.jsontext import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Reader", "RecordMessage"]

_CHUNK: Final = 1 << 20
_PAUSE: Final = 1.0  # seconds


class RecordMessage(msgspec.Struct, tag_field="type", tag="RECORD", gc=False):
    """A RECORD message.

    Attributes:
        stream: Name of the stream.
        record: The record as it stands in the message; parsed where it could be read no other way.
        version: Of the table, for full reads.
        time_extracted: When it was read from the source.
    """

    stream: str
    record: msgspec.Raw
    version: int | None = None
    time_extracted: str | None = None


_decoder: Final = msgspec.json.Decoder(RecordMessage)


class Reader(GenericSingerReader[bytes]):
    """Reader of the target's input.

    Attributes:
        running: Surrounds the reading.
        on_records: Called with records that came one after the other, of any streams, and how many
            bytes they are together.
        on_pause: Called before each wait for input, and at least once a second.
    """

    running: Callable[[], AbstractContextManager[None]] = nullcontext
    on_records: Callable[[Sequence[RecordMessage], int], None] = staticmethod(lambda *_: None)
    on_pause: Callable[[], None] = staticmethod(lambda: None)

    @property
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        try:
            message = loads(line)
        except RecursionError:
            raise BadInputError("A line of the input is nested too deeply") from None
        except ValueError as error:
            raise BadInputError(
                f"A line of the input is not JSON: {type(error).__name__}"
            ) from None
        if not isinstance(message, dict):
            raise BadInputError("A line of the input is not a Singer message")
        return message

    @staticmethod
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        if missing := requires - line_dict.keys():
            raise BadInputError(
                f"A {line_dict.get('type', 'Singer')} message lacks {', '.join(sorted(missing))}"
            )

    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[Any], None]]
    ) -> Counter[str]:
        self._counts = Counter[str]()
        with self.running():
            for chunk in self._chunks(file_input):
                try:
                    records = _decoder.decode_lines(chunk)
                except (msgspec.MsgspecError, RecursionError):  # noqa: PERF203 - a chunk is large
                    self._process_lines(chunk.split(b"\n"), callbacks)
                else:
                    self._hand_on(records, len(chunk))
        return self._counts

    def _process_lines(
        self, lines: Iterable[bytes], callbacks: dict[str, Callable[[Any], None]]
    ) -> None:
        """Process lines among which there are other things than ordinary records."""
        records: list[RecordMessage] = []
        size = 0
        for line in lines:
            try:
                records.append(_decoder.decode(line))
                size += len(line)
            except (msgspec.MsgspecError, RecursionError):  # noqa: PERF203 - the unusual ones
                self._hand_on(records, size)
                records, size = [], 0
                if line.strip():
                    self._process(line, callbacks)
        self._hand_on(records, size)

    def _hand_on(self, records: Sequence[RecordMessage], size: int) -> None:
        if records:
            self.on_records(records, size)
            self._counts["RECORD"] += len(records)

    def _process(self, line: bytes, callbacks: dict[str, Callable[[Any], None]]) -> None:
        message = self.deserialize_json(line)
        self.assert_line_requires(message, {"type"})
        kind = message["type"]
        if kind not in callbacks:
            raise BadInputError("A line of the input has an unknown message type")
        if kind == "RECORD":
            self.assert_line_requires(message, {"stream", "record"})
            record = RecordMessage(
                message["stream"],
                message["record"],  # not checked by msgspec, and told apart by the encoder
                message.get("version"),
                message.get("time_extracted"),
            )
            self._hand_on([record], len(line))
        else:
            callbacks[kind](message)
            self._counts[kind] += 1

    def _chunks(self, file_input: IO[Any] | None) -> Iterator[bytes]:
        """Yield whole lines, many at once, the last one without its line feed."""
        if file_input is not None:
            while read := file_input.readlines(_CHUNK):  # texts, where the SDK has opened it
                yield b"".join([x.encode() if isinstance(x, str) else x for x in read])
            return
        descriptor = sys.stdin.fileno()
        parts: list[bytes] = []
        while True:
            self.on_pause()
            if not select.select([descriptor], [], [], _PAUSE)[0]:
                continue
            if not (chunk := os.read(descriptor, _CHUNK)):
                break
            lines, feed, rest = chunk.rpartition(b"\n")
            if feed:
                yield b"".join([*parts, lines])
                parts = []
            parts.append(rest)
        yield b"".join(parts)
