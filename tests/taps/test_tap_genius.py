"""tap-genius on a real MariaDB: its streams, and exact values of every type."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genius_database import bookmark, do, read, settings
from pipeline import Pipeline
from sqlalchemy import text
from tap_genius.entities import ENTITIES
from tap_genius.tap import TapGenius

if TYPE_CHECKING:
    from sqlalchemy import Engine

README = Path(__file__).parents[2] / "taps/tap_genius/README.md"

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
    run = read(genius, "division_groups", excluded_columns=[])
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


# In the warehouse


def test_everything_arrives_and_a_second_run_changes_nothing(
    genius: Engine, empty: Engine, tmp_path: Path, database_url: str
) -> None:
    do(
        empty,
        "SET SESSION sql_mode = ''",
        "CREATE TABLE mixed (id INT PRIMARY KEY, j JSON, b BLOB, big BIGINT UNSIGNED,"
        " price DECIMAL(40,20), at DATETIME, t TIME)",
        "INSERT INTO mixed VALUES (1, '[1.50]', X'00FF', 18446744073709551615, 1.5,"
        " '2024-02-29 12:00', '-01:30'), (2, '\"x\"', NULL, 1, NULL, '0000-00-00', NULL)",
    )
    pipeline = Pipeline("tap-genius", database_url, tmp_path, settings(genius))
    for _ in range(2):
        assert pipeline.run() == (0, 0)
    found = [
        (row["sync_type"], row["status"], row["records_created"], row["records_updated"])
        for row in pipeline.history()
        if not row["sync_type"].startswith("third_party")
    ]
    names = [entity.name for entity in ENTITIES]
    assert found == [
        *((name, "success", 20, 0) for name in names),
        *((name, "success", 0, 0) for name in names),
    ]
    with genius.connect() as connection:
        truth = connection.execute(text("SELECT * FROM job ORDER BY id")).mappings().all()
    stored = pipeline.query("SELECT * FROM genius.jobs ORDER BY id")
    assert [{name: _plain(row[name]) for name in truth[0]} for row in stored] == [
        {name: _plain(value) for name, value in row.items()} for row in truth
    ]

    folder = tmp_path / "mixed"
    folder.mkdir()
    mixed = Pipeline("tap-genius", database_url, folder, settings(empty, tables=["mixed"]))
    assert mixed.run() == (0, 0)
    rows = mixed.query("SELECT j, b, big, price, at, t, sync_issues FROM genius.mixed ORDER BY id")
    assert [tuple(_plain(value) for value in row.values()) for row in rows] == [
        (
            [1.5],
            b"\x00\xff",
            18446744073709551615,
            Decimal("1.5"),
            datetime.fromisoformat("2024-02-29 12:00"),
            "-01:30:00",
            None,
        ),
        (
            "x",
            None,
            1,
            None,
            None,
            None,
            {"at": {"value": "0000-00-00 00:00:00.000000", "error": "its day or month is zero"}},
        ),
    ]


def _plain(value: Any) -> Any:
    """A value as either database gives it."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, timedelta):
        return str(value).rjust(8, "0")
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
