"""How each CRM is read: the table ``sync_configuration``, and what comes before and after it.

A row with sync_type ``all`` is about a CRM, one with a stream's name about that stream. (`all` is
what the predecessor called a run of everything, and no CRM has a stream of that name.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql
from psycopg2.extras import Json, RealDictCursor

from warehouse.history import ensure_schema, has_table, take_turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = [
    "ALL",
    "COLUMNS",
    "TAP_SETTINGS",
    "Configuration",
    "Row",
    "Value",
    "effective",
    "inactive",
    "variable",
]

ALL: Final = "all"

TAP_SETTINGS: Final = {
    "batch_size": "page_size",
    "retry_count": "max_tries",
    "retry_delay": "retry_delay",
}
"""Column → the taps' setting that it fills; a retry is a try after the first."""

_DDL: Final = """
CREATE TABLE {table} (
    crm_source varchar(50) NOT NULL,
    sync_type varchar(100) NOT NULL DEFAULT 'all',
    is_active boolean NOT NULL DEFAULT true,
    batch_size integer CHECK (batch_size >= 1),
    retry_count integer CHECK (retry_count >= 0),
    retry_delay integer CHECK (retry_delay >= 0),
    field_mappings jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(field_mappings) = 'object'),
    api_settings jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(api_settings) = 'object'),
    schedule_enabled boolean NOT NULL DEFAULT false,
    schedule_cron varchar(100),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (crm_source, sync_type)
);
"""


@dataclass(frozen=True)
class Row:
    """One row; None says nothing, so that the next place in the order of precedence does.

    Attributes:
        crm_source: The CRM.
        sync_type: A stream, or `ALL`.
        is_active: Whether `warehouse sync` reads it.
        batch_size: Records per request.
        retry_count: How often a failed request is sent again.
        retry_delay: Seconds to wait before that, at least.
        field_mappings: Of `ALL`: stream → column → source; of a stream: column → source.
        api_settings: Other settings of the tap → value.
        schedule_enabled: Whether Meltano is to have a schedule for it.
        schedule_cron: When, in cron's five fields or as @hourly and the like.
    """

    crm_source: str
    sync_type: str = ALL
    is_active: bool = True
    batch_size: int | None = None
    retry_count: int | None = None
    retry_delay: int | None = None
    field_mappings: Mapping[str, Any] = field(default_factory=dict)
    api_settings: Mapping[str, Any] = field(default_factory=dict)
    schedule_enabled: bool = False
    schedule_cron: str | None = None

    @property
    def name(self) -> str:
        """CRM and stream, as `warehouse sync` takes them."""
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, ...]:
        """CRM and stream, where it is about one."""
        return (self.crm_source,) if self.sync_type == ALL else (self.crm_source, self.sync_type)


COLUMNS: Final = tuple(one.name for one in fields(Row))[2:]
"""What can be set in a row."""


class Configuration:
    """Rows of ``sync_configuration`` in one schema; works in the connection's transaction."""

    def __init__(self, connection: Connection, schema: str = "public") -> None:
        """Name the connection, and the schema that holds the table."""
        self._connection = connection
        self._schema = schema
        self._table = sql.Identifier(schema, "sync_configuration")

    def rows(self, crm: str | None = None) -> list[Row]:
        """Return the rows, of one CRM or all, by name; none where there is no table."""
        with self._connection.cursor(cursor_factory=RealDictCursor) as cursor:
            if not has_table(cursor, self._schema, "sync_configuration"):
                return []
            names = sql.SQL(", ").join(sql.Identifier(one.name) for one in fields(Row))
            cursor.execute(
                sql.SQL(
                    "SELECT {} FROM {} WHERE %(crm)s IS NULL OR crm_source = %(crm)s"
                    " ORDER BY crm_source, sync_type <> 'all', sync_type"
                ).format(names, self._table),
                {"crm": crm},
            )
            return [Row(**row) for row in cursor.fetchall()]

    def row(self, crm: str, sync_type: str = ALL) -> Row:
        """Return one row, or what holds where there is none."""
        found = [row for row in self.rows(crm) if row.sync_type == sync_type]
        return found[0] if found else Row(crm, sync_type)

    def put(self, row: Row) -> None:
        """Insert a row, or take the place of what its columns were."""
        names = [one.name for one in fields(Row)]
        values = [
            Json(value) if isinstance(value := getattr(row, name), dict) else value
            for name in names
        ]
        with self._connection.cursor() as cursor:
            self._ensure(cursor)
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {table} ({names}) VALUES ({values})"
                    " ON CONFLICT (crm_source, sync_type) DO UPDATE SET {changes},"
                    " updated_at = now()"
                ).format(
                    table=self._table,
                    names=sql.SQL(", ").join(map(sql.Identifier, names)),
                    values=sql.SQL(", ").join(sql.Placeholder() * len(names)),
                    changes=sql.SQL(", ").join(
                        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
                        for name in COLUMNS
                    ),
                ),
                values,
            )

    def remove(self, crm: str, sync_type: str = ALL) -> bool:
        """Delete a row; tell whether there was one."""
        with self._connection.cursor() as cursor:
            self._ensure(cursor)
            cursor.execute(
                sql.SQL("DELETE FROM {} WHERE (crm_source, sync_type) = (%s, %s)").format(
                    self._table
                ),
                (crm, sync_type),
            )
            return cursor.rowcount > 0

    def _ensure(self, cursor: Cursor) -> None:
        ensure_schema(cursor, self._schema)
        take_turns(cursor, f"{self._schema}.sync_configuration")
        cursor.execute("SELECT to_regclass(%s)", (self._table.as_string(cursor),))
        if cursor.fetchone() == (None,):
            cursor.execute(sql.SQL(_DDL).format(table=self._table))


