"""Which records belong together, and what the kinds of belonging are called.

Source: "Associations" in HubSpot's documentation. What is special:

- Changing an association touches neither record, so no filter finds it. Each run reads the
  associations of the records that it saw, and every `associations_refresh_days` those of all.
- A record without associations is told as an error inside a successful answer. That is how removed
  ones are noticed.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit import dates
from tapkit.errors import BadRequest, FatalAPIError, NotFound, PageLoop
from tapkit.fields import Field
from tapkit.paging import chunks, ordered_map
from tapkit.stream import DELETED_AT, Stream

from tap_hubspot.client import next_after

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_hubspot.objects import Objects
    from tap_hubspot.tap import TapHubSpot

__all__ = ["AssociationLabels", "Associations", "Pair"]

BATCH_LIMIT = 1000

Pair = tuple["Objects", "Objects"]
"""From these records to those."""


class PairStream(Stream):
    """What there is between two types of object; read as a whole every so many days only."""

    tap: TapHubSpot

    @cached_property
    def reads_everything(self) -> bool:  # decided once, at the start
        """Whether the last whole read is too long ago."""
        self._began_at = dates.now()
        last = self.stream_state.get("refreshed_at")
        days = timedelta(days=self.config["associations_refresh_days"])
        return not last or self._began_at - dates.parse_datetime(last) >= days

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        if self.reads_everything and self.status.status == "success" and not self.is_cut:
            self.stream_state["refreshed_at"] = dates.text(self._began_at)
        super().finalize_state_progress_markers(state)


class AssociationLabels(PairStream):
    """The kinds of association of each pair of object types; one row is one kind."""

    name = "association_labels"
    primary_keys: ClassVar[tuple[str, ...]] = ("from_type", "to_type", "category", "type_id")
    fields = (
        Field("from_type"),
        Field("to_type"),
        Field("category"),
        Field("typeId", "integer", name="type_id"),
        Field("label"),
    )

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        if not self.reads_everything:
            return  # a request for each of hundreds of pairs, for what hardly ever changes

        def page(pair: Pair) -> list[dict[str, Any]]:
            names = {"from_type": pair[0].name, "to_type": pair[1].name}
            return [{**names, **label} for label in self.tap.association_labels(*pair)]

        yield from ordered_map(page, self.tap.pairs(), workers=self.config["concurrency"])


class Associations(PairStream):
    """Associations between records; one row is one kind of association of two records.

    The rows of one record to one type are always given together, and replace what was there.
    """

    name = "associations"
    primary_keys: ClassVar[tuple[str, ...]] = (
        *("from_type", "from_id", "to_type", "to_id", "category", "type_id"),
    )
    replace_by: ClassVar[tuple[str, ...]] = ("from_type", "from_id", "to_type")
    fields = (
        Field("from_type"),
        Field("from_id", "object_id"),
        Field("to_type"),
        Field("to_id", "object_id"),
        Field("category"),
        Field("type_id", "integer"),
        Field("label"),
        DELETED_AT,
    )

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        targets: dict[Objects, list[Objects]] = {}
        for source, target in self.tap.pairs():
            targets.setdefault(source, []).append(target)
        for source, its_targets in targets.items():
            if source.status.status != "success":
                self.status.skip(f"associations of {source.name}, which could not be read")
                continue
            yield from self._of(source, its_targets)

    def _of(self, source: Objects, targets: list[Objects]) -> Iterator[list[dict[str, Any]]]:
        """Read the associations of one type of record."""
        reads = (
            (source, target, ids)
            for ids in chunks(self._ids(source), BATCH_LIMIT)
            for target in targets
        )
        yield from ordered_map(
            lambda read: self._read(*read), reads, workers=self.config["concurrency"]
        )
        if not self.reads_everything:
            for ids in chunks(source.ids.read(archived=True), BATCH_LIMIT):
                yield [_none(source, target, record_id) for record_id in ids for target in targets]

    def _ids(self, source: Objects) -> Iterator[str]:
        """The records whose associations are to be read: those that changed, or all."""
        covered = self.stream_state.get("covered", {}).get(source.name)
        if source.read_whole or (
            not self.reads_everything and covered == _text(source.bookmark_before)
        ):
            return source.ids.read(archived=False)
        return source.all_ids()

    def _read(self, source: Objects, target: Objects, ids: list[str]) -> list[dict[str, Any]]:
        """The associations of some records to one type, with a row for each that has none."""
        found: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {record: {} for record in ids}
        path = self.tap.client.path(
            "crm/associations", source.object_type.id, target.object_type.id
        )
        inputs: list[dict[str, Any]] = [{"id": record} for record in ids]
        asked: set[tuple[str, str]] = set()
        while inputs:
            try:
                answer = self.tap.client.post(f"{path}/batch/read", {"inputs": inputs})
            except (BadRequest, NotFound):
                if self.tap.association_labels(source, target):
                    raise
                return []  # these two types cannot be associated
            _check(answer)
            inputs = []
            for result in answer["results"]:
                record = str(result["from"]["id"])
                for row in _rows(source, target, result):
                    found[record][row["to_id"], row["category"], row["type_id"]] = row
                if after := next_after(result):
                    if (record, after) in asked:
                        raise PageLoop("HubSpot gave the same page of associations twice.")
                    asked.add((record, after))
                    inputs.append({"id": record, "after": after})
        return [
            row
            for record, rows in found.items()
            for row in (rows.values() or self._without(source, target, record))
        ]

    def _without(self, source: Objects, target: Objects, record: str) -> list[dict[str, Any]]:
        # A whole read ends with ACTIVATE_VERSION, which removes what it did not see.
        return [] if self.reads_everything else [_none(source, target, record)]

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        if self.status.status in {"success", "partial"} and not self.is_cut:
            covered = self.stream_state.setdefault("covered", {})
            for source, _ in self.tap.pairs():
                if source.status.status == "success":
                    covered[source.name] = _text(source.bookmark())
        super().finalize_state_progress_markers(state)


def _rows(source: Objects, target: Objects, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for to in result["to"]:
        for kind in to["associationTypes"]:
            yield {
                "from_type": source.name,
                "from_id": result["from"]["id"],
                "to_type": target.name,
                # A number in some versions of the API, a string in others.
                "to_id": str(to["toObjectId"]),
                "category": kind["category"],
                "type_id": kind["typeId"],
                "label": kind.get("label"),
            }


def _none(source: Objects, target: Objects, record: str) -> dict[str, Any]:
    """Says that a record has no associations to a type (see `Stream.replace_by`)."""
    return {
        "from_type": source.name,
        "from_id": record,
        "to_type": target.name,
        "to_id": "",
        "category": "",
        "type_id": 0,
        DELETED_AT.source: dates.text(dates.now()),
    }


def _check(answer: dict[str, Any]) -> None:
    """Let pass the errors that mean that a record has no associations, or is gone.

    Raises:
        FatalAPIError: There is another one.
    """
    for error in answer.get("errors") or []:
        if error.get("category") != "OBJECT_NOT_FOUND":
            kind = error.get("subCategory") or error.get("category")
            raise FatalAPIError(f"HubSpot could not read some associations ({kind}).")


def _text(moment: datetime | None) -> str | None:
    return dates.text(moment) if moment else None
