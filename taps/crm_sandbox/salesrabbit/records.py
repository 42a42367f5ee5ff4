"""Made-up records of each type, in the API's own shape (section 6 of the sheet)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from crm_sandbox.clock import DAY_MS
from crm_sandbox.words import (
    BAD_EMAILS,
    BAD_PHONES,
    COMPANY_WORDS,
    FIRST_NAMES,
    LAST_NAMES,
    PLACES,
    STREETS,
    TEXTS,
)

if TYPE_CHECKING:
    from random import Random

Record = dict[str, Any]

STATUSES = (
    ("Appointment Set", "AS"),
    ("Closed", "CL"),
    ("Do Not Knock", "DNK"),
    ("Drive By", "DB"),
    ("Go Back", "GB"),
    ("Not Home", "NH"),
    ("Not Interested", "NI"),
)
SPARSE = 0.1
INVALID = 0.02


def stamp(at: int) -> str:
    """Write a moment as the API does: whole seconds, with a numeric offset."""
    return datetime.fromtimestamp(at // 1000, timezone.utc).isoformat()


def status(number: int) -> Record:
    """Return one of the account's statuses."""
    name, abbreviation = STATUSES[(number - 210) % len(STATUSES)]
    if number - 210 >= len(STATUSES):
        name, abbreviation = f"{name} {number}", f"{abbreviation}{number}"
    return {"id": number, "name": name, "abbreviation": abbreviation, "active": True}


def user(number: int, random: Random, at: int) -> Record:
    """Return a user; blanks are where the API has them instead of null."""
    return {
        "id": number,
        "firstName": random.choice(FIRST_NAMES),
        "lastName": random.choice(LAST_NAMES),
        "email": f"rep{number}@example.com",
        "phone": _phone(random),
        "active": random.random() > SPARSE,
        "hireDate": _maybe(random, stamp(at)[:10]),
        "businessUnit": "Home",
        "department": "Sales",
        "role": random.choice(("Rep", "Manager", "")),
        "office": random.choice(("North", "South")),
        "team": random.choice(("", "Blue", "Red")),
        "region": "West",
        "orgId": random.choice((12, 13, "")),
        "supervisorId": random.choice((911705149, "")),
        "recruiterId": "",
        "cmsId": random.choice(("", 77, "78")),
        "leadRepCmsId": "",
        "photo_url": random.choice(("", "https://img.example.com/1.png")),
        "externalIds": random.choice(([], ["A-1"])),
        "dateCreated": stamp(at),
        "dateModified": stamp(at),
    }


def lead(number: int, random: Random, at: int, owner: Record, its_status: Record) -> Record:
    """Return a lead in the flat shape of the working clients."""
    city, state, zip_code = random.choice(PLACES)
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    return {
        "id": number,
        "userId": owner["id"],
        "userName": f"{owner['firstName']} {owner['lastName']}",
        "firstName": first,
        "lastName": last,
        "businessName": random.choice(("", "", f"{random.choice(COMPANY_WORDS)} LLC")),
        "phonePrimary": _phone(random),
        "phoneAlternate": random.choice(("", _phone(random))),
        "email": _email(random, number),
        "street1": f"{random.randrange(1, 999)} {random.choice(STREETS)}",
        "street2": "",
        "city": city,
        "state": state,
        "zip": zip_code,
        "country": "US",
        "latitude": random.randrange(25_0000000, 49_0000000) / 1e7,
        "longitude": -random.randrange(67_0000000, 124_0000000) / 1e7,
        "status": its_status["name"],
        "notes": random.choice(TEXTS),
        "customFields": random.choice(({}, {"roofAge": str(random.randrange(40))})),
        "integrationData": {},
        "appointment": random.choice(("", stamp(at + 3 * DAY_MS))),
        "campaignId": _maybe(random, random.randrange(1, 9)),
        "files": [],
        "dateOfBirth": random.choice((None, None, "1980-02-29")),
        "statusModified": stamp(at),
        "ownerModified": stamp(at),
        "dateCreated": stamp(at),
        "dateModified": stamp(at + random.randrange(60_000)),
        "deletedAt": None,
    }


def event(number: int, of: Record, its_status: Record, at: int) -> Record:
    """Return a visit of a lead to a status; `number` and `leadId` are the sandbox's own."""
    return {
        "number": number,
        "leadId": of["id"],
        **its_status,
        "changedByUserId": str(of["userId"]),
        "statusUpdated": stamp(at),
    }


def activity(number: int, random: Random, of: Record, its_status: Record, at: int) -> Record:
    """Return what a rep did at a door; `number` is the sandbox's own."""
    return {
        "number": number,
        "dispositionID": number,
        "dispositionLeadID": of["id"],
        "dispositionLeadStatusID": its_status["id"],
        "dispositionLeadStatusName": its_status["name"],
        "dispositionLeadStatusAbbreviation": its_status["abbreviation"],
        "dispositionLeadStageID": str(random.randrange(1, 4)),
        "dispositionTimestamp": stamp(at),
        "dispositionType": random.choice(("STATUS", "NOTE")),
        "dispositionerID": str(of["userId"]),
        "dispositionerProximityInFeet": random.randrange(10_000) / 100,
        "dispositionerProximityLatitude": of["latitude"],
        "dispositionerProximityLongitude": of["longitude"],
        "dispositionerProximityStatus": random.choice(("NEAR", "FAR", "")),
        **current(of),
        "currentLeadOwnerEmail": f"rep{of['userId']}@example.com",
        "currentOnDeviceStatusCreated": stamp(at)[:19],
        "currentOnDeviceStatusModified": stamp(at + random.randrange(60_000))[:19],
    }


def current(of: Record) -> Record:
    """Return what an activity says of its lead."""
    return {
        "currentLeadCreated": of["dateCreated"],
        "currentLeadModified": of["dateModified"],
        "currentLeadCustomFields": of["customFields"],
        "currentLeadFirstName": of["firstName"],
        "currentLeadLastName": of["lastName"],
        "currentLeadIsActive": of["deletedAt"] is None,
        "currentLeadLatitude": of["latitude"],
        "currentLeadLongitude": of["longitude"],
        "currentLeadOwnerID": of["userId"],
    }


def _maybe(random: Random, value: Any) -> Any:
    return None if random.random() < SPARSE else value


def _email(random: Random, number: int) -> str:
    if random.random() < INVALID:
        return random.choice(BAD_EMAILS)
    return random.choice(("", f"lead{number}@example.com"))


def _phone(random: Random) -> str:
    if random.random() < INVALID:
        return random.choice(BAD_PHONES)
    return f"{random.randrange(2_000_000_000, 9_999_999_999)}"
