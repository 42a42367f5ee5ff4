"""SalesPro on SQLite, whose values are text, on Postgres, whose are not, and on moto's Athena."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import requests
from athena_on_postgres import Athena, athena
from moto.server import ThreadedMotoServer
from pipeline import Pipeline
from singer import Row, Run, Tables, run_tap, select
from tap_salespro.database import Database, TypeMismatch
from tap_salespro.lead_results import answers, plain
from tap_salespro.tables import TABLES
from tap_salespro.tap import TapSalesPro
from tapkit.errors import ConfigValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORM = [
    {"title": "Appointment Result ", "value": "[A] Sold"},
    {"title": "Both Homeowners Present", "value": "Yes"},
    {"title": "Total Job Amount", "value": "$1,234.00"},
    {"title": "Upload Estimate Sheet \\u0026 Company Cam", "value": "no"},
    {"title": "Result Reason - No Demo", "value": "N/A"},
    {"title": "Notes", "value": "- call back"},
    {"title": "Job Type 1", "value": "Roof"},
    {"title": "Job Type 1 Amount", "value": "$1,000.00"},
    {"title": "Job Type 2", "value": "Gutters"},
]
PIVOT = {
    "appointment_result": "string",
    "status_bucket": {"title": "Appointment Result", "pattern": r"^\[([ABC])\]"},
    "both_homeowners_present": "boolean",
    "total_job_amount": "decimal",
    "upload_estimate_sheet_company_cam": "boolean",
    "result_reason_no_demo": "string",
    "comment": {"title": ["Closing Notes", "Notes"]},
}
TYPES = {"boolean": "boolean", "datetime": "timestamp", "decimal": "numeric", "integer": "bigint"}


class Store:
    """A database with SalesPro's tables."""

    def __init__(self, url: str, connection: Any, *, mark: str, typed: bool) -> None:
        self.url = url
        self._connection = connection
        self._mark = mark
        for table in TABLES:
            columns = ", ".join(
                f"{field.name} {TYPES.get(field.type, 'text') if typed else 'text'}"
                for field in table.fields
            )
            self.execute(f"CREATE TABLE {table.name} ({columns})")

    def execute(self, statement: str, *values: Any) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, values)
        self._connection.commit()

    def add(self, table: str, **values: Any) -> None:
        marks = ", ".join([self._mark] * len(values))
        statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
        self.execute(statement, *values.values())


def sqlite(folder: Path) -> Store:
    path = folder / "salespro.db"
    return Store(f"sqlite:///{path}", sqlite3.connect(path), mark="?", typed=False)


@pytest.fixture
def text(tmp_path: Path) -> Iterator[Store]:
    store = sqlite(tmp_path)
    with closing(store._connection):
        yield store


