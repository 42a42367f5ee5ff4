"""The bookmarks of a CRM's streams, as Meltano keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from warehouse import crms, meltano
from warehouse.command import Refusal, Warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KEY", "LOADER", "VALUE", "Bookmarks", "all_bookmarks", "catalog", "text"]

LOADER: Final = "target-warehouse"
KEY: Final = "replication_key"
VALUE: Final = "replication_key_value"


class Bookmarks:
    """The bookmarks of one CRM in the environment in use, which Meltano keeps."""

    def __init__(self, warehouse: Warehouse, crm: str) -> None:
        """Name the CRM.

        Raises:
            Refusal: The project has no such CRM, or no environment is in use.
        """
        self._warehouse = warehouse
        self._state: dict[str, Any] | None = None
        self.crm = crm
        self.state_id = _state_id(warehouse, crms.tap_of(warehouse.project, crm))

    def state(self) -> dict[str, Any]:
        """Return the whole state as the tap gets it, read once; empty if there is none.

        Raises:
            Refusal: Meltano cannot read it.
        """
        if self._state is None:
            self._state = self._get()
        return self._state

    def _get(self) -> dict[str, Any]:
        found = json.loads(_meltano(self._warehouse, "state", "get", self.state_id) or "{}")
        state: dict[str, Any] = (found or {}).get("singer_state") or {}
        return state

    def read(self) -> dict[str, Any]:
        """Return stream → bookmark.

        Raises:
            Refusal: Meltano cannot read them.
        """
        return dict(self.state().get("bookmarks") or {})

    def write(self, bookmarks: Mapping[str, Any]) -> None:
        """Put these bookmarks into the place of all that there were.

        Raises:
            Refusal: Meltano cannot write them.
        """
        other = {name: value for name, value in self.state().items() if name != "bookmarks"}
        if not (bookmarks or other):
            _meltano(self._warehouse, "state", "clear", "--force", self.state_id)
            return
        state = {"singer_state": {**other, "bookmarks": dict(bookmarks)}}
        with TemporaryDirectory(prefix="warehouse-state-") as folder:
            path = Path(folder) / "state.json"
            path.write_text(json.dumps(state), encoding="utf-8")
            options = ("--force", f"--input-file={path}")
            _meltano(self._warehouse, "state", "set", *options, self.state_id)


def all_bookmarks(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Return crm_source → stream → bookmark, for the environment in use.

    Raises:
        Refusal: Meltano cannot read them.
    """
    states = json.loads(_meltano(warehouse, "state", "export") or "{}")
    result = {}
    for crm, tap in crms.crms(warehouse.project).items():
        found = states.get(_state_id(warehouse, tap)) or {}
        kinds = [(found.get(kind) or {}).get("singer_state") or {} for kind in _KINDS]
        bookmarks = {
            stream: bookmark
            for kind in kinds
            for stream, bookmark in (kind.get("bookmarks") or {}).items()
        }
        if bookmarks:
            result[crm] = bookmarks
    return result


_KINDS: Final = ("completed", "partial")  # the second is what a run left that did not end


def text(bookmark: Mapping[str, Any] | None) -> str:
    """Return a bookmark for people: its value, or all of it where it has another form."""
    if not bookmark:
        return ""
    return str(bookmark[VALUE]) if VALUE in bookmark else json.dumps(bookmark)


def catalog(warehouse: Warehouse, crm: str) -> dict[str, str | None]:
    """Ask a CRM for its streams: name → replication key, if it has one.

    Raises:
        Refusal: The tap cannot say.
    """
    tap = crms.tap_of(warehouse.project, crm)
    environment = meltano.environment(warehouse, crm)
    found = json.loads(
        _meltano(warehouse, "invoke", tap, "--discover", environment=environment) or "{}"
    )
    return {
        stream.get("stream") or stream["tap_stream_id"]: _replication_key(stream)
        for stream in found.get("streams", ())
    }


def _replication_key(stream: Mapping[str, Any]) -> str | None:
    if key := stream.get("replication_key"):
        return str(key)
    for entry in stream.get("metadata") or ():
        if not entry.get("breadcrumb"):
            keys = entry.get("metadata", {}).get("valid-replication-keys") or ()
            return next(iter(keys), None)
    return None


def _state_id(warehouse: Warehouse, tap: str) -> str:
    name = crms.environment_name(warehouse)
    if not name:
        raise Refusal(
            "No Meltano environment is in use, so there are no bookmarks. Set MELTANO_ENVIRONMENT,"
            " or default_environment in meltano.yml."
        )
    suffix = crms.state_id_suffix(warehouse, name)
    return ":".join(filter(None, (name, f"{tap}-to-{LOADER}", suffix)))


def _meltano(
    warehouse: Warehouse, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """Return what Meltano wrote.

    Raises:
        Refusal: It failed; with its last line.
    """
    if environment is None:
        environment = meltano.environment(warehouse)
    done = meltano.run(warehouse, "--log-format=plain", *arguments, environment=environment)
    if done.returncode:
        said: Sequence[str] = [line for line in done.stderr.splitlines() if line.strip()]
        raise Refusal(f"meltano {' '.join(arguments[:3])} failed: {said[-1] if said else '?'}")
    return done.stdout
