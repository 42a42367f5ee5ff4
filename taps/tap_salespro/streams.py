"""The tables as streams."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, column, func, literal, or_, select, table, true
from tapkit import dates
from tapkit.errors import NotFound
from tapkit.fields import Field
from tapkit.stream import Stream

from tap_salespro.database import TypeMismatch, is_moment, is_text
from tap_salespro.keyset import groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnClause, ColumnElement, FromClause

    from tap_salespro.database import Row
    from tap_salespro.tables import Table
    from tap_salespro.tap import TapSalesPro

__all__ = ["CHECKSUM", "TableStream"]

CHECKSUM = Field("row_id", description="Checksum of the columns that tell rows apart")
PAGE = 1000


class TableStream(Stream):
    """The rows of a table.

    Changes are found by `updated_at`, where that is null by `created_at`; rows that have neither
    are read in each run. What is read is sorted by that and the key, in windows that begin behind
    the last row of the window before.
    """

    tap: TapSalesPro

    def __init__(self, tap: TapSalesPro, source: Table, name: str | None = None) -> None:
        self.source = source
        self._of_table = (tap.database.tables or {}).get(source.name)
        self._as_text = tap.database.keeps_moments_as_text
        self.fields = tuple(self.all_fields())
        super().__init__(tap, name or source.name)
        self.replication_key = source.changed[0] if source.changed else None

    @property
    def primary_keys(self) -> Sequence[str]:
        return self.source.key if len(self.source.key) == 1 else (CHECKSUM.name,)

    @primary_keys.setter
    def primary_keys(self, new_value: Sequence[str]) -> None:
        """Leave it as it is: it is the table's, whatever an older catalog says."""

    def all_fields(self) -> Iterator[Field]:
        """The columns: the documented ones, those that the table has beside them, the checksum."""
        yield from self.source.fields
        yield from self.further()
        if len(self.source.key) > 1:
            yield CHECKSUM

    def further(self) -> Iterable[Field]:
        """The columns that the table has beside the documented ones."""
        known = {field.name for field in self.source.fields}
        for name, kind in (self._of_table or {}).items():
            if name not in known:
                yield Field(name, "datetime" if is_moment(kind) else _plain(kind))

    def pages(self) -> Iterator[list[Any]]:
        page: list[Row] = []
        for group in self.groups():
            rows = sorted(group, key=repr) if len(group) > 1 else group
            page += [self.prepared(row) for row in (rows[-1:] if self.source.newest else rows)]
            if len(page) >= PAGE:
                yield page
                page = []
        yield page

    def prepared(self, row: Row) -> Row:
        """A row as the field table expects it."""
        if len(self.source.key) > 1:
            said = "\0".join(_said(row.get(name)) for name in self.source.key)
            row[CHECKSUM.name] = hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()
        return row

    def groups(self) -> Iterator[list[Row]]:
        """The rows to read, those that are the same to the order together."""
        if self.tap.database.tables is not None and self._of_table is None:
            raise NotFound(f"The database has no table {self.source.name}")
        changed = self._changed
        if changed is None:
            yield from self._groups(true(), [])
            return
        self.read_below(dates.now())  # a row from the future would hide all changes until then
        yield from self._groups(changed.is_(None), [])
        since = self.starting_point()
        if since is None:
            yield from self._groups(changed.is_not(None), [changed])
            return
        try:
            yield from self._groups(changed >= self._bound(since), [changed])
        except TypeMismatch:
            if self._as_text:
                raise
            self._as_text = True  # the catalog did not tell; nothing was read with this bound
            yield from self._groups(changed >= self._bound(since), [changed])

    # Inside

    def _groups(
        self, condition: ColumnElement[bool], order: list[ColumnElement[Any]]
    ) -> Iterator[list[Row]]:
        keys = [name for name in self.source.key if name not in self.source.changed or not order]
        if len(self.source.key) > 1:  # of which some may be missing, as any documented column
            keys = [name for name in keys if name in self._columns]
        texts = {name: self._compares_as_text(name) for name in keys}
        dated = bool(order)
        order = [*order, *(part for name in keys for part in self._parts(name))]

        def place(row: Row) -> tuple[Any, ...]:
            moment = [self._first(row)] if dated else []
            parts = (_parts(row[name], is_text=texts[name]) for name in keys)
            return (*moment, *chain.from_iterable(parts))

        if name := self.source.not_empty:
            first = self._parts(name)[0]  # text, or whether it is null
            condition = and_(condition, first != "" if self._compares_as_text(name) else first == 0)
        size = self.config["page_size"]
        limit = self.config.get("max_records") or 0
        size = min(size, limit + 1) if limit else size
        yield from groups(self.tap.database, self._from, order, condition, size, place)

    @property
    def _columns(self) -> set[str]:
        """The columns that the table has, as far as that is known."""
        return {*(self._of_table or (field.name for field in self.source.fields))}

    @cached_property
    def _rows(self) -> FromClause:
        return self._named("t")

    @cached_property
    def _from(self) -> FromClause:
        """The table, or of each key the rows that no other is newer than."""
        if not self.source.newest or self._changed is None:
            return self._rows
        inner, key = self._named("n"), self.source.key[0]
        newest = (
            select(inner.c[key].label("of"), func.max(self._coalesced(inner)).label("at"))
            .group_by(inner.c[key])
            .subquery("newest")
        )
        same = self._rows.c[key] == newest.c.of
        is_newest = or_(self._changed == newest.c.at, newest.c.at.is_(None))
        return self._rows.join(newest, and_(same, is_newest))

    def _named(self, alias: str) -> FromClause:
        names = {*self.source.key, *self.source.changed} | {*filter(None, [self.source.not_empty])}
        columns: list[ColumnClause[Any]] = [column(name) for name in sorted(names)]
        return table(self.source.name, *columns, schema=self.tap.database.schema).alias(alias)

    @cached_property
    def _changed(self) -> ColumnElement[Any] | None:
        return self._coalesced(self._rows) if self._changing else None

    @cached_property
    def _changing(self) -> list[str]:
        return [name for name in self.source.changed if name in self._columns]

    def _coalesced(self, of: FromClause) -> ColumnElement[Any]:
        named = [of.c[name] for name in self._changing]
        return func.coalesce(*named) if len(named) > 1 else named[0]

    def _first(self, row: Row) -> Any:
        return next((row[name] for name in self._changing if row[name] is not None), None)

    def _parts(self, name: str) -> list[ColumnElement[Any]]:
        """What sorts a column whose nulls some databases put first, some last."""
        one = self._rows.c[name]
        if self._compares_as_text(name):
            return [func.coalesce(one, literal(""))]
        return [case((one.is_(None), 1), else_=0), one]

    def _compares_as_text(self, name: str) -> bool:
        if self._of_table is not None:
            return is_text(self._of_table[name]) or self.tap.database.keeps_moments_as_text
        kinds = {field.name: field.type for field in self.source.fields}
        return kinds[name] in {"object_id", "string"}

    def _bound(self, since: datetime) -> Any:
        """Where to begin, as the column compares; of text nobody knows more than the day's form."""
        kinds = [(self._of_table or {}).get(name) for name in self._changing]
        if self._as_text or (self._of_table is not None and all(map(is_text, kinds))):
            return since.date().isoformat()
        zoned = any(getattr(kind, "timezone", False) for kind in kinds)
        return since if zoned else since.astimezone(timezone.utc).replace(tzinfo=None)


def _parts(value: Any, *, is_text: bool) -> list[Any]:
    """The same of a value."""
    if is_text:
        return ["" if value is None else value]
    return [int(value is None), value]


def _plain(kind: Any) -> str:
    try:
        name = kind.python_type.__name__
    except (AttributeError, NotImplementedError):
        return "string"
    kinds = {"int": "integer", "float": "number", "Decimal": "number", "bool": "boolean"}
    return {**kinds, "date": "date", "time": "time", "dict": "json", "list": "json"}.get(
        name, "string"
    )


def _said(value: Any) -> str:
    """A value in one form, however the database gives it."""
    if isinstance(value, datetime):
        return dates.text(value)
    return "" if value is None else str(value)