@pytest.fixture(params=["text", "typed"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, other_database_url: str
) -> Iterator[Store]:
    if request.param == "text":
        made = sqlite(tmp_path)
    else:
        connection = psycopg2.connect(other_database_url)
        made = Store(other_database_url, connection, mark="%s", typed=True)
    with closing(made._connection):
        yield made


def tap(store: Store, *streams: str, state: Row | None = None, **settings: Any) -> Run:
    config = {"sqlalchemy_url": store.url, **settings}
    catalog = select(TapSalesPro, config, *streams) if streams else None
    return run_tap(TapSalesPro, config, state, catalog)


def rows(run: Run, stream: str) -> list[Row]:
    assert run.error is None, run.statuses
    return run.records(stream)


def test_values_are_what_their_text_says(store: Store) -> None:
    store.add(
        "estimate",
        estimate_id="e1",
        customer_id="c1",
        zip_code="07001",
        sale_amount="10.50",
        is_sale="false",
        has_credit_app="true",
        document_count="3",
        job_type="",
        created_at="2026-01-05 10:00:00",
        updated_at="2026-01-06 11:00:00.5",
    )
    run = tap(store)
    (estimate,) = rows(run, "estimate")
    names = (field.name for field in TABLES[1].fields)
    assert estimate == {
        **dict.fromkeys(names),
        "estimate_id": "e1",
        "customer_id": "c1",
        "zip_code": "07001",
        "sale_amount": 10.5,
        "is_sale": False,
        "has_credit_app": True,
        "document_count": 3,
        "job_type": "",
        "created_at": "2026-01-05T10:00:00.000000Z",
        "updated_at": "2026-01-06T11:00:00.500000Z",
        "sync_issues": None,
    }
    assert any('"sale_amount":10.50,' in line for line in run.lines)
    assert set(run.statuses) == {table.name for table in TABLES}


def test_a_value_that_is_none_is_kept_beside(text: Store) -> None:
    text.add("estimate", estimate_id="e1", is_sale="maybe", sale_amount="much", updated_at="soon")
    (estimate,) = rows(tap(text), "estimate")
    assert (estimate["is_sale"], estimate["sale_amount"], estimate["updated_at"]) == (None,) * 3
    assert {name: it["value"] for name, it in estimate["sync_issues"].items()} == {
        "is_sale": "maybe",
        "sale_amount": "much",
        "updated_at": "soon",
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50_000])
def test_windows_lose_and_repeat_nothing(store: Store, size: int) -> None:
    """Many rows of one moment, rows without any, and some that are the same in all."""
    for number in range(12):
        moment = None if number in {3, 4} else f"2026-01-0{1 + number // 5} 00:00:00"
        store.add("payments", payment_id=f"p{number:02}", created_at=moment, updated_at=None)
        store.add("user_activity", created_at=moment, user_id=None, activity_note=None, price="1")
        store.add("measure_sheet", estimate_id="e", created_at=moment, quantity=str(number))
    store.add("user_activity", created_at="2026-01-01 00:00:00", user_id="u", activity_note="x")
    run = tap(store, "payments", "user_activity", "measure_sheet", page_size=size)
    assert sorted(row["quantity"] for row in rows(run, "measure_sheet")) == list(range(12))
    found = [row["payment_id"] for row in rows(run, "payments")]
    assert sorted(found) == [f"p{number:02}" for number in range(12)]
    assert len(rows(run, "user_activity")) == 13
    assert len({row["row_id"] for row in rows(run, "user_activity")}) == 5
    assert len(rows(tap(store, "payments", page_size=size, max_records=5), "payments")) == 5


def test_rows_without_what_names_them_are_left_out(store: Store) -> None:
    for key in ("", None, "c1"):
        store.add("customer", customer_id=key, updated_at="2026-01-01 00:00:00")
    assert [row["customer_id"] for row in rows(tap(store), "customer")] == ["c1"]


def test_a_second_run_reads_from_the_bookmark(store: Store) -> None:
    for day in range(1, 10):
        moment = f"2026-01-0{day} 10:00:00"
        store.add("customer", customer_id=f"c{day}", created_at=moment, updated_at=moment)
    first = tap(store, "customer", look_back=3600)
    tables = Tables().load(first)
    second = tap(store, "customer", look_back=3600, state=first.state)
    assert [row["customer_id"] for row in rows(second, "customer")] == ["c9"]
    assert not tables.load(second).changed
    assert second.state["bookmarks"] == first.state["bookmarks"]
    store.execute("UPDATE customer SET updated_at = '2026-02-01 00:00:00' WHERE customer_id = 'c2'")
    third = tap(store, "customer", look_back=3600, state=second.state)
    assert [row["customer_id"] for row in rows(third, "customer")] == ["c9", "c2"]
    mark = third.state["bookmarks"]["customer"]["replication_key_value"]
    assert mark == "2026-02-01T00:00:00.000000Z"
    since = tap(store, "customer", look_back=0, start_date="2026-01-08T00:00:00Z")
    assert {row["customer_id"] for row in rows(since, "customer")} == {"c2", "c8", "c9"}


def test_a_row_from_the_future_does_not_hide_later_changes(store: Store) -> None:
    for key, moment in (("c1", "2026-01-01 10:00:00"), ("c2", "2999-01-01 00:00:00")):
        store.add("customer", customer_id=key, updated_at=moment)
    first = tap(store, "customer")
    assert [row["customer_id"] for row in rows(first, "customer")] == ["c1", "c2"]
    store.add("customer", customer_id="c3", updated_at="2026-01-02 10:00:00")
    second = tap(store, "customer", look_back=0, state=first.state)
    assert [row["customer_id"] for row in rows(second, "customer")] == ["c1", "c3", "c2"]
    mark = second.state["bookmarks"]["customer"]["replication_key_value"]
    assert mark == "2026-01-02T10:00:00.000000Z"


