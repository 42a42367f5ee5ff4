"""``warehouse credentials``."""

from __future__ import annotations

import re
import signal
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from warehouse.command import Refusal, Warehouse, console, emit, json_option, pass_warehouse
from warehouse.connection_test import connection_errors
from warehouse.credentials import Credentials, Entry, credential_settings
from warehouse.credentials_input import asked, read
from warehouse.crms import named, tap_settings
from warehouse.encryption import EncryptionError, KeyMissing, Keys
from warehouse.handover import credentials_of
from warehouse.history import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["command"]

_NAME: Final = re.compile("[a-z_]+")
"""What looks like a setting's name, and not like a token that was given in its place."""
_PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before each further try to store a token: as long as a server takes to restart."""


@click.group()
def command() -> None:
    """Keep the CRMs' credentials in the warehouse, encrypted.

    Example: warehouse credentials set hubspot access_token
    """


@command.command()
@json_option
@pass_warehouse
def init(warehouse: Warehouse, *, as_json: bool) -> None:
    """Make the key file, where there is no key yet; `set` does it by itself the first time.

    Example: warehouse credentials init
    """
    made = Keys.create(warehouse.variables, warehouse.project)
    if as_json:
        emit({"key": made.origin})
    else:
        click.echo(f"Made {made.origin}. Keep a copy: without it nothing stored can be read.")


@command.command(name="set")
@click.argument("crm")
@click.argument("settings", metavar="[SETTING]...", nargs=-1)
@click.option(
    "--from-file",
    type=click.File(),
    help="Read JSON or lines SETTING=VALUE; - is stdin. With one SETTING: its value.",
)
@click.option("--active/--inactive", default=None, help="Whether taps get the credentials.")
@json_option
@pass_warehouse
def set_(
    warehouse: Warehouse,
    crm: str,
    settings: tuple[str, ...],
    from_file: IO[str] | None,
    *,
    active: bool | None,
    as_json: bool,
) -> None:
    """Store credentials of CRM beside those it has: asked for, or from stdin or a file.

    Values are never taken from the command line, where other users and the shell's history see
    them.

    Example: warehouse credentials set hubspot access_token < token.txt
    """
    crm, tap = named(warehouse.project, crm)
    known = tuple(credential_settings(tap_settings(tap)))
    values: dict[str, str] = {}
    _refuse_foreign(crm, settings, known)
    if settings or from_file or active is None:
        values = (
            read(from_file or sys.stdin, settings)
            if from_file or not sys.stdin.isatty()
            else asked(settings or known)
        )
        _refuse_foreign(crm, tuple(values), known)
    if not values and active is None:
        raise click.UsageError("No value was given.")
    with _table(warehouse, create=True) as (table, cursor):
        entry = table.put(cursor, crm, values, active=active)
    if as_json:
        emit(_summary(entry))
    else:
        state = "" if entry.is_active else ", inactive"
        click.echo(f"Stored for {crm}: {', '.join(entry.settings)} ({entry.fingerprint}{state})")


@command.command(name="list")
@json_option
@pass_warehouse
def list_(warehouse: Warehouse, *, as_json: bool) -> None:
    """Show which credentials are stored: names, and a fingerprint that changes with the values.

    Example: warehouse credentials list
    """
    with _table(warehouse) as (table, cursor):
        entries = table.entries(cursor)
    if as_json:
        emit(*map(_summary, entries))
        return
    if not entries:
        click.echo("No credentials are stored.")
        return
    shown = Table(title="Credentials", title_justify="left")
    for heading in ("CRM", "settings", "active", "fingerprint", "changed (UTC)"):
        shown.add_column(heading)
    for entry in entries:
        shown.add_row(
            Text(entry.crm_source),
            Text(", ".join(entry.settings)),
            "yes" if entry.is_active else "no",
            entry.fingerprint,
            f"{entry.updated_at:%Y-%m-%d %H:%M:%S}",
        )
    console().print(shown)


@command.command()
@click.argument("crm")
@json_option
@pass_warehouse
def test(warehouse: Warehouse, crm: str, *, as_json: bool) -> None:
    """Read one record of each stream of CRM with what is stored; exit code 1 where that fails.

    What the environment says wins, as in every run.

    Example: warehouse credentials test hubspot
    """
    crm, _ = named(warehouse.project, crm)
    given = credentials_of(warehouse, crm)
    errors = connection_errors(warehouse, crm)
    if as_json:
        emit({"crm_source": crm, "ok": not errors, "stored": sorted(given), "errors": errors})
    else:
        used = f"with {', '.join(sorted(given))} as stored" if given else "with nothing stored"
        click.echo(f"{crm}: {'failed' if errors else 'well'}, {used}")
        for line in errors:
            click.echo(f"  {line}")
    sys.exit(1 if errors else 0)


@command.command()
@json_option
@pass_warehouse
def rotate_key(warehouse: Warehouse, *, as_json: bool) -> None:
    """Encrypt all credentials with a new key, in one transaction, and give up the old ones.

    A key file gets the new key by itself. Keys of WAREHOUSE_ENCRYPTION_KEY are changed there: put
    the new one first, run this, and take the old one out.

    Example: warehouse credentials rotate-key
    """
    with warehouse.connect() as connection, connection.cursor() as cursor:
        take_turns(cursor, "warehouse credentials rotate-key")
        count, new = _rotate(warehouse)
    if as_json:
        emit({"rotated": count, "key": new.origin})
    else:
        click.echo(f"Encrypted {count} with the new key of {new.origin}.")
        if not new.file:
            click.echo("The other keys can go now.")


@command.command()
@click.argument("crm")
@click.argument("settings", metavar="[SETTING]...", nargs=-1)
@json_option
@pass_warehouse
def remove(warehouse: Warehouse, crm: str, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Remove all credentials of CRM, for which no key is needed, or some.

    Example: warehouse credentials remove hubspot
    """
    with _table(warehouse) as (table, cursor):
        removed = table.remove(cursor, crm, settings)
    if as_json:
        emit({"crm_source": crm, "removed": removed})
    else:
        click.echo(f"Removed {', '.join(settings) or 'the credentials'} of {crm}."
                   if removed else f"{crm} has none of them.")  # fmt: skip
    sys.exit(0 if removed else 1)


