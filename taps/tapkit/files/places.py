"""Where files are, and on this machine; the web and object stores have modules of their own.

A place knows its files and which of them changed, and opens them. It never holds a whole one.
"""

from __future__ import annotations

import glob
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from tapkit import dates
from tapkit.errors import FileProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tapkit.client import Client

__all__ = ["FileInfo", "FileOptions", "Files", "Place", "shown"]

BUFFER: Final = 1 << 18
"""Bytes fetched at once."""

SCHEMES: Final = {
    "": "tapkit.files.places:LocalPlace",
    "file": "tapkit.files.places:LocalPlace",
    "http": "tapkit.files.web:WebPlace",
    "https": "tapkit.files.web:WebPlace",
    "github": "tapkit.files.github:GitHubPlace",
}
"""Scheme of a path → the place that understands it; all others are a store's."""


@dataclass(frozen=True)
class FileInfo:
    """A file.

    Attributes:
        name: What logs, rows and the state call it; holds no secret.
        version: Differs when the content does; None where that is not known before it is opened.
        modified: When it was changed last, in the form of `dates.text`, where that is known.
        size: Bytes, where that is known.
        address: What its place finds it by.
    """

    name: str
    version: str | None = None
    modified: str | None = None
    size: int | None = None
    address: str = ""


@dataclass
class FileOptions:
    """What it takes to get at files: credentials, and other hosts than the usual.

    Attributes:
        access_token: Bearer token for HTTP(S).
        username: For HTTP(S); with `password`.
        password: For HTTP(S).
        github_token: For private repositories, and for more than 60 requests an hour.
        github_url: GitHub's API.
        github_raw_url: Where public files are without a token; empty for nowhere.
        storage_options: fsspec protocol → arguments of its file system.
        max_tries: Tries of one request.
    """

    access_token: str | None = None
    username: str | None = None
    password: str | None = None
    github_token: str | None = None
    github_url: str = "https://api.github.com"
    github_raw_url: str = "https://raw.githubusercontent.com"
    storage_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_tries: int = 10


class Place(ABC):
    """One path of the settings, which may be a pattern.

    Args:
        path: The path.
        files: All places of the tap, which share options and connections.

    Attributes:
        shown: The path as it may stand in logs.
        variant: Tells files apart that have one name, as that leaves it out.
    """

    variant: str = ""

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self.shown = shown(path)
        self.files = files

    @abstractmethod
    def find(self, known: Mapping[str, str | None]) -> list[FileInfo]:
        """List the files that are there now.

        Args:
            known: Name → version of what was read before.

        Raises:
            FatalAPIError: The place cannot be reached, or a file that was named is not there.
        """

    @abstractmethod
    def open(self, file: FileInfo) -> tuple[BinaryIO, FileInfo]:
        """Open a file for reading from its start, and tell what is known of it now.

        Raises:
            FatalAPIError: It cannot be opened.
        """

    def is_current(self, file: FileInfo) -> bool:  # noqa: ARG002
        """Whether an opened file is still what it was when it was opened."""
        return True


class Files:
    """Opens places by the scheme of their path; the source kind `file`.

    Attributes:
        calls: Requests sent so far by all places.
    """

    def __init__(self, options: FileOptions | None = None) -> None:
        self.options = options or FileOptions()
        self.clients: dict[str, Client] = {}
        self.listings = 0

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self.listings + sum(client.calls for client in self.clients.values())

    def place(self, path: str) -> Place:
        """Give the place that a path names.

        Raises:
            ConfigValidationError: No library reads such a path.
        """
        kind = SCHEMES.get(scheme(path), "tapkit.files.stores:StorePlace")
        place: Place = resolve_name(kind)(path, self)
        return place


class LocalPlace(Place):
    """Files on this machine."""

    def find(self, known: Mapping[str, str | None]) -> list[FileInfo]:  # noqa: ARG002
        path = self.path
        if scheme(path) == "file":
            path = unquote(urlsplit(path).path)
        path = str(Path(path).expanduser())
        if Path(path).is_file():
            return [_local(path)]
        if Path(path).is_dir():
            raise FileProblem(f"{path} is a folder; for the files in it name {path}/*")
        if not glob.has_magic(path):
            raise FileProblem(f"There is no file {path}")
        return [_local(name) for name in glob.glob(path, recursive=True) if Path(name).is_file()]  # noqa: PTH207  # keeps paths as they are written

    def open(self, file: FileInfo) -> tuple[BinaryIO, FileInfo]:
        try:
            stream = Path(file.address).open("rb", buffering=BUFFER)  # noqa: SIM115  # the caller's
        except OSError as error:
            raise FileProblem(f"{file.name} cannot be opened ({error.strerror})") from error
        return stream, _local(file.address)

    def is_current(self, file: FileInfo) -> bool:
        return Path(file.address).exists() and _local(file.address).version == file.version


def scheme(path: str) -> str:
    """The scheme of a path, lower case; none for a path on this machine."""
    return path.partition("://")[0].lower() if "://" in path else ""


def shown(path: str) -> str:
    """A path without what may be secret in it: a password before the host, a signed query."""
    if not scheme(path):
        return path
    return re.sub(r"(?<=://)[^/]*@", "", path).partition("?")[0]


def _local(path: str) -> FileInfo:
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise FileProblem(f"{path} cannot be read ({error.strerror})") from error
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, tz=timezone.utc)
    version = f"{stat.st_mtime_ns}-{stat.st_size}"
    return FileInfo(path, version, dates.text(modified), stat.st_size, path)
