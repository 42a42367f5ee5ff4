"""The field table of a stream: schema, conversion, validation and documentation, said once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tapkit.errors import ConfigValidationError
from tapkit.field_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["ISSUES", "Field", "FieldTable", "at_least"]

ISSUES = "sync_issues"
"""The property of a record that tells what was wrong with it: field → {value, error}."""


@dataclass(frozen=True)
class Field:
    """One field: where it is in the CRM's record, the column it becomes, its type.

    Attributes:
        source: Dotted path in the CRM's record.
        type: A name from `tapkit.field_types.TYPES`.
        name: The column; by default the source with underscores for dots.
        description: What it means, for the schema and the README.
        check: A business rule on the converted value; raises ValueError with the reason.
    """

    source: str
    type: str = "string"
    name: str = ""
    description: str = ""
    check: Callable[[Any], None] | None = None

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            known = ", ".join(sorted(TYPES))
            raise ConfigValidationError(
                f"Field '{self.source}' has the unknown type '{self.type}'; known are {known}."
            )
        if not self.name:
            object.__setattr__(self, "name", self.source.replace(".", "_"))

    @property
    def schema(self) -> dict[str, Any]:
        """The column's JSON Schema."""
        schema = TYPES[self.type].schema
        return {**schema, "description": self.description} if self.description else schema


def at_least(minimum: float) -> Callable[[Any], None]:
    """A business rule: the value is not below `minimum`."""

    def check(value: Any) -> None:
        if value < minimum:
            raise ValueError(f"below {minimum}")

    return check


class FieldTable:
    """The fields of one stream.

    Args:
        fields: In the order of the columns. Of two fields with one name the later one counts.
        validate: Whether text is checked and business rules applied. Conversion always happens,
            as a column cannot hold what is not of its type.
    """

    def __init__(self, fields: Iterable[Field], *, validate: bool = True) -> None:
        self.fields = {field.name: field for field in fields}
        self.validate = validate
        self._groups = list(self._compile())

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields.values())

    def extend(self, mappings: Mapping[str, Any], *, validate: bool) -> FieldTable:
        """The table after the setting `field_mappings` for its stream.

        Args:
            mappings: Column → null to leave it out, a source path, or an object with `source`
                and `type`.
            validate: See the class.

        Raises:
            ConfigValidationError: A mapping has another form or names an unknown type.
        """
        fields = dict(self.fields)
        for name, mapping in mappings.items():
            if mapping is None:
                fields.pop(name, None)
                continue
            wanted = {"source": mapping} if isinstance(mapping, str) else mapping
            if not isinstance(wanted, dict) or not wanted.keys() <= {"source", "type"}:
                raise ConfigValidationError(
                    f"Setting field_mappings: column '{name}' needs a source path, null, or an "
                    "object with 'source' and 'type'."
                )
            known = fields.get(name) or Field(wanted.get("source", name), name=name)
            check = None if wanted.get("type", known.type) != known.type else known.check
            fields[name] = replace(known, **wanted, check=check)
        return FieldTable(fields.values(), validate=validate)

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the records, `sync_issues` included."""
        properties = {field.name: field.schema for field in self}
        properties[ISSUES] = {
            "type": ["object", "null"],
            "description": "What was wrong in the CRM's record: field → {value, error}",
        }
        return {"type": "object", "properties": properties}

    def convert(self, source: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Turn a CRM's record into ours.

        Returns:
            The record, and what was wrong in it (field → {value, error}) or None.
        """
        record: dict[str, Any] = {}
        issues: dict[str, Any] | None = None
        for path, columns in self._groups:
            values: Any = source
            for key in path:
                values = values.get(key) if isinstance(values, dict) else None
            if not isinstance(values, dict):
                values = {}
            get = values.get
            for name, key, plain, convert in columns:
                value = get(key)
                if value is None or (plain and type(value) is str):
                    record[name] = value
                    continue
                record[name], error = convert(value)
                if error:
                    issues = issues or {}
                    issues[name] = {"value": value, "error": error}
        record[ISSUES] = issues
        return record, issues

    def _compile(self) -> Iterator[tuple[list[str], list[tuple[str, str, bool, Any]]]]:
        """Group columns by the object that holds them, so that each object is looked up once."""
        for parent, fields in groupby(self, key=lambda field: field.source.rpartition(".")[0]):
            columns = [
                (
                    field.name,
                    field.source.rpartition(".")[2],
                    TYPES[field.type].is_plain and not (field.check and self.validate),
                    self._converter(field),
                )
                for field in fields
            ]
            yield parent.split(".") if parent else [], columns

    def _converter(self, field: Field) -> Callable[[Any], tuple[Any, str | None]]:
        """Build what turns a field's value into the column's, and says what is wrong with it.

        Text stays as it is, and what only breaks a business rule does: the column can hold it.
        """
        field_type = TYPES[field.type]
        keep = field_type.is_text
        convert = TYPES["string"].convert if keep and not self.validate else field_type.convert
        check = field.check if self.validate else None

        def converter(value: Any) -> tuple[Any, str | None]:
            if value == "":
                return value if keep else None, None
            try:
                converted = convert(value)
            except ValueError as error:
                return value if keep else None, str(error)
            try:
                if check is not None:
                    check(converted)
            except ValueError as error:
                return converted, str(error)
            return converted, None

        return converter
