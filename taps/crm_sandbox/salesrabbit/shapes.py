"""How records are shown and ordered, as the switches say, and what a header asks for."""

from __future__ import annotations

from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from crm_sandbox.clock import from_iso
from crm_sandbox.salesrabbit import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request

    from crm_sandbox.rest import Record
    from crm_sandbox.salesrabbit.switches import Switches

ADDRESS = ("street1", "street2", "city", "state", "zip", "country")
COORDINATES = ("latitude", "longitude")
OBJECTS = ("customFields", "integrationData")
SORTABLE = ("id", "dateCreated", "dateModified")
ORDERS: dict[str, Callable[[Record], Any]] = {
    "modified": lambda lead: lead["dateModified"],
    "newest": lambda lead: -from_iso(lead["dateModified"]),
    "scattered": lambda lead: lead["id"] * 7919 % 104_729,
}


def in_order(
    leads: list[Record], asked: str | None, switches: Switches, *, is_last_first: bool
) -> list[Record]:
    """Return leads in the order that was asked for, or in that of the account."""
    if asked in SORTABLE and switches.sorting == "honoured":
        return sorted(leads, key=lambda lead: lead[asked], reverse=is_last_first)
    order = ORDERS.get(switches.order)
    return sorted(leads, key=order) if order else leads


def lead(record: Record, switches: Switches, statuses: Iterable[Record]) -> Record:
    """Return a lead as the switches say."""
    shown = {**record, **{name: an_object(record[name], switches) for name in OBJECTS}}
    if switches.status == "abbreviation":
        short = {one["name"]: one["abbreviation"] for one in statuses}
        shown["status"] = short.get(record["status"], record["status"])
    if switches.appointment == "object" and record["appointment"]:
        shown["appointment"] = {"start": record["appointment"]}
    if switches.nested_address:
        shown["address"] = {name: shown.pop(name) for name in ADDRESS}
        shown["coordinates"] = {name: shown.pop(name) for name in COORDINATES}
    return shown


def activity(record: Record, its_lead: Record | None, switches: Switches) -> Record:
    """Return an activity as the switches say."""
    shown = {name: value for name, value in record.items() if name != "number"}
    if its_lead is not None and switches.activities_show == "now":
        shown |= records.current(its_lead)
    if switches.disposition_id == "repeats":
        shown["dispositionID"] = record["dispositionID"] % 3
    return shown


def an_object(value: Record, switches: Switches) -> Record | list[Any]:
    """Return an object, an empty one as it is written here."""
    return value or ([] if switches.empty_object == "array" else {})


def since(request: Request, header: str) -> int | None:
    """Return what a header asks for, in milliseconds; one that is no date is ignored."""
    text = request.headers.get(header)
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return round(moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() * 1000)
