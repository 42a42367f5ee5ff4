"""Made-up records of an Arrivy account, in the shape in which its API shows them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from crm_sandbox.words import BAD_EMAILS, FIRST_NAMES, LAST_NAMES, PLACES, STREETS, TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from crm_sandbox.rest import Record

    Rows = Callable[[str], Sequence[Record]]

__all__ = ["MAKERS", "moment"]

FIRST_ID = 4_503_599_627_370_496
"""Ids have 16 digits, close to what a float can hold."""
OWNER = 5_629_499_534_210_001
STEP = 130_700_000_017
LOCAL = timezone(timedelta(hours=-7))
EVENTS = ("CONFIRMED", "ENROUTE", "STARTED", "COMPLETE")


def moment(at_ms: int) -> str:
    """Write a moment as Arrivy does: UTC, whole seconds, no zone mark."""
    return f"{datetime.fromtimestamp(at_ms // 1000, timezone.utc):%Y-%m-%dT%H:%M:%S}"


def row_id(number: int, kind: int) -> int:
    """Return the id of the n-th record of a type."""
    return FIRST_ID + number * STEP + kind


def _place(random: Random) -> Record:
    city, state, zip_code = random.choice(PLACES)
    street = f"{random.randrange(1, 900)} {random.choice(STREETS)}"
    return {
        "address_line_1": street,
        "address_line_2": random.choice([None, "", "Unit 4"]),
        "city": city,
        "state": state,
        "country": "USA",
        "zipcode": zip_code,
    }


def _person(random: Random) -> Record:
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    address = f"c{random.randrange(10**6)}@example.com"
    return {
        "first_name": first,
        "last_name": last,
        "email": random.choice([*[address] * 18, None, random.choice(BAD_EMAILS)]),
        "mobile_number": f"+1303555{random.randrange(10_000):04}",
    }


def _spot(random: Random) -> Record:
    return {
        "lat": round(random.uniform(25, 48), 6),
        "lng": round(random.uniform(-120, -70), 6),
    }


def group(random: Random, at: int, _: Rows) -> Record:
    """Return a group; some are disabled."""
    return {
        "owner": OWNER,
        "name": f"Division {random.choice(PLACES)[0]} {random.randrange(1000)}",
        "description": random.choice(TEXTS),
        "email": "division@example.com",
        "phone": "+13035550100",
        "emergency": None,
        **_place(random),
        "timezone": "US/Mountain",
        "is_default": False,
        "is_disabled": random.random() < 0.3,  # noqa: PLR2004
        "is_implicit": False,
        "exact_location": _spot(random),
        "territory_ids": [],
        "extra_fields": None,
        "created": moment(at),
        "updated": moment(at),
    }


def template(random: Random, _: int, rows: Rows) -> Record:
    """Return a type of task."""
    return {
        "owner": OWNER,
        "name": random.choice(("Estimate", "Installation", "Service")),
        "description": random.choice(TEXTS),
        "is_default": False,
        "enabled": True,
        "default_company_type": random.randrange(5),
        "disable_auto_start_complete": False,
        "auto_start_delay_time": 10,
        "auto_complete_delay_time": 30,
        "custom_messages": {"late": random.choice(TEXTS)},
        "statuses": [random.randrange(FIRST_ID, FIRST_ID * 2)],
        "status_texts": [],
        "status_data": [{"type_id": 3, "title": f"Started {len(rows('templates'))}"}],
    }


def status(random: Random, at: int, rows: Rows) -> Record:
    """Return one of the account's statuses."""
    number = len(rows("statuses"))
    return {
        "title": f"{random.choice(('On Our Way', 'Started', 'Done', 'No Show'))} {number}",
        "description": random.choice(TEXTS),
        "is_active": random.random() < 0.8,  # noqa: PLR2004
        "type_id": number,
        "type": random.choice(EVENTS),
        "order": number,
        "visible_to_customer": True,
        "require_signature": False,
        "require_rating": False,
        "color": f"#{random.randrange(0x1000000):06x}",
        "created": moment(at),
        "updated": moment(at),
    }


def entity(random: Random, at: int, rows: Rows) -> Record:
    """Return a crew member, who is somewhere else at each look."""
    person = _person(random)
    groups = [row["id"] for row in rows("groups")]
    return {
        "type": random.choice(("Installer", "Estimator", "")),
        "owner": OWNER,
        "name": f"{person['first_name']} {person['last_name']}",
        "email": person["email"],
        "phone": person["mobile_number"],
        "details": random.choice(TEXTS),
        "extra_fields": random.choice([None, {"truck": random.randrange(40)}]),
        "group_id": random.choice([None, *groups]),
        "additional_group_ids": random.sample(groups, min(2, len(groups))),
        "image_id": None,
        "image_path": None,
        "external_id": f"E-{len(rows('entities'))}",
        "permission": random.choice(("ADMIN", "SCHEDULER", "FIELDCREW", "LIMITEDACCESS")),
        "is_active": True,
        "is_disabled": False,
        "color": "#00ff00",
        "can_manage_crews": {"all": False},
        "skill_ids": [],
        "created": moment(at),
        "updated": moment(at),
        "created_by": OWNER,
    }


