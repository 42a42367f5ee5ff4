"""Where the warehouse's database is, by the settings of target-warehouse."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AddressError", "database_address"]

_TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")


class AddressError(Exception):
    """The settings name no database; the message says which one to change."""


def database_address(config: Mapping[str, Any]) -> str | None:
    """Return the configured database's URL, or None for the embedded one.

    Raises:
        AddressError: The settings contradict each other, or are no address of a Postgres.
    """
    tls = {name: config[name] for name in _TLS if config.get(name)}
    if text := config.get("sqlalchemy_url"):
        if given := [name for name in ("host", "user", "password", "database") if config.get(name)]:
            raise AddressError(f"Set sqlalchemy_url or {given[0]}, not both.")
        url = _parsed(text)
    elif config.get("host"):
        host, port = config["host"], config.get("port")
        socket = host.startswith("/")
        url = URL.create(
            "postgresql",
            username=config.get("user"),
            password=config.get("password"),
            host=None if socket else host,
            port=None if socket or port is None else int(port),
            database=config.get("database"),
            query={"host": host, "port": str(port)} if socket else {},
        )
    else:
        if given := [name for name in ("user", "password", "database", *tls) if config.get(name)]:
            raise AddressError(f"{given[0]} says nothing without host; set host or sqlalchemy_url.")
        return None
    for name in _TLS[1:]:
        if name in tls and not os.access(tls[name], os.R_OK):
            raise AddressError(f"The file that {name} names cannot be read: {tls[name]}")
    return url.update_query_dict(tls).render_as_string(hide_password=False)


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # which quote the address, password and all
        url = None
    # With an @ in it the host is the end of a password, which errors would show.
    if (
        url is None
        or url.get_backend_name() not in {"postgresql", "postgres"}
        or "@" in (url.host or "")
    ):
        raise AddressError(
            "sqlalchemy_url is not the address of a Postgres; write"
            " postgresql://user:password@host:5432/database, with @ : / # ? % in the password as"
            " %40 %3A %2F %23 %3F %25."
        ) from None
    return url.set(drivername="postgresql")
