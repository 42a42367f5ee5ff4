"""The page in a real Chromium: for the eye, the keyboard, the screen reader, and on paper."""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import page_site
import psycopg2
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import expect, sync_playwright
from warehouse.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
PAGES = (
    "/", "/runs", "/runs?crm=hubspot&status=failed", "/runs?page=9", "/runs/62", "/runs/64",
    "/activity?crm=hubspot", "/rejects", "/rejects/1", "/tables", "/nowhere",
)  # fmt: skip
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def warehouse_url(postgres: str) -> Iterator[str]:
    with page_site.warehouse(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def site(warehouse_url: str) -> Iterator[str]:
    with page_site.served(warehouse_url) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, "There is no Chromium; .ci/browser installs it"
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=QUIET.split())
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, *, missing: bool = False, **options: Any) -> Iterator[Page]:
    """Give a new window; afterwards nothing may have gone wrong in it, nor asked elsewhere."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    if missing:  # Chromium says so of every page that is not there
        wrong = [text for text in wrong if "404 (Not Found)" not in text]
    assert wrong == []
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "file://"))] == []
    context.close()


def violations(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds against its rules, WCAG's and those of good practice."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], node["failureSummary"]) for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("viewport", "colours"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_and_the_page_does_not_scroll_sideways(browser, site, viewport, colours):
    with opened(browser, missing=True, viewport=viewport, color_scheme=colours) as page:
        for path in PAGES:
            page.goto(site + path)
            assert violations(page) == [], path
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width == viewport["width"], path
        page.goto(site)
        for summary in page.locator("summary").all():
            summary.click()
        assert violations(page) == []


def test_an_empty_warehouse_says_what_to_do(browser, database_url):
    with page_site.served(database_url) as site, opened(browser) as page:
        for path in ("/", "/runs", "/tables"):
            page.goto(site + path)
            expect(page.get_by_role("heading", name="Nothing has been loaded yet")).to_be_visible()
            assert violations(page) == []
        for path, sentence in (("/activity", "No run began"), ("/rejects", "Nothing was refused")):
            page.goto(site + path)
            expect(page.get_by_role("main")).to_contain_text(sentence)
            assert violations(page) == []


def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(browser, site):
    with opened(browser) as page:
        page.goto(f"{site}/runs")
        stops: list[str] = []
        for _ in range(14):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                """() => {
                    const one = document.activeElement, style = getComputedStyle(one);
                    const box = one.getBoundingClientRect();
                    return [one.labels?.[0]?.textContent ?? one.ariaLabel ?? one.textContent.trim(),
                            style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
                            && box.width > 0 && box.top >= 0];
                }"""
            )
            assert focused[1], focused
            stops.append(focused[0])
        assert stops[:6] == [
            "Skip to the content", "Overview", "Runs", "Activity", "Rejects", "Tables"
        ]  # fmt: skip
        # A date is three stops and its calendar.
        assert [*dict.fromkeys(stops[6:])] == ["CRM", "Stream", "Status", "From", "To"]
        page.goto(f"{site}/runs")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        page.keyboard.type("genius")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Filter").press("Enter")
        page.wait_for_url("**/runs?crm=genius*")
        expect(page.get_by_role("row")).to_have_count(2)
        page.get_by_role("group", name="Runs, the newest first").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/runs/63")


def test_it_is_told_to_screen_readers_what_is_what(browser, site):
    with opened(browser, viewport=PHONE) as page:
        page.goto(f"{site}/runs")
        landmarks = ("banner", "navigation", "main", "contentinfo")
        assert all(page.get_by_role(name).first.is_visible() for name in landmarks)  # type: ignore[arg-type]
        here = page.get_by_role("navigation", name="Main").locator("[aria-current=page]")
        expect(here).to_have_text("Runs")
        # A phone shows it without columns; it still is a table with a name and headings.
        table = page.get_by_role("table", name="Runs, the newest first")
        expect(table.get_by_role("columnheader").first).to_have_text("Started (UTC)")
        assert table.get_by_role("row").count() == 1 + 50 + 1  # one of them with an error below
        page.goto(site)
        chart = page.get_by_role("img").first
        assert chart.get_attribute("aria-label").startswith("Records per day. 200 created,")
        bar = page.get_by_role("progressbar", name="hubspot contacts")
        assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("30000", "120000")
        levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(one => +one.tagName[1])")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_filters_and_pages_work_without_scripts(browser, site):
    with opened(browser, java_script_enabled=False) as page:
        page.goto(f"{site}/runs")
        page.get_by_role("link", name="Older").click()
        page.get_by_text("Runs 51 to 64").wait_for()
        page.get_by_label("CRM").select_option("hubspot")
        page.get_by_label("Status").select_option("failed")
        page.get_by_label("From").fill("2020-01-01")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_role("rowheader")).to_have_count(1)
        assert page.get_by_role("cell", name="403 Forbidden").is_visible()
        page.get_by_role("link", name="Clear").click()
        page.goto(f"{site}/rejects")
        page.get_by_label("Class").select_option("database")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("table", name="Refused records").get_by_role("link").first.click()
        page.get_by_text("duplicate key").wait_for()
        page.goto(site)
        page.get_by_role("link", name="Reload this page every 30 seconds").click()
        assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "30"
        page.get_by_role("link", name="Stop reloading this page").click()
        assert page.locator("meta[http-equiv=refresh]").count() == 0


def test_what_runs_keeps_itself_up_to_date_and_disturbs_nobody(browser, site, warehouse_url):
    with (
        opened(browser) as page,
        closing(psycopg2.connect(warehouse_url)) as connection,
        connection.cursor() as cursor,
    ):

        def get_on(processed: int) -> None:
            page_site.progress(cursor, 64, processed)
            connection.commit()
            page.wait_for_timeout(500)  # what the server keeps

        page.clock.install()
        page.goto(site)
        part, news = page.locator("#running"), page.locator("#running-news")
        expect(part).to_contain_text("30,000 of 120,000 (25 %)")
        page.get_by_role("link", name="All runs").focus()
        get_on(60_000)
        page.clock.run_for(5000)
        expect(part).to_contain_text("60,000 of 120,000 (50 %)")
        expect(page.get_by_role("link", name="All runs")).to_be_focused()
        assert news.text_content() == ""  # nothing began or ended: nothing is said
        link = part.get_by_role("link", name="hubspot contacts")
        link.focus()
        get_on(90_000)
        page.clock.run_for(5000)
        expect(link).to_be_focused()
        expect(part).to_contain_text("60,000")
        button = page.get_by_role("button", name="Keep this up to date")
        assert button.get_attribute("aria-pressed") == "true"
        button.press("Space")
        page.clock.run_for(10_000)
        expect(part).to_contain_text("60,000")
        page.reload()
        expect(button).to_have_attribute("aria-pressed", "false")
        button.click()
        cursor.execute("UPDATE sync_history SET status = 'success', end_time = now() WHERE id = 64")
        connection.commit()
        page.wait_for_timeout(500)
        page.clock.run_for(5000)
        expect(news).to_have_text("Nothing is running.")
        cursor.execute("UPDATE sync_history SET status = 'running', end_time = NULL WHERE id = 64")
        get_on(30_000)


def test_hostile_names_are_only_text(browser, site):
    with opened(browser) as page:
        for path in ("/", "/runs", "/runs/62", "/runs/63", "/rejects", "/rejects/1"):
            page.goto(site + path)
            assert page.locator("main script, main img, main b").count() == 0
        page.goto(f"{site}/runs/62")
        expect(page.get_by_role("region", name="Error")).to_contain_text(page_site.ERROR)
        page.goto(f"{site}/runs/63")
        assert page.locator("h1").text_content() == f"genius {page_site.HOSTILE}"


def test_a_token_opens_it_in_a_browser(browser, warehouse_url):
    with page_site.served(warehouse_url, WAREHOUSE_PAGE_TOKEN="open sesame") as site:
        lock = {"username": "", "password": "open sesame"}
        with opened(browser, http_credentials=lock) as page:
            page.goto(site)
            expect(page.locator("#running")).to_contain_text("being read")
            assert page.evaluate("getComputedStyle(document.body).margin") == "0px"  # its styles


@pytest.fixture
def report(warehouse_url: str, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    result = CliRunner().invoke(
        main, ["--database", warehouse_url, "report", "--output", str(path)]
    )
    assert result.exit_code == 0, result.output
    return path


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_report_is_whole_without_network(browser, report, viewport):
    with opened(browser, offline=True, viewport=viewport) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        assert asked == [report.as_uri()]
        assert page.evaluate("getComputedStyle(document.body).margin") == "0px"
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        headings = page.get_by_role("heading", level=2).all_text_contents()
        assert headings == [
            "Running", "Health", "The last 30 days", "Latest runs", "API calls today",
            "Refused records", "Data freshness",
        ]  # fmt: skip
        assert page.locator("script, form, [src], link, a:not([href^='#'])").count() == 0
        expect(
            page.get_by_role("table", name="Latest runs").get_by_role("rowheader")
        ).to_have_count(50)
        page.get_by_role("link", name="Tables").click()
        assert page.url == f"{report.as_uri()}#tables-title"
        assert "ada@" not in page.content()


def test_on_paper_it_has_no_buttons_and_hides_nothing(browser, site, report):
    with opened(browser) as page:
        page.emulate_media(media="print")
        page.goto(f"{site}/runs")
        for part in ("nav", "form", ".skip"):
            assert not page.locator(part).first.is_visible()
        page.goto(report.as_uri())
        assert page.get_by_role("table", name="Streams of hubspot").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")
