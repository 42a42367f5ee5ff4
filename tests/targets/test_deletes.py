"""Rows that are gone from the source: marked, deleted, replaced."""

from __future__ import annotations

from typing import Any

import pytest
from target_warehouse.errors import BadInputError

MOMENT = {"type": ["string", "null"], "format": "date-time"}
PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "name": {"type": ["string", "null"]},
    "at": MOMENT,
    "_sdc_deleted_at": MOMENT,
}
GONE = "2024-03-01T00:00:00Z"


def live(wh, stream="s"):
    return [row["id"] for row in wh.table(stream) if row.get("_sdc_deleted_at") is None]


def test_deleted_records_are_marked(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *(messages.record("s", id=i, name="x") for i in (1, 2)))
    wh.load(head, messages.record("s", id=1, name="x", _sdc_deleted_at=GONE))
    assert live(wh) == [2]
    assert len(wh.table("s")) == 2
    wh.load(head, messages.record("s", id=1, name="x"))
    assert live(wh) == [1, 2]
    assert wh.counts()[1:] == [("s", "success", 0, 1, 0, 0, 0, 0)] * 2


def test_hard_delete_removes_their_rows(wh, messages):
    head = messages.schema("s", PROPERTIES, bookmark_properties=["at"])
    wh.load(head, *(messages.record("s", id=i, at=GONE) for i in (1, 2, 3)), hard_delete=True)
    wh.load(
        head,
        messages.record("s", id=1, at=GONE, _sdc_deleted_at=GONE),
        messages.record("s", id=2, at="2020-01-01T00:00:00Z", _sdc_deleted_at=GONE),  # older
        messages.record("s", id=9, at=GONE, _sdc_deleted_at=GONE),  # unknown
        messages.record("s", id=4, at=GONE),
        messages.record("s", id=4, at=GONE, _sdc_deleted_at=GONE),  # in one batch
        hard_delete=True,
    )
    assert [row["id"] for row in wh.table("s")] == [2, 3]
    assert wh.counts()[1] == ("s", "success", 0, 1, 3, 1, 0, 1)


@pytest.mark.parametrize(("kind", "key"), [("integer", 4), ("number", 4.5), ("string", "four")])
def test_of_records_with_one_key_the_last_one_deletes(wh, messages, kind, key):
    head = messages.schema("s", PROPERTIES | {"id": {"type": kind}})
    deleted = messages.record("s", id=key, at=GONE, _sdc_deleted_at=GONE)
    wh.load(head, messages.record("s", id=key, at=GONE), deleted, hard_delete=True)
    assert wh.table("s") == []
    assert wh.counts() == [("s", "success", 0, 0, 1, 1, 0, 0)]


def versioned(messages, version, *ids, name="x"):
    return [messages.record("s", id=i, name=name) | {"version": version} for i in ids]


def activate(version):
    return {"type": "ACTIVATE_VERSION", "stream": "s", "version": version}


@pytest.mark.parametrize("batch_size_rows", [1, 100])
@pytest.mark.parametrize("hard_delete", [False, True])
@pytest.mark.parametrize("at_the_start", [False, True])
def test_a_complete_read_ends_what_it_does_not_bring(
    wh, messages, batch_size_rows, hard_delete, at_the_start
):
    head = messages.schema("s", PROPERTIES)
    settings = {"batch_size_rows": batch_size_rows, "hard_delete": hard_delete}
    wh.load(head, *versioned(messages, 1, 1, 2, 3), activate(1), **settings)
    before = wh.query("SELECT xmin::text FROM crm.s WHERE id IN (2, 3)")

    if at_the_start:
        wh.load(head, activate(2), *versioned(messages, 2, 2, 3, 4), **settings)
    else:
        wh.load(head, *versioned(messages, 2, 2, 3, 4), activate(2), **settings)

    assert live(wh) == [2, 3, 4]
    assert len(wh.table("s")) == (3 if hard_delete else 4)
    assert wh.counts()[1] == ("s", "success", 1, 0, 2, 0, 0, 1)
    assert wh.query("SELECT xmin::text FROM crm.s WHERE id IN (2, 3)") == before


