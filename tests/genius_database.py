"""What the tests of tap-genius share: a database to read, and how to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer import Row, Run, run_tap, select
from sqlalchemy import text
from tap_genius.tap import TapGenius

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["MEGABYTE", "bookmark", "do", "read", "settings"]

MEGABYTE = 1 << 20
"""The longest text that the test server can write."""


def settings(engine: Engine, **further: Any) -> Row:
    url = engine.url
    return {
        "host": url.host,
        "port": url.port,
        "database": url.database,
        "username": url.username,
        "max_tries": 2,
        **further,
    }


def read(engine: Engine, *streams: str, state: Row | None = None, **further: Any) -> Run:
    config = settings(engine, **further)
    return run_tap(TapGenius, config, state, select(TapGenius, config, *streams))


def do(engine: Engine, *statements: str, **values: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def bookmark(run: Run, stream: str) -> str | None:
    value: str | None = run.state["bookmarks"][stream].get("replication_key_value")
    return value