def resource(random: Random, _: int, rows: Rows) -> Record:
    """Return a piece of equipment."""
    return {
        "type": random.choice(("Truck", "Crane")),
        "owner": OWNER,
        "name": f"Truck {len(rows('resources'))}",
        "details": random.choice(TEXTS),
        "extra_fields": None,
        "group_id": None,
        "image_id": None,
        "image_path": None,
    }


def customer(random: Random, _: int, rows: Rows) -> Record:
    """Return a customer; one in five has next to nothing, as all but id and owner is optional."""
    if random.random() < 0.2:  # noqa: PLR2004
        return {"owner": OWNER, "notes": None, "city": None, "extra_fields": None}
    return {
        "owner": OWNER,
        **_person(random),
        "company_name": random.choice([None, "", "Example & Sons"]),
        "phone": random.choice([None, "(303) 555-0199"]),
        **_place(random),
        "exact_location": random.choice([None, _spot(random)]),
        "notes": random.choice(TEXTS),
        "notifications": {"email": False, "sms": True},
        "extra_fields": random.choice([None, {"lead_source": "web", "score": 4.50}]),
        "external_id": f"C-{len(rows('customers'))}",
    }


def booking(random: Random, at: int, rows: Rows) -> Record:
    """Return a booking calendar."""
    number = len(rows("bookings"))
    return {
        "url_safe_id": f"ag9zfmV4YW1wbGU{number}",
        "name": f"Book an estimate {number}",
        "description": random.choice(TEXTS),
        "owner": OWNER,
        "template": str(random.choice([row["id"] for row in rows("templates")] or [1])),
        "time_zone": "US/Mountain",
        "duration": 60,
        "status": random.choice(("ACTIVE", "PAUSED")),
        "created": moment(at),
        "updated": moment(at),
        "created_by": OWNER,
    }


def task(random: Random, at: int, rows: Rows) -> Record:
    """Return a task: most are scheduled, one in eight is not, one in ten has no date at all."""
    start = at + random.randrange(-5, 40) * 86_400_000
    end = start + random.choice((30, 60, 120)) * 60_000
    chance = random.random()
    unscheduled = chance < 0.12  # noqa: PLR2004
    dateless = 0.12 <= chance < 0.22  # noqa: PLR2004
    person, place = _person(random), _place(random)
    crew = [row["id"] for row in rows("entities")]
    customers = [row["id"] for row in rows("customers")]
    kind = random.choice(("CONFIRMED", "COMPLETE", "CANCELLED", "NOTSTARTED"))
    return {
        "url_safe_id": f"ag9zfmV4YW1wbGV0{len(rows('tasks'))}",
        "owner": OWNER,
        "title": random.choice(("Window estimate", "Roof", "Wärmepumpe", 'Door "oak"')),
        "details": random.choice(TEXTS),
        "start_datetime": None if dateless else moment(start),
        "end_datetime": None if dateless else moment(end),
        "start_datetime_original_iso_str": None if dateless else _local(start),
        "end_datetime_original_iso_str": None if dateless else _local(end),
        "unscheduled": unscheduled,
        "duration": (end - start) // 60_000,
        "status": kind,
        "status_title": kind.capitalize(),
        "template": random.choice([row["id"] for row in rows("templates")] or [1]),
        "customer_id": random.choice(customers or [None]),
        **{f"customer_{name}": value for name, value in (person | place).items()},
        "customer_exact_location": random.choice([None, _spot(random)]),
        "additional_addresses": [],
        "entity_ids": random.sample(crew, min(len(crew), random.randrange(3))),
        "resource_ids": [row["id"] for row in rows("resources")[:1]],
        "group_id": random.choice([None, *[row["id"] for row in rows("groups")]]),
        "mileage": [12.5, 3],
        "travel_time": random.choice(["00:10", 10, None]),
        "rating": random.choice([None, 5, 4.5]),
        "extra_fields": random.choice([None, {"lead_source": "web"}, {"gate": random.random()}]),
        "notifications": {"email": False, "sms": True},
        "external_id": f"A-{len(rows('tasks'))}",
        "is_archived": False,
        "files": [],
        "created": moment(at),
        "updated": moment(at),
        "created_by": OWNER,
        "updated_by": OWNER,
    }


def event(random: Random, at: int, rows: Rows) -> Record:
    """Return a status event; `_task_id` is not shown. The first task has the most."""
    tasks = rows("tasks")
    parent = tasks[0] if random.random() < 0.2 else random.choice(tasks)  # noqa: PLR2004
    kind = random.choice(EVENTS)
    return {
        "_task_id": parent["id"],
        "type": kind,
        "title": kind.capitalize(),
        "time": moment(at),
        "time_original_iso_str": _local(at),
        "reporter_name": random.choice(FIRST_NAMES),
        "reporter_id": OWNER,
        "source": random.choice(("web", "email", "sms", "app")),
        "extra_fields": {"notes": random.choice(TEXTS), "visible_to_customer": True},
    }


def _local(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, LOCAL).isoformat()


MAKERS: dict[str, Callable[[Random, int, Rows], Record]] = {
    "groups": group,
    "templates": template,
    "statuses": status,
    "entities": entity,
    "resources": resource,
    "customers": customer,
    "bookings": booking,
    "tasks": task,
    "task_statuses": event,
}
"""Record type → what makes one, given chance, a moment and what was made before."""
