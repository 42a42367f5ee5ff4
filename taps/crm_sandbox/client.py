"""Start a sandbox and steer it from Python."""

from __future__ import annotations

import subprocess
import sys
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING

from crm_sandbox.remote import Control, Fault, SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Control", "Fault", "Sandbox", "SandboxError"]

READY = "crm-sandbox listening on "
START_SECONDS = 60.0


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
