"""Records in, rows out: what is written, what is left alone, what is counted."""

from __future__ import annotations

from typing import Any

import pytest

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "name": {"type": ["string", "null"]},
    "changed_at": {"type": ["string", "null"], "format": "date-time"},
}


def test_a_second_run_writes_nothing(wh, messages):
    contacts = [
        messages.schema("contacts", PROPERTIES),
        messages.record("contacts", id=1, name="Ada"),
        messages.record("contacts", id=2, name=None),
    ]
    wh.load(*contacts)
    first = wh.query("SELECT xmin::text, * FROM crm.contacts ORDER BY id")
    wh.load(*contacts)

    assert wh.table("contacts") == [
        {"id": 1, "name": "Ada", "changed_at": None},
        {"id": 2, "name": None, "changed_at": None},
    ]
    assert wh.query("SELECT xmin::text, * FROM crm.contacts ORDER BY id") == first
    assert wh.counts() == [
        ("contacts", "success", 2, 0, 0, 0, 0, 0),
        ("contacts", "success", 0, 0, 2, 0, 0, 0),
    ]


def test_a_first_load_leaves_no_dead_rows_and_no_other_table(wh, messages):
    records = [messages.record("contacts", id=i % 90) for i in range(100)]
    wh.load(messages.schema("contacts", PROPERTIES), *records, batch_size_rows=100)

    def written():
        (row,) = wh.query("SELECT n_tup_ins AS created, n_tup_upd AS updated, n_dead_tup AS dead"
                          " FROM pg_stat_user_tables WHERE relname = 'contacts'")  # fmt: skip
        return row

    wh.wait_for(lambda: written()["created"])  # the server counts after a while
    assert written() == {"created": 90, "updated": 0, "dead": 0}
    names = wh.query("SELECT relname FROM pg_stat_user_tables ORDER BY 1")
    assert [r["relname"] for r in names] == [
        "contacts", "sync_history", "sync_reject_schemas", "sync_rejects"
    ]  # fmt: skip


def test_changed_rows_are_updated_and_dated(wh, messages):
    head = messages.schema("contacts", PROPERTIES)
    wh.load(head, *(messages.record("contacts", id=i, name="old") for i in (1, 2)))
    before = {row["id"]: row for row in wh.table("contacts", bookkeeping=True)}
    wh.load(head, messages.record("contacts", id=1, name="new"), messages.record("contacts", id=3))
    after = {row["id"]: row for row in wh.table("contacts", bookkeeping=True)}

    assert [row["name"] for row in after.values()] == ["new", "old", None]
    assert after[1]["sync_created_at"] == before[1]["sync_created_at"]
    assert after[1]["sync_updated_at"] > before[1]["sync_updated_at"]
    assert after[2] == before[2]
    assert wh.counts()[1] == ("contacts", "success", 1, 1, 0, 0, 0, 0)


def test_the_last_record_of_a_key_wins_within_a_batch(wh, messages):
    wh.load(
        messages.schema("contacts", PROPERTIES),
        *(messages.record("contacts", id=1, name=name) for name in ("a", "b", "c")),
        messages.record("contacts", id=2, name="d"),
    )
    assert [row["name"] for row in wh.table("contacts")] == ["c", "d"]
    assert wh.counts() == [("contacts", "success", 2, 0, 0, 2, 0, 0)]


def test_equal_keys_that_look_different_are_told_by_postgres(wh, messages):
    wh.load(
        messages.schema("n", {"id": {"type": "number"}, "v": {"type": "string"}}),
        '{"type": "RECORD", "stream": "n", "record": {"id": 1, "v": "a"}}',
        '{"type": "RECORD", "stream": "n", "record": {"id": 1.0, "v": "b"}}',
    )
    assert [row["v"] for row in wh.table("n")] == ["b"]
    assert wh.counts() == [("n", "success", 1, 0, 0, 1, 0, 0)]


@pytest.mark.parametrize("batch_size_rows", [1, 100])
def test_older_never_beats_newer(wh, messages, batch_size_rows):
    head = messages.schema("contacts", PROPERTIES, bookmark_properties=["changed_at"])
    wh.load(
        head,
        messages.record("contacts", id=1, name="new", changed_at="2024-02-01T00:00:00Z"),
        messages.record("contacts", id=1, name="old", changed_at="2024-01-01T00:00:00Z"),
        messages.record("contacts", id=2, name="first", changed_at="2024-01-01T02:00:00+02:00"),
        messages.record("contacts", id=2, name="equal", changed_at="2024-01-01T00:00:00Z"),
        batch_size_rows=batch_size_rows,
    )
    assert [row["name"] for row in wh.table("contacts")] == ["new", "equal"]

    wh.load(
        head,
        messages.record("contacts", id=1, name="old", changed_at="2024-01-01T00:00:00Z"),
        force=True,
    )
    assert [row["name"] for row in wh.table("contacts")] == ["old", "equal"]
    assert wh.counts()[1] == ("contacts", "success", 0, 1, 0, 0, 0, 0)
    assert wh.history()[1]["configuration"]["mode"] == "force"


