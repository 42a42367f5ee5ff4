"""Two runs of one stream take turns; others do not wait."""

from __future__ import annotations

import pytest

PROPERTIES = {"id": {"type": "integer"}, "by": {"type": "string"}}

HELD = (
    "SELECT objid FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)


def started(wh, messages, by, **settings):
    process = wh.process(**settings)
    lines = [messages.schema("s", PROPERTIES)]
    process.stdin.write(wh.lines(*lines, *(messages.record("s", id=i, by=by) for i in range(3))))
    process.stdin.flush()
    return process


def test_the_second_run_waits_or_fails(wh, messages):
    first = started(wh, messages, "first")
    wh.wait_for(lambda: len(wh.query(HELD)) == 2)
    with pytest.raises(Exception, match=r"Another run is loading table crm\.s"):
        wh.load(messages.schema("s", PROPERTIES), lock_timeout=0)
    wh.load(messages.schema("other", PROPERTIES), messages.record("other", id=1), lock_timeout=0)
    second = started(wh, messages, "second")
    wh.wait_for(lambda: len(wh.history()) == 4)
    second.stdin.close()
    assert wh.query("SELECT to_regclass('crm.s') AS t") == [{"t": None}]
    first.stdin.close()
    assert (first.wait(60), second.wait(60)) == (0, 0)
    for process in (first, second):
        process.stdout.close()
        process.stderr.close()
    assert wh.table("s") == [{"id": i, "by": "second"} for i in range(3)]
    assert wh.counts() == [
        ("s", "success", 3, 0, 0, 0, 0, 0),
        ("s", "failed", 0, 0, 0, 0, 0, 0),
        ("other", "success", 1, 0, 0, 0, 0, 0),
        ("s", "success", 0, 3, 0, 0, 0, 0),
    ]
    assert "Another run is loading" in wh.history()[1]["error_message"]
