"""``make demo``: a HubSpot account into Postgres, changed, and again; then a look at the result.

It runs the project's own pipeline by Meltano, but on a database and a state of its own, so that it
neither sees nor touches what the project's real pipelines have stored.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from rich.console import Console
from rich.text import Text
from sqlalchemy.engine import make_url
from warehouse.server import WarehouseUnavailableError, database_url

from crm_sandbox.client import Sandbox, SandboxError
from crm_sandbox.demo_report import Edit, hints, report
from crm_sandbox.hubspot import STATIC_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".warehouse" / "demo"
DATABASE = "demo"
PIPELINE = ("tap-hubspot", "target-warehouse")
PAIRS = '["contacts:companies", "deals:contacts", "deals:companies", "tickets:contacts"]'
LOG_TAIL = 25
PATIENCE = 10.0
"""Seconds that Meltano gets to stop its plugins."""
FOREIGN = ("MELTANO_", "TAP_HUBSPOT_", "TARGET_WAREHOUSE_")
"""Variables of the user's own pipelines, which would come through to the demo's."""


class RunFailed(Exception):
    """A pipeline run ended with an error; the text is the end of its log."""


class Warehouse:
    """The demo's own database on the embedded server."""

    def __init__(self) -> None:
        server = database_url(None)
        self.url = make_url(server).set(database=DATABASE).render_as_string(hide_password=False)
        name = sql.Identifier(DATABASE)
        _execute(server, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        _execute(server, sql.SQL("CREATE DATABASE {}").format(name))

    def rows(
        self, query: str, parameters: Sequence[Any] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the names of a query's columns, and its rows."""
        connection = psycopg2.connect(self.url)
        try:
            cursor = connection.cursor()
            cursor.execute(query, parameters)
            return [column.name for column in cursor.description or ()], cursor.fetchall()
        finally:
            connection.close()


def _execute(url: str, statement: sql.Composable) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


def settings(sandbox: Sandbox, warehouse: Warehouse) -> dict[str, str]:
    """Return the environment of the demo's runs."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    return inherited | {
        "MELTANO_CLI_LOG_FORMAT": "plain",
        "MELTANO_DATABASE_URI": f"sqlite:///{FOLDER / 'meltano.db'}",
        "MELTANO_ENVIRONMENT": "development",
        "TAP_HUBSPOT_ACCESS_TOKEN": STATIC_TOKEN,
        "TAP_HUBSPOT_ASSOCIATION_PAIRS": PAIRS,
        "TAP_HUBSPOT_BASE_URL": sandbox.base_url(),
        "TARGET_WAREHOUSE_SQLALCHEMY_URL": warehouse.url,
    }


def run_pipeline(console: Console, title: str, environment: dict[str, str]) -> None:
    """Run the pipeline once and show which stream it is at.

    Raises:
        RunFailed: Meltano's exit code is not 0.
    """
    log = FOLDER / f"{title.lower().replace(' ', '-')}.log"
    began = time.monotonic()
    meltano = Path(sys.executable).with_name("meltano")
    process = None
    with log.open("w") as file, console.status(f"{title}: Meltano starts") as status:
        try:
            with _signals_held():  # or one comes between the process and its handle
                # Without the user's .env; in a group of its own, so that all of it can be stopped.
                process = subprocess.Popen(  # noqa: S603 - our own pipeline
                    [meltano, "--env-file", FOLDER / "none.env", "run", *PIPELINE],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
            for line in process.stdout or ():
                file.write(line)
                if found := re.search(
                    r"Starting hubspot (\w+) sync|Installing \w+ '([\w-]+)'", line
                ):
                    status.update(f"{title}: {found[1] or 'installing ' + found[2]}")
            process.wait()
        except BaseException:
            if process is not None:
                _stop_group(process)
            raise
    if process.returncode:
        raise RunFailed("\n".join(log.read_text().splitlines()[-LOG_TAIL:]))
    seconds = time.monotonic() - began
    console.print(f"[green]✓[/] {title}: {seconds:.0f} s  [dim]{log.relative_to(ROOT)}[/]")


@contextmanager
def _signals_held() -> Iterator[None]:
    came: list[int] = []
    handlers = {
        one: signal.signal(one, lambda number, _: came.append(number))
        for one in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
    for number in came:
        signal.raise_signal(number)


def _stop_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(PATIENCE)


def change(sandbox: Sandbox) -> list[Edit]:
    """Change some records of the account and return what was done."""
    contacts = [record["id"] for record in sandbox.command("records", record_type="contacts")]
    link = sandbox.command("associations", from_type="deals", to_type="contacts")[0]
    deal, before = link["from_id"], link["to_id"]
    changed, archived, after = [one for one in contacts if one != before][:3]
    values = {"firstname": "Ada", "lastname": "Lovelace", "email": "ada@example.com"}
    amount = "1234567890123.45"
    sandbox.command(
        "update", record_type="contacts", record_id=changed, properties={"lastname": "Byron"}
    )
    (added,) = sandbox.command("create", record_type="contacts", properties=values)
    sandbox.command("archive", record_type="contacts", ids=[archived])
    sandbox.command("update", record_type="deals", record_id=deal, properties={"amount": amount})
    pair = {"from_type": "deals", "from_id": deal, "to_type": "contacts"}
    sandbox.command("dissociate", **pair, to_id=before)
    sandbox.command("associate", **pair, to_id=after)
    contact = "SELECT {} FROM hubspot.contacts WHERE id = %s"
    return [
        Edit(f"contact {changed}: last name", "Byron", contact.format("lastname"), (changed,)),
        Edit(f"contact {added}: created", values["email"], contact.format("email"), (added,)),
        Edit(
            f"contact {archived}: archived",
            "deleted",
            contact.format("CASE WHEN _sdc_deleted_at IS NULL THEN 'live' ELSE 'deleted' END"),
            (archived,),
        ),
        Edit(
            f"deal {deal}: amount",
            amount,
            "SELECT amount::text FROM hubspot.deals WHERE id = %s",
            (deal,),
        ),
        Edit(
            f"deal {deal}: contact, was {before}",
            after,
            "SELECT string_agg(to_id, ', ' ORDER BY to_id) FROM hubspot.associations"
            " WHERE (from_type, to_type) = ('deals', 'contacts') AND from_id = %s",
            (deal,),
        ),
    ]


def main() -> None:
    """Run the demo; exit code 1 when a run failed or a change did not arrive."""
    signal.signal(signal.SIGTERM, _stop)
    os.chdir(ROOT)
    os.environ["MELTANO_PROJECT_ROOT"] = str(ROOT)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "meltano.db").unlink(missing_ok=True)
    console = Console()
    try:
        with console.status("Starting Postgres"):
            warehouse = Warehouse()
        with Sandbox() as sandbox:
            console.print(f"[green]✓[/] A HubSpot account at {sandbox.base_url()}", highlight=False)
            environment = settings(sandbox, warehouse)
            run_pipeline(console, "First run", environment)
            _, ((newest,),) = warehouse.rows("SELECT max(id) FROM sync_history")
            edits = change(sandbox)
            console.print(f"[green]✓[/] {len(edits)} changes in the account")
            run_pipeline(console, "Second run", environment)
        complete = report(console, warehouse.rows, edits, newest)
    except (RunFailed, SandboxError, WarehouseUnavailableError) as error:
        console.print(Text.assemble(("✗ The demo failed: ", "red"), str(error)), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("Stopped.")
        sys.exit(130)
    hints(console, DATABASE)
    sys.exit(0 if complete else 1)


def _stop(signum: int, _: FrameType | None) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
