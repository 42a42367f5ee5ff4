"""Files on a disk: how they are written, what type values have, what becomes of changes."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd
from pipeline import Pipeline
from singer import Row, Run, Tables, run_tap
from tap_files.columns import snake
from tap_files.tap import TapFiles
from tapkit.errors import ConfigValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE = "id,name\n1,Ann\n2,Bob\n"
ANN = {"id": 1, "name": "Ann", "sync_issues": None}
BOB = {"id": 2, "name": "Bob", "sync_issues": None}


def write(path: Path, content: str | bytes, *, at: int = 1_700_000_000) -> Path:
    """Write a file that was modified at some second; versions go by that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (at, at))
    return path


def settings(path: Path, **settings: Any) -> Row:
    stream = {"name": "people", "path": str(path), "key": ["id"], **settings}
    return {"streams": [{name: value for name, value in stream.items() if value != "-"}]}


def tap(path: Path, state: Row | None = None, **others: Any) -> Run:
    return run_tap(TapFiles, settings(path, **others), state)


def rows(run: Run) -> list[Row]:
    assert run.error is None, run.statuses
    return run.records("people")


def error(run: Run) -> str:
    assert run.error is not None
    return str(run.statuses["people"]["error"])


def types(run: Run) -> Row:
    """The last schema's columns: JSON type, or format."""
    schema = [it for it in run.messages if it["type"] == "SCHEMA"][-1]["schema"]["properties"]
    return {name: it.get("format", it["type"][0]) for name, it in schema.items()}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    return lambda content, name="people.csv", at=1_700_000_000: write(
        tmp_path / name, content, at=at
    )


