"""The control commands of the HubSpot sandbox: ``POST /_sandbox/hubspot/<command>``.

Types go by any name a path takes, record ids are strings, times are ISO.
"""

# ruff: noqa: FBT001, FBT002 - the arguments are fields of a JSON body

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - annotations are read at run time
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from crm_sandbox.clock import iso
from crm_sandbox.crm import ControlError, read_time
from crm_sandbox.hubspot.access import Meter
from crm_sandbox.hubspot.edits import Values  # noqa: TC001
from crm_sandbox.hubspot.model import Property, PropertyType
from crm_sandbox.hubspot.mutate import Mutation
from crm_sandbox.hubspot.render import writer
from crm_sandbox.hubspot.switches import Limits, Switches

if TYPE_CHECKING:
    from crm_sandbox.hubspot import HubSpot
    from crm_sandbox.hubspot.edits import Edits


class RecordCommands:
    """Commands that change records and associations."""

    def __init__(self, hubspot: HubSpot, edits: Edits) -> None:
        self._hubspot = hubspot
        self._edits = edits

    def create(
        self,
        record_type: str,
        properties: Values | None = None,
        count: int = 1,
        seed: int | None = None,
    ) -> list[str]:
        """Add records with these properties, all others unset or, with a seed, made up."""
        store = self._edits.store(record_type)
        values = self._edits.known(store, properties or {})
        made: list[Values] = [{} for _ in range(count)]
        if seed is not None:
            made = self._edits.made_up(store, Random(seed), count)  # noqa: S311 - made-up data
        return [self._edits.add(store, one | values) for one in made]

    def update(
        self,
        record_type: str,
        record_id: str,
        properties: Values,
        modified: str | None = None,
        touch: bool = True,
    ) -> None:
        """Change properties; the modified date becomes now, the one given, or stays."""
        store, record = self._edits.record(record_type, record_id)
        at = None
        if touch:
            at = self._edits.now() if modified is None else read_time(modified)
        self._edits.change(store, record, self._edits.known(store, properties), at)

    def bulk_update(
        self,
        record_type: str,
        count: int,
        properties: Values | None = None,
        modified: str | None = None,
    ) -> list[str]:
        """Change the first `count` records, all with one same modified date."""
        store = self._edits.store(record_type)
        values = self._edits.known(store, properties or {})
        at = self._edits.now() if modified is None else read_time(modified)
        chosen = store.live()[:count]
        if len(chosen) < count:
            raise ControlError(f"there are only {len(chosen)} {record_type}")
        for record in chosen:
            self._edits.change(store, record, values, at)
        return [str(record.id) for record in chosen]

    def archive(self, record_type: str, ids: list[str]) -> None:
        """Archive records: they leave search and show up among the archived."""
        for one in ids:
            self._edits.bin(*self._edits.record(record_type, one))

    def restore(self, record_type: str, ids: list[str]) -> None:
        """Take records out of the archive, with their associations."""
        for one in ids:
            self._edits.unbin(*self._edits.record(record_type, one, archived=True))

    def purge(self, record_type: str, ids: list[str]) -> None:
        """Delete records for good, as a GDPR request does."""
        for one in ids:
            store, record = self._edits.record(record_type, one)
            self._edits.wipe(store, record)

    def merge(self, record_type: str, survivor: str, absorbed: str) -> str:
        """Merge two records and return the id of the one that stays."""
        if survivor == absorbed:
            raise ControlError("a record cannot be merged with itself")
        store, kept = self._edits.record(record_type, survivor)
        return self._edits.absorb(store, kept, self._edits.record(record_type, absorbed)[1])

    def associate(
        self, from_type: str, from_id: str, to_type: str, to_id: str, label: str | None = None
    ) -> None:
        """Associate two records; no modified date moves."""
        pair, one, other = self._edits.pair(from_type, from_id, to_type, to_id)
        try:
            self._hubspot.account.links.connect(pair, one, other, label)
        except KeyError as error:
            raise ControlError(f"{from_type} to {to_type} has no label {label!r}") from error

    def dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> bool:
        """Remove the association of two records and say whether there was one."""
        return self._hubspot.account.links.disconnect(
            *self._edits.pair(from_type, from_id, to_type, to_id)
        )

    def mutate(
        self,
        seed: int = 1,
        change: int = 0,
        add: int = 0,
        archive: int = 0,
        restore: int = 0,
        merge: int = 0,
        purge: int = 0,
        associate: int = 0,
        dissociate: int = 0,
        types: list[str] | None = None,
    ) -> dict[str, Any]:
        """Do a round of random changes, so many of each kind, and return what was done.

        The same seed on the same data does the same. `types` narrows which records are touched.
        """
        keys = [self._edits.store(name).kind.key for name in types or self._hubspot.account.types]
        mutation = Mutation(self._edits, Random(seed), keys)  # noqa: S311 - made-up data
        mutation.change(change)
        mutation.add(add)
        mutation.archive(archive)
        mutation.restore(restore)
        mutation.merge(merge)
        mutation.purge(purge)
        mutation.dissociate(dissociate)
        mutation.associate(associate)
        return mutation.done


