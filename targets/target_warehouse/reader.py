"""Reads Singer messages; a record stays as it is in its message until its batch is loaded."""

from __future__ import annotations

import gc
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
    from collections.abc import Callable, Iterable, Iterator
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
        size: Length of the message in bytes.
    """

    stream: str
    record: msgspec.Raw
    version: int | None = None
    time_extracted: str | None = None
    size: int = 0


class Reader(GenericSingerReader[bytes]):
    """Reader of the target's input.

    Attributes:
        running: Surrounds the reading.
        on_pause: Called before each wait for input, and at least once a second.
    """

    running: Callable[[], AbstractContextManager[None]] = nullcontext
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
        counts: Counter[str] = Counter()
        gc.freeze()  # what was imported stays, and need not be looked through again and again
        with self.running():
            decode = msgspec.json.Decoder(RecordMessage).decode
            on_record = callbacks["RECORD"]
            for line in self._lines(file_input):
                try:
                    message = decode(line)
                except (msgspec.MsgspecError, RecursionError):
                    if line.strip():
                        counts[self._process(line, callbacks)] += 1
                    continue
                message.size = len(line)
                on_record(message)
                counts["RECORD"] += 1
        return counts

    def _process(self, line: bytes, callbacks: dict[str, Callable[[Any], None]]) -> str:
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
                len(line),
            )
            callbacks[kind](record)
        else:
            callbacks[kind](message)
        return str(kind)

    def _lines(self, file_input: IO[bytes] | None) -> Iterable[bytes]:
        return self._standard_input() if file_input is None else file_input

    def _standard_input(self) -> Iterator[bytes]:
        descriptor = sys.stdin.fileno()
        parts: list[bytes] = []
        while True:
            self.on_pause()
            if not select.select([descriptor], [], [], _PAUSE)[0]:
                continue
            if not (chunk := os.read(descriptor, _CHUNK)):
                break
            *lines, rest = chunk.split(b"\n")
            if lines:
                yield b"".join([*parts, lines[0]])
                yield from lines[1:]
                parts = []
            parts.append(rest)
        yield b"".join(parts)
