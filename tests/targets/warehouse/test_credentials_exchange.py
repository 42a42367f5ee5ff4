"""Refresh tokens that end with each use: taps share one, and none of them is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from cryptography.fernet import Fernet
from warehouse.command import Warehouse
from warehouse.credentials import Credentials
from warehouse.encryption import Keys
from warehouse.handover import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm_sandbox.client import Sandbox

BIN = Path(sys.executable).parent
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Stored:
    """The OAuth credentials of a HubSpot account, in the table of a real Postgres."""

    def __init__(self, url: str, project: Path) -> None:
        self.url = url
        self.table = Credentials("public", lambda: Keys.load({}, project))

    def put(self, **settings: str) -> None:
        with closing(psycopg2.connect(self.url)) as connection, connection:
            self.table.put(connection.cursor(), "hubspot", settings)

    @property
    def settings(self) -> dict[str, str]:
        with closing(psycopg2.connect(self.url)) as connection, connection:
            entry = self.table.entry(connection.cursor(), "hubspot")
            assert entry is not None
            return dict(entry.settings)

    @property
    def token(self) -> str:
        return self.settings["refresh_token"]


@pytest.fixture
def stored(wh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    (tmp_path / "meltano.yml").write_text("plugins: {extractors: [{name: tap-hubspot}]}")
    for name in [name for name in os.environ if name.startswith(("TAP_", "WAREHOUSE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    monkeypatch.setenv("TARGET_WAREHOUSE_SQLALCHEMY_URL", wh.url)
    Keys.create({}, tmp_path)
    return Stored(wh.url, tmp_path)


@pytest.fixture
def lent(stored: Stored) -> Callable[[], subprocess.Popen[str]]:
    """Starts the command that lends the token out, as a tap does."""
    stored.put(client_id="an-app", client_secret="5ecret", refresh_token="refresh-0")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BIN / "warehouse", "credentials", "exchange", "hubspot"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


TRADES = """
import sys, requests
from tapkit.auth import OAuthRefreshAuth
url, client_id, client_secret = sys.argv[1:]
auth = OAuthRefreshAuth(
    url, client_id=client_id, client_secret=client_secret, refresh_token="of the settings"
)
for _ in range(4):
    auth.renew(None)
