"""Files at an HTTP(S) address, asked for again only when they changed (RFC 9110, section 13)."""

from __future__ import annotations

import io
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from tapkit import dates
from tapkit.auth import Auth, BearerAuth
from tapkit.client import Client
from tapkit.errors import ConfigValidationError, FileProblem, NotFound, RetriableAPIError
from tapkit.files.places import BUFFER, FileInfo, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tapkit.files.places import FileOptions, Files

__all__ = ["Download", "WebPlace", "info_of", "opened"]

REDIRECTIONS: Final = 5
"""How often one request is sent on."""


class Unsigned(Auth):
    """No credentials, or a name and a password."""

    def __init__(self, username: str | None = None, password: str | None = None) -> None:
        self._basic = HTTPBasicAuth(username, password or "") if username else None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return self._basic(request) if self._basic else request


class WebClient(Client):
    """Gives redirections to the place, which knows where its credentials may go."""

    def classify(self, response: requests.Response) -> Exception | None:
        return None if response.is_redirect else super().classify(response)


class WebPlace(Place):
    """One file at an address."""

    def __init__(self, path: str, files: Files) -> None:
        super().__init__(path, files)
        self._parts = urlsplit(path)
        if not self._parts.hostname:
            what = f"'{self.shown}' is not a web address."
            raise ConfigValidationError(what, errors=[what])
        # A query may carry a signature, and what stands before the host a password.
        host = self._parts.netloc.rpartition("@")[2]
        self._base = f"{self._parts.scheme}://{host}"
        self._name = f"{self._base}{self._parts.path}"
        self.variant = self._parts.query
        self._client = files.clients.setdefault(
            f"{self._parts.scheme}://{self._parts.netloc}",
            WebClient(self._base, self._auth(), max_tries=files.options.max_tries),
        )

    def find(self, known: Mapping[str, str | None]) -> list[FileInfo]:
        version = known.get(self._name)
        if version is None:
            return [FileInfo(self._name)]
        response = self._get(conditions(version))
        response.close()
        if response.status_code == requests.codes.not_modified:
            return [FileInfo(self._name, version)]
        return [info_of(self._name, response)]

    def open(self, file: FileInfo) -> tuple[BinaryIO, FileInfo]:
        response = self._get({})
        return opened(file.name, response), info_of(file.name, response)

    def _get(self, headers: Mapping[str, str]) -> requests.Response:
        wanted = {"Accept": "*/*", "Accept-Encoding": "identity", **headers}
        client, url = self._client, self._parts
        try:
            for _ in range(REDIRECTIONS + 1):
                response = client.open(url.path or "/", url.query, headers=wanted)
                if not response.is_redirect:
                    return response
                response.close()
                url = urlsplit(urljoin(response.url, response.headers["Location"]))
                client = self._client_at(f"{url.scheme}://{url.netloc.rpartition('@')[2]}")
        except NotFound as error:
            raise FileProblem(f"There is no file {self._name}") from error
        raise FileProblem(f"{self._name} is redirected more than {REDIRECTIONS} times")

    def _client_at(self, base: str) -> Client:
        """The client for a host that an answer names; credentials stay with their own host."""
        if base == self._base:
            return self._client
        session = requests.Session()
        is_other = session.should_strip_auth(self._base, base)  # type: ignore[no-untyped-call]
        auth = Unsigned() if is_other else self._auth()
        return self.files.clients.setdefault(
            f"{self._parts.netloc} → {base}",
            WebClient(base, auth, max_tries=self.files.options.max_tries),
        )

    def _auth(self) -> Auth:
        options: FileOptions = self.files.options
        if self._parts.username:
            return Unsigned(unquote(self._parts.username), unquote(self._parts.password or ""))
        if options.access_token:
            return BearerAuth(options.access_token)
        return Unsigned(options.username, options.password)


class Download(io.RawIOBase):
    """The body of a response; one that is shorter than announced is an error.

    Raises:
        RetriableAPIError: While reading, when the connection breaks.
    """

    def __init__(self, name: str, response: requests.Response) -> None:
        self._name, self._response = name, response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._response.raw.read(len(buffer), decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            msg = f"The download of {self._name} broke off ({type(error).__name__})"
            raise RetriableAPIError(msg) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._response.close()
        super().close()


def opened(name: str, response: requests.Response) -> BinaryIO:
    """The body of a response as a stream."""
    return cast("BinaryIO", io.BufferedReader(Download(name, response), BUFFER))


def conditions(version: str) -> dict[str, str]:
    """The headers that ask for a file only if it is not of that version any more."""
    if version.startswith("modified "):
        return {"If-Modified-Since": version.removeprefix("modified ")}
    return {"If-None-Match": version}


def info_of(name: str, response: requests.Response) -> FileInfo:
    """What the headers of a response tell about a file."""
    etag, moment = response.headers.get("ETag"), response.headers.get("Last-Modified")
    try:
        modified = dates.text(parsedate_to_datetime(moment)) if moment else None
    except (TypeError, ValueError):
        modified = None
    # Within one second a file may change twice (RFC 9110, section 8.8.2.2).
    is_sure = moment != response.headers.get("Date")
    version = etag or (f"modified {moment}" if moment and is_sure else None)
    length = response.headers.get("Content-Length", "")
    return FileInfo(name, version, modified, int(length) if length.isdecimal() else None)
