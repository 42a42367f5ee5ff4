"""Credentials in the warehouse: what is stored, who can read it, and what never shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from warehouse.cli import main
from warehouse.command import Refusal, Warehouse
from warehouse.credentials import Credentials, credential_settings, displaced
from warehouse.encryption import EncryptionError, KeyMissing, Keys
from warehouse.handover import environment
from warehouse.server import psql_executable

SECRET = "pat-na1-5ecret-0f-the-account"
OAUTH = {"client_id": "an-app", "client_secret": "5ecret-of-app", "refresh_token": "5ecret-refresh"}
PROJECT = """\
plugins:
  extractors:
  - name: tap-hubspot
  - name: tap-callrail
  - name: tap-genius
  - name: tap-foreign
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wh: Any) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "meltano.yml").write_text(PROJECT)
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(folder))
    monkeypatch.setenv("TARGET_WAREHOUSE_SQLALCHEMY_URL", wh.url)
    for name in [name for name in os.environ if name.startswith(("TAP_", "HUBSPOT_"))]:
        monkeypatch.delenv(name)
    for name in ("WAREHOUSE_ENCRYPTION_KEY", "WAREHOUSE_ENCRYPTION_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["credentials", *arguments], input=stdin)


def stored(crm: str = "hubspot", **settings: str) -> Result:
    result = call("set", crm, "--from-file", "-", stdin=json.dumps(settings))
    assert result.exit_code == 0, result.output
    return result


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_a_row_has_nothing_in_clear(
    project: Path, wh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("set", "hubspot", "access_token", stdin=f"{SECRET}\n").exit_code == 0
    stored("callrail", api_key="5ecret-key")
    one, two = wh.query("SELECT * FROM api_credentials ORDER BY crm_source DESC")
    assert (one["crm_source"], two["crm_source"]) == ("hubspot", "callrail")
    assert list(one) == ["crm_source", "credentials", "is_active", "created_at", "updated_at"]
    assert one["is_active"] is True
    assert one["created_at"] == one["updated_at"]
    keys = Keys.load({}, project)
    payload = json.loads(keys.open(one["credentials"]))
    assert payload == {
        "crm_source": "hubspot", "salt": payload["salt"], "settings": {"access_token": SECRET}
    }  # fmt: skip
    monkeypatch.setenv("PATH", "")  # so that it is the pg_dump of the server's version
    dump = subprocess.run(
        [Path(psql_executable()).with_name("pg_dump"), wh.url],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "api_credentials" in dump
    assert not re.search("5ecret|access_token|api_key", dump)


def test_what_is_shown_is_names_and_a_fingerprint(project: Path) -> None:
    stored(**OAUTH)
    outputs = [call("list"), call("list", "--json")]
    row = json.loads(outputs[1].output)
    assert row == {
        "crm_source": "hubspot",
        "settings": ["client_id", "client_secret", "refresh_token"],
        "is_active": True,
        "fingerprint": row["fingerprint"],
        "updated_at": row["updated_at"],
    }
    outputs += [call("rotate-key"), call("list", "--json")]
    assert json.loads(outputs[-1].output)["fingerprint"] == row["fingerprint"]
    outputs.append(stored(client_secret="5ecret-other"))
    outputs.append(call("list", "--json"))
    assert json.loads(outputs[-1].output)["fingerprint"] != row["fingerprint"]
    outputs += [call("set", "hubspot", "--inactive"), call("remove", "hubspot", "refresh_token")]
    outputs += [call("list"), call("remove", "hubspot"), call("remove", "hubspot")]
    assert [one.exit_code for one in outputs] == [0] * 10 + [1]
    assert "5ecret" not in "".join(one.output for one in outputs)
    assert call("list").output == "No credentials are stored.\n"


def test_the_key_file_is_its_owners_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("init").exit_code == 0
    path = project / ".warehouse/encryption.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = call("init")
    assert (again.exit_code, "a key already" in again.output) == (3, True)
    path.chmod(0o640)
    result = call("set", "hubspot", "access_token", stdin=SECRET)
    assert (result.exit_code, f"chmod 600 {path}" in result.output) == (3, True)


def test_the_key_file_never_gets_into_git(project: Path) -> None:
    subprocess.run(["git", "init", "-q", project], check=True)
    refused = call("set", "hubspot", "access_token", stdin=SECRET)
    assert refused.exit_code == 3
    assert "would be in git" in refused.output
    (project / ".gitignore").write_text(".warehouse/\n")
    assert call("set", "hubspot", "access_token", stdin=SECRET).exit_code == 0
    status = subprocess.run(
        ["git", "-C", project, "status", "--short", "-uall"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "encryption" not in status.stdout


@pytest.mark.parametrize("key", ["", "wrong", "no key at all"])
def test_a_wrong_or_missing_key_is_a_clear_error(
    project: Path, wh: Any, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    stored(access_token=SECRET)
    before = wh.query("SELECT * FROM api_credentials")
    (project / ".warehouse/encryption.key").unlink()
    monkeypatch.setenv("WAREHOUSE_ENCRYPTION_KEY", new_key() if key == "wrong" else key)
    said = {
        "": "There is no encryption key: set WAREHOUSE_ENCRYPTION_KEY",
        "wrong": "it was encrypted with another key",
        "no key at all": "WAREHOUSE_ENCRYPTION_KEY has no usable key",
    }[key]
    for result in (
        call("list"),
        call("set", "callrail", "api_key", stdin="x"),
        call("exchange", "hubspot"),
        CliRunner().invoke(main, ["config", "show", "hubspot"]),
    ):
        assert result.exit_code == 3
        assert said in result.output
        assert SECRET not in result.output
        assert not key or key not in result.output.replace("no usable key", "")
    assert wh.query("SELECT * FROM api_credentials") == before
    assert not (project / ".warehouse/encryption.key").exists()
    assert call("remove", "hubspot").exit_code == 0  # so that one can begin anew


def test_the_first_of_several_keys_encrypts_and_all_open(
    project: Path, wh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    monkeypatch.setenv("WAREHOUSE_ENCRYPTION_KEY", old)
    stored(access_token=SECRET)
    stored("callrail", api_key="5ecret-key")
    alone = call("rotate-key")
    assert (alone.exit_code, "has one key" in alone.output) == (3, True)
    monkeypatch.setenv("WAREHOUSE_ENCRYPTION_KEY", f"{new}, {old}")
    assert json.loads(call("rotate-key", "--json").output) == {
        "rotated": 2, "key": "WAREHOUSE_ENCRYPTION_KEY"
    }  # fmt: skip
    monkeypatch.setenv("WAREHOUSE_ENCRYPTION_KEY", new)
    assert opened(wh, "hubspot") == {"access_token": SECRET}
    monkeypatch.setenv("WAREHOUSE_ENCRYPTION_KEY", old)
    assert call("list").exit_code == 3


def test_a_key_file_is_rotated_by_itself_and_a_failed_rotation_changes_nothing(
    project: Path, wh: Any
) -> None:
    stored(access_token=SECRET)
    path = project / ".warehouse/encryption.key"
    first = path.read_text()
    assert call("rotate-key").exit_code == 0
    second = path.read_text()
    assert (len(second.split()), stat.S_IMODE(path.stat().st_mode)) == (1, 0o600)
    assert first != second
    assert opened(wh, "hubspot") == {"access_token": SECRET}
    path.write_text(first)  # as of a backup
    rows = wh.query("SELECT * FROM api_credentials")
    assert call("rotate-key").exit_code == 3
    assert wh.query("SELECT * FROM api_credentials") == rows
    assert path.read_text() == first
    path.write_text(f"{first}{second}")
    assert call("rotate-key").exit_code == 0
    assert opened(wh, "hubspot") == {"access_token": SECRET}


def test_rows_cannot_be_swapped(project: Path, wh: Any) -> None:
    stored(access_token=SECRET)
    stored("callrail", api_key="5ecret-key")
    wh.query(
        "UPDATE api_credentials AS one SET credentials = other.credentials"
        " FROM api_credentials AS other WHERE one.crm_source <> other.crm_source"
    )
    for result in (call("list"), call("exchange", "hubspot"), call("test", "hubspot")):
        assert result.exit_code == 3
        assert "was made for another CRM" in result.output
        assert "5ecret" not in result.output
    with pytest.raises(Refusal, match="was made for another CRM"):
        environment(Warehouse.of_project(), "hubspot")


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (["hubspot", f"access_token={SECRET}"], "", 2, "Values are not taken from the command"),
        (["hubspot", "base_url"], "http://x", 2, "warehouse config set hubspot base_url=…"),
        (["hubspot"], '{"page_size": 5}', 2, "'page_size' is no credential of hubspot"),
        (["hubspot", "access_token"], "", 2, "No value was given"),
        (["hubspot", "client_id", "client_secret"], "client_id=x", 2, "no value of client_secret"),
        (["hubspot"], "[1]", 2, "Give a JSON object"),
        (["hubspot", SECRET], "", 2, "'***' is no credential of hubspot"),
        (["hubspot"], f"{SECRET}==", 2, "'***' is no credential of hubspot"),
        (["nobody", "access_token"], SECRET, 2, "There is no CRM nobody. There are: callrail"),
    ],
)
def test_what_is_not_taken(
    project: Path, wh: Any, arguments: list[str], stdin: str, code: int, said: str
) -> None:
    result = call("set", *arguments, stdin=stdin)
    assert (result.exit_code, said in result.output) == (code, True), result.output
    assert SECRET not in result.output
    assert wh.query("SELECT to_regclass('api_credentials') AS made") == [{"made": None}]


def test_values_come_from_a_file_as_json_or_lines_or_from_stdin(
    project: Path, wh: Any, tmp_path: Path
) -> None:
    file = tmp_path / "secrets"
    file.write_text("# of the app\nclient_id=an-app\nclient_secret='a $x # b'\n")
    assert call("set", "hubspot", "--from-file", str(file)).exit_code == 0
    assert call("set", "hubspot", "refresh_token", stdin=" spaced \r\n").exit_code == 0
    assert opened(wh, "hubspot") == {
        "client_id": "an-app", "client_secret": "a $x # b", "refresh_token": " spaced "
    }  # fmt: skip
    stored("genius", username="reader", password="5ecret")
    assert opened(wh, "genius") == {"username": "reader", "password": "5ecret"}
    stored("foreign", anything="5ecret")
    assert opened(wh, "foreign") == {"anything": "5ecret"}


def test_on_a_terminal_values_are_asked_for_and_not_shown(project: Path, wh: Any) -> None:
    ours, its = os.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("warehouse"), "credentials", "set", "callrail"],
        stdin=its, stdout=its, stderr=its, start_new_session=True,
    )  # fmt: skip
    os.close(its)
    shown = os.read(ours, 1000)
    assert shown == b"api_key (empty: leave it): "
    os.write(ours, b"5ecret-typed\n")
    while b"Stored" not in shown:
        shown += os.read(ours, 1000)
    assert process.wait() == 0
    os.close(ours)
    assert b"5ecret" not in shown
    assert opened(wh, "callrail") == {"api_key": "5ecret-typed"}


def test_taps_get_what_the_environment_does_not_say(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handed() -> dict[str, str]:
        return environment(Warehouse.of_project(), "hubspot")

    assert handed() == {}
    stored(access_token=SECRET)
    assert handed() == {"TAP_HUBSPOT_ACCESS_TOKEN": SECRET}
    call("set", "hubspot", "--inactive")
    assert handed() == {}
    call("set", "hubspot", "--active")
    monkeypatch.setenv("TAP_HUBSPOT_ACCESS_TOKEN", "the user's")
    assert handed() == {}
    monkeypatch.delenv("TAP_HUBSPOT_ACCESS_TOKEN")
    for name in OAUTH:  # all of them are another way in, so they take the token's place
        monkeypatch.setenv(f"TAP_HUBSPOT_{name.upper()}", "the user's")
    assert handed() == {}
    monkeypatch.delenv("TAP_HUBSPOT_CLIENT_ID")
    assert handed() == {"TAP_HUBSPOT_ACCESS_TOKEN": SECRET}


def test_who_keeps_the_refresh_token_is_said_only_where_it_is_the_tables(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(**OAUTH)
    handed = environment(Warehouse.of_project(), "hubspot")
    command = json.loads(handed.pop("TAPKIT_REFRESH_TOKEN_COMMAND"))
    assert command[1:] == ["credentials", "exchange", "hubspot"]
    assert shutil.which(command[0])
    assert handed == {f"TAP_HUBSPOT_{name.upper()}": value for name, value in OAUTH.items()}
    monkeypatch.setenv("TAP_HUBSPOT_REFRESH_TOKEN", "the user's")
    assert "TAPKIT_REFRESH_TOKEN_COMMAND" not in environment(Warehouse.of_project(), "hubspot")


def test_which_settings_are_credentials() -> None:
    secret = {"secret": True}
    assert credential_settings({"host": {}, "username": {}, "password": secret}) == [
        "username", "password"
    ]  # fmt: skip
    assert credential_settings({"username": {}, "sqlalchemy_url": secret}) == ["sqlalchemy_url"]
    both = {"access_token": secret, "username": {}, "password": secret}
    assert displaced(both, {"access_token"}) == {"username", "password"}
    assert displaced(both, {"password"}) == set()


def test_the_token_is_one_taps_alone_until_it_gives_it_back(project: Path, wh: Any) -> None:
    stored(**OAUTH)
    order: list[str] = []

    def take(name: str, following: str | None, began: threading.Event) -> None:
        with (
            closing(psycopg2.connect(wh.url)) as connection,
            connection,
            connection.cursor() as cursor,
            table(project).exchange(cursor, "hubspot") as (token, keep),
        ):
            order.append(f"{name} has {token}")
            began.set()
            if name == "first":
                time_for_the_second.wait(0.5)
            order.append(f"{name} ends")
            if following:
                keep(following)

    began, time_for_the_second = threading.Event(), threading.Event()
    first = threading.Thread(target=take, args=("first", "5ecret-next", began))
    second = threading.Thread(target=take, args=("second", None, threading.Event()))
    first.start()
    assert began.wait(10)
    second.start()
    first.join()
    second.join()
    assert order == [
        "first has 5ecret-refresh", "first ends", "second has 5ecret-next", "second ends"
    ]  # fmt: skip
    assert opened(wh, "hubspot") == {**OAUTH, "refresh_token": "5ecret-next"}


def table(project: Path) -> Credentials:
    return Credentials("public", lambda: Keys.load(os.environ, project))


def opened(wh: Any, crm: str) -> dict[str, str]:
    with closing(psycopg2.connect(wh.url)) as connection, connection.cursor() as cursor:
        entry = table(Path(os.environ["MELTANO_PROJECT_ROOT"])).entry(cursor, crm)
        assert entry is not None
        return dict(entry.settings)


def test_keys_tell_nothing_of_themselves(tmp_path: Path) -> None:
    key = new_key()
    keys = Keys.load({"WAREHOUSE_ENCRYPTION_KEY": key}, tmp_path)
    assert repr(keys) == str(keys) == "Keys(1 of WAREHOUSE_ENCRYPTION_KEY)"
    assert keys.open(keys.seal("x")) == "x"
    with pytest.raises(EncryptionError):
        keys.open(keys.seal("x")[:-2])
    with pytest.raises(KeyMissing):
        Keys.load({"WAREHOUSE_ENCRYPTION_KEY_FILE": "nowhere"}, tmp_path)
