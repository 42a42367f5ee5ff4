"""A record that cannot be stored is kept with its reason, and the rest of its batch is stored."""

from __future__ import annotations

import json
import random
import string
from typing import Any

import pytest
from sqlalchemy.engine import make_url

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "email": {"type": ["string", "null"]},
    "amount": {"type": ["number", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
}


def test_records_that_break_the_schema(wh, messages):
    states = wh.load(
        messages.schema("s", PROPERTIES),
        messages.record("s", id=1, email="a"),
        messages.record("s", id=2, email=5),
        messages.record("s", id="x"),
        messages.record("s", id=None, email="b"),
        messages.record("s", id=3, amount=True),
        messages.record("s", id=4, email="c"),
        messages.state(s=4),
    )
    assert [row["id"] for row in wh.table("s")] == [1, 4]
    assert wh.rejects() == [
        ("s", {"id": 2}, '{"id": 2, "email": 5}', "validation"),
        ("s", {"id": "x"}, '{"id": "x"}', "validation"),
        ("s", {"id": None}, '{"id": null, "email": "b"}', "validation"),
        ("s", {"id": 3}, '{"id": 3, "amount": true}', "validation"),
    ]
    assert wh.counts() == [("s", "partial", 2, 0, 0, 0, 4, 0)]
    (run,) = wh.history()
    assert run["error_message"] == "4 records were refused; see sync_rejects"
    assert run["performance_metrics"]["success_rate"] == 0.3333
    assert {r["history_id"] for r in wh.query("SELECT history_id FROM sync_rejects")} == {run["id"]}
    assert states == [{"bookmarks": {"s": 4}}]


def test_records_postgres_refuses(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head)
    wh.query("ALTER TABLE crm.s ADD CHECK (amount >= 0), ADD UNIQUE (email)")
    bad = {17: -1, 18: -2, 600: -3}
    wh.load(
        head,
        *(messages.record("s", id=i, amount=bad.get(i, i), email=f"e{i}") for i in range(1000)),
        messages.record("s", id=5000, email="e3"),
    )
    assert [row["id"] for row in wh.table("s")] == [i for i in range(1000) if i not in bad]
    refused = {key["id"]: error for _, key, _, error in wh.rejects()}
    assert refused == dict.fromkeys([*bad, 5000], "database")
    assert wh.counts()[1] == ("s", "partial", 997, 0, 0, 0, 4, 0)


def test_values_postgres_cannot_read(wh, messages):
    wh.query("CREATE SCHEMA crm; CREATE TABLE crm.s (id bigint PRIMARY KEY, u uuid, n int[])")
    properties = {"id": {"type": "integer"}, "u": {"type": "string"}, "n": {"type": "string"}}
    good = "6f1f1c2e-0000-4000-8000-000000000001"
    wh.load(
        messages.schema("s", properties),
        *(messages.record("s", id=i, u="no" if i == 77 else good) for i in range(200)),
        messages.record("s", id=300, u=good, n="{1,2}"),
        messages.record("s", id=301, u=good, n="{1,"),
    )
    assert [row["id"] for row in wh.table("s")] == [i for i in (*range(200), 300) if i != 77]
    assert {key["id"] for _, key, _, _ in wh.rejects()} == {77, 301}
    assert wh.counts() == [("s", "partial", 200, 0, 0, 0, 2, 0)]


def test_a_bad_value_among_many_costs_few_statements(wh, messages, statements):
    wh.query("CREATE SCHEMA crm; CREATE TABLE crm.s (id bigint PRIMARY KEY, u uuid, t text)")
    good = "7c0ee8f8-6d3e-4a6a-9a53-3f2f5a0c2a55"
    text = 'several\r\nlines\n\\.\n"quoted", \\n'
    properties = {"id": {"type": "integer"}, "u": {"type": "string"}, "t": {"type": "string"}}
    head = messages.schema("s", properties)
    wh.load(head)

    def load(*bad):
        statements.clear()
        values = ["x" if i in bad else good for i in range(10_000)]
        rows = enumerate(values)
        wh.load(head, *(messages.record("s", id=i, u=value, t=text) for i, value in rows))
        return len(statements)

    bad = (0, 1, 6_543, 9_999)
    assert load(*bad) - load() == 4 * len(bad) + 2  # two store the rejects and their schema
    assert wh.table("s") == [{"id": i, "u": good, "t": text} for i in range(10_000)]
    assert [key["id"] for _, key, _, _ in wh.rejects()] == [*bad]


CHECKED = "ALTER TABLE crm.s ADD CHECK (owner < 10)"
REFERRING = """
CREATE TABLE owners AS SELECT * FROM generate_series(0, 9) AS id;
ALTER TABLE owners ADD PRIMARY KEY (id);
ALTER TABLE crm.s ADD FOREIGN KEY (owner) REFERENCES owners
"""
TRIGGERED = """
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.owner > 9 THEN RAISE EXCEPTION 'owner % left', NEW.owner; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER stop {} INSERT OR UPDATE ON crm.s FOR EACH ROW EXECUTE FUNCTION stop()
"""


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (CHECKED, 'violates check constraint "s_owner_check"'),
        (REFERRING, 'Key (owner)=(77) is not present in table "owners"'),
        (f"{REFERRING} DEFERRABLE INITIALLY DEFERRED", "Key (owner)=(77) is not present"),
        (TRIGGERED.format("BEFORE"), "owner 77 left"),
        (TRIGGERED.format("AFTER"), "owner 77 left"),
    ],
    ids=["check", "foreign key", "deferred", "trigger before", "trigger after"],
)
def test_a_row_that_cannot_be_merged_costs_few_statements(wh, messages, statements, rule, reason):
    head = messages.schema("s", {"id": {"type": "integer"}, "owner": {"type": "integer"}})
    wh.load(head)
    wh.query(rule)

    def load(*bad):
        statements.clear()
        owners = [77 if i in bad else i % 10 for i in range(10_000)]
        wh.load(head, *(messages.record("s", id=i, owner=owner) for i, owner in enumerate(owners)))
        return len(statements)

    assert load(7_777) - load() < 15  # the table was empty, so that they were copied into it first
    assert wh.table("s") == [{"id": i, "owner": i % 10} for i in range(10_000)]
    assert [(key, error) for _, key, _, error in wh.rejects()] == [({"id": 7_777}, "database")]
    assert reason in wh.query("SELECT message FROM sync_rejects")[0]["message"]
    load(0, 1, 5_000, 9_999)
    assert [key["id"] for _, key, _, _ in wh.rejects()] == [7_777, 0, 1, 5_000, 9_999]
    assert wh.counts()[1:] == [
        ("s", "partial", 9_999, 0, 0, 0, 1, 0),
        ("s", "success", 1, 0, 9_999, 0, 0, 0),
        ("s", "partial", 0, 0, 9_996, 0, 4, 0),
    ]