def test_a_change_column_that_turns_out_to_be_text(
    other_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Athena, where the catalog cannot be read and comparing text with a moment fails."""
    read = Database.stream
    with closing(psycopg2.connect(other_database_url)) as connection:
        store = Store(other_database_url, connection, mark="%s", typed=True)
        for day in (1, 8):
            moment = f"2026-01-0{day} 10:00:00"
            store.add("customer", customer_id=f"c{day}", updated_at=moment)

        def stream(self: Database, statement: Any) -> Any:
            values = statement.compile().params.values()
            if any(isinstance(value, datetime) for value in values):
                raise TypeMismatch("TYPE_MISMATCH: line 1:80")
            return read(self, statement)

        monkeypatch.setattr(Database, "stream", stream)
        run = tap(store, "customer", start_date="2026-01-08T12:00:00Z")
        assert [row["customer_id"] for row in rows(run, "customer")] == ["c8"]


class TestLeadResults:
    @pytest.fixture
    def filled(self, store: Store) -> Store:
        said = json.dumps(FORM)
        store.add(
            "lead_results", estimate_id="e1", lead_results="[]", updated_at="2026-01-01 00:00:00"
        )
        store.add(
            "lead_results", estimate_id="e1", lead_results=said, updated_at="2026-01-02 00:00:00"
        )
        store.add("lead_results", estimate_id="e1", lead_results="[]", updated_at=None)
        store.add(
            "lead_results", estimate_id="", lead_results=said, updated_at="2026-01-03 00:00:00"
        )
        return store

    def test_the_newest_of_an_estimate_counts(self, filled: Store) -> None:
        (row,) = rows(tap(filled, "lead_results", page_size=1), "lead_results")
        assert row == {
            "estimate_id": "e1",
            "company_id": None,
            "lead_results": FORM,
            "created_at": None,
            "updated_at": "2026-01-02T00:00:00.000000Z",
            "sync_issues": None,
        }

    def test_answers_become_columns(self, filled: Store) -> None:
        (row,) = rows(tap(filled, "lead_results", lead_results_columns=PIVOT), "lead_results")
        assert {name: row[name] for name in PIVOT} == {
            "appointment_result": "[A] Sold",
            "status_bucket": "A",
            "both_homeowners_present": True,
            "total_job_amount": 1234,
            "upload_estimate_sheet_company_cam": False,
            "result_reason_no_demo": None,
            "comment": "call back",
        }
        assert (row["lead_results"], row["sync_issues"]) == (FORM, None)

    def test_what_is_no_form_is_kept(self, text: Store) -> None:
        text.add("lead_results", estimate_id="e1", lead_results="[{", updated_at="2026-01-01")
        run = tap(text, lead_results_columns=PIVOT, lead_results_line_items={})
        (row,) = rows(run, "lead_results")
        assert row["sync_issues"] == {"lead_results": {"value": "[{", "error": "not JSON"}}
        assert run.records("lead_results_line_items") == []

    def test_jobs_become_rows(self, filled: Store) -> None:
        run = tap(filled, "lead_results_line_items", lead_results_line_items={})
        first, second = rows(run, "lead_results_line_items")
        assert first == {
            "estimate_id": "e1",
            "job_type_number": 1,
            "job_type": "Roof",
            "job_type_amount": 1000,
            "updated_at": "2026-01-02T00:00:00.000000Z",
            "_sdc_deleted_at": None,
            "sync_issues": None,
        }
        assert second == {
            **first,
            "job_type_number": 2,
            "job_type": "Gutters",
            "job_type_amount": None,
        }
        single = json.dumps(
            [{"title": "Job Type", "value": "Siding"}, {"title": "Job Size", "value": "$5"}]
        )
        filled.execute(f"UPDATE lead_results SET lead_results = '{single}'")  # noqa: S608
        (only,) = rows(tap(filled, lead_results_line_items={}), "lead_results_line_items")
        assert (only["job_type_number"], only["job_type"], only["job_type_amount"]) == (
            1,
            "Siding",
            5,
        )

    @pytest.mark.parametrize(
        ("said", "value"),
        [
            *[("-", None), (" n/a ", None), ("None", None), ("NULL", None), ("", None)],
            *[("- text", "text"), ("--x", "-x"), ("-$5.00", "-$5.00"), ("-3", "-3"), (5, "5")],
        ],
    )
    def test_values(self, said: Any, value: str | None) -> None:
        found = answers([{"title": "A", "value": said}])
        assert found == ({} if value is None else {"a": value})

    def test_titles(self) -> None:
        titles = ["Demo - Not Sold ", "demo--not sold", "Demo & Not Sold", "Demo \\u0026 Not sold"]
        assert {plain(title) for title in titles} == {"demo_not_sold"}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"estimate_id": "string"},
            {"a": "money"},
            {"a": {"pattern": "("}},
            {"a": {"pattern": "x"}},
        ],
    )
    def test_wrong_settings_are_refused(self, text: Store, wrong: Row) -> None:
        assert isinstance(tap(text, lead_results_columns=wrong).error, ConfigValidationError)


def test_ids_may_be_numbers(other_database_url: str) -> None:
    with closing(psycopg2.connect(other_database_url)) as connection:
        store = Store(other_database_url, connection, mark="%s", typed=True)
        store.execute("ALTER TABLE customer ALTER customer_id TYPE bigint USING NULL")
        for number in (3, 1, None, 2):
            store.add("customer", customer_id=number)
        found = rows(tap(store, page_size=1), "customer")
        assert [row["customer_id"] for row in found] == ["1", "2", "3"]


class TestTables:
    """What a company's tables may have otherwise."""

    def test_further_columns_are_read_and_missing_ones_null(self, store: Store) -> None:
        store.execute("ALTER TABLE customer ADD COLUMN email_address text")
        store.execute("ALTER TABLE customer ADD COLUMN visits integer")
        store.execute("ALTER TABLE customer DROP COLUMN crm_source")
        store.add("customer", customer_id="c1", email_address="ann@example.com", visits=2)
        (row,) = rows(tap(store), "customer")
        assert (row["email_address"], row["visits"], row["crm_source"]) == (
            "ann@example.com",
            2,
            None,
        )

    def test_a_table_that_is_not_there_is_no_stream(self, store: Store) -> None:
        store.execute("DROP TABLE payments")
        run = tap(store)
        assert run.error is None
        assert "payments" not in run.statuses

    def test_a_missing_column_of_several_that_tell_rows_apart(self, store: Store) -> None:
        store.execute("ALTER TABLE measure_sheet DROP COLUMN measure_sheet_item_id")
        for name in "abc":
            store.add("measure_sheet", estimate_id="e1", measure_sheet_item_name=name)
        found = rows(tap(store, "measure_sheet", page_size=2), "measure_sheet")
        assert [row["measure_sheet_item_name"] for row in found] == ["a", "b", "c"]
        assert len({row["row_id"] for row in found}) == 3

    def test_measure_sheet_is_read_whole(self, store: Store) -> None:
        store.add("measure_sheet", estimate_id="e1", measure_sheet_item_name="a", quantity="1.5")
        first = tap(store, "measure_sheet")
        (row,) = rows(first, "measure_sheet")
        assert (len(row["row_id"]), row["quantity"]) == (64, 1.5)
        again = tap(store, "measure_sheet", state=first.state)
        assert rows(again, "measure_sheet") == [row]
        assert "ACTIVATE_VERSION" in {message["type"] for message in again.messages}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "There is nothing to read"),
        (
            {"database": "leap", "s3_output_location": "s3://a/b"},
            "must begin with s3://",
        ),
        ({"s3_output_location": "s3://a/b/"}, "are needed, or sqlalchemy_url"),
        ({"sqlalchemy_url": "nonsense"}, "The database cannot be opened"),
    ],
)
def test_wrong_settings_are_refused(config: Row, said: str) -> None:
    run = run_tap(TapSalesPro, config)
    assert isinstance(run.error, ConfigValidationError)
    assert said in str(run.error)


