"""Made-up records, each with everything that CallRail could say about it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dateutil.tz import gettz

from crm_sandbox import words
from crm_sandbox.clock import iso

if TYPE_CHECKING:
    from random import Random

    from crm_sandbox.rest import Record

ZONES = ("America/Los_Angeles", "America/Denver", "America/New_York")
COLORS = ("red1", "blue2", "gray1")
SOURCES = (("Google Ads", "CPC"), ("Google Organic", "organic"), ("Direct", None))


def local(at: int, zone: str) -> str:
    """Write a moment as calls have it: with the offset of the company's zone."""
    when = datetime.fromtimestamp(at / 1000, timezone.utc).astimezone(gettz(zone))
    return when.isoformat(timespec="milliseconds")


def person(random: Random) -> str:
    """Return somebody's name."""
    return f"{random.choice(words.FIRST_NAMES)} {random.choice(words.LAST_NAMES)}"


def number(random: Random) -> str:
    """Return a telephone number in E.164."""
    return f"+1{random.choice((415, 503, 617, 720))}{random.randrange(2_000_000, 9_999_999)}"


def formatted(phone: str) -> str:
    """Return a number as CallRail writes it for people."""
    return f"{phone[2:5]}-{phone[5:8]}-{phone[8:]}"


def address(random: Random) -> str:
    """Return an e-mail address."""
    return f"{random.choice(('ada', 'sam', 'noor', 'vera'))}{random.randrange(1000)}@example.com"


def maybe(random: Random, value: Any, chance: float = 0.5) -> Any:
    """Return the value, or nothing."""
    return value if random.random() < chance else None


def account(serial: int, random: Random) -> Record:
    """Return an account."""
    return {
        "id": f"ACC{serial:04d}",
        "name": f"{random.choice(words.COMPANY_WORDS)} {serial}",
        "outbound_recording_enabled": random.random() < 0.5,  # noqa: PLR2004
        "hipaa_account": False,
        "numeric_id": 700_000_000 + serial,
    }


def company(serial: int, random: Random, at: int, account_id: str) -> Record:
    """Return a company."""
    name = f"{random.choice(words.COMPANY_WORDS)} {random.choice(words.COMPANY_KINDS)}"
    return {
        "account_id": account_id,
        "id": f"COM{serial:04d}",
        "name": name,
        "status": "active",
        "time_zone": random.choice(ZONES),
        "created_at": iso(at),
        "disabled_at": None,
        "dni_active": maybe(random, value=True),
        "script_url": f"//cdn.example.com/companies/{serial}/swap.js",
        "callscore_enabled": False,
        "lead_scoring_enabled": True,
        "callscribe_enabled": False,
        "keyword_spotting_enabled": True,
        "form_capture": True,
        "swap_exclude_jquery": None,
        "swap_ppc_override": maybe(random, value=False),
        "swap_landing_override": maybe(random, "cr"),
        "swap_cookie_duration": random.randrange(1, 90),
        "swap_cookie_duration_unit": random.choice(("days", "weeks", "months")),
        "verified_caller_ids": [{"name": "Office", "phone_number": number(random)}],
    }


def tracker(serial: int, random: Random, at: int, of: Record) -> Record:
    """Return a tracker of a company."""
    return {
        "account_id": of["account_id"],
        "company_id": of["id"],
        "id": f"TRK{serial:04d}",
        "name": f"Tracker {random.choice(words.COMPANY_WORDS)}",
        "type": random.choice(("session", "source")),
        "status": "active",
        "destination_number": number(random),
        "tracking_numbers": [number(random)],
        "whisper_message": maybe(random, random.choice(words.TEXTS)),
        "sms_enabled": True,
        "sms_supported": True,
        "company": {"id": of["id"], "name": of["name"]},
        "call_flow": {"type": "basic", "recording_enabled": True},
        "source": {"type": "google_ad_extension"},
        "message_flow": None,
        "created_at": iso(at),
        "disabled_at": None,
        "campaign_name": maybe(random, "Spring"),
        "swap_targets": [],
    }


def tag(serial: int, random: Random, at: int, of: Record) -> Record:
    """Return a tag of a company or an account."""
    own = random.random() < 0.5  # noqa: PLR2004
    return {
        "account_id": of["account_id"],
        "id": 5000 + serial,
        "name": f"{random.choice(('Estimate', 'Spam?', 'Käse'))} {serial}",
        "tag_level": "company" if own else "account",
        "color": random.choice(COLORS),
        "background_color": random.choice(COLORS),
        "company_id": of["id"] if own else None,
        "status": "enabled",
        "created_at": local(at, of["time_zone"]),
    }


def user(serial: int, random: Random, at: int, of: Record) -> Record:
    """Return a user."""
    first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
    return {
        "account_id": of["account_id"],
        "id": f"USR{serial:04d}",
        "email": address(random),
        "created_at": local(at, of["time_zone"]),
        "role": random.choice(("admin", "reporting", "manager")),
        "first_name": first,
        "last_name": last,
        "name": f"{first} {last}",
        "accepted": True,
        "companies": [{"id": of["id"], "name": of["name"]}],
    }


