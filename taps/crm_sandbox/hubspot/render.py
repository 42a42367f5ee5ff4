"""Records as HubSpot writes them, with the properties a request asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_sandbox.clock import iso
from crm_sandbox.hubspot.model import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crm_sandbox.auth import Token
    from crm_sandbox.hubspot.model import ObjectType, Property, Record

EMAIL_BODIES = frozenset({"hs_email_html", "hs_email_text", "hs_email_headers"})


def sensitive_scope(kind: ObjectType, sensitivity: str) -> str:
    """Return the scope that opens properties of a sensitivity."""
    name = "custom" if kind.custom else kind.name
    return f"crm.objects.{name}.{sensitivity}.read.v2"


def readable(kind: ObjectType, one: Property, token: Token) -> bool:
    """Say whether a token sees a property's values."""
    if one.archived_at is not None:
        return False
    if one.sensitivity != "non_sensitive":
        return token.allows([sensitive_scope(kind, one.sensitivity)])
    if kind.name == "emails" and one.name in EMAIL_BODIES:
        return token.allows(["sales-email-read"])
    return True


def chosen(kind: ObjectType, asked: Iterable[str], token: Token) -> tuple[str, ...]:
    """Return the properties of an answer: those asked for that exist, else the default ones.

    The record's id and dates are always among them; unknown names are ignored.
    """
    names = dict.fromkeys((*asked,)) or dict.fromkeys(kind.defaults)
    always = dict.fromkeys((kind.created, "hs_object_id", kind.modified))
    known = kind.properties
    return tuple(
        sorted(
            name for name in names | always if name in known and readable(kind, known[name], token)
        )
    )


def writer(
    kind: ObjectType, names: tuple[str, ...], history: tuple[str, ...], *, empty: bool
) -> Callable[[Record], dict[str, Any]]:
    """Return a function that writes records of a type with these properties.

    Args:
        kind: The object type.
        names: Properties to write.
        history: Properties whose former values are written too.
        empty: Whether unset values are empty strings instead of null.
    """
    address = f"https://app.hubspot.com/contacts/{PORTAL}/record/{kind.type_id}/"
    created, modified = kind.created, kind.modified
    unset = "" if empty else None

    def write(record: Record) -> dict[str, Any]:
        values = record.values
        get = values.get
        key = values["hs_object_id"]
        answer: dict[str, Any] = {
            "id": key,
            "properties": {name: get(name) or unset for name in names}
            if empty
            else {name: get(name) for name in names},
            "createdAt": values[created],
            "updatedAt": values[modified],
            "archived": record.archived is not None,
            "url": f"{address}{key}",
        }
        if record.archived is not None:
            answer["archivedAt"] = iso(record.archived)
        if history:
            answer["propertiesWithHistory"] = {name: _history(record, name) for name in history}
        return answer

    return write


def _history(record: Record, name: str) -> list[dict[str, Any]]:
    known = (record.history or {}).get(name)
    if known is not None:
        return known
    value = record.values.get(name)
    if value is None:
        return []
    return [history_entry(value, record.created)]


def history_entry(value: str | None, at_ms: int) -> dict[str, Any]:
    """Return one value a property has or had, as set by the CRM's user interface."""
    return {
        "value": value or "",
        "timestamp": iso(at_ms),
        "sourceType": "CRM_UI",
        "sourceId": "userId:5501",
        "sourceLabel": "CRM UI",
        "updatedByUserId": 5501,
    }
