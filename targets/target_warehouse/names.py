"""Names Postgres takes, the same ones in every run."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal

from target_warehouse.jsontext import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["BOOKKEEPING", "EXTRA", "FINGERPRINT", "Naming", "assign", "column_name", "identifier"]

Naming = Literal["preserve", "snake"]

_MAX_BYTES: Final = 63
_HASH: Final = 8

BOOKKEEPING: Final = ("sync_issues", "sync_created_at", "sync_updated_at")
"""Columns the target adds to every table."""

EXTRA: Final = "sync_extra"
"""Column of the fields that a stream's schema does not declare, where they are kept."""

FINGERPRINT: Final = "sync_fingerprint"
"""Column by which a record that came before is known again, where fingerprints are kept."""

_RESERVED: Final = frozenset(
    {
        FINGERPRINT,
        "sync_created_at",
        "sync_updated_at",
        "ctid",
        "xmin",
        "xmax",
        "cmin",
        "cmax",
        "tableoid",
    }
)
_WORDS: Final = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|\W+")


def identifier(name: str, naming: Naming = "preserve") -> str:
    """Return `name` as an identifier of at most 63 bytes; a longer one ends in its hash."""
    if naming == "snake":
        name = _WORDS.sub("_", name).lower()
    name = name.replace("\0", "\ufffd") or "_"
    encoded = name.encode(errors="replace")
    return encoded.decode() if len(encoded) <= _MAX_BYTES else _hashed(encoded, encoded)


def _hashed(name: bytes, of: bytes) -> str:
    digest = hashlib.sha256(of).hexdigest()[:_HASH]
    return f"{name[: _MAX_BYTES - _HASH - 1].decode(errors='ignore')}_{digest}"


def column_name(name: str, naming: Naming = "preserve") -> str:
    """Return the column of a property; names that Postgres or the target keeps get a `_`."""
    column = identifier(name, naming)
    return f"{column}_" if column in _RESERVED else column


def assign(
    fields: Iterable[str], naming: Naming, recorded: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return property → column, no two the same.

    Columns that are recorded stay. Then a property whose name is a column's goes first; where
    two want the same column the second, in the order of the alphabet, gets one that ends in its
    hash.

    Args:
        fields: The properties.
        naming: How columns are named.
        recorded: Column → property, cleaned (see `jsontext.clean`), as an earlier run noted it.
    """
    columns = {field: column for column, field in (recorded or {}).items()}
    fields = list(fields)
    taken = set(columns.values())
    assigned = {}
    for field in sorted(fields, key=lambda f: (column_name(f, naming) != f, f)):
        if (column := columns.get(clean(field))) is None:
            column = column_name(field, naming)
            if column in taken:
                column = _hashed(column.encode(), field.encode(errors="replace"))
            taken.add(column)
        assigned[field] = column
    return {field: assigned[field] for field in fields}