def inactive(rows: Iterable[Row]) -> set[str]:
    """Return the streams of one CRM that are switched off; `ALL` among them is the whole CRM."""
    return {row.sync_type for row in rows if not row.is_active}


@dataclass(frozen=True)
class Value:
    """A setting's value, and the variable, row or file that says it.

    Attributes:
        value: As the tap gets it.
        origin: For people.
        is_ours: Whether the tap gets it only if it is handed over, as Meltano does not know of it.
    """

    value: Any
    origin: str
    is_ours: bool = False


def variable(tap: str, setting: str) -> str:
    """Return the environment variable that Meltano reads for a plugin's setting."""
    return f"{tap}_{setting}".replace("-", "_").upper()


def effective(
    tap: str,
    schema: Mapping[str, Mapping[str, Any]],
    rows: Sequence[Row],
    *,
    crm: str,
    streams: Sequence[str] = (),
    variables: Mapping[str, str],
    written: Mapping[str, Any],
) -> dict[str, Value]:
    """Return each setting that something is said about, from where that counts most.

    A tap has one setting for all its streams. So what a stream's row says of the settings counts in
    a run of this stream alone; what it says of its fields counts always.

    Args:
        tap: The tap's name.
        schema: Its settings; none where they are not known, which then are taken as they come.
        rows: What `sync_configuration` has of the CRM.
        crm: The CRM.
        streams: Those that the run reads; none for all.
        variables: The user's environment.
        written: The tap's settings in meltano.yml.

    Raises:
        ValueError: A variable is no number; the message names it.
    """
    found = {name: Value(it["default"], "default") for name, it in schema.items()
             if it.get("default") is not None}  # fmt: skip
    found |= {name: Value(value, "meltano.yml") for name, value in written.items()
              if value is not None}  # fmt: skip
    scope = [ALL, *(streams if len(streams) == 1 else ())]
    for row in sorted((row for row in rows if row.sync_type in scope), key=lambda r: r.words):
        origin = f"sync_configuration {row.sync_type}"
        found |= {
            name: Value(value, origin, is_ours=True)
            for name, value in row.api_settings.items()
            if value is not None
        }
        found |= {
            TAP_SETTINGS[column]: Value(_setting(column, value), origin, is_ours=True)
            for column in TAP_SETTINGS
            if (value := getattr(row, column)) is not None
        }
    if mappings := _field_mappings(rows):
        merged = _merged(written.get("field_mappings") or {}, mappings)
        found["field_mappings"] = Value(merged, "sync_configuration", is_ours=True)
    for column, setting in TAP_SETTINGS.items():
        if text := variables.get(name := f"{crm}_{column}".upper()):
            number = _number(name, text, least=1 if column == "batch_size" else 0)
            found[setting] = Value(_setting(column, number), name, is_ours=True)
    for setting in {*schema, *found}:
        if text := variables.get(name := variable(tap, setting)):
            found[setting] = Value(text, name)
    return {name: it for name, it in sorted(found.items()) if not schema or name in schema}


def text_of(value: Any) -> str:
    """Return a setting's value as an environment variable has it."""
    return value if isinstance(value, str) else json.dumps(value)


def _setting(column: str, value: int) -> int:
    return value + 1 if column == "retry_count" else value


def _number(name: str, text: str, least: int) -> int:
    if text.isdecimal() and int(text) >= least:
        return int(text)
    raise ValueError(f"The variable {name} must be a whole number from {least} on.")


def _field_mappings(rows: Iterable[Row]) -> dict[str, Any]:
    """Return what all rows say of fields, by stream."""
    mappings: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: row.words):
        said = row.field_mappings if row.sync_type == ALL else {row.sync_type: row.field_mappings}
        mappings = _merged(mappings, {stream: it for stream, it in said.items() if it})
    return mappings


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return stream → column → source, of which a column above takes the place of one below."""
    merged = dict(below)
    for stream, columns in above.items():
        both = [merged.get(stream) or {}, columns]
        are_objects = all(isinstance(one, dict) for one in both)
        merged[stream] = {**both[0], **columns} if are_objects else columns  # the tap refuses it
    return merged
