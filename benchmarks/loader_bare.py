"""The yardstick: JSON lines into Postgres with as little as it takes.

    python benchmarks/loader_bare.py --config config.json < messages.jsonl

msgspec decodes typed records, COPY fills a temporary table, one INSERT … ON CONFLICT merges it, and
a thread does the latter two. No Singer library, validation, history, state, rejects, retries or
evolution; what does not fit, fails. It believes that no string has a control character below
TAB in it.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg2
from psycopg2 import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 10_000
CHUNK = 256
FIELD, ROW, NULL = "\1", "\2", "\3"
TYPES = {"integer": "bigint", "number": "numeric", "boolean": "boolean", "string": "text"}
FORMATS = {"date-time": "timestamptz", "date": "date"}


class Stream:
    """One stream: how its records are decoded and written as COPY text, and its statements."""

    def __init__(self, schema_name: str, message: dict[str, Any]) -> None:
        """Take what a SCHEMA message says."""
        self.name = message["stream"]
        self.types = {k: column_type(v) for k, v in message["schema"]["properties"].items()}
        texts = {"text", "date", "timestamptz"}
        fields = [
            (f"f{i}", str | None if kind in texts else msgspec.Raw)
            for i, kind in enumerate(self.types.values())
        ]
        renamed = {f"f{i}": name for i, name in enumerate(self.types)}
        record = msgspec.defstruct("Record", fields, rename=renamed, gc=False)
        self.raw = [kind not in texts for kind in self.types.values()]
        self.decode = msgspec.json.Decoder(record).decode
        self.table = sql.Identifier(schema_name, self.name)
        self.staging = sql.Identifier(f"stage_{self.name}")
        self.keys = message["key_properties"]
        self.waiting: list[msgspec.Raw] = []
        self.chunks: list[bytes] = []
        self.rows = 0
        self.created = False

    def add(self, record: msgspec.Raw) -> None:
        """Take a record; a chunk at a time becomes COPY text."""
        self.rows += 1
        self.waiting.append(record)
        if len(self.waiting) == CHUNK:
            self.encode()

    def encode(self) -> None:
        """Encode what waits."""
        if not self.waiting:
            return
        rows = map(msgspec.structs.astuple, map(self.decode, self.waiting))
        columns = map(column_text, zip(*rows, strict=True), self.raw)
        text = ROW.join(map(FIELD.join, zip(*columns, strict=True)))
        text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        self.chunks += text.replace(ROW, "\n").encode(), b"\n"
        self.waiting.clear()

    def take(self) -> bytes:
        """Return what was added, as COPY text."""
        self.encode()
        data = b"".join(self.chunks)
        self.chunks.clear()
        self.rows = 0
        return data

    def load(self, cursor: Any, data: bytes) -> None:
        """Stage and merge a batch."""
        if not self.created:
            self.create(cursor)
        copy = sql.SQL("COPY {} FROM STDIN WITH (DELIMITER {}, NULL {})").format(
            self.staging, sql.Literal(FIELD), sql.Literal(NULL)
        )
        cursor.copy_expert(copy, BytesIO(data), 1 << 20)
        values = [sql.Identifier(name) for name in self.types if name not in self.keys]
        merge = sql.SQL(
            "INSERT INTO {table} AS stored SELECT * FROM {staging} ON CONFLICT ({keys}) DO UPDATE"
            " SET {assigned} WHERE ROW({old}) IS DISTINCT FROM ROW({new})"
        ).format(
            table=self.table,
            staging=self.staging,
            keys=sql.SQL(", ").join(map(sql.Identifier, self.keys)),
            assigned=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(v) for v in values),
            old=sql.SQL(", ").join(sql.SQL("stored.{}").format(v) for v in values),
            new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(v) for v in values),
        )
        cursor.execute(merge)

    def create(self, cursor: Any) -> None:
        """Make the table and the temporary one."""
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in self.types.items()
        )
        keys = sql.SQL(", ").join(map(sql.Identifier, self.keys))
        cursor.execute(
            sql.SQL(
                "CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE IF NOT EXISTS {} ({},"
                " PRIMARY KEY ({})); CREATE TEMP TABLE {} ({}) ON COMMIT DELETE ROWS"
            ).format(
                sql.Identifier(self.table.strings[0]),
                self.table,
                columns,
                keys,
                self.staging,
                columns,
            )
        )
        self.created = True


class Message(msgspec.Struct, gc=False):
    """A Singer message, its record undecoded."""

    type: str
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw(b"")


def column_type(schema: dict[str, Any]) -> str:
    """Return the type of a column."""
    names = schema["type"]
    name = names if isinstance(names, str) else names[0]
    return FORMATS.get(schema.get("format", "")) or TYPES.get(name, "jsonb")


def column_text(values: tuple[Any, ...], raw: bool) -> list[str]:  # noqa: FBT001
    """Return the values of one column of a chunk as COPY reads them, unescaped."""
    if not raw:
        return [NULL if value is None else value for value in values]
    texts = [str(value, "utf-8") for value in values]
    return [NULL if text == "null" else text for text in texts]


def load(connection: Any, stream: Stream, data: bytes) -> None:
    """Load one batch in a transaction."""
    with connection, connection.cursor() as cursor:
        stream.load(cursor, data)


def batches(schema_name: str) -> Iterator[tuple[Stream, bytes]]:
    """Read messages from standard input and yield COPY text."""
    streams: dict[str, Stream] = {}
    decode = msgspec.json.Decoder(Message).decode
    for line in sys.stdin.buffer:
        message = decode(line)
        if message.type == "RECORD":
            stream = streams[message.stream]
            stream.add(message.record)
            if stream.rows == BATCH:
                yield stream, stream.take()
        elif message.type == "SCHEMA":
            streams[message.stream] = Stream(schema_name, msgspec.json.decode(line))
    for stream in streams.values():
        if stream.rows:
            yield stream, stream.take()


def main() -> None:
    """Load standard input, one batch while the next is read."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    config = msgspec.json.decode(parser.parse_args().config.read_bytes())
    connection = psycopg2.connect(config["url"])
    with ThreadPoolExecutor(1) as writer:
        under_way: Future[None] | None = None
        for stream, data in batches(config["schema"]):
            if under_way:
                under_way.result()
            under_way = writer.submit(load, connection, stream, data)
        if under_way:
            under_way.result()
    connection.close()


if __name__ == "__main__":
    main()