class TestExports:
    USERS = (
        "objectId,username,nameFirst,isActive,allowedOffices,createdAt,more\n"
        'u1,ann,Ann,true,"[{""__type"":""Pointer"",""objectId"":""o1""}]",2026-01-05T10:00:00.000Z,x\n'
        ",nobody,,,,,\n"
        "u2,bob,Bob,false,,,\n"
    )

    def test_users(self, tmp_path: Path) -> None:
        path = tmp_path / "users.csv"
        path.write_text(self.USERS)
        config = {"users_path": str(path), "export_layout": {"missing_headings": None}}
        first = run_tap(TapSalesPro, config)
        ann, bob = rows(first, "users")
        assert {name: value for name, value in ann.items() if value is not None} == {
            "user_object_id": "u1",
            "username": "ann",
            "first_name": "Ann",
            "is_active": True,
            "allowed_offices": [{"__type": "Pointer", "objectId": "o1"}],
            "created_at": "2026-01-05T10:00:00.000000Z",
        }
        assert (bob["user_object_id"], bob["is_active"], bob["allowed_offices"]) == (
            "u2",
            False,
            None,
        )
        assert first.statuses["users"]["warnings"] == 1
        assert rows(run_tap(TapSalesPro, config, first.state), "users") == []

    def test_headings_have_to_be_there(self, tmp_path: Path) -> None:
        path = tmp_path / "offices.csv"
        path.write_text("objectId,name\no1,North\n")
        run = run_tap(TapSalesPro, {"offices_path": str(path)})
        assert "headings are missing: canSearchAllEstimates" in run.statuses["offices"]["error"]
        config = {"offices_path": str(path), "export_layout": {"missing_headings": "null"}}
        (row,) = rows(run_tap(TapSalesPro, config), "offices")
        assert (row["office_id"], row["name"], row["company_id"]) == ("o1", "North", None)
        path.write_text("another,export\nx,y\n")
        run = run_tap(TapSalesPro, config)
        assert "headings are missing: objectId" in run.statuses["offices"]["error"]


