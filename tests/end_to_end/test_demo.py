"""What `make demo` runs, in a copy of this clone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from meltano_project import Project, cloned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    with cloned() as folder:
        yield folder


@pytest.fixture
def demo(clone: Path) -> Iterator[subprocess.Popen[str]]:
    """`make demo` in the clone."""
    path = os.pathsep.join(str(clone / name) for name in ("taps", "targets"))
    process = subprocess.Popen(
        [sys.executable, "-m", "crm_sandbox.demo"],
        cwd=clone,
        env=Project(clone, {"PYTHONPATH": path, "COLUMNS": "80"}).environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        yield process
        process.kill()


def test_the_demo_shows_that_every_change_arrived(demo: subprocess.Popen[str]) -> None:
    shown, _ = demo.communicate()
    assert demo.returncode == 0, shown
    assert "✗" not in shown
    assert re.search(r"^contacts +1000 +4 +1 +2 +1 +0 +success$", shown, re.MULTILINE), shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_demo_stops_what_it_started(demo: subprocess.Popen[str], clone: Path) -> None:
    assert demo.stdout
    first = demo.stdout.readline()
    started: list[psutil.Process] = []
    while len(started) < 2:  # the sandbox and Meltano
        started = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate()
    assert "A HubSpot account" in first
    assert (demo.returncode, rest) == (130, "Stopped.\n")
    assert psutil.wait_procs(started, timeout=10)[1] == []
    assert not (clone / ".warehouse/postgres/postmaster.pid").exists()
