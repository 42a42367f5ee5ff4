"""The types a field can have: how a CRM's value becomes a column's, and what is wrong with it.

Text types keep a value that fails its check; typed columns cannot, and become null. Either way the
original and the reason go into `sync_issues`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import email_validator
import msgspec
import phonenumbers

from tapkit import dates

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TYPES", "Type"]

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class Type:
    """A type of field.

    Attributes:
        schema: JSON Schema of the column.
        convert: Gives the column's value, or raises ValueError with the reason.
        is_text: Whether a value that fails stays as it is, rather than becoming null.
        is_plain: Whether a `str` needs neither conversion nor check.
        personal: Whether values identify a person, and so are shortened in logs.
    """

    schema: dict[str, Any]
    convert: Callable[[Any], Any]
    is_text: bool = False
    is_plain: bool = False
    personal: bool = False


def _schema(*types: str, **keywords: str) -> dict[str, Any]:
    return {"type": [*types, "null"], **keywords}


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return _encoder.encode(value).decode()
    return str(value)


def _number(value: Any) -> Decimal | int:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError("not a number")
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not number.is_finite() or "_" in value:
        raise ValueError("not a finite number")
    return number


def _decimal(value: Any) -> Decimal | int:
    """A number that may be written as money is: `$1,234.50`."""
    if isinstance(value, str) and not value.strip().replace(".", "", 1).isdecimal():
        value = re.sub(r"^(-?)\s*[$€£]\s*|(?<=\d),(?=\d{3})", r"\1", value.strip())
    return _number(value)


def _integer(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    try:
        return BOOLEANS[str(value).strip().lower()]
    except KeyError:
        raise ValueError("not true or false") from None


def _datetime(value: Any) -> str:
    return dates.text(dates.parse_datetime(value))


def _date(value: Any) -> str:
    return dates.parse_date(value).isoformat()


def _time(value: Any) -> str:
    return dates.parse_time(value).isoformat()


def _json(*kinds: type, reason: str) -> Callable[[Any], Any]:
    """JSON of some kinds, as it is or as text."""

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = _decoder.decode(value)
            except (msgspec.DecodeError, UnicodeEncodeError):
                raise ValueError("not JSON") from None
        if isinstance(value, kinds):
            return value
        raise ValueError(reason)

    return convert


def _base64(value: Any) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise ValueError("not base64") from None
    return str(value)


def _object_id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("not an id")
    return str(value)


PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+-]{1,32}(\.[a-z0-9_+-]{1,32})?@([a-z0-9]{1,60}\.){1,2}(com|net|org|edu|gov|us|ca)",
    re.IGNORECASE | re.ASCII,
).fullmatch
PLAIN_PHONE = re.compile(
    r"(\+?1[ .-]?)?(\([2-9]\d\d\)|[2-9]\d\d)[ .-]?\d{3}[ .-]?\d{4}", re.ASCII
).fullmatch
"""What the libraries surely accept. They judge the rest, at some 100 times the time."""


def _email(value: Any) -> str:
    address = _string(value)
    if PLAIN_EMAIL(address):
        return address
    try:
        email_validator.validate_email(
            address.strip(), check_deliverability=False, test_environment=True
        )
    except email_validator.EmailNotValidError:
        raise ValueError("not an e-mail address") from None
    return address


def _phone(value: Any) -> str:
    number = _string(value)
    if PLAIN_PHONE(number):
        return number
    try:
        if phonenumbers.is_possible_number(phonenumbers.parse(number, "US")):
            return number
    except phonenumbers.NumberParseException:
        pass
    raise ValueError("not a phone number")


def _url(value: Any) -> str:
    address = _string(value)
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
    except ValueError:
        raise ValueError("not a web address") from None
    if "." not in (parts.hostname or "") or " " in address.strip():
        raise ValueError("not a web address")
    return address


def _matches(pattern: str, reason: str) -> Callable[[Any], str]:
    matches = re.compile(pattern, re.IGNORECASE).fullmatch

    def check(value: Any) -> str:
        text = _string(value)
        if not matches(text.strip()):
            raise ValueError(reason)
        return text

    return check


TYPES: dict[str, Type] = {
    "string": Type(_schema("string"), _string, is_text=True, is_plain=True),
    "integer": Type(_schema("integer"), _integer),
    "number": Type(_schema("number"), _number),
    "decimal": Type(_schema("number"), _decimal),
    "boolean": Type(_schema("boolean"), _boolean),
    "date": Type(_schema("string", format="date"), _date),
    "datetime": Type(_schema("string", format="date-time"), _datetime),
    "time": Type(_schema("string", format="time"), _time),
    "json": Type(
        _schema("object", "array"), _json(dict, list, reason="not a JSON object or array")
    ),
    "object": Type(_schema("object"), _json(dict, reason="not a JSON object")),
    "array": Type(_schema("array"), _json(list, reason="not a JSON array")),
    "any": Type(_schema("object", "array", "string", "number", "boolean"), lambda value: value),
    "base64": Type(_schema("string", contentEncoding="base64"), _base64),
    "object_id": Type(_schema("string"), _object_id, is_text=True, is_plain=True),
    "email": Type(_schema("string"), _email, is_text=True, personal=True),
    "phone": Type(_schema("string"), _phone, is_text=True, personal=True),
    "url": Type(_schema("string"), _url, is_text=True, personal=True),
    "zip_code": Type(
        _schema("string"),
        _matches(r"\d{5}(-?\d{4})?|[A-Z]\d[A-Z] ?\d[A-Z]\d", "not a US or Canadian postal code"),
        is_text=True,
        personal=True,
    ),
    "state": Type(
        _schema("string"),
        _matches(r"[A-Z]{2}", "not a two-letter state code"),
        is_text=True,
    ),
}
"""Every type a field table may name."""
