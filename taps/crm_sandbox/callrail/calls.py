"""Made-up calls, with everything that can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_sandbox import words
from crm_sandbox.callrail.generate import SOURCES, address, formatted, local, maybe, number, person
from crm_sandbox.clock import iso

if TYPE_CHECKING:
    from random import Random

    from crm_sandbox.rest import Record

API = "https://api.callrail.com/v3/a"
APP = "https://app.callrail.com"


def call(serial: int, random: Random, at: int, of: Record, tags: list[str]) -> Record:
    """Return a call of a tracker; `of` is its company, with `tracker` beside its own fields."""
    call_id = f"CAL{serial:08x}{random.getrandbits(96):024x}"
    seconds = maybe(random, random.randrange(5, 3600), 0.9)
    customer, line, office = number(random), number(random), number(random)
    city, state, zip_code = random.choice(words.PLACES)
    name, secret = person(random), f"{random.getrandbits(64):x}"
    return {
        "account_id": of["account_id"],
        "page_views": [
            {
                "page_url": f"https://example.com/page/{page}",
                "referrer_url": None,
                "created_at": iso(at - 1000 * page),
            }
            for page in range(random.randrange(3))
        ],
        "id": call_id,
        "answered": seconds is not None,
        "business_phone_number": office,
        "customer_city": city,
        "customer_country": "US",
        "customer_name": name,
        "customer_phone_number": customer,
        "customer_state": state or None,
        "direction": random.choice(("inbound", "outbound")),
        "duration": seconds,
        "recording": f"{API}/{of['account_id']}/calls/{call_id}/recording.json",
        "recording_duration": None if seconds is None else str(seconds - 2),
        "recording_player": f"{APP}/calls/{call_id}/recording?access_key={secret}",
        "start_time": local(at, of["time_zone"]),
        "tracking_phone_number": line,
        "voicemail": seconds is None,
        "agent_email": maybe(random, address(random)),
        "call_type": random.choice(("answered", "missed", "voicemail", "abandoned")),
        "company_id": of["id"],
        "company_name": of["name"],
        "company_time_zone": of["time_zone"],
        "created_at": local(at, of["time_zone"]),
        "tracker_id": of.get("tracker"),
        "tags": tags,
        "zip_code": [zip_code],
        **_formatted(name, customer, line, office),
        **_attribution(random, at),
        **_conversation(random),
        **_lead(random, at),
    }


def _formatted(name: str, customer: str, line: str, office: str) -> dict[str, Any]:
    return {
        "formatted_business_phone_number": formatted(office),
        "formatted_call_type": "Answered Call",
        "formatted_customer_location": "Reno, NV",
        "formatted_customer_name": name,
        "formatted_customer_name_or_phone_number": name,
        "formatted_customer_phone_number": formatted(customer),
        "formatted_duration": "3m 4s",
        "formatted_tracking_phone_number": formatted(line),
        "formatted_tracking_source": "Google Ads",
        "formatted_value": "--",
    }


def _attribution(random: Random, at: int) -> dict[str, Any]:
    source, medium = random.choice(SOURCES)
    return {
        "campaign": maybe(random, "Spring & Summer"),
        "device_type": random.choice(("Mobile", "Desktop", None)),
        "fbclid": None,
        "ga": maybe(random, "GA1.2.3"),
        "gclid": maybe(random, "Cj0KCQ"),
        "keywords": maybe(random, "roof repair"),
        "landing_page_url": "https://example.com/",
        "last_requested_url": "https://example.com/contact",
        "medium": medium,
        "milestones": {"first_touch": {"event_date": iso(at - 60_000), "source": source}},
        "msclkid": None,
        "referrer_domain": "google.com",
        "referring_url": "https://www.google.com/",
        "session_uuid": f"{random.getrandbits(64):016x}",
        "source": source,
        "source_name": "Website pool",
        "timeline_url": "https://app.callrail.com/timeline",
        "utm_campaign": None,
        "utm_content": None,
        "utm_medium": maybe(random, "cpc"),
        "utm_source": maybe(random, "google"),
        "utm_term": None,
    }


def _conversation(random: Random) -> dict[str, Any]:
    return {
        "call_highlights": ["estimate"],
        "call_summary": maybe(random, "Wants a quote."),
        "custom": {"field": random.randrange(9)},
        "keypad_entries": {"1": "sales"},
        "keywords_spotted": [
            {"keyword": "price", "locations": [{"speaker": "customer", "start": 3}]}
        ],
        "lead_explanation": None,
        "lead_score": maybe(random, str(random.randrange(100))),
        "sentiment": random.choice((None, "positive", "negative")),
        "speaker_percent": {"agent": 40, "customer": 60},
        "transcription": maybe(random, random.choice(words.TEXTS)),
        "voice_assist_message": None,
        "waveforms": ["https://app.callrail.com/waveforms/1.png"],
    }


def _lead(random: Random, at: int) -> dict[str, Any]:
    return {
        "first_call": random.random() < 0.5,  # noqa: PLR2004
        "good_lead_call_id": maybe(random, random.randrange(1, 10**9)),
        "good_lead_call_time": maybe(random, iso(at)),
        "lead_status": random.choice((None, "good_lead", "not_a_lead")),
        "note": maybe(random, random.choice(words.TEXTS)),
        "person_id": f"PER{random.randrange(1, 9):04d}",
        "prior_calls": random.randrange(5),
        "total_calls": random.randrange(1, 6),
        "value": maybe(random, random.randrange(10_000)),
    }