class TestForms:
    """How a file may be written."""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("p.csv", PEOPLE),
            ("p.csv", PEOPLE.replace("\n", "\r\n")),
            ("p.csv", PEOPLE.replace("\n", "\r")),
            ("p.csv", PEOPLE.removesuffix("\n")),
            ("p.csv", "id,name\n\n1,Ann\n\n2,Bob\n\n"),
            ("p.tsv", PEOPLE.replace(",", "\t")),
            ("p.jsonl", '{"id": 1, "name": "Ann"}\n\n{"id": 2, "name": "Bob"}\n'),
            ("p.csv", b"\xef\xbb\xbf" + PEOPLE.encode()),
            ("p.csv", PEOPLE.encode("utf-16")),
            ("p.csv", b"\xfe\xff" + PEOPLE.encode("utf-16-be")),
            ("p.csv", PEOPLE.encode("utf-32")),
            ("p.csv.gz", gzip.compress(PEOPLE[:9].encode()) + gzip.compress(PEOPLE[9:].encode())),
            ("no-suffix", bz2.compress(PEOPLE.encode())),
            ("p.csv.xz", lzma.compress(PEOPLE.encode())),
            ("p.csv.zst", zstd.compress(PEOPLE.encode())),
        ],
    )
    def test_the_same_rows_come_of_each(self, file: Any, name: str, content: str | bytes) -> None:
        assert rows(tap(file(content, name))) == [ANN, BOB]

    def test_zip(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data/p.csv", PEOPLE)
            archive.writestr("__MACOSX/._p.csv", "")
        assert rows(tap(tmp_path / "p.zip")) == [ANN, BOB]
        with zipfile.ZipFile(tmp_path / "p.zip", "a") as archive:
            archive.writestr("other.csv", PEOPLE)
        assert "p.zip: The archive holds 2 files; it must be one" in error(tap(tmp_path / "p.zip"))
        with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
            archive.writestr("p.csv", PEOPLE)
        content = bytearray((tmp_path / "p.zip").read_bytes())
        content[content.index(b"PK\x01\x02") + 8] |= 1
        (tmp_path / "p.zip").write_bytes(content)
        assert "p.zip: The archive is encrypted" in error(tap(tmp_path / "p.zip"))

    def test_quotes_line_breaks_and_delimiters(self, file: Any) -> None:
        path = file('id;name\n1;"An""n; the\nfirst"\n2;Bob\n')
        first = {**ANN, "name": 'An"n; the\nfirst'}
        assert rows(tap(path, delimiter=";")) == [first, BOB]
        path = file("id|name\n1|An'n\\' x\n2|'B|b'\n")
        settings = {"delimiter": "|", "quote": "'", "escape": "\\"}
        assert [row["name"] for row in rows(tap(path, **settings))] == ["An'n' x", "B|b"]
        path = file('id,name\n1,"Ann\n2,Bob"\n')
        for none in (None, ""):
            assert [row["name"] for row in rows(tap(path, quote=none))] == ['"Ann', 'Bob"']
        usual = dict.fromkeys(("encoding", "skip_lines", "null_values"))
        assert rows(tap(file(PEOPLE), **usual)) == [ANN, BOB]

    def test_lines_before_the_headings_and_files_without_any(self, file: Any) -> None:
        path = file(f"Report\nof today\n{PEOPLE}")
        assert rows(tap(path, skip_lines=2)) == [ANN, BOB]
        assert rows(tap(file("1,Ann\n2,Bob\n"), headings=["id", "name"])) == [ANN, BOB]

    def test_encodings(self, file: Any) -> None:
        latin = file("id,name\n1,Zoë\n".encode("cp1252"))
        assert rows(tap(latin, encoding="cp1252"))[0]["name"] == "Zoë"
        assert "people.csv, line 2: bytes that are not utf-8" in error(tap(latin))
        run = tap(latin, undecodable="replace")
        assert rows(run)[0]["name"] == "Zo\ufffd"
        assert run.statuses["people"]["warnings"] == 1
        for wrong in ("klingon", "hex"):
            run = tap(latin, encoding=wrong)
            assert f"Setting encoding is '{wrong}', which is none" in str(run.error)
            assert isinstance(run.error, ConfigValidationError)
        marked = file(b"\xef\xbb\xbf" + "id,name\n1,Zoë\n".encode())
        assert rows(tap(marked, encoding="cp1252"))[0]["name"] == "Zoë"

    def test_the_line_of_bytes_far_down_is_named(self, file: Any) -> None:
        lines = "".join(f"{n},name {n}\n" for n in range(100_000))
        path = file(b"id,name\n" + lines.encode() + b"x,\xff\n")
        run = tap(path)
        assert "line 100002: bytes that are not utf-8" in error(run)
        assert "files" not in run.state["bookmarks"]["people"]

    def test_a_damaged_file_fails_the_stream_and_keeps_the_bookmark(self, file: Any) -> None:
        whole = gzip.compress("".join(f"{n},{n}\n" for n in range(99_999)).encode())
        path = file(gzip.compress(PEOPLE.encode()), "p.csv.gz")
        before = tap(path).state
        for compress in (gzip.compress, bz2.compress, lzma.compress, zstd.compress):
            content = compress(whole)
            run = tap(file(content[: len(content) // 2], "p.csv.gz", at=1_800_000_000), before)
            assert "p.csv.gz is damaged or was cut off" in error(run)
            assert run.state["bookmarks"] == before["bookmarks"]

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            ("\n<!DOCTYPE html>\n<p>Log in</p>", "is a web page, and no table"),
            ("version https://git-lfs.github.com/spec/v1\noid 1\n", "is a pointer of Git LFS"),
            ('[\n{"id": 1}\n]', "line 1: not a JSON object"),
        ],
    )
    def test_what_is_no_table(self, file: Any, content: str, what: str) -> None:
        before = tap(file(PEOPLE)).state
        run = tap(file(content, at=1_800_000_000), before)
        assert what in error(run)
        assert run.state["bookmarks"] == before["bookmarks"]

    def test_empty_files(self, file: Any, tmp_path: Path) -> None:
        assert "people.csv is empty" in error(tap(file("")))
        assert "is empty" in error(tap(file(""), format="jsonl"))
        assert rows(tap(file(""), no_files="allow", format="jsonl")) == []
        assert rows(tap(file("id,name\n"))) == []
        assert "There is no file" in error(tap(tmp_path / "none.csv"))
        assert f"is a folder; for the files in it name {tmp_path}/*" in error(tap(tmp_path))
        assert "No file matches" in error(tap(tmp_path / "none-*.csv"))
        assert rows(tap(tmp_path / "none-*.csv", no_files="allow")) == []


class TestHeadings:
    @pytest.mark.parametrize(
        ("heading", "column"),
        [
            ("Customer Name (full)", "customer_name_full"),
            ("customerName", "customer_name"),
            ("HTTPServer", "http_server"),
            ("  ZIP ", "zip"),
            ("a--b__c", "a_b_c"),
            ("Größe", "größe"),
            ("address.line1", "address_line1"),
        ],
    )
    def test_snake_case(self, heading: str, column: str) -> None:
        assert snake(heading) == column

    def test_names_by_setting(self, file: Any) -> None:
        path = file("ID,Full Name,sync_issues,%,a.b\n1,Ann,x,7,true\n")
        (row,) = rows(tap(path))
        assert row == {
            "id": 1,
            "full_name": "Ann",
            "file_sync_issues": "x",
            "column_4": 7,
            "a_b": True,
            "sync_issues": None,
        }
        (row,) = rows(tap(path, naming="keep", key=["ID"]))
        assert {"ID", "Full Name", "a_b"} <= row.keys()
        columns = {"id": {"heading": ["Number", "ID"]}, "name": {"heading": "full name"}}
        (row,) = rows(tap(path, columns=columns, extra_headings="ignore"))
        assert row == ANN
        (row,) = rows(
            tap(path, columns={"name": {"heading": "full name"}}, key=["ID", "Full Name"])
        )
        assert (row["id"], row["name"]) == (1, "Ann")
        assert rows(tap(file(PEOPLE, "one.csv"), key="ID")) == [ANN, BOB]
        (row,) = rows(tap(path, columns={"full_name": None, "a_b": None}))
        assert row.keys() == {"id", "file_sync_issues", "column_4", "sync_issues"}

    def test_missing(self, file: Any) -> None:
        path = file("id\n1\n")
        columns = {"name": "string"}
        run = tap(path, columns=columns)
        assert error(run).endswith("people.csv: headings are missing for name")
        assert run.records("people") == []
        for null in ("null", None):  # as YAML reads it
            run = tap(path, columns=columns, missing_headings=null)
            assert rows(run) == [{**ANN, "name": None}]
        assert "missing for key" in error(tap(path, key=["key"], missing_headings="null"))

    def test_extra(self, file: Any) -> None:
        path = file("id,name,Other\n1,Ann,x\n")
        columns = {"name": "string"}
        assert rows(tap(path, columns=columns)) == [{**ANN, "other": "x"}]
        assert rows(tap(path, columns=columns, extra_headings="ignore")) == [ANN]
        said = error(tap(path, columns=columns, extra_headings="fail"))
        assert "people.csv: heading 'Other' is not declared in columns" in said

    def test_duplicate(self, file: Any) -> None:
        path = file("id,name,Name\n1,Ann,Bee\n")
        assert "two headings are column 'name', the second is 'Name'" in error(tap(path))
        assert rows(tap(path, duplicate_headings="number")) == [{**ANN, "name_2": "Bee"}]
        path = file('{"id": 1, "name": "x"}\n{"id": 2, "name": "y", "Name": "z"}\n')
        assert "line 2: two names are column 'name'" in error(tap(path))


class TestRows:
    def test_short(self, file: Any) -> None:
        path = file('id,name\n"1","A\nnn"\n2\n3,C\n')
        assert error(tap(path)).endswith("people.csv, line 4: 1 values, but 2 headings")
        row = rows(tap(path, short_rows="fill"))[1]
        issue = {"value": None, "error": "line 4: 1 values, but 2 headings"}
        assert row == {"id": 2, "name": None, "sync_issues": {"source_row": issue}}
        run = tap(path, short_rows="skip")
        assert [row["id"] for row in rows(run)] == [1, 3]
        status = run.statuses["people"]
        assert (status["status"], status["extracted"]) == ("partial", 2)
        assert status["error"].endswith("1 rows of " + str(path) + " (lines 4)")

    def test_long(self, file: Any) -> None:
        path = file("id,name\n1,Ann,x,y\n2,Bob\n")
        assert error(tap(path)).endswith("line 2: 4 values, but 2 headings")
        issue = {"value": ["x", "y"], "error": "line 2: 4 values, but 2 headings"}
        run = tap(path, long_rows="cut")
        assert rows(run) == [{**ANN, "sync_issues": {"source_row": issue}}, BOB]
        assert run.statuses["people"]["warnings"] == 1
        assert rows(tap(path, long_rows="skip")) == [BOB]

    def test_skipped_rows_delete_nothing_and_are_not_read_again(self, file: Any) -> None:
        first = tap(file(PEOPLE))
        run = tap(file("id,name\n1\n2,Bob\n", at=1_800_000_000), first.state, short_rows="skip")
        assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}
        again = tap(file("id,name\n1\n2,Bob\n", at=1_800_000_000), run.state, short_rows="skip")
        assert rows(again) == []

    def test_broken(self, file: Any) -> None:
        path = file('{"id": 1, "name": "Ann"}\n{"id": \n[1]\n{"id": 2, "name": "Bob"}\n')
        assert error(tap(path)).endswith("people.csv, line 2: not a JSON object")
        run = tap(path, broken_rows="skip")
        assert rows(run) == [ANN, BOB]
        assert "2 rows of" in run.statuses["people"]["error"]
        assert "line 2: not CSV as the settings describe it" in error(tap(file('id\n"1"x\n')))

    def test_null_values(self, file: Any) -> None:
        path = file("id,name\n1,\n2,NULL\n")
        assert [row["name"] for row in rows(tap(path))] == [None, "NULL"]
        named = rows(tap(path, null_values=["", "NULL"]))
        assert [row["name"] for row in named] == [None, None]
        assert [row["name"] for row in rows(tap(path, null_values=[]))] == ["", "NULL"]


class TestTypes:
    def test_a_type_is_inferred_only_where_text_would_come_back(self, file: Any) -> None:
        columns = {
            "whole": ["1", "-20", "0"],
            "zip": ["30301", "07001", "1"],
            "long": ["1234567890123456789", "1", "1"],
            "part": ["1.50", "2", "-0.5"],
            "power": ["1e5", "1", "1"],
            "day": ["2026-01-05", "2026-12-31", ""],
            "no_day": ["2026-02-30", "2026-01-01", ""],
            "moment": ["2026-01-05T10:00:00Z", "2026-01-05 10:00:00.5+02:00", ""],
            "yes": ["true", "false", ""],
            "Yes2": ["True", "false", ""],
            "none": ["", "", ""],
        }
        table = [columns.keys(), *zip(*columns.values(), strict=True)]
        path = file("\n".join(",".join(row) for row in table))
        run = tap(path, key="-")
        assert types(run) == {
            "whole": "integer",
            "zip": "string",
            "long": "string",
            "part": "number",
            "power": "string",
            "day": "date",
            "no_day": "string",
            "moment": "date-time",
            "yes": "boolean",
            "yes2": "string",
            "none": "string",
            "sync_issues": "object",
            "source_file": "string",
            "source_row": "integer",
            "_sdc_deleted_at": "date-time",
        }
        assert any('"part":1.50,' in line for line in run.lines)
        assert rows(run)[1] == {
            "whole": -20,
            "zip": "07001",
            "long": "1",
            "part": 2,
            "power": "1",
            "day": "2026-12-31",
            "no_day": "2026-01-01",
            "yes": False,
            "yes2": "false",
            "moment": "2026-01-05T08:00:00.500000Z",
            "none": None,
            "sync_issues": None,
            "source_file": str(path),
            "source_row": 2,
            "_sdc_deleted_at": None,
        }
        assert types(tap(path, key="-", infer_types=False))["whole"] == "string"

    def test_json_has_types_of_its_own(self, file: Any) -> None:
        path = file(
            '{"id": 1, "a": "5", "b": 1.10, "c": {"x": [1]}, "d": true, "e": 1}\n'
            '{"id": 2, "a": "6", "b": 2, "c": [], "d": null, "e": "one", "f": "2026-01-01"}\n'
        )
        run = tap(path)
        assert [types(run)[name] for name in "abcdef"] == [
            *("string", "number", "object", "boolean", "string", "date")
        ]
        first, second = rows(run)
        assert first == {
            "id": 1,
            "a": "5",
            "b": 1.1,
            "c": {"x": [1]},
            "d": True,
            "e": "1",
            "f": None,
            "sync_issues": None,
        }
        assert second["e"] == "one"

    def test_text_among_numbers_of_json_is_text(self, file: Any) -> None:
        lines = [f'{{"id": {n}, "a": {n}, "b": true}}' for n in range(2500)]
        run = tap(file("\n".join([*lines, '{"id": 2500, "a": "5", "b": "true"}'])))
        assert types(run)["a"] == types(run)["b"] == "string"
        table = Tables().load(run).rows["people"]
        assert (table[7,]["a"], table[7,]["b"], table[2500,]["a"]) == ("7", "true", "5")

    def test_a_late_value_is_never_lost(self, file: Any) -> None:
        """A column becomes text, and rows that were sent as numbers are sent again as text."""
        lines = [f"{n},{n % 9}.5,{n}" for n in range(5000)]
        path = file("\n".join(["id,ratio,code", *lines, "5000,n/a,x1", "5001,7,007"]))
        run = tap(path)
        assert types(run)["ratio"] == types(run)["code"] == "string"
        table = Tables().load(run).rows["people"]
        assert len(table) == 5002
        assert [table[key,]["ratio"] for key in (0, 4999, 5000, 5001)] == ["0.5", "4.5", "n/a", "7"]
        assert [table[key,]["code"] for key in (0, 4999, 5000, 5001)] == ["0", "4999", "x1", "007"]
        # The next run knows: nothing is sampled, sent or widened again.
        again = tap(path, run.state)
        assert (rows(again), types(again)["ratio"]) == ([], "string")

    def test_batch_files_hold_all_values_too(self, file: Any, tmp_path: Path) -> None:
        lines = [f"{n},{n}" for n in range(2500)]
        config = {
            **settings(file("\n".join(["id,code", *lines, "2500,x"]))),
            "batch_config": {
                "encoding": {"format": "jsonl", "compression": "gzip"},
                "storage": {"root": f"file://{tmp_path}"},
            },
        }
        run = run_tap(TapFiles, config)
        assert run.error is None
        files = [
            Path(name.removeprefix("file://"))
            for message in run.messages
            if message["type"] == "BATCH"
            for name in message["manifest"]
        ]
        lines = [line for it in files for line in gzip.decompress(it.read_bytes()).splitlines()]
        read = list(map(json.loads, lines))
        codes = {row["id"]: row["code"] for row in read}
        assert codes == {**{n: str(n) for n in range(2500)}, 2500: "x"}
        assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}

    def test_fractions_need_no_second_read(self, file: Any) -> None:
        lines = [f"{n},{n}" for n in range(3000)]
        run = tap(file("\n".join(["id,ratio", *lines, "3000,0.5"])))
        assert (len(rows(run)), types(run)["ratio"]) == (3001, "number")

    def test_a_late_column_is_announced(self, file: Any) -> None:
        lines = [f'{{"id": {n}}}' for n in range(3000)]
        run = tap(file("\n".join([*lines, '{"id": 3000, "late": 1}'])))
        assert rows(run)[-1] == {"id": 3000, "late": 1, "sync_issues": None}
        assert types(run)["late"] == "integer"

    def test_declared_types_keep_what_does_not_fit(self, file: Any) -> None:
        path = file('id,amount,zip\n1,"$1,234.50",30301\n2,much,3\n')
        columns = {"amount": "decimal", "zip": "zip_code", "id": "string"}
        first, second = rows(tap(path, columns=columns))
        assert first == {"id": "1", "amount": 1234.5, "zip": "30301", "sync_issues": None}
        assert second == {
            "id": "2",
            "amount": None,
            "zip": "3",
            "sync_issues": {
                "amount": {"value": "much", "error": "not a number"},
                "zip": {"value": "3", "error": "not a US or Canadian postal code"},
            },
        }

    @pytest.mark.parametrize("columns", [{"a": "money"}, {"a": {"kind": "string"}}, {"a": 5}])
    def test_wrong_settings_are_refused(self, file: Any, columns: Row) -> None:
        run = run_tap(TapFiles, settings(file(PEOPLE), columns=columns))
        assert isinstance(run.error, ConfigValidationError)
        assert run.lines == []


