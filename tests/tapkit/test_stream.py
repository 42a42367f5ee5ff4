"""The life of a stream: messages in order, bookmarks never ahead, statuses, failures."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from singer_sdk import typing as th
from tapkit.auth import BearerAuth
from tapkit.client import Client
from tapkit.errors import ConfigValidationError, StreamsFailed, Unauthorized
from tapkit.fields import Field
from tapkit.paging import follow
from tapkit.settings import common_settings, secret
from tapkit.stream import Stream
from tapkit.tap import Tap
from tapkit_fake_api import Answer, Api, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tapkit.client import Client as ClientType


class Things(Stream):
    name = "things"
    primary_keys = ("id",)
    replication_key = "at"
    endpoint = "/things"
    fields = (Field("id", "object_id"), Field("at", "datetime"), Field("mail", "email"))
    tap: TapDemo

    def pages(self) -> Iterator[list[Any]]:
        start = self.starting_point()
        since = {"since": start.isoformat()} if start else {}
        for answer in follow(
            lambda after: self.tap.client.get(f"/{self.name}", {**since, "after": after}),
            lambda answer: answer.get("after"),
        ):
            if "total" in answer:
                self.expect(answer["total"])
            yield answer["rows"]


class Kinds(Things):
    name = "kinds"
    replication_key = None


class TapDemo(Tap):
    name = "tap-demo-crm"
    client: ClientType
    config_jsonschema = th.PropertiesList(
        secret("access_token", "Token", "The token."),
        *common_settings(base_url="", page_size=2, page_size_limit=2, look_back=600),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        self.client = Client(self.config["base_url"], BearerAuth("t"), max_tries=1)
        return [Things(self), Kinds(self)]


THINGS = [
    {"id": 1, "at": "2026-01-01T00:00:00Z", "mail": "a@example.com"},
    {"id": 2, "at": "2026-01-03T00:00:00Z", "mail": "b at home"},
    {"id": 3, "at": "2026-01-02T00:00:00.5Z", "mail": None},
]
ROWS = [
    {"id": "1", "at": "2026-01-01T00:00:00.000000Z", "mail": "a@example.com", "sync_issues": None},
    {
        "id": "2",
        "at": "2026-01-03T00:00:00.000000Z",
        "mail": "b at home",
        "sync_issues": {"mail": {"value": "b at home", "error": "not an e-mail address"}},
    },
    {"id": "3", "at": "2026-01-02T00:00:00.500000Z", "mail": None, "sync_issues": None},
]


def serve(request: Request) -> Answer:
    if request.path == "/kinds":
        return Answer({"rows": [{"id": "k"}]})
    if "after" not in request.query:
        return Answer({"rows": THINGS[:2], "total": 3, "after": "p2"})
    return Answer({"rows": THINGS[2:]})


def run(
    api: Api, state: dict[str, Any] | None = None, *, fails: bool = False, **config: Any
) -> list[dict[str, Any]]:
    tap = TapDemo(config={"base_url": api.url, **config}, state=state)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out):
        if fails:
            with pytest.raises((StreamsFailed, Unauthorized)):
                tap.sync_all()
        else:
            tap.sync_all()
    out.seek(0)
    return [json.loads(line) for line in out]


def of(messages: list[dict[str, Any]], kind: str, stream: str) -> list[dict[str, Any]]:
    return [m for m in messages if m["type"] == kind and m.get("stream") == stream]


def states(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["value"] for message in messages if message["type"] == "STATE"]


def test_a_first_run(api: Api) -> None:
    api.answer = serve
    messages = run(api)
    assert [m["record"] for m in of(messages, "RECORD", "things")] == ROWS
    kinds = [m["type"] for m in messages if m.get("stream") == "things"]
    assert kinds == ["SCHEMA", "RECORD", "RECORD", "RECORD", "ACTIVATE_VERSION"]
    (version,) = {m["version"] for m in of(messages, "RECORD", "things")}
    assert of(messages, "ACTIVATE_VERSION", "things")[0]["version"] == version
    first, last = states(messages)[0], states(messages)[-1]
    assert first["bookmarks"] == {"things": {}}
    assert first["sync"]["things"]["status"] == "running"
    assert messages.index(next(m for m in messages if m["type"] == "STATE")) == 0
    assert last["bookmarks"] == {
        "things": {"replication_key": "at", "replication_key_value": "2026-01-03T00:00:00.000000Z"},
        "kinds": {},
    }
    assert last["sync"] == {
        "things": {
            "status": "success",
            "extracted": 3,
            "expected": 3,
            "api_calls": 2,
            "warnings": 1,
            "endpoint": "/things",
            "error": None,
        },
        "kinds": {
            "status": "success",
            "extracted": 1,
            "expected": None,
            "api_calls": 1,
            "warnings": 0,
            "endpoint": "/things",
            "error": None,
        },
    }


def test_a_window_that_was_read_whole_is_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def pages(stream: Things) -> Iterator[list[Any]]:
        yield THINGS
        stream.status.complete_since = "2026-01-02T00:00:00.000000Z"

    monkeypatch.setattr(Things, "window", "at")
    monkeypatch.setattr(Things, "pages", pages)
    messages = run(api)
    assert of(messages, "SCHEMA", "things")[0]["schema"]["x-window"] == "at"
    said = [state["sync"]["things"].get("complete_since") for state in states(messages)]
    assert (said[0], said[-1]) == (None, "2026-01-02T00:00:00.000000Z")


def test_no_bookmark_before_the_stream_is_complete(api: Api) -> None:
    api.answer = lambda request: (
        Answer({}, status=500) if "after" in request.query else serve(request)
    )
    messages = run(api, fails=True)
    assert len(of(messages, "RECORD", "things")) == 2
    assert of(messages, "ACTIVATE_VERSION", "things") == []
    assert all(state["bookmarks"].get("things") == {} for state in states(messages))
    status = states(messages)[-1]["sync"]
    assert (status["things"]["status"], status["kinds"]["status"]) == ("failed", "success")
    assert "500" in status["things"]["error"]


BOOKMARK = {
    "bookmarks": {
        "things": {"replication_key": "at", "replication_key_value": "2026-01-02T12:00:00.000000Z"}
    },
    "sync": {"things": {"status": "running"}},
}


def test_an_incremental_run_starts_before_the_bookmark_and_has_no_version(api: Api) -> None:
    api.answer = serve
    messages = run(api, BOOKMARK)
    assert api.requests[0].query["since"] == "2026-01-02T11:50:00+00:00"
    assert of(messages, "ACTIVATE_VERSION", "things") == []
    assert "version" not in of(messages, "RECORD", "things")[0]
    assert states(messages)[0]["sync"] == {}


def test_a_whole_read_that_turns_out_to_be_none_removes_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pages(stream: Things) -> Iterator[list[Any]]:
        yield THINGS
        stream.keep_unread()

    monkeypatch.setattr(Things, "pages", pages)
    messages = run(api)
    assert len(of(messages, "RECORD", "things")) == 3
    assert of(messages, "ACTIVATE_VERSION", "things") == []
    assert states(messages)[-1]["bookmarks"]["things"] != {}


def test_the_bookmark_never_moves_back(api: Api) -> None:
    api.answer = lambda _: Answer({"rows": THINGS[:1]})
    last = states(run(api, BOOKMARK))[-1]["bookmarks"]["things"]
    assert last["replication_key_value"] == "2026-01-02T12:00:00.000000Z"


def test_a_start_date_rules_and_leaves_no_gap_behind(api: Api) -> None:
    api.answer = serve
    messages = run(api, BOOKMARK, start_date="2026-01-02")
    assert api.requests[0].query["since"] == "2026-01-02T00:00:00+00:00"
    moved = states(messages)[-1]["bookmarks"]["things"]["replication_key_value"]
    assert moved == "2026-01-03T00:00:00.000000Z"
    kept = states(run(api, BOOKMARK, start_date="2026-01-02T13:00:00Z"))[-1]
    assert kept["bookmarks"]["things"]["replication_key_value"] == "2026-01-02T12:00:00.000000Z"


def test_a_bad_start_date_names_the_form(api: Api) -> None:
    with pytest.raises(ConfigValidationError, match="YYYY-MM-DD"):
        run(api, start_date="2026-13-01")


def test_max_records_cuts_and_keeps_the_bookmark(api: Api) -> None:
    api.answer = serve
    messages = run(api, max_records=2)
    assert [m["record"]["id"] for m in of(messages, "RECORD", "things")] == ["1", "2"]
    assert states(messages)[-1]["bookmarks"]["things"] == {}
    assert of(messages, "ACTIVATE_VERSION", "things") == []
    assert states(run(api, max_records=3))[-1]["bookmarks"]["things"] != {}


def test_a_refused_token_ends_the_run(api: Api) -> None:
    api.answer = lambda _: Answer({}, status=401)
    messages = run(api, fails=True)
    status = states(messages)[-1]["sync"]
    assert list(status) == ["things"]
    assert status["things"]["status"] == "failed"
    assert len(api.requests) == 1


def test_deselected_columns_and_stream_maps(api: Api) -> None:
    api.answer = serve
    messages = run(api, stream_maps={"things": {"id": "id", "domain": "mail", "__else__": None}})
    assert of(messages, "RECORD", "things")[0]["record"]["domain"] == "a@example.com"
    catalog = TapDemo(config={"base_url": api.url}).catalog_dict
    entry = next(s for s in catalog["streams"] if s["tap_stream_id"] == "things")
    for metadata in entry["metadata"]:
        if metadata["breadcrumb"] == ["properties", "mail"]:
            metadata["metadata"]["selected"] = False
    tap = TapDemo(config={"base_url": api.url}, catalog=catalog)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out):
        tap.sync_all()
    out.seek(0)
    record = next(m for m in map(json.loads, out) if m["type"] == "RECORD")["record"]
    assert record == {"id": "1", "at": "2026-01-01T00:00:00.000000Z", "sync_issues": None}


@pytest.mark.parametrize("answer", [{}, [], {"rows": None}, {"status": "error"}, None])
def test_an_answer_of_an_unexpected_form_fails_its_stream_only(api: Api, answer: Any) -> None:
    api.answer = lambda request: (
        serve(request) if request.path == "/kinds" else Answer(json.dumps(answer).encode())
    )
    statuses = states(run(api, fails=True))[-1]["sync"]
    assert statuses["kinds"]["status"] == "success"
    assert statuses["things"]["status"] == "failed"
    assert "unexpected form" in statuses["things"]["error"]


def test_a_selected_stream_that_is_not_there_counts_as_failed(api: Api) -> None:
    api.answer = serve
    catalog = TapDemo(config={"base_url": api.url}).catalog_dict
    catalog["streams"].append({**catalog["streams"][0], "tap_stream_id": "gone", "stream": "gone"})
    with pytest.raises(StreamsFailed, match="gone"):
        TapDemo(config={"base_url": api.url}, catalog=catalog).sync_all()


def test_the_key_cannot_be_mapped_away(api: Api) -> None:
    with pytest.raises(ConfigValidationError, match="may not leave out id"):
        run(api, field_mappings={"things": {"id": None}})


@pytest.mark.parametrize("option", ["--discover", "--test", ""])
def test_errors_are_said_plainly(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    """No trace on the command line, and no secret where a setting has the wrong type."""
    config = tmp_path / "config.json"
    for settings, said in (
        ({"base_url": api.url, "start_date": "soon"}, "YYYY-MM-DD"),
        ({"base_url": api.url, "access_token": 123456789}, "is not of type 'string'"),
    ):
        config.write_text(json.dumps(settings))
        result = CliRunner().invoke(TapDemo.cli, ["--config", str(config), *option.split()])
        assert result.exit_code == 1
        text = result.output + caplog.text
        assert said in text
        assert "Traceback" not in text
        assert "123456789" not in text
