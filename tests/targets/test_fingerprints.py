"""Records that are known by their fingerprint, and all that has to make them unknown."""

from __future__ import annotations

import logging

import pytest
from target_warehouse.encoder import Encoder
from target_warehouse.fingerprints import Fingerprints

PROPERTIES = {
    "id": {"type": "integer"},
    "name": {"type": ["string", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
}


@pytest.fixture
def sent(monkeypatch):
    """Return the ids that were encoded, which happens to those that are not known."""
    places = []
    encode = Encoder.encode

    def note(self, items, extras=None, chosen=None, **options):
        places.extend(range(len(items)) if chosen is None else chosen)
        return encode(self, items, extras, chosen, **options)

    monkeypatch.setattr(Encoder, "encode", note)
    return places


def load(wh, messages, records, properties=PROPERTIES, **settings):
    """Load records and return created, updated, unchanged and deduplicated ones."""
    wh.load(
        messages.schema("s", properties, bookmark_properties=["at"]),
        *(messages.record("s", **record) for record in records),
        **{"fingerprints": True, **settings},
    )
    return wh.counts()[-1][2:6]


def people(count=5):
    return [{"id": i, "name": f"n{i}", "at": "2024-01-01T00:00:00Z"} for i in range(count)]


def test_records_that_come_again_are_not_sent(wh, messages, sent):
    assert load(wh, messages, people()) == (5, 0, 0, 0)
    sent.clear()
    stored = wh.table("s", bookkeeping=True)
    assert load(wh, messages, people()) == (0, 0, 5, 0)
    assert sent == []
    assert wh.table("s", bookkeeping=True) == stored


def test_of_many_records_those_that_changed_are_sent(wh, messages, sent):
    load(wh, messages, people(3000), batch_size_rows=1000)
    changed = people(3000)
    for i in (7, 1500, 2999):
        changed[i]["name"] = 'new\n"\\'
    changed.append({"id": 3000, "name": None, "at": None})
    sent.clear()
    assert load(wh, messages, changed, batch_size_rows=1000) == (1, 3, 2997, 0)
    assert sent == [7, 500, 999, 0]
    assert [row["name"] for row in wh.table("s")] == [row["name"] for row in changed]
    sent.clear()
    assert load(wh, messages, changed) == (0, 0, 3001, 0)
    assert sent == []


def test_a_row_that_somebody_has_changed_is_written_again(wh, messages, sent):
    load(wh, messages, people())
    wh.query("UPDATE crm.s SET name = 'other' WHERE id = 2; DELETE FROM crm.s WHERE id = 3")
    wh.query("UPDATE crm.s SET sync_issues = NULL WHERE id = 4")  # what is the same stays
    sent.clear()
    assert load(wh, messages, people()) == (1, 1, 3, 0)
    assert sent == [2, 3, 4]
    assert [row["name"] for row in wh.table("s")] == ["n0", "n1", "n2", "n3", "n4"]


def test_a_column_that_was_dropped_is_filled_again(wh, messages):
    load(wh, messages, people())
    wh.query("ALTER TABLE crm.s DROP COLUMN name")
    assert load(wh, messages, people()) == (0, 5, 0, 0)
    assert [row["name"] for row in wh.table("s")] == ["n0", "n1", "n2", "n3", "n4"]


def test_a_schema_that_says_more_looks_at_all_again(wh, messages, caplog):
    records = [{**record, "more": record["id"]} for record in people()]
    caplog.set_level(logging.WARNING)
    assert load(wh, messages, records) == (5, 0, 0, 0)
    more = {**PROPERTIES, "more": {"type": "integer"}}
    assert load(wh, messages, records, more) == (0, 5, 0, 0)
    assert [row["more"] for row in wh.table("s")] == [0, 1, 2, 3, 4]
    text = {**PROPERTIES, "more": {"type": ["integer", "string"]}}
    assert load(wh, messages, records, text) == (0, 0, 5, 0)
    assert [row["more"] for row in wh.table("s")] == ["0", "1", "2", "3", "4"]


def test_of_records_with_one_key_the_last_one_counts(wh, messages):
    first, last = {"id": 1, "name": "a", "at": None}, {"id": 1, "name": "b", "at": None}
    load(wh, messages, [first])
    assert load(wh, messages, [last, first]) == (0, 0, 1, 1)
    assert load(wh, messages, [first, last]) == (0, 1, 0, 1)
    assert wh.table("s") == [last]


def test_an_older_record_stays_out(wh, messages):
    old = {"id": 1, "name": "old", "at": "2024-01-01T00:00:00Z"}
    new = {"id": 1, "name": "new", "at": "2024-02-01T00:00:00Z"}
    load(wh, messages, [old])
    load(wh, messages, [new])
    assert load(wh, messages, [old]) == (0, 0, 1, 0)
    assert wh.table("s")[0]["name"] == "new"
    assert load(wh, messages, [old], force=True) == (0, 1, 0, 0)
    assert load(wh, messages, [old], force=True) == (0, 1, 0, 0)


def test_issues_are_told_each_time_and_rejects_made(wh, messages):
    records = [{"id": 1, "name": "a\0", "at": "never"}, {"id": 2, "name": 5, "at": None}]
    for _ in range(2):
        load(wh, messages, records)
        assert wh.issues("s")[1].keys() == {"name", "at"}
        assert wh.history()[-1]["performance_metrics"]["validation_warnings"] == 2
    assert [key for _, key, *_ in wh.rejects()] == [{"id": 2}, {"id": 2}]
    assert wh.counts()[1][2:7] == (0, 0, 1, 0, 1)


def test_a_complete_read_deletes_what_is_gone_and_takes_back_what_returns(wh, messages):
    def read(records, version):
        wh.load(
            messages.schema("s", PROPERTIES),
            *(messages.record("s", **record) | {"version": version} for record in records),
            {"type": "ACTIVATE_VERSION", "stream": "s", "version": version},
            fingerprints=True,
        )
        return [row["id"] for row in wh.table("s") if row.get("_sdc_deleted_at") is None]

    assert read(people(), 1) == [0, 1, 2, 3, 4]
    assert read(people(4), 2) == [0, 1, 2, 3]
    assert read(people(), 3) == [0, 1, 2, 3, 4]
    assert wh.counts()[-1][2:] == (0, 1, 4, 0, 0, 0)


def test_a_key_of_several_columns(wh, messages, sent):
    properties = {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "number"}}
    records = [{"a": 'x",\n', "b": 1, "c": 1.5}, {"a": 'x",\n', "b": 2, "c": 1e5}]
    head = messages.schema("s", properties, ("b", "a"))
    lines = [messages.record("s", **record) for record in records]
    wh.load(head, *lines, fingerprints=True)
    sent.clear()
    wh.load(head, *lines, messages.record("s", a="y", b=1, c=0), fingerprints=True)
    assert sent == [2]
    assert wh.counts()[-1][2:6] == (1, 0, 2, 0)


@pytest.mark.parametrize(
    ("key", "schema", "values"),
    [
        ("at", PROPERTIES["at"], ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"]),
        ("n", {"type": "number"}, [1, 1.0]),
        ('i"d', {"type": "integer"}, [1, 1]),
    ],
)
def test_some_keys_have_no_fingerprints(wh, messages, key, schema, values):
    head = messages.schema("s", {key: schema, "name": PROPERTIES["name"]}, (key,))
    for value in values:
        wh.load(head, messages.record("s", **{key: value, "name": str(value)}), fingerprints=True)
    rows = wh.table("s", bookkeeping=True)
    assert len(rows) == 1
    assert rows[0]["name"] == str(values[-1])
    assert "sync_fingerprint" not in rows[0]


def test_where_nothing_is_known_few_are_asked_for(wh, messages, monkeypatch):
    asked = []
    unknown = Fingerprints.unknown
    monkeypatch.setattr(
        Fingerprints,
        "unknown",
        lambda self, cursor, items, hashes: (
            asked.append(len(items)) or unknown(self, cursor, items, hashes)
        ),
    )
    load(wh, messages, people(100), batch_size_rows=10)
    assert asked == []  # an empty table knows nothing
    changed = [{**record, "name": "changed"} for record in people(100)]
    assert load(wh, messages, changed, batch_size_rows=10) == (0, 100, 0, 0)
    assert asked == [10, 10]
    asked.clear()
    assert load(wh, messages, changed, batch_size_rows=10) == (0, 0, 100, 0)
    assert asked == [10] * 10


def test_dry_run_and_turning_them_off(wh, messages, sent):
    load(wh, messages, people())
    stored = wh.table("s", bookkeeping=True)
    sent.clear()
    wh.load(messages.schema("s", PROPERTIES), *(messages.record("s", **r) for r in people()),
            fingerprints=True, dry_run=True)  # fmt: skip
    assert sent == []
    assert load(wh, messages, people(), fingerprints=False) == (0, 0, 5, 0)
    assert wh.table("s", bookkeeping=True) == stored
    other = [{**record, "name": "other"} for record in people()]
    assert load(wh, messages, other, fingerprints=False) == (0, 5, 0, 0)
    assert load(wh, messages, people()) == (0, 5, 0, 0)


def test_a_key_may_outgrow_its_column(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}})
    for numbers in ([1], [1, 2**63, -(2**70)], [1, 2**63, -(2**70)]):
        wh.load(head, *(messages.record("s", id=i) for i in numbers), fingerprints=True)
    assert [row["id"] for row in wh.table("s")] == [-(2**70), 1, 2**63]
    assert [counts[1:5] for counts in wh.counts()] == [
        ("success", 1, 0, 0),
        ("success", 2, 0, 1),
        ("success", 0, 0, 3),
    ]
