"""One `meltano run` as a child process: its log lines, its end, and the signals on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

__all__ = ["LOG_CONFIG", "Line", "Pipeline", "new_log"]

PATIENCE: Final = 30.0
"""Seconds that a pipeline gets to end after a signal."""
TICK: Final = 0.2
"""Seconds between two looks at a pipeline that says nothing."""
KEPT_LOGS: Final = 100
"""Logs of one CRM."""
_TAIL: Final = 15
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOISE: Final = ("METRIC", "Skipping deselected stream")
_MELTANOS_FORCE: Final = ", or ignore this check using the '--force' option"
"""Of a pipeline that is already running. The flag of this name here is another: it overwrites."""
_OURS: Final = ("tap", "target", "warehouse")
"""How loggers begin whose debugging is shown; libraries would tell what goes over the wire."""

LOG_CONFIG: Final[Mapping[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "meltano.core.logging.json_formatter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "stream": "ext://sys.stderr",
        }
    },
    "loggers": {"": {"handlers": ["console"], "level": "INFO"}},
}
"""Meltano's logging: everything as JSON. For debugging only the plugins' standard error says more:
their standard output is the records."""


@dataclass(frozen=True)
class Line:
    """One line of a pipeline's log.

    Attributes:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        source: The plugin that says it, or meltano.
        text: What it says.
        when: When it was said, as Meltano wrote it.
        sync: What a dry run of a stream would have put into its row of sync_history.
        is_noise: Whether nobody wants to read it.
    """

    level: str
    source: str
    text: str
    when: str = ""
    sync: Mapping[str, Any] | None = None
    is_noise: bool = False

    @classmethod
    def parse(cls, raw: str) -> Line:
        """Read a line of Meltano's; one that is not JSON is taken as it is."""
        try:
            fields = json.loads(raw)
            level, text = fields["level"].upper(), str(fields["event"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls("INFO", "meltano", raw, is_noise=not raw.strip())
        logger = str(fields.get("plugin_logger", ""))
        if metric := fields.get("metric_info"):
            text = f"{text} {json.dumps(metric)}"
        text = text.replace(_MELTANOS_FORCE, "")
        return cls(
            level,
            str(fields.get("string_id", "meltano")),
            text,
            when=str(fields.get("timestamp", "")),
            sync=fields.get("sync"),
            is_noise=text.startswith(_NOISE) or (level == "DEBUG" and not logger.startswith(_OURS)),
        )

    def __str__(self) -> str:
        return f"{self.level}: {self.text}"


@dataclass
class Pipeline:
    """A pipeline that runs in a group of its own.

    Attributes:
        command: The program and its arguments.
        folder: Where it runs.
        environment: Of the process.
        log: Where all its lines go.
        stopped_by: The signal that this process was told to end by, if it was.
        returncode: Of the child, when it has ended.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    stopped_by: int | None = None
    returncode: int | None = None
    _tail: deque[Line] = field(default_factory=lambda: deque(maxlen=_TAIL))
    _process: subprocess.Popen[str] | None = None
    _deadline: float | None = None

    @property
    def exit_code(self) -> int:
        """What this process should end with: by a signal 128 and its number, else 0 or 1."""
        return 128 + self.stopped_by if self.stopped_by else int(bool(self.returncode))

    @property
    def last_words(self) -> list[str]:
        """The last lines that tell why a run failed: errors where there are any."""
        lines = [line for line in self._tail if line.level in {"ERROR", "CRITICAL"}]
        return [str(line) for line in lines or self._tail]

    def lines(self) -> Iterator[Line | None]:
        """Run it, and yield what it says; None when it has said nothing for a moment.

        Signals that would end this process end the pipeline instead, and this goes on until it has
        ended.
        """
        with self._signals(), self.log.open("a", encoding="utf-8") as log:
            if self.stopped_by is None:
                yield from self._lines(log)

    def _lines(self, log: IO[str]) -> Iterator[Line | None]:
        self._process = process = subprocess.Popen(  # noqa: S603 - our own pipeline
            self.command,
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        if self.stopped_by:  # while it started
            self._send(self.stopped_by)
        try:
            for raw in _read(process):
                if self._deadline and time.monotonic() > self._deadline:
                    self._send(signal.SIGKILL)
                if raw is None:
                    yield None
                    continue
                line = Line.parse(raw)
                log.write(f"{line.when} {line.source} {line}\n".lstrip())
                log.flush()
                if not line.is_noise:
                    self._tail.append(line)
                yield line
        finally:
            if process.poll() is None and self._deadline is None:
                self._send(signal.SIGTERM)
            self.returncode = self._wait(process)

    def _wait(self, process: subprocess.Popen[str]) -> int:
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._send(signal.SIGKILL)
            return process.wait()
        finally:
            if process.stdout:
                process.stdout.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        """Hand a signal on; a second one is meant more seriously."""
        again = self.stopped_by is not None
        self.stopped_by = self.stopped_by or number
        self._deadline = time.monotonic() + PATIENCE
        self._send(signal.SIGKILL if again else number)

    def _send(self, number: int) -> None:
        if number == signal.SIGHUP:  # the terminal is gone; plugins would die of it at once
            number = signal.SIGTERM
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _read(process: subprocess.Popen[str]) -> Iterator[str | None]:
    """Yield the lines of a process, without their ends; None when none came for a moment."""
    queue: Queue[str | None] = Queue()

    def read() -> None:
        for line in process.stdout or ():
            queue.put(line.rstrip("\n"))
        queue.put(None)

    thread = Thread(target=read, daemon=True)
    thread.start()
    while True:
        try:
            line = queue.get(timeout=TICK)
        except Empty:
            yield None
            continue
        if line is None:
            thread.join()
            return
        yield line


def new_log(folder: Path, name: str) -> Path:
    """Return a new log file of a CRM that only its owner can read; the oldest ones go."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"))[: 1 - KEPT_LOGS]:
        old.unlink(missing_ok=True)
    path = folder / f"{name}.log"
    path.touch(mode=0o600)
    return path
