"""The control API of a running sandbox, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import requests

ANSWER_SECONDS = 120.0
Values = Mapping[str, Any]
"""Properties of a record: text in HubSpot, any JSON where records are JSON."""


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused a command; the text says why."""


class Fault(TypedDict, total=False):
    """One fault rule; the fields are those of `crm_sandbox.faults.Fault`."""

    kind: str
    path: str
    method: str
    after: int
    every: int
    count: int
    status: int
    variant: str
    retry_after: str
    seconds: float


class Control:
    """The control API of a running sandbox.

    Attributes:
        url: Address of the server.
        crm: The CRM whose records the methods speak of.
    """

    def __init__(self, url: str, crm: str = "hubspot") -> None:
        self.url = url
        self.crm = crm

    def base_url(self, crm: str | None = None) -> str:
        """Return what a tap takes as `base_url`."""
        return f"{self.url}/{crm or self.crm}"

    def of(self, crm: str) -> Control:
        """Return the control of another CRM on the same server."""
        return Control(self.url, crm)

    def reset(
        self, seed: int = 1, sizes: Mapping[str, int] | None = None, now: str | None = None
    ) -> None:
        """Start afresh; see `crm_sandbox.control.Control.reset`."""
        self._shared("reset", seed=seed, sizes=dict(sizes or {}), now=now)

    def advance(self, seconds: float) -> str:
        """Move the clock and return the new time."""
        return str(self._shared("advance", seconds=seconds))

    def now(self) -> str:
        """Return the sandbox time."""
        return str(self._shared("now"))

    def faults(self, *rules: Fault, latency_ms: float | None = None) -> list[dict[str, Any]]:
        """Put these rules in force in place of all others, and set the latency where given.

        Returns:
            The rules, with how many requests each has seen and hit.
        """
        return list(self._shared("faults", rules=rules, latency_ms=latency_ms))

    def fault_hits(self) -> list[int]:
        """Return how many requests each rule in force has hit."""
        return [rule["hits"] for rule in self._shared("faults")]

    def stats(self, *, clear: bool = False) -> dict[str, Any]:
        """Return the request counts; see the README."""
        return dict(self._shared("stats", clear=clear))

    def log(self, contains: str = "", since: float = 0.0) -> list[dict[str, Any]]:
        """Return the last requests whose path contains a text, oldest first."""
        return list(self._shared("log", contains=contains, since=since))

    # Commands of the CRM. Types go by any name a path of the CRM takes, ids are strings, times ISO.

    def create(self, record_type: str, properties: Values | None = None) -> str:
        """Add a record, unnamed properties unset, and return its id."""
        made = self.command("create", record_type=record_type, properties=properties)
        return str(made[0])

    def create_many(self, record_type: str, count: int, seed: int = 1) -> list[str]:
        """Add records with made-up properties and return their ids."""
        return list(self.command("create", record_type=record_type, count=count, seed=seed))

    def update(
        self,
        record_type: str,
        record_id: str,
        properties: Values,
        *,
        modified: str | None = None,
        touch: bool = True,
    ) -> None:
        """Change properties; the modified date becomes now or the one given, or stays."""
        self.command(
            "update",
            record_type=record_type,
            record_id=record_id,
            properties=dict(properties),
            modified=modified,
            touch=touch,
        )

    def bulk_update(
        self,
        record_type: str,
        count: int,
        properties: Values | None = None,
        modified: str | None = None,
    ) -> list[str]:
        """Change the first `count` live records, with one same modified date; return their ids."""
        return list(
            self.command(
                "bulk_update",
                record_type=record_type,
                count=count,
                properties=properties,
                modified=modified,
            )
        )

    def archive(self, record_type: str, *ids: str) -> None:
        """Archive records."""
        self.command("archive", record_type=record_type, ids=ids)

    def restore(self, record_type: str, *ids: str) -> None:
        """Take records out of the archive."""
        self.command("restore", record_type=record_type, ids=ids)

    def remove(self, record_type: str, *ids: str) -> None:
        """Delete records of a CRM other than HubSpot, in the way it has."""
        self.command("remove", record_type=record_type, ids=ids)

    def purge(self, record_type: str, *ids: str) -> None:
        """Delete records for good."""
        self.command("purge", record_type=record_type, ids=ids)

    def merge(self, record_type: str, survivor: str, absorbed: str) -> str:
        """Merge two records and return the id of the one that stays."""
        answer = self.command(
            "merge", record_type=record_type, survivor=survivor, absorbed=absorbed
        )
        return str(answer)

    def associate(
        self, from_type: str, from_id: str, to_type: str, to_id: str, label: str | None = None
    ) -> None:
        """Associate two records, in place of a former association of the two."""
        pair = {"from_type": from_type, "from_id": from_id, "to_type": to_type, "to_id": to_id}
        self.command("associate", **pair, label=label)

    def dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> bool:
        """Remove the association of two records and say whether there was one."""
        pair = {"from_type": from_type, "from_id": from_id, "to_type": to_type, "to_id": to_id}
        return bool(self.command("dissociate", **pair))

    def mutate(
        self, seed: int = 1, types: Sequence[str] | None = None, **counts: int
    ) -> dict[str, Any]:
        """Do a round of random changes and return what was done.

        Args:
            seed: The same seed on the same data does the same.
            types: Types of the records touched, all by default.
            counts: How many of each kind: change, add, and remove; of HubSpot in place of remove
                archive, restore, merge, purge, associate, dissociate.
        """
        return dict(self.command("mutate", seed=seed, types=types, **counts))

    def add_property(
        self,
        record_type: str,
        name: str,
        kind: str = "string",
        *,
        options: Sequence[str] = (),
        value: str | None = None,
    ) -> None:
        """Add a custom property, with one value for all records."""
        self.command(
            "add_property",
            record_type=record_type,
            name=name,
            kind=kind,
            options=options,
            value=value,
        )

    def archive_property(self, record_type: str, name: str, *, archived: bool = True) -> None:
        """Archive a property, or bring it back."""
        self.command("archive_property", record_type=record_type, name=name, archived=archived)

    def archive_type(self, record_type: str, *, archived: bool = True) -> None:
        """Archive the schema of a custom object, or bring it back."""
        self.command("archive_type", record_type=record_type, archived=archived)

    def switches(self, **values: Any) -> dict[str, Any]:
        """Set some switches and return all."""
        return dict(self.command("switches", values=values))

    def limits(self, **values: int | None) -> dict[str, int | None]:
        """Set some rate limits, None for none, and return all."""
        return dict(self.command("limits", values=values or None))

    def no_limits(self) -> None:
        """Switch all rate limits off."""
        self.limits(**dict.fromkeys(self.limits()))

    def token(self, token: str, scopes: Sequence[str] | None = None) -> None:
        """Add a static token or replace its scopes; None allows everything."""
        self.command("token", token=token, scopes=scopes)

    def revoke(self, token: str | None = None) -> None:
        """Take a token back, all of them where none is named."""
        self.command("revoke", token=token)

    def oauth(
        self, scopes: Sequence[str] | None = None, lifetime_seconds: int = 1800
    ) -> dict[str, str]:
        """Set what later OAuth tokens may read and how long they live.

        Returns:
            client_id, client_secret and the refresh_token that is valid now.
        """
        return dict(self.command("oauth", scopes=scopes, lifetime_seconds=lifetime_seconds))

    def enable(self, type_id: str, *, enabled: bool = True) -> None:
        """Switch a type of the object library on or off."""
        self.command("enable", type_id=type_id, enabled=enabled)

    def records(self, record_type: str, *, archived: bool = False) -> list[dict[str, Any]]:
        """Return the truth: all live or archived records with all properties, by id."""
        return list(self.command("records", record_type=record_type, archived=archived))

    def associations(self, from_type: str, to_type: str) -> list[dict[str, Any]]:
        """Return the truth: all associations that can be read from one type to another."""
        return list(self.command("associations", from_type=from_type, to_type=to_type))

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of live and archived records of each type."""
        return dict(self.command("counts"))

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Run a command of the CRM.

        Raises:
            SandboxError: it is refused.
        """
        return self._post(f"{self.crm}/{name}", arguments)

    def _shared(self, name: str, /, **arguments: Any) -> Any:
        return self._post(name, arguments)

    def _post(self, path: str, arguments: Mapping[str, Any]) -> Any:
        address = f"{self.url}/_sandbox/{path}"
        answer = requests.post(address, json=arguments, timeout=ANSWER_SECONDS)
        if answer.status_code != requests.codes.ok:
            raise SandboxError(f"{path}: {answer.text}")
        return answer.json()
