"""The page over HTTP, from a real server process on a real database."""

from __future__ import annotations

import re
import signal
import socket
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import page_site
import psycopg2
import pytest
import requests
from click.testing import CliRunner
from markupsafe import escape
from page_site import KEPT
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import make_url
from warehouse.cli import main
from warehouse.page import freshness
from warehouse.page.access import AccessError, Credentials, is_loopback
from warehouse.page.database import Database, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[3] / "targets" / "warehouse" / "README.md"
PAGES = ("/", "/running", "/runs", "/runs/61", "/activity", "/rejects", "/rejects/1", "/tables")


@pytest.fixture(scope="module")
def warehouse_url(postgres: str) -> Iterator[str]:
    with page_site.warehouse(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def page(warehouse_url: str) -> Iterator[str]:
    with page_site.served(warehouse_url) as address:
        yield address


def text(html: str) -> str:
    """Return what a reader sees, in one line."""
    without = re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)
    return " ".join(without.split())


def rows(html: str, caption: str) -> list[list[str]]:
    """Return the cells of a table, as text."""
    (table,) = re.findall(
        rf'<caption class="unseen">{caption}</caption>.*?<tbody[^>]*>(.*?)</tbody>', html, re.DOTALL
    )
    return [
        [text(cell) for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.DOTALL)]
        for row in re.findall(r"<tr.*?>(.*?)</tr>", table, re.DOTALL)
    ]


