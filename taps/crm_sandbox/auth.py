"""Bearer tokens and the OAuth refresh that hands them out."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crm_sandbox.clock import Clock

State = Literal["valid", "unknown", "expired", "revoked"]


class Token(msgspec.Struct):
    """One bearer token.

    Attributes:
        kind: ``static`` for keys made by hand, ``oauth`` for those of the token endpoint.
        scopes: What it may read; null is everything.
        expires_ms: When it ends, null is never.
        revoked: Whether it was taken back.
    """

    kind: Literal["static", "oauth"] = "static"
    scopes: frozenset[str] | None = None
    expires_ms: int | None = None
    revoked: bool = False

    def allows(self, scopes: Iterable[str]) -> bool:
        """Say whether the token has at least one of the scopes, or none is needed."""
        wanted = tuple(scopes)
        return self.scopes is None or not wanted or any(one in self.scopes for one in wanted)


class OAuthError(Exception):
    """A token request that is refused; the text is the OAuth error code."""


class Tokens:
    """All tokens of one CRM and its one OAuth client.

    Attributes:
        client_id: The only client known.
        client_secret: Its secret.
        refresh_token: The refresh token that is valid now.
        lifetime_seconds: How long an access token lives.
        rotate: Whether each refresh gives a new refresh token and ends the old one.
    """

    def __init__(self, clock: Clock, static_token: str, lifetime_seconds: int) -> None:
        self._clock = clock
        self._tokens = {static_token: Token()}
        self.client_id = "sandbox-client"
        self.client_secret = "sandbox-secret"  # noqa: S105 - opens nothing but the sandbox
        self.refresh_token = "sandbox-refresh"  # noqa: S105
        self.lifetime_seconds = lifetime_seconds
        self.oauth_scopes: frozenset[str] | None = None
        self.rotate = False

    def add(self, token: str, scopes: Iterable[str] | None) -> None:
        """Add or replace a static token; scopes of None allow everything."""
        self._tokens[token] = Token(scopes=None if scopes is None else frozenset(scopes))

    def revoke(self, token: str | None) -> None:
        """Take one token back, or all where it is None."""
        for name, known in self._tokens.items():
            known.revoked = known.revoked or token in (None, name)

    def find(self, token: str) -> tuple[State, Token]:
        """Return what a presented token is worth."""
        known = self._tokens.get(token)
        if known is None:
            return "unknown", Token(scopes=frozenset())
        if known.revoked:
            return "revoked", known
        if known.expires_ms is not None and known.expires_ms <= self._clock.now_ms():
            return "expired", known
        return "valid", known

    def grant(self, form: Mapping[str, str]) -> str:
        """Answer a token request with a new access token.

        Raises:
            OAuthError: the client, the grant type or the refresh token is wrong.
        """
        if not _same(form.get("client_id"), self.client_id) or not _same(
            form.get("client_secret"), self.client_secret
        ):
            raise OAuthError("invalid_client")
        grant_type = form.get("grant_type")
        if grant_type == "refresh_token":
            if not _same(form.get("refresh_token"), self.refresh_token):
                raise OAuthError("invalid_grant")
            if self.rotate:
                self.refresh_token = f"sandbox-refresh-{secrets.token_hex(8)}"
        elif grant_type != "client_credentials":
            raise OAuthError("unsupported_grant_type")
        token = secrets.token_urlsafe(220)
        expires = self._clock.now_ms() + self.lifetime_seconds * 1000
        self._tokens[token] = Token("oauth", self.oauth_scopes, expires)
        return token


def _same(given: str | None, expected: str) -> bool:
    return hmac.compare_digest((given or "").encode(), expected.encode())
