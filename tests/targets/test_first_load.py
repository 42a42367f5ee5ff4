"""An empty table takes its rows directly; with the same results as any other."""

from __future__ import annotations

import pytest

PROPERTIES = {
    "id": {"type": "integer"},
    "name": {"type": ["string", "null"]},
    "at": {"type": "string", "format": "date-time"},
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
}
AT = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def direct(statements):
    """Return what tells how many batches went into the table itself."""

    def count():
        return sum(
            "Identifier('crm', 's')" in repr(statement) and "COPY" in repr(statement)
            for statement in statements
        )

    return count


def records(messages, *ids, version=None, **fields):
    more = {} if version is None else {"version": version}
    return [
        messages.record("s", **{"id": i, "name": f"n{i}", "at": AT, "tags": ["a\n", '"'], **fields})
        | more
        for i in ids
    ]


def activate(version):
    return {"type": "ACTIVATE_VERSION", "stream": "s", "version": version}


def ids(wh, condition="true"):
    rows = wh.query(f"SELECT id FROM crm.s WHERE {condition} ORDER BY id")  # noqa: S608 - ours
    return [row["id"] for row in rows]


def test_an_empty_table_is_copied_into(wh, messages, direct):
    head = messages.schema("s", PROPERTIES)
    for size in (7, 100):
        wh.load(head, *records(messages, *range(20)), batch_size_rows=size)
        assert direct() == 3  # of the first load; the second found rows
    assert wh.counts() == [
        ("s", "success", 20, 0, 0, 0, 0, 0),
        ("s", "success", 0, 0, 20, 0, 0, 0),
    ]
    row = {"id": 3, "name": "n3", "tags": ["a\n", '"']}
    assert {name: wh.table("s")[3][name] for name in row} == row
    moments = wh.query(
        "SELECT s.sync_created_at = s.sync_updated_at AS same, sync_issues,"
        " sync_created_at BETWEEN start_time AND end_time AS then"
        " FROM crm.s, sync_history WHERE sync_history.id = 1"
    )
    assert moments == [{"same": True, "sync_issues": None, "then": True}] * 20


def test_the_last_of_several_records_of_a_key_wins_in_whichever_batch(wh, messages, direct):
    head = messages.schema("s", PROPERTIES)
    wh.load(
        head,
        *records(messages, 1, 2, 3, 4),
        *records(messages, 5, 3, 6, 7, name="again"),  # one that the table has
        *records(messages, 8, 8, 9, 1, name="third"),
        batch_size_rows=4,
    )
    assert direct() == 2  # the second was tried
    assert wh.counts() == [("s", "success", 9, 2, 0, 1, 0, 0)]
    names = {1: "third", 2: "n2", 4: "n4", 8: "third", 9: "third"}
    assert {row["id"]: row["name"] for row in wh.table("s")} == {
        i: names.get(i, "again") for i in range(1, 10)
    }


def test_rows_of_the_read_stay_and_others_are_deleted(wh, messages, direct):
    head = messages.schema("s", PROPERTIES)
    settings = {"batch_size_rows": 2}
    wh.load(head, *records(messages, *range(6), version=1), activate(1), **settings)
    assert direct() == 3
    assert (ids(wh, "_sdc_deleted_at IS NULL"), wh.counts()[0][-1]) == ([*range(6)], 0)
    wh.load(head, *records(messages, *range(5), version=2), activate(2), **settings)
    assert (ids(wh, "_sdc_deleted_at IS NULL"), wh.counts()[1][-1]) == ([*range(5)], 1)


@pytest.mark.parametrize("before", [None, 1])
def test_rows_of_another_version_of_the_run_are_deleted(wh, messages, direct, before):
    head = messages.schema("s", PROPERTIES)
    wh.load(
        head,
        *records(messages, 1, 2, 3, version=before),
        *records(messages, 3, 4, 5, version=2),
        *records(messages, 6, version=2),
        activate(2),
        batch_size_rows=2,
    )
    assert direct() == 2
    assert ids(wh, "_sdc_deleted_at IS NULL") == [3, 4, 5, 6]
    assert ids(wh, "_sdc_deleted_at IS NOT NULL") == [1, 2]


