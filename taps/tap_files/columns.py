"""From headings to columns: names, declared and inferred types, and whether a file has them all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tapkit.errors import ConfigValidationError, FileProblem
from tapkit.fields import ISSUES, Field
from tapkit.files.rows import ROW
from tapkit.files.stream import FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tapkit.files.layout import Layout

__all__ = ["Columns", "snake"]

RESERVED: Final = {FILE, ROW, ISSUES, "sync_created_at", "sync_updated_at"}
"""Columns that a heading of the same name must not take; it becomes `file_<name>`."""


def snake(heading: str) -> str:
    """A heading as a column's name: `Customer Name (full)`, `customerName` → `customer_name…`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", heading)
    return re.sub(r"[\W_]+", "_", parted).strip("_").lower()


class Columns:
    """The columns of one stream.

    Args:
        settings: Those of the stream.
        layout: What to do about headings that are not declared.

    Attributes:
        keys: The key columns, which the settings may call by their headings.
        kinds: Column → inferred type, None for one that has had no value yet.
    """

    def __init__(self, settings: Mapping[str, Any], layout: Layout) -> None:
        declared: Mapping[str, Any] = settings.get("columns") or {}
        self.stream = settings["name"]
        self.layout = layout
        self.kinds: dict[str, str | None] = {}
        self._naming = settings.get("naming") or "snake"
        self._left_out = {name for name, wanted in declared.items() if wanted is None}
        self._types: dict[str, str] = {}
        self._of: dict[str, str] = {}
        for name, wanted in declared.items():
            if wanted is not None:
                self._declare(name, wanted)
        given = settings.get("key") or [FILE, ROW]
        given = [given] if isinstance(given, str) else given
        self.keys = tuple(key if key in {FILE, ROW} else self._column(key) for key in given)
        self._keys = [key for key in self.keys if key not in {FILE, ROW}]

    def _declare(self, name: str, wanted: Any) -> None:
        entry = {"type": wanted} if isinstance(wanted, str) else wanted
        if not isinstance(entry, dict) or not entry.keys() <= {"heading", "type"}:
            what = (
                f"Stream {self.stream}: column '{name}' needs a type, null, or an object with "
                "'heading' and 'type'."
            )
            raise ConfigValidationError(what, errors=[what])
        if kind := entry.get("type"):
            self._types[name] = Field(name, kind, name=name).type  # refuses unknown ones
        headings = entry.get("heading") or [name]
        for heading in [headings] if isinstance(headings, str) else headings:
            self._of[heading.strip().lower()] = name

    @property
    def declared(self) -> set[str]:
        """The columns that the settings name."""
        return {*self._of.values()}

    @property
    def fields(self) -> Iterator[Field]:
        """The fields of the columns that are known: the key, declared and inferred ones."""
        names = dict.fromkeys([*self._keys, *self._of.values(), *self.kinds])
        for name in names:
            kind = self._types.get(name) or self.kinds.get(name) or "string"
            yield Field(name, kind, name=name)

    @property
    def declared_fields(self) -> list[Field]:
        """The fields whose values need a conversion: those of a declared type."""
        return [field for field in self.fields if field.name in self._types]

    @property
    def inferred(self) -> dict[str, str | None]:
        """The columns without a declared type, with the inferred one."""
        return {name: kind for name, kind in self.kinds.items() if name not in self._types}

    def settle(self) -> None:
        """Have columns without any value be text, for good: as that they are announced."""
        self.kinds.update({name: "string" for name, kind in self.kinds.items() if kind is None})

    def name(self, heading: str) -> str | None:
        """The column of a heading; None where it is left out.

        Raises:
            FileProblem: It is not declared, and the settings want no other.
        """
        name = self._column(heading)
        declared = self.declared
        if name in declared:
            return name
        if name in self._left_out:
            return None
        if declared and name not in self._keys:
            if self.layout.extra_headings == "fail":
                raise FileProblem(f"heading '{heading}' is not declared in columns")
            if self.layout.extra_headings == "ignore":
                return None
        return name

    def _column(self, heading: str) -> str:
        """The column that a heading would be, if it is one."""
        plain = heading.strip()
        name = self._of.get(plain.lower()) or self._of.get(snake(plain))
        if name is None:
            name = snake(plain) if self._naming == "snake" else plain.replace(".", "_")
            name = name or plain
            name = f"file_{name}" if name in RESERVED or name.startswith("_sdc_") else name
        return name

    def names(self, headings: Sequence[str]) -> list[str | None]:
        """The columns of a file's headings, compared with what the stream needs.

        Raises:
            FileProblem: Some are missing, too much, or stand for one column.
        """
        names: list[str | None] = []
        for number, heading in enumerate(headings, 1):
            name = self.name(heading if snake(heading) else f"column_{number}")
            if name is not None and name in names:
                name = self._numbered(name, names, heading)
            names.append(name)
        self.check(names)
        return names

    def check(self, names: Iterable[str | None]) -> None:
        """Compare the columns of a file with those that the stream needs.

        Raises:
            FileProblem: Some are missing.
        """
        needed = {*self._keys}
        if self.layout.missing_headings == "fail":
            needed |= self.declared
        if missing := needed - {*names}:
            raise FileProblem(f"headings are missing for {', '.join(sorted(missing))}")

    def _numbered(self, name: str, names: Sequence[str | None], heading: str) -> str:
        if self.layout.duplicate_headings == "fail":
            raise FileProblem(f"two headings are column '{name}', the second is '{heading}'")
        number = 2
        while f"{name}_{number}" in names:
            number += 1
        return f"{name}_{number}"
