"""Whether a tap can read its CRM with the credentials that a run would get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from warehouse import meltano
from warehouse.configuration import variable
from warehouse.crms import tap_of, tap_settings
from warehouse.handover import credentials_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warehouse.command import Warehouse

__all__ = ["connection_errors"]

_STREAM_FAILED = re.compile(r"^\S+ \S+ failed: ")


def connection_errors(warehouse: Warehouse, crm: str) -> list[str]:
    """Have the tap read one record of each stream, and return what it says where that fails.

    Raises:
        Refusal: Meltano is missing, or what is stored cannot be read.
    """
    tap = tap_of(warehouse.project, crm)
    stored = credentials_of(warehouse, crm)
    environment = meltano.environment(warehouse, crm)
    done = meltano.run(warehouse, "invoke", tap, "--test", environment=environment)
    if not done.returncode:
        return []
    *lines, last = filter(None, map(str.strip, done.stderr.splitlines() or ["The tap failed."]))
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
