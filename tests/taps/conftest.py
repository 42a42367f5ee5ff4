from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from crm_sandbox.genius.server import MariaDB, fill
from genius_database import MEGABYTE, certify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crm_sandbox.client import Sandbox
    from sqlalchemy import Engine


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, object]:
    return {"base_url": sandbox.base_url(), "access_token": "pat-na1-sandbox"}


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A server that has TLS, and whose longest text is a megabyte."""
    with TemporaryDirectory(prefix="crm-warehouse-tests-") as name:
        folder = Path(name)
        certificate, key = certify(folder, "server")
        tls = (f"--ssl-cert={certificate}", f"--ssl-key={key}")
        server = MariaDB(folder, f"--max-allowed-packet={MEGABYTE}", *tls)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def certificate(mariadb: MariaDB) -> Path:
    """The server's certificate, which is its own authority."""
    return mariadb.folder / "server.pem"


@pytest.fixture(scope="session")
def genius(mariadb: MariaDB) -> Iterator[Engine]:
    """All tables of Genius with 20 rows each, which no test changes."""
    with mariadb.database("genius") as engine:
        fill(engine, 20)
        yield engine


@pytest.fixture
def empty(mariadb: MariaDB) -> Iterator[Engine]:
    """An empty database."""
    with mariadb.database("empty") as engine:
        yield engine
