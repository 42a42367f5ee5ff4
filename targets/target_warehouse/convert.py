"""What becomes of one record: the reference for `fast`, and the one that explains.

A record that breaks its schema is refused. A value that its column cannot hold becomes null, or is
cleaned, and is noted in ``sync_issues``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, cast

from jsonschema.validators import extend
from singer_sdk.exceptions import MissingKeyPropertiesError
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from target_warehouse import moments
from target_warehouse.binary import parse_bytes
from target_warehouse.jsontext import UNSTORABLE, clean, dumps, is_finite, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jsonschema import TypeChecker
    from warehouse.rejects import ErrorClass

    from target_warehouse.binary import BinaryEncoding
    from target_warehouse.columns import Column

__all__ = ["BIGINT", "Converter", "Encoded", "RefusedError"]

BIGINT: Final = 2**63

ISSUES: Final = "sync_issues"
_DATES: Final[dict[str, Callable[[str], str | None]]] = {
    "date": moments.parse_date,
    "datetime": moments.parse_datetime,
    "time": moments.parse_time,
}
_BOOLEANS: Final = {"true": "t", "false": "f", "1": "t", "0": "f"}


class RefusedError(Exception):
    """The record goes to ``sync_rejects``."""

    def __init__(self, error_class: ErrorClass, message: str) -> None:
        """Say why, as stored beside the record."""
        super().__init__(message)
        self.error_class: ErrorClass = error_class


@dataclass
class Encoded:
    """One record as COPY takes it.

    `values` are texts in the order of the columns, None for null. `issues` is the text of
    ``sync_issues`` or None; `found` has what the target itself noted: field → reason.
    """

    values: list[str | None]
    issues: str | None = None
    found: dict[str, str] = field(default_factory=dict)


class _IssueError(Exception):
    """The value cannot be stored in its column."""


class Converter:
    """Validates and converts the records of one schema, one by one, exactly."""

    def __init__(
        self,
        schema: dict[str, Any],
        columns: Sequence[Column],
        keys: Sequence[str],
        *,
        validate: bool = True,
        strict: bool = False,
        invalid_dates: str = "null",
    ) -> None:
        """Prepare for one schema.

        Args:
            schema: The stream's JSON schema.
            columns: Columns of the data, in their order.
            keys: Fields that make up the key.
            validate: Refuse records that break the schema.
            strict: Refuse records that would have ``sync_issues``.
            invalid_dates: ``null`` them, ``clamp`` those out of range, or ``reject`` the record.
        """
        self.invalid_dates = invalid_dates
        self.columns = columns
        self.keys = keys
        self.strict = strict
        self.overflowed: set[Column] = set()
        """Whole-number columns that have met a number they cannot hold."""
        self._validator = validator(schema) if validate else None

    def encode(self, record: dict[str, Any]) -> Encoded:
        """Return the record ready for COPY.

        Raises:
            RefusedError: The record breaks the schema, or may not have issues.
            MissingKeyPropertiesError: A key property is not there at all.
        """
        self._check(record)
        encoded = Encoded([])
        issues = dict(record.get(ISSUES) or {})
        for column in self.columns:
            value = record.get(column.field)
            text, problem = self._encode_value(column, value)
            encoded.values.append(text)
            if problem:
                encoded.found[column.field] = problem
                issues[column.field] = {"value": _original(value), "error": problem}
            if text is None and column.field in self.keys:
                raise RefusedError("conversion", f"The key property '{column.field}': {problem}")
        if issues:
            if self.strict:
                raise RefusedError("conversion", dumps(issues))
            encoded.issues = dumps(issues)
        return encoded

    def known_key(self, record: dict[str, Any]) -> dict[str, str]:
        """Return column → text of the key columns that can be read from a refused record."""
        known = {}
        for column in self.columns:
            if column.field in self.keys and record.get(column.field) is not None:
                text, problem = self._encode_value(column, record[column.field])
                if text is not None and problem is None:
                    known[column.name] = text
        return known

    def _check(self, record: dict[str, Any]) -> None:
        if missing := [key for key in self.keys if key not in record]:
            raise MissingKeyPropertiesError(f"A record lacks the key properties {missing}")
        if nulls := [key for key in self.keys if record[key] is None]:
            raise RefusedError("validation", f"The key property '{nulls[0]}' is null")
        if self._validator is None:
            return
        for error in self._validator.iter_errors(record):
            place = ".".join(map(str, error.absolute_path))
            raise RefusedError(
                "validation", f"{place}: {error.message}" if place else error.message
            )

    def _encode_value(self, column: Column, value: Any) -> tuple[str | None, str | None]:
        if value is None:
            return None, None
        try:
            text = self._text(column, value)
        except _IssueError as issue:
            clamped = column.kind in {"date", "datetime"} and self._clamp(column, value)
            return (clamped, "Out of range, clamped") if clamped else (None, str(issue))
        nested = column.storage in {"jsonb", "json"}
        replaced = _unstorable(value) if nested else UNSTORABLE.search(text) is not None
        return clean(text), "Unstorable characters replaced" if replaced else None

    def _text(self, column: Column, value: Any) -> str:
        storage = column.storage
        if storage in {"jsonb", "json"}:
            return dumps(value)
        if column.kind in _DATES:
            return _moment(column, value)
        if storage == "boolean":
            return _boolean(value)
        if storage == "bytea" and column.kind in {"base16", "base64"}:
            return _bytes(column, value)
        if storage in {"bigint", "numeric"}:
            return self._number(column, value)
        return value if isinstance(value, str) else dumps(value)

    def _clamp(self, column: Column, value: Any) -> str | None:
        """Follow the setting for a date that cannot be stored."""
        if self.invalid_dates == "reject":
            raise RefusedError("conversion", f"{column.field}: Failed to parse {column.kind} value")
        if self.invalid_dates == "clamp" and isinstance(value, str):
            return moments.clamp(value)
        return None

    def _number(self, column: Column, value: Any) -> str:
        try:
            number = Decimal(value.strip() if isinstance(value, str) else value)
        except (InvalidOperation, TypeError, ValueError):
            raise _IssueError("Not a number") from None
        if isinstance(value, bool) or number.is_infinite() or number.is_snan():
            raise _IssueError("Not a number that can be stored")
        if column.storage == "numeric":
            return str(number)
        if number.is_nan():
            raise _IssueError("Not a whole number")
        whole = number == number.to_integral_value() if number.adjusted() < 28 else True  # noqa: PLR2004 - Decimal's precision
        if not whole or not -BIGINT <= number < BIGINT:
            self.overflowed.add(column)
            return str(number)
        return str(int(number))


def _original(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    return dumps(value, exact=True) if _unstorable(value) else value


def _unstorable(value: Any) -> bool:
    """Tell whether `dumps` had to change something inside of a nested value."""
    if isinstance(value, str):
        return UNSTORABLE.search(value) is not None
    if isinstance(value, dict):
        return any(_unstorable(key) or _unstorable(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(map(_unstorable, value))
    return isinstance(value, (float, Decimal)) and not is_finite(value)


def _moment(column: Column, value: Any) -> str:
    text = value if isinstance(value, str) else getattr(value, "isoformat", lambda: None)()
    if text is None:
        raise _IssueError(f"Not a {column.kind}")
    if column.storage == "text":
        return text
    if (parsed := _DATES[column.kind](text)) is None:
        raise _IssueError(f"Failed to parse {column.kind} value")
    return parsed


def _bytes(column: Column, value: Any) -> str:
    text = (
        parse_bytes(cast("BinaryEncoding", column.kind), value) if isinstance(value, str) else None
    )
    if text is None:
        raise _IssueError(f"Not {column.kind}")
    return text


def _boolean(value: Any) -> str:
    text = _BOOLEANS.get(str(value).lower())
    if text is None:
        raise _IssueError("Not a boolean")
    return text


def _is_integer(_: TypeChecker, value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite() and bool(value == value.to_integral_value())
    return isinstance(value, int) and not isinstance(value, bool)


def _is_boolean(_: TypeChecker, value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int) and value in {0, 1})


_Validator = extend(
    DEFAULT_JSONSCHEMA_VALIDATOR,
    # Fractions of a decimal are no reason to refuse it, and 1e-38 is more than the check can do.
    {"multipleOf": None},
    type_checker=DEFAULT_JSONSCHEMA_VALIDATOR.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "boolean": _is_boolean}
    ),
)


def validator(schema: dict[str, Any]) -> Any:
    """Return a validator of records: undeclared fields, 0/1 for booleans and 1.0 pass."""
    schema = copy.copy(schema)
    schema.pop("additionalProperties", None)
    return _Validator(schema)
