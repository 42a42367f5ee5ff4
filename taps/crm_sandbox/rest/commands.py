"""The control commands of all REST CRMs: ``POST /_sandbox/<crm>/<command>``.

Types go by the names in the CRM's `sizes`, record ids are strings, times are ISO. Properties are
fields of the record as the API shows it; a nested one is replaced as a whole.
"""

# ruff: noqa: FBT001, FBT002 - the arguments are fields of a JSON body

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from crm_sandbox.crm import ControlError, read_time

if TYPE_CHECKING:
    from crm_sandbox.rest.crm import Record, RestCrm

CHANGED_FIELDS = 3


class Commands:
    """The commands; each public method is one."""

    def __init__(self, crm: RestCrm) -> None:
        self._crm = crm

    def create(
        self,
        record_type: str,
        properties: dict[str, Any] | None = None,
        count: int = 1,
        seed: int | None = None,
    ) -> list[str]:
        """Add made-up records with these properties, and return their ids."""
        table = self._table(record_type)
        random = Random(len(table) if seed is None else seed)  # noqa: S311 - made-up data
        return [self._add(record_type, random, properties or {}) for _ in range(count)]

    def update(
        self,
        record_type: str,
        record_id: str,
        properties: dict[str, Any],
        modified: str | None = None,
        touch: bool = True,
    ) -> None:
        """Change properties; the modified date becomes now, the one given, or stays."""
        record = self._record(record_type, record_id)
        record.update(properties)
        if touch:
            at = self._crm.now() if modified is None else read_time(modified)
            self._crm.touched(record_type, record, at)

    def bulk_update(
        self,
        record_type: str,
        count: int,
        properties: dict[str, Any] | None = None,
        modified: str | None = None,
    ) -> list[str]:
        """Change the first `count` records, all with one same modified date."""
        chosen = list(self._table(record_type))[:count]
        if len(chosen) < count:
            raise ControlError(f"there are only {len(chosen)} {record_type}")
        at = self._crm.now() if modified is None else read_time(modified)
        for record_id in chosen:
            record = self._record(record_type, record_id)
            record.update(properties or {})
            self._crm.touched(record_type, record, at)
        return chosen

    def remove(self, record_type: str, ids: list[str]) -> None:
        """Delete records, as the CRM does: they vanish, or stay with a mark."""
        for record_id in ids:
            record = self._record(record_type, record_id)
            if self._crm.removed(record_type, record, self._crm.now()):
                del self._table(record_type)[record_id]
                self._crm.binned[record_type].append(record)

    def mutate(
        self,
        seed: int = 1,
        change: int = 0,
        add: int = 0,
        remove: int = 0,
        types: list[str] | None = None,
    ) -> dict[str, dict[str, list[str]]]:
        """Do a round of random changes, so many of each kind, and return what was done.

        The same seed on the same data does the same. `types` narrows which records are touched.
        """
        random = Random(seed)  # noqa: S311 - made-up data
        names = [name for name in types or self._crm.editable if self._crm.editable.get(name)]
        done: dict[str, dict[str, list[str]]] = {"changed": {}, "added": {}, "removed": {}}
        for name, record_id in self._pick(random, names, change):
            self._vary(random, name, record_id)
            done["changed"].setdefault(name, []).append(record_id)
        for index in range(add):
            name = names[index % len(names)]
            done["added"].setdefault(name, []).append(self._add(name, random, {}))
        for name, record_id in self._pick(random, names, remove):
            self.remove(name, [record_id])
            done["removed"].setdefault(name, []).append(record_id)
        return {kind: made for kind, made in done.items() if made}

    def records(self, record_type: str, archived: bool = False) -> list[dict[str, Any]]:
        """Return all records, or those that were removed for good, as the API shows them."""
        table = self._table(record_type)
        return self._crm.binned[record_type] if archived else list(table.values())

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of records of each type, and of those removed for good."""
        return {
            name: {"live": len(table), "archived": len(self._crm.binned[name])}
            for name, table in self._crm.tables.items()
        }

    def switches(self, values: dict[str, Any] | None = None) -> Any:
        """Set some switches and return all."""
        changed = msgspec.to_builtins(self._crm.switches) | (values or {})
        self._crm.switches = msgspec.convert(changed, self._crm.Switches)
        return self._crm.switches

    def limits(
        self, values: dict[str, Any] | None = None, seconds: dict[str, float] | None = None
    ) -> Any:
        """Set some rate limits, null for none, start counting afresh and return all.

        Args:
            values: Name of a limit → calls.
            seconds: Name of a limit → length of its window until the next call, shorter for tests.
        """
        changed = msgspec.to_builtins(self._crm.limits) | (values or {})
        limits = msgspec.convert(changed, self._crm.Limits)
        if values is not None or seconds is not None:
            self._crm.use_limits(limits, seconds or {})
        return limits

    def token(self, token: str, scopes: list[str] | None = None) -> None:
        """Add a credential; scopes have a meaning only where the CRM knows them."""
        self._crm.tokens.add(token, scopes)

    def revoke(self, token: str | None = None) -> None:
        """Take a credential back, all of them where none is named."""
        self._crm.tokens.revoke(token)

    def _table(self, record_type: str) -> dict[str, Record]:
        table = self._crm.tables.get(record_type)
        if table is None:
            raise ControlError(f"{self._crm.name} has no records of type {record_type!r}")
        return table

    def _record(self, record_type: str, record_id: str) -> Record:
        record = self._table(record_type).get(record_id)
        if record is None:
            raise ControlError(f"{record_type} has no record {record_id!r}")
        return record

    def _add(self, record_type: str, random: Random, properties: dict[str, Any]) -> str:
        record = {**self._crm.fresh(record_type, random, self._crm.now()), **properties}
        record_id = self._crm.record_id(record_type, record)
        self._table(record_type)[record_id] = record
        self._crm.touched(record_type, record, self._crm.now())
        return record_id

    def _vary(self, random: Random, record_type: str, record_id: str) -> None:
        """Give a few fields of a record the values of a made-up one."""
        record = self._record(record_type, record_id)
        fields = self._crm.editable[record_type]
        values = self._crm.fresh(record_type, random, self._crm.now())
        for name in random.sample(fields, min(CHANGED_FIELDS, len(fields))):
            record[name] = values[name]
        self._crm.touched(record_type, record, self._crm.now())

    def _pick(self, random: Random, names: list[str], count: int) -> list[tuple[str, str]]:
        """Choose different records of these types."""
        known = [(name, record_id) for name in names for record_id in self._table(name)]
        if count > len(known):
            raise ControlError(f"there are only {len(known)} records of {', '.join(names)}")
        return random.sample(known, count)