@pytest.mark.parametrize("batch_size_rows", [1, 100])
def test_a_record_of_unknown_age_is_not_older(wh, messages, batch_size_rows):
    wh.load(
        messages.schema("contacts", PROPERTIES, bookmark_properties=["changed_at"]),
        messages.record("contacts", id=1, name="dated", changed_at="2024-02-01T00:00:00Z"),
        messages.record("contacts", id=1, name="undated"),
        messages.record("contacts", id=2, name="undated"),
        messages.record("contacts", id=2, name="new", changed_at="2024-02-01T00:00:00Z"),
        messages.record("contacts", id=2, name="old", changed_at="2024-01-01T00:00:00Z"),
        batch_size_rows=batch_size_rows,
    )
    assert [row["name"] for row in wh.table("contacts")] == ["undated", "new"]


def test_force_writes_every_row(wh, messages):
    contacts = [messages.schema("contacts", PROPERTIES), messages.record("contacts", id=1)]
    wh.load(*contacts)
    wh.load(*contacts, force=True)
    assert wh.counts()[1] == ("contacts", "success", 0, 1, 0, 0, 0, 0)


def test_text_is_no_bookmark_to_compare(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}, "v": {"type": "string"}},
                           bookmark_properties=["v"])  # fmt: skip
    wh.load(head, messages.record("s", id=1, v="99"))
    wh.load(head, messages.record("s", id=1, v="100"))
    assert wh.table("s") == [{"id": 1, "v": "100"}]


def test_streams_without_a_key_are_appended(wh, messages):
    events = [
        messages.schema("events", {"what": {"type": "string"}}, keys=()),
        messages.record("events", what="a"),
        messages.record("events", what="a"),
    ]
    wh.load(*events)
    wh.load(*events)
    assert wh.table("events") == [{"what": "a"}] * 4
    assert wh.counts() == [("events", "success", 2, 0, 0, 0, 0, 0)] * 2


def test_append_only_ignores_the_key(wh, messages):
    contacts = [messages.schema("contacts", PROPERTIES), messages.record("contacts", id=1)]
    wh.load(*contacts, load_method="append-only")
    wh.load(*contacts, load_method="append-only")
    assert [row["id"] for row in wh.table("contacts")] == [1, 1]


def test_append_only_refuses_a_table_with_a_key(wh, messages):
    contacts = [messages.schema("contacts", PROPERTIES), messages.record("contacts", id=1)]
    wh.load(*contacts)
    with pytest.raises(Exception, match="has a key, but rows shall be appended"):
        wh.load(*contacts, load_method="append-only")


def test_overwrite_leaves_only_what_came(wh, messages):
    head = messages.schema("contacts", PROPERTIES, bookmark_properties=["changed_at"])
    wh.load(head, *(messages.record("contacts", id=i, name="x") for i in (1, 2, 3)))
    wh.query("CREATE VIEW names AS SELECT name FROM crm.contacts")
    wh.load(
        head,
        messages.record("contacts", id=1, name="x"),
        messages.record("contacts", id=4, name="y"),
        load_method="overwrite",
    )
    assert [row["id"] for row in wh.table("contacts")] == [1, 4]
    assert wh.counts()[1] == ("contacts", "success", 1, 0, 1, 0, 0, 2)
    assert wh.query("SELECT name FROM names ORDER BY 1") == [{"name": "x"}, {"name": "y"}]


def test_a_table_of_keys_alone(wh, messages):
    links = [
        messages.schema("links", {"a": {"type": "integer"}, "b": {"type": "string"}}, ("a", "b")),
        messages.record("links", a=1, b="x"),
    ]
    wh.load(*links)
    wh.load(*links, messages.record("links", a=1, b="y"))
    assert wh.table("links") == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}]
    assert wh.counts()[1] == ("links", "success", 1, 0, 1, 0, 0, 0)