def test_a_broken_trigger_is_no_fault_of_the_records(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}, "owner": {"type": "integer"}})
    wh.load(head)
    wh.query(TRIGGERED.format("BEFORE").replace("NEW.owner > 9", "(SELECT count(*) FROM gone) > 9"))
    with pytest.raises(Exception, match='relation "gone" does not exist'):
        wh.load(head, messages.record("s", id=1, owner=1))
    assert wh.rejects() == []


def test_rows_may_refer_to_rows_after_them_though_one_is_refused(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}, "parent": {"type": "integer"}})
    wh.load(head)
    wh.query("ALTER TABLE crm.s ADD FOREIGN KEY (parent) REFERENCES crm.s")
    wh.load(head, *(messages.record("s", id=i, parent=min(i + 1, 50)) for i in range(1, 51)),
            messages.record("s", id=51, parent=99))  # fmt: skip
    assert len(wh.table("s")) == 50
    assert [key for _, key, _, _ in wh.rejects()] == [{"id": 51}]


def test_a_batch_of_bad_rows_alone(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}, "owner": {"type": "integer"}})
    wh.load(head)
    wh.query(CHECKED)
    wh.load(head, *(messages.record("s", id=i, owner=77) for i in range(3_000)))
    assert wh.table("s") == []
    assert wh.counts()[1] == ("s", "partial", 0, 0, 0, 0, 3_000, 0)


