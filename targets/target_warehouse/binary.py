"""Bytes that a text stands for (JSON schema's ``contentEncoding``)."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

__all__ = ["BinaryEncoding", "parse_bytes"]

BinaryEncoding = Literal["base16", "base64"]


def parse_bytes(encoding: BinaryEncoding, text: str) -> str | None:
    r"""Return the bytes as Postgres reads them (``\x`` and hexadecimal), or None for none."""
    try:
        if encoding == "base16":
            return "\\x" + binascii.unhexlify(text).hex()
        return "\\x" + base64.b64decode("".join(text.split()), validate=True).hex()
    except ValueError:
        return None
