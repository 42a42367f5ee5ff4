"""JSON exactly as it came: all digits of a number, and nothing Postgres could not store."""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime, time
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final

__all__ = ["UNSTORABLE", "clean", "dumps", "is_finite", "loads", "plain", "visible"]

UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""Characters no Postgres text can hold: NUL and halves of surrogate pairs."""


def loads(line: str | bytes) -> Any:
    """Parse JSON; numbers stay exact, ``NaN`` and lone surrogates are let through.

    Raises:
        ValueError: It is not JSON.
    """
    if isinstance(line, bytes):
        line = line.decode()
    return json.loads(line, parse_float=Decimal)


def clean(text: str) -> str:
    """Return `text` with what Postgres cannot store replaced by U+FFFD."""
    return UNSTORABLE.sub("\ufffd", text)


def visible(text: str) -> str:
    r"""Return `text` with what Postgres cannot store written out, as in ``\u0000``."""
    return UNSTORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def plain(value: Any) -> Any:
    """Return a parsed value as the standard library's json gives it: floats for decimals."""
    return json.loads(dumps(value))


def is_finite(number: float | Decimal) -> bool:
    """Tell whether it is a number that JSON knows, however large."""
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)


def dumps(value: Any, *, exact: bool = False) -> str:  # noqa: PLR0911 - one per type
    """Return JSON of a parsed value, with all its digits.

    Args:
        value: What `loads` gives; moments, as stream maps make them, become ISO 8601.
        exact: Keep what Postgres cannot store, as escapes. Otherwise such characters are replaced,
            and NaN and infinities, which JSON lacks, become null.
    """
    if isinstance(value, str):
        return encode_basestring_ascii(value) if exact else encode_basestring(clean(value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        pairs = (f"{dumps(str(k), exact=exact)}: {dumps(v, exact=exact)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dumps(item, exact=exact) for item in value) + "]"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, Decimal)):
        return str(value) if exact or is_finite(value) else "null"
    if isinstance(value, (datetime, date, time)):
        return encode_basestring(value.isoformat())
    raise TypeError(f"{type(value).__name__} is not JSON")
