"""Which records belong together, and what the kinds of belonging are called.

Source: "Associations" in HubSpot's documentation. What is special:

- Changing an association touches neither record, so no filter finds it. Each run reads the
  associations of the records that it saw, and every `associations_refresh_days` those of all.
- A record without associations is told as an error inside a successful answer. That is how removed
  ones are noticed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit import dates
from tapkit.errors import AccessDenied, BadRequest, NotFound, PageLoop
from tapkit.fields import Field
from tapkit.paging import chunks, ordered_map
from tapkit.stream import DELETED_AT, Stream

from tap_hubspot.client import listed, next_after

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
    """What there is between two types of object; all of it is read every so many days only.

    State beside the bookmark: `refreshed_at`, when all was read; `covered`, pair → the bookmark of
    its first type up to which the pair was read. A pair that is not covered is read as a whole.
    """

    tap: TapHubSpot

    def __init__(self, tap: TapHubSpot) -> None:
        super().__init__(tap)
        self._began_at = dates.now()
        self._unread: set[str] = set()

    @property
    def is_due(self) -> bool:
        """Whether the last read of all pairs is too long ago."""
        last = self.stream_state.get("refreshed_at")
        days = timedelta(days=self.config["associations_refresh_days"])
        return not last or self._began_at - dates.parse_datetime(last) >= days

    @property
    def covered(self) -> dict[str, str | None]:
        """The pairs that runs before have read."""
        covered: dict[str, str | None] = self.stream_state.get("covered") or {}
        return covered

    @property
    def reads_everything(self) -> bool:
        names = set(map(_name, self.tap.pairs()))
        return self.is_due and bool(names) and (not self.covered or self.covered.keys() == names)

    def skip(self, pair: Pair, error: Exception) -> None:
        """Note that a pair cannot be read; the next run tries it as a whole."""
        self._unread.add(_name(pair))
        self.status.skip(f"{_name(pair)}: {error}")

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        if self.status.status in {"success", "partial"} and not self.is_cut:
            now = {
                _name(pair): _text(pair[0].bookmark())
                for pair in self.tap.pairs()
                if _name(pair) not in self._unread and pair[0].status.status != "failed"
            }
            if self.is_due:
                self.stream_state["covered"] = now
                # A versioned read that is not whole removes nothing: the next run makes up for it.
                if self.status.status == "success" or not self._stream_version:
                    self.stream_state["refreshed_at"] = dates.text(self._began_at)
            else:
                kept = {
                    name: mark for name, mark in self.covered.items() if name not in self._unread
                }
                self.stream_state["covered"] = {**kept, **now}
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
        pairs = self.tap.pairs()
        if not self.is_due and set(map(_name, pairs)) <= self.covered.keys():
            return  # a request for each of hundreds of pairs, for what hardly ever changes

        def page(pair: Pair) -> list[dict[str, Any]]:
            names = {"from_type": pair[0].name, "to_type": pair[1].name}
            try:
                return [{**names, **label} for label in self.tap.association_labels(*pair)]
            except AccessDenied as error:
                self.skip(pair, error)
                return []

        yield from ordered_map(page, pairs, workers=self.config["concurrency"])


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
        for item in self.tap.objects:
            if item.denied and item.selected:
                self.status.skip(f"those of {item.name}, which cannot be read")
        for source, its_targets in targets.items():
            if source.status.status == "success":
                yield from self._of(source, its_targets)
            else:
                self._unread.update(_name((source, target)) for target in its_targets)
                self.status.skip(f"those of {source.name}, which were not read")

    def _of(self, source: Objects, targets: list[Objects]) -> Iterator[list[dict[str, Any]]]:
        """Read the associations of one type of record, those of archived ones being none.

        A record that was archived and restored meanwhile comes twice, and last with what it has.
        """
        if self._stream_version is None:
            for ids in chunks(source.ids.read(archived=True), BATCH_LIMIT):
                yield [_none(source, target, record_id) for record_id in ids for target in targets]
        whole = [target for target in targets if self._needs_all(source, target)]
        changed = [target for target in targets if target not in whole]
        if whole:
            yield from self._reads(source, whole, source.all_ids())
        if changed:
            yield from self._reads(source, changed, source.ids.read(archived=False))

    def _needs_all(self, source: Objects, target: Objects) -> bool:
        """Whether more records than this run saw have associations that may be new."""
        if source.read_whole:
            return False
        name, mark = _name((source, target)), _text(source.bookmark_before)
        return self.is_due or name not in self.covered or self.covered[name] != mark

    def _reads(
        self, source: Objects, targets: list[Objects], ids: Iterator[str]
    ) -> Iterator[list[dict[str, Any]]]:
        reads = ((source, target, some) for some in chunks(ids, BATCH_LIMIT) for target in targets)
        workers = self.config["concurrency"]
        yield from ordered_map(lambda read: self._read(*read), reads, workers=workers)

    def _read(self, source: Objects, target: Objects, ids: list[str]) -> list[dict[str, Any]]:
        """The associations of some records to one type, with a row for each that has none."""
        try:
            found = self._ask(source, target, ids)
        except (AccessDenied, BadRequest, NotFound) as error:
            try:
                can_be = isinstance(error, AccessDenied) or self.tap.association_labels(
                    source, target
                )
            except AccessDenied:
                can_be = True
            if can_be:
                self.skip((source, target), error)
            return []
        # A read with a version ends with ACTIVATE_VERSION, which removes what did not come.
        with_none = self._stream_version is None
        return [
            row
            for record, rows in found.items()
            for row in (rows.values() or ([_none(source, target, record)] if with_none else []))
        ]

    def _ask(
        self, source: Objects, target: Objects, ids: list[str]
    ) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
        """The rows of each record, by key; a record with many targets has pages of its own."""
        found: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {record: {} for record in ids}
        path = self.tap.client.path(
            "crm/associations", source.object_type.id, target.object_type.id
        )
        inputs: list[dict[str, Any]] = [{"id": record} for record in ids]
        asked: set[tuple[str, str]] = set()
        while inputs:
            answer = self.tap.client.post(f"{path}/batch/read", {"inputs": inputs})
            inputs = []
            for result in listed(answer):
                record = str(result["from"]["id"])
                for row in _rows(source, target, result):
                    found.setdefault(record, {})[row["to_id"], row["category"], row["type_id"]] = (
                        row
                    )
                if after := next_after(result):
                    if (record, after) in asked:
                        raise PageLoop("HubSpot gave the same page of associations twice.")
                    asked.add((record, after))
                    inputs.append({"id": record, "after": after})
        return found


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


def _name(pair: Pair) -> str:
    return f"{pair[0].name}:{pair[1].name}"


def _text(moment: datetime | None) -> str | None:
    return dates.text(moment) if moment else None
