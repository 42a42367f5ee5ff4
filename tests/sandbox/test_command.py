"""The command ``crm-sandbox`` and the README that goes with it."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from pathlib import Path

import crm_sandbox
import msgspec
import pytest
import requests
from click.testing import CliRunner
from crm_sandbox.cli import main
from crm_sandbox.client import Sandbox, SandboxError
from crm_sandbox.faults import Fault
from crm_sandbox.hubspot.commands import AccountCommands, RecordCommands
from crm_sandbox.hubspot.switches import Limits, Switches

README = Path(crm_sandbox.__file__).with_name("README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--port=0", "--exit-with-stdin"])
def test_it_says_where_it_listens_and_ends_on_sigterm(option: str) -> None:
    command = [sys.executable, "-m", "crm_sandbox", "serve", "--size", "contacts=3", option]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        url = line.removeprefix("crm-sandbox listening on ").strip()
        answer = requests.post(f"{url}/_sandbox/hubspot/counts", timeout=10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert url.startswith("http://127.0.0.1:")
    assert answer.json()["contacts"] == {"live": 3, "archived": 0}


def test_it_ends_with_its_parent() -> None:
    command = [sys.executable, "-m", "crm_sandbox", "serve", "--exit-with-stdin"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout and process.stdin:
            process.stdout.readline()
            process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--host", "192.0.2.1"], "not a loopback address"),
        (["--host", "example.com"], "not a loopback address"),
        (["--size", "nothing=3"], "no CRM has records of type 'nothing'"),
        (["--size", "contacts"], "not of the form"),
    ],
)
def test_wrong_options_are_refused(options: list[str], why: str) -> None:
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 2
    assert why in result.output


def test_a_sandbox_that_cannot_start_says_so() -> None:
    with pytest.raises(SandboxError, match="did not start"), Sandbox(sizes={"nothing": 1}):
        pass


def test_the_readme_names_every_switch_limit_fault_and_command() -> None:
    groups = (RecordCommands, AccountCommands)
    names = {
        *msgspec.structs.asdict(Switches()),
        *msgspec.structs.asdict(Limits()),
        *(one.name for one in msgspec.structs.fields(Fault)),
        *msgspec.inspect.type_info(Fault).fields[0].type.values,
        *(
            name
            for group in groups
            for name, _ in inspect.getmembers(group, inspect.isfunction)
            if not name.startswith("_")
        ),
    }
    assert sorted(name for name in names if f"`{name}" not in README) == []
