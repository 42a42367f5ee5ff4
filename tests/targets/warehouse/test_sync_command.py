"""`warehouse sync`: what it tells Meltano, on one that only writes down what it was told."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from rich.console import Console
from warehouse.command import Warehouse
from warehouse.entities import narrowed
from warehouse.meltano import environment
from warehouse.pipeline import Line, Pipeline, new_log
from warehouse.progress import Bars
from warehouse.summary import show

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

MELTANO = """\
#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
name = f"told-{{len(list(folder.glob('told-*')))}}.json"
told = {{"arguments": sys.argv[1:], "environment": dict(os.environ)}}
(folder / name).write_text(json.dumps(told))
for line in json.loads((folder / "says.json").read_text()):
    sys.stderr.write((line if isinstance(line, str) else json.dumps(line)) + "\\n")
if "--discover" in sys.argv:
    print(json.dumps({{"streams": [{{"stream": "contacts"}}, {{"stream": "owners"}}]}}))
if "state" in sys.argv:
    print(json.dumps({{"singer_state": {{"bookmarks": {{"contacts": {{"a": 1}}}}}}}}))
if "TAP_HUBSPOT__STATE" in os.environ:
    told["state"] = pathlib.Path(os.environ["TAP_HUBSPOT__STATE"]).read_text()
    (folder / name).write_text(json.dumps(told))
sys.exit(json.loads((folder / "ends.json").read_text()))
"""
PROJECT = """\
default_environment: dev
environments:
- name: dev
- name: staging
  state_id_suffix: eu
plugins:
  extractors:
  - name: tap-arrivy
  - name: tap-hubspot
    select: ["contacts.*", "!contacts.email", "*.id"]
  - name: tap-foreign
  loaders:
  - name: target-warehouse
