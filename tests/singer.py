"""Runs a tap and folds its messages into tables, as the contracts between tap and target say.

The fold is a few lines on purpose: a second opinion on what the messages mean, to compare the
target and the truth with.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigurationError, SyncError

if TYPE_CHECKING:
    from singer_sdk import Tap

Row = dict[str, Any]


@dataclass
class Run:
    """What a run of a tap wrote."""

    lines: list[str]
    error: Exception | None

    @cached_property
    def messages(self) -> list[Row]:
        return [json.loads(line) for line in self.lines]

    @property
    def state(self) -> Row:
        return self.states[-1]

    @property
    def states(self) -> list[Row]:
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    @property
    def statuses(self) -> dict[str, Row]:
        return self.state["sync"]

    def records(self, stream: str) -> list[Row]:
        return [
            m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream
        ]


def run_tap(
    tap: type[Tap], config: Row, state: Row | None = None, catalog: Row | None = None
) -> Run:
    """Read everything that is selected; errors that users are meant to see are given back."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    error = None
    with redirect_stdout(out):
        try:
            tap(config=dict(config), state=state, catalog=catalog).sync_all()
        except (ConfigurationError, SyncError) as caught:
            error = caught
    out.seek(0)
    return Run(list(out), error)


def select(tap: type[Tap], config: Row, *streams: str) -> Row:
    """A catalog in which only these streams are selected."""
    catalog: Row = tap(config=dict(config)).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == []:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in streams
    return catalog


@dataclass
class Tables:
    """Tables as a target should have them: stream → key → row."""

    rows: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=lambda: defaultdict(dict))
    changed: Counter[str] = field(default_factory=Counter)

    def load(self, run: Run) -> Tables:
        """Apply a run; `changed` then counts the rows that it changed."""
        self.changed.clear()
        schemas: dict[str, Row] = {}
        seen: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
        scopes: dict[tuple[str, tuple[Any, ...]], set[tuple[Any, ...]]] = defaultdict(set)
        for message in run.messages:
            stream = message.get("stream", "")
            if message["type"] == "SCHEMA":
                schemas[stream] = message
            elif message["type"] == "RECORD":
                record = message["record"]
                key = tuple(record[name] for name in schemas[stream]["key_properties"])
                seen[stream].add(key)
                if parent := schemas[stream]["schema"].get("x-replace-by"):
                    scope = scopes[stream, tuple(record[name] for name in parent)]
                    if record["_sdc_deleted_at"]:
                        continue
                    scope.add(key)
                self._put(stream, key, record, schemas[stream].get("bookmark_properties"))
            elif message["type"] == "ACTIVATE_VERSION":
                self._drop(stream, self.rows[stream].keys() - seen[stream])
        for (stream, scope), keys in scopes.items():
            own = {key for key in self.rows[stream] if key[: len(scope)] == scope}
            self._drop(stream, own - keys)
        for stream, status in run.statuses.items():
            if since := status.get("complete_since"):
                window = schemas[stream]["schema"]["x-window"]
                own = {key for key, row in self.rows[stream].items() if row[window] >= since}
                self._drop(stream, own - seen[stream])
        return self

    def _drop(self, stream: str, keys: set[tuple[Any, ...]]) -> None:
        for key in keys:
            del self.rows[stream][key]
            self.changed[stream] += 1

    def _put(self, stream: str, key: tuple[Any, ...], record: Row, marks: list[str] | None) -> None:
        stored = self.rows[stream].get(key)
        if stored and marks and (record[marks[0]] or "") < (stored[marks[0]] or ""):
            return
        if stored != record:
            self.changed[stream] += 1
            self.rows[stream][key] = record
