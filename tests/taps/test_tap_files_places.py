"""Files elsewhere: on the web, in an S3 store (moto's server), in repositories on GitHub."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from singer import Row, Run, run_tap
from tap_files.tap import TapFiles
from tapkit_fake_api import Answer, Api, Request, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEOPLE = b"id,name\n1,Ann\n2,Bob\n"
ROWS = [
    {"id": 1, "name": "Ann", "sync_issues": None},
    {"id": 2, "name": "Bob", "sync_issues": None},
]
TOKEN = "s3cret-t0ken"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapkit.client._backoff", lambda _: 0.01)


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


def tap(path: str | list[str], state: Row | None = None, **settings: Any) -> Run:
    stream = {"name": "people", "path": path, "key": ["id"]}
    return run_tap(TapFiles, {"streams": [stream], "max_tries": 3, **settings}, state)


def rows(run: Run) -> list[Row]:
    assert run.error is None, run.statuses
    return run.records("people")


def error(run: Run) -> str:
    assert run.error is not None
    return str(run.statuses["people"]["error"])


def serve(api: Api, files: dict[str, bytes], *, marks: tuple[str, ...] = ("ETag",)) -> None:
    """Answer as a web server does that keeps files, with the headers named."""

    def answer(request: Request) -> Answer:
        content = files.get(request.path)
        if content is None:
            return Answer(status=404)
        headers = {
            "ETag": f'"{hashlib.md5(content).hexdigest()}"',  # noqa: S324
            "Last-Modified": f"Sat, {len(content) % 28 + 1:02} Nov 2026 00:00:00 GMT",
        }
        headers = {name: value for name, value in headers.items() if name in marks}
        asked = request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")
        if {*filter(None, asked)} & {*headers.values()}:
            return Answer(status=304, headers=headers)
        return Answer(content, headers=headers)

    api.answer = answer


class TestWeb:
    @pytest.mark.parametrize("marks", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
    def test_what_did_not_change_is_not_downloaded(self, api: Api, marks: tuple[str, ...]) -> None:
        files = {"/a.csv": PEOPLE, "/b.csv": b"id,name\n3,Cy\n"}
        serve(api, files, marks=marks)
        paths = [f"{api.url}/a.csv", f"{api.url}/b.csv"]
        first = tap(paths)
        assert [row["id"] for row in rows(first)] == [1, 2, 3]
        assert first.statuses["people"]["api_calls"] == len(api.requests) == 4  # a sample of each
        assert first.statuses["people"]["endpoint"] == ", ".join(paths)
        api.requests.clear()
        second = tap(paths, first.state)
        assert (rows(second), len(api.requests)) == ([], 2)
        assert second.statuses["people"]["api_calls"] == 2
        assert all(
            "If-None-Match" in request.headers or "If-Modified-Since" in request.headers
            for request in api.requests
        )
        files["/b.csv"] = b"id,name\n3,Cyril\n4,Di\n"
        third = tap(paths, second.state)
        assert [row["id"] for row in rows(third)] == [1, 2, 3, 4]
        assert "ACTIVATE_VERSION" in {message["type"] for message in third.messages}

    def test_without_any_mark_it_is_read_each_time(self, api: Api) -> None:
        serve(api, {"/a.csv": PEOPLE}, marks=())
        run = tap(f"{api.url}/a.csv")
        assert rows(tap(f"{api.url}/a.csv", run.state)) == ROWS

    def test_a_file_changed_within_the_second_of_the_answer_is_read_again(self, api: Api) -> None:
        at = {"Last-Modified": "Sat, 21 Nov 2026 00:00:00 GMT"}
        api.answer = lambda _: Answer(PEOPLE, headers={**at, "Date": at["Last-Modified"]})
        first = tap(f"{api.url}/a.csv")
        later = "Sat, 21 Nov 2026 00:00:01 GMT"
        api.answer = lambda _: Answer(PEOPLE, headers={**at, "Date": later})
        second = tap(f"{api.url}/a.csv", first.state)
        assert rows(second) == ROWS
        api.answer = lambda _: Answer(status=304)
        assert rows(tap(f"{api.url}/a.csv", second.state)) == []

    def test_redirections_are_followed_without_credentials_for_other_hosts(self, api: Api) -> None:
        with serving() as other:
            serve(other, {"/b.csv": PEOPLE})
            there = {"/a.csv": "/moved.csv", "/moved.csv": f"{other.url}/b.csv?signature=x"}

            def answer(request: Request) -> Answer:
                return Answer(status=302, headers={"Location": there[request.path]})

            api.answer = answer
            run = tap(f"{api.url}/a.csv", access_token=TOKEN)
            assert [row["id"] for row in rows(run)] == [1, 2]
            assert list(run.state["bookmarks"]["people"]["files"]) == [f"{api.url}/a.csv"]
            assert all("Authorization" in request.headers for request in api.requests)
            assert not any("Authorization" in request.headers for request in other.requests)
            assert other.requests[-1].query == {"signature": "x"}
            assert rows(tap(f"{api.url}/a.csv", run.state, access_token=TOKEN)) == []
        there["/moved.csv"] = "/a.csv"
        assert "is redirected more than 5 times" in error(tap(f"{api.url}/a.csv"))

    def test_one_host_by_two_schemes(self, api: Api) -> None:
        serve(api, {"/a.csv": PEOPLE})
        secure = api.url.replace("http:", "https:")
        assert "No whole answer" in error(tap([f"{api.url}/a.csv", f"{secure}/a.csv"], max_tries=1))
        assert {request.path for request in api.requests} == {"/a.csv"}
        assert len(api.requests) == 2

    def test_paths_that_differ_in_their_query_are_not_taken_for_one_file(self, api: Api) -> None:
        serve(api, {"/a.csv": PEOPLE})
        run = tap([f"{api.url}/a.csv?part=1{TOKEN}", f"{api.url}/a.csv?part=2"])
        assert "differ behind the question mark; they need streams of their own" in error(run)
        assert TOKEN not in error(run)
        assert rows(tap([f"{api.url}/a.csv", f"{api.url}/a.csv"])) == ROWS

    def test_compressed_files(self, api: Api) -> None:
        archive = BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("people.csv", PEOPLE)
        serve(api, {"/a": gzip.compress(PEOPLE), "/b": archive.getvalue()})
        assert rows(tap(f"{api.url}/a")) == rows(tap(f"{api.url}/b")) == ROWS

    def test_a_cut_download_fails_the_stream_and_keeps_the_bookmark(self, api: Api) -> None:
        serve(api, {"/a.csv": PEOPLE})
        before = tap(f"{api.url}/a.csv").state
        long = b"id,name\n" + b"".join(b"%d,name\n" % n for n in range(50_000))
        api.answer = lambda _: Answer(long, headers={"ETag": '"2"'}, cut=True)
        run = tap(f"{api.url}/a.csv", before)
        assert "The download of" in error(run)
        assert "broke off" in error(run)
        assert run.state["bookmarks"] == before["bookmarks"]
        api.answer = lambda _: Answer(long, headers={"ETag": '"2"'})
        assert len(rows(tap(f"{api.url}/a.csv", run.state))) == 50_000

    def test_passing_faults_are_waited_out(self, api: Api) -> None:
        answers = iter([Answer(status=503), Answer(status=429, headers={"Retry-After": "0"})])
        api.answer = lambda _: next(answers, Answer(PEOPLE))
        assert rows(tap(f"{api.url}/a.csv")) == ROWS

    @pytest.mark.parametrize(
        ("status", "said"), [(404, "There is no file"), (403, "may not read"), (500, "failed (500")]
    )
    def test_refusals(self, api: Api, status: int, said: str) -> None:
        api.answer = lambda _: Answer(status=status)
        assert said in error(tap(f"{api.url}/a.csv"))

    def test_credentials_are_sent_and_never_told(
        self, api: Api, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "tapkit")
        serve(api, {"/a.csv": PEOPLE})
        rows(tap(f"{api.url}/a.csv", access_token=TOKEN))
        assert api.requests[-1].headers["Authorization"] == f"Bearer {TOKEN}"
        rows(tap(f"{api.url}/a.csv", username="ann", password=TOKEN))
        assert api.requests[-1].headers["Authorization"].startswith("Basic ")
        signed = api.url.replace("://", f"://ann%40x:{TOKEN}@") + f"/a.csv?signature={TOKEN}"
        run = tap(signed)
        basic = base64.b64encode(f"ann@x:{TOKEN}".encode()).decode()
        assert api.requests[-1].headers["Authorization"] == f"Basic {basic}"
        assert rows(run) == ROWS
        assert api.requests[-1].query == {"signature": TOKEN}
        assert list(run.state["bookmarks"]["people"]["files"]) == [f"{api.url}/a.csv"]
        serve(api, {})
        failed = tap(
            [signed, f"sftp://ann:{TOKEN}@127.0.0.1/x.csv", f"http://ann:{TOKEN}@?{TOKEN}"]
        )
        assert TOKEN not in caplog.text + "".join(run.lines + failed.lines)


FILES = {
    ("", "zips.csv"): PEOPLE,
    ("", "data/2026/a.csv"): b"id,name\n5,Eve\n",
    ("", "data/2026/b.csv"): b"id,name\n6,Fay\n",
    ("", "data/readme.md"): b"#",
    ("dev", "zips.csv"): b"id,name\n9,Zed\n",
}


class TestGitHub:
    """GitHub's contents API as its documentation describes it."""

    @pytest.fixture
    def github(self, api: Api) -> Callable[..., Row]:
        """The settings for a repository; `private` without a token is not found."""
        files = dict(FILES)

        def answer(request: Request) -> Answer:
            signed = request.headers.get("Authorization") == f"Bearer {TOKEN}"
            if api.__dict__.get("private") and not signed:
                return Answer({"message": "Not Found"}, status=404)
            path = request.path.removeprefix("/repos/acme/lists/contents").strip("/")
            ref = request.query.get("ref", "")
            content = files.get((ref, path))
            if content is None:
                return self.listing({p: c for (r, p), c in files.items() if r == ref}, path)
            if "raw" not in request.headers["Accept"]:
                return Answer({"content": "", "encoding": "none"})  # as for files over 1 MB
            etag = f'W/"{hashlib.md5(content).hexdigest()}"'  # noqa: S324
            if request.headers.get("If-None-Match") == etag:
                return Answer(status=304)
            return Answer(content, headers={"ETag": etag})

        api.answer = answer

        def settings(*, private: bool = False, **more: Any) -> Row:
            api.__dict__["private"] = private
            return {"github_url": api.url, **more}

        return settings

    @staticmethod
    def listing(files: dict[str, bytes], folder: str) -> Answer:
        prefix = f"{folder}/" if folder else ""
        inside = {p.removeprefix(prefix): c for p, c in files.items() if p.startswith(prefix)}
        if not inside:
            return Answer({"message": "Not Found"}, status=404)
        entries: dict[str, Row] = {}
        for path, content in inside.items():
            name, _, deeper = path.partition("/")
            entries[name] = {
                "name": name,
                "path": prefix + name,
                "size": len(content),
                "type": "dir" if deeper else "file",
                "sha": hashlib.sha1(content).hexdigest(),  # noqa: S324
            }
        return Answer(list(entries.values()))

    def test_a_private_file_by_token(self, github: Any, api: Api) -> None:
        settings = github(private=True, github_token=TOKEN)
        first = tap("github://acme/lists/zips.csv", **settings)
        assert rows(first) == ROWS
        assert api.requests[0].path == "/repos/acme/lists/contents/zips.csv"
        assert api.requests[0].headers["Accept"] == "application/vnd.github.v3.raw"
        api.requests.clear()
        assert rows(tap("github://acme/lists/zips.csv", first.state, **settings)) == []
        assert [request.headers.get("If-None-Match") is None for request in api.requests] == [False]
        (row,) = rows(tap("github://acme/lists/zips.csv?ref=dev", **settings))
        assert row["name"] == "Zed"

    def test_without_the_token_it_says_what_is_needed(self, github: Any) -> None:
        run = tap("github://acme/lists/zips.csv", **github(private=True))
        assert "or it needs a github_token" in error(run)
        run = tap("github://acme/lists/none.csv", **github(github_token=TOKEN))
        assert "or the token may not read it" in error(run)

    def test_a_public_file_whose_limit_is_used_up_comes_from_the_other_host(self, api: Api) -> None:
        def answer(request: Request) -> Answer:
            if request.path == "/acme/lists/main/zips.csv":
                return Answer(PEOPLE)
            return Answer(status=403, headers={"x-ratelimit-remaining": "0"})

        api.answer = answer
        settings = {"github_url": api.url, "github_raw_url": api.url}
        assert rows(tap("github://acme/lists/zips.csv?ref=main", **settings)) == ROWS

    @pytest.mark.parametrize(
        ("pattern", "ids"),
        [
            ("*.csv", [1, 2]),
            ("data/*/*.csv", [5, 6]),
            ("data/**/b*.csv", [6]),
            ("**/*.csv", [5, 6, 1, 2]),
        ],
    )
    def test_patterns(self, github: Any, pattern: str, ids: list[int]) -> None:
        run = tap(f"github://acme/lists/{pattern}", **github())
        assert [row["id"] for row in rows(run)] == ids
        assert rows(tap(f"github://acme/lists/{pattern}", run.state, **github())) == []

    def test_a_refused_token(self, api: Api) -> None:
        api.answer = lambda _: Answer(status=401)
        run = tap("github://acme/lists/zips.csv", github_url=api.url, github_token=TOKEN)
        assert "Check github_token" in str(run.error)


KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestS3:
    @pytest.fixture
    def put(self, endpoint: str) -> Iterator[Callable[[str, bytes], None]]:
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
        client.create_bucket(Bucket="acme")
        yield lambda key, content: client.put_object(Bucket="acme", Key=key, Body=content)
        for item in client.list_objects_v2(Bucket="acme").get("Contents", []):
            client.delete_object(Bucket="acme", Key=item["Key"])
        client.close()

    @pytest.fixture
    def settings(self, endpoint: str) -> Row:
        return {
            "aws_access_key_id": "key",
            "aws_secret_access_key": TOKEN,
            "aws_endpoint_url": endpoint,
            "aws_region": "us-east-1",
        }

    def test_changes(self, put: Any, settings: Row) -> None:
        put("in/a.csv", PEOPLE)
        put("in/b.csv.gz", gzip.compress(b"id,name\n3,Cy\n"))
        put("in/readme.txt", b"no")
        first = tap("s3://acme/in/*.csv*", **settings)
        assert [row["id"] for row in rows(first)] == [1, 2, 3]
        assert list(first.state["bookmarks"]["people"]["files"]) == [
            *("s3://acme/in/a.csv", "s3://acme/in/b.csv.gz")
        ]
        second = tap("s3://acme/in/*.csv*", first.state, **settings)
        assert (rows(second), second.state["bookmarks"]) == ([], first.state["bookmarks"])
        put("in/a.csv", b"id,name\n1,Anna\n")
        third = tap("s3://acme/in/*.csv*", second.state, **settings)
        assert sorted(row["id"] for row in rows(third)) == [1, 3]
        assert "ACTIVATE_VERSION" in {message["type"] for message in third.messages}

    def test_what_is_not_there(self, put: Any, settings: Row) -> None:
        put("in/a.csv", PEOPLE)
        assert "There is no file s3://acme/b.csv" in error(tap("s3://acme/b.csv", **settings))
        assert "No file matches" in error(tap("s3://acme/b*", **settings))

    def test_a_large_file_in_small_pieces(self, put: Any, settings: Row) -> None:
        put("big.csv", b"id,name\n" + b"".join(b"%d,%s\n" % (n, b"x" * 150) for n in range(60_000)))
        assert tap("s3://acme/big.csv", **settings).statuses["people"]["extracted"] == 60_000


def test_a_path_that_nothing_reads_is_refused() -> None:
    run = tap("gopher://x/a.csv")
    assert "Paths of gopher:// cannot be read" in (error(run) if run.lines else str(run.error))