def test_a_read_that_comes_upon_its_own_keys_keeps_them_all(wh, messages, direct):
    head = messages.schema("s", PROPERTIES)
    wh.load(
        head,
        *records(messages, 1, 2, 3, 4, version=1),
        *records(messages, 2, 5, version=1, name="again"),
        *records(messages, 6, version=1),
        activate(1),
        batch_size_rows=2,
    )
    assert direct() == 3
    assert ids(wh, "_sdc_deleted_at IS NULL") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE crm.s ALTER sync_created_at DROP DEFAULT",
        "ALTER TABLE crm.s ALTER sync_updated_at SET DEFAULT '2000-01-01'",
        "ALTER TABLE crm.s ADD place bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE crm.s ALTER at TYPE timestamp",
        "ALTER TABLE crm.s ENABLE ROW LEVEL SECURITY",
        "CREATE RULE r AS ON INSERT TO crm.s WHERE NEW.id = 99 DO INSTEAD NOTHING",
    ],
)
def test_tables_that_need_an_insert_get_one(wh, messages, direct, change):
    head = messages.schema("s", PROPERTIES)
    wh.load(head)
    wh.query(change)
    if "RULE" in change:
        with pytest.raises(Exception, match="cannot perform INSERT RETURNING"):
            wh.load(head, *records(messages, 1))
    else:
        wh.load(head, *records(messages, 1, at="2026-01-02T04:04:05+01:00"))
        assert wh.query("SELECT at::timestamptz AT TIME ZONE 'UTC' = '2026-01-02 03:04:05'"
                        " AND sync_updated_at > now() - '1 h'::interval AS same"
                        " FROM crm.s") == [{"same": True}]  # fmt: skip
    assert direct() == 0


def test_numbers_that_need_a_wider_column_and_values_that_are_refused(wh, messages, direct):
    head = messages.schema("s", PROPERTIES | {"n": {"type": ["integer", "null"]}})
    big = 2**70
    wh.load(
        head,
        *records(messages, 1, 2),
        *records(messages, 3, n=big),
        *records(messages, None),
        *records(messages, 5, at="no date"),
        batch_size_rows=2,
    )
    assert direct() == 2  # then the table was looked at again
    assert wh.query("SELECT id, n, sync_issues -> 'at' ->> 'value' AS issue FROM crm.s") == [
        {"id": 1, "n": None, "issue": None},
        {"id": 2, "n": None, "issue": None},
        {"id": 3, "n": big, "issue": None},
        {"id": 5, "n": None, "issue": "no date"},
    ]
    assert [key for _, key, _, _ in wh.rejects()] == [{"id": None}]
    assert wh.counts() == [("s", "partial", 4, 0, 0, 0, 1, 0)]


def test_a_table_without_a_key_takes_rows_directly_whatever_it_holds(wh, messages, direct):
    head = messages.schema("s", PROPERTIES, keys=())
    for _ in range(2):
        wh.load(head, *records(messages, 1, 1))
    assert (direct(), ids(wh)) == (2, [1, 1, 1, 1])


def test_rows_of_the_read_stay_after_its_schema_has_changed(wh, messages, direct):
    wh.load(
        messages.schema("s", PROPERTIES),
        *records(messages, 1, 2, version=1),
        messages.schema("s", PROPERTIES | {"new": {"type": "string"}}),
        *records(messages, 3, version=1),
        activate(1),
        hard_delete=True,
    )
    assert direct() == 1
    assert (ids(wh), wh.counts()[0][-1]) == ([1, 2, 3], 0)


def test_a_table_emptied_within_a_read_keeps_what_comes_after(wh, messages, direct):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *records(messages, 1))
    wh.load(
        head,
        *records(messages, None, version=1),
        activate(1),
        *records(messages, 2, version=1),
        activate(1),
        hard_delete=True,
    )
    assert ids(wh) == [2]
    assert direct() == 1


def test_a_field_is_named_once_though_its_batch_is_encoded_again(wh, messages, direct, caplog):
    wh.load(messages.schema("s", PROPERTIES), *records(messages, 1, 2, 2, 3, more=1))
    assert (direct(), len(wh.table("s"))) == (0, 3)
    assert [text for text in caplog.messages if "more" in text] == [
        "Stream s sends the field 'more', which its schema does not declare; it is not stored"
    ]


def test_a_partitioned_table_is_refused_with_the_first_record(wh, messages, direct):
    wh.query(
        "CREATE SCHEMA crm; CREATE TABLE crm.s (id bigint PRIMARY KEY, sync_issues jsonb,"
        " sync_created_at timestamptz DEFAULT now(), sync_updated_at timestamptz DEFAULT now())"
        " PARTITION BY RANGE (id); CREATE TABLE crm.s_all PARTITION OF crm.s DEFAULT"
    )
    with pytest.raises(Exception, match="cannot retrieve a system column"):
        wh.load(messages.schema("s", PROPERTIES), *records(messages, 1))
    assert (direct(), ids(wh)) == (0, [])