def test_what_comes_again_is_not_deleted_any_more(wh, messages):
    properties = {k: v for k, v in PROPERTIES.items() if k != "_sdc_deleted_at"}
    head = messages.schema("s", properties)
    wh.load(head, *versioned(messages, 1, 1, 2), activate(1))
    wh.load(head, *versioned(messages, 2, 1), activate(2))
    assert live(wh) == [1]
    wh.load(head, *versioned(messages, 3, 1, 2), activate(3))
    assert live(wh) == [1, 2]
    assert wh.counts()[2] == ("s", "success", 0, 1, 1, 0, 0, 0)


def test_activation_before_the_schema(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *versioned(messages, 1, 1, 2))
    wh.load(activate(2), head, *versioned(messages, 2, 2))
    assert live(wh) == [2]


def test_refused_records_are_not_gone(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *versioned(messages, 1, 1, 2, 3))
    wh.load(head, *versioned(messages, 2, 1), *versioned(messages, 2, 2, name=5), activate(2))
    assert live(wh) == [1, 2]
    assert wh.counts()[1] == ("s", "partial", 0, 0, 1, 0, 1, 1)


def test_an_empty_read_deletes_only_where_the_extractor_says_success(wh, messages, caplog):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *versioned(messages, 1, 1, 2))
    wh.load(head, activate(2))
    assert live(wh) == [1, 2]
    assert "sent a complete read of no records" in caplog.text

    running, success = (messages.state({"s": messages.report(s)}) for s in ("running", "success"))
    wh.load(running, head, activate(3))
    assert live(wh) == [1, 2]
    wh.load(running, head, activate(4), success)
    assert live(wh) == []


def test_activation_can_be_switched_off(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *versioned(messages, 1, 1, 2))
    wh.load(head, *versioned(messages, 2, 1), activate(2), process_activate_version_messages=False)
    assert live(wh) == [1, 2]


def test_complete_reads_without_a_key(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}}, keys=())
    wh.load(head, *(messages.record("s", id=i) | {"version": 1} for i in (1, 2)), activate(1))
    wh.load(
        head,
        *(messages.record("s", id=i) | {"version": 2} for i in (2, 3)),
        activate(2),
        batch_size_rows=1,
    )
    assert live(wh) == [2, 3]
    assert len(wh.table("s")) == 4


LINKS: dict[str, Any] = {
    "from_id": {"type": "string"},
    "to_id": {"type": "string"},
    "label": {"type": ["string", "null"]},
    "_sdc_deleted_at": MOMENT,
}


def links(messages, *pairs, **more):
    return [
        messages.schema("links", LINKS, ("from_id", "to_id"), **{"x-replace-by": ["from_id"]}),
        *(messages.record("links", from_id=a, to_id=b, **more) for a, b in pairs),
    ]


def pairs(wh):
    return [(row["from_id"], row["to_id"]) for row in wh.table("links")]


