"""Merges all rows but those Postgres refuses: in three statements, however large the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from psycopg2 import sql
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Merged", "merge_good_rows"]

# Merges ranges of places, half as long after a failure and twice as long after a success. Who was
# refused gets another chance in the end, for a row may refer to one that comes after it. The
# conditions are those of `errors.is_record_fault`.
_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION pg_temp.merge_good_rows(statement text, total bigint)
RETURNS TABLE (refused bigint, created bigint, updated bigint, message text, detail text)
LANGUAGE plpgsql AS $$
DECLARE
    place bigint := 0;
    length bigint := total / 2;
    fails_before bigint := total;
    places bigint[];
    messages text[];
    details text[];
    all_created bigint := 0;
    all_updated bigint := 0;
    again boolean;
BEGIN
    WHILE place < total LOOP
        length := least(greatest(length, 1), total - place);
        BEGIN
            EXECUTE statement INTO created, updated USING place, place + length;
            all_created := all_created + created;
            all_updated := all_updated + updated;
            place := place + length;
            length := CASE WHEN place < fails_before THEN (fails_before - place) / 2
                ELSE length * 2 END;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded
            OR plpgsql_error THEN
            IF length = 1 THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
                places := places || place;
                messages := messages || message;
                details := details || detail;
                place := place + 1;
                fails_before := place;
            ELSE
                fails_before := place + length;
                length := length / 2;
            END IF;
        END;
    END LOOP;
    LOOP
        again := false;
        FOR number IN 1 .. coalesce(cardinality(places), 0) LOOP
            CONTINUE WHEN places[number] IS NULL;
            BEGIN
                EXECUTE statement INTO created, updated USING places[number], places[number] + 1;
                all_created := all_created + created;
                all_updated := all_updated + updated;
                places[number] := NULL;
                again := true;
            EXCEPTION WHEN data_exception OR integrity_constraint_violation
                OR program_limit_exceeded OR plpgsql_error THEN
                NULL;
            END;
        END LOOP;
        EXIT WHEN NOT again;
    END LOOP;
    RETURN QUERY SELECT NULL::bigint, all_created, all_updated, NULL, NULL
        UNION ALL SELECT t.place, NULL, NULL, t.message, t.detail
        FROM unnest(places, messages, details) AS t (place, message, detail)
        WHERE t.place IS NOT NULL;
END $$
"""


@dataclass
class Merged:
    """What became of the staged rows; `refused` are place and message, which may quote values."""

    created: int = 0
    updated: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def merge_good_rows(cursor: Cursor, statement: sql.Composable, total: int) -> Merged:
    """Merge all staged rows that Postgres takes.

    Args:
        cursor: In the batch's transaction.
        statement: Merges the rows from place ``$1`` to before place ``$2``.
        total: Number of places.

    Raises:
        psycopg2.Error: For a reason that is no row's fault.
    """
    cursor.execute(_FUNCTION)
    cursor.execute(
        "SELECT * FROM pg_temp.merge_good_rows(%s, %s)", (statement.as_string(cursor), total)
    )
    merged = Merged()
    for place, created, updated, message, detail in cursor.fetchall():
        if place is None:
            merged.created, merged.updated = created, updated
        else:
            merged.refused.append((place, ": ".join(filter(None, (message, detail)))))
    return merged
