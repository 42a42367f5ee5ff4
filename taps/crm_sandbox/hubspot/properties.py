"""The properties of the account's object types and how their values are made.

Names are HubSpot's own and, as examples of custom ones, those of the predecessor's account.
"""

from __future__ import annotations

from crm_sandbox import columns as make
from crm_sandbox.hubspot.model import Property as P  # noqa: N817 - the tables below are long
from crm_sandbox.words import TEXTS

JSONS = (
    '{"score": 0.25, "tags": ["a", "é"]}',
    "[]",
    '{"nested": {"big": 12345678901234567890}}',
    "{}",
)
OWNERS = tuple(str(661100 + number) for number in range(12))
LIFECYCLE = ("subscriber", "lead", "marketingqualifiedlead", "opportunity", "customer", "other")
LEAD_STATUS = ("NEW", "OPEN", "IN_PROGRESS", "UNQUALIFIED", "BAD_TIMING")
TIERS = ("Gold", "Silver", "gold", "Tier 1; special")
SERVICES = ("roof", "windows", "bath", "solar", "gutters", "attic insulation")
DEAL_STAGES = ("appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost")
TICKET_STAGES = ("1", "2", "3", "4")
APPOINTMENT_STAGES = ("9001001", "9001002", "9001003")
LEAD_STAGES = ("new-stage-id", "attempting-stage-id", "qualified-stage-id", "unqualified-stage-id")
JSONS = (
    '{"score": 0.25, "tags": ["a", "é"]}',
    "[]",
    '{"nested": {"big": 12345678901234567890}}',
    "{}",
)
BOOLS = ("true", "false")
MERGED = P("hs_merged_object_ids", "enumeration", field_type="checkbox", calculated=True)


def owner() -> P:
    """Return the owner of a record."""
    return P("hubspot_owner_id", "enumeration", make.pick(OWNERS), refers_to="OWNER")


def choice(name: str, options: tuple[str, ...], *, custom: bool = False) -> P:
    """Return an enumeration of one value."""
    return P(name, "enumeration", make.pick(options), options=options, custom=custom)


def stage(name: str, options: tuple[str, ...]) -> P:
    """Return an enumeration that is always set."""
    return P(name, "enumeration", make.always(options), "radio", options)


def checkboxes(name: str, options: tuple[str, ...]) -> P:
    """Return a custom enumeration of several values."""
    return P(name, "enumeration", make.several(options), "checkbox", options, custom=True)


def flag(name: str, *, custom: bool = False) -> P:
    """Return a boolean."""
    return P(name, "bool", make.pick(BOOLS), options=BOOLS, custom=custom)


def text(name: str, filler: make.Maker = make.texts, *, custom: bool = False) -> P:
    """Return a text."""
    return P(name, "string", filler, custom=custom)


def long_text(name: str, *, custom: bool = False) -> P:
    """Return a text of several lines."""
    return P(name, "string", make.texts, "textarea", custom=custom)


def number(name: str, filler: make.Maker, *, custom: bool = False) -> P:
    """Return a number."""
    return P(name, "number", filler, custom=custom)


def moment(name: str, days: int = 300, *, ahead: int = 0, custom: bool = False) -> P:
    """Return a date-time."""
    return P(name, "datetime", make.moments(days, ahead=ahead), custom=custom)


