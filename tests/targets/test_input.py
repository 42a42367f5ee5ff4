"""The input: BATCH files, stream maps, flattening, and what is not Singer."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest

PROPERTIES: dict[str, Any] = {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_batch_files_take_the_same_path(wh, messages, tmp_path, compression):
    opened = gzip.open if compression == "gzip" else open
    for part in (0, 1):
        with opened(tmp_path / f"part-{part}", "wt") as file:
            for i in range(part * 50, part * 50 + 50):
                file.write(json.dumps({"id": i, "v": None if i == 7 else str(i)}) + "\n")
            file.write('{"id": "bad"}\n{"id": 3, "v": "again"}\n')
    batch = {
        "type": "BATCH",
        "stream": "s",
        "encoding": {"format": "jsonl", "compression": compression},
        "manifest": [(tmp_path / f"part-{part}").as_uri() for part in (0, 1)],
    }
    states = wh.load(messages.schema("s", PROPERTIES), batch, messages.state(s=1),
                     batch_size_rows=60)  # fmt: skip
    rows = {row["id"]: row["v"] for row in wh.table("s")}
    assert rows == {i: None if i == 7 else str(i) for i in range(100)} | {3: "again"}
    # The first "again" replaces record 3 within its batch, the second one changes nothing.
    assert wh.counts() == [("s", "partial", 100, 0, 1, 1, 2, 0)]
    assert states == [{"bookmarks": {"s": 1}}]


def test_a_batch_has_a_version(wh, messages, tmp_path):
    (tmp_path / "part").write_text('{"id": 2}\n')
    batch = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"},
             "manifest": [(tmp_path / "part").as_uri()], "version": 2}  # fmt: skip
    activate = {"type": "ACTIVATE_VERSION", "stream": "s", "version": 2}
    head = messages.schema("s", PROPERTIES)
    wh.load(head, messages.record("s", id=1), messages.record("s", id=2))
    wh.load(head, batch, activate, hard_delete=True)
    assert [row["id"] for row in wh.table("s")] == [2]


def test_long_lines_of_batch_files_do_not_pile_up(wh, messages, tmp_path):
    with (tmp_path / "part").open("w") as file:
        for i in range(60):
            file.write(json.dumps({"id": i, "v": "x" * 100_000}) + "\n")
    batch = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"},
             "manifest": [(tmp_path / "part").as_uri()]}  # fmt: skip
    wh.load(head := messages.schema("s", PROPERTIES))
    tracemalloc.start()
    try:
        wh.load(head, batch, batch_size_bytes=200_000)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert wh.counts()[1] == ("s", "success", 60, 0, 0, 0, 0, 0)


def test_each_stream_counts_with_its_own_bytes(wh, messages):
    """Or long records among short ones of another stream would pile up."""
    wh.load(
        messages.schema("long", PROPERTIES),
        messages.schema("short", PROPERTIES),
        *(
            messages.record(name, id=i, v="x" * length)
            for i in range(100)
            for name, length in (("short", 1), *([("long", 10_000)] if i % 10 == 0 else ()))
        ),
        batch_size_bytes=40_000,
    )
    batches = {
        row["sync_type"]: (row["records_created"], row["performance_metrics"]["batches"])
        for row in wh.history()
    }
    assert batches == {"long": (10, 5), "short": (100, 1)}


def test_a_batch_before_its_schema(wh):
    batch = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": []}
    with pytest.raises(Exception, match="A batch of 's' came before its schema"):
        wh.load(batch)


def test_stream_maps(wh, messages):
    maps = {
        "s": {"__alias__": "people", "name": "v.upper()", "v": None, "__filter__": "id != 2"},
    }
    wh.load(
        messages.schema("s", PROPERTIES),
        *(messages.record("s", id=i, v=f"name {i}") for i in (1, 2, 3)),
        messages.state(s=3),
        stream_maps=maps,
    )
    assert wh.table("people") == [{"id": 1, "name": "NAME 1"}, {"id": 3, "name": "NAME 3"}]
    assert wh.counts() == [("people", "success", 2, 0, 0, 0, 0, 0)]
    assert wh.states == [{"bookmarks": {"s": 3}}]


def test_mapped_numbers_stay_exact(wh, messages):
    properties = {"id": {"type": "integer"}, "n": {"type": "number"}, "o": {"type": "object"}}
    wh.load(
        messages.schema("s", properties),
        '{"type":"RECORD","stream":"s","record":{"id":1,"n":12345678901234567890.123456789,'
        '"o":{"n":1.00000000000000000001}}}',
        stream_maps={"s": {"copy": "n", "__else__": "__NULL__", "id": "id", "n": "n", "o": "o"}},
    )
    (row,) = wh.query("SELECT id, n::text, o::text FROM crm.s")
    assert row == {
        "id": 1,
        "n": "12345678901234567890.123456789",
        "o": '{"n": 1.00000000000000000001}',
    }


def test_a_removed_stream_leaves_nothing(wh, messages):
    wh.load(
        messages.schema("s", PROPERTIES),
        messages.schema("t", PROPERTIES),
        messages.record("s", id=1),
        messages.record("t", id=1),
        stream_maps={"t": None},
    )
    assert wh.query("SELECT tablename FROM pg_tables WHERE schemaname = 'crm'") == [
        {"tablename": "s"}
    ]
    assert [row["sync_type"] for row in wh.history()] == ["s"]


def test_flattening(wh, messages):
    nested = {"type": "object", "properties": {"city": {"type": "string"}}}
    wh.load(
        messages.schema("s", PROPERTIES | {"address": nested}),
        messages.record("s", id=1, address={"city": "Rome"}),
        flattening_enabled=True,
        flattening_max_depth=1,
    )
    assert wh.table("s") == [{"id": 1, "v": None, "address__city": "Rome"}]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"type": "RECORD", "stream": "s"}', "A RECORD message lacks record"),
        ('{"type": "RECORD", "stream": "s", "record": {"v": "secret', "is not JSON"),
        (
            '{"type": "RECORD", "stream": "s", "record": {"v": %s}}' % ("[" * 9**5 + "]" * 9**5),
            "nested too deeply",
        ),
        ('["secret"]', "is not a Singer message"),
        ('{"type": "WISH"}', "an unknown message type"),
        ('{"stream": "s"}', "A Singer message lacks type"),
        ('{"type": "SCHEMA", "stream": "t", "schema": {"type": "object"}}', "lacks properties"),
        ('{"type": "SCHEMA", "stream": "t", "schema": {"properties": {"a": {"type": 5}}}}', "t: "),
        ('{"type": "SCHEMA", "stream": "t", "schema": {"properties": {}}, "key_properties": ["i"]}',
         "The key of stream t is not in its schema"),
    ],
)  # fmt: skip
def test_what_is_not_singer_fails_the_run(wh, messages, line, complaint, caplog):
    with pytest.raises(Exception, match=complaint) as failure:
        wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1), line)
    assert wh.history()[0]["status"] == "failed"
    assert "secret" not in str(failure.value)
    assert "secret" not in caplog.text


def test_blank_lines_and_a_missing_last_newline_do_no_harm(wh, messages):
    process = wh.process()
    lines = wh.lines(messages.schema("s", PROPERTIES), "", messages.record("s", id=1), "  ")
    last = json.dumps(messages.record("s", id=2)).encode()
    _, errors = process.communicate(lines + last, timeout=60)
    assert process.returncode == 0, errors
    assert [row["id"] for row in wh.table("s")] == [1, 2]


def test_records_longer_than_a_pipe(wh, messages):
    process = wh.process()
    long = [messages.record("s", id=i, v=str(i) * 300_000) for i in range(5)]
    _, errors = process.communicate(wh.lines(messages.schema("s", PROPERTIES), *long), timeout=60)
    assert process.returncode == 0, errors
    assert [row["v"] for row in wh.table("s")] == [str(i) * 300_000 for i in range(5)]


def test_an_identical_schema_again_changes_nothing(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(*(m for i in range(10) for m in (head, messages.record("s", id=i))))
    assert len(wh.table("s")) == 10
    assert wh.history()[0]["performance_metrics"]["batches"] == 1


def test_no_input_at_all(wh):
    assert wh.load() == []
    assert wh.history() == []
