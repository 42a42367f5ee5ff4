"""One column of a chunk as COPY text; whatever is not plain raises `UnusualError`.

Values are not escaped here: they are joined with control characters, and the escaping of the joined
text is three replacements (see `encoder`).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from target_warehouse import moments
from target_warehouse.binary import parse_bytes
from target_warehouse.convert import BIGINT
from target_warehouse.typed import (
    RAW_NULL,
    UnsupportedError,
    first_characters,
    left_raw,
    nested_decoder,
    nullable,
    only_strings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_warehouse.binary import BinaryEncoding
    from target_warehouse.columns import Column

__all__ = [
    "DELIMITER",
    "NULL",
    "ROW",
    "UnusualError",
    "column_encoder",
    "nested_text",
    "plain_text",
]

NULL: Final = "\x1d"
ROW: Final = "\x1e"
DELIMITER: Final = "\x1f"

_DATETIMES: Final = re.compile(f"(?:{moments.DATETIME}\n)*")
_TIMES: Final = re.compile(f"(?:{moments.CLOCK}\n)*")
_DATES: Final = re.compile(f"(?:{moments.DATE}\n)*")
_NUMBERS: Final = re.compile(r"(?:-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\n)*")
_BIGINTS: Final = re.compile(rf"(?:(?:0|-?[1-9][0-9]{{0,17}}|{NULL})\n)*")
_DECODERS: Final = {kind: msgspec.json.Decoder(list[kind]) for kind in (datetime, date, time)}  # type: ignore[valid-type]
_INTEGERS: Final = msgspec.json.Decoder(list[int | None])


class UnusualError(Exception):
    """Something in the chunk needs a closer look."""


def column_encoder(  # noqa: C901, PLR0911, PLR0912 - a table
    column: Column, schema: Mapping[str, Any]
) -> Callable[[Sequence[Any]], tuple[Sequence[str], int]]:
    """Return what encodes the values of one column.

    Returns:
        A function that gives the texts and how many are null, and raises `UnusualError`.

    Raises:
        UnsupportedError: Only `convert` can do it.
    """
    match column.kind, column.storage:
        case "number", "numeric" if not only_strings(schema):
            return partial(_number, null=nullable(schema))
        case "number", "numeric":
            return partial(_matching, _NUMBERS, float, None)
        case "json", "jsonb":
            return partial(
                nested_text, nested_decoder(schema), first_characters(schema), null=nullable(schema)
            )
        case "integer", "bigint" if left_raw(column, schema):
            return partial(_raw_bigint, null=nullable(schema))
        case "integer", "bigint":
            return _bigint
        case "integer", ("numeric" | "text"):
            return _integer
        case "boolean", "boolean":
            return _boolean
        case "datetime", ("timestamp with time zone" | "timestamp without time zone"):
            return partial(_matching, _DATETIMES, datetime.fromisoformat, _DECODERS[datetime])
        case "date", ("date" | "timestamp with time zone" | "timestamp without time zone"):
            return partial(_matching, _DATES, date.fromisoformat, _DECODERS[date])
        case (("base16" | "base64"), "bytea"):
            return partial(_bytes, column.kind)
        case "time", "time without time zone":
            return partial(_matching, _TIMES, time.fromisoformat, _DECODERS[time])
        case (("text" | "datetime" | "date" | "time" | "base16" | "base64"), "text") if (
            only_strings(schema)
        ):
            return plain_text
        case _:
            raise UnsupportedError(f"{column.kind} in {column.storage}")


def plain_text(values: Sequence[Any]) -> tuple[Sequence[str], int]:
    """Encode strings."""
    if not (nulls := values.count(None)):
        return values, 0
    return [NULL if v is None else v for v in values], nulls


def _integer(values: Sequence[Any]) -> tuple[list[str], int]:
    return [NULL if v is None else str(v) for v in values], values.count(None)


def _bigint(values: Sequence[Any]) -> tuple[list[str], int]:
    present = [v for v in values if v is not None]
    if present and (max(present) >= BIGINT or min(present) < -BIGINT):
        raise UnusualError
    return [NULL if v is None else str(v) for v in values], len(values) - len(present)


def _raw_bigint(values: Sequence[Any], *, null: bool) -> tuple[list[str], int]:
    texts, nulls = _raw(values, null=null)
    if _BIGINTS.fullmatch("\n".join([*texts, ""])):
        return texts, nulls
    # Written as 1.0 or 1e3, or very long, or no number at all.
    joined = ",".join("null" if text == NULL else text for text in texts)
    return _bigint(_INTEGERS.decode(f"[{joined}]"))


def _boolean(values: Sequence[Any]) -> tuple[list[str], int]:
    words = {None: NULL, True: "true", False: "false"}
    return [words[v] for v in values], values.count(None)


def _matching(
    form: re.Pattern[str],
    check: Callable[[str], Any],
    decoder: msgspec.json.Decoder[Any] | None,
    values: Sequence[Any],
) -> tuple[Sequence[str], int]:
    """Encode texts of one form; the decoder passes most of them at once, `check` all that may."""
    nulls = values.count(None)
    present = [v for v in values if v is not None] if nulls else values
    joined = "\n".join([*present, ""])
    if not form.fullmatch(joined):
        raise UnusualError
    if present and not (decoder and _decodes(decoder, joined[:-1])):
        try:
            for value in present:
                check(value)
        except ValueError:
            raise UnusualError from None
    return [NULL if v is None else v for v in values] if nulls else values, nulls


def _decodes(decoder: msgspec.json.Decoder[Any], lines: str) -> bool:
    try:
        decoder.decode('["' + lines.replace("\n", '","') + '"]')
    except msgspec.MsgspecError:
        return False
    return True


def _bytes(encoding: BinaryEncoding, values: Sequence[Any]) -> tuple[list[str], int]:
    texts = [NULL if v is None else parse_bytes(encoding, v) for v in values]
    if None in texts:
        raise UnusualError
    return cast("list[str]", texts), values.count(None)


def _raw(values: Sequence[Any], *, null: bool) -> tuple[list[str], int]:
    try:
        joined = b"\n".join(values).decode()
    except UnicodeDecodeError:
        raise UnusualError from None
    texts = joined.split("\n")
    if len(texts) != len(values) or "\\u0000" in joined:  # or a text that looks like it
        raise UnusualError
    if "null" not in joined or not (nulls := texts.count("null")):
        return texts, 0
    if not null and any(
        v is not RAW_NULL for v, text in zip(values, texts, strict=True) if text == "null"
    ):
        raise UnusualError
    return [NULL if text == "null" else text for text in texts], nulls


def _number(values: Sequence[Any], *, null: bool) -> tuple[list[str], int]:
    texts, nulls = _raw(values, null=null)
    if not {text[0] for text in texts} <= set("-0123456789" + NULL):
        raise UnusualError
    return texts, nulls


def nested_text(
    decoder: msgspec.json.Decoder[Any] | None, first: str, values: Sequence[Any], *, null: bool
) -> tuple[list[str], int]:
    """Encode nested values, which are JSON already.

    Args:
        decoder: What validates them, if anything does.
        first: Characters one of which a value begins with; empty: any.
        values: As they are in the messages.
        null: Whether null is allowed.
    """
    texts, nulls = _raw(values, null=null)
    if first and not {text[0] for text in texts} <= {*first, NULL}:
        raise UnusualError
    if decoder is not None:
        for text in texts:
            if text != NULL:
                decoder.decode(text)
    return texts, nulls