def calls_today(url: str) -> str:
    """Return what hubspot's runs of today asked: soon after midnight not all are of today."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum((performance_metrics ->> 'api_calls')::int)::text FROM sync_history"
            " WHERE crm_source = 'hubspot' AND start_time >= date_trunc('day', now(), 'UTC')"
        )
        return str((cursor.fetchone() or [None])[0])


# What it shows


def test_the_overview_shows_everything_at_a_glance(page, warehouse_url):
    answer = requests.get(page, timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    seen = text(answer.text)
    assert "1 stream is being read. hubspot contacts ▶ running since" in seen
    assert "Records 30,000 of 120,000 (25 %) Read 30,500 Rate 250 rec/s Failed 0" in seen
    assert '<progress max="120000" value="30000" aria-label="hubspot contacts">' in answer.text
    assert "hubspot deals: 0 of 1 runs that ended in the last 24 hours succeeded" in seen
    assert "200 created, 147 updated, 3 failed in 30 days; 30,775 were looked at" in seen
    used = calls_today(warehouse_url)
    assert rows(answer.text, "API calls today")[-1][:3] == ["hubspot", used, "1,000"]
    latest = [row[1:4] for row in rows(answer.text, "Latest runs")]
    assert latest[:2] == [
        ["hubspot", "contacts", "▶ running"],
        ["genius", escape(page_site.HOSTILE), "◐ partial"],
    ]
    assert rows(answer.text, "Tables of the warehouse") == [
        ["hubspot.contacts", "1,234", "3 h ago", "3 h ago"]
    ]


def test_records_per_day_are_those_of_the_history(page):
    html = requests.get(f"{page}/activity?crm=callrail&days=7", timeout=10).text
    days = rows(html, "Records per day")
    assert len(days) == 7
    totals = [sum(int(day[column]) for day in days) for column in (1, 2, 3)]
    assert totals == [60, 120, 0]
    assert "10 min 00 s of work in 60 runs, of which 0 failed." in text(html)
    assert "1.0 rec/s on average." in text(html)
    assert html.count('<svg xmlns="http://www.w3.org/2000/svg" class="pygal-chart"') == 3


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?crm=hubspot", [64, 62, 61]),
        ("?crm=hubspot&stream=contacts", [64, 61]),
        ("?status=failed", [62]),
        ("?status=partial&crm=hubspot", []),
        ("?crm=&stream=&status=&since=&until=&page=", [64, 63, 62, 61, *range(60, 14, -1)]),
        ("?page=2", list(range(14, 0, -1))),
        ("?page=3", []),
        ("?since=2020-01-01&until=2020-12-31", []),
        ("?since=2020-01-01&status=partial", [63]),
        ("?crm=no'such--crm", []),
    ],
)
def test_the_history_has_filters_and_pages(page, query, ids):
    html = requests.get(f"{page}/runs{query}", timeout=10).text
    assert [int(one) for one in re.findall(r'<th [^>]*><a href="/runs/(\d+)">', html)] == ids
    assert ('rel="next"' in html) == (len(ids) == 50)
    assert ('rel="prev"' in html) == (query == "?page=2")


def test_a_run_has_a_page_of_its_own(page):
    seen = text(requests.get(f"{page}/runs/63", timeout=10).text)
    assert "Run 63: ◐ partial , began 2" in seen
    assert "Processed 50 Created 40 Updated 7 Unchanged 0 Failed 3 Deleted 0" in seen
    assert "In sync_rejects: 1 by conversion, 1 by database, 1 by validation. Show them" in seen
    assert "Duration 10 s Throughput 5.0 rec/s API calls 3" in seen
    assert "Mode incremental Bookmark after 2026-01-02" in seen


def test_rejects_show_why_but_not_the_record(page, warehouse_url):
    html = requests.get(f"{page}/rejects?crm=genius", timeout=10).text
    assert [row[3:] for row in rows(html, "Refused records")] == [
        ["id=9, type=x", "conversion", "31.02. is no date", "63"],
        ["8", "database", "duplicate key", "63"],
        ["7", "validation", "&lt;b&gt;age&lt;/b&gt;: is not of type &#39;integer&#39;", "63"],
    ]
    assert [row[3] for row in rows(html, "Why records were refused")] == ["1", "1", "1"]
    filtered = requests.get(f"{page}/rejects?error_class=database&run=63", timeout=10).text
    assert [row[3] for row in rows(filtered, "Refused records")] == ["8"]
    for path in PAGES:
        assert "ada@" not in requests.get(page + path, timeout=10).text
    with page_site.served(warehouse_url, WAREHOUSE_PAGE_RECORDS="true") as open_page:
        one = requests.get(f"{open_page}/rejects/1", timeout=10).text
        assert "&#34;email&#34;: &#34;ada@example.com&#34;" in one
        assert "&#39;ada@example.com&#39; is not of type" in one


def test_names_and_errors_are_text_whatever_they_contain(page):
    for path in (*PAGES, "/runs?crm=genius", "/activity?crm=genius", "/runs/62", "/runs/63"):
        html = requests.get(page + path, timeout=10).text
        scripts = ['<script src="/static/refresh.js" defer>'] if path == "/" else []
        assert re.findall(r"<script[^>]*>", html) == scripts, path
        assert "<img" not in html
        assert not re.search(r"<(?!progress|meter)[^>]* (style|on\w+)=", html), path
    wicked = requests.get(page, params={"crm": '"><script>'}, timeout=10)
    assert "<script>" not in wicked.text
    wicked = requests.get(f"{page}/runs", params={"crm": '"><script>'}, timeout=10)
    assert "<script>" not in wicked.text


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("/nowhere", 404, "There is no page at this address."),
        ("/runs/4711", 404, "There is no run 4711."),
        ("/runs/99999999999999999999", 404, "There is no page at this address."),
        (f"/runs/{'9' * 5000}", 404, "There is no page at this address."),
        ("/runs/x", 404, "There is no page at this address."),
        ("/rejects/4711", 404, "There is no reject 4711"),
        ("/runs?status=odd", 400, "status is one of running, success, partial, failed."),
        ("/runs?since=yesterday", 400, "since is a day, written as 2026-01-31."),
        ("/runs?until=9999-12-31", 400, "until is a day"),
        ("/runs?page=-1", 400, "page is a number from 1"),
        ("/rejects?run=9999999999999999999", 400, "run is a number from 1"),
        ("/activity?days=1e3", 400, "days is a number from 1 to 90."),
        ("/runs?crm=a%00b", 400, "crm has a character that no name has."),
        ("/static/../app.py", 404, "There is no page"),
        ("/static/%2e%2e/app.py", 404, "There is no page"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(page, path, code, sentence):
    answer = requests.get(page + path, timeout=10)
    assert (answer.status_code, sentence in text(answer.text)) == (code, True)


def test_what_has_changed_is_seen_as_soon_as_it_is_worked_out_again(page, warehouse_url):
    time.sleep(KEPT)
    assert "30,000 of 120,000 (25 %)" in requests.get(f"{page}/running", timeout=10).text
    with closing(psycopg2.connect(warehouse_url)) as connection, connection.cursor() as cursor:
        page_site.progress(cursor, 64, 40_000)
        connection.commit()
        time.sleep(KEPT)
        assert "40,000 of 120,000 (33 %)" in requests.get(f"{page}/running", timeout=10).text
        page_site.progress(cursor, 64, 30_000)
        connection.commit()


# For programs


def test_metrics_are_what_prometheus_reads(page):
    answer = requests.get(f"{page}/metrics", timeout=10)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["warehouse_healthy",] == 0
    assert found["warehouse_crm_healthy", "hubspot"] == 0
    assert found["warehouse_stream_healthy", "hubspot", "contacts"] == 1
    assert found["warehouse_runs", "callrail", "success", "calls"] == 60
    assert found["warehouse_runs", "hubspot", "failed", "deals"] == 1
    assert found["warehouse_running", "hubspot", "contacts"] == 1
    assert found["warehouse_stuck", "hubspot", "contacts"] == 0
    assert found["warehouse_rejects", "genius", page_site.HOSTILE] == 3
    assert found["warehouse_records", "hubspot", "created", "contacts"] == 100
    assert found["warehouse_last_run_duration_seconds", "hubspot", "deals"] == 10
    assert found["warehouse_last_run_records", "genius", page_site.HOSTILE] == 50
    age = time.time() - found["warehouse_last_success_timestamp_seconds", "hubspot", "contacts"]
    assert 11_000 < age < 13_000
    assert ("warehouse_last_success_timestamp_seconds", "hubspot", "deals") not in found


def test_every_answer_has_the_headers_that_keep_browsers_safe(page):
    for path in (*PAGES, "/nowhere", "/healthz", "/metrics", "/static/page.css"):
        headers = requests.get(page + path, timeout=10).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_it_only_answers_get_and_head(page):
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = requests.request(method, f"{page}/runs", timeout=10)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    head = requests.head(f"{page}/runs", timeout=10)
    assert (head.status_code, head.content) == (200, b"")


def test_on_loopback_no_other_name_is_served(page, warehouse_url):
    def asked_as(host: str, address: str = page) -> int:
        return requests.get(address, headers={"Host": host}, timeout=10).status_code

    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1", "a@b"):
        assert asked_as(host) == 400, host
    for host in ("localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8765"):
        assert asked_as(host) == 200, host
    with page_site.served(warehouse_url, "--allow-host", "crm.example.com") as other:
        assert asked_as("crm.example.com", other) == 200
        assert asked_as("evil.example", other) == 400


# Who may look


def test_a_token_or_a_password_opens_it(warehouse_url):
    locks = {"TOKEN": "tök:en", "USER": "ada", "PASSWORD": "s3cret"}
    environment = {f"WAREHOUSE_PAGE_{name}": value for name, value in locks.items()}
    with page_site.served(warehouse_url, "--host", "0.0.0.0", **environment) as address:  # noqa: S104
        url = address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104

        def code(path: str = "/", **options: object) -> int:
            return requests.get(url + path, timeout=10, **options).status_code  # type: ignore[arg-type]

        def basic(user: str, password: str) -> int:
            return code(auth=(user.encode(), password.encode()))

        refused = requests.get(url, timeout=10)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="warehouse", charset="UTF-8"'
        assert "hubspot" not in refused.text
        assert code("/metrics") == code("/runs") == code("/static/page.css") == 401
        assert requests.get(f"{url}/healthz", timeout=10).text == "ok\n"
        assert basic("ada", "s3cret") == 200
        assert basic("", "tök:en") == basic("anybody", "tök:en") == 200
        assert basic("ada", "") == basic("ada", "wrong") == basic("", "s3cret") == 401
        assert code(headers={"Authorization": "Bearer tök:en".encode()}) == 200
        for wrong in ("Bearer", "Bearer ", "Bearer s3cret", "Basic !!!", "Basic /w==", "Digest x"):
            assert code(headers={"Authorization": wrong}) == 401, wrong
        # Others call it by names that it does not know.
        assert code(headers={"Host": "anything.example"}, auth=("ada", "s3cret")) == 200


def test_it_is_not_opened_to_others_without_a_lock(warehouse_url):
    with page_site.process(
        "--database",
        warehouse_url,
        "serve",
        "--host",
        "0.0.0.0",  # noqa: S104
    ) as refused:
        assert refused.communicate(timeout=20)[1].startswith(
            "Error: Others reach 0.0.0.0, so the page needs a lock: set WAREHOUSE_PAGE_TOKEN"
        )
        assert refused.returncode == 3
    with pytest.raises(AccessError, match="both of them"):
        Credentials.of({"WAREHOUSE_PAGE_USER": "ada"})
    with pytest.raises(AccessError, match=r"no address of this machine"):
        is_loopback("nowhere.invalid")
    assert not Credentials()
    assert not Credentials().admit("Bearer ")
    assert not Credentials(token="x").admit("Basic Og==")  # empty user, empty password
    assert is_loopback("localhost")
    assert is_loopback("::1")
    assert not is_loopback("::")


# The database


def test_a_role_with_the_rights_of_the_readme_suffices(warehouse_url):
    (grants,) = re.findall(
        r"```sql\n(CREATE ROLE warehouse_page .*?)```", README.read_text(), re.DOTALL
    )
    role = f"page_{uuid.uuid4().hex[:12]}"
    page_site.execute(warehouse_url, grants.replace("warehouse_page", role))
    own = make_url(warehouse_url).set(username=role, password="as in the README")
    url = own.render_as_string(hide_password=False)
    try:
        locks = {
            "WAREHOUSE_PAGE_SQLALCHEMY_URL": url,
            "TARGET_WAREHOUSE_SQLALCHEMY_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        }
        with page_site.process("serve", "--port", "0", *page_site.QUICK, **locks) as served:
            address = served.stdout.readline().split()[4]
            for path in (*PAGES, "/metrics", "/healthz"):
                answer = requests.get(address + path, timeout=10)
                assert answer.status_code == 200, (path, text(answer.text))
            overview = requests.get(address, timeout=10).text
            used = calls_today(warehouse_url)
            assert rows(overview, "API calls today")[-1][:3] == ["hubspot", used, "1,000"]
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            for statement in (
                "DELETE FROM sync_history",
                "INSERT INTO sync_rejects (stream) VALUES ('x')",
                "SELECT record FROM sync_rejects",
                "SELECT * FROM hubspot.contacts",
                "CREATE TABLE hubspot.mine ()",
            ):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(statement)
                connection.rollback()
        page_site.execute(warehouse_url, f"REVOKE ALL ON sync_history FROM {role}")
        with pytest.raises(Unreadable, match="Permission denied for table sync_history for the"):
            _query(url, "SELECT * FROM sync_history")
    finally:
        page_site.execute(warehouse_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def _query(url: str, statement: str) -> None:
    database = Database(url, "public")
    try:
        with database.reading() as cursor:
            cursor.execute(statement)
    finally:
        database.close()


def test_every_connection_only_reads_and_never_for_long(warehouse_url):
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        _query(warehouse_url, "DELETE FROM sync_history")
    with pytest.raises(Unreadable, match="took too long"):
        _query(warehouse_url, "SET LOCAL statement_timeout = 50; SELECT pg_sleep(5)")


def test_without_a_database_it_says_so_and_comes_back(own_server):
    url = own_server.get_uri()
    with page_site.process("--database", url, "serve", "--port", "0", *page_site.QUICK) as served:
        address = served.stdout.readline().split()[4]
        assert "Nothing has been loaded yet" in requests.get(address, timeout=10).text
        assert requests.get(f"{address}/healthz", timeout=10).status_code == 200
        own_server.stop()
        time.sleep(KEPT)
        gone = requests.get(f"{address}/healthz", timeout=20)
        assert (gone.status_code, gone.text) == (503, "the database cannot be reached\n")
        answer = requests.get(f"{address}/runs", timeout=20)
        assert answer.status_code == 503
        assert "The database cannot be reached." in text(answer.text)
        assert str(own_server.pgdata) not in answer.text
        own_server.ensure_postgres_running()
        time.sleep(KEPT)
        assert requests.get(f"{address}/healthz", timeout=20).status_code == 200
        assert requests.get(f"{address}/runs", timeout=20).status_code == 200


def test_tables_that_are_locked_are_not_waited_for(page, warehouse_url):
    with closing(psycopg2.connect(warehouse_url)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE hubspot.contacts ADD COLUMN more text")
        time.sleep(KEPT)
        began = time.monotonic()
        html = requests.get(f"{page}/tables", timeout=20).text
        assert time.monotonic() - began < 1
        assert rows(html, "Tables of the warehouse")[0][0::3] == ["hubspot.contacts", "3 h ago"]


def test_freshness_comes_from_the_table_or_where_it_is_large_from_the_history(
    wh, messages, monkeypatch
):
    people = messages.schema("people", {"id": {"type": "integer"}})
    records = [messages.record("people", id=number) for number in range(3)]
    wh.load(people, *records, crm_source="hubspot", default_target_schema="elsewhere")
    wh.load(people, *records, crm_source="hubspot", default_target_schema="elsewhere")
    first, second = (row["end_time"] for row in wh.history())
    (changed,) = {
        row["sync_updated_at"] for row in wh.table("people", bookkeeping=True, schema="elsewhere")
    }
    about = {"schema": "elsewhere", "name": "people", "succeeded": second}

    def found() -> list[dict[str, object]]:
        database = Database(wh.url, "public")
        try:
            with database.reading() as cursor:
                rows = freshness.tables(cursor, "public")
        finally:
            database.close()
        return [{name: row[name] for name in row if name != "bytes"} for row in rows]

    assert found() == [{**about, "rows": 3, "changed": changed, "exact": True}]
    monkeypatch.setattr(freshness, "_LOOKED_INTO", -1)
    wh.query("ANALYZE elsewhere.people")
    assert found() == [{**about, "rows": 3, "changed": first, "exact": False}]
    page_site.execute(wh.url, "DROP TABLE sync_history")
    assert found() == [{**about, "rows": 3, "succeeded": None, "changed": None, "exact": False}]


# The commands


def test_serve_names_a_taken_port_and_speaks_json(warehouse_url):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["--database", warehouse_url, "serve", "--port", port])
    assert result.exit_code == 3
    assert result.output == (
        f"Error: Port {port} of 127.0.0.1 is in use; choose another one with --port.\n"
    )
    with page_site.process("--database", warehouse_url, "serve", "--port=0", "--json") as served:
        assert re.fullmatch(r'\{"url": "http://127\.0\.0\.1:\d+"\}\n', served.stdout.readline())
        served.send_signal(signal.SIGINT)
        assert served.wait(20) == 0


@pytest.mark.parametrize("command", ["serve", "report"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, warehouse_url, command):
    for name in [name for name in sys.modules if name.startswith("warehouse.page.")]:
        if name != "warehouse.page.opening":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = CliRunner().invoke(main, ["--database", warehouse_url, command])
    assert (result.exit_code, result.output) == (
        3,
        "Error: The page needs jinja2, which is not installed. Install crm-warehouse[page].\n",
    )


def test_settings_that_mean_nothing_are_refused(monkeypatch, warehouse_url):
    monkeypatch.setenv("WAREHOUSE_PAGE_RECORDS", "perhaps")
    result = CliRunner().invoke(main, ["--database", warehouse_url, "serve"])
    assert (result.exit_code, result.output) == (
        3, "Error: WAREHOUSE_PAGE_RECORDS is true or false.\n"
    )  # fmt: skip
    monkeypatch.setenv("WAREHOUSE_PAGE_RECORDS", "no")
    monkeypatch.setenv("WAREHOUSE_PAGE_SQLALCHEMY_URL", "mysql://root:hidden@x/y")
    result = CliRunner().invoke(main, ["report", "--output", "-"])
    assert result.exit_code == 3
    assert result.output.startswith("Error: WAREHOUSE_PAGE_SQLALCHEMY_URL: sqlalchemy_url is not")
    assert "hidden" not in result.output


def test_a_report_can_go_to_standard_output_or_a_file(command, warehouse_url, tmp_path, wh):
    html = CliRunner().invoke(main, ["--database", warehouse_url, "report", "--output", "-"]).output
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    path = tmp_path / "report.html"
    result = command("report", "--output", str(path), "--json")
    assert result.output == f'{{"file": "{path}", "bytes": {path.stat().st_size}}}\n'
    assert "Nothing has been loaded yet" in path.read_text()
    failed = command("report", "--output", str(tmp_path / "no" / "such.html"))
    assert failed.exit_code == 3
    assert failed.output.endswith("such.html cannot be written: No such file or directory.\n")


def test_health_is_judged_as_by_warehouse_health(warehouse_url, tmp_path):
    project = {
        "MELTANO_PROJECT_ROOT": str(tmp_path),
        "TAP_ARRIVY_API_KEY": "set",
        "WAREHOUSE_EXPECTED_HOURS": "hubspot=1 999",
    }
    plugins = "plugins:\n  extractors:\n  - name: tap-arrivy\n  - name: tap-five9\n"
    (tmp_path / "meltano.yml").write_text(plugins)
    with page_site.served(warehouse_url, **project) as address:
        seen = text(requests.get(address, timeout=10).text)
        assert "arrivy ✕ never run arrivy has never run." in seen
        assert "five9" not in seen
        assert re.search(
            r"hubspot contacts last succeeded 3\.\d hours ago; .*within 1\.0 hours", seen
        )
        (tmp_path / "meltano.yml").write_text("plugins: [")
        time.sleep(KEPT)
        assert requests.get(address, timeout=10).status_code == 200
    with page_site.process("serve", WAREHOUSE_EXPECTED_HOURS="soon") as refused:
        assert "WAREHOUSE_EXPECTED_HOURS: 'soon' is not" in refused.communicate(timeout=20)[1]