@command.command(hidden=True)
@click.argument("crm")
@pass_warehouse
def exchange(warehouse: Warehouse, crm: str) -> None:
    """Lend the refresh token of CRM to a tap (see tapkit.refresh_tokens).

    Example: warehouse credentials exchange hubspot < /dev/null | wc --bytes
    """
    if sys.stdout.isatty():
        raise Refusal("This is for taps; the token is not shown on a terminal.")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the tap, which closes its end
    following = ""
    for pause in (*_PAUSES, None):
        try:
            with _table(warehouse) as (table, cursor), table.exchange(cursor, crm) as (token, keep):
                if not following:
                    click.echo(token)
                    sys.stdout.flush()
                    following = sys.stdin.readline().strip()
                if following:
                    keep(following)
        except Refusal:  # noqa: PERF203 - there is no other way to try again
            if not following or pause is None:
                raise
            time.sleep(pause)  # the old token is used up: this one must not get lost
        else:
            return


@contextmanager
def _table(warehouse: Warehouse, *, create: bool = False) -> Iterator[tuple[Credentials, Cursor]]:
    """Give the table; with `create` a key is made where there is none and nothing is stored."""
    with warehouse.connect() as connection, connection.cursor() as cursor:

        def keys() -> Keys:
            try:
                return Keys.load(warehouse.variables, warehouse.project)
            except KeyMissing:
                if not create or table.any(cursor):
                    raise
                return Keys.create(warehouse.variables, warehouse.project)

        table = Credentials(warehouse.history_schema, keys)
        yield table, cursor


def _rotate(warehouse: Warehouse) -> tuple[int, Keys]:
    """Encrypt all rows anew; while that goes on, the file has the new key and the old ones.

    Returns:
        How many rows, and the keys.

    Raises:
        Refusal: A row does not open, or the variable has no new key.
    """
    keys = Keys.load(warehouse.variables, warehouse.project)
    if keys.file is None:
        if len(keys.keys) == 1:
            raise Refusal(
                f"{keys.origin} has one key. Put the new one before it, with a comma between, and"
                " run this again."
            )
        with _table(warehouse) as (table, cursor):
            return table.rotate(cursor, keys), keys
    new = keys.with_new()
    try:
        with _table(warehouse) as (table, cursor):
            table.lock(cursor)  # or others would encrypt with a key that may be taken back
            new.write()
            count = table.rotate(cursor, new)
    except EncryptionError:
        keys.write()
        raise
    new.newest().write()
    return count, new


def _refuse_foreign(crm: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if "=" in name:
            raise click.UsageError(
                "Values are not taken from the command line, where others see them. Give the name"
                f" alone and pipe the value: warehouse credentials set {crm} SETTING < file"
            )
        if known and name not in known:
            shown = name if _NAME.fullmatch(name) else "***"
            raise click.UsageError(
                f"'{shown}' is no credential of {crm}; it has {', '.join(known)}. Other settings:"
                f" warehouse config set {crm} {shown}=…"
            )


def _summary(entry: Entry) -> dict[str, Any]:
    return {
        "crm_source": entry.crm_source,
        "settings": list(entry.settings),
        "is_active": entry.is_active,
        "fingerprint": entry.fingerprint,
        "updated_at": entry.updated_at,
    }