def test_a_key_too_long_for_an_index(wh, messages):
    noise = "".join(random.Random(0).choices(string.printable, k=9000))  # noqa: S311
    wh.load(
        messages.schema("s", {"id": {"type": "string"}}),
        messages.record("s", id="a"),
        messages.record("s", id=noise),
        messages.record("s", id="b"),
    )
    assert wh.table("s") == [{"id": "a"}, {"id": "b"}]
    assert wh.counts() == [("s", "partial", 2, 0, 0, 0, 1, 0)]


def test_strict_validation_refuses_what_would_have_issues(wh, messages):
    properties = PROPERTIES | {"sync_issues": {"type": ["object", "null"]}}
    wh.load(
        messages.schema("s", properties),
        messages.record("s", id=1, at="never"),
        messages.record("s", id=2, email="a\u0000"),
        messages.record("s", id=3, sync_issues={"email": {"value": "x", "error": "bad"}}),
        messages.record("s", id=4, sync_issues=None),
        strict_validation=True,
    )
    assert [row["id"] for row in wh.table("s")] == [4]
    assert [error for *_, error in wh.rejects()] == ["conversion"] * 3


def test_without_validation_values_are_converted_or_noted(wh, messages):
    wh.load(
        messages.schema("s", PROPERTIES | {"ok": {"type": "boolean"}}),
        messages.record("s", id="1", email=5, amount="1.5", ok="true"),
        messages.record("s", id=2, amount="much", at=5, ok="maybe"),
        messages.record("s", id="x"),
        validate_records=False,
    )
    first, second = wh.table("s")
    assert (first["id"], first["email"], str(first["amount"]), first["ok"]) == (1, "5", "1.5", True)
    assert second == {"id": 2, "email": None, "amount": None, "at": None, "ok": None}
    assert wh.issues("s") == {
        2: {
            "amount": {"value": "much", "error": "Not a number"},
            "at": {"value": 5, "error": "Not a datetime"},
            "ok": {"value": "maybe", "error": "Not a boolean"},
        }
    }
    assert [error for *_, error in wh.rejects()] == ["conversion"]


@pytest.mark.parametrize(
    ("most", "bad", "fails"),
    [(2, 2, False), (2, 3, True), (0, 1, True), (0.01, 9, False), (0.01, 11, True)],
)
def test_max_rejects_ends_the_run(wh, messages, most, bad, fails):
    stream = [
        messages.schema("s", PROPERTIES),
        *(messages.record("s", id=None if i < bad else i) for i in range(1000)),
        messages.state(s=1),
    ]
    if not fails:
        assert wh.load(*stream, max_rejects=most) == [{"bookmarks": {"s": 1}}]
        assert wh.counts()[0][1] == "partial"
        return
    with pytest.raises(Exception, match="more than max_rejects allows"):
        wh.load(*stream, max_rejects=most)
    assert wh.states == []
    assert wh.counts() == [("s", "failed", 1000 - bad, 0, 0, 0, bad, 0)]
    assert len(wh.rejects()) == bad


