"""tap-genius on a real MariaDB: every change once, whatever is written or breaks meanwhile."""

from __future__ import annotations

import re
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from genius_database import bookmark, certify, do, read, settings
from singer import Tables, run_tap, select
from singer_sdk.exceptions import DiscoveryError
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from tap_genius.streams import Rows
from tap_genius.tap import TapGenius
from tapkit.errors import ConfigValidationError, FatalAPIError
from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from crm_sandbox.genius.server import MariaDB
    from sqlalchemy import Engine

THINGS = (
    "CREATE TABLE things (id INT PRIMARY KEY, name VARCHAR(40), created_at DATETIME, "
    "updated_at DATETIME, KEY (updated_at))"
)


# Which rows


def test_names_that_are_words_of_sql(empty: Engine) -> None:
    do(
        empty,
        "CREATE TABLE `order` (`key` INT, `select` VARCHAR(9), `a``b %s\\:c` INT,"
        " `group` DATETIME, PRIMARY KEY (`select`, `key`))",
        "INSERT INTO `order` VALUES (1, 'x', 3, NULL), (2, 'X y', 4, NULL), (0, 'x', 5, NULL)",
    )
    run = read(empty, "order", tables=["or*"], page_size=1)
    assert [tuple(r.values()) for r in run.records("order")] == [
        (0, "x", 5, None, None),
        (1, "x", 3, None, None),
        (2, "X y", 4, None, None),
    ]
    assert set(run.records("order")[0]) == {"key", "select", "a`b %s:c", "group", "sync_issues"}


def test_a_table_without_key_is_read_whole(empty: Engine) -> None:
    do(empty, "CREATE TABLE log (line TEXT)", "INSERT INTO log VALUES ('a'), ('a'), ('b')")
    do(empty, "CREATE TABLE moods (mood ENUM('z', 'a') PRIMARY KEY)")
    do(empty, "INSERT INTO moods VALUES ('z'), ('a')")
    run = read(empty, "log", "moods", tables=["*"], page_size=1)
    assert sorted(record["line"] for record in run.records("log")) == ["a", "a", "b"]
    assert sorted(record["mood"] for record in run.records("moods")) == ["a", "z"]


def test_rows_deleted_from_a_table_read_whole_are_noticed(empty: Engine) -> None:
    do(empty, "CREATE TABLE job_status (id INT PRIMARY KEY, label VARCHAR(9))")
    do(empty, "INSERT INTO job_status VALUES (1, 'a'), (2, 'b')")
    first = read(empty, "job_statuses")
    tables = Tables().load(first)
    do(empty, "DELETE FROM job_status WHERE id = 1")
    tables.load(read(empty, "job_statuses", state=first.state))
    assert [*tables.rows["job_statuses"]] == [(2,)]


@pytest.mark.parametrize("index", [True, False])
def test_changes_are_read_once_each_across_pages_of_one_moment(
    empty: Engine, *, index: bool
) -> None:
    do(empty, THINGS)
    if not index:
        do(empty, "ALTER TABLE things DROP KEY updated_at")
    do(empty, "INSERT INTO things SELECT seq, 'a', NULL, '2024-01-01' FROM seq_1_to_5")
    first = read(empty, "things", tables=["things"])
    assert bookmark(first, "things") == "2024-01-01T00:00:00.000000Z"
    do(
        empty,
        "INSERT INTO things SELECT seq, 'b', NULL, '2024-01-02' FROM seq_6_to_26",
        "UPDATE things SET name = 'c', updated_at = '2024-01-03' WHERE id < 3",
    )
    second = read(empty, "things", tables=["things"], page_size=5, state=first.state)
    ids = [record["id"] for record in second.records("things")]
    order = [3, 4, 5, *range(6, 27), 1, 2] if index else [*range(1, 27)]
    assert ids == order
    assert bookmark(second, "things") == "2024-01-03T00:00:00.000000Z"
    third = read(empty, "things", tables=["things"], state=second.state)
    assert [record["id"] for record in third.records("things")] == [1, 2]
    assert third.state["bookmarks"] == second.state["bookmarks"]