def test_an_empty_stream_has_its_table(wh, messages):
    wh.load(messages.schema("contacts", PROPERTIES))
    assert wh.table("contacts") == []
    assert wh.counts() == [("contacts", "success", 0, 0, 0, 0, 0, 0)]


def test_several_streams_interleaved(wh, messages):
    streams = ["a", "b", "c"]
    wh.load(
        *(messages.schema(s, {"id": {"type": "integer"}}) for s in streams),
        *(messages.record(s, id=i) for i in range(25) for s in streams),
        batch_size_rows=10,
    )
    for stream in streams:
        assert [row["id"] for row in wh.table(stream)] == list(range(25))
    assert [row["performance_metrics"]["batches"] for row in wh.history()] == [3, 3, 3]


def test_batches_are_bounded_in_bytes_too(wh, messages):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "v": {"type": "string"}}),
        *(messages.record("s", id=i, v="x" * 1000) for i in range(20)),
        batch_size_bytes=5_000,
    )
    assert len(wh.table("s")) == 20
    # A batch has half of the bytes, because one is read while the one before is under way.
    assert wh.history()[0]["performance_metrics"]["batches"] == 7


@pytest.mark.parametrize("stream", ['we"ird %s ta-ble', "Order", "ünï", "x" * 80])
def test_the_table_has_the_whole_name_of_the_stream(wh, messages, stream):
    wh.load(
        messages.schema(stream, {'i"d': {"type": "integer"}, "%s": {"type": "string"}}, ('i"d',)),
        messages.record(stream, **{'i"d': 1, "%s": "v"}),
    )
    (name,) = wh.query("SELECT tablename FROM pg_tables WHERE schemaname = 'crm'")
    assert name["tablename"] == stream or (
        len(name["tablename"]) == 63 and name["tablename"].startswith("x" * 54 + "_")
    )
    assert wh.table(name["tablename"]) == [{'i"d': 1, "%s": "v"}]


def test_names_the_target_or_postgres_keeps_get_an_underscore(wh, messages):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "xmin": {"type": "string"},
                              "sync_created_at": {"type": "string"}}),
        messages.record("s", id=1, xmin="a", sync_created_at="b"),
    )  # fmt: skip
    assert wh.table("s") == [{"id": 1, "xmin_": "a", "sync_created_at_": "b"}]


def test_record_metadata(wh, messages):
    contact = messages.record("contacts", id=1) | {
        "time_extracted": "2024-05-01T10:00:00Z",
        "version": 7,
    }
    contacts = [messages.schema("contacts", PROPERTIES), contact]
    wh.load(*contacts, add_record_metadata=True)
    wh.load(*contacts, add_record_metadata=True)

    (row,) = wh.table("contacts")
    assert row["_sdc_extracted_at"].isoformat() == "2024-05-01T10:00:00+00:00"
    assert row["_sdc_table_version"] == 7
    assert row["_sdc_received_at"] <= row["_sdc_batched_at"]
    assert row["_sdc_sequence"] >= row["_sdc_sync_started_at"]
    assert wh.counts()[1] == ("contacts", "success", 0, 0, 1, 0, 0, 0)


def test_the_schema_can_have_another_name(wh, messages):
    wh.load(
        messages.schema("contacts", PROPERTIES),
        messages.record("contacts", id=1),
        default_target_schema="Sales Data",
        history_schema="audit",
    )
    assert len(wh.table("contacts", schema="Sales Data")) == 1
    assert wh.query("SELECT crm_source, status FROM audit.sync_history") == [
        {"crm_source": "crm", "status": "success"}
    ]


def test_meltano_names_the_crm(wh, messages, monkeypatch):
    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-google-sheets")
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1), crm_source=None)
    assert len(wh.table("s", schema="googlesheets")) == 1


def test_without_a_name_the_run_does_not_start(wh, messages):
    with pytest.raises(Exception, match="Set crm_source"):
        wh.load(messages.schema("s", PROPERTIES), crm_source=None)


def test_a_dry_run_leaves_no_trace(wh, messages, caplog):
    caplog.set_level("INFO")
    contacts = [
        messages.schema("contacts", PROPERTIES),
        *(messages.record("contacts", id=i) for i in (1, 2, 2)),
        messages.record("contacts", id=None),
        messages.state(contacts=1),
    ]
    assert wh.load(*contacts, dry_run=True) == []
    assert wh.query("SELECT 1 FROM pg_tables WHERE schemaname IN ('crm', 'public')") == []
    assert "Dry run of crm contacts sync: 2 created, 0 updated, 1 failed" in caplog.text