CONTACTS = (
    text("firstname", make.first_names),
    text("lastname", make.last_names),
    P("email", "string", make.emails, unique=True),
    P("phone", "phone_number", make.phones),
    P("mobilephone", "phone_number", make.phones),
    text("company", make.companies),
    text("jobtitle", make.pick(("Owner", "Facility Manager", "CFO / COO", "Geschäftsführer"))),
    text("website", make.urls),
    text("address", make.streets),
    text("city", make.cities),
    text("state", make.states),
    text("zip", make.zip_codes),
    text("country", make.pick(("US", "USA", "United States", "Canada", "Deutschland"))),
    choice("lifecyclestage", LIFECYCLE),
    choice("hs_lead_status", LEAD_STATUS),
    owner(),
    P("hs_additional_emails", "enumeration",
      make.several(("second@example.com", "third@example.net")), "checkbox"),
    MERGED,
    P("hs_calculated_merged_vids", "enumeration", field_type="checkbox", calculated=True),
    P("hs_email_domain", make=make.copied("email", lambda one: one.rpartition("@")[2]),
      calculated=True),
    number("num_notes", make.integers(0, 40, unset=0.4)),
    number("hs_analytics_revenue", make.decimals),
    flag("hs_is_unworked"),
    moment("notes_last_updated"),
    text("division", make.pick(("North West", "Québec", "South  Jersey", "N/A")), custom=True),
    choice("tier", TIERS, custom=True),
    text("marketsharp_id", make.serial("00MS-"), custom=True),
    number("price", make.decimals, custom=True),
    number("lead_cost", make.decimals, custom=True),
    number("lead_id", make.integers(1, 9_000_000_000_000_000), custom=True),
    moment("lead_sourced_on", custom=True),
    number("lead_is_dnc", make.integers(0, 1), custom=True),
    long_text("lead_notes", custom=True),
    text("trustedform_cert_url", make.urls, custom=True),
    text("lead_added_by_latitude", make.pick(("45.5231", "-33.87", "0", "unknown")), custom=True),
    checkboxes("service_of_interest", SERVICES),
    P("prospect_add_date", "date", make.dates(700), custom=True),
    P("home_location", "object_coordinates", make.coordinates, custom=True),
    P("enrichment", "json", make.pick(JSONS, unset=0.5), custom=True),
    P("fax_number_old", custom=True, make=make.phones, archived_at="2026-02-01T08:00:00.000Z"),
    P("national_id", "string", make.serial("ID-"), custom=True, sensitivity="sensitive"),
    P("medical_note", "string", make.texts, custom=True, sensitivity="highly_sensitive"),
)  # fmt: skip

COMPANIES = (
    text("name", make.companies),
    text("domain", make.pick(("example.com", "acme.example", "bücher.example"))),
    P("phone", "phone_number", make.phones),
    text("city", make.cities),
    text("state", make.states),
    choice("industry", ("CONSTRUCTION", "RETAIL", "REAL_ESTATE")),
    number("annualrevenue", make.decimals),
    number("numberofemployees", make.integers(1, 90_000)),
    owner(),
    number("hs_parent_company_id", make.integers(1, 9_999, unset=0.9)),
    MERGED,
    long_text("description"),
    choice("tier", TIERS, custom=True),
)

DEALS = (
    text("dealname", make.companies),
    number("amount", make.decimals),
    # Section 6 of the sheet: closedate may lack milliseconds.
    P("closedate", "datetime", make.moments(200, ahead=120, milliseconds=False)),
    stage("dealstage", DEAL_STAGES),
    stage("pipeline", ("default",)),
    choice("dealtype", ("newbusiness", "existingbusiness")),
    P("deal_currency_code", "enumeration", make.always(("USD", "CAD")), options=("USD", "CAD")),
    flag("hs_is_closed_won"),
    flag("hs_is_closed"),
    number("hs_deal_stage_probability", make.pick(("0.2", "0.9", "1.0", "0"))),
    owner(),
    MERGED,
    long_text("description"),
    choice("priority", ("low", "medium", "high"), custom=True),
    text("division", make.pick(("NW", "NE", "SW")), custom=True),
    *(moment(f"hs_v2_date_entered_{stage}") for stage in DEAL_STAGES),
)

TICKETS = (
    text("subject"),
    long_text("content"),
    stage("hs_pipeline", ("0",)),
    stage("hs_pipeline_stage", TICKET_STAGES),
    choice("hs_ticket_priority", ("LOW", "MEDIUM", "HIGH", "URGENT")),
    moment("closed_date"),
    owner(),
    MERGED,
)

LEADS = (
    text("hs_lead_name", make.companies),
    choice("hs_lead_type", ("NEW_BUSINESS", "RE_ATTEMPTING")),
    choice("hs_lead_label", ("HOT", "WARM", "COLD")),
    stage("hs_pipeline", ("lead-pipeline-id",)),
    stage("hs_pipeline_stage", LEAD_STAGES),
    owner(),
)

