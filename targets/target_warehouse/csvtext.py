"""Rows as COPY reads them: CSV with the backslash as escape, which msgspec nearly writes.

A row is written as a JSON array. Without its brackets that is a line of such CSV: texts are quoted,
null, numbers and booleans are not. Only other escapes than those of the quote have to be undone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from psycopg2 import sql

from target_warehouse.column_text import UnusualError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COPY_OPTIONS", "csv_rows"]

COPY_OPTIONS: Final = sql.SQL("FORMAT csv, ESCAPE {}, NULL {}").format(
    sql.Literal("\\"), sql.Literal("null")
)

_ESCAPED: Final = re.compile(rb'\\([^"u]|u[0-9a-f]{4})')
_CHARACTERS: Final = {
    b"\\": rb"\\",
    **{b"u%04x" % i: bytes([i]) for i in range(1, 0x20)},
    **dict(zip((b"b", b"f", b"n", b"r", b"t"), (b"\b", b"\f", b"\n", b"\r", b"\t"), strict=True)),
}
_encode: Final = msgspec.json.Encoder().encode


def csv_rows(rows: Iterable[Any], *, placed: bool = True) -> bytes:
    """Return rows in UTF-8, the last one without its line feed.

    Args:
        rows: Tuples or lists of texts, numbers, booleans and None.
        placed: With their first value, which is a number.

    Raises:
        UnusualError: There is a NUL in a text.
    """
    arrays = map(_encode, rows)
    if placed:
        json = b"\n".join([array[1:-1] for array in arrays])
    else:
        json = b"\n".join([array[array.index(b",") + 1 : -1] for array in arrays])
    if b"\\" not in json:
        return json
    parts = _ESCAPED.split(json)
    try:
        parts[1::2] = map(_CHARACTERS.__getitem__, parts[1::2])
    except KeyError:
        raise UnusualError from None
    return b"".join(parts)
