"""Alerts reach a real HTTP server and a real mail server, once per change."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from warehouse.delivery import DeliveryError, Mail, Webhook, channels

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the server's, of plain TLS


class Slack:
    """Takes messages at a secret address; `answers` is what it says, `texts` what it was told."""

    def __init__(self) -> None:
        self.answer, self.pause = 200, 0.0
        self.texts: list[str] = []
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sleep(slack.pause)
                assert (self.path, self.headers["Content-Type"]) == (
                    "/services/secret", "application/json"
                )  # fmt: skip
                assert body.keys() == {"text"}
                if slack.answer == 200:
                    slack.texts.append(body["text"])
                self.send_response(slack.answer)
                self.send_header("Content-Length", "0")
                if slack.answer == 302:
                    self.send_header("Location", "/services/secret")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/secret"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def new(self) -> list[str]:
        texts, self.texts[:] = [*self.texts], []
        return texts


@pytest.fixture
def slack(monkeypatch, tmp_path) -> Iterator[Slack]:
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    slack = Slack()
    monkeypatch.setenv("WAREHOUSE_ALERT_WEBHOOK", slack.url)
    yield slack
    slack.server.shutdown()
    slack.server.server_close()


class Inbox:
    """What a mail server has taken: (from, to, subject, text)."""

    def __init__(self) -> None:
        self.mails: list[tuple[Any, ...]] = []

    async def handle_DATA(  # noqa: N802
        self,
        server: Any,  # noqa: ARG002
        session: Any,  # noqa: ARG002
        envelope: Any,
    ) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert mail["From"] == envelope.mail_from
        assert mail["To"] == ", ".join(envelope.rcpt_tos)
        assert mail["Date"]
        assert mail["Message-ID"]
        self.mails.append(
            (mail["From"], mail["To"], mail["Subject"], mail.get_content().replace("\r\n", "\n"))
        )
        return "250 taken"


def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.login == b"me" and data.password == b"p@ss/word", handled=False)


@pytest.fixture(scope="module")
def certificate() -> Any:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return SimpleNamespace(authority=authority, context=context)


@pytest.fixture
def mail_server(certificate, monkeypatch, tmp_path) -> Iterator[Any]:
    """Starts mail servers: with TLS or STARTTLS, which they demand, and a login; or plain."""
    started = []
    certificate.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))

    def start(kind: str) -> tuple[Inbox, str]:
        inbox = Inbox()
        secured = {"auth_required": True, "authenticator": login}
        options: dict[str, Any] = {
            "starttls": {"tls_context": certificate.context, "require_starttls": True} | secured,
            "tls": {"ssl_context": certificate.context, "auth_require_tls": False} | secured,
            "plain": {},
        }[kind]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = Controller(inbox, hostname="127.0.0.1", port=port, **options)
        server.start()
        started.append(server)
        return inbox, f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop()


FAILING = (
    "hubspot contacts: 0 of 1 runs that ended in the last 24 hours succeeded (0%); at least 80%"
    " should."
)


def test_only_changes_are_told(plant, command, slack, wh):
    plant("success", 2)
    assert command("health", "--notify").exit_code == 0
    assert slack.new() == []  # nothing has changed

    plant("failed", 1, sync_type="deals")
    assert command("health", "--notify").exit_code == 1
    deals = FAILING.replace("contacts", "deals")
    assert slack.new() == [f"*crm-warehouse is unhealthy: 1 problem (1 new)*\nNew: {deals}"]
    assert command("health", "--notify").exit_code == 1
    assert slack.new() == []

    for _ in range(2):
        plant("failed", 0.5)
    plant("success", 0.1, sync_type="deals")
    wh.query("DELETE FROM sync_history WHERE sync_type = 'deals' AND status = 'failed'")
    assert command("health", "--notify").exit_code == 1
    contacts = FAILING.replace("0 of 1", "1 of 3").replace("0%);", "33%);")
    assert slack.new() == [
        (
            "*crm-warehouse is unhealthy: 1 problem (1 new, 1 solved)*\n"
            f"New: {contacts}\nSolved: {deals}"
        )
    ]

    # The sentence changes, the problem does not.
    plant("failed", 0.4)
    assert command("health", "--notify").exit_code == 1
    assert slack.new() == []
    wh.query("DELETE FROM sync_history WHERE status = 'failed'")
    assert command("health", "--notify").exit_code == 0
    solved = FAILING.replace("0 of 1", "1 of 4").replace("0%);", "25%);")
    assert slack.new() == [f"*crm-warehouse is healthy again*\nSolved: {solved}"]
    assert command("health", "--notify").exit_code == 0
    assert slack.new() == []
    rows = wh.query(
        "SELECT kind, crm_source, sync_type, resolved > opened AS resolved, told_opened,"
        " told_resolved FROM sync_alerts ORDER BY id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("success_share", "hubspot", "deals", True, ["webhook"], ["webhook"]),
        ("success_share", "hubspot", "contacts", True, ["webhook"], ["webhook"]),
    ]


def test_a_problem_that_comes_back_is_told_again(plant, command, slack, wh):
    for _ in range(2):
        failed = plant("failed", 1)
        command("health", "--notify")
        assert len(slack.new()) == 1
        wh.query("UPDATE sync_history SET status = 'success' WHERE id = %s", failed)
        command("health", "--notify")
        assert len(slack.new()) == 1


def test_what_was_not_asked_about_stays_as_it_was(plant, command, slack):
    plant("failed", 1)
    plant("failed", 1, crm_source="callrail", sync_type="calls")
    assert command("health", "callrail", "--notify").exit_code == 1
    (text,) = slack.new()
    assert "callrail calls" in text
    assert "hubspot" not in text
    command("health", "--notify")
    (text,) = slack.new()
    assert text.startswith("*crm-warehouse is unhealthy: 2 problems (1 new)*\nNew: hubspot")
    assert text.endswith("\nAs before: 1 more; `warehouse health` shows all.")
    assert command("health", "hubspot", "--notify").exit_code == 1
    assert slack.new() == []


@pytest.mark.parametrize("answer", [302, 404, 500])
def test_what_was_not_taken_is_told_at_the_next_call(plant, command, slack, answer):
    plant("failed", 1)
    slack.answer = answer
    result = command("health", "--notify")
    assert result.exit_code == 3
    assert result.output.endswith(
        f"Error: The webhook of WAREHOUSE_ALERT_WEBHOOK answered {answer}. It is told at the next"
        " call.\n"
    )
    assert FAILING in " ".join(result.output.split())
    slack.answer = 200
    assert command("health", "--notify").exit_code == 1
    assert len(slack.new()) == 1


def test_a_webhook_that_is_not_there_stays_secret(plant, command, slack, monkeypatch):
    plant("failed", 1)
    monkeypatch.setenv("WAREHOUSE_ALERT_WEBHOOK", "http://127.0.0.1:1/services/secret")
    result = command("health", "--notify", "--json")
    assert result.exit_code == 3
    assert "cannot be reached: ConnectionError. It is told at the next call." in result.output
    assert "secret" not in result.output
    assert json.loads(result.output.splitlines()[0])["ok"] is False


def test_what_nobody_heard_of_need_not_be_taken_back(plant, command, slack, wh):
    plant("failed", 1)
    slack.answer = 500
    command("health", "--notify")
    wh.query("UPDATE sync_history SET status = 'success'")
    slack.answer = 200
    assert command("health", "--notify").exit_code == 0
    assert slack.new() == []


def test_an_end_that_was_not_taken_is_told_at_the_next_call(plant, command, slack, wh):
    plant("failed", 1)
    command("health", "--notify")
    assert len(slack.new()) == 1
    wh.query("UPDATE sync_history SET status = 'success'")
    slack.answer = 500
    assert command("health", "--notify").exit_code == 3
    slack.answer = 200
    for heard in (1, 0):
        assert command("health", "--notify").exit_code == 0
        assert len(slack.new()) == heard


def test_two_calls_at_once_tell_it_once(plant, slack, wh):
    plant("failed", 1)
    slack.pause = 0.5
    executable = Path(sys.executable).with_name("warehouse")
    line = [executable, "--database", wh.url, "health", "--notify"]
    processes = [subprocess.Popen(line, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [1, 1]
    assert len(slack.new()) == 1


def test_names_do_not_become_markup(plant, command, slack):
    plant("failed", 1, sync_type="a<b&c>")
    command("health", "--notify")
    assert "hubspot a&lt;b&amp;c&gt;: 0 of 1" in slack.new()[0]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("starttls", "smtp://me:p%40ss%2Fword@{}"),
        ("tls", "smtps://me:p%40ss%2Fword@{}"),
        ("plain", "smtp://{}?starttls=never"),
    ],
)
def test_mail_is_sent(plant, command, mail_server, monkeypatch, kind, url):
    inbox, address = mail_server(kind)
    monkeypatch.setenv("WAREHOUSE_ALERT_SMTP", url.format(address))
    monkeypatch.setenv("WAREHOUSE_ALERT_FROM", "warehouse@example.com")
    monkeypatch.setenv("WAREHOUSE_ALERT_TO", "ops@example.com, boss@example.com")
    plant("failed", 1, sync_type="verträge")
    assert command("health", "--notify").exit_code == 1
    assert command("health", "--notify").exit_code == 1
    assert inbox.mails == [
        ("warehouse@example.com", "ops@example.com, boss@example.com",
         "crm-warehouse is unhealthy: 1 problem (1 new)",
         f"New: {FAILING.replace('contacts', 'verträge')}\n"),
    ]  # fmt: skip


def test_each_channel_is_told_once(plant, command, slack, mail_server, monkeypatch):
    inbox, address = mail_server("plain")
    url = f"smtp://{address}?starttls=never&from=a@example.com&to=b@example.com"
    monkeypatch.setenv("WAREHOUSE_ALERT_SMTP", url)
    slack.answer = 500
    plant("failed", 1)
    assert command("health", "--notify").exit_code == 3
    assert (len(slack.new()), len(inbox.mails)) == (0, 1)
    slack.answer = 200
    assert command("health", "--notify").exit_code == 1
    assert (len(slack.new()), len(inbox.mails)) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "url", "said"),
    [
        ("starttls", "smtp://me:hidden@{}", "refuses the login."),
        ("plain", "smtp://me:hidden@{}", "offers no STARTTLS"),
        ("plain", "smtp://me:hidden@{}?starttls=never", "no way to log in"),
        ("plain", "smtps://me:hidden@{}", "does not take the message: SSLError"),
    ],
)
def test_mail_that_cannot_be_sent(mail_server, kind, url, said):
    inbox, address = mail_server(kind)
    mail = Mail.of(url.format(address), "a@example.com", "b@example.com")
    with pytest.raises(DeliveryError) as error:
        mail.send("subject", "body")
    assert said in str(error.value)
    assert "hidden" not in f"{error.value}{mail}"
    assert inbox.mails == []


def test_a_certificate_that_nobody_knows_is_refused(mail_server, monkeypatch, tmp_path):
    inbox, address = mail_server("tls")
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        Mail.of(f"smtps://{address}", "a@example.com", "b@example.com").send("subject", "body")
    assert inbox.mails == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "There is nobody to tell: set WAREHOUSE_ALERT_WEBHOOK or WAREHOUSE_ALERT_SMTP."),
        ({"WEBHOOK": "hooks.example.com/hidden"}, "is not the address of a webhook"),
        ({"WEBHOOK": "https://[hidden"}, "WAREHOUSE_ALERT_WEBHOOK cannot be read"),
        ({"SMTP": "https://hidden@mail"}, "is not the address of a mail server"),
        ({"SMTP": "smtp://me:hidden@mail:port", "FROM": "a", "TO": "b"}, "cannot be read"),
        ({"SMTP": "smtp://me:hidden@mail"}, "Nobody writes, or to nobody"),
        ({"SMTP": "smtp://mail", "FROM": "a", "TO": " , "}, "Nobody writes, or to nobody"),
        ({"SMTP": "smtp://mail?starttls=maybe", "FROM": "a", "TO": "b"}, "always or never"),
    ],
)
def test_wrong_settings_are_named(command, monkeypatch, tmp_path, variables, said):
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(f"WAREHOUSE_ALERT_{name}", value)
    result = command("health", "--notify")
    assert result.exit_code == 3
    assert said in result.output
    assert "hidden" not in result.output


def test_ports_have_their_usual_numbers():
    both = {"WAREHOUSE_ALERT_SMTP": "smtps://mail?from=a%20b&to=b+crm,c",
            "WAREHOUSE_ALERT_WEBHOOK": "https://h/x"}  # fmt: skip
    assert channels(both) == [Webhook("https://h/x"), Mail("mail", 465, "a b", ("b+crm", "c"),
                                                         encryption="tls")]  # fmt: skip
    assert Mail.of("smtp://mail", "a", "b").port == 587