@pytest.mark.parametrize("index", [True, False])
def test_rows_that_do_not_tell_when_they_changed(empty: Engine, *, index: bool) -> None:
    do(empty, THINGS)
    if not index:
        do(empty, "ALTER TABLE things DROP KEY updated_at")
    do(
        empty,
        "INSERT INTO things VALUES (1, 'told', NULL, '2024-01-01'),"
        " (2, 'neither', NULL, NULL), (3, 'old', '2023-01-01', NULL),"
        " (4, 'new', '2024-01-02', NULL)",
    )
    first = read(empty, "things", tables=["things"])
    assert bookmark(first, "things") == "2024-01-02T00:00:00.000000Z"
    do(empty, "INSERT INTO things VALUES (5, 'newest', '2024-01-03', NULL)")
    second = read(empty, "things", tables=["things"], state=first.state)
    assert [record["id"] for record in second.records("things")] == [2, 4, 5]
    assert bookmark(second, "things") == "2024-01-03T00:00:00.000000Z"


def test_a_run_that_ends_early_leaves_the_bookmark_at_what_it_read(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a fallback said of rows that were read before."""
    do(empty, THINGS, "INSERT INTO things VALUES (1, 'a', NULL, '2024-01-01')")
    first = read(empty, "things", tables=["things"])
    do(
        empty,
        "INSERT INTO things VALUES (2, 'silent', '2024-01-08', NULL)",
        "INSERT INTO things SELECT seq, 'b', NULL, DATE_ADD('2024-01-01', INTERVAL seq DAY)"
        " FROM seq_3_to_9",
    )
    page = Rows._page

    def break_it(self: Rows, texts: list[bytes]) -> Any:
        if b'"id":5,' in texts[0]:
            raise FatalAPIError("the disk is full")
        return page(self, texts)

    monkeypatch.setattr(Rows, "_page", break_it)
    second = read(empty, "things", tables=["things"], page_size=3, state=first.state)
    assert [record["id"] for record in second.records("things")] == [2, 1, 3, 4]
    assert bookmark(second, "things") == "2024-01-05T00:00:00.000000Z"
    monkeypatch.undo()
    third = read(empty, "things", tables=["things"], page_size=3, state=second.state)
    assert [record["id"] for record in third.records("things")] == [2, *range(4, 10)]
    assert bookmark(third, "things") == "2024-01-10T00:00:00.000000Z"


def test_a_row_from_the_future_does_not_hide_later_changes(empty: Engine) -> None:
    do(empty, THINGS, "INSERT INTO things VALUES (1, 'a', NULL, '2024-01-01')")
    do(empty, "INSERT INTO things VALUES (2, 'b', NULL, '2999-01-01')")
    run = read(empty, "things", tables=["things"])
    assert [record["id"] for record in run.records("things")] == [1, 2]
    assert bookmark(run, "things") == "2024-01-01T00:00:00.000000Z"


def test_a_commit_that_comes_late_is_found(empty: Engine) -> None:
    """A long transaction shows its rows only after later ones were read."""
    do(empty, THINGS, "INSERT INTO things VALUES (1, 'a', NULL, '2024-01-01')")
    with empty.connect() as slow:
        slow.execute(text("INSERT INTO things VALUES (2, 'late', NULL, '2024-01-01 00:01:00')"))
        do(empty, "INSERT INTO things VALUES (3, 'c', NULL, '2024-01-01 00:05:00')")
        first = read(empty, "things", tables=["things"])
        assert [record["id"] for record in first.records("things")] == [1, 3]
        slow.commit()
    second = read(empty, "things", tables=["things"], state=first.state)
    assert [record["id"] for record in second.records("things")] == [1, 2, 3]


def test_start_date_and_max_records(empty: Engine) -> None:
    do(empty, THINGS)
    do(
        empty,
        "INSERT INTO things SELECT seq, 'a', NULL, DATE_ADD('2024-01-01', INTERVAL seq DAY)"
        " FROM seq_1_to_9",
    )
    run = read(empty, "things", tables=["things"], start_date="2024-01-08")
    assert [record["id"] for record in run.records("things")] == [7, 8, 9]
    run = read(empty, "things", tables=["things"], max_records=4, page_size=3)
    assert [record["id"] for record in run.records("things")] == [1, 2, 3, 4]
    assert bookmark(run, "things") is None
    assert "ACTIVATE_VERSION" not in [message["type"] for message in run.messages]


def test_only_selected_columns_are_read(empty: Engine) -> None:
    do(empty, THINGS, "INSERT INTO things VALUES (1, 'a', NULL, '2024-01-01')")
    config = settings(empty, tables=["things"])
    catalog = select(TapGenius, config, "things")
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"][-1:] == ["name"]:
            entry["metadata"]["selected"] = False
    run = run_tap(TapGenius, config, None, catalog)
    (record,) = run.records("things")
    assert set(record) == {"id", "created_at", "updated_at", "sync_issues"}


def test_a_catalog_can_have_a_table_read_whole_each_time(empty: Engine) -> None:
    do(empty, THINGS)
    do(empty, "INSERT INTO things SELECT seq, 'a', NULL, '2024-01-01' FROM seq_1_to_3")
    config = settings(empty, tables=["things"])
    catalog = select(TapGenius, config, "things")
    (stream,) = catalog["streams"]
    del stream["replication_key"]
    stream["replication_method"] = "FULL_TABLE"
    for entry in stream["metadata"]:
        entry["metadata"].pop("valid-replication-keys", None)
    first = run_tap(TapGenius, config, None, catalog)
    tables = Tables().load(first)
    do(empty, "DELETE FROM things WHERE id = 2")
    tables.load(run_tap(TapGenius, config, first.state, catalog))
    assert [*tables.rows["things"]] == [(1,), (3,)]


def test_no_page_is_found_by_counting_rows(empty: Engine, mariadb: MariaDB) -> None:
    do(empty, THINGS)
    do(empty, "INSERT INTO things SELECT seq, 'a', NULL, '2024-01-02' FROM seq_1_to_9")
    first = read(empty, "things", tables=["things"], page_size=4)
    do(mariadb.engine("mysql"), "SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1")
    read(empty, "things", tables=["things"], page_size=4, state=first.state)
    do(mariadb.engine("mysql"), "SET GLOBAL general_log = 0")
    with mariadb.engine("mysql").connect() as connection:
        log = connection.execute(text("SELECT CONVERT(argument USING utf8mb4) FROM general_log"))
        pages = [said for (said,) in log if "FROM things" in said and "concat" in said]
    assert len(pages) == 4
    assert not any("OFFSET" in said for said in pages)
    assert (
        "(updated_at > '2024-01-02 00:00:00.000000'"
        " OR updated_at = '2024-01-02 00:00:00.000000' AND id > 8)"
    ) in pages[-1]
    assert all("ORDER BY updated_at, id" in said for said in pages[1:])


# What can go wrong


def test_a_broken_connection_goes_on_where_it_ended(
    empty: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tap_genius.database.WAIT", 0)
    do(empty, THINGS)
    do(empty, "INSERT INTO things SELECT seq, 'a', NULL, '2024-01-02' FROM seq_1_to_900")
    page, pages = Rows._page, []

    def break_it(self: Rows, texts: list[bytes]) -> Any:
        pages.append(len(texts))
        if len(pages) == 2:
            with empty.connect() as connection:
                others = connection.execute(
                    text(
                        "SELECT id FROM information_schema.processlist"
                        " WHERE db = 'empty' AND id <> CONNECTION_ID()"
                    )
                )
                for (number,) in others.all():
                    connection.execute(text(f"KILL {number}"))
        return page(self, texts)

    monkeypatch.setattr(Rows, "_page", break_it)
    run = read(empty, "things", tables=["things"], page_size=300)
    assert run.error is None
    assert [record["id"] for record in run.records("things")] == [*range(1, 901)]
    assert "Reading things goes on after: 127.0.0.1:" in caplog.text
    assert run.statuses["things"]["status"] == "success"


def test_a_table_altered_before_it_is_read_is_read_in_another_view(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_genius.database.WAIT", 0)
    do(empty, THINGS, "INSERT INTO things VALUES (1, 'a', NULL, '2024-01-02')")
    begin, begun = Rows._begin, []

    def alter(self: Rows, connection: Any, now: datetime) -> None:
        if not begun:
            do(empty, "ALTER TABLE things ADD COLUMN extra INT, ALGORITHM=COPY")
        begun.append(now)
        begin(self, connection, now)

    monkeypatch.setattr(Rows, "_begin", alter)
    run = read(empty, "things", tables=["things"])
    assert run.error is None
    assert [record["id"] for record in run.records("things")] == [1]
    assert len(begun) == 2


def test_a_connection_that_is_one_too_many_is_waited_for(
    empty: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tap_genius.database.WAIT", 0)
    do(
        empty,
        "CREATE OR REPLACE USER single@'%' WITH MAX_USER_CONNECTIONS 1",
        "GRANT SELECT ON empty.* TO single@'%'",
    )
    with create_engine(empty.url.set(username="single"), poolclass=NullPool).connect():
        with pytest.raises(DiscoveryError, match="max_user_connections"):
            TapGenius(config=settings(empty, username="single")).catalog_dict  # noqa: B018
        assert "max_user_connections" in caplog.text  # there was a second try


def test_the_test_server_shares_no_folder_with_others(empty: Engine, mariadb: MariaDB) -> None:
    """Where temporary tables are: a server that starts removes all that it finds there."""
    with empty.connect() as connection:
        (folder,) = connection.execute(text("SELECT @@tmpdir")).one()
    assert folder == str(mariadb.folder / "tmp")


def test_what_is_wrong_with_the_settings_is_said(
    genius: Engine, empty: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    do(genius, "CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'pässwörd'")
    wrong = [
        ({"username": "reader", "password": "s3cret-nope"}, "Access denied for user 'reader'"),
        ({"database": "nowhere"}, "Unknown database 'nowhere'"),
        ({"ssl_mode": "verify_ca", "ssl_ca": "/nowhere.pem"}, "No such file or directory"),
        ({"port": 1, "max_tries": 1}, "Can't connect to MySQL server"),
        ({"database": empty.url.database}, "Database 'empty' has no table to read"),
    ]
    for further, said in wrong:
        with pytest.raises(Exception, match=re.escape(said)):
            TapGenius(config=settings(genius) | further).catalog_dict  # noqa: B018
    assert "s3cret" not in caplog.text


def test_tls_is_as_safe_as_its_mode_says(genius: Engine, certificate: Path, tmp_path: Path) -> None:
    other, _ = certify(tmp_path, "other")
    sure = {"ssl_mode": "verify_identity", "ssl_ca": str(certificate)}
    named = {"host": "localhost", "max_tries": 1}  # which is not in the certificate
    for further, encrypted in (
        ({"ssl_mode": "disabled"}, False),
        ({}, True),
        ({"ssl_mode": "required"}, True),
        ({**sure, "ssl_mode": "verify_ca"}, True),
        ({**sure, **named, "ssl_mode": "verify_ca"}, True),
        (sure, True),
    ):
        database = TapGenius(config=settings(genius) | further, setup_mapper=False).database
        with database.connected() as connection:
            (_, cipher) = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
        database.close()
        assert bool(cipher) is encrypted, further
    for further, said in (
        ({**sure, "ssl_ca": str(other)}, "CERTIFICATE_VERIFY_FAILED"),
        ({**sure, **named}, "certificate is not valid for 'localhost'"),
        ({"ssl_mode": "verify_ca"}, "CERTIFICATE_VERIFY_FAILED"),
    ):
        with pytest.raises(ConfigValidationError, match=said):
            TapGenius(config=settings(genius) | further).catalog_dict  # noqa: B018


def test_a_table_that_may_not_be_read_does_not_stop_the_others(
    genius: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    do(
        genius,
        "CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'pässwörd'",
        "GRANT SELECT ON genius.service TO reader@'%'",
        "GRANT INSERT ON genius.job_status TO reader@'%'",
    )
    run = run_tap(TapGenius, settings(genius, username="reader", password="pässwörd"))
    assert str(run.error) == "1 of 2 streams failed: ['job_statuses']"
    assert len(run.records("services")) == 20
    assert "denied" in run.statuses["job_statuses"]["error"]
    assert "Left out, as the database does not have or show them: division_group, " in caplog.text


# Writers


class Writers:
    """Two threads that insert and update things until the end."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.written = engine, 0
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=it) for it in (self._insert, self._update)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, writes: int) -> None:
        end = self.written + writes
        while self.written < end:
            assert not self._stopped.wait(0.01)

    def _insert(self) -> None:
        self._write(
            "INSERT INTO things VALUES (:i + 100000, :name, NULL, UTC_TIMESTAMP(6))", lambda i: i
        )

    def _update(self) -> None:
        self._write(
            "UPDATE things SET name = :name, updated_at = UTC_TIMESTAMP(6) WHERE id = :i",
            lambda i: i * 37 % 4000 + 1,
        )

    def _write(self, statement: str, which: Callable[[int], int]) -> None:
        with self.engine.connect() as connection:
            for i in count():
                if self._stopped.is_set():
                    return
                connection.execute(text(statement), {"i": which(i), "name": f"write {i}"})
                connection.commit()
                self.written += 1


