"""What type the values of a column have.

A type is only inferred where it changes nothing: the value, converted and written as text again,
is the text that was in the file. `007`, `1e5`, `1.0 ` and `TRUE` stay text.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FITS", "FITS_TYPED", "join", "kind_of"]

INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}").fullmatch
"""Eighteen digits at most: a longer one is a name rather than a number."""
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}").fullmatch
DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
).fullmatch


def _is(kind: type, text: str) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


def _is_integer(value: Any) -> bool:
    if type(value) is str:
        return INTEGER(value) is not None
    return type(value) is int


def _is_number(value: Any) -> bool:
    if type(value) is str:
        return (NUMBER(value) or INTEGER(value)) is not None
    return type(value) is Decimal or type(value) is int


def _is_boolean(value: Any) -> bool:
    return type(value) is bool or (type(value) is str and value in {"true", "false"})


def _is_date(value: Any) -> bool:
    return type(value) is str and DATE(value) is not None and _is(date, value)


def _is_datetime(value: Any) -> bool:
    return type(value) is str and MOMENT(value) is not None and _is(datetime, value)


def _is_json(value: Any) -> bool:
    return type(value) is dict or type(value) is list


FITS: Final[dict[str, Callable[[Any], bool]]] = {
    "boolean": _is_boolean,
    "integer": _is_integer,
    "number": _is_number,
    "date": _is_date,
    "datetime": _is_datetime,
    "json": _is_json,
}
"""Type → whether a value is of it. All values are text at least."""


def _typed(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is not str and fits(value)


FITS_TYPED: Final = {
    kind: fits if kind in {"date", "datetime"} else _typed(fits) for kind, fits in FITS.items()
}
"""The same for files that have types of their own: JSON's `"5"` is text."""


def kind_of(value: Any, *, is_typed: bool) -> str | None:
    """The type of one value; None for no value, which is of any type.

    Args:
        value: From the file.
        is_typed: Whether the file has types of its own.
    """
    if value is None:
        return None
    fits = FITS_TYPED if is_typed else FITS
    return next((kind for kind in fits if fits[kind](value)), "string")


def join(one: str | None, other: str | None) -> str | None:
    """The type that holds the values of both."""
    if one is None or other is None or one == other:
        return one or other
    return "number" if {one, other} == {"integer", "number"} else "string"
