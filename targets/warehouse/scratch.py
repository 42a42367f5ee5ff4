"""A schema of its own for one verification, which leaves nothing behind."""

from __future__ import annotations

import secrets
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.command import Warehouse

__all__ = ["Scratch", "scratch_schema"]

_MARK: Final = "Scratch of warehouse verify"
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('verify in ' || %s, 0))"


@dataclass
class Scratch:
    """The schema for one verification, and when it was made."""

    name: str
    started: datetime


@contextmanager
def scratch_schema(warehouse: Warehouse, crm: str, *, keep: bool) -> Iterator[Scratch]:
    """Give a schema of its own, which goes in the end; those that were left behind go first."""
    name = f"verify_{crm}_{secrets.token_hex(4)}"
    with warehouse.connect() as connection, connection.cursor() as cursor:
        _drop_abandoned(cursor)
        cursor.execute(_LOCK, (name,))  # the session's, beyond this transaction
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        _mark(cursor, name, _MARK)
        cursor.execute("SELECT now()")
        (started,) = cursor.fetchone() or (None,)
        connection.commit()
        try:
            with _signals_raised():
                yield Scratch(name, started)
        finally:
            # On another connection: that one may have been idle for hours, and lost.
            with warehouse.connect() as other, other.cursor() as last:
                if keep:
                    _mark(last, name, f"{_MARK}, kept")
                else:
                    _drop(last, name)


@contextmanager
def _signals_raised() -> Iterator[None]:
    """End by an exception, on the way of which the scratch schema is dropped."""

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _mark(cursor: Cursor, name: str, text: str) -> None:
    cursor.execute(
        sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(name), sql.Literal(text))
    )


def _drop(cursor: Cursor, name: str) -> None:
    cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def _drop_abandoned(cursor: Cursor) -> None:
    cursor.execute(
        "SELECT nspname FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') = %s",
        (_MARK,),
    )
    for (name,) in cursor.fetchall():
        cursor.execute(_LOCK, (name,))
        if cursor.fetchone() == (True,):
            _drop(cursor, name)
