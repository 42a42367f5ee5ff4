"""`warehouse rejects replay`: through the real loader, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROPERTIES = {"id": {"type": "integer"}, "amount": {"type": ["number", "null"]}}
ZERO = {"passed": [], "failed": [], "kept": [], "gone": [], "impossible": {}, "unreached": [],
        "errors": [], "dry_run": False}  # fmt: skip


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path):
    """No project's settings but those of a test."""
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))


@pytest.fixture
def refused(wh, messages):
    """Loads records whose amount is no number, and mends them where they are kept."""

    def load(*ids, stream="s", keys=("id",), **settings):
        head = messages.schema(stream, PROPERTIES, keys=keys)
        wh.load(head, *(messages.record(stream, id=i, amount="x") for i in ids), **settings)
        wh.query("UPDATE sync_rejects SET record = replace(record, '\"x\"', '7.10')")

    return load


@pytest.fixture
def replay(command):
    def run(*arguments, code=0):
        result = command("rejects", "replay", "--json", *arguments)
        assert result.exit_code == code, result.output
        return json.loads(result.output)

    return run


def test_what_passes_leaves_the_table_and_counts(wh, refused, replay, messages, command):
    refused(1, 2, 3)
    wh.query("UPDATE sync_rejects SET record = replace(record, '7.10', 'true') WHERE id = 2")
    dry = replay("--dry-run", code=1)
    assert dry == ZERO | {"passed": [1, 3], "failed": [2], "dry_run": True}
    assert (wh.table("s"), len(wh.rejects()), len(wh.history())) == ([], 3, 1)
    assert replay(code=1) == ZERO | {"passed": [1, 3], "failed": [2]}
    stored = [(row["id"], str(row["amount"])) for row in wh.table("s")]
    assert stored == [(1, "7.10"), (3, "7.10")]
    assert wh.rejects() == [("s", {"id": 2}, '{"id": 2, "amount": true}', "validation")]
    assert wh.counts()[1:] == [("s", "partial", 2, 0, 0, 0, 1, 0)]
    run = wh.history()[1]
    assert (run["crm_source"], run["configuration"]["mode"]) == ("crm", "replay")
    assert run["error_message"] == "1 records were refused; see sync_rejects"
    checked = command("check")
    assert checked.exit_code == 0, checked.output
    assert wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, amount=7.1)) == []
    assert wh.counts()[2] == ("s", "success", 0, 0, 1, 0, 0, 0)


def test_it_is_said_to_people(wh, command, refused):
    refused(1, None, 3)
    wh.query("UPDATE sync_rejects SET record = replace(record, '7.10', '\"x\"') WHERE id = 3")
    result = command("rejects", "replay")
    assert (result.exit_code, result.output.splitlines()) == (1, [
        "1 passed and left the table",
        "1 refused again, now with the new reason: 3",
        "1 cannot be sent again (see below): 1",
        "  Reject 1: a part of its key is null.",
    ])  # fmt: skip
    assert command("rejects", "replay", "2").output == (
        "1 gone: another replay or a purge was faster, or there never was one: 2\n"
    )
    assert command("rejects", "replay", "--crm", "other").output == "Nothing to replay.\n"


def test_what_cannot_be_sent_again_is_said(wh, messages, replay):
    head = messages.schema("s", PROPERTIES)
    children = messages.schema("c", PROPERTIES, keys=("id", "amount"), **{"x-replace-by": ["id"]})
    wh.load(head, messages.record("s", id=None), '{"type":"RECORD","stream":"s","record":[1]}',
            messages.record("s", id="x"), messages.record("s", id="y"), children,
            messages.record("c", id=4, amount=None, _sdc_deleted_at="2026-01-01"))  # fmt: skip
    wh.query("UPDATE sync_rejects SET schema_hash = NULL WHERE id = 3")
    wh.query("UPDATE sync_rejects SET record = '{' WHERE id = 4")
    wh.query("UPDATE sync_rejects SET message = 'amount: no' WHERE id = 5")
    before = wh.rejects()
    assert replay(code=1) == ZERO | {"impossible": {
        "1": "a part of its key is null",
        "2": "it is no JSON object",
        "3": "it was refused before SCHEMA messages were kept",
        "4": "it is no JSON object, in one line",
        "5": "it says that a set is empty, which only a sync can know",
    }}  # fmt: skip
    assert wh.rejects() == before


def test_filters_choose(wh, refused, replay):
    refused(1, 2, stream="s")
    refused(3, stream="t", crm_source="other")
    assert replay("--stream", "t", "--crm", "other", "--class", "validation")["passed"] == [3]
    assert wh.query("SELECT id FROM other.t") == [{"id": 3}]
    assert replay("2")["passed"] == [2]
    assert [row["id"] for row in wh.table("s")] == [2]
    assert replay("--since", "1h")["passed"] == [1]


def test_rows_go_where_they_would_have_gone(wh, refused, replay, monkeypatch):
    refused(1, stream="bigThings", naming="snake", stream_schemas={"big*": "elsewhere"})
    monkeypatch.setenv("TARGET_WAREHOUSE_NAMING", "preserve")
    monkeypatch.setenv("TARGET_WAREHOUSE_DEFAULT_TARGET_SCHEMA", "wrong")
    assert replay()["passed"] == [1]
    assert wh.query("SELECT id FROM elsewhere.big_things") == [{"id": 1}]


