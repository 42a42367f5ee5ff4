"""Load method overwrite: the new rows take the old ones' place at once, in the same table."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import psycopg2
import pytest

PROPERTIES: dict[str, Any] = {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}
TABLE = """
SELECT oid, relacl::text AS rights, array(
    SELECT indexrelid FROM pg_index WHERE indrelid = pg_class.oid ORDER BY 1
) AS indexes FROM pg_class WHERE oid = 'crm.s'::regclass
"""
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'target-warehouse' AND datname = current_database()
"""


class Reader(threading.Thread):
    """Looks at a table again and again; `seen` are the different contents, in their order."""

    def __init__(self, wh) -> None:
        super().__init__()
        self.url, self.seen, self.stopped = wh.url, [], threading.Event()
        self.start()

    def run(self) -> None:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not self.stopped.is_set():
                cursor.execute("SELECT id, v FROM crm.s ORDER BY 1, 2")
                if (rows := cursor.fetchall()) not in self.seen[-1:]:
                    self.seen.append(rows)

    def stop(self) -> list[Any]:
        self.stopped.set()
        self.join()
        return self.seen


def rows(messages, ids, v):
    return [messages.record("s", id=i, v=v) for i in ids]


@pytest.mark.parametrize("keys", [("id",), ()], ids=["key", "no key"])
def test_readers_see_the_old_rows_or_the_new(wh, messages, keys):
    head = messages.schema("s", PROPERTIES, keys)
    wh.load(head, *rows(messages, range(500), "old"))
    wh.query("CREATE VIEW names AS SELECT v FROM crm.s; CREATE INDEX ON crm.s (v);"
             " GRANT SELECT ON crm.s TO PUBLIC")  # fmt: skip
    before = wh.query(TABLE)
    reader = Reader(wh)
    wh.wait_for(lambda: reader.seen)
    states = wh.load(
        head,
        *(m for i in range(5) for m in (*rows(messages, range(400 + i * 100, 500 + i * 100), "new"),
                                        messages.state(s=i))),
        load_method="overwrite",
        batch_size_rows=50,
    )  # fmt: skip
    wh.wait_for(lambda: len(reader.seen) > 1)
    assert reader.stop() == [
        [(i, "old") for i in range(500)],
        [(i, "new") for i in range(400, 900)],
    ]
    assert wh.query(TABLE) == before
    assert len(wh.query("SELECT * FROM names")) == 500
    assert states == [{"bookmarks": {"s": 4}}]
    counts = (400, 100, 0, 0, 0, 400) if keys else (500, 0, 0, 0, 0, 500)
    assert wh.counts()[1] == ("s", "success", *counts)
    assert wh.history()[1]["performance_metrics"]["batches"] == 10


def test_an_open_transaction_keeps_what_it_sees(wh, messages):
    head = messages.schema("s", PROPERTIES, keys=())
    wh.load(head, *rows(messages, [1], "old"))
    with closing(psycopg2.connect(wh.url)) as other, other.cursor() as cursor:
        other.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1")
        wh.load(head, *rows(messages, [2], "new"), load_method="overwrite")
        cursor.execute("SELECT id FROM crm.s")
        assert cursor.fetchall() == [(1,)]
    assert [row["id"] for row in wh.table("s")] == [2]


def test_what_is_the_same_is_not_written(wh, messages):
    stream = [messages.schema("s", PROPERTIES), *rows(messages, range(9), "x")]
    wh.load(*stream, load_method="overwrite")
    written = wh.query("SELECT xmin::text FROM crm.s")
    wh.load(*stream, load_method="overwrite", batch_size_rows=2)
    assert wh.query("SELECT xmin::text FROM crm.s") == written
    assert wh.counts()[1] == ("s", "success", 0, 0, 9, 0, 0, 0)


@pytest.mark.parametrize("batch_size_rows", [1, 100])
def test_each_record_counts_once(wh, messages, batch_size_rows):
    head = messages.schema("s", PROPERTIES | {"n": {"type": "number"}}, bookmark_properties=["n"])
    wh.load(head, messages.record("s", id=1, v="old", n=9), messages.record("s", id=9, n=1))
    wh.load(
        head,
        messages.record("s", id=1, v="new", n=10),
        messages.record("s", id=1, v="older", n=5),
        messages.record("s", id=2, n=1),
        messages.record("s", id=2, n=2),
        messages.record("s", id="x"),
        load_method="overwrite",
        batch_size_rows=batch_size_rows,
    )
    assert [(row["id"], row["v"]) for row in wh.table("s")] == [(1, "new"), (2, None)]
    assert wh.counts()[1] == ("s", "partial", 1, 1, 0, 2, 1, 1)