class TestChanges:
    """What a second run reads, and what becomes of rows that vanished."""

    @staticmethod
    def load(tables: Tables, *arguments: Any, **settings: Any) -> Run:
        run = tap(*arguments, **settings)
        assert run.error is None
        tables.load(run)
        return run

    def test_nothing_changed(self, file: Any) -> None:
        first = tap(file(PEOPLE))
        second = tap(file(PEOPLE), first.state)
        assert (rows(second), second.state["bookmarks"]) == ([], first.state["bookmarks"])

    def test_a_replaced_file(self, file: Any) -> None:
        tables = Tables()
        run = self.load(tables, file(PEOPLE))
        path = file("id,name\n2,Bo\n3,Cy\n", at=1_800_000_000)
        run = self.load(tables, path, run.state)
        assert tables.rows["people"] == {
            (2,): {**BOB, "name": "Bo"},
            (3,): {**BOB, "id": 3, "name": "Cy"},
        }
        kept = Tables()
        run = self.load(kept, file(PEOPLE), vanished_rows="keep")
        path = file("id,name\n3,Cy\n", at=1_800_000_000)
        self.load(kept, path, run.state, vanished_rows="keep")
        assert set(kept.rows["people"]) == {(1,), (2,), (3,)}

    def test_several_files_of_keyed_rows(self, file: Any, tmp_path: Path) -> None:
        """New files are read alone; once one is replaced or removed, all are."""
        pattern, tables = tmp_path / "in/*.csv", Tables()
        file("id,name\n1,Ann\n", "in/b.csv", at=1)
        file("id,name\n1,Anna\n2,Bob\n", "in/a.csv", at=2)
        run = self.load(tables, pattern)
        assert tables.rows["people"][1,]["name"] == "Anna"  # the younger file wins
        file("id,name\n3,Cy\n", "in/c.csv", at=3)
        run = self.load(tables, pattern, run.state)
        assert [row["id"] for row in rows(run)] == [3]
        file("id,name\n1,Ann-Marie\n", "in/b.csv", at=4)
        run = self.load(tables, pattern, run.state)
        assert len(rows(run)) == 4
        assert tables.rows["people"][1,]["name"] == "Ann-Marie"
        (tmp_path / "in/a.csv").unlink()
        run = self.load(tables, pattern, run.state)
        assert set(tables.rows["people"]) == {(1,), (3,)}
        assert tables.rows == Tables().load(tap(pattern)).rows

    def test_several_files_without_a_key(self, file: Any, tmp_path: Path) -> None:
        """Each file stands for itself: only it is read, and its vanished rows are marked."""
        pattern, tables = tmp_path / "in/*.csv", Tables()
        a = file(PEOPLE + "3,Cy\n", "in/a.csv")
        b = file(PEOPLE, "in/b.csv")
        run = self.load(tables, pattern, key="-")
        assert set(tables.rows["people"]) == {(str(a), n) for n in (1, 2, 3)} | {
            (str(b), 1),
            (str(b), 2),
        }
        file("id,name\n9,Zed\n", "in/a.csv", at=1_800_000_000)
        run = self.load(tables, pattern, run.state, key="-")
        assert len(rows(run)) == 3  # one is there, two are gone
        b.unlink()
        run = self.load(tables, pattern, run.state, key="-")
        gone = {key for key, row in tables.rows["people"].items() if row["_sdc_deleted_at"]}
        assert gone == {(str(a), 2), (str(a), 3), (str(b), 1), (str(b), 2)}
        assert rows(self.load(tables, pattern, run.state, key="-")) == []

    def test_other_settings_read_everything_again(self, file: Any) -> None:
        first = tap(file(PEOPLE))
        assert len(rows(tap(file(PEOPLE), first.state, columns={"id": "string"}))) == 2

    def test_a_column_that_became_text_is_read_again_everywhere(
        self, file: Any, tmp_path: Path
    ) -> None:
        pattern, tables = tmp_path / "in/*.csv", Tables()
        file("id,code\n1,10\n", "in/a.csv", at=1)
        run = self.load(tables, pattern)
        file("id,code\n2,x\n", "in/b.csv", at=2)
        self.load(tables, pattern, run.state)
        assert [tables.rows["people"][key,]["code"] for key in (1, 2)] == ["10", "x"]

    def test_a_cut_run_keeps_its_bookmark(self, file: Any) -> None:
        config = {"streams": [{"name": "people", "path": str(file(PEOPLE))}], "max_records": 1}
        run = run_tap(TapFiles, config)
        assert len(run.records("people")) == 1
        assert run.state["bookmarks"]["people"] == {}

    def test_start_date_leaves_out_old_files(self, file: Any, tmp_path: Path) -> None:
        file("id\n1\n", "in/a.csv", at=1_600_000_000)
        file("id\n2\n", "in/b.csv", at=1_700_000_000)
        stream = {"name": "people", "path": str(tmp_path / "in/*"), "key": ["id"]}
        run = run_tap(TapFiles, {"streams": [stream], "start_date": "2022-01-01"})
        assert [row["id"] for row in rows(run)] == [2]
        assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}