def lead(serial: int, random: Random, at: int, of: Record) -> Record:
    """Return a person."""
    return {
        "account_id": of["account_id"],
        "id": f"PER{serial:04d}",
        "name": person(random),
        "phone": number(random),
        "email": maybe(random, address(random)),
        "created_at": iso(at),
        "company_id": of["id"],
        "company_name": of["name"],
    }


def form(serial: int, random: Random, at: int, of: Record, tags: list[str]) -> Record:
    """Return a form submission."""
    name, phone = person(random), number(random)
    source, medium = random.choice(SOURCES)
    return {
        "account_id": of["account_id"],
        "id": f"FOR{serial:08x}",
        "company_id": of["id"],
        "person_id": random.choice(("anonymous", f"PER{random.randrange(1, 9):04d}")),
        "form_data": {"your_name": name, "message": random.choice(words.TEXTS)},
        "form_url": "https://example.com/contact",
        "landing_page_url": "https://example.com/",
        "referrer": "google",
        "referring_url": "https://www.google.com/",
        "submitted_at": iso(at),
        "first_form": random.random() < 0.5,  # noqa: PLR2004
        "customer_phone_number": phone,
        "customer_name": name,
        "customer_email": address(random),
        "formatted_customer_phone_number": formatted(phone),
        "formatted_customer_name": name,
        "source": source,
        "keywords": None,
        "campaign": None,
        "medium": medium,
        "company_name": of["name"],
        "lead_status": random.choice((None, "good_lead", "not_a_lead")),
        "value": maybe(random, random.randrange(10_000)),
        "note": maybe(random, random.choice(words.TEXTS)),
        "tags": tags,
        "utm_source": maybe(random, "google"),
        "utm_medium": None,
        "utm_campaign": None,
        "form_name": "Contact",
        "timeline_url": f"https://app.callrail.com/timeline/{serial}",
        "milestones": {"first_touch": {"event_date": iso(at - 60_000), "source": source}},
    }


def text(random: Random, at: int, serial: int) -> Record:
    """Return one text of a conversation."""
    incoming = random.random() < 0.5  # noqa: PLR2004
    return {
        "id": f"SCI{serial:06d}",
        "content": random.choice(words.TEXTS),
        "created_at": iso(at),
        "status": None if incoming else "sent",
        "direction": "incoming" if incoming else "outgoing",
        "type": "sms",
        "media_urls": [],
        "user": None if incoming else {"id": "USR0001", "name": person(random)},
    }


def conversation(serial: int, random: Random, at: int, of: Record, texts: list[Record]) -> Record:
    """Return a conversation; `created_at` is the sandbox's own."""
    customer, line, name = number(random), number(random), person(random)
    return {
        "account_id": of["account_id"],
        "created_at": iso(at),
        "messages": texts,
        "id": f"K{serial:04X}",
        "company_id": of["id"],
        "initial_tracker_id": "TRK0001",
        "current_tracker_id": maybe(random, "TRK0001"),
        "customer_name": maybe(random, name),
        "customer_phone_number": customer,
        "initial_tracking_number": line,
        "current_tracking_number": line,
        "last_message_at": texts[-1]["created_at"],
        "state": random.choice(("active", "archived")),
        "company_time_zone": of["time_zone"],
        "formatted_customer_phone_number": formatted(customer),
        "formatted_initial_tracking_number": formatted(line),
        "formatted_current_tracking_number": formatted(line),
        "formatted_customer_name": name,
        "lead_status": random.choice((None, "good_lead")),
        "source": random.choice(SOURCES)[0],
    }


def notification(serial: int, random: Random, at: int, of: Record) -> Record:  # noqa: ARG001
    """Return who is told of calls."""
    return {
        "account_id": of["account_id"],
        "id": 9000 + serial,
        "user_id": "USR0001",
        "email": address(random),
        "alert_type": "text_alert",
        "call_enabled": True,
        "company_id": of["id"],
        "name": person(random),
        "send_desktop": False,
        "send_email": True,
        "send_push": False,
        "sms_enabled": False,
        "tracker_id": None,
    }


def integration(serial: int, random: Random, at: int, of: Record) -> Record:  # noqa: ARG001
    """Return a connection with another system."""
    return {
        "account_id": of["account_id"],
        "company_id": of["id"],
        "id": 3000 + serial,
        "type": random.choice(("Webhooks", "GoogleAnalytics")),
        "state": "active",
        "config": {"access_token": "not to be loaded"},
    }


def caller_id(serial: int, random: Random, at: int, of: Record) -> Record:
    """Return a number to call from."""
    return {
        "account_id": of["account_id"],
        "id": 4000 + serial,
        "phone_number": number(random),
        "name": person(random),
        "company_id": of["id"],
        "verified": True,
        "created_at": iso(at),
        "validation_code": None,
    }