def test_maps_and_flattening_are_not_applied_again(wh, messages, replay):
    """The record is kept as they left it, and its schema, too."""
    nested = {"type": "object", "properties": {"x": {"type": "integer"}}}
    wh.load(messages.schema("s", {**PROPERTIES, "deep": nested}),
            messages.record("s", id=1, amount="x", deep={"x": 5}),
            messages.record("s", id=2, amount=3, deep={"x": 6}),
            flattening_enabled=True, flattening_max_depth=2,
            stream_maps={"s": {"__alias__": "t", "twice": "int(deep['x'] * 2)"}})  # fmt: skip
    wh.query("UPDATE sync_rejects SET record = replace(record, '\"x\", ', '7, ')")
    assert replay()["passed"] == [1]
    first, second = wh.table("t")
    assert first == {"id": 1, "amount": 7, "deep__x": 5, "twice": 10}
    assert second == {"id": 2, "amount": 3, "deep__x": 6, "twice": 12}


def test_overwrite_is_replayed_as_upsert(wh, refused, replay, messages):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=9))
    refused(1, 9, load_method="overwrite")
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=9), load_method="overwrite")
    assert replay()["passed"] == [1, 2]
    assert [row["id"] for row in wh.table("s")] == [1, 9]


def test_the_policies_are_those_of_now(wh, messages, command, monkeypatch):
    """What the environment says counts more than what held when a record was refused."""
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, amount="much"))
    monkeypatch.setenv("TARGET_WAREHOUSE_SQLALCHEMY_URL", wh.url)
    monkeypatch.setenv("TARGET_WAREHOUSE_VALIDATE_RECORDS", "False")
    result = subprocess.run([Path(sys.executable).with_name("warehouse"), "rejects", "replay"],
                            capture_output=True, text=True, check=False)  # fmt: skip
    assert result.returncode == 0, result
    assert wh.table("s") == [{"id": 1, "amount": None}]
    assert wh.issues("s") == {1: {"amount": {"value": "much", "error": "Not a number"}}}


def test_the_projects_policies_count(wh, messages, replay, tmp_path):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, amount="much"))
    (tmp_path / "meltano.yml").write_text(
        "version: 1\nsend_anonymous_usage_stats: false\nplugins:\n  loaders:\n"
        "  - name: target-warehouse\n    namespace: target_warehouse\n"
        "    executable: target-warehouse\n    settings:\n    - name: validate_records\n"
        "      kind: boolean\ndefault_environment: dev\nenvironments:\n- name: dev\n  config:\n"
        "    plugins:\n      loaders:\n      - name: target-warehouse\n        config:\n"
        "          validate_records: false\n"
    )
    assert replay()["passed"] == [1]
    assert wh.table("s") == [{"id": 1, "amount": None}]


def test_newer_rows_are_kept_unless_forced(wh, messages, refused, replay):
    refused(1, 2)
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, amount=100))
    assert replay(code=1) == ZERO | {"passed": [2], "kept": [1]}
    assert [int(row["amount"]) for row in wh.table("s")] == [100, 7]
    assert replay("--force") == ZERO | {"passed": [1]}
    assert [int(row["amount"]) for row in wh.table("s")] == [7, 7]
    assert wh.history()[-1]["configuration"]["mode"] == "replay"


def test_a_loader_that_fails_leaves_them(wh, messages, refused, command):
    refused(1)
    wh.load(messages.schema("s", PROPERTIES, keys=("amount",)))
    result = command("rejects", "replay")
    assert result.exit_code == 1
    assert "1 not reached, because the loader failed: 1" in result.output
    assert "The loader failed: The key of table crm.s has changed" in result.output
    assert len(wh.rejects()) == 1
    (run,) = [r for r in wh.history() if r["configuration"]["mode"] == "replay"]
    assert run["status"] == "failed"


def test_values_are_in_no_log(wh, messages, command):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, amount="secret-value"))
    for arguments in (
        ["replay"],
        ["replay", "--json"],
        ["list"],
        ["list", "--json"],
        ["show", "1"],
    ):
        assert "secret-value" not in command("rejects", *arguments).output


def started(wh, **settings):
    names = {f"TARGET_WAREHOUSE_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [Path(sys.executable).with_name("warehouse"), "rejects", "replay", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | names | {"TARGET_WAREHOUSE_SQLALCHEMY_URL": wh.url},
    )


def test_two_at_once_store_each_record_once(wh, refused):
    """Rows without a key, so that a second one would be seen."""
    refused(*range(2000), keys=())
    both = [started(wh, batch_size_rows=500) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=150)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    passed = sorted(said[0]["passed"] + said[1]["passed"])
    assert passed == list(range(1, 2001))
    assert [row["id"] for row in wh.table("s")] == list(range(2000))
    assert wh.rejects() == []


def test_killed_at_any_moment_none_is_lost_and_none_double(wh, refused):
    """In turn the command and its loader; rows without a key, so that a second would be seen."""
    total = 2000
    refused(*range(total), keys=())
    chance = random.Random(7)  # noqa: S311
    for victim in ("loader", "loader", "command"):
        before = len(wh.rejects())
        process = started(wh, batch_size_rows=25)
        wh.wait_for(lambda before=before: len(wh.rejects()) < before)
        time.sleep(chance.uniform(0, 0.05))
        (loader,) = psutil.Process(process.pid).children()
        os.kill({"command": process.pid, "loader": loader.pid}[victim], signal.SIGKILL)
        process.communicate(timeout=150)
        psutil.wait_procs([loader], timeout=150)
        waiting = [json.loads(record)["id"] for _, _, record, _ in wh.rejects()]
        assert len(waiting) < before
        assert waiting or victim == "command"  # whose loader takes what it was given
        stored = [row["id"] for row in wh.table("s")]
        assert sorted(stored + waiting) == list(range(total))
    last = started(wh)
    last.communicate(timeout=150)
    assert last.returncode == 0
    assert [row["id"] for row in wh.table("s")] == list(range(total))
    assert wh.rejects() == []
