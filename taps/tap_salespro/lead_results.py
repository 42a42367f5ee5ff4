"""The form behind `lead_results`: its answers as columns, and the jobs among them as rows.

The form is each company's own. Its titles are written with trailing spaces, dashes and ampersands
in more than one way, so they are compared by their letters and digits only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tapkit import dates
from tapkit.errors import ConfigValidationError
from tapkit.fields import Field
from tapkit.stream import DELETED_AT

from tap_salespro.streams import TableStream
from tap_salespro.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_salespro.database import Row
    from tap_salespro.tap import TapSalesPro

__all__ = ["LINE_ITEM_FIELDS", "LeadResultLineItems", "LeadResults"]

TABLE = next(table for table in TABLES if table.name == "lead_results")
ANSWERS: Final = "answers"
NOTHING: Final = {"", "-", "n/a", "none", "null"}
"""Answers that say nothing."""


def plain(title: str) -> str:
    """A title without what varies in it: `Demo - Not Sold ` → `demo_not_sold`."""
    title = title.replace("\\u0026", "&").replace("&amp;", "&").lower()
    return re.sub(r"[\W_]+", "_", title).strip("_")


def answers(said: Any) -> dict[str, str] | None:
    """The answers of a form: plain title → the first value that says anything.

    Returns:
        None for what is no form, which says nothing about its answers.
    """
    if isinstance(said, str) and said:
        try:
            said = json.loads(said)
        except ValueError:
            return None
    found: dict[str, str] = {}
    for entry in said if isinstance(said, list) else ():
        if not isinstance(entry, dict):
            continue
        value = _value(entry.get("value"))
        if value is not None:
            found.setdefault(plain(str(entry.get("title") or "")), value)
    return found


def _value(said: Any) -> str | None:
    """An answer without the dash that some begin with; None where it says nothing."""
    if said is None:
        return None
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    if text.strip().lower() in NOTHING:
        return None
    return re.sub(r"^\s*-(?!\s*[$\d])\s*", "", text)


class LeadResults(TableStream):
    """The answers to the form about an estimate, as JSON, and as columns by the settings."""

    def __init__(self, tap: TapSalesPro) -> None:
        self._pivot = dict(_pivot(tap.config.get("lead_results_columns") or {}))
        super().__init__(tap, TABLE)

    def further(self) -> Iterable[Field]:
        yield from super().further()
        for name, (kind, _, _) in self._pivot.items():
            yield Field(f"{ANSWERS}.{name}", kind, name=name)

    def prepared(self, row: Row) -> Row:
        said = answers(row.get("lead_results")) or {}
        found: Row = {}
        for name, (_, titles, pattern) in self._pivot.items():
            value = next((said[title] for title in titles if title in said), None)
            if value is not None and pattern is not None:
                match = pattern.search(value)
                value = match.group(1) if match else None
            found[name] = value
        row[ANSWERS] = found
        return row


def _pivot(
    wanted: Mapping[str, Any],
) -> Iterator[tuple[str, tuple[str, list[str], re.Pattern[str] | None]]]:
    """The setting `lead_results_columns`: column → type, titles, pattern.

    Raises:
        ConfigValidationError: A column has no such form, or another one's name.
    """
    taken = {field.name for field in TABLE.fields}
    for name, entry in wanted.items():
        parts = {"type": entry} if isinstance(entry, str) else entry
        if name in taken or not isinstance(parts, dict):
            what = f"Setting lead_results_columns: '{name}' is taken, or has no type or object."
            raise ConfigValidationError(what, errors=[what])
        titles = parts.get("title") or name
        try:
            pattern = re.compile(parts["pattern"]) if parts.get("pattern") else None
        except re.error as error:
            what = f"Setting lead_results_columns: the pattern of '{name}' is wrong: {error}."
            raise ConfigValidationError(what, errors=[what]) from None
        if pattern is not None and pattern.groups != 1:
            what = f"Setting lead_results_columns: the pattern of '{name}' needs one group."
            raise ConfigValidationError(what, errors=[what])
        listed = [titles] if isinstance(titles, str) else titles
        yield name, (parts.get("type") or "string", [plain(title) for title in listed], pattern)


LINE_ITEM_FIELDS = (
    Field("estimate_id", "object_id"),
    Field("job_type_number", "integer", description="1 for the only job of a form"),
    Field("job_type"),
    Field("job_type_amount", "decimal"),
    Field("updated_at", "datetime", description="That of the form"),
    DELETED_AT,
)


class LeadResultLineItems(TableStream):
    """The jobs that a form names, one row each; a form's rows replace those it had before."""

    replace_by: ClassVar[tuple[str, ...]] = ("estimate_id",)

    def __init__(self, tap: TapSalesPro) -> None:
        self._titles: Mapping[str, Any] = tap.config["lead_results_line_items"]
        super().__init__(tap, TABLE, "lead_results_line_items")

    @property
    def primary_keys(self) -> Sequence[str]:
        return ("estimate_id", "job_type_number")

    @primary_keys.setter
    def primary_keys(self, new_value: Sequence[str]) -> None:
        """Leave it as it is."""

    def all_fields(self) -> Iterator[Field]:
        yield from LINE_ITEM_FIELDS

    def pages(self) -> Iterator[list[Any]]:
        for page in super().pages():
            yield [item for row in page for item in self._items(row)]

    def _items(self, row: Row) -> list[Row]:
        said = answers(row.get("lead_results"))
        if said is None:
            return []
        of = {name: row.get(name) for name in ("estimate_id", "updated_at")}
        items = [
            {**of, "job_type_number": number, "job_type": kind, "job_type_amount": amount}
            for number, kind, amount in self._jobs(said)
        ]
        # A form without jobs says so, for those that it had before.
        empty = {**of, "job_type_number": 0, DELETED_AT.name: dates.text(dates.now())}
        return items or [empty]

    def _jobs(self, said: Mapping[str, str]) -> Iterator[tuple[int, str | None, str | None]]:
        titles = self._titles
        found = False
        for number in range(1, titles["most"] + 1):
            kind = _answer(said, titles["type"].format(n=number))
            amount = _answer(said, titles["amount"].format(n=number))
            if kind is not None or amount is not None:
                found = True
                yield number, kind, amount
        kind, amount = _answer(said, titles["single_type"]), _answer(said, titles["single_amount"])
        if not found and (kind is not None or amount is not None):
            yield 1, kind, amount


def _answer(said: Mapping[str, str], titles: str | list[str]) -> str | None:
    listed = [titles] if isinstance(titles, str) else titles
    return next((said[name] for title in listed if (name := plain(title)) in said), None)
