"""How alerts reach people: a webhook that takes Slack's JSON, and mail.

    WAREHOUSE_ALERT_WEBHOOK=https://hooks.slack.com/services/…
    WAREHOUSE_ALERT_SMTP=smtp://user:password@mail.example.com:587?from=…&to=…

smtps:// speaks TLS from the start (port 465), smtp:// begins it by STARTTLS (port 587) and does not
go on without, unless the address ends in starttls=never. Errors never quote an address, which may
hold a secret.
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Channel", "DeliveryError", "Mail", "Webhook", "channels"]

WEBHOOK: Final = "WAREHOUSE_ALERT_WEBHOOK"
SMTP: Final = "WAREHOUSE_ALERT_SMTP"
FROM: Final = "WAREHOUSE_ALERT_FROM"
TO: Final = "WAREHOUSE_ALERT_TO"

_SECONDS: Final = 20
_PORTS: Final = {"smtp": 587, "smtps": 465}
_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack wants escaped."""


class DeliveryError(Exception):
    """A message could not be sent, or the settings name no place to send it to; says why."""


class Channel(Protocol):
    """Where messages go; `name` is what sync_alerts notes."""

    @property
    def name(self) -> str:
        """Short name."""

    def send(self, subject: str, body: str) -> None:
        """Deliver a message.

        Raises:
            DeliveryError: It was not taken.
        """


def channels(variables: Mapping[str, str]) -> list[Channel]:
    """Return the channels that the variables name.

    Raises:
        DeliveryError: They name none, or one of them wrongly.
    """
    found: list[Channel] = []
    if url := variables.get(WEBHOOK):
        found.append(Webhook.of(url))
    if url := variables.get(SMTP):
        found.append(Mail.of(url, variables.get(FROM), variables.get(TO)))
    if not found:
        raise DeliveryError(f"There is nobody to tell: set {WEBHOOK} or {SMTP}.")
    return found


@dataclass(frozen=True)
class Webhook:
    """An address that takes ``{"text": …}``, as Slack, Mattermost, Discord (…/slack) and others."""

    url: str = field(repr=False)
    name: str = "webhook"

    @classmethod
    def of(cls, url: str) -> Webhook:
        """Check the address.

        Raises:
            DeliveryError: It is none.
        """
        parts = _split(url, WEBHOOK)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DeliveryError(f"{WEBHOOK} is not the address of a webhook; write https://….")
        return cls(url)

    def send(self, subject: str, body: str) -> None:
        text = f"*{subject.translate(_TEXT)}*\n{body.translate(_TEXT)}"
        try:
            answer = requests.post(
                self.url, json={"text": text}, timeout=_SECONDS, allow_redirects=False
            )
        except (requests.RequestException, ValueError) as error:  # which quote the address
            raise DeliveryError(
                f"The webhook of {WEBHOOK} cannot be reached: {type(error).__name__}."
            ) from None
        if answer.is_redirect or not answer.ok:
            raise DeliveryError(f"The webhook of {WEBHOOK} answered {answer.status_code}.")


@dataclass(frozen=True)
class Mail:
    """A mail server, and who writes to whom."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    encryption: str = "starttls"
    """One of tls, starttls and none."""
    name: str = "mail"

    @classmethod
    def of(cls, url: str, sender: str | None = None, recipients: str | None = None) -> Mail:
        """Read an address.

        Args:
            url: ``smtp[s]://user:password@host:port?from=…&to=…,…&starttls=always|never``.
            sender: Who writes, unless the address says so.
            recipients: To whom, separated by commas, unless the address says so.

        Raises:
            DeliveryError: It is none, or nobody writes, or to nobody.
        """
        parts = _split(url, SMTP)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise DeliveryError(
                f"{SMTP} is not the address of a mail server; write"
                " smtp://user:password@host:587, or smtps:// for TLS from the start."
            )
        query = parts.query.replace("+", "%2B")  # as in me+crm@example.com
        said = {name: values[-1] for name, values in parse_qs(query).items()}
        sender = said.get("from", sender)
        people = [one.strip() for one in (said.get("to", recipients) or "").split(",")]
        if not sender or not any(people):
            raise DeliveryError(
                f"Nobody writes, or to nobody: set {FROM} and {TO}, or end {SMTP} in ?from=…&to=…."
            )
        starttls = said.get("starttls", "always")
        if starttls not in {"always", "never"}:
            raise DeliveryError(f"starttls in {SMTP} is either always or never.")
        plain = "none" if starttls == "never" else "starttls"
        return cls(
            parts.hostname,
            parts.port or _PORTS[parts.scheme],
            sender,
            tuple(filter(None, people)),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            "tls" if parts.scheme == "smtps" else plain,
        )

    def send(self, subject: str, body: str) -> None:
        try:
            message = EmailMessage()
            message["Subject"] = subject
            message["From"] = self.sender
            message["To"] = ", ".join(self.recipients)
            message["Date"] = format_datetime(localtime())
            message["Message-ID"] = make_msgid(domain="crm-warehouse.invalid")
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(body)
            with self._server() as server:
                server.send_message(message)
        except smtplib.SMTPNotSupportedError:
            raise DeliveryError(
                f"The mail server of {SMTP} offers no STARTTLS, or no way to log in. Use smtps://,"
                " or end the address in starttls=never if its network is to be trusted."
            ) from None
        except smtplib.SMTPAuthenticationError:
            raise DeliveryError(f"The mail server of {SMTP} refuses the login.") from None
        except smtplib.SMTPResponseException as error:
            raise DeliveryError(f"The mail server of {SMTP} answered {error.smtp_code}.") from None
        except (smtplib.SMTPException, MessageError, OSError, ValueError) as error:
            raise DeliveryError(
                f"The mail server of {SMTP} does not take the message: {type(error).__name__}."
            ) from None

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        server = (
            smtplib.SMTP_SSL(self.host, self.port, timeout=_SECONDS, context=context)
            if self.encryption == "tls"
            else smtplib.SMTP(self.host, self.port, timeout=_SECONDS)
        )
        with server:
            if self.encryption == "starttls":
                server.starttls(context=context)
            if self.username:
                server.login(self.username, self.password)
            yield server


def _split(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # which may quote the password
        raise DeliveryError(f"{name} cannot be read as an address.") from None
    return parts
