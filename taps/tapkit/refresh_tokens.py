"""Where a refresh token is kept that changes with each use.

An authorization server may end a refresh token once it was used and give another. Whoever starts
the tap and keeps that token elsewhere names in the variable `TAPKIT_REFRESH_TOKEN_COMMAND` a
command, as a JSON array of its words, that lends it out:

1. it waits until it alone has the token, and writes it to stdout as one line;
2. it reads stdin: a line is the next token, the end of the input without a line says that there is
   none, and the old one stays;
3. its exit code is 0 once that is stored; what it has to say otherwise goes to stderr.

So of two taps with one token the second waits, and gets what the first one left. Without the
variable a token lives as long as the process.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tapkit.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COMMAND", "RefreshToken"]

COMMAND: Final = "TAPKIT_REFRESH_TOKEN_COMMAND"
_PATIENCE: Final = 120.0
"""Seconds for the command to store a token."""

logger = logging.getLogger(__name__)


class RefreshToken:
    """A refresh token, taken from its keeper for each use where there is one.

    Args:
        value: The token of the settings; a keeper's goes before it.

    Attributes:
        value: The newest token known.
    """

    def __init__(self, value: str) -> None:
        self.value = value
        self._unstored = False

    @contextmanager
    def turn(self) -> Iterator[Callable[[str], None]]:
        """Have the token in `value`, alone, and be given what to call with the next.

        Raises:
            Unauthorized: Its keeper does not give it.
        """
        command = os.environ.get(COMMAND)
        if not command:
            yield self._keep
            return
        try:
            process = subprocess.Popen(  # noqa: S603 - named by whoever starts the tap, like PATH
                json.loads(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except (OSError, ValueError) as error:
            raise Unauthorized(
                f"The command of {COMMAND} does not start ({type(error).__name__})."
            ) from None
        with process:
            lent = process.stdout.readline().strip() if process.stdout else ""
            if not lent:
                raise Unauthorized(f"The command of {COMMAND} gives no refresh token.")
            if not self._unstored:
                self.value = lent
            try:
                yield self._keep
            finally:  # also where the answer was of no use otherwise
                self._give_back(process, lent)

    def _give_back(self, process: subprocess.Popen[str], lent: str) -> None:
        changed = not hmac.compare_digest(self.value.encode(), lent.encode())
        try:
            process.communicate(f"{self.value}\n" if changed else None, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        self._unstored = changed and process.wait() != 0
        if self._unstored:
            logger.error(
                "The new refresh token could not be stored. This run goes on with it; if no later"
                " one of it is stored either, the app must be authorized anew."
            )

    def _keep(self, token: str) -> None:
        self.value = token
