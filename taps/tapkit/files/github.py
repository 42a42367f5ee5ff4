"""Files in a GitHub repository: `github://owner/repo/path?ref=branch`, patterns included.

Source: GitHub's "REST API endpoints for repository contents". What is special:

- Only the raw media type gives files over 1 MB; it gives them up to 100 MB.
- A listing of a folder has 1,000 entries at most and does not say whether there are more.
- 404 stands for a file that the token may not see, too. Without a token there are 60 requests an
  hour; public files can then be had from another host, which takes no token.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from glob import has_magic
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import parse_qs, quote

import requests

from tapkit import dates
from tapkit.auth import BearerAuth
from tapkit.client import Client, retry_after
from tapkit.errors import (
    AccessDenied,
    ConfigValidationError,
    FatalAPIError,
    FileProblem,
    NotFound,
    RateLimited,
    RetriableAPIError,
    Unauthorized,
)
from tapkit.files.places import FileInfo, Place
from tapkit.files.web import Unsigned, conditions, info_of, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tapkit.files.places import Files

__all__ = ["GitHubPlace"]

RAW: Final = {"Accept": "application/vnd.github.v3.raw", "Accept-Encoding": "identity"}
LISTING: Final = {"Accept": "application/vnd.github.v3+json"}
LISTING_LIMIT: Final = 1000


class GitHubClient(Client):
    """Knows that a used-up limit is told by 403, with the time at which it is filled again."""

    def classify(self, response: requests.Response) -> Exception | None:
        error = super().classify(response)
        if not isinstance(error, AccessDenied):
            return error
        wait = retry_after(response)
        if wait is None and response.headers.get("x-ratelimit-remaining") == "0":
            reset = response.headers.get("x-ratelimit-reset", "")
            seconds = int(reset) - dates.now().timestamp() if reset.isdecimal() else 0.0
            wait = max(seconds, 0.0)
        return error if wait is None else RateLimited("Rate limited (403)", response, wait=wait)


class GitHubPlace(Place):
    """A file of a repository, or those that match a pattern."""

    def __init__(self, path: str, files: Files) -> None:
        super().__init__(path, files)
        rest, _, query = path.partition("://")[2].partition("?ref=")
        owner, _, rest = rest.partition("/")
        repo, _, self._pattern = rest.partition("/")
        if not (owner and repo and self._pattern):
            what = f"'{path}' must have the form github://owner/repo/path?ref=branch."
            raise ConfigValidationError(what, errors=[what])
        self.variant = self._ref = parse_qs(f"ref={query}").get("ref", [""])[0]
        self._repo = f"{owner}/{repo}"
        options = files.options
        self._token = options.github_token
        self._client = files.clients.setdefault(
            "github",
            GitHubClient(
                options.github_url,
                BearerAuth(self._token) if self._token else Unsigned(),
                max_tries=options.max_tries,
                rate_limit_patience=900.0 if self._token else 0.0,
            ),
        )
        self._raw = files.clients.setdefault(
            "github raw", Client(options.github_raw_url, Unsigned(), max_tries=options.max_tries)
        )

    def find(self, known: Mapping[str, str | None]) -> list[FileInfo]:
        if has_magic(self._pattern):
            return [
                FileInfo(
                    self._name(entry["path"]), entry["sha"], None, entry["size"], entry["path"]
                )
                for entry in self._matching("", self._pattern.split("/"))
            ]
        name = self._name(self._pattern)
        version = known.get(name)
        if version is None:
            return [FileInfo(name, address=self._pattern)]
        response = self._get(self._pattern, conditions(version))
        response.close()
        if response.status_code == requests.codes.not_modified:
            return [FileInfo(name, version, address=self._pattern)]
        found = info_of(name, response)
        return [FileInfo(name, found.version, found.modified, found.size, self._pattern)]

    def open(self, file: FileInfo) -> tuple[BinaryIO, FileInfo]:
        response = self._get(file.address, {})
        found = info_of(file.name, response)
        version = file.version if has_magic(self._pattern) else found.version
        now = FileInfo(file.name, version, found.modified, found.size, file.address)
        return opened(file.name, response), now

    def _get(self, path: str, headers: Mapping[str, str]) -> requests.Response:
        """Ask the API for a file, and where it does not give it without a token, the other host."""
        wanted = {**RAW, **headers}
        try:
            return self._client.open(self._url(path), self._query(), headers=wanted)
        except (AccessDenied, NotFound, RateLimited, Unauthorized) as error:
            if self._token or not self.files.options.github_raw_url:
                raise self._refusal(path, error) from error
        try:
            ref = self._ref or "HEAD"
            return self._raw.open(f"/{self._repo}/{quote(ref)}/{quote(path)}", headers=wanted)
        except (NotFound, AccessDenied, Unauthorized) as error:
            raise self._refusal(path, error) from error

    def _refusal(self, path: str, error: Exception) -> Exception:
        name = self._name(path)
        if isinstance(error, Unauthorized):
            return Unauthorized(f"GitHub refused the token for {name}. Check github_token.")
        if isinstance(error, RetriableAPIError):
            return RetriableAPIError(
                f"GitHub's rate limit is used up ({name}). A github_token helps."
            )
        what = "or the token may not read it" if self._token else "or it needs a github_token"
        return FileProblem(f"There is no file {name}, {what}")

    def _matching(self, folder: str, pattern: list[str]) -> Iterator[dict[str, Any]]:
        """The files of a folder that match the rest of a pattern, name by name."""
        while pattern and not has_magic(pattern[0]) and len(pattern) > 1:
            folder, pattern = f"{folder}{pattern[0]}/", pattern[1:]
        first, rest = pattern[0], pattern[1:]
        for entry in self._listing(folder.rstrip("/")):
            if first == "**":
                if entry["type"] == "dir":
                    yield from self._matching(f"{entry['path']}/", pattern)
                elif rest and len(rest) == 1 and fnmatchcase(entry["name"], rest[0]):
                    yield entry
            elif fnmatchcase(entry["name"], first):
                if rest and entry["type"] == "dir":
                    yield from self._matching(f"{entry['path']}/", rest)
                elif not rest and entry["type"] == "file":
                    yield entry

    def _listing(self, folder: str) -> list[dict[str, Any]]:
        try:
            with self._client.open(self._url(folder), self._query(), headers=LISTING) as response:
                entries = response.json()
        except (AccessDenied, NotFound, RateLimited, Unauthorized) as error:
            raise self._refusal(folder, error) from error
        if not isinstance(entries, list):
            raise FileProblem(f"{self._name(folder)} is not a folder")
        if len(entries) >= LISTING_LIMIT:
            msg = f"{self._name(folder)} has {LISTING_LIMIT} entries or more, which GitHub cuts off"
            raise FatalAPIError(msg)
        return entries

    def _url(self, path: str) -> str:
        return f"/repos/{self._repo}/contents/{quote(path)}".rstrip("/")

    def _query(self) -> dict[str, str]:
        return {"ref": self._ref} if self._ref else {}

    def _name(self, path: str) -> str:
        return f"github://{self._repo}/{path}"