@pytest.mark.parametrize("batch_size_rows", [1, 2, 3, 100])
def test_child_collections_are_replaced(wh, messages, batch_size_rows):
    settings = {"batch_size_rows": batch_size_rows}
    wh.load(
        *links(messages, ("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("c", "1")), **settings
    )
    wh.load(*links(messages, ("a", "2"), ("a", "3"), ("a", "4"), ("b", "2")), **settings)
    assert sorted(pairs(wh)) == [("a", "2"), ("a", "3"), ("a", "4"), ("b", "2"), ("c", "1")]
    assert wh.counts()[1] == ("links", "success", 2, 0, 2, 0, 0, 2)


def test_an_empty_collection_is_cleared_by_its_marker(wh, messages):
    wh.load(*links(messages, ("a", "1"), ("a", "2"), ("b", "1")))
    wh.load(*links(messages, ("a", ""), _sdc_deleted_at=GONE))
    assert pairs(wh) == [("b", "1")]
    assert wh.counts()[1] == ("links", "success", 0, 0, 1, 0, 0, 2)


def test_a_collection_with_a_refused_record_is_left_as_it_is(wh, messages):
    wh.load(*links(messages, ("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")))
    wh.load(
        *links(messages, ("a", "1"), ("b", "1")), messages.record("links", from_id="a", to_id=5)
    )
    assert sorted(pairs(wh)) == [("a", "1"), ("a", "2"), ("b", "1")]
    assert wh.counts()[1] == ("links", "partial", 0, 0, 2, 0, 1, 1)


def test_half_a_collection_replaces_nothing(wh, messages):
    wh.load(*links(messages, ("a", "1"), ("b", "1"), ("b", "2")))
    states = wh.load(
        messages.state({"links": messages.report("running")}),
        *links(messages, ("a", "9"), ("b", "1")),
        messages.state({"links": messages.report("running")}, links=1),
    )
    assert sorted(pairs(wh)) == [("a", "9"), ("b", "1"), ("b", "2")]
    assert states == []
    assert wh.counts()[1][:2] == ("links", "failed")


def test_a_complete_read_of_collections_deletes_parents_that_are_gone(wh, messages):
    first = [m | {"version": 1} for m in links(messages, ("a", "1"), ("b", "1"))]
    wh.load(*first)
    second = [m | {"version": 2} for m in links(messages, ("a", "1"))]
    wh.load(*second, {"type": "ACTIVATE_VERSION", "stream": "links", "version": 2})
    assert pairs(wh) == [("a", "1")]


def test_the_scope_must_be_part_of_the_key(wh, messages):
    head = messages.schema("links", LINKS, ("from_id",), **{"x-replace-by": ["from_id"]})
    with pytest.raises(Exception, match="is not a part of its key"):
        wh.load(head)


@pytest.mark.parametrize("batch_size_rows", [1, 100])
@pytest.mark.parametrize("hard_delete", [False, True])
def test_a_complete_read_of_a_window_ends_what_it_does_not_bring_of_it(
    wh, messages, batch_size_rows, hard_delete
):
    settings = {"batch_size_rows": batch_size_rows, "hard_delete": hard_delete}
    head = messages.schema("s", PROPERTIES)
    head["schema"]["x-window"] = "at"

    def at(day: int, *ids: int) -> list[dict[str, Any]]:
        moment = f"2024-03-{day:02d}T00:00:00.000000Z"
        return [messages.record("s", id=i, name="x", at=moment) for i in ids]

    def end(status: str = "success", since: int | None = None) -> dict[str, Any]:
        moment = None if since is None else f"2024-03-{since:02d}T00:00:00.000000Z"
        return messages.state({"s": messages.report(status, complete_since=moment)}, s={})

    wh.load(head, *at(1, 1, 2), *at(2, 3, 4), *at(3, 5, 6), end(), **settings)
    wh.load(head, *at(2, 3), *at(3, 5), end(), **settings)  # says nothing of what is missing
    wh.load(head, *at(2, 3), end("failed", 2), **settings)
    messages_off = {"process_activate_version_messages": False}
    wh.load(head, *at(2, 3), end(since=2), **settings, **messages_off)
    assert live(wh) == [1, 2, 3, 4, 5, 6]
    wh.load(head, *at(2, 3), *at(3, 5), end(since=2), **settings)
    assert live(wh) == [1, 2, 3, 5]
    assert len(wh.table("s")) == (4 if hard_delete else 6)
    assert wh.counts()[-1] == ("s", "success", 0, 0, 2, 0, 0, 2)
    assert wh.history()[-1]["configuration"]["complete"] == {
        "property": "at", "since": "2024-03-02T00:00:00.000000Z"
    }  # fmt: skip
    wh.load(head, end(since=3), **settings)  # nothing is left of it
    assert live(wh) == [1, 2, 3]


def test_a_window_has_to_be_in_the_schema(wh, messages):
    head = messages.schema("s", PROPERTIES)
    head["schema"]["x-window"] = "since"
    with pytest.raises(BadInputError, match="x-window of s is not in its schema"):
        wh.load(head)