LINE_ITEMS = (
    text("name", make.pick(SERVICES)),
    number("quantity", make.integers(1, 60)),
    number("price", make.decimals),
    number("amount", make.decimals),
    number("hs_discount_percentage", make.pick(("0", "12.5", "33.333333333333333333"))),
    text("hs_sku", make.pick(("0012", "A-1", "a/1", "Ω"))),
    number("hs_product_id", make.integers(1, 9_999)),
)

PRODUCTS = (
    text("name", make.companies),
    long_text("description"),
    number("price", make.decimals),
    number("hs_cost_of_goods_sold", make.decimals),
    text("hs_sku", make.serial("SKU-")),
    choice("hs_product_type", ("inventory", "service")),
)

QUOTES = (
    text("hs_title", make.companies),
    choice("hs_status", ("DRAFT", "APPROVED", "REJECTED")),
    P("hs_expiration_date", "date", make.dates(100)),
    number("hs_quote_amount", make.decimals),
    choice("hs_currency", ("USD", "CAD")),
    owner(),
)

APPOINTMENTS = (
    text("hs_appointment_name", make.companies),
    P("hs_appointment_start", "datetime", make.moments(100, ahead=60, milliseconds=False)),
    moment("hs_appointment_end", 100, ahead=60),
    choice("hs_appointment_status", ("scheduled", "completed", "cancelled")),
    number("hs_duration", make.pick(("3600000", "5400000", "0"))),
    stage("hs_pipeline", ("9001000",)),
    stage("hs_pipeline_stage", APPOINTMENT_STAGES),
    owner(),
    MERGED,
    P("date", "date", make.dates(200), custom=True),
    text("time", make.pick(("10:00", "10:00:00", "2026-03-01T10:00:00Z", "noon")), custom=True),
    text("duration", make.pick(("01:30:00", "5400")), custom=True),
    flag("is_complete", custom=True),
    P("phone1", "phone_number", make.phones, custom=True),
    text("zip", make.zip_codes, custom=True),
    text("salespro_fileurl_contract", make.urls, custom=True),
    text("arrivy_user_divison_id", make.serial(""), custom=True),
    long_text("notes", custom=True),
)

DIVISION = (
    text("division_name", make.always(("North West", "Québec", "South  Jersey")), custom=True),
    text("division_label", make.pick(TEXTS), custom=True),
    P("division_code", make=make.serial("D-"), custom=True, unique=True),
    text("status", make.pick(("active", "closed")), custom=True),
    text("manager_email", make.pick(("boss@example.com", "boss@@example")), custom=True),
    text("city", make.cities, custom=True),
    text("state", make.states, custom=True),
    text("zip", make.zip_codes, custom=True),
)

GENIUS_USER = (
    text("name", make.companies, custom=True),
    text("email", make.pick(("user@example.com", "null")), custom=True),
    text("user_id", make.serial("", 700), custom=True),
    text("job_title", custom=True),
    text("user_status_inactive", make.pick(("0", "1")), custom=True),
)

LOOKALIKE = (
    text("appointment_id", make.serial("A"), custom=True),
    long_text("remark", custom=True),
)


def engagement(*own: P) -> tuple[P, ...]:
    """Return the properties of a call, e-mail, meeting, note or task."""
    return (moment("hs_timestamp"), owner(), *own)


CALLS = engagement(
    text("hs_call_title", make.companies),
    long_text("hs_call_body"),
    number("hs_call_duration", make.integers(0, 5_400_000)),
    choice("hs_call_direction", ("INBOUND", "OUTBOUND")),
)
EMAILS = engagement(
    text("hs_email_subject"),
    long_text("hs_email_html"),
    long_text("hs_email_text"),
    choice("hs_email_status", ("SENT", "BOUNCED", "DRAFT")),
    P("hs_email_headers", "json", make.pick(JSONS)),
)
MEETINGS = engagement(
    text("hs_meeting_title", make.companies),
    long_text("hs_meeting_body"),
    moment("hs_meeting_start_time", 100, ahead=50),
    choice("hs_meeting_outcome", ("SCHEDULED", "COMPLETED", "NO_SHOW")),
)
NOTES = engagement(long_text("hs_note_body"))
TASKS = engagement(
    text("hs_task_subject"),
    long_text("hs_task_body"),
    choice("hs_task_status", ("NOT_STARTED", "COMPLETED")),
    choice("hs_task_priority", ("NONE", "LOW", "HIGH")),
)