def test_a_read_that_stops_changes_nothing(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *rows(messages, range(3), "old"))
    states = wh.load(
        messages.state({"s": messages.report("running")}),
        head,
        *rows(messages, range(2), "new"),
        messages.state({"s": messages.report("running")}, s=1),
        load_method="overwrite",
        batch_size_rows=1,
    )
    assert wh.table("s") == [{"id": i, "v": "old"} for i in range(3)]
    assert states == []
    assert wh.counts()[1] == ("s", "failed", 0, 0, 0, 0, 0, 0)


def test_a_lost_connection_changes_nothing(wh, messages):
    head = messages.schema("s", PROPERTIES, keys=())
    wh.load(head, *rows(messages, [1], "old"))
    process = wh.process(batch_size_rows=1, load_method="overwrite")
    process.stdin.write(wh.lines(head, *rows(messages, [2], "new")))
    wh.wait_for(lambda: [h["performance_metrics"]["batches"] for h in wh.history()] == [1, 1])
    wh.query(CUT)
    out, errors = process.communicate(wh.lines(*rows(messages, [3], "new"), messages.state(s=1)))
    assert (process.returncode, out) == (1, b"")
    assert b"The connection broke" in errors
    assert wh.table("s") == [{"id": 1, "v": "old"}]
    assert wh.counts()[1] == ("s", "failed", 0, 0, 0, 0, 0, 0)


def test_the_schema_may_change_amid_the_rows(wh, messages):
    wh.load(messages.schema("s", {"id": {"type": "integer"}}), messages.record("s", id=0))
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "n": {"type": "integer"}}),
        messages.record("s", id=1, n=1),
        messages.record("s", id=2, n=2**70),
        messages.record("s", id=2**70, n=3),
        messages.schema("s", PROPERTIES | {"n": {"type": "string"}}),
        messages.record("s", id=4, n="four", v="new"),
        load_method="overwrite",
        batch_size_rows=1,
    )
    assert [(int(row["id"]), row["n"], row["v"]) for row in wh.table("s")] == [
        (1, "1", None), (2, str(2**70), None), (4, "four", "new"), (2**70, "3", None),
    ]  # fmt: skip
    assert wh.counts()[1] == ("s", "success", 4, 0, 0, 0, 0, 1)


def test_rows_that_are_refused_only_at_the_end(wh, messages):
    head = messages.schema("s", PROPERTIES | {"n": {"type": "number"}})
    wh.load(head)
    wh.query("CREATE TABLE known (v text PRIMARY KEY); INSERT INTO known VALUES ('a')")
    wh.query("ALTER TABLE crm.s ADD FOREIGN KEY (v) REFERENCES known, ADD CHECK (id < 9)")
    wh.load(
        head,
        '{"type": "RECORD", "stream": "s", "record": {"id": 1, "v": "b", "n": 1.10}}',
        messages.record("s", id=2, v="a", n=2),
        messages.record("s", id=9, v="a", n=2),
        load_method="overwrite",
    )
    assert [row["id"] for row in wh.table("s")] == [2]
    assert wh.rejects() == [
        ("s", {"id": 9}, '{"id": 9, "v": "a", "n": 2}', "database"),
        ("s", {"id": 1}, '{"id": 1, "v": "b", "n": 1.10}', "database"),
    ]
    assert wh.counts()[1] == ("s", "partial", 1, 0, 0, 0, 2, 0)


def test_refused_records_do_not_empty_the_table(wh, messages):
    head = messages.schema("s", PROPERTIES, keys=())
    wh.load(head, *rows(messages, [1], "old"))
    wh.load(head, messages.record("s", id="x"), load_method="overwrite")
    assert wh.table("s") == [{"id": 1, "v": "old"}]
    assert wh.counts()[1] == ("s", "partial", 0, 0, 0, 0, 1, 0)


def test_full_reads_with_versions_and_metadata(wh, messages):
    head = messages.schema("s", PROPERTIES)
    activate = {"type": "ACTIVATE_VERSION", "stream": "s", "version": 2}
    wh.load(head, *rows(messages, [1, 2], "old"), add_record_metadata=True)
    new = [record | {"version": 2} for record in rows(messages, [2, 3], "new")]
    wh.load(head, *new, activate, load_method="overwrite", add_record_metadata=True)
    stored = [(row["id"], row["_sdc_table_version"]) for row in wh.table("s")]
    assert stored == [(2, 2), (3, 2)]
    assert wh.counts()[1] == ("s", "success", 1, 1, 0, 0, 0, 1)
