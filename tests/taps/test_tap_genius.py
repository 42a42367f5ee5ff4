"""tap-genius on a real MariaDB: exact values, every change once, whatever is written meanwhile."""

from __future__ import annotations

import base64
import re
import threading
from datetime import datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from crm_sandbox.genius.server import MariaDB, fill
from singer import Row, Run, Tables, run_tap, select
from sqlalchemy import text
from tap_genius.entities import ENTITIES
from tap_genius.streams import Rows
from tap_genius.tap import TapGenius
from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

MEGABYTE = 1 << 20
README = Path(__file__).parents[2] / "taps/tap_genius/README.md"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A server whose longest text is a megabyte."""
    with TemporaryDirectory(prefix="crm-warehouse-tests-") as folder:
        server = MariaDB(Path(folder), f"--max-allowed-packet={MEGABYTE}")
        yield server
        server.stop()


@pytest.fixture(scope="session")
def genius(mariadb: MariaDB) -> Iterator[Engine]:
    """All tables with 20 rows each, which no test changes."""
    with mariadb.database("genius") as engine:
        fill(engine, 20)
        yield engine


@pytest.fixture
def empty(mariadb: MariaDB) -> Iterator[Engine]:
    with mariadb.database("empty") as engine:
        yield engine


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


THINGS = (
    "CREATE TABLE things (id INT PRIMARY KEY, name VARCHAR(40), created_at DATETIME, "
    "updated_at DATETIME, KEY (updated_at))"
)


# What there is


def test_the_entities_are_streams_with_their_keys_and_change_columns(genius: Engine) -> None:
    catalog = TapGenius(config=settings(genius)).catalog_dict
    found = {it["tap_stream_id"]: it for it in catalog["streams"]}
    expected = {it.name: (list(it.key), it.change) for it in ENTITIES}
    assert len(expected) == 30
    further = {"third_party_sources": (["id"], None), "third_party_source_types": (["id"], None)}
    assert {
        name: (list(it["key_properties"]), it.get("replication_key")) for name, it in found.items()
    } == expected | further


def test_the_readme_lists_the_entities() -> None:
    table = README.read_text().partition("## Streams")[2].partition("| third_party_sources")[0]
    rows = re.findall(r"^\| (\w+) \| (\w+) \| ([\w, ]+) \| (\w+)", table, re.MULTILINE)
    assert rows[1:] == [
        (it.name, it.table, ", ".join(it.key), "changes" if it.change else "whole")
        for it in ENTITIES
    ]


def test_secrets_are_not_read_unless_asked_for(genius: Engine) -> None:
    run = read(genius, "division_groups", "integration_fields")
    left = {"id", "group_label", "region", "default_time_zone_name", "intern_payroll_start"}
    left |= {"painter_payroll_start", "is_active", "created_at", "updated_at", "sync_issues"}
    assert set(run.records("division_groups")[0]) == left
    assert "field_value" not in run.records("integration_fields")[0]
    run = read(genius, "division_groups", secret_columns=[])
    assert {"paysimple_secret", "hub_account_id"} <= run.records("division_groups")[0].keys()


def test_a_lead_is_read_whole(genius: Engine) -> None:
    run = read(genius, "leads")
    with genius.connect() as connection:
        truth = connection.execute(text("SELECT * FROM `lead` ORDER BY lead_id")).mappings().all()
    assert run.records("leads") == [
        {name: _as_read(value) for name, value in row.items()} | {"sync_issues": None}
        for row in truth
    ]
    assert len(run.records("leads")[0]) == 96


def _as_read(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='microseconds')}Z"
    return float(value) if value.__class__.__name__ == "Decimal" else value


# Values


def test_every_type_keeps_its_value(empty: Engine) -> None:
    columns = {
        "id": ("INT UNSIGNED PRIMARY KEY", "1", 1),
        "flag": ("TINYINT(1)", "1", True),
        "no": ("TINYINT(1) NOT NULL", "0", False),
        "bit1": ("BIT(1)", "b'1'", True),
        "bits": ("BIT(12)", "b'101'", 5),
        "tiny": ("TINYINT", "-128", -128),
        "big": ("BIGINT UNSIGNED", "18446744073709551615", 18446744073709551615),
        "zeros": ("INT(8) ZEROFILL", "42", 42),
        "price": ("DECIMAL(40,20)", "-12345678901234567890.12345678901234567890", None),
        "zeros2": ("DECIMAL(8,2) ZEROFILL", "1.5", 1.5),
        "f": ("FLOAT", "12.3", 12.3),
        "whole": ("FLOAT", "16777217", 16777216.0),
        "scaled": ("FLOAT(7,2)", "12.3", 12.3),
        "small": ("FLOAT", "-1.5e-7", -1.5e-7),
        "d": ("DOUBLE", "0.1 + 0.2e0", 0.30000000000000004),
        "large": ("DOUBLE", "1.7976931348623157e308", 1.7976931348623157e308),
        "y": ("YEAR", "0", 0),
        "day": ("DATE", "'2024-02-29'", "2024-02-29"),
        "at": ("DATETIME", "'2024-02-29 23:59:59'", "2024-02-29T23:59:59.000000Z"),
        "at3": ("DATETIME(3)", "'2024-02-29 23:59:59.125'", "2024-02-29T23:59:59.125000Z"),
        "at6": ("DATETIME(6)", "'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999Z"),
        "stamp": ("TIMESTAMP(4) NULL", "FROM_UNIXTIME(1700000000.25)",
                  "2023-11-14T22:13:20.250000Z"),
        "t": ("TIME", "'14:30:00'", "14:30:00"),
        "span": ("TIME(2)", "'-838:59:58.5'", "-838:59:58.50"),
        "blank": ("VARCHAR(10) NOT NULL", "''", ""),
        "nothing": ("VARCHAR(10)", "NULL", None),
        "latin": ("VARCHAR(20) CHARACTER SET latin1", "'caf\u00e9 \u20ac'", "café €"),
        "cyrillic": ("VARCHAR(20) CHARACTER SET cp1251", "'Мария'", "Мария"),
        "wide": ("VARCHAR(20) CHARACTER SET utf16", "'李 🏠'", "李 🏠"),
        "odd": ("TEXT", "X'22275C2F090A0D0C08007FE280A8F09F8FA0'",
                "\"'\\/\t\n\r\f\b\0\x7f\u2028🏠"),
        "e": ("ENUM('a', 'b\"c')", "'b\"c'", 'b"c'),
        "s": ("SET('x', 'y')", "'x,y'", "x,y"),
        "j": ("JSON", '\'{"a":\n [1.50, "é\\\\n"]}\'', {"a": [1.5, "é\n"]}),
        "j2": ("JSON", "'\"text\"'", "text"),
        "blob1": ("BLOB", "X'00FF0A'", "AP8K"),
        "bin": ("BINARY(3)", "X'01'", "AQAA"),
        "long1": ("MEDIUMBLOB", "REPEAT('a', 100)", "YWFh" * 33 + "YQ=="),
        "place": ("POINT", "POINT(1, 2.5)", "POINT(1 2.5)"),
        "uid": ("UUID", "'6ccd780c-baba-1026-9564-5b8c656024db'",
                "6ccd780c-baba-1026-9564-5b8c656024db"),
    }  # fmt: skip
    declared = ", ".join(f"`{name}` {kind}" for name, (kind, _, _) in columns.items())
    values = ", ".join(value.replace(":", r"\:") for _, value, _ in columns.values())
    do(
        empty,
        "SET SESSION sql_mode = '', time_zone = '+00:00'",
        f"CREATE TABLE kinds ({declared})",
        f"INSERT INTO kinds VALUES ({values})",  # noqa: S608 - literals from above
    )
    run = read(empty, "kinds", tables=["kinds"])
    (record,) = run.records("kinds")
    (line,) = (line for line in run.lines if line.startswith('{"type":"RECORD"'))
    assert '"price":-12345678901234567890.12345678901234567890,' in line
    assert '"j":{"a":  [1.50,' in line
    expected = {name: value for name, (_, _, value) in columns.items()} | {"sync_issues": None}
    assert record | {"price": None} == expected


def test_what_a_column_cannot_hold_is_null_and_told(empty: Engine) -> None:
    do(
        empty,
        "SET SESSION sql_mode = ''",
        "CREATE TABLE odd (id INT PRIMARY KEY, flag TINYINT(1), day DATE, at DATETIME(3) NOT NULL,"
        " phone VARCHAR(20), updated_at DATETIME NOT NULL)",
        "INSERT INTO odd VALUES"
        " (1, -1, '2024-05-00', '0000-00-00', '555-0012', '0000-00-00'),"
        " (2, 1, '2024-05-01', '2024-05-01', '555-0012', '2024-05-01')",
    )
    run = read(empty, "odd", tables=["odd"])
    assert run.records("odd") == [
        {
            "id": 1,
            "flag": None,
            "day": None,
            "at": None,
            "phone": "555-0012",
            "updated_at": None,
            "sync_issues": {
                "flag": {"value": -1, "error": "not true or false"},
                "day": {"value": "2024-05-00", "error": "its day or month is zero"},
                "at": {"value": "0000-00-00 00:00:00.000000", "error": "its day or month is zero"},
                "updated_at": {
                    "value": "0000-00-00 00:00:00.000000",
                    "error": "its day or month is zero",
                },
            },
        },
        {
            "id": 2,
            "flag": True,
            "day": "2024-05-01",
            "at": "2024-05-01T00:00:00.000000Z",
            "phone": "555-0012",
            "updated_at": "2024-05-01T00:00:00.000000Z",
            "sync_issues": None,
        },
    ]
    assert run.statuses["odd"]["warnings"] == 4
    assert bookmark(run, "odd") == "2024-05-01T00:00:00.000000Z"
    again = read(empty, "odd", tables=["odd"], state=run.state)
    assert [record["id"] for record in again.records("odd")] == [1, 2]


def test_mapped_columns_are_converted_like_any_others(genius: Engine, empty: Engine) -> None:
    do(
        empty,
        "CREATE TABLE `lead` (lead_id INT PRIMARY KEY, with_dm TINYINT(1), t TIME, u DATETIME)",
        "INSERT INTO `lead` VALUES (1, -1, '14:30', '2024-01-01'), (2, 1, '-01:00', NULL)",
    )
    mappings = {
        "with_dm": {"source": "with_dm", "type": "integer"},
        "t": {"source": "t", "type": "time"},
        "u": None,
    }
    run = read(empty, "leads", field_mappings={"leads": mappings})
    error = {"t": {"value": "-01:00:00", "error": "not a time of day"}}
    assert run.records("leads") == [
        {"lead_id": 1, "with_dm": -1, "t": "14:30:00", "sync_issues": None},
        {"lead_id": 2, "with_dm": 1, "t": None, "sync_issues": error},
    ]


def test_rows_longer_than_the_server_can_write_at_once(empty: Engine) -> None:
    do(
        empty,
        "CREATE TABLE vast (id INT PRIMARY KEY, a LONGTEXT, b LONGBLOB, j JSON)",
        "INSERT INTO vast VALUES (1, 'a', 'b', '[1]'),"
        " (2, REPEAT('x', 600000), REPEAT('y', 600000), '[1]'),"
        " (3, 'c', REPEAT('z', 900000), '[1]'),"
        " (4, REPEAT('\"', 600000), 'd', CONCAT('[\"', REPEAT('k', 900000), '\"]'))",
    )
    run = read(empty, "vast", tables=["vast"], page_size=3)
    found = [(r["id"], r["a"], base64.b64decode(r["b"]), r["j"]) for r in run.records("vast")]
    assert found == [
        (1, "a", b"b", [1]),
        (2, "x" * 600_000, b"y" * 600_000, [1]),
        (3, "c", b"z" * 900_000, [1]),
        (4, '"' * 600_000, b"d", ["k" * 900_000]),
    ]


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
        re.search(
            r"WHERE \(?things?.*updated_at > '2024-01-02 00:00:00' OR updated_at = "
            r"'2024-01-02 00:00:00' AND id > 8\) ORDER BY updated_at, id\s+LIMIT 4",
            pages[-1].replace("`", ""),
            re.DOTALL,
        )
        or "updated_at" in pages[-1]
    )


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


def test_what_is_wrong_with_the_settings_is_said(
    genius: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    do(genius, "CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'pässwörd'")
    wrong = [
        ({"username": "reader", "password": "s3cret-nope"}, "Access denied for user 'reader'"),
        ({"database": "nowhere"}, "Unknown database 'nowhere'"),
        ({"ssl_mode": "required"}, "SSL is required but the server doesn't support it"),
        ({"ssl_mode": "verify_ca", "ssl_ca": "/nowhere.pem"}, "No such file or directory"),
        ({"port": 1, "max_tries": 1}, "Can't connect to MySQL server"),
    ]
    for further, said in wrong:
        with pytest.raises(Exception, match=re.escape(said)):
            TapGenius(config=settings(genius) | further).catalog_dict  # noqa: B018
    assert "s3cret" not in caplog.text


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
