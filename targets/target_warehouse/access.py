"""What is around a table: indexes and grants by setting, and the views that depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg2.errors
from psycopg2 import sql

from target_warehouse.errors import TableConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["View", "drop_views", "ensure_index", "grant_select"]

_INDEXES: Final = """
SELECT array(
    SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number ORDER BY place
)
FROM pg_index WHERE indrelid = to_regclass(%s) AND indisvalid AND indpred IS NULL
"""
# What depends on a table, directly or through other views; who comes later depends on the earlier.
_VIEWS: Final = """
WITH RECURSIVE dependent (view, depth) AS (
    SELECT to_regclass(%s)::oid, 0
    UNION
    SELECT ev_class, depth + 1
    FROM dependent
    JOIN pg_depend ON refobjid = dependent.view AND refclassid = 'pg_class'::regclass
        AND classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite ON pg_rewrite.oid = objid AND ev_class <> dependent.view
)
SELECT nspname, relname, relkind::text, pg_get_userbyid(relowner), pg_get_viewdef(pg_class.oid),
    obj_description(pg_class.oid, 'pg_class'), reloptions,
    array(
        SELECT format('GRANT %%s ON %%I.%%I TO %%s%%s', privilege_type, nspname, relname,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM aclexplode(relacl) WHERE grantee <> relowner
    )
FROM (SELECT view, max(depth) AS depth FROM dependent GROUP BY view) AS known
JOIN pg_class ON pg_class.oid = view
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE depth > 0
ORDER BY depth, view
"""


@dataclass(frozen=True)
class View:
    """A view as it was, to be made again.

    `grants` are statements that Postgres itself has quoted.
    """

    name: sql.Identifier
    owner: str
    definition: str
    comment: str | None
    options: Sequence[str]
    grants: Sequence[str]

    def create(self, cursor: Cursor) -> None:
        """Make the view again, with its owner, comment, options and grants."""
        with_options = sql.SQL(" WITH ({})").format(
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
                for name, _, value in (option.partition("=") for option in self.options)
            )
        )
        statements = [
            sql.SQL("CREATE VIEW {}{} AS {}").format(
                self.name,
                with_options if self.options else sql.SQL(""),
                sql.SQL(self.definition.rstrip(";")),
            ),
            sql.SQL("COMMENT ON VIEW {} IS {}").format(self.name, sql.Literal(self.comment)),
            *map(sql.SQL, self.grants),
        ]
        cursor.execute("SELECT current_user")
        if cursor.fetchone() != (self.owner,):
            statements.append(
                sql.SQL("ALTER VIEW {} OWNER TO {}").format(self.name, sql.Identifier(self.owner))
            )
        cursor.execute(sql.SQL("; ").join(statements))


def drop_views(cursor: Cursor, table: sql.Identifier) -> list[View]:
    """Drop the views that depend on a table; return them in the order to make them again.

    Raises:
        TableConflictError: One is materialized: making it again could take hours.
    """
    cursor.execute(_VIEWS, (table.as_string(cursor),))
    views = []
    for schema, name, kind, owner, definition, comment, options, grants in cursor.fetchall():
        if kind != "v":
            raise TableConflictError(
                f"{schema}.{name} depends on a column that must become wider, and is no plain view."
                " Drop it, run again, and create it anew."
            )
        identifier = sql.Identifier(schema, name)
        views.append(View(identifier, owner, definition, comment, options or (), grants))
    if views:
        names = sql.SQL(", ").join(view.name for view in views)
        cursor.execute(sql.SQL("DROP VIEW {}").format(names))
    return views


def ensure_index(cursor: Cursor, table: sql.Identifier, columns: Sequence[str]) -> None:
    """Create an index unless there is one that begins with these columns."""
    cursor.execute(_INDEXES, (table.as_string(cursor),))
    if any(found[: len(columns)] == [*columns] for (found,) in cursor.fetchall()):
        return
    cursor.execute(
        sql.SQL("CREATE INDEX ON {} ({})").format(
            table, sql.SQL(", ").join(map(sql.Identifier, columns))
        )
    )


def grant_select(cursor: Cursor, schema: str, table: sql.Identifier, roles: Iterable[str]) -> None:
    """Let roles read a table, where they may not.

    Raises:
        TableConflictError: There is no such role.
    """
    for role in roles:
        try:
            cursor.execute(
                "SELECT has_schema_privilege(%s, %s, 'USAGE'),"
                " has_table_privilege(%s, %s, 'SELECT')",
                (role, schema, role, table.as_string(cursor)),
            )
        except psycopg2.errors.UndefinedObject:
            raise TableConflictError(
                f"grant_select_to names the role {role}, which does not exist. Create it, or take"
                " it out of the setting."
            ) from None
        may_enter, may_read = cursor.fetchone() or (False, False)
        if not may_enter:
            cursor.execute(
                sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
                    sql.Identifier(schema), sql.Identifier(role)
                )
            )
        if not may_read:
            cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(table, sql.Identifier(role)))