"""


class Fake:
    """A project whose Meltano writes down what it is told, says what it should, and ends so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "meltano.yml").write_text(PROJECT)
        program = folder / "meltano"
        program.write_text(MELTANO.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        self.says()
        self.ends(0)

    def says(self, *lines: Any) -> None:
        (self.folder / "says.json").write_text(json.dumps(lines))

    def ends(self, code: int) -> None:
        (self.folder / "ends.json").write_text(json.dumps(code))

    def told(self, number: int = -1) -> dict[str, Any]:
        paths = sorted(self.folder.glob("told-*"), key=lambda path: int(path.stem[5:]))
        found: dict[str, Any] = json.loads(paths[number].read_text())
        return found

    @property
    def settings(self) -> dict[str, str]:
        """What the run was told of its plugins."""
        prefixes = ("TAP_", "TARGET_")
        environment = self.told()["environment"]
        return {name: it for name, it in environment.items() if name.startswith(prefixes)}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_MELTANO", str(tmp_path / "meltano"))
    return Fake(tmp_path)


def said(text: str, level: str = "info", **more: Any) -> dict[str, Any]:
    return {"event": text, "level": level, "string_id": "tap-hubspot", **more}


def test_flags_become_settings_of_one_run(
    fake: Fake, wh: Any, command: Callable[..., Result]
) -> None:
    flags = "--force --start-date 2026-11-01 --skip-validation --batch-size 50 --max-records 7"
    done = command("sync", "hubspot", *flags.split())
    assert done.exit_code == 0, done.output
    told = fake.told()
    run_id = told["environment"]["MELTANO_RUN_ID"]
    assert told["arguments"][1:] == ["run", f"--run-id={run_id}", "tap-hubspot", "target-warehouse"]
    assert fake.settings == {
        "TAP_HUBSPOT_MAX_RECORDS": "7",
        "TAP_HUBSPOT_PAGE_SIZE": "50",
        "TAP_HUBSPOT_SKIP_VALIDATION": "true",
        "TAP_HUBSPOT_START_DATE": "2026-11-01",
        "TARGET_WAREHOUSE_FORCE": "true",
        "TARGET_WAREHOUSE_SQLALCHEMY_URL": wh.url,
        "TARGET_WAREHOUSE_VALIDATE_RECORDS": "false",
    }


def test_a_database_on_the_command_line_takes_the_place_of_the_settings(
    fake: Fake, wh: Any, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_WAREHOUSE_HOST", "elsewhere")
    (fake.folder / ".env").write_text("TARGET_WAREHOUSE_USER=somebody\n")
    assert command("sync", "hubspot").exit_code == 0
    assert fake.settings == {
        "TARGET_WAREHOUSE_HOST": "",
        "TARGET_WAREHOUSE_SQLALCHEMY_URL": wh.url,
        "TARGET_WAREHOUSE_USER": "",
    }


def test_the_database_may_be_in_the_projects_file(
    fake: Fake, wh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = """\
  - name: target-warehouse
    config: {host: $WHERE, port: 5433, history_schema: ops}
"""
    project = PROJECT.replace("  - name: target-warehouse\n", loader)
    (fake.folder / "meltano.yml").write_text(project)
    (fake.folder / ".env").write_text("WHERE=db.example.com\nTARGET_WAREHOUSE_PORT=5434\n")
    found = Warehouse.of_project()
    assert found.settings == {"host": "db.example.com", "port": "5434", "history_schema": "ops"}
    other = Warehouse.of_project(wh.url)
    assert other.settings == {"sqlalchemy_url": wh.url, "history_schema": "ops"}
    told = environment(other)
    assert {name: it for name, it in told.items() if name.startswith("TARGET_")} == {
        "TARGET_WAREHOUSE_HOST": "",
        "TARGET_WAREHOUSE_PORT": "",
        "TARGET_WAREHOUSE_SQLALCHEMY_URL": wh.url,
    }
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(fake.folder / "elsewhere"))
    assert Warehouse.of_project().settings == {}


def test_full_is_meltanos_full_refresh(fake: Fake, command: Callable[..., Result]) -> None:
    assert command("sync", "Tap-HubSpot", "--full").exit_code == 0
    assert "--full-refresh" in fake.told()["arguments"]


def test_entities_are_selected_without_what_the_project_leaves_out(
    fake: Fake, command: Callable[..., Result]
) -> None:
    done = command("sync", "hubspot", "Contacts", "owners")
    assert done.exit_code == 1
    assert "ERROR: hubspot gave nothing to read of contacts, owners." in done.output
    assert fake.told(0)["arguments"][1:] == ["invoke", "tap-hubspot", "--discover"]
    assert json.loads(fake.settings["TAP_HUBSPOT__SELECT"]) == [
        "contacts.*", "!contacts.email", "contacts.id", "owners.id",
    ]  # fmt: skip
    assert narrowed([], ["deals"]) == ["deals.*"]
    assert narrowed(["!*.ssn", "!deals.*"], ["deals"]) == ["deals.*", "!deals.ssn"]


def test_settings_of_some_crms_are_refused_for_the_others(
    fake: Fake, command: Callable[..., Result]
) -> None:
    flags = ("--task-status", "COMPLETE", "--booking-status", "A,B", "--high-performance")
    assert command("sync", "arrivy", *flags, "--concurrent-pages", "2").exit_code == 0
    assert {name: it for name, it in fake.settings.items() if name.startswith("TAP_")} == {
        "TAP_ARRIVY_BOOKING_STATUS": "A,B",
        "TAP_ARRIVY_CONCURRENT_PAGES": "2",
        "TAP_ARRIVY_HIGH_PERFORMANCE": "true",
        "TAP_ARRIVY_TASK_STATUS": "COMPLETE",
    }
    done = command("sync", "hubspot", "--task-status", "COMPLETE")
    assert done.exit_code == 2
    assert "--task-status is not for hubspot" in done.output
    assert "It is for: arrivy." in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("hubspot", "--full", "--start-date", "2026-01-01"), 2, "give one of them"),
        (("hubspot", "--start-date", "01.02.2026"), 2, "not a date of the form YYYY-MM-DD"),
        (("hubspot", "--start-date", "2026-02-30"), 2, "not a date of the form YYYY-MM-DD"),
        (("hubspot", "--since", "2026-01-01"), 2, "--since is gone; use --start-date."),
        (("hubspot", "--test"), 2, "--test is gone; use --dry-run."),
        (("hubspot", "--verbose"), 2, "--verbose is gone; use --debug."),
        (("hubspot", "--force-overwrite"), 2, "--force-overwrite is gone; use --force."),
        (("hubspot", "--batch-size", "0"), 2, "--batch-size"),
        (("hubspot", "--max-records", "-1"), 2, "--max-records"),
        (("salesforce",), 2, "There are: arrivy, foreign, hubspot"),
        ((), 2, "There are: arrivy, foreign, hubspot"),
        (("hubspot", "--all"), 2, "name none"),
        (("hubspot", "contact"), 2, "hubspot has no contact. There are: contacts, owners."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    fake: Fake,
    command: Callable[..., Result],
    arguments: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    done = command("sync", *arguments)
    assert done.exit_code == code
    assert sentence in done.output
    assert not [path for path in fake.folder.glob("told-*") if '"run"' in path.read_text()]


def test_a_crm_that_is_switched_off_is_left_alone(
    fake: Fake, command: Callable[..., Result]
) -> None:
    assert command("config", "set", "hubspot", "is_active=false").exit_code == 0
    done = command("sync", "hubspot")
    assert (done.exit_code, "switched off" in done.output) == (3, True)
    assert not list(fake.folder.glob("told-*"))


def test_all_goes_on_after_a_failure(
    fake: Fake, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAP_HUBSPOT_ACCESS_TOKEN", "secret-token")
    fake.says(said("the token is wrong", "error"))
    fake.ends(1)
    done = command("sync", "--all")
    assert done.exit_code == 1
    runs = [fake.told(number)["arguments"][-2] for number in range(2)]
    assert runs == ["tap-foreign", "tap-hubspot"]
    assert "arrivy is left out: it has no credentials" in done.output
    assert done.output.count("ERROR: the token is wrong") == 4  # passed on, and as last words
    assert done.output.count("failed. Its log:") == 2


def test_a_second_run_is_not_told_to_overwrite(fake: Fake, command: Callable[..., Result]) -> None:
    """Meltano would have it ignore the first one by a flag that is called --force, too."""
    running = "Another pipeline is already running. Wait until noon when it will be cancelled"
    fake.says(said(f"{running}, or ignore this check using the '--force' option.", "error"))
    fake.ends(1)
    done = command("sync", "hubspot")
    assert done.exit_code == 1
    assert f"ERROR: {running}." in done.output


def test_debug_shows_the_command_without_secrets(
    fake: Fake, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAP_HUBSPOT_ACCESS_TOKEN", "secret-token")
    fake.says(
        said("what a library says of the wire", "debug", plugin_logger="urllib3"),
        said("what the tap says", "debug", plugin_logger="tap-hubspot.contacts"),
        "not JSON",
    )
    done = command("sync", "hubspot", "--debug", "--max-records", "3")
    (shown,) = [line for line in done.output.splitlines() if "meltano --log-config" in line]
    assert shown.startswith("DEBUG: MELTANO_RUN_ID=")
    assert "TAP_HUBSPOT_MAX_RECORDS=3" in shown
    assert "what the tap says" in done.output
    assert "not JSON" in done.output
    assert "of the wire" not in done.output
    (log,) = (fake.folder / ".warehouse/logs/hubspot").glob("*.log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert "not JSON" in log.read_text()
    assert "secret-token" not in done.output
    assert "secret-token" not in log.read_text()


def test_a_dry_run_has_the_true_state_and_writes_elsewhere(
    fake: Fake, command: Callable[..., Result]
) -> None:
    row = {
        "crm_source": "hubspot", "sync_type": "contacts", "status": "success",
        "records_processed": 9, "records_created": 3, "records_updated": 2, "records_failed": 1,
        "error_message": None,
        "performance_metrics": {"records_unchanged": 2, "records_deduplicated": 1},
    }  # fmt: skip
    fake.says(said("Dry run of hubspot contacts sync: …", sync=row))
    done = command("sync", "hubspot", "--dry-run", "--json")
    (shown,) = [json.loads(line) for line in done.stdout.splitlines()]
    run_id = fake.told()["environment"]["MELTANO_RUN_ID"]
    assert shown == {**row, "run_id": run_id, "dry_run": True}
    assert fake.told(0)["arguments"][1:] == ["state", "get", "dev:tap-hubspot-to-target-warehouse"]
    assert json.loads(fake.told()["state"]) == {"bookmarks": {"contacts": {"a": 1}}}
    assert fake.told()["environment"]["MELTANO_DATABASE_URI"].startswith("sqlite:///")
    assert fake.settings["TARGET_WAREHOUSE_DRY_RUN"] == "true"


def test_state_belongs_to_the_environment_in_use(
    fake: Fake, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "staging")
    assert command("state", "show", "hubspot").exit_code == 0
    name = "staging:tap-hubspot-to-target-warehouse:eu"
    assert fake.told()["arguments"][1:] == ["state", "get", name]


def test_an_outer_meltano_leaves_no_trace(
    fake: Fake, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = {
        "MELTANO_PARENT_CONTEXT_UUID": "1",
        "MELTANO_UTILITY_NAME": "warehouse",
        "MELTANO_UTILIZE_X": "1",
        "MELTANO_RUN_FULL_REFRESH": "1",
        "PYTHONWARNINGS": "once",
        "VIRTUAL_ENV": "/venv",
        "PATH": "/venv/bin:/usr/bin",
    }
    kept = {"MELTANO_ENVIRONMENT": "staging", "MELTANO_DATABASE_URI": "sqlite:///x.db"}
    for name, value in (outer | kept).items():
        monkeypatch.setenv(name, value)
    assert command("sync", "hubspot").exit_code == 0
    environment = fake.told()["environment"]
    assert {name: environment.get(name) for name in kept} == kept
    assert environment["PATH"] == "/usr/bin"
    assert [name for name in outer if name in environment] == ["PATH"]


def test_stored_credentials_are_handed_over_and_not_shown(
    fake: Fake, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    token = fake.folder / "token"
    token.write_text("stored-token")
    done = command("credentials", "set", "hubspot", "access_token", "--from-file", str(token))
    assert done.exit_code == 0, done.output
    done = command("sync", "hubspot", "--debug")
    assert done.exit_code == 0, done.output
    assert fake.settings["TAP_HUBSPOT_ACCESS_TOKEN"] == "stored-token"
    assert "TAP_HUBSPOT_ACCESS_TOKEN=***" in done.output
    assert "stored-token" not in done.output


def test_without_meltano_it_says_where_to_get_one(
    fake: Fake, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_MELTANO", str(fake.folder / "none"))
    done = command("sync", "hubspot")
    assert (done.exit_code, "WAREHOUSE_MELTANO names no program" in done.output) == (3, True)
    monkeypatch.delenv("WAREHOUSE_MELTANO")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    done = command("sync", "hubspot")
    assert (done.exit_code, "Meltano is not installed here" in done.output) == (3, True)


def test_outside_of_a_project_it_says_so(
    tmp_path: Path, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    done = command("sync", "hubspot")
    assert (done.exit_code, "is no Meltano project" in done.output) == (3, True)


# The process


def test_a_pipeline_that_does_not_end_is_killed_by_a_second_signal(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'not yet\\n'))\n"
        "os.write(1, b'begun\\n')\n"
        "while True: time.sleep(1)\n"
    )
    command = [sys.executable, "-c", code]
    pipeline = Pipeline(command, tmp_path, {}, new_log(tmp_path, "a"))
    seen = []
    for line in pipeline.lines():
        if line:
            seen.append(line.text)
            signal.raise_signal(signal.SIGINT)
    assert seen == ["begun", "not yet"]
    assert (pipeline.exit_code, pipeline.returncode) == (130, -signal.SIGKILL)


def test_a_closed_terminal_ends_a_pipeline_as_sigterm_does(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended well'))\n"
        "os.write(1, b'begun\\n')\n"
        "while True: time.sleep(1)\n"
    )
    pipeline = Pipeline([sys.executable, "-c", code], tmp_path, {}, new_log(tmp_path, "a"))
    seen = []
    for line in pipeline.lines():
        seen += [line.text] if line else []
        if line and line.text == "begun":
            signal.raise_signal(signal.SIGHUP)
    assert seen == ["begun", "ended well"]
    assert (pipeline.exit_code, pipeline.returncode) == (129, 1)


def test_the_oldest_logs_go(tmp_path: Path) -> None:
    for number in range(105):
        new_log(tmp_path, f"{number:03}")
    names = sorted(path.stem for path in tmp_path.glob("*.log"))
    assert (names[0], names[-1], len(names)) == ("005", "104", 100)


def test_bars_show_what_is_committed_and_what_is_to_come() -> None:
    console = Console(force_terminal=True, width=100, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    bars = Bars(console, "hubspot", dry=False)
    row = {"sync_type": "contacts", "status": "running", "records_processed": 400}
    with bars:
        bars.line(Line("INFO", "tap-hubspot", "Starting hubspot contacts sync with 1200 records"))
        bars.line(
            Line("INFO", "tap-hubspot", "Reading hubspot contacts: 900 of 1250 records so far")
        )
        bars.rows([{**row, "performance_metrics": {"records_expected": 1200}}])
        (task,) = [it for it in bars._bars.tasks if it.description == "contacts"]
        assert (task.completed, task.total) == (900, 1250)
        assert task.fields["count"] == "400 of 1,250, 900 read"
        assert task.fields["eta"].endswith(" left")
        ended = {"duration_seconds": 3.0, "records_per_second": 420.0}
        bars.rows(
            [{**row, "status": "success", "records_processed": 1260, "performance_metrics": ended}]
        )
        assert (task.completed, task.total, task.fields["count"]) == (1260, 1260, "1,260")
        assert (task.fields["rate"], task.fields["eta"]) == ("420/s", "3.0 s")
    console.file.close()


def test_no_number_of_the_table_is_cut_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {
        "crm_source": "hubspot", "sync_type": "contacts", "status": "partial",
        "records_processed": 1_234_567, "records_created": 1_000_000, "records_updated": 234_560,
        "records_failed": 5,
        "performance_metrics": {
            "records_unchanged": 1, "records_deduplicated": 1, "records_deleted": 3,
            "duration_seconds": 61.25, "records_per_second": 20155.4, "validation_warnings": 12,
        },
    }  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("warehouse.summary.console", lambda: Console(width=80))
    show("hubspot", [row], dry=False)
    *_, cells, line = capsys.readouterr().out.splitlines()
    assert cells.split() == [
        "contacts", "partial", "1,234,567", "1,000,000", "234,560", "2", "5", "3", "61.2",
        "20,155", "12",
    ]  # fmt: skip
    assert line == (
        "INFO: Completed hubspot contacts sync: 1000000 created, 234560 updated, 5 failed"
    )
