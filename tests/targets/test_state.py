"""State is sent for committed records only, never empty, never twice."""

from __future__ import annotations

from target_warehouse.states import Watermark

PROPERTIES = {"id": {"type": "integer"}}


def test_the_watermark_waits_for_every_record_before_a_state():
    sent = []
    watermark = Watermark(sent.append)
    watermark.add(10, {"v": 1})
    watermark.add(20, {"v": 2})
    watermark.add(20, {"v": 3})
    watermark.add(30, {"v": 4})
    watermark.advance(9)
    assert sent == []
    watermark.advance(25)
    assert sent == [{"v": 3}]
    watermark.add(31, {"v": 4})
    watermark.advance(100)
    watermark.advance(100)
    assert sent == [{"v": 3}, {"v": 4}]


def test_what_is_not_state_is_not_sent():
    sent = []
    watermark = Watermark(sent.append)
    for value in ({}, {"bookmarks": {}}, {"sync": {"s": 1}}, {"bookmarks": {}, "sync": {"s": 1}}):
        watermark.add(1, value)
    watermark.add(2, {"bookmarks": {"s": 1}, "sync": {"s": 1}})
    watermark.add(3, {"bookmarks": {"s": 1}, "sync": {"s": 2}})
    watermark.advance(3)
    assert sent == [{"bookmarks": {"s": 1}}]


def test_states_of_interleaved_streams(wh, messages):
    head = [messages.schema("a", PROPERTIES), messages.schema("b", PROPERTIES)]
    states = wh.load(
        *head,
        messages.record("a", id=1),
        messages.state(a=1),
        messages.record("b", id=1),
        messages.state(a=1, b=1),
        messages.record("a", id=2),  # a is full: a's and not b's first record is committed
        messages.state(a=2, b=1),
        messages.record("b", id=2),
        messages.record("b", id=3),
        messages.state(a=2, b=3),
        batch_size_rows=2,
    )
    bookmarks = [state["bookmarks"] for state in states]
    assert bookmarks == [{"a": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 3}]


def test_a_state_goes_out_while_the_input_lasts(wh, messages):
    process = wh.process(batch_max_age=0.1)
    process.stdin.write(
        wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=1), messages.state(s=1))
    )
    process.stdin.flush()
    assert process.stdout.readline() == b'{"bookmarks": {"s": 1}}\n'
    assert wh.table("s") == [{"id": 1}]
    out, _ = process.communicate(timeout=60)
    assert out == b""


def test_states_keep_their_digits_and_form(wh, messages):
    wh.load(
        messages.schema("s", PROPERTIES),
        '{"type": "STATE", "value": {"a": 1.10, "b": 12345678901234567890123, "c": "é", "d": []}}',
    )
    assert wh.states == [{"a": 1.10, "b": 12345678901234567890123, "c": "é", "d": []}]
