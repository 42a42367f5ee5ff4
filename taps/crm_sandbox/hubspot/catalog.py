"""The object types of the account: ids, scopes, default properties, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from crm_sandbox.hubspot import properties
from crm_sandbox.hubspot.model import DEFINED, EPOCH, ObjectType, Property

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = {
    "contacts": 1000, "companies": 200, "deals": 300, "tickets": 60, "leads": 60, "line_items": 120,
    "products": 25, "quotes": 30, "appointments": 400, "calls": 80, "emails": 60, "meetings": 50,
    "notes": 90, "tasks": 70, "2-37000001": 23, "2-42000001": 40, "2-42000002": 8, "2-43000001": 12,
}  # fmt: skip

_CONTACTS = "crm.objects.contacts.read"
_CUSTOM = "crm.objects.custom.read"
_SYSTEM = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")


def object_types() -> dict[str, ObjectType]:
    """Return fresh object types by their key, to be changed freely."""
    made = (
        _crm("0-1", "contacts", "contact", properties.CONTACTS,
             ("email", "firstname", "lastname"), modified="lastmodifieddate",
             searched=("email", "firstname", "lastname", "phone", "company")),
        _crm("0-2", "companies", "company", properties.COMPANIES, ("domain", "name"),
             searched=("name", "domain", "phone")),
        _crm("0-3", "deals", "deal", properties.DEALS,
             ("amount", "closedate", "dealname", "dealstage", "pipeline"),
             searched=("dealname", "description"), pipelines=DEAL_PIPELINES),
        _crm("0-5", "tickets", "ticket", properties.TICKETS,
             ("content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "subject"),
             scope="tickets", searched=("subject", "content"), pipelines=TICKET_PIPELINES),
        _crm("0-136", "leads", "lead", properties.LEADS, (), searched=("hs_lead_name",),
             pipelines=LEAD_PIPELINES),
        _crm("0-8", "line_items", "line_item", properties.LINE_ITEMS,
             ("amount", "price", "quantity")),
        _crm("0-7", "products", "product", properties.PRODUCTS, ("description", "name", "price"),
             searched=("name", "description", "hs_sku")),
        _other("0-14", "quotes", "quote", properties.QUOTES, "crm.objects.quotes.read"),
        _other("0-421", "appointments", "appointment", properties.APPOINTMENTS,
               "crm.objects.appointments.read", pipelines=APPOINTMENT_PIPELINES),
        _other("0-48", "calls", "call", properties.CALLS, _CONTACTS),
        _other("0-49", "emails", "email", properties.EMAILS, _CONTACTS),
        _other("0-47", "meetings", "meeting_event", properties.MEETINGS, _CONTACTS),
        _other("0-46", "notes", "note", properties.NOTES, _CONTACTS),
        _other("0-27", "tasks", "task", properties.TASKS, _CONTACTS),
        _other("2-37000001", "division", "division", properties.DIVISION, _CUSTOM,
               searched=("division_name",)),
        _other("2-42000001", "genius_user", "genius_user", properties.GENIUS_USER, _CUSTOM),
        # Names that collide: after normalising with the one above, and with a standard type.
        _other("2-42000002", "Genius_User", "Genius_User", properties.GENIUS_USER, _CUSTOM),
        _other("2-43000001", "appointments", "appointments", properties.LOOKALIKE, _CUSTOM),
    )  # fmt: skip
    for number, one in enumerate(made):
        one.first_id = 51 + number * 100_000_000
    return {one.key: one for one in made}


def _crm(
    type_id: str,
    name: str,
    singular: str,
    own: Sequence[Property],
    defaults: tuple[str, ...],
    *,
    scope: str | None = None,
    modified: str = "hs_lastmodifieddate",
    searched: tuple[str, ...] = (),
    pipelines: Sequence[dict[str, Any]] = (),
) -> ObjectType:
    """Make one of the older types, whose created property is ``createdate``."""
    return ObjectType(
        type_id,
        name,
        singular,
        scope or f"crm.objects.{name}.read",
        modified,
        "createdate",
        (*defaults, "createdate", "hs_object_id", modified),
        _properties("createdate", modified, own),
        searched,
        pipelines,
    )


def _other(
    type_id: str,
    name: str,
    singular: str,
    own: Sequence[Property],
    scope: str,
    *,
    searched: tuple[str, ...] = (),
    pipelines: Sequence[dict[str, Any]] = (),
) -> ObjectType:
    """Make one of the types whose created property is ``hs_createdate``."""
    return ObjectType(
        type_id,
        name,
        singular,
        scope,
        "hs_lastmodifieddate",
        "hs_createdate",
        _SYSTEM,
        _properties("hs_createdate", "hs_lastmodifieddate", own),
        searched,
        pipelines,
    )


def _properties(created: str, modified: str, own: Sequence[Property]) -> dict[str, Property]:
    system = (
        Property("hs_object_id", "number", calculated=True),
        Property(created, "datetime", calculated=True),
        Property(modified, "datetime", calculated=True),
    )
    return {one.name: msgspec.structs.replace(one) for one in (*system, *own)}


def _pipeline(
    pipeline_id: str, label: str, stages: Sequence[tuple[str, dict[str, str]]], created: str
) -> dict[str, Any]:
    return {
        "id": pipeline_id,
        "label": label,
        "displayOrder": 0,
        "archived": False,
        "createdAt": created,
        "updatedAt": created,
        "stages": [
            {
                "id": stage,
                "label": stage.capitalize(),
                "displayOrder": order,
                "metadata": metadata,
                "archived": False,
                "createdAt": created,
                "updatedAt": created,
                "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            }
            for order, (stage, metadata) in enumerate(stages)
        ],
    }


def _plain(stages: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    return [(stage, {}) for stage in stages]


_DEAL_STAGES = [
    (stage, {"isClosed": str(stage.startswith("closed")).lower(), "probability": probability})
    for stage, probability in zip(
        properties.DEAL_STAGES, ("0.2", "0.4", "0.9", "1.0", "0.0"), strict=True
    )
]
DEAL_PIPELINES = (
    _pipeline("default", "Sales Pipeline", _DEAL_STAGES, EPOCH),
    _pipeline(
        "74000001",
        'Réno "special"',
        [("174000001", {"isClosed": "false", "probability": "0.5"})],
        DEFINED,
    ),
)
TICKET_PIPELINES = (
    _pipeline(
        "0",
        "Support Pipeline",
        [
            (stage, {"ticketState": "CLOSED" if stage == "4" else "OPEN"})
            for stage in properties.TICKET_STAGES
        ],
        EPOCH,
    ),
)
LEAD_PIPELINES = (_pipeline("lead-pipeline-id", "Lead", _plain(properties.LEAD_STAGES), DEFINED),)
APPOINTMENT_PIPELINES = (
    _pipeline("9001000", "Appointments", _plain(properties.APPOINTMENT_STAGES), DEFINED),
)
