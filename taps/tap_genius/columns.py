"""MySQL's column types: what each is in the warehouse, and the SQL that writes it as JSON.

The server writes whole rows as JSON: of all drivers and forms that is the fastest, and no digit
passes through a float on the way (benchmarks/README.md has the numbers).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, cast, column, func
from sqlalchemy.types import CHAR, NullType
from tapkit.fields import Field
from tapkit.writer import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement

__all__ = ["BINARIES", "ODD", "TYPE_FIELDS", "Column", "moment", "spelled"]

ODD = "-00"
"""What every value has in it that its type cannot hold: dates with a day or month zero, and truth
values beside 0 and 1, which are written as `"-00 7"`."""

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
BINARIES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
SHAPES = {"geometry", "point", "linestring", "polygon"}
SHAPES |= {"multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}
ORDERED = INTEGERS | BINARIES | {"decimal", "date", "datetime", "timestamp", "year"}
ORDERED |= TEXTS - {"enum", "set"}
"""Types whose order is that of their values as parameters; an enum's is that of its definition."""


@dataclass(frozen=True)
class Column:
    """A column as information_schema describes it.

    Attributes:
        name: Its name.
        type: Its type without size.
        declared: Its type with all that belongs to it.
        nullable: Whether it can be null.
        scale: Digits after the point that a FLOAT or DOUBLE was declared with.
        fraction: Digits of a second.
        is_json: Whether only JSON may stand in it.
    """

    name: str
    type: str
    declared: str
    nullable: bool = True
    scale: int | None = None
    fraction: int = 0
    is_json: bool = False

    @property
    def sql(self) -> ColumnElement[Any]:
        """The column in a statement."""
        return column(self.name, NullType())

    @property
    def field(self) -> Field:
        """What it becomes."""
        return Field(self.name, self._form[0], name=self.name)

    @property
    def is_moment(self) -> bool:
        """Whether it can tell when a row was changed."""
        return self.type in {"datetime", "timestamp"}

    @property
    def is_ordered(self) -> bool:
        """Whether pages can go by it."""
        return self.type in ORDERED

    @property
    def is_date(self) -> bool:
        """Whether a zero date can stand in it."""
        return self.is_moment or self.type == "date"

    @property
    def is_flag(self) -> bool:
        """Whether it is meant for true and false."""
        return self.declared == "bit(1)" or (
            self.declared.startswith("tinyint(1)") and "zerofill" not in self.declared
        )

    @property
    def as_number(self) -> Column:
        """The same column with numbers for true and false."""
        return replace(self, declared=self.type)

    def encoded(self, value: str | bytes) -> bytes:
        """A value as JSON, where the server could not write it."""
        if self.is_json:
            return value if isinstance(value, bytes) else value.encode()
        return encode(base64.b64encode(value).decode() if isinstance(value, bytes) else value)

    @property
    def json(self) -> ColumnElement[Any]:
        """SQL for its value as JSON; null where the server cannot hold so long a text."""
        value = self._form[1](self)
        return func.if_(self.sql.is_(None), "null", value) if self.nullable else value

    @property
    def _form(self) -> tuple[str, Callable[[Column], ColumnElement[Any]]]:
        if self.is_flag:
            return "boolean", _flag
        if self.is_json:
            return "any", lambda it: cast(it.sql, CHAR)
        for types, form in FORMS:
            if self.type in types:
                return form
        return "string", _unknown


def spelled(it: Column) -> ColumnElement[Any]:
    """A date or moment as ISO 8601 has it; DATETIME, which has no zone, is UTC."""
    if not it.is_moment:
        return it.sql
    digits = "0" * (6 - it.fraction)
    return func.concat(func.replace(it.sql, " ", "T"), f"{'' if it.fraction else '.'}{digits}Z")


def moment(change: Column, fallback: Column | None) -> ColumnElement[Any]:
    """When a row was changed, always of the same length; blank where nobody knows."""
    known = [spelled(it) for it in (change, fallback) if it]
    return func.coalesce(*known, " " * len("2024-01-31T00:00:00.000000Z"))


def _flag(it: Column) -> ColumnElement[Any]:
    number = it.sql + 0
    other = func.concat(f'"{ODD} ', number, '"')
    return case((number == 0, "false"), (number == 1, "true"), else_=other)


def _number(it: Column) -> ColumnElement[Any]:
    """A number as it is; without the zeros in front that JSON does not know."""
    return it.sql + 0 if "zerofill" in it.declared or it.type in {"year", "bit"} else it.sql


def _float(it: Column) -> ColumnElement[Any]:
    """A FLOAT with the six digits that MySQL shows, unless these stand for another number."""
    if it.scale is not None:
        return _number(it)
    exact = it.sql + 0.0
    half_a_unit = func.pow(2, func.floor(func.log2(func.abs(it.sql))) - 24)
    shown = func.concat(it.sql)
    is_exact = (it.sql == 0) | (func.abs(shown - it.sql) <= half_a_unit)
    return func.if_(is_exact, shown, func.concat(exact))


def _text(it: Column) -> ColumnElement[Any]:
    return func.json_quote(it.sql)


def _quoted(it: Column) -> ColumnElement[Any]:
    return func.concat('"', spelled(it), '"')


def _base64(it: Column) -> ColumnElement[Any]:
    return func.concat('"', func.replace(func.to_base64(it.sql), "\n", ""), '"')


def _shape(it: Column) -> ColumnElement[Any]:
    return func.json_quote(func.st_astext(it.sql))


def _unknown(it: Column) -> ColumnElement[Any]:
    return func.json_quote(cast(it.sql, CHAR))


FORMS: tuple[tuple[set[str], tuple[str, Callable[[Column], ColumnElement[Any]]]], ...] = (
    (INTEGERS | {"year", "bit"}, ("integer", _number)),
    ({"decimal"}, ("decimal", _number)),
    ({"double"}, ("number", _number)),
    ({"float"}, ("number", _float)),
    ({"datetime", "timestamp"}, ("datetime", _quoted)),
    ({"date"}, ("date", _quoted)),
    ({"time"}, ("string", _quoted)),
    (TEXTS, ("string", _text)),
    (BINARIES, ("base64", _base64)),
    (SHAPES, ("string", _shape)),
)
"""Types → the type of field, and the SQL for its JSON. A TIME may be a duration, or below zero, and
so is text."""

TYPE_FIELDS = tuple(
    Column(name, name.partition("(")[0], name, is_json=name == "json").field
    for name in (
        *("tinyint(1)", "bit(1)", "bit", "tinyint", "smallint", "mediumint", "int", "bigint"),
        *("decimal", "float", "double", "year", "date", "datetime", "timestamp", "time"),
        *("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"),
        *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry"),
    )
)
"""Each of MySQL's types as a field, for the README."""
