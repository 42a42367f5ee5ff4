"""What is known of a Genius database: its tables under the names of their entities."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENTITIES", "FURTHER", "SECRET_COLUMNS", "Entity"]


@dataclass(frozen=True)
class Entity:
    """A stream and its table.

    Attributes:
        name: The stream.
        table: Its table.
        key: The table's key, for a database that does not declare one.
        change: The column that tells when a row was changed last; none: read whole each time.
        fallback: The column that tells it where `change` is null.
    """

    name: str
    table: str
    key: tuple[str, ...] = ("id",)
    change: str | None = "updated_at"
    fallback: str | None = None


ENTITIES = (
    Entity("division_groups", "division_group"),
    Entity("user_titles", "user_title"),
    Entity("services", "service"),
    Entity("appointment_types", "appointment_type", change=None),
    Entity("appointment_outcome_types", "appointment_outcome_type"),
    Entity("appointment_outcomes", "appointment_outcome"),
    Entity("marketing_source_types", "marketing_source_type", fallback="created_at"),
    Entity("marketsharp_sources", "marketsharp_source"),
    Entity(
        "marketsharp_marketing_source_maps",
        "marketsharp_marketing_source_map",
        key=("marketsharp_id",),
    ),
    Entity("job_statuses", "job_status", change=None),
    Entity("job_financings", "job_financing", key=("job_id",), change=None),
    Entity("job_change_order_types", "job_change_order_type", change=None),
    Entity("job_change_order_statuses", "job_change_order_status", change=None),
    Entity("job_change_order_reasons", "job_change_order_reason", change=None),
    Entity("integration_field_definitions", "integration_field_definition", change=None),
    Entity("divisions", "division"),
    Entity("division_regions", "division_region", change=None),
    Entity("marketing_sources", "marketing_source"),
    Entity("user_data", "user_data", key=("user_id",)),
    Entity("user_associations", "users_userassociations"),
    Entity("prospects", "prospect"),
    Entity("leads", "lead", key=("lead_id",), fallback="added_on"),
    Entity("integration_fields", "integration_field"),
    Entity("prospect_sources", "prospect_source", fallback="add_date"),
    Entity("appointments", "appointment"),
    Entity("quotes", "quote"),
    Entity("jobs", "job"),
    Entity("appointment_services", "appointment_to_service", key=("appointment_id", "service_id")),
    Entity("job_change_order_items", "job_change_order_item"),
    Entity("job_change_orders", "job_change_order"),
)
"""In the order in which they refer to each other."""

FURTHER = (
    Entity("third_party_sources", "third_party_source"),
    Entity("third_party_source_types", "third_party_source_type"),
    Entity("marketsharp_contacts", "marketsharp_contacts"),
    Entity("marketsharp_appointments", "marketsharp_appointments"),
)
"""Read where they exist. A change column that a table lacks is not used."""

SECRET_COLUMNS = (
    "division_group.cc_profile_id",
    "division_group.mes_profile_id",
    "division_group.mes_profile_key",
    "division_group.docusign_acct_id",
    "division_group.paysimple_*",
    "division_group.hub_account_id",
    "integration_field.field_value",
    "*.*password*",
    "*.*passwd*",
    "*.*secret*",
    "*.*token*",
    "*.*api_key*",
    "*.*private_key*",
)
"""Credentials that stand in plain columns."""