class TestAthena:
    """moto keeps the protocol and runs no SQL: it answers each query with what a test gave it."""

    @pytest.fixture(scope="module")
    @staticmethod
    def endpoint() -> Iterator[str]:
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()

    @pytest.fixture
    def config(self, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Row:
        monkeypatch.setattr("tap_salespro.database.TRIES", 1)
        requests.post(f"{endpoint}/moto-api/reset", timeout=10)
        return {
            "database": "leap",
            "s3_output_location": "s3://results/",
            "poll_interval": 0.01,
            "aws_access_key_id": "key",
            "aws_secret_access_key": "s3cret",
            "aws_endpoint_url": endpoint,
        }

    @pytest.fixture
    def answer(self, endpoint: str) -> Callable[..., None]:
        def give(*results: list[list[str | None]]) -> None:
            names = ["customer_id", "created_at", "updated_at"]
            kind = {"Type": "varchar", "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN"}
            info = [{"Name": name, **kind} for name in names]
            data = [
                {
                    "rows": [
                        {"Data": [{} if v is None else {"VarCharValue": v} for v in row]}
                        for row in [names, *result]
                    ],
                    "column_info": info,
                }
                for result in results
            ]
            url = f"{endpoint}/moto-api/static/athena/query-results"
            assert requests.post(url, json={"results": data}, timeout=10).status_code == 201

        return give

    def test_it_is_read(self, config: Row, answer: Any, endpoint: str) -> None:
        catalog = select(TapSalesPro, config, "customer")
        answer([], [["c1", None, "2026-01-05 10:00:00"], ["c2", "2026-01-01 00:00:00", None]])
        run = run_tap(TapSalesPro, config, None, catalog)
        first, second = rows(run, "customer")
        assert (first["updated_at"], first["created_at"]) == ("2026-01-05T10:00:00.000000Z", None)
        assert (second["customer_id"], second["updated_at"]) == ("c2", None)
        assert run.statuses["customer"]["api_calls"] == 2
        answer([], [])
        run_tap(TapSalesPro, config, run.state, catalog)
        queries = self.queries(endpoint)
        assert (
            "coalesce(t.updated_at, t.created_at) >= TIMESTAMP '2026-01-04 10:00:00" in queries[-1]
        )
        assert (
            "ORDER BY coalesce(t.updated_at, t.created_at), coalesce(t.customer_id, '')"
            in queries[-1]
        )
        assert "OFFSET" not in "".join(queries)

    @staticmethod
    def queries(endpoint: str) -> list[str]:
        """All queries so far, the latest last."""
        import boto3  # noqa: PLC0415

        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        client = boto3.client("athena", "us-east-1", endpoint_url=endpoint, **keys)
        ids = client.list_query_executions()["QueryExecutionIds"]
        found = [client.get_query_execution(QueryExecutionId=it)["QueryExecution"] for it in ids]
        client.close()
        found.sort(key=lambda it: it["Status"]["SubmissionDateTime"])
        return [" ".join(it["Query"].split()) for it in found]

    def test_no_secret_is_told(self, config: Row, caplog: pytest.LogCaptureFixture) -> None:
        run = run_tap(TapSalesPro, {**config, "aws_endpoint_url": "http://127.0.0.1:9"})
        assert run.error is not None
        assert "s3cret" not in caplog.text + str(run.error) + "".join(run.lines)


class TestAthenaThatRunsQueries:
    """A stand-in on Postgres: states, several pages, failures, and SQL that has to be right."""

    @pytest.fixture
    def store(self, other_database_url: str) -> Iterator[Store]:
        with closing(psycopg2.connect(other_database_url)) as connection:
            yield Store(other_database_url, connection, mark="%s", typed=True)

    @pytest.fixture
    def server(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Athena]:
        monkeypatch.setattr("tap_salespro.database.TRIES", 1)
        with athena(store.url) as server:
            yield server

    @staticmethod
    def run(server: Athena, *streams: str, state: Row | None = None, **settings: Any) -> Run:
        config = {
            "database": "leap",
            "s3_output_location": "s3://results/",
            "poll_interval": 0.01,
            "aws_access_key_id": "key",
            "aws_secret_access_key": "s3cret",
            "aws_endpoint_url": server.url,
            **settings,
        }
        return run_tap(TapSalesPro, config, state, select(TapSalesPro, config, *streams))

    @pytest.mark.parametrize("has_catalog", [True, False])
    def test_it_is_read_as_any_other_database(
        self, store: Store, server: Athena, *, has_catalog: bool
    ) -> None:
        server.has_catalog = has_catalog
        for number in range(20):
            moment = None if number % 9 == 0 else f"2026-01-{number % 7 + 1:02} 10:00:00.250"
            of = {"created_at": moment, "updated_at": None if number % 5 == 0 else moment}
            store.add("estimate", estimate_id=f"e{number:02}", is_sale="false", **of)
            store.add("lead_results", estimate_id=f"e{number % 8}", lead_results="[]", **of)
            store.add("measure_sheet", estimate_id="e", measure_sheet_item_name=str(number), **of)
        streams = ("estimate", "lead_results", "measure_sheet")
        run = self.run(server, *streams, page_size=7)
        direct = tap(store, *streams)
        assert Tables().load(run).rows == Tables().load(direct).rows
        tables = Tables().load(run)
        again = self.run(server, *streams, page_size=7, state=run.state, look_back=0)
        assert not tables.load(again).changed
        assert len(rows(again, "estimate")) < len(rows(run, "estimate"))
        assert any(">= TIMESTAMP '2026-01-07 10:00:00" in query for query in server.queries)

    def test_results_of_several_pages(self, store: Store, server: Athena) -> None:
        store.execute("INSERT INTO customer (customer_id) SELECT n FROM generate_series(1, 2500) n")
        assert len(rows(self.run(server, "customer"), "customer")) == 2500
        assert server.pages >= 3

    def test_a_query_that_fails_fails_its_stream(self, server: Athena) -> None:
        server.failing = "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved"
        run = self.run(server, "customer")
        assert "COLUMN_NOT_FOUND" in run.statuses["customer"]["error"]
        server.failing = "User: arn is not authorized to perform: glue:GetDatabase"
        assert "glue:GetDatabase, …" in self.run(server, "customer").statuses["customer"]["error"]


def test_in_postgres_changes_end_where_a_full_load_does(
    database_url: str, other_database_url: str, tmp_path: Path, text: Store
) -> None:
    moment = "2026-01-01 00:00:00"
    for number in range(5):
        text.add("customer", customer_id=f"c{number}", created_at=moment, updated_at=moment)
        text.add("user_activity", created_at=moment, user_id="u", activity_note=f"n{number}")
    form = json.dumps(FORM)
    text.add("lead_results", estimate_id="e1", lead_results=form, updated_at=moment)
    config = {
        "sqlalchemy_url": text.url,
        "lead_results_columns": PIVOT,
        "lead_results_line_items": {},
    }
    pipeline = Pipeline("tap-salespro", database_url, tmp_path, config)
    assert pipeline.run() == (0, 0)
    assert pipeline.run() == (0, 0)
    history = pipeline.history()
    assert {row["status"] for row in history} == {"success"}
    assert [
        (row["sync_type"], row["records_created"], row["records_updated"])
        for row in history[len(history) // 2 :]
        if row["records_created"] or row["records_updated"]
    ] == []
    text.add("lead_results", estimate_id="e1", lead_results="[]", updated_at="2026-01-02 00:00:00")
    text.execute("UPDATE customer SET company_name = 'New', updated_at = '2026-01-02 00:00:00'")
    text.add("customer", customer_id="c9", created_at="2026-01-03 00:00:00")
    assert pipeline.run() == (0, 0)
    (tmp_path / "full").mkdir()
    full = Pipeline("tap-salespro", other_database_url, tmp_path / "full", config)
    assert full.run() == (0, 0)
    tables = pipeline.tables("salespro")
    assert tables == full.tables("salespro")
    assert len(tables["customer"]) == 6
    assert tables["lead_results_line_items"] == []