"""


def together(*command: str, **environment: str) -> list[str]:
    """Run a command twice at once to success and return what both wrote."""
    running = [
        subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=60)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert [process.returncode for process in running] == [0, 0], outputs
    return outputs


def test_two_processes_at_once_each_use_the_newest_token(stored: Stored, sandbox: Sandbox) -> None:
    sandbox.switches(rotate_refresh_token=True)
    first = sandbox.oauth()
    stored.put(**first)
    told = environment(Warehouse.of_project(), "hubspot")
    url = f"{sandbox.base_url()}/oauth/2026-09/token"
    client = (first["client_id"], first["client_secret"])
    together(sys.executable, "-c", TRADES, url, *client, **told)
    stats = sandbox.stats()
    assert (stats["kinds"], stats["statuses"]) == ({"hubspot.oauth.token": 8}, {"200": 8})
    assert stored.settings == {**first, "refresh_token": sandbox.oauth()["refresh_token"]}
    assert stored.token != first["refresh_token"]


def test_two_taps_read_with_one_token_and_show_none(stored: Stored, sandbox: Sandbox) -> None:
    sandbox.switches(rotate_refresh_token=True)
    first = sandbox.oauth(lifetime_seconds=10)
    stored.put(**first)
    told = environment(Warehouse.of_project(), "hubspot")
    told |= {"TAP_HUBSPOT_BASE_URL": sandbox.base_url(), "TAP_HUBSPOT_ASSOCIATION_PAIRS": "[]",
             "TAP_HUBSPOT_LOGLEVEL": "DEBUG"}  # fmt: skip
    outputs = together(str(BIN / "tap-hubspot"), "--config", "ENV", **told)
    stats = sandbox.stats()
    assert stats["kinds"]["hubspot.oauth.token"] >= 2
    assert not {"400", "401"} & stats["statuses"].keys()
    assert stored.token == sandbox.oauth()["refresh_token"] != first["refresh_token"]
    secrets = [*first.values(), stored.token]
    assert not [text for text in outputs for secret in secrets if secret in text]


def test_a_crash_in_between_keeps_the_old_token(
    stored: Stored, lent: Callable[[], subprocess.Popen[str]]
) -> None:
    for number, code in ((signal.SIGKILL, -9), (None, 0)):
        with lent() as process:
            assert process.stdout
            assert process.stdout.readline() == "refresh-0\n"
            if number:
                process.send_signal(number)
            process.communicate()
        assert process.returncode == code
        assert stored.token == "refresh-0"


def test_it_outlives_the_signal_that_ends_a_pipeline_and_the_loss_of_its_connection(
    stored: Stored, lent: Callable[[], subprocess.Popen[str]], wh: Any
) -> None:
    with lent() as process:
        assert process.stdout
        assert process.stdout.readline() == "refresh-0\n"
        process.send_signal(signal.SIGTERM)
        wh.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        out, err = process.communicate("refresh-1\n")
    assert (process.returncode, out, err) == (0, "", "")
    assert stored.token == "refresh-1"


def test_a_connection_that_is_lost_in_the_commit_loses_no_token(
    stored: Stored, lent: Callable[[], subprocess.Popen[str]], wh: Any
) -> None:
    wh.query("CREATE SEQUENCE commits")
    wh.query(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('commits') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
        " RETURN NULL; END $$"
    )
    wh.query(
        "CREATE CONSTRAINT TRIGGER lose AFTER UPDATE ON api_credentials"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose()"
    )
    with lent() as process:
        assert process.stdout
        assert process.stdout.readline() == "refresh-0\n"
        out, err = process.communicate("refresh-1\n")
    assert (process.returncode, out, err) == (0, "", "")
    assert stored.token == "refresh-1"


def test_the_second_waits_for_the_first(
    stored: Stored, lent: Callable[[], subprocess.Popen[str]], wh: Any
) -> None:
    with lent() as first:
        assert first.stdout
        assert first.stdout.readline() == "refresh-0\n"
        with lent() as second:
            wh.wait_for(lambda: wh.query(WAITING))
            first.communicate("refresh-1\n")
            assert second.communicate()[0] == "refresh-1\n"
    assert stored.token == "refresh-1"


def test_a_rotation_of_the_key_that_fails_meanwhile_loses_no_token(
    stored: Stored, lent: Callable[[], subprocess.Popen[str]], wh: Any
) -> None:
    sealed = Keys((Fernet.generate_key().decode(),), "another").seal("{}")
    wh.query("INSERT INTO api_credentials (crm_source, credentials) VALUES ('lost', %s)", sealed)
    with lent() as process:
        assert process.stdout
        assert process.stdout.readline() == "refresh-0\n"
        with subprocess.Popen([BIN / "warehouse", "credentials", "rotate-key"]) as rotation:
            wh.wait_for(lambda: wh.query(WAITING))
            process.communicate("refresh-1\n")
        assert (process.returncode, rotation.returncode) == (0, 3)
    wh.query("DELETE FROM api_credentials WHERE crm_source = 'lost'")
    assert stored.token == "refresh-1"


def test_what_is_not_there_is_not_lent(
    stored: Stored, lent: Callable[[], subprocess.Popen[str]]
) -> None:
    with closing(psycopg2.connect(stored.url)) as connection, connection:
        stored.table.remove(connection.cursor(), "hubspot", ("refresh_token",))
    with lent() as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (3, "")
    assert err == "Error: No refresh_token of hubspot is stored in api_credentials.\n"
    assert json.dumps(stored.settings, sort_keys=True).count("5ecret") == 1
