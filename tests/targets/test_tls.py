"""TLS to a real server: who the server is, and who we are."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator

PROPERTIES = {"id": {"type": "integer"}}
RULES = """
hostssl all somebody 127.0.0.1/32 cert
hostssl all postgres 127.0.0.1/32 trust
"""
# The embedded server is built without TLS.
PROGRAMS = max(
    Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda p: float(p.parent.name), default=None
)


class Server:
    """A Postgres that lets nobody in without TLS, and its authorities."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.user = "postgres" if os.getuid() == 0 else None  # as root it does not run
        if self.user:
            shutil.chown(folder, self.user)
        self.run("initdb", "--username=postgres", "--auth=trust", "--no-sync")
        self.authority, self.other = trustme.CA(), trustme.CA()
        self.ca = self.file("ca.pem", self.authority.cert_pem)
        self.other_ca = self.file("other.pem", self.other.cert_pem)
        of_server = self.authority.issue_cert("localhost")
        self.file("server.pem", of_server.cert_chain_pems[0], self.user)
        self.file("server.key", of_server.private_key_pem, self.user)
        (self.data / "pg_hba.conf").write_text(RULES)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "fsync": "off",
            "unix_socket_directories": folder, "ssl": "on", "ssl_ca_file": self.ca,
            "ssl_cert_file": folder / "server.pem", "ssl_key_file": folder / "server.key",
        }  # fmt: skip
        given = " ".join(f"-c {name}={value}" for name, value in options.items())
        self.run("pg_ctl", "--wait", "start", f"--log={folder / 'log'}", "-o", given)

    def run(self, program: str, *arguments: str) -> None:
        command = [PROGRAMS / program, f"--pgdata={self.data}", *arguments]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, user=self.user, cwd=self.folder
        )

    def file(self, name: str, pem: trustme.Blob, owner: str | None = None) -> str:
        path = self.folder / name
        pem.write_to_path(path)
        path.chmod(0o600 if name.endswith(".key") else 0o644)
        if owner:
            shutil.chown(path, owner)
        return str(path)

    def login(self, authority: trustme.CA, name: str) -> dict[str, str]:
        """Return the settings for a certificate of the role somebody."""
        issued = authority.issue_cert("somebody@example.com", common_name="somebody")
        return {
            "user": "somebody",
            "sslcert": self.file(f"{name}.pem", issued.cert_chain_pems[0]),
            "sslkey": self.file(f"{name}.key", issued.private_key_pem),
        }


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if PROGRAMS is None:
        if os.environ.get("CI"):
            pytest.fail(".ci/postgres installs what is missing")
        pytest.skip("Needs a PostgreSQL with TLS; .ci/postgres installs Debian's")
    folder = Path(tempfile.mkdtemp(prefix="crm-warehouse-tests-"))
    server = Server(folder)
    yield server
    server.run("pg_ctl", "--mode=immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def load(wh, messages, server):
    """Return what loads a record over TLS and returns the table."""
    address = {"host": "localhost", "port": server.port, "database": "postgres", "user": "postgres"}
    wh.url = f"postgresql://postgres@localhost:{server.port}/postgres?sslmode=require"

    def load(**settings: Any) -> list[dict[str, Any]]:
        lines = messages.schema("s", PROPERTIES), messages.record("s", id=1)
        wh.load(*lines, **{"sqlalchemy_url": None, **address, **settings})
        return wh.table("s")

    yield load
    wh.query("DROP SCHEMA IF EXISTS crm CASCADE; DROP TABLE IF EXISTS sync_history, sync_rejects")


def test_encrypted(load, wh):
    assert load(sslmode="require") == [{"id": 1}]
    assert load(sqlalchemy_url=wh.url, host=None, user=None, database=None)
    with pytest.raises(Exception, match="Check user, database and sslmode"):
        load(sslmode="disable")


def test_the_server_is_checked(load, server):
    assert load(sslmode="verify-full", sslrootcert=server.ca) == [{"id": 1}]
    assert load(sslmode="verify-ca", sslrootcert=server.ca, host="127.0.0.1") == [{"id": 1}]
    with pytest.raises(Exception, match=r'does not match host name "127.0.0.1".* Check sslmode'):
        load(sslmode="verify-full", sslrootcert=server.ca, host="127.0.0.1")
    with pytest.raises(Exception, match=r"certificate verify failed\. Check sslmode, sslrootcert"):
        load(sslmode="verify-full", sslrootcert=server.other_ca)


def test_we_show_a_certificate(load, server, wh):
    name = "somebody"
    wh.query(f"CREATE ROLE {name} LOGIN; GRANT ALL ON DATABASE postgres TO {name};"
             f" GRANT ALL ON SCHEMA public TO {name}")  # fmt: skip
    checked = {"sslmode": "verify-full", "sslrootcert": server.ca}
    ours, foreign = server.login(server.authority, "ours"), server.login(server.other, "foreign")
    try:
        assert load(**checked, **ours) == [{"id": 1}]
        with pytest.raises(Exception, match=r"requires a valid client certificate\. Check sslmode"):
            load(**checked, user=name)
        with pytest.raises(Exception, match=r"Postgres: .*SSL.* Check sslmode"):
            load(**checked, **foreign)
        Path(ours["sslkey"]).chmod(0o644)
        with pytest.raises(Exception, match=r"has group or world access.* Check sslmode"):
            load(**checked, **ours)
    finally:
        wh.query(f"DROP OWNED BY {name}; DROP ROLE {name}")
