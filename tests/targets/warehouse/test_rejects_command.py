"""`warehouse rejects list`, `show` and `purge`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url
from warehouse.cli import main
from warehouse.refusals import reason

PROPERTIES = {"id": {"type": "integer"}, "amount": {"type": ["number", "null"]},
              "email": {"type": ["string", "null"], "maxLength": 30}}  # fmt: skip


@pytest.fixture
def waiting(wh, messages):
    """Five rejects of two CRMs, the first of them ten days old."""
    head = messages.schema("contacts", PROPERTIES)
    wh.load(head)
    wh.query("ALTER TABLE crm.contacts ADD UNIQUE (email)")
    wh.load(head, messages.record("contacts", id=1, email="ada@example.com", amount="much"),
            messages.record("contacts", id=2, amount="more"),
            messages.record("contacts", id=3, email="eve@example.com"),
            messages.record("contacts", id=4, email="eve@example.com"))  # fmt: skip
    wh.load(messages.schema("deals", PROPERTIES), messages.record("deals", id=None),
            messages.record("deals", id=5, email="x" * 31), crm_source="other")  # fmt: skip
    wh.query("UPDATE sync_rejects SET created_at = created_at - interval '10 days' WHERE id = 1")


def rows(command, *arguments):
    return [
        json.loads(line) for line in command("rejects", *arguments, "--json").output.splitlines()
    ]


UNIQUE = 'duplicate key value violates unique constraint "contacts_email_key"'


@pytest.mark.usefixtures("waiting")
def test_list_gives_single_rows_without_records(wh, command):
    found = rows(command, "list")
    assert [{k: v for k, v in row.items() if k != "created_at"} for row in found] == [
        {"id": 5, "history_id": 3, "crm_source": "other", "stream": "deals", "key": {"id": 5},
         "error_class": "validation", "reason": "email: is too long", "obstacle": None},
        {"id": 4, "history_id": 3, "crm_source": "other", "stream": "deals", "key": {"id": None},
         "error_class": "validation", "reason": "The key property 'id' is null",
         "obstacle": "a part of its key is null"},
        {"id": 3, "history_id": 2, "crm_source": "crm", "stream": "contacts", "key": {"id": 4},
         "error_class": "database", "reason": UNIQUE, "obstacle": None},
        {"id": 2, "history_id": 2, "crm_source": "crm", "stream": "contacts", "key": {"id": 2},
         "error_class": "validation", "reason": "amount: is not of type 'number', 'null'",
         "obstacle": None},
        {"id": 1, "history_id": 2, "crm_source": "crm", "stream": "contacts", "key": {"id": 1},
         "error_class": "validation", "reason": "amount: is not of type 'number', 'null'",
         "obstacle": None},
    ]  # fmt: skip
    stored = wh.query("SELECT created_at FROM sync_rejects ORDER BY id DESC")
    assert [row["created_at"] for row in found] == [r["created_at"].isoformat() for r in stored]


@pytest.mark.usefixtures("waiting")
def test_filters(command):
    for arguments, ids in (
        (["--crm", "crm"], [3, 2, 1]),
        (["--crm", "tap-CRM"], [3, 2, 1]),
        (["--stream", "deals"], [5, 4]),
        (["--class", "database"], [3]),
        (["--since", "9d"], [5, 4, 3, 2]),
        (["--last", "1"], [5]),
        (["--crm", "crm", "--class", "validation", "--last", "1"], [2]),
        (["--crm", "none"], []),
    ):
        assert [row["id"] for row in rows(command, "list", *arguments)] == ids


@pytest.mark.usefixtures("waiting")
def test_the_summary_counts_by_reason(command):
    found = rows(command, "list", "--summary")
    names = ("crm_source", "stream", "error_class", "reason", "count", "replayable")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("crm", "contacts", "validation", "amount: is not of type 'number', 'null'", 2, 2),
        ("other", "deals", "validation", "email: is too long", 1, 1),
        ("other", "deals", "validation", "The key property 'id' is null", 1, 0),
        ("crm", "contacts", "database", UNIQUE, 1, 1),
    ]
    assert found[0]["first"] < found[0]["last"]


@pytest.mark.usefixtures("waiting")
def test_people_see_tables_without_values(command):
    output = command("rejects", "list").output
    assert "5 rejects by reason" in output
    assert "The newest 5 of 5" in output
    assert "is not of type" in output
    for value in ("ada@", "eve@", "much", "xxx"):
        assert value not in output
    assert "The newest" not in command("rejects", "list", "--summary").output


def test_without_rejects_and_without_tables(command):
    for arguments, output in (
        (["list"], "No rejects.\n"),
        (["list", "--json"], ""),
        (["replay"], "Nothing to replay.\n"),
        (["purge", "--all"], "Purged 0 rejects.\n"),
    ):
        result = command("rejects", *arguments)
        assert (result.exit_code, result.output) == (0, output)
    result = command("rejects", "show", "7")
    assert (result.exit_code, result.output) == (1, "Error: There is no reject 7.\n")


@pytest.mark.usefixtures("waiting")
def test_show_has_the_record_only_when_asked(command):
    (row,) = rows(command, "show", "3")
    assert (row["key"], row["reason"], row["history_id"]) == ({"id": 4}, UNIQUE, 2)
    assert "eve@" not in command("rejects", "show", "3").output
    (row,) = rows(command, "show", "3", "--record")
    assert row["record"] == '{"id": 4, "email": "eve@example.com"}'
    assert row["message"] == f"{UNIQUE}: Key (email)=(eve@example.com) already exists."
    assert "eve@example.com" in command("rejects", "show", "3", "--record").output


@pytest.mark.usefixtures("waiting")
def test_purge(wh, command):
    for arguments, left in (
        (["--older-than", "9d"], [2, 3, 4, 5]),
        (["--stream", "contacts", "--class", "validation"], [3, 4, 5]),
        (["4", "7"], [3, 5]),
        (["--crm", "other"], [3]),
        (["--all"], []),
    ):
        before = len(wh.rejects())
        result = command("rejects", "purge", *arguments, "--yes", "--json")
        assert (result.exit_code, json.loads(result.output)) == (0, {"purged": before - len(left)})
        found = wh.query("SELECT id, schema_hash FROM sync_rejects ORDER BY id")
        assert [row["id"] for row in found] == left
        hashes = {row["hash"] for row in wh.query("SELECT hash FROM sync_reject_schemas")}
        assert hashes == {row["schema_hash"] for row in found}


@pytest.mark.usefixtures("waiting")
def test_purge_asks_first(wh, command):
    refused = command("rejects", "purge", "--crm", "crm")
    assert refused.exit_code == 1
    assert "Delete 3 rejects for good? [y/N]" in refused.output
    nothing = command("rejects", "purge")
    assert (nothing.exit_code, "Say which" in nothing.output) == (2, True)
    assert len(wh.rejects()) == 5


@pytest.mark.usefixtures("waiting")
def test_a_missing_right_is_said(wh):
    role = f"reader_{make_url(wh.url).database}"
    wh.query(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON sync_rejects TO {role}")
    url = make_url(wh.url).set(username=role).render_as_string(hide_password=False)
    arguments = ["--database", url, "rejects", "purge", "--all", "--yes"]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.output) == (
        3,
        "Error: The warehouse's role lacks a right: permission denied for table sync_rejects\n",
    )
    wh.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("error_class", "message", "shown"),
    [
        ("validation", "email: 'a: is too long' is not of type 'integer'",
         "email: is not of type 'integer'"),
        ("validation", "'name' is a required property", "'name' is a required property"),
        ("validation", "a.b: 'v' is not one of ['x', 'y']", "a.b: is not one of ['x', 'y']"),
        ("validation", "{'k': 'v'} is not valid under any of the given schemas",
         "is not valid under any of the given schemas"),
        ("validation", "amount: -5 is less than the minimum of 0",
         "amount: is less than the minimum of 0"),
        ("validation", "x: 'secret' is a 'future rule'", "The record breaks its schema"),
        ("validation", "The record is not an object", "The record is not an object"),
        ("validation", "JSONDecodeError in the record", "JSONDecodeError in the record"),
        ("conversion", '{"at": {"value": "never", "error": "Not a datetime"}}',
         "Values that do not fit: at"),
        ("conversion", "at: Failed to parse date value", "at: Failed to parse date value"),
        ("database", 'invalid input syntax for type uuid: "no"',
         "invalid input syntax for type uuid"),
        ("database", 'value "99999999999" is out of range for type integer',
         "value is out of range for type integer"),
        ("database", 'new row for relation "s" violates check constraint "c": Failing row (1, a).',
         'new row for relation "s" violates check constraint "c"'),
    ],
)  # fmt: skip
def test_reasons_quote_no_values(error_class, message, shown):
    assert reason(error_class, message) == shown
