"""BATCH files of format parquet: exact, and through the same path as every record."""

from __future__ import annotations

import gzip
import sys
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

PROPERTIES: dict[str, Any] = {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}


def written(path, **columns):
    table = pa.table({name: pa.array(*column) for name, column in columns.items()})
    parquet.write_table(table, path, row_group_size=2)
    return {"type": "BATCH", "stream": "s", "encoding": {"format": "parquet"},
            "manifest": [path.as_uri()]}  # fmt: skip


def test_parquet_batches_are_exact(wh, messages, tmp_path):
    utc = timezone.utc
    text, number = {"type": ["string", "null"]}, {"type": ["number", "null"]}
    moment = {"type": ["string", "null"], "format": "date-time"}
    exact = Decimal("12345678901234567890.123456789012345678")
    noon = datetime(2024, 1, 1, 12, 0, 0, 123456)  # noqa: DTZ001
    columns = {
        # column: schema, type, two values, two values as stored
        "id": ({"type": "integer"}, pa.int64(), [1, 2**62], [1, 2**62]),
        "decimal": (number, pa.decimal128(38, 18), [exact, None], [exact, None]),
        "wide": (number, pa.decimal256(60, 0), [Decimal(10**59), -1], [10**59, -1]),
        "double": (number, pa.float64(), [0.1, float("nan")], [Decimal("0.1"), None]),
        "unsigned": ({"type": "integer"}, pa.uint64(), [2**64 - 1, 0], [2**64 - 1, 0]),
        "flag": ({"type": "boolean"}, pa.bool_(), [True, False], [True, False]),
        "text": (text, pa.dictionary(pa.int8(), pa.string()), ["é\n", ""], ["é\n", ""]),
        "bytes": (text | {"contentEncoding": "base64"}, pa.binary(), [b"\0\xff", b""],
                  [b"\0\xff", b""]),
        "hex": (text | {"contentEncoding": "base16"}, pa.large_binary(), [b"\0\xff", None],
                [b"\0\xff", None]),
        "raw": (text, pa.binary(2), ["é".encode(), b"\xff0"], ["é", r"\xff0"]),
        "zoned": (moment, pa.timestamp("us", "+05:00"), [noon.replace(tzinfo=utc), None],
                  [noon.replace(tzinfo=utc), None]),
        "local": (moment, pa.timestamp("ns"), [noon, None], [noon.replace(tzinfo=utc), None]),
        "far": (moment, pa.timestamp("s"), [0, 575046864000],
                [datetime(1970, 1, 1, tzinfo=utc), None]),
        "day": (text | {"format": "date"}, pa.date32(), [noon.date(), None], [noon.date(), None]),
        "hour": (text | {"format": "time"}, pa.time64("ns"), [noon.time(), None],
                 [noon.time(), None]),
        "nested": ({"type": ["object", "null"]}, pa.struct([("d", pa.decimal128(4, 2))]),
                   [{"d": Decimal("1.50")}, None], [{"d": 1.5}, None]),
        "list": ({"type": ["array", "null"]}, pa.list_(pa.int32()), [[1, None], []],
                 [[1, None], []]),
        "map": ({"type": ["object", "null"]}, pa.map_(pa.string(), pa.int8()), [{"a": 1}, None],
                [{"a": 1}, None]),
    }  # fmt: skip
    batch = written(tmp_path / "part", **{name: (it[2], it[1]) for name, it in columns.items()})
    zipped = gzip.compress((tmp_path / "part").read_bytes())
    for packed in (False, True):
        if packed:
            (tmp_path / "part").write_bytes(zipped)
        head = messages.schema("s", {name: it[0] for name, it in columns.items()})
        wh.load(head, batch, messages.state(s=1))
    rows = [
        {k: bytes(v) if isinstance(v, memoryview) else v for k, v in row.items()}
        for row in wh.table("s")
    ]
    assert rows[1].pop("double").is_nan()
    expected = [{name: it[3][i] for name, it in columns.items()} for i in (0, 1)]
    del expected[1]["double"]
    assert rows == expected
    assert wh.issues("s").keys() == {2**62}
    assert wh.issues("s")[2**62]["far"]["value"].startswith("20192-")
    assert wh.query("SELECT nested::text FROM crm.s")[0] == {"nested": '{"d": 1.50}'}
    assert wh.counts() == [("s", "success", 2, 0, 0, 0, 0, 0), ("s", "success", 0, 0, 2, 0, 0, 0)]


def test_parquet_batches_take_the_same_path(wh, messages, tmp_path):
    batch = written(tmp_path / "part", id=([None, *range(2500), 0],), v=([*["a"] * 2501, "b"],),
                    extra=([1] * 2502,))  # fmt: skip
    states = wh.load(messages.schema("s", PROPERTIES), batch, messages.state(s=1))
    assert wh.table("s") == [{"id": i, "v": "a" if i else "b"} for i in range(2500)]
    assert wh.counts() == [("s", "partial", 2500, 0, 0, 1, 1, 0)]
    assert states == [{"bookmarks": {"s": 1}}]


def test_parquet_that_cannot_be_read(wh, messages, tmp_path, monkeypatch):
    batch = written(tmp_path / "part", id=([1],))
    (tmp_path / "part").write_bytes(b"secret")
    with pytest.raises(Exception, match="A parquet file cannot be read: ArrowInvalid"):
        wh.load(messages.schema("s", PROPERTIES), batch)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Exception, match=r"install crm-warehouse\[parquet\]"):
        wh.load(messages.schema("s", PROPERTIES), batch)
    batch["encoding"]["format"] = "xlsx"
    with pytest.raises(Exception, match="BATCH files of format xlsx cannot be read"):
        wh.load(messages.schema("s", PROPERTIES), batch)
