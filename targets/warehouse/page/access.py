"""Who may see the page, and with which headers every answer leaves."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AccessError", "Credentials", "Guard", "is_loopback"]

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self';"
    " img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN: Final = "/healthz"


class AccessError(Exception):
    """The page must not be served like this; the message says what to set."""


@dataclass(frozen=True)
class Credentials:
    """What opens the page: a token, or a user with a password, or either where both are set."""

    token: str | None = None
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Credentials:
        """Return what WAREHOUSE_PAGE_TOKEN, WAREHOUSE_PAGE_USER and _PASSWORD say.

        Raises:
            AccessError: A user without a password, or the other way round.
        """
        found = cls(
            token=variables.get("WAREHOUSE_PAGE_TOKEN") or None,
            user=variables.get("WAREHOUSE_PAGE_USER") or None,
            password=variables.get("WAREHOUSE_PAGE_PASSWORD") or None,
        )
        if bool(found.user) != bool(found.password):
            raise AccessError("Set WAREHOUSE_PAGE_USER and WAREHOUSE_PAGE_PASSWORD, both of them.")
        return found

    def __bool__(self) -> bool:
        return bool(self.token or self.user)

    def admit(self, authorization: str) -> bool:
        """Tell whether a request with this header may pass.

        The token comes as ``Bearer``, or as the password of any user: browsers can ask for that.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return _same(value.strip().encode("latin-1"), self.token)  # as headers are decoded
        if scheme.lower() != "basic":
            return False
        try:
            pair = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        user, _, password = pair.partition(b":")
        known = _same(user, self.user) & _same(password, self.password)
        return known | _same(password, self.token)


def _same(given: bytes, wanted: str | None) -> bool:
    """Compare in a time that says nothing of where they differ."""
    return hmac.compare_digest(given, (wanted or "").encode()) and wanted is not None


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    Raises:
        AccessError: It is no address of this machine at all.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AccessError(f"--host {host} is no address of this machine.") from None
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)


class Guard:
    """Stands before the application: methods, host names, credentials, headers."""

    def __init__(
        self, app: ASGIApp, credentials: Credentials, hosts: Collection[str] | None
    ) -> None:
        """Stand before an application.

        Args:
            app: The application.
            credentials: Asked for unless they are empty, but never for /healthz.
            hosts: Names by which the page may be called beside those of this machine; None: any.
                Without it a web site could have its own name point here, and read along.
        """
        self.app, self.credentials = app, credentials
        self.hosts = None if hosts is None else _LOCAL | {name.lower() for name in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("Only GET and HEAD\n", 405, {"Allow": "GET, HEAD"})
        if self.hosts is not None and _name(headers.get("host", "")) not in self.hosts:
            return PlainTextResponse("This host name is not served here; see --allow-host\n", 400)
        if scope["path"] == _OPEN or not self.credentials:
            return None
        if self.credentials.admit(headers.get("authorization", "")):
            return None
        challenge = {"WWW-Authenticate": 'Basic realm="warehouse", charset="UTF-8"'}
        return PlainTextResponse("Credentials are needed\n", 401, challenge)


def _name(host: str) -> str | None:
    """Return the name in a Host header, without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
