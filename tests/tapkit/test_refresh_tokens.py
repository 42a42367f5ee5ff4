"""A refresh token that changes with each use, and a keeper that outlives the process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest
import requests
from tapkit.auth import OAuthRefreshAuth
from tapkit.errors import RetriableAPIError, Unauthorized
from tapkit.refresh_tokens import COMMAND
from tapkit_fake_api import Answer, Api, Request

if TYPE_CHECKING:
    from pathlib import Path

KEEPER = """
import pathlib, sys
file = pathlib.Path(sys.argv[1])
print(file.read_text(), flush=True)
line = sys.stdin.readline()
if line:
    if sys.argv[2] == "fails":
        sys.exit(1)
    file.write_text(line.strip())
"""


class Endpoint:
    """A token endpoint that ends each refresh token once it is used."""

    def __init__(self, api: Api) -> None:
        self.url, self.valid, self.count = f"{api.url}/token", "refresh-0", 0
        self.answer: dict[str, object] = {"access_token": "access", "expires_in": 1}
        api.answer = self.trade

    def trade(self, request: Request) -> Answer:
        (given,) = parse_qs(request.body.decode())["refresh_token"]
        if given != self.valid:
            return Answer({"error": "invalid_grant"}, status=400)
        self.count += 1
        self.valid = f"refresh-{self.count}"
        return Answer({**self.answer, "refresh_token": self.valid})

    def auth(self, first: str = "refresh-0") -> OAuthRefreshAuth:
        return OAuthRefreshAuth(
            self.url, client_id="id", client_secret="secret", refresh_token=first
        )


@pytest.fixture
def endpoint(api: Api) -> Endpoint:
    return Endpoint(api)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a keeper that `COMMAND` names."""
    file = tmp_path / "token"
    file.write_text("refresh-0")
    (tmp_path / "keeper.py").write_text(KEEPER)
    keep(monkeypatch, file, "works")
    return file


def keep(monkeypatch: pytest.MonkeyPatch, file: Path, how: str) -> None:
    words = [sys.executable, str(file.with_name("keeper.py")), str(file), how]
    monkeypatch.setenv(COMMAND, json.dumps(words))


def signed(auth: OAuthRefreshAuth) -> str:
    request = auth(requests.Request("GET", "http://127.0.0.1/").prepare())
    auth.renew(None)
    return request.headers["Authorization"]


def test_without_a_keeper_the_newest_token_lives_in_the_process(endpoint: Endpoint) -> None:
    auth = endpoint.auth()
    assert [signed(auth), signed(auth)] == ["Bearer access"] * 2
    assert endpoint.count >= 3
    with pytest.raises(Unauthorized):
        signed(endpoint.auth())


def test_a_keeper_has_the_newest_token_after_each_use(endpoint: Endpoint, kept: Path) -> None:
    first, second = endpoint.auth("old"), endpoint.auth("older")
    for auth in (first, second, first):
        signed(auth)
        assert kept.read_text() == endpoint.valid
    assert endpoint.count == 5


def test_a_token_is_kept_though_the_rest_of_the_answer_is_of_no_use(
    endpoint: Endpoint, kept: Path
) -> None:
    endpoint.answer = {}
    with pytest.raises(RetriableAPIError, match="no token"):
        signed(endpoint.auth())
    assert kept.read_text() == "refresh-1"


def test_a_refused_token_stays_where_it_is(endpoint: Endpoint, kept: Path) -> None:
    kept.write_text("revoked")
    with pytest.raises(Unauthorized, match="refused the refresh token"):
        signed(endpoint.auth())
    assert kept.read_text() == "revoked"


def test_a_run_goes_on_with_a_token_that_could_not_be_stored_and_tries_again(
    endpoint: Endpoint,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep(monkeypatch, kept, "fails")
    auth = endpoint.auth()
    signed(auth)
    assert kept.read_text() == "refresh-0"
    assert caplog.text.count("could not be stored") == endpoint.count == 2
    assert "refresh-" not in caplog.text
    keep(monkeypatch, kept, "works")
    auth.renew(None)
    assert kept.read_text() == endpoint.valid == "refresh-3"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ('["/nowhere/keeper"]', "does not start"),
        ("keeper", "does not start"),
        (json.dumps([sys.executable, "-c", "raise SystemExit(3)"]), "gives no refresh token"),
    ],
)
def test_a_keeper_that_gives_nothing_ends_the_run(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, command: str, why: str
) -> None:
    monkeypatch.setenv(COMMAND, command)
    with pytest.raises(Unauthorized, match=why):
        signed(endpoint.auth())
    assert endpoint.count == 0