def test_one_broken_stream_does_not_stop_the_others(file: Any, tmp_path: Path) -> None:
    streams = [
        {"name": "gone", "path": str(tmp_path / "gone.csv")},
        {"name": "people", "path": str(file(PEOPLE)), "key": ["id"]},
    ]
    run = run_tap(TapFiles, {"streams": streams})
    assert run.records("people") == [ANN, BOB]
    assert run.statuses["gone"]["status"] == "failed"
    assert run.error is not None


def test_in_postgres_changes_end_where_a_full_load_does(
    database_url: str, other_database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    streams = [
        {"name": "keyed", "path": str(folder / "*.csv"), "key": ["id"]},
        {"name": "plain", "path": str(folder / "*.csv")},
    ]
    pipeline = Pipeline("tap-files", database_url, tmp_path, {"streams": streams})
    write(folder / "a.csv", "id,name,code\n1,Ann,1\n2,Bob,2\n", at=1)
    write(folder / "b.csv", "id,name,code\n3,Cy,3\n", at=2)
    assert pipeline.run() == (0, 0)
    assert pipeline.run() == (0, 0)
    history = [
        (row["sync_type"], row["status"], row["records_created"], row["records_updated"])
        for row in pipeline.history()
    ]
    assert history == [
        *[("keyed", "success", 3, 0), ("plain", "success", 3, 0)],
        *[("keyed", "success", 0, 0), ("plain", "success", 0, 0)],
    ]
    write(folder / "a.csv", "id,name,code\n2,Bo,x2\n", at=3)
    write(folder / "c.csv", "id,name,code\n4,Di,4\n", at=4)
    assert pipeline.run() == (0, 0)
    (tmp_path / "full").mkdir()
    full = Pipeline("tap-files", other_database_url, tmp_path / "full", {"streams": streams})
    assert full.run() == (0, 0)
    assert _live(pipeline.tables("files")) == _live(full.tables("files"))
    assert [row["id"] for row in pipeline.tables("files")["keyed"] if row["_sdc_deleted_at"]] == [1]


def _live(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """What is not marked as deleted; a full load has never seen it."""
    return {
        name: [
            {k: v for k, v in row.items() if k != "_sdc_deleted_at"}
            for row in rows
            if not row.get("_sdc_deleted_at")
        ]
        for name, rows in tables.items()
    }
