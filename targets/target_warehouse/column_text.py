"""What has to be looked at in one column of a chunk before it becomes COPY text.

Text, whole numbers and booleans are right as they were decoded. For the rest a check says whether
the values are, or gives others in their place; whatever is not plain raises `UnusualError`.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_warehouse import moments
from target_warehouse.binary import parse_bytes
from target_warehouse.typed import (
    RAW_NULL,
    UnsupportedError,
    first_characters,
    nested_decoder,
    nullable,
    only_strings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_warehouse.binary import BinaryEncoding
    from target_warehouse.columns import Column

    Check = Callable[[Sequence[Any]], Sequence[Any] | None]

__all__ = ["Check", "UnusualError", "column_check", "nested"]

_DATETIMES: Final = re.compile(f"(?:{moments.DATETIME}\n)*")
_TIMES: Final = re.compile(f"(?:{moments.CLOCK}\n)*")
_DECIMALS: Final = re.compile(r"(?:-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\n)*")
_CONVERTED: Final = {"boolean", "bigint", "numeric", "json", "jsonb"}
_SEPARATOR: Final = b",\n"
_datetimes: Final = msgspec.json.Decoder(list[datetime]).decode
_dates: Final = msgspec.json.Decoder(list[date]).decode
_numbers: Final = msgspec.json.Decoder(list[float | None]).decode


class UnusualError(Exception):
    """Something in the chunk needs a closer look."""


def column_check(  # noqa: PLR0911 - a table
    column: Column, schema: Mapping[str, Any]
) -> Check | None:
    """Return what checks the values of one column, None where there is nothing to check.

    Returns:
        A function that gives the values to write instead, or None where they are right as they are.

    Raises:
        UnsupportedError: Only `convert` can do it.
    """
    match column.kind, column.storage:
        case "number", "numeric" if not only_strings(schema):
            return partial(_number, null=nullable(schema))
        case "number", "numeric":
            return partial(_matching, _DECIMALS, float)
        case "json", "jsonb":
            return partial(
                nested, nested_decoder(schema), first_characters(schema), null=nullable(schema)
            )
        case "datetime", ("timestamp with time zone" | "timestamp without time zone"):
            return _datetime
        case "date", ("date" | "timestamp with time zone" | "timestamp without time zone"):
            return _date
        case (("base16" | "base64"), "bytea"):
            return partial(_bytes, column.kind)
        case "time", "time without time zone":
            return partial(_matching, _TIMES, time.fromisoformat)
        case ("integer", ("bigint" | "numeric" | "text")) | ("boolean", "boolean"):
            return None
        case (kind, storage) if only_strings(schema) and (
            storage == "text" or (kind == "text" and storage not in _CONVERTED)
        ):
            return None  # text, or somebody's own type, which reads texts
        case _:
            raise UnsupportedError(f"{column.kind} in {column.storage}")


def _present(values: Sequence[str | None]) -> Sequence[str]:
    return [v for v in values if v is not None]


def _datetime(values: Sequence[str | None]) -> None:
    """Check moments, quickly where all of them are in the common forms of UTC."""
    present = _present(values)
    joined = '","'.join(present)
    common = joined.count("Z") + joined.count("+00:00") == len(present)
    if not (common and _decodes(_datetimes, joined, len(present))):
        _matching(_DATETIMES, datetime.fromisoformat, values)


def _date(values: Sequence[str | None]) -> None:
    present = _present(values)
    if not _decodes(_dates, '","'.join(present), len(present)):
        raise UnusualError


def _decodes(decode: Callable[[str], list[Any]], joined: str, count: int) -> bool:
    """Tell whether texts are of a type, given joined as JSON strings."""
    try:
        return not count or len(decode(f'["{joined}"]')) == count
    except msgspec.MsgspecError:
        return False


def _matching(
    form: re.Pattern[str], check: Callable[[str], Any], values: Sequence[str | None]
) -> None:
    """Check texts of one form."""
    present = _present(values)
    if not form.fullmatch("\n".join([*present, ""])):
        raise UnusualError
    try:
        for value in present:
            check(value)
    except ValueError:
        raise UnusualError from None


def _bytes(encoding: BinaryEncoding, values: Sequence[str | None]) -> Sequence[str | None]:
    texts = [None if v is None else parse_bytes(encoding, v) for v in values]
    if texts.count(None) > values.count(None):
        raise UnusualError
    return texts


def _number(values: Sequence[msgspec.Raw], *, null: bool) -> None:
    if len(_numbers(b"[%b]" % _joined(values, null=null))) != len(values):
        raise UnusualError


def nested(
    decode: Callable[[bytes], Any] | None,
    first: str,
    values: Sequence[msgspec.Raw],
    *,
    null: bool,
) -> Sequence[str | None]:
    """Return nested values as texts, for the database to parse.

    Args:
        decode: What validates an array of them, if anything does.
        first: Characters one of which a value begins with; empty: any.
        values: As they are in the messages.
        null: Whether null is allowed.
    """
    joined = _joined(values, null=null)
    if b"\\u0000" in joined:  # or a text that looks like it
        raise UnusualError
    if decode is None and b"\\ud" in joined:
        decode = msgspec.json.decode  # refuses halves of surrogate pairs, as the database does
    if decode:
        decode(b"[%b]" % joined)
    texts = joined.decode().split(_SEPARATOR.decode())
    if len(texts) != len(values):  # messages with line feeds in them
        texts = [str(v, "utf-8") for v in values]
    begun = {text[0] for text in texts}
    if "n" in begun:
        return _with_nulls(texts, {*first})
    if first and not begun <= {*first}:
        raise UnusualError
    return texts


def _with_nulls(texts: list[str], first: set[str]) -> list[str | None]:
    present = [None if text == "null" else text for text in texts]
    if first and not {text[0] for text in present if text} <= first:
        raise UnusualError
    return present


def _joined(values: Sequence[msgspec.Raw], *, null: bool) -> bytes:
    """Return values as an array has them, unless one is null in its message that may not be."""
    joined = _SEPARATOR.join(values)
    if not null and b"null" in joined and any(v == RAW_NULL and v is not RAW_NULL for v in values):
        raise UnusualError
    return joined
