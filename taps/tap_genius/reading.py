"""How a table is read: in which order, from where on, and what a statement has to say for it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, cast, func, or_, select, table, type_coerce
from sqlalchemy.types import BINARY, NullType
from tapkit.fields import ISSUES
from tapkit.keyset import behind

from tap_genius.columns import BINARIES, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

    from tap_genius.columns import Column
    from tap_genius.discovery import Table

__all__ = ["Pass", "Reading"]

MARK = len("2024-01-31T00:00:00.000000Z")

BEGINNING = datetime(1000, 1, 1)  # noqa: DTZ001 - DATETIME has no zone
"""No date that MySQL takes is older, but the zero date is."""


_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


@dataclass(frozen=True)
class Pass:
    """Rows that are read page by page.

    Attributes:
        order: The columns they are ordered by; together they tell every row from every other.
        where: Which rows.
    """

    order: tuple[Column, ...]
    where: ColumnElement[bool] | None = None


@dataclass(frozen=True)
class Reading:
    """Reads some columns of a table.

    Attributes:
        table: The table.
        columns: What is read.
        keys: The key; empty for a table without.
        change: The column that tells when a row was changed.
        fallback: The column that tells it where `change` is null.
    """

    table: Table
    columns: tuple[Column, ...]
    keys: tuple[Column, ...]
    change: Column | None
    fallback: Column | None

    @property
    def mark(self) -> int:
        """How many characters before a row's JSON tell when it was changed."""
        return MARK if self.change else 0

    @property
    def goes_by_change(self) -> bool:
        """Whether changes can be read in the order in which they happened."""
        names = [it.name for it in (self.change, *self.keys) if it]
        return bool(self.change) and self._pages and self.table.sorts_by(*names)

    @property
    def _pages(self) -> bool:
        return bool(self.keys) and all(key.is_ordered for key in self.keys)

    def passes(self, since: datetime | None) -> list[Pass]:
        """What to read, in this order: everything, or what was changed since some moment.

        Everything is read along the key, which is the order in which InnoDB stores it. Rows that
        do not tell when they were changed come first: the bookmark may move behind the others.
        """
        by_key = self.keys if self._pages else ()
        if since is None or self.change is None:
            return [Pass(by_key)]
        since = since.replace(tzinfo=None)
        changed = self.change.sql >= since
        if not self.goes_by_change:
            return [Pass(by_key, or_(changed, self._silent(since)))]
        return [Pass(by_key, self._silent(since)), Pass((self.change, *by_key), changed)]

    def _silent(self, since: datetime) -> ColumnElement[bool]:
        """Rows that do not tell when they were changed, unless the fallback says long ago."""
        conditions = [_unknown(self.change)] if self.change else []
        if self.fallback:
            conditions.append(or_(self.fallback.sql >= since, _unknown(self.fallback)))
        return and_(*conditions)

    def page(self, part: Pass, after: Sequence[Any] | None, size: int) -> Select[Any]:
        """The rows behind a position, each as its mark and its JSON."""
        said = func.concat(*self._mark, *self._json)
        return self._select(part, after, size, _as_bytes(said))

    def pieces(self, part: Pass, after: Sequence[Any] | None) -> Select[Any]:
        """The next row, its mark and each column's JSON apart."""
        said = (func.concat("", *self._mark), *(it.json for it in self.columns))
        return self._select(part, after, 1, *map(_as_bytes, said))

    def value(self, part: Pass, after: Sequence[Any] | None, it: Column) -> Select[Any]:
        """One column of the next row, as it is."""
        return self._select(part, after, 1, type_coerce(it.sql, NullType()))

    def count(self) -> Select[Any]:
        """How many rows there are."""
        return select(func.count()).select_from(self._source)

    def position(self, part: Pass, line: bytes) -> tuple[Any, ...]:
        """Where a row stands in the order of its pass."""
        record = _decode(line)
        return tuple(_parameter(it, record[it.name]) for it in part.order)

    def _select(
        self, part: Pass, after: Sequence[Any] | None, size: int, *said: Any
    ) -> Select[Any]:
        statement = select(*said).select_from(self._source)
        if part.where is not None:
            statement = statement.where(part.where)
        if after is not None:
            statement = statement.where(behind([it.sql for it in part.order], after))
        if part.order:
            statement = statement.order_by(*(it.sql for it in part.order)).limit(size)
        return statement

    @cached_property
    def _source(self) -> Any:
        return table(self.table.name)

    @cached_property
    def _mark(self) -> list[Any]:
        return [moment(self.change, self.fallback)] if self.change else []

    @cached_property
    def _json(self) -> list[Any]:
        said: list[Any] = []
        before = "{"
        for it in self.columns:
            said += [f"{before}{msgspec.json.encode(it.name).decode()}:", it.json]
            before = ","
        return [*said, f'{before}"{ISSUES}":null}}']


def _unknown(it: Column) -> ColumnElement[bool]:
    """Whether a moment is null or, which is older than any other, the zero date."""
    return or_(it.sql.is_(None), it.sql < BEGINNING)


def _as_bytes(said: Any) -> ColumnElement[Any]:
    return type_coerce(cast(said, BINARY), NullType())


def _parameter(it: Column, value: Any) -> Any:
    """A value of a record as a statement takes it."""
    if it.is_moment:  # as text: the zero date is none that Python has
        return value.replace("T", " ").removesuffix("Z")
    return base64.b64decode(value) if it.type in BINARIES else value
