"""Whether a tap can read its CRM with the credentials that a run would get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from warehouse import meltano
from warehouse.configuration import variable
from warehouse.crms import tap_of, tap_settings
from warehouse.handover import credentials_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warehouse.command import Warehouse

__all__ = ["connection_errors"]

_STREAM_FAILED: Final = re.compile(r"^\S+ \S+ failed: ")
_NOISE: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\S+ +\[|Environment '.*' is active|.*Warning: |METRIC|\s*$"
)
"""Lines of Meltano's own log, and Python's warnings; the rest is the tap's."""


def connection_errors(warehouse: Warehouse, crm: str) -> list[str]:
    """Have the tap read one record of each stream, and return what it says where that fails.

    Raises:
        Refusal: Meltano is missing, or what is stored cannot be read.
    """
    tap = tap_of(warehouse.project, crm)
    stored = credentials_of(warehouse, crm)
    environment = meltano.environment(warehouse, crm)
    done = meltano.run(
        warehouse, "--log-format=plain", "invoke", tap, "--test", environment=environment
    )
    if not done.returncode:
        return []
    said = [line.strip() for line in done.stderr.splitlines() if not _NOISE.match(line)]
    *lines, last = said or ["The tap ended without a word."]
    secret = [name for name, schema in tap_settings(tap).items() if schema.get("secret")]
    given = [warehouse.variables.get(variable(tap, name), "") for name in secret]
    return [
        _without(line, [*stored.values(), *given])
        for line in [*filter(_STREAM_FAILED.match, lines), last]
    ]


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
