"""Genius' tables as SQLAlchemy has them, and made-up rows for them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.dialects import mysql

from crm_sandbox.genius.tables import TABLES
from crm_sandbox.words import FIRST_NAMES, LAST_NAMES, PLACES, STREETS, TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.types import TypeEngine

__all__ = ["FIRST_MOMENT", "LAST_MOMENT", "metadata", "rows"]

FIRST_MOMENT = datetime(2024, 1, 1)  # noqa: DTZ001 - DATETIME has no zone
LAST_MOMENT = datetime(2026, 10, 30, 12)  # noqa: DTZ001
"""Between these the rows were changed, later ones later."""

DAY = 86_400
NULL_SHARE = 0.3
BLANK_SHARE = 0.05

TYPES: dict[str, type[TypeEngine[Any]]] = {
    "smallint": mysql.SMALLINT,
    "int": mysql.INTEGER,
    "bigint": mysql.BIGINT,
    "decimal": mysql.DECIMAL,
    "float": mysql.FLOAT,
    "date": mysql.DATE,
    "datetime": mysql.DATETIME,
    "time": mysql.TIME,
    "interval": mysql.TIME,
    "text": mysql.TEXT,
    "string": mysql.VARCHAR,
}


def metadata() -> MetaData:
    """All tables, with their keys and an index on what tells changes."""
    found = MetaData()
    for name, text in TABLES.items():
        columns = [_column(part) for part in re.split(r",\s+(?=[a-z])", text.strip())]
        table = Table(name, found, *columns, mysql_charset="utf8mb4", mysql_engine="InnoDB")
        if "updated_at" in table.c:
            Index(f"{name}_updated_at", table.c.updated_at)
    return found


def rows(table: Table, count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Make rows, always the same ones for a seed; keys count from 1, changes run forward."""
    random = Random(f"{seed} {table.name}")  # noqa: S311 - made-up data
    step = (LAST_MOMENT - FIRST_MOMENT) / max(count, 1)
    for place in range(1, count + 1):
        moment = (FIRST_MOMENT + step * place).replace(microsecond=0)
        yield {c.name: _value(c, place, moment, random) for c in table.columns}


def _column(text: str) -> Column[Any]:
    name, kind, *flags = text.split()
    is_key, is_required = "PK" in flags, "NN" in flags
    return Column(
        name,
        _type(name, kind),
        primary_key=is_key,
        nullable=not (is_key or is_required),
        autoincrement=False,
    )


def _type(name: str, kind: str) -> TypeEngine[Any]:
    word, *sizes = re.findall(r"\w+", kind)
    if word == "boolean":
        return mysql.TINYINT(display_width=1)
    if word == "smallint" and name.startswith(("is_", "with_")):
        return mysql.TINYINT()
    return TYPES[word](*map(int, sizes))


def _value(column: Column[Any], place: int, moment: datetime, random: Random) -> Any:
    kind = column.type
    if column.primary_key:
        return str(place) if isinstance(kind, mysql.VARCHAR) else place
    if column.name == "updated_at":
        return moment
    if column.nullable and random.random() < NULL_SHARE:
        return None
    if isinstance(kind, mysql.VARCHAR | mysql.TEXT):
        return _text(column.name, random)[: getattr(kind, "length", None)]
    return MAKERS[type(kind)](kind, moment, random)


def _decimal(kind: mysql.DECIMAL, _: datetime, random: Random) -> Decimal:
    digits = 10 ** min(kind.precision or 9, 9) - 1
    return Decimal(random.randrange(-digits, digits)).scaleb(-(kind.scale or 0))


MAKERS: dict[type[Any], Callable[[Any, datetime, Random], Any]] = {
    mysql.TINYINT: lambda *it: it[2].randrange(2),
    mysql.SMALLINT: lambda *it: it[2].randrange(1, 127),
    mysql.INTEGER: lambda *it: it[2].randrange(1, 100_000),
    mysql.BIGINT: lambda *it: it[2].randrange(1, 10**12),
    mysql.FLOAT: lambda *it: it[2].choice((0, 25, 12.3, 0.1, 1999.99)),
    mysql.DECIMAL: _decimal,
    mysql.TIME: lambda *it: timedelta(seconds=it[2].randrange(DAY)),
    mysql.DATE: lambda _, moment, random: (moment - timedelta(days=random.randrange(700))).date(),
    mysql.DATETIME: lambda _, moment, random: moment - timedelta(seconds=random.randrange(DAY)),
}
"""What makes a value of a type, given the type, the moment of the change and the chance."""

TEXT_MAKERS: tuple[tuple[str, Callable[[Random], str]], ...] = (
    ("email", lambda random: f"{random.randrange(10**6)}@example.com"),
    ("phone", lambda random: f"555{random.randrange(10**7):07}"),
    ("first_name", lambda random: random.choice(FIRST_NAMES)),
    ("name", lambda random: random.choice(LAST_NAMES)),
    ("address", lambda random: f"{random.randrange(2000)} {random.choice(STREETS)}"),
    ("city", lambda random: random.choice(PLACES)[0]),
    ("note", lambda random: random.choice(TEXTS)),
    ("description", lambda random: random.choice(TEXTS)),
    ("", lambda random: f"text {random.randrange(1000)}"),
)
"""What makes a text, by what is in the column's name; the first one counts."""


def _text(name: str, random: Random) -> str:
    if random.random() < BLANK_SHARE:
        return ""
    return next(make for part, make in TEXT_MAKERS if part in name)(random)
