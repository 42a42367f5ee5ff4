"""Credentials of the CRMs, encrypted in the table ``api_credentials``.

A row's ciphertext names its CRM within, so that rows cannot be swapped. Values leave here only as
variables for a tap's process (`environment`), and as the refresh token that `exchange` lends it.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.command import Refusal
from warehouse.encryption import EncryptionError, Keys, fingerprint
from warehouse.history import ensure_schema, has_table, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = [
    "GROUPS",
    "REFRESH_TOKEN",
    "Credentials",
    "CredentialsError",
    "Entry",
    "credential_groups",
    "credential_settings",
    "displaced",
    "is_secret",
    "sounds_secret",
]

GROUPS: Final = (
    ("access_token",),
    ("api_key",),
    ("auth_key", "auth_token"),
    ("client_id", "client_secret", "refresh_token"),
    ("username", "password"),
)
"""Taps name their credentials by what they are; either group is enough."""

_TELLING: Final = re.compile("token|secret|password|_key|credential", re.IGNORECASE)

REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the setting's name

_DDL: Final = """
CREATE TABLE {table} (
    crm_source varchar(50) PRIMARY KEY,
    credentials text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
REVOKE ALL ON {table} FROM PUBLIC;
"""


class CredentialsError(Refusal):
    """What is stored cannot be used; the message says why, without any of it."""


@dataclass(frozen=True)
class Entry:
    """One row, opened.

    Attributes:
        settings: Setting of the tap → value.
        is_active: Whether taps get them.
        fingerprint: Changes whenever a value does.
        updated_at: When it was last written.
    """

    crm_source: str
    settings: Mapping[str, str] = field(repr=False)
    is_active: bool
    fingerprint: str
    updated_at: Any


class Credentials:
    """Rows of ``api_credentials`` in one schema. Every method works in the caller's transaction.

    Those that open rows raise EncryptionError where the key is not theirs, and CredentialsError
    where a row was made for another CRM.
    """

    def __init__(self, schema: str, keys: Callable[[], Keys]) -> None:
        """Name the schema, and how to get the keys once a row has to be opened or sealed."""
        self.schema = schema
        self.table = sql.Identifier(schema, "api_credentials")
        self._keys = keys

    def ensure(self, cursor: Cursor) -> None:
        """Create schema and table where they are missing."""
        ensure_schema(cursor, self.schema)
        take_turns(cursor, f"{self.schema}.api_credentials")
        if not self.exists(cursor):
            cursor.execute(sql.SQL(_DDL).format(table=self.table))

    def exists(self, cursor: Cursor) -> bool:
        """Tell whether the table is there."""
        return has_table(cursor, self.schema, "api_credentials")

    def any(self, cursor: Cursor) -> bool:
        """Tell whether something is stored, for which no key is needed."""
        if not self.exists(cursor):
            return False
        cursor.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(self.table))
        return cursor.fetchone() is not None

    def entries(self, cursor: Cursor) -> list[Entry]:
        """Return all rows, opened, by CRM."""
        return [self._opened(row) for row in self._rows(cursor)]

    def entry(self, cursor: Cursor, crm: str) -> Entry | None:
        """Return one CRM's row, opened."""
        for row in self._rows(cursor, crm):
            return self._opened(row)
        return None

    def put(
        self, cursor: Cursor, crm: str, settings: Mapping[str, str], *, active: bool | None = None
    ) -> Entry:
        """Store settings beside those that the CRM has already; `active` None leaves that alone."""
        self.ensure(cursor)
        self.lock(cursor)
        stored = {entry.crm_source: entry for entry in self.entries(cursor)}  # one key opens all
        old = stored.get(crm)
        merged = {**(old.settings if old else {}), **settings}
        if active is None:
            active = old.is_active if old else True
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} AS stored (crm_source, credentials, is_active) VALUES (%s, %s, %s)"
                " ON CONFLICT (crm_source) DO UPDATE SET credentials = excluded.credentials,"
                " is_active = excluded.is_active, updated_at = now()"
            ).format(self.table),
            (crm, self._sealed(crm, merged), active),
        )
        (row,) = self._rows(cursor, crm)
        return self._opened(row)

    def remove(self, cursor: Cursor, crm: str, settings: tuple[str, ...] = ()) -> bool:
        """Remove a CRM's row, for which no key is needed, or some settings of it.

        Returns:
            Whether there was anything to remove.
        """
        if not self.exists(cursor):
            return False
        self.lock(cursor)
        entry = self.entry(cursor, crm) if settings else None
        kept = {k: v for k, v in entry.settings.items() if k not in settings} if entry else {}
        if kept:
            self._write(cursor, crm, kept)
            return entry is not None and len(kept) < len(entry.settings)
        cursor.execute(sql.SQL("DELETE FROM {} WHERE crm_source = %s").format(self.table), (crm,))
        return cursor.rowcount > 0

    def lock(self, cursor: Cursor) -> None:
        """Wait until nobody writes or exchanges a token, and let nobody begin to."""
        if self.exists(cursor):
            cursor.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(self.table))

    def rotate(self, cursor: Cursor, new: Keys) -> int:
        """Encrypt all rows with the first of other keys, which also open what is stored.

        Returns:
            How many rows.
        """
        if not self.exists(cursor):
            return 0
        self.lock(cursor)
        rows = self._rows(cursor)
        for crm, sealed, *_ in rows:
            cursor.execute(
                sql.SQL("UPDATE {} SET credentials = %s WHERE crm_source = %s").format(self.table),
                (new.seal(new.open(sealed)), crm),
            )
        return len(rows)

    @contextmanager
    def exchange(self, cursor: Cursor, crm: str) -> Iterator[tuple[str, Callable[[str], None]]]:
        """Give a CRM's refresh token, and what stores the next; nobody else has it meanwhile.

        Raises:
            CredentialsError: There is none, or it is switched off.
        """
        cursor.execute(
            "SET LOCAL idle_in_transaction_session_timeout = 0"
        )  # the API takes its time
        rows = self._rows(cursor, crm, lock=True)
        entry = self._opened(rows[0]) if rows else None
        if entry is None or not entry.is_active or REFRESH_TOKEN not in entry.settings:
            raise CredentialsError(f"No {REFRESH_TOKEN} of {crm} is stored in api_credentials.")
        held = entry

        def store(token: str) -> None:
            if not hmac.compare_digest(token.encode(), held.settings[REFRESH_TOKEN].encode()):
                self._write(cursor, crm, {**held.settings, REFRESH_TOKEN: token})

        yield held.settings[REFRESH_TOKEN], store

    def _rows(
        self, cursor: Cursor, crm: str | None = None, *, lock: bool = False
    ) -> list[tuple[Any, ...]]:
        if not self.exists(cursor):
            return []
        cursor.execute(
            sql.SQL(
                "SELECT crm_source, credentials, is_active, updated_at FROM {}"
                " WHERE %(crm)s IS NULL OR crm_source = %(crm)s ORDER BY crm_source {}"
            ).format(self.table, sql.SQL("FOR UPDATE" if lock else "")),
            {"crm": crm},
        )
        return cursor.fetchall()

    def _write(self, cursor: Cursor, crm: str, settings: Mapping[str, str]) -> None:
        cursor.execute(
            sql.SQL(
                "UPDATE {} SET credentials = %s, updated_at = now() WHERE crm_source = %s"
            ).format(self.table),
            (self._sealed(crm, settings), crm),
        )

    def _sealed(self, crm: str, settings: Mapping[str, str]) -> str:
        payload = {"crm_source": crm, "salt": secrets.token_hex(16), "settings": dict(settings)}
        return self._keys().seal(json.dumps(payload))

    def _opened(self, row: tuple[Any, ...]) -> Entry:
        crm, sealed, is_active, updated_at = row
        try:
            payload = json.loads(self._keys().open(sealed))
        except EncryptionError as error:
            raise EncryptionError(f"Credentials of {crm}: {error}") from None
        if not hmac.compare_digest(payload["crm_source"].encode(), crm.encode()):
            raise CredentialsError(
                f"The row of {crm} in api_credentials was made for another CRM. Store the"
                f" credentials anew: warehouse credentials set {crm}"
            )
        settings = payload["settings"]
        mark = fingerprint(payload["salt"], json.dumps(settings, sort_keys=True))
        return Entry(crm, settings, is_active, mark, updated_at)


def credential_groups(settings: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return the sets of settings of which a tap needs one filled in, of those that it has."""
    groups = [[name for name in group if name in settings] for group in GROUPS]
    return [group for group in groups if any(settings[name].get("secret") for name in group)]


def credential_settings(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a tap's settings that are secret, or belong to a group that is."""
    grouped = {name for group in credential_groups(settings) for name in group}
    return [name for name, schema in settings.items() if schema.get("secret") or name in grouped]


def sounds_secret(name: str) -> bool:
    """Whether a setting or variable that nobody describes is a secret, by its name."""
    return bool(_TELLING.search(name))


def is_secret(name: str, settings: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a tap's setting is a secret: as the tap says, or where it does not, by its name."""
    return bool(settings[name].get("secret")) if name in settings else sounds_secret(name)


def displaced(settings: Mapping[str, Mapping[str, Any]], given: set[str]) -> set[str]:
    """Return the credentials that a whole group of given ones takes the place of.

    A tap that has both a token and an app's OAuth data would choose by itself; who gives one of
    them in the environment means that one.
    """
    groups = credential_groups(settings)
    if not any(given >= set(group) for group in groups):
        return set()
    return {name for group in groups for name in group} - given
