"""Start a sandbox and steer it from Python."""

from __future__ import annotations

import subprocess
import sys
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypedDict

import requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

READY = "crm-sandbox listening on "
START_SECONDS = 60.0
ANSWER_SECONDS = 120.0


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused a command; the text says why."""


class Fault(TypedDict, total=False):
    """One fault rule; the fields are those of `crm_sandbox.faults.Fault`."""

    kind: str
    path: str
    method: str
    after: int
    every: int
    count: int
    status: int
    variant: str
    retry_after: str
    seconds: float


class Control:
    """The control API of a running sandbox.

    Attributes:
        url: Address of the server.
        crm: The CRM whose records the methods speak of.
    """

    def __init__(self, url: str, crm: str = "hubspot") -> None:
        self.url = url
        self.crm = crm
        self._session = requests.Session()

    def base_url(self, crm: str | None = None) -> str:
        """Return what a tap takes as `base_url`."""
        return f"{self.url}/{crm or self.crm}"

    def of(self, crm: str) -> Control:
        """Return the control of another CRM on the same server."""
        return Control(self.url, crm)

    def reset(
        self, seed: int = 1, sizes: Mapping[str, int] | None = None, now: str | None = None
    ) -> None:
        """Start afresh; see `crm_sandbox.control.Control.reset`."""
        self._shared("reset", seed=seed, sizes=dict(sizes or {}), now=now)

    def advance(self, seconds: float) -> str:
        """Move the clock and return the new time."""
        return str(self._shared("advance", seconds=seconds))

    def now(self) -> str:
        """Return the sandbox time."""
        return str(self._shared("now"))

    def faults(self, *rules: Fault, latency_ms: float | None = None) -> list[dict[str, Any]]:
        """Put these rules in force in place of all others, and set the latency where given.

        Returns:
            The rules, with how many requests each has seen and hit.
        """
        return list(self._shared("faults", rules=rules, latency_ms=latency_ms))

    def fault_hits(self) -> list[int]:
        """Return how many requests each rule in force has hit."""
        return [rule["hits"] for rule in self._shared("faults")]

    def stats(self, *, clear: bool = False) -> dict[str, Any]:
        """Return the request counts; see the README."""
        return dict(self._shared("stats", clear=clear))

    def log(self, contains: str = "", since: float = 0.0) -> list[dict[str, Any]]:
        """Return the last requests whose path contains a text, oldest first."""
        return list(self._shared("log", contains=contains, since=since))

    def command(self, name: str, **arguments: Any) -> Any:
        """Run a command of the CRM.

        Raises:
            SandboxError: it is refused.
        """
        return self._post(f"{self.crm}/{name}", arguments)

    def _shared(self, name: str, **arguments: Any) -> Any:
        return self._post(name, arguments)

    def _post(self, path: str, arguments: Mapping[str, Any]) -> Any:
        address = f"{self.url}/_sandbox/{path}"
        answer = self._session.post(address, json=arguments, timeout=ANSWER_SECONDS)
        if answer.status_code != requests.codes.ok:
            raise SandboxError(f"{path}: {answer.text}")
        return answer.json()


class Sandbox(Control):
    """A sandbox server of one's own, for the length of a ``with`` block.

    Args:
        seed: Seed of the data.
        sizes: Number of records by type.
        crm: The CRM whose records the methods speak of.
        port: Port to listen on, 0 for a free one.
    """

    def __init__(
        self,
        seed: int = 1,
        sizes: Mapping[str, int] | None = None,
        crm: str = "hubspot",
        port: int = 0,
    ) -> None:
        super().__init__("", crm)
        options = [f"--seed={seed}", f"--port={port}"]
        options += [f"--size={name}={size}" for name, size in (sizes or {}).items()]
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            SandboxError: it ended or was not ready in time.
        """
        command = [sys.executable, "-m", "crm_sandbox", "serve", "--exit-with-stdin"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, *self._options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        lines: Queue[str] = Queue()
        output = self._process.stdout
        if output is not None:
            Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_SECONDS)
        except Empty:
            line = ""
        if not line.startswith(READY):
            self.stop()
            raise SandboxError(f"the sandbox did not start: {line.strip() or 'no answer'}")
        self.url = line.removeprefix(READY).strip()

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        self._session.close()
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
