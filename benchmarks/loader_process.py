"""Runs one loader and tells what the operating system says it cost.

A process of its own stands between the benchmark and the loader: the system counts to a process's
peak memory that of the one it was forked from, which therefore has to be small.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["LoaderFailedError", "Usage", "run_loader"]

LONGEST = 3600
"""Seconds after which a loader has failed."""


class LoaderFailedError(Exception):
    """A loader did not do its work; the message is why."""


@dataclass(frozen=True)
class Usage:
    """Wall and CPU seconds of a process and its children, and the largest one's memory in MB."""

    seconds: float
    cpu: float
    memory: float


def run_loader(
    command: Sequence[str], *, messages: Path, env: Mapping[str, str], folder: Path
) -> Usage:
    """Give messages to a loader's standard input and measure it until it ends.

    Raises:
        LoaderFailedError: Its exit code is not 0, or it never ended.
    """
    log, result = folder / "loader.log", folder / "usage.json"
    with messages.open("rb") as stdin, log.open("wb") as output:
        code = subprocess.call(
            [sys.executable, "-I", "-S", __file__, str(result), *command],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=folder,
        )
    if code:
        raise LoaderFailedError(_reason(log) or f"exit code {code}")
    return Usage(**json.loads(result.read_text()))


def _reason(log: Path) -> str:
    """Return the last line that names an error, else the last one."""
    lines = [" ".join(line.split()) for line in log.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if "error" in line.lower() or "exception" in line.lower()]
    return next(iter(reversed(errors or [line for line in lines if line])), "")[:300]


def main(result: str, *command: str) -> None:
    """Run a command and write what it cost."""
    began = time.perf_counter()
    try:
        code = subprocess.call(command, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        sys.exit(f"not done after {LONGEST} seconds")
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    usage = {
        "seconds": seconds,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024 / 1e6,
    }
    with open(result, "w") as file:  # noqa: PTH123 - keeps this process small
        json.dump(usage, file)
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
