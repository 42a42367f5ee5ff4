"""How requests are signed: `requests` auth objects that can also renew themselves."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import requests
from requests.auth import AuthBase

from tapkit.errors import RetriableAPIError, Unauthorized
from tapkit.refresh_tokens import RefreshToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Auth", "BearerAuth", "OAuthRefreshAuth"]

EXPIRY_MARGIN = 60.0
"""Seconds before its end at which a token is renewed, so that none expires on the way."""


class Auth(AuthBase):
    """Signs requests; `renew` is asked once after a 401."""

    def renew(self, refused: str | None) -> bool:  # noqa: ARG002
        """Get new credentials if that is possible at all; tell whether there are new ones.

        Args:
            refused: The Authorization header that the API did not accept.
        """
        return False


class BearerAuth(Auth):
    """A token that never changes, in the Authorization header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class OAuthRefreshAuth(Auth):
    """A bearer token gained from a refresh token (RFC 6749, section 6).

    Parameters travel in the body. Where the answer carries another refresh token, that one is
    used from then on; `tapkit.refresh_tokens` says how it can outlive the process.

    Args:
        url: The token endpoint.
        client_id: The app's id.
        client_secret: The app's secret.
        refresh_token: The long-lived token.
        timeout: Seconds to wait for the token endpoint.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        timeout: float = 60.0,
    ) -> None:
        self._url = url
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._refresh_token = RefreshToken(refresh_token)
        self._timeout = timeout
        self._token = ""
        self._expires_at = 0.0
        self._lock = threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with self._lock:
            if time.monotonic() >= self._expires_at:
                self._fetch()
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def renew(self, refused: str | None) -> bool:
        with self._lock:
            # Another thread may have renewed the token while this request was on its way.
            if refused in {None, f"Bearer {self._token}"}:
                self._fetch()
        return True

    def _fetch(self) -> None:
        """Trade the refresh token for an access token.

        Raises:
            Unauthorized: The endpoint refuses the refresh token or the client.
            RetriableAPIError: The endpoint is busy or broken.
        """
        with self._refresh_token.turn() as keep:
            self._accept(self._trade(self._refresh_token.value), keep)

    def _trade(self, refresh_token: str) -> requests.Response:
        response = requests.post(
            self._url,
            data={
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
                **self._client,
            },
            timeout=self._timeout,
            allow_redirects=False,  # the secrets are for this host only
        )
        if response.status_code == requests.codes.too_many_requests or response.status_code >= (
            requests.codes.internal_server_error
        ):
            raise RetriableAPIError(f"Token endpoint answered {response.status_code}", response)
        if response.status_code != requests.codes.ok:
            msg = (
                f"The token endpoint refused the refresh token ({response.status_code}). Check the "
                "settings client_id, client_secret and refresh_token."
            )
            raise Unauthorized(msg)
        return response

    def _accept(self, response: requests.Response, keep: Callable[[str], None]) -> None:
        try:
            answer: Mapping[str, str] = response.json()
            if following := answer.get("refresh_token"):
                keep(following)  # before all else: the old one may be of no use any more
            self._token = answer["access_token"]
            lifetime = float(answer.get("expires_in") or 0)
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise RetriableAPIError("Token endpoint sent no token", response) from error
        # Without a lifetime the token is used until the API refuses it.
        self._expires_at = (
            time.monotonic() + max(lifetime - EXPIRY_MARGIN, lifetime / 2)
            if lifetime
            else float("inf")
        )