def test_a_missing_right_fails_the_run_and_rejects_nothing(wh, messages):
    head = messages.schema("s", PROPERTIES)
    wh.load(head)
    role = f"reader_{make_url(wh.url).database}"
    wh.query(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON crm.s TO {role};"
             f" GRANT USAGE ON SCHEMA crm TO {role};"
             f" GRANT SELECT, INSERT, UPDATE ON sync_history, sync_rejects TO {role}")  # fmt: skip
    url = make_url(wh.url).set(username=role).render_as_string(hide_password=False)
    with pytest.raises(Exception, match="permission denied for table s"):
        wh.load(head, messages.record("s", id=1), messages.state(s=1), sqlalchemy_url=url)
    assert wh.states == []
    assert wh.rejects() == []
    assert wh.counts()[1] == ("s", "failed", 0, 0, 0, 0, 0, 0)
    assert "permission denied" in wh.history()[1]["error_message"]
    wh.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_no_server_fails_at_once(wh, messages, tmp_path):
    with pytest.raises(Exception, match="Postgres: connection to server"):
        wh.load(
            messages.schema("s", PROPERTIES),
            sqlalchemy_url=f"postgresql://me:hidden@/none?host={tmp_path}",
        )


def test_values_stay_out_of_the_logs(wh, messages, caplog):
    caplog.set_level("DEBUG")
    wh.load(messages.schema("s", PROPERTIES))
    wh.query("ALTER TABLE crm.s ADD CHECK (amount >= 0)")
    wh.load(
        messages.schema("s", PROPERTIES),
        messages.record("s", id=1, email=["secret-value"]),
        messages.record("s", id=2, email="secret-value", amount=-1),
        messages.record("s", id=3, email="secret-value\u0000", extra="secret-value"),
    )
    assert len(wh.rejects()) == 2
    assert "secret-value" not in caplog.text


def test_a_record_without_its_key_fails_the_run(wh, messages):
    with pytest.raises(Exception, match="lacks the key properties"):
        wh.load(messages.schema("s", PROPERTIES), messages.record("s", email="a"))
    assert wh.counts() == [("s", "failed", 0, 0, 0, 0, 0, 0)]


def test_rejects_are_told_by_their_run(wh, messages):
    stream = [messages.schema("s", PROPERTIES), messages.record("s", id="x")]
    wh.load(*stream)
    wh.load(*stream)
    assert [r["history_id"] for r in wh.query("SELECT * FROM sync_rejects ORDER BY id")] == [
        row["id"] for row in wh.history()
    ]


def test_invalid_utf8_is_a_reject(wh, messages):
    line = json.dumps(messages.record("s", id=1, email="XX")).encode().replace(b"XX", b"\xff")
    process = wh.process()
    _, errors = process.communicate(
        wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=2)) + line + b"\n",
        timeout=60,
    )
    assert process.returncode == 0, errors
    assert [row["id"] for row in wh.table("s")] == [2]
    assert wh.counts() == [("s", "partial", 1, 0, 0, 0, 1, 0)]


def test_the_least_rights_are_enough(wh, messages):
    """A role with the rights the README names loads, evolves, deletes and closes runs."""
    role = f"loader_{make_url(wh.url).database}"
    wh.query(f"CREATE ROLE {role} LOGIN;"
             f" GRANT CREATE, TEMPORARY ON DATABASE {make_url(wh.url).database} TO {role};"
             f" CREATE SCHEMA audit AUTHORIZATION {role}")  # fmt: skip
    url = make_url(wh.url).set(username=role).render_as_string(hide_password=False)
    settings = {"sqlalchemy_url": url, "history_schema": "audit", "hard_delete": True}
    rows = [messages.record("s", id=i) | {"version": 1} for i in (1, 2)]
    wh.load(messages.schema("s", PROPERTIES), *rows, **settings)
    wh.load(
        messages.schema("s", PROPERTIES | {"more": {"type": "string"}, "email": {}}),
        rows[0],
        messages.record("s", id="x"),
        {"type": "ACTIVATE_VERSION", "stream": "s", "version": 1},
        **settings,
    )
    assert [row["id"] for row in wh.table("s")] == [1]
    assert [r["status"] for r in wh.query("SELECT status FROM audit.sync_history ORDER BY id")] == [
        "success",
        "partial",
    ]
    wh.query(f"DROP OWNED BY {role}; DROP ROLE {role}")
