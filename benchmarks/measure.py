"""Runs commands and tells how long they took, what each of their processes cost, and medians."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

SAMPLE_EVERY = 0.05
"""Seconds between two looks at the processes."""


@dataclass
class Cost:
    """What a run cost: wall seconds, and by process name peak memory (MB) and CPU seconds."""

    seconds: float = 0.0
    memory: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def run(
    command: str,
    *,
    env: Mapping[str, str],
    cwd: Path,
    names: Iterable[str] = (),
) -> Cost:
    """Run a shell command line and watch the processes below it whose command has one of `names`.

    Raises:
        CalledProcessError: It, or any part of its pipe, failed.
    """
    cost, names = Cost(), tuple(names)
    began = time.perf_counter()
    shell = ["bash", "-c", f"set -o pipefail; {command}"]
    process = subprocess.Popen(shell, env=dict(env), cwd=cwd)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, names, cost, done))
    watcher.start()
    try:
        code = process.wait()
        cost.seconds = time.perf_counter() - began
    finally:
        done.set()
        watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return cost


def median(costs: Iterable[Cost], of: Callable[[Cost], float]) -> float:
    """The median of one number over several runs."""
    return statistics.median(of(cost) for cost in costs)


def _watch(pid: int, names: tuple[str, ...], cost: Cost, done: threading.Event) -> None:
    while not done.wait(SAMPLE_EVERY):
        try:
            shell = psutil.Process(pid)  # which may have become the last command itself
            processes = [shell, *shell.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                command = " ".join(process.cmdline()[:2])
                name = next((name for name in names if command.endswith(name)), None)
                if name is None:
                    continue
                times = process.cpu_times()
                memory = process.memory_info().rss / 1e6
            except psutil.Error:
                continue
            cost.memory[name] = max(cost.memory[name], memory)
            cost.cpu[name] = max(cost.cpu[name], times.user + times.system)
