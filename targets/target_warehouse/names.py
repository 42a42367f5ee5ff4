"""Names Postgres takes, the same ones in every run."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["BOOKKEEPING", "column_name", "identifier"]

_MAX_BYTES: Final = 63
_HASH: Final = 8

BOOKKEEPING: Final = ("sync_issues", "sync_created_at", "sync_updated_at")
"""Columns the target adds to every table."""

_RESERVED: Final = frozenset(
    {"sync_created_at", "sync_updated_at", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}
)


def identifier(name: str) -> str:
    """Return `name` as an identifier of at most 63 bytes; a longer one ends in its hash."""
    name = name.replace("\0", "\ufffd") or "_"
    encoded = name.encode(errors="replace")
    if len(encoded) <= _MAX_BYTES:
        return encoded.decode()
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH]
    return f"{encoded[: _MAX_BYTES - _HASH - 1].decode(errors='ignore')}_{digest}"


def column_name(name: str) -> str:
    """Return the column of a property; names that Postgres or the target keeps get a `_`."""
    return identifier(f"{name}_" if name in _RESERVED else name)