def test_writers_who_never_stop_lose_nothing(empty: Engine) -> None:
    """Rows are inserted and updated all through a read; after the next run all are as they are."""
    do(empty, THINGS.replace("DATETIME", "DATETIME(6)"))
    do(
        empty,
        "INSERT INTO things SELECT seq, 'a', NULL,"
        " UTC_TIMESTAMP(6) - INTERVAL 1 HOUR FROM seq_1_to_4000",
    )
    with Writers(empty) as writers:
        first = read(empty, "things", tables=["things"], page_size=200)
        writers.wait_for(50)
        second = read(empty, "things", tables=["things"], page_size=200, state=first.state)
        writers.wait_for(50)
    last = read(empty, "things", tables=["things"], page_size=200, state=second.state)
    assert writers.written > 100
    tables = Tables()
    for run in (first, second, last):
        tables.load(run)
    with empty.connect() as connection:
        truth = connection.execute(text("SELECT id, name FROM things")).all()
    read_rows = {(row["id"], row["name"]) for row in tables.rows["things"].values()}
    assert read_rows == {tuple(row) for row in truth}
    assert len({record["id"] for record in first.records("things")}) == len(first.records("things"))


def test_a_whole_read_shows_one_moment(
    empty: Engine, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is written between two pages, even where the server shows each statement anew."""
    do(empty, THINGS)
    do(empty, "INSERT INTO things SELECT seq, 'a', NULL, '2024-01-01' FROM seq_1_to_9")
    do(mariadb.engine(), "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED")
    page, pages = Rows._page, []

    def write(self: Rows, texts: list[bytes]) -> Any:
        pages.append(len(texts))
        if len(pages) == 1:
            do(
                empty,
                "DELETE FROM things WHERE id = 8",
                "UPDATE things SET name = 'b', updated_at = UTC_TIMESTAMP() WHERE id IN (1, 7)",
                "INSERT INTO things VALUES (0, 'c', NULL, UTC_TIMESTAMP()),"
                " (10, 'c', NULL, UTC_TIMESTAMP())",
            )
        return page(self, texts)

    monkeypatch.setattr(Rows, "_page", write)
    first = read(empty, "things", tables=["things"], page_size=3)
    do(mariadb.engine(), "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert pages == [3, 3, 3]
    assert [(r["id"], r["name"]) for r in first.records("things")] == [
        (i, "a") for i in range(1, 10)
    ]
    second = read(empty, "things", tables=["things"], state=first.state, look_back=0)
    changed = {(r["id"], r["name"]) for r in second.records("things")}
    assert changed >= {(0, "c"), (1, "b"), (7, "b"), (10, "c")}


def test_keys_of_any_type_page_by_page(empty: Engine) -> None:
    keys = {
        "flag": ("TINYINT(1)", "(0), (1), (2), (-1)", [-1, 0, 1, 2]),
        "day": ("DATE", "('0000-00-00'), ('2024-01-31')", ["0000-00-00", "2024-01-31"]),
        "at": (
            "DATETIME(6)",
            "('2024-01-31 00:00:00.000001'), ('2024-01-31')",
            ["2024-01-31T00:00:00.000000Z", "2024-01-31T00:00:00.000001Z"],
        ),
        "name": ("VARCHAR(9)", "('b'), ('A'), ('')", ["", "A", "b"]),
        "bytes1": ("VARBINARY(9)", "(X'FF'), (X'00'), ('')", ["", "AA==", "/w=="]),
        "price": ("DECIMAL(20,10)", "(1.0000000001), (1)", [1.0, 1.0000000001]),
        "big": (
            "BIGINT UNSIGNED",
            "(18446744073709551615), (18446744073709551614)",
            [18446744073709551614, 18446744073709551615],
        ),
    }
    do(empty, "SET GLOBAL sql_mode = ''")
    for name, (kind, values, _) in keys.items():
        do(
            empty,
            f"CREATE TABLE k_{name} (`{name}` {kind} PRIMARY KEY)",
            f"INSERT INTO k_{name} VALUES {values}",  # noqa: S608 - from above
        )
    run = read(empty, *(f"k_{name}" for name in keys), tables=["k_*"], page_size=1)
    found = {name: [r[name] for r in run.records(f"k_{name}")] for name in keys}
    assert found == {name: expected for name, (_, _, expected) in keys.items()}
