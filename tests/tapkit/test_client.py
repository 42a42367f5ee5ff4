from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from decimal import Decimal
from itertools import chain, repeat

import pytest
from tapkit import dates
from tapkit.auth import BearerAuth, OAuthRefreshAuth
from tapkit.client import Client
from tapkit.errors import (
    AccessDenied,
    BadRequest,
    FatalAPIError,
    NotFound,
    RateLimited,
    RetriableAPIError,
    Unauthorized,
)
from tapkit_fake_api import Answer, Api

SECRET = "s3cret-t0ken"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapkit.client._backoff", lambda _: 0.01)


@pytest.fixture
def client(api: Api) -> Client:
    return Client(api.url, BearerAuth(SECRET))


def script(api: Api, *answers: Answer) -> None:
    """Give these answers in turn, the last one for ever."""
    turns = chain(answers, repeat(answers[-1]))
    api.answer = lambda _: next(turns)


def test_a_request_is_signed_and_its_answer_exact(api: Api, client: Client) -> None:
    script(api, Answer(b'{"n": 12345678901234567890.123456789, "i": 9007199254740993}'))
    answer = client.get("/things", {"limit": 5, "after": None})
    assert answer == {"n": Decimal("12345678901234567890.123456789"), "i": 9007199254740993}
    (request,) = api.requests
    assert (request.method, request.path, request.query) == ("GET", "/things", {"limit": "5"})
    assert request.headers["Authorization"] == f"Bearer {SECRET}"


def test_a_body_is_sent_as_json(api: Api, client: Client) -> None:
    assert client.post("/search", {"limit": 200}) == {}
    (request,) = api.requests
    assert json.loads(request.body) == {"limit": 200}
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "broken",
    [
        Answer({}, status=500),
        Answer({}, status=524),
        Answer(b'{"results": [1, 2'),
        Answer(b'{"results": []}', cut=True),
        Answer({}, status=429, headers={"Retry-After": "0.01"}),
    ],
    ids=["500", "524", "malformed", "cut", "429"],
)
def test_passing_faults_are_tried_again(api: Api, client: Client, broken: Answer) -> None:
    script(api, broken, broken, Answer({"ok": True}))
    assert client.get("/x") == {"ok": True}
    assert client.calls == len(api.requests) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, AccessDenied),
        (404, NotFound),
        (409, FatalAPIError),
    ],
)
def test_refusals_are_told_once_without_body_or_secret(
    api: Api, client: Client, caplog: pytest.LogCaptureFixture, status: int, error: type[Exception]
) -> None:
    caplog.set_level(logging.DEBUG)
    script(api, Answer({"message": "private words"}, status=status))
    with pytest.raises(error) as caught:
        client.get("/x", {"email": "ada@example.com"})
    assert len(api.requests) == 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("tapkit")]
    said = f"{caught.value} {ours}"
    assert str(status) in said
    for private in ("private words", SECRET, "ada@example.com"):
        assert private not in said


def test_what_never_heals_ends_and_opens_the_breaker(api: Api, client: Client) -> None:
    script(api, Answer({}, status=503))
    for _ in range(3):
        with pytest.raises(RetriableAPIError):
            client.get("/x")
    assert len(api.requests) == 30
    with pytest.raises(RetriableAPIError):
        client.get("/x")
    assert len(api.requests) == 31
    script(api, Answer({"ok": True}))
    assert client.get("/x") == {"ok": True}
    script(api, Answer({}, status=503))
    with pytest.raises(RetriableAPIError):
        client.get("/x")
    assert len(api.requests) == 42


def test_retry_after_is_waited_for(api: Api, client: Client) -> None:
    script(api, Answer({}, status=429, headers={"Retry-After": "0.3"}), Answer({}))
    began = time.monotonic()
    client.get("/x")
    assert time.monotonic() - began >= 0.3


def test_a_wait_beyond_patience_ends_the_request(api: Api, client: Client) -> None:
    script(api, Answer({}, status=429, headers={"Retry-After": "86400"}))
    with pytest.raises(RateLimited):
        client.get("/x")
    assert len(api.requests) == 1


def test_an_unreachable_api_is_named(client: Client) -> None:
    client.base_url = "http://127.0.0.1:9"
    with pytest.raises(RetriableAPIError, match=r"No whole answer from 127.0.0.1:9 .* base_url"):
        client.get("/x")


def test_credentials_go_nowhere_else(api: Api, client: Client) -> None:
    script(api, Answer(status=302, headers={"Location": f"{api.url}/elsewhere"}))
    with pytest.raises(FatalAPIError, match=r"302, GET /things"):
        client.get("/things")
    assert [request.path for request in api.requests] == ["/things"]


def test_a_body_that_stays_cut_is_an_error_of_its_request(api: Api, client: Client) -> None:
    script(api, Answer(b'{"results": []}', cut=True))
    with pytest.raises(RetriableAPIError, match="No whole answer"):
        client.get("/x")
    assert len(api.requests) == 10


def test_lone_surrogates_and_nan_are_read(api: Api, client: Client) -> None:
    script(api, Answer(b'{"a": "\\ud83d", "b": 1.10}'))
    assert client.get("/x") == {"a": "\ud83d", "b": Decimal("1.10")}