class AccountCommands:
    """Commands on schema, switches, limits and tokens, and a look at the truth."""

    def __init__(self, hubspot: HubSpot, edits: Edits) -> None:
        self._hubspot = hubspot
        self._edits = edits

    def add_property(
        self,
        record_type: str,
        name: str,
        kind: PropertyType = "string",
        options: list[str] | None = None,
        value: str | None = None,
    ) -> None:
        """Add a custom property; `value` is set on all records and moves no date."""
        store = self._edits.store(record_type)
        if name in store.kind.properties:
            raise ControlError(f"{record_type} already have a property {name}")
        now = iso(self._edits.now())
        store.kind.properties[name] = Property(
            name, kind, options=tuple(options or ()), custom=True, created_at=now, updated_at=now
        )
        for record in store.live() if value is not None else ():
            store.change(record, {name: value}, None)

    def archive_property(self, record_type: str, name: str, archived: bool = True) -> None:
        """Archive a property, or bring it back."""
        one = self._edits.store(record_type).kind.properties.get(name)
        if one is None:
            raise ControlError(f"{record_type} have no property {name}")
        one.archived_at = iso(self._edits.now()) if archived else None
        # What search has found so far may depend on it.
        self._edits.store(record_type).version += 1

    def archive_type(self, record_type: str, archived: bool = True) -> None:
        """Archive the schema of a custom object, or bring it back."""
        kind = self._edits.store(record_type).kind
        if not kind.custom:
            raise ControlError(f"{record_type} is not a custom object")
        kind.archived_at = iso(self._edits.now()) if archived else None

    def switches(self, values: dict[str, Any] | None = None) -> Switches:
        """Set some switches and return all."""
        account = self._hubspot.account
        changed = msgspec.to_builtins(account.switches) | (values or {})
        account.use(msgspec.convert(changed, Switches))
        self._hubspot.tokens.rotate = account.switches.rotate_refresh_token
        return account.switches

    def limits(self, values: dict[str, Any] | None = None) -> Limits:
        """Set some rate limits, null for none, start counting afresh and return all."""
        changed = msgspec.to_builtins(self._hubspot.meter.limits) | (values or {})
        limits = msgspec.convert(changed, Limits)
        if values is not None:
            self._hubspot.meter = Meter(limits)
        return limits

    def token(self, token: str, scopes: list[str] | None = None) -> None:
        """Add a static token or replace its scopes; null allows everything."""
        self._hubspot.tokens.add(token, scopes)

    def oauth(
        self, scopes: list[str] | None = None, lifetime_seconds: int = 1800
    ) -> dict[str, str]:
        """Set what later OAuth tokens may read and how long they live; return the credentials."""
        tokens = self._hubspot.tokens
        tokens.oauth_scopes = None if scopes is None else frozenset(scopes)
        tokens.lifetime_seconds = lifetime_seconds
        return {
            "client_id": tokens.client_id,
            "client_secret": tokens.client_secret,
            "refresh_token": tokens.refresh_token,
        }

    def revoke(self, token: str | None = None) -> None:
        """Take a token back, all of them where none is named."""
        self._hubspot.tokens.revoke(token)

    def enable(self, type_id: str, enabled: bool = True) -> None:
        """Switch a type of the object library on or off, for example 0-421."""
        self._hubspot.enabled[type_id] = enabled

    def records(self, record_type: str, archived: bool = False) -> list[dict[str, Any]]:
        """Return all live or archived records with all their properties, by id."""
        store = self._edits.store(record_type)
        names = tuple(one.name for one in store.kind.live_properties())
        return [
            *map(writer(store.kind, names, (), empty=False), store.view(archived=archived).records)
        ]

    def associations(self, from_type: str, to_type: str) -> list[dict[str, Any]]:
        """Return all associations that can be read from one type to another."""
        account = self._hubspot.account
        pair = (self._edits.store(from_type).kind.key, self._edits.store(to_type).kind.key)
        return [
            {"from_id": str(from_id), "to_id": str(to_id), **msgspec.to_builtins(one)}
            for from_id in sorted(account.links.of_pair(pair))
            for to_id, types in account.linked(pair, from_id)
            for one in types
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of live and archived records of each type."""
        stores = self._hubspot.account.stores.items()
        return {
            key: {
                "live": len(store.live()),
                "archived": len(store.view(archived=True).records),
            }
            for key, store in stores
        }


def all_commands(hubspot: HubSpot, edits: Edits) -> dict[str, Callable[..., Any]]:
    """Return all commands by name: the public methods of the two groups."""
    groups = (RecordCommands(hubspot, edits), AccountCommands(hubspot, edits))
    return {
        name: getattr(group, name)
        for group in groups
        for name in vars(type(group))
        if not name.startswith("_")
    }