def test_the_api_clock_rules_where_it_differs(api: Api, client: Client) -> None:
    script(api, Answer({}, headers={"Date": "Fri, 20 Nov 2099 10:00:00 GMT"}))
    client.get("/x")
    assert client.server_now().year == 2099


def test_a_moment_of_ours_is_told_by_the_api_clock(api: Api, client: Client) -> None:
    began = dates.now()
    assert client.server_time(began) == began
    script(api, Answer({}, headers={"Date": "Fri, 20 Nov 2099 10:00:00 GMT"}))
    client.get("/x")
    shown = client.server_time(began)
    assert abs(shown - dates.parse_datetime("2099-11-20T10:00:00Z")) < timedelta(seconds=5)


def test_headers_can_be_given(api: Api, client: Client) -> None:
    script(api, Answer({}), Answer({}))
    client.get("/x", headers={"If-Modified-Since": "2026-01-01T00:00:00+00:00"})
    client.request("POST", "/x", body={}, headers={"X-One": "1"})
    first, second = (request.headers for request in api.requests)
    assert first["If-Modified-Since"] == "2026-01-01T00:00:00+00:00"
    assert (second["X-One"], second["Content-Type"]) == ("1", "application/json")


def test_nothing_is_sent_while_requests_are_held(api: Api, client: Client) -> None:
    script(api, Answer({}))
    began = time.monotonic()
    client.hold(0.3)
    client.hold(0.1)
    client.get("/x")
    assert 0.3 <= time.monotonic() - began < 3


class TestOAuth:
    @pytest.fixture
    def client(self, api: Api) -> Client:
        return Client(
            api.url,
            OAuthRefreshAuth(
                f"{api.url}/token", client_id="me", client_secret=SECRET, refresh_token="first"
            ),
        )

    @staticmethod
    def serve(api: Api, *, expires_in: int, accepted: set[str]) -> list[str]:
        refreshed: list[str] = []

        def answer(request: object) -> Answer:
            assert hasattr(request, "path")
            if request.path == "/token":
                refreshed.append(request.body.decode())  # type: ignore[attr-defined]
                number = len(refreshed)
                return Answer(
                    {
                        "access_token": f"access{number}",
                        "refresh_token": f"refresh{number}",
                        "expires_in": expires_in,
                    }
                )
            token = request.headers["Authorization"].removeprefix("Bearer ")  # type: ignore[attr-defined]
            return Answer({"token": token}, status=200 if token in accepted else 401)

        api.answer = answer
        return refreshed

    def test_a_token_serves_until_it_expires_and_the_newest_refresh_token_is_used(
        self, api: Api, client: Client
    ) -> None:
        refreshed = self.serve(api, expires_in=1800, accepted={"access1", "access2"})
        assert [client.get("/x")["token"] for _ in range(3)] == ["access1"] * 3
        client._auth._expires_at = 0.0  # type: ignore[attr-defined]
        assert client.get("/x") == {"token": "access2"}
        assert refreshed == [
            f"grant_type=refresh_token&refresh_token={token}&client_id=me&client_secret={SECRET}"
            for token in ("first", "refresh1")
        ]

    def test_a_refused_token_is_renewed_once(self, api: Api, client: Client) -> None:
        refreshed = self.serve(api, expires_in=1800, accepted={"access2"})
        assert client.get("/x") == {"token": "access2"}
        assert len(refreshed) == 2
        refreshed = self.serve(api, expires_in=1800, accepted=set())
        with pytest.raises(Unauthorized):
            client.get("/x")
        assert len(refreshed) == 1

    def test_a_refused_refresh_token_names_the_settings(self, api: Api, client: Client) -> None:
        script(api, Answer({"error": "invalid_grant"}, status=400))
        with pytest.raises(Unauthorized, match="client_id, client_secret and refresh_token"):
            client.get("/x")


def test_a_retry_waits_the_delay_at_least_but_what_the_api_says_exactly(api: Api) -> None:
    client = Client(api.url, BearerAuth(SECRET), retry_delay=0.4)
    for header, least, most in (({}, 0.4, 3.0), ({"Retry-After": "0"}, 0.0, 0.4)):
        script(api, Answer(status=429, headers=header), Answer({}))
        began = time.monotonic()
        client.get("/x")
        assert least <= time.monotonic() - began < most


def test_a_body_can_be_read_as_it_comes(api: Api, client: Client) -> None:
    script(api, Answer(status=503), Answer(b"a,b\n", headers={"ETag": '"1"'}), Answer(status=304))
    response = client.open("/a.csv", "sig=x%2Fy", headers={"Accept": "text/csv"})
    assert (response.raw.read(2), response.raw.read()) == (b"a,", b"b\n")
    assert client.open("/a.csv", headers={"If-None-Match": '"1"'}).status_code == 304
    assert [request.headers.get("If-None-Match") for request in api.requests] == [None, None, '"1"']
    assert api.requests[1].query == {"sig": "x/y"}
    assert api.requests[1].headers["Accept"] == "text/csv"
    assert client.calls == 3


def test_what_cannot_be_opened_is_refused_as_ever(api: Api, client: Client) -> None:
    script(api, Answer(status=404))
    with pytest.raises(NotFound):
        client.open("/a.csv")
