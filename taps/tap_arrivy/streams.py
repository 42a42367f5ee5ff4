"""The lists of an account around its tasks: customers, people, equipment, groups, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tapkit.errors import AccessDenied, BadRequest, NotFound
from tapkit.fields import Field

from tap_arrivy.lists import OTHER, Listing, columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_arrivy.client import Row
    from tap_arrivy.tap import TapArrivy

__all__ = [
    "Bookings",
    "Customers",
    "Entities",
    "Groups",
    "Resources",
    "Statuses",
    "Templates",
]

UNDOCUMENTED = (AccessDenied, BadRequest, NotFound)
"""How a list may be refused that is in none of Arrivy's documents."""

ADDRESS = (
    *columns("string", "address_line_1", "address_line_2", "city", "state", "country"),
    Field("zipcode", "zip_code"),
)
PLACE = (
    *columns("string", "complete_address"),
    Field("exact_location", "object", description="lat, lng"),
    *columns("boolean", "use_lat_lng_address", "is_address_geo_coded"),
)
IMAGE = (*columns("object_id", "image_id"), *columns("string", "image_path"))
CHANGED = (
    *columns("datetime", "created", "updated"),
    *columns("object_id", "created_by", "updated_by"),
    *columns("string", "created_by_user", "updated_by_user"),
)
PERSON = (
    *columns("string", "first_name", "last_name", "company_name"),
    *columns("email", "email"),
    *columns("phone", "phone", "mobile_number"),
)


class Customers(Listing):
    """Customers; only id and owner are always there."""

    name = "customers"
    endpoint = "/customers"
    fields = (
        *columns("object_id", "id", "owner"),
        *PERSON,
        *ADDRESS,
        Field("exact_location", "object", description="lat, lng"),
        *columns("string", "timezone", "notes"),
        *columns("object", "notifications"),
        *columns("json", "extra_fields", "additional_addresses"),
        *columns("object_id", "group_id", "external_id"),
        *columns("datetime", "created", "updated"),
        OTHER,
    )


class Entities(Listing):
    """Crew members; one row is a person, or what the account takes for one."""

    name = "entities"
    endpoint = "/entities"
    id_lists = ("additional_group_ids", "skill_ids")
    last_reading = Field(
        "lastreading",
        "object",
        name="last_reading",
        description="With the setting positions: where somebody was last, and when",
    )
    fields = (
        *columns("object_id", "id", "owner"),
        *columns("string", "name", "username"),
        Field("type", description="Role, free text"),
        Field("permission", description="ADMIN, SCHEDULER, FIELDCREW or LIMITEDACCESS"),
        *columns("email", "email"),
        *columns("phone", "phone"),
        *columns("string", "details", "user_type", "invite_status", "color", "url_safe_id"),
        *columns("object_id", "external_id", "group_id"),
        *columns("string", "external_type"),
        *columns("array", "additional_group_ids"),
        *columns("boolean", "is_active", "is_disabled", "is_default"),
        *IMAGE,
        *ADDRESS,
        *PLACE,
        *columns(
            "boolean",
            "allow_login_in_kiosk_mode_only",
            "can_turnoff_location",
            "can_view_customers_of_all_groups",
            "is_status_priority_notifications_disabled",
            "is_included_in_billing",
            "force_stop_billing",
        ),
        *columns(
            "json",
            "can_manage_resources",
            "can_manage_crews",
            "can_manage_entities",
            "skill_ids",
            "skill_details",
            "visible_bookings",
            "visible_routing_forms",
            "notifications",
            "allow_status_notifications",
            "permission_groups",
            "email_invitation",
            "extra_fields",
            "template_extra_fields",
        ),
        *columns("object_id", "template_id", "okta_user_id"),
        *columns("datetime", "joined_datetime"),
        *CHANGED,
        last_reading,
        OTHER,
    )

    def __init__(self, tap: TapArrivy) -> None:
        if not tap.config["positions"]:
            self.fields = tuple(field for field in self.fields if field is not self.last_reading)
        super().__init__(tap)


class Groups(Listing):
    """Groups: locations, divisions or teams, disabled ones included."""

    name = "groups"
    endpoint = "/groups"
    query: ClassVar = {"get_disabled_groups": "true"}
    id_lists = ("territory_ids",)
    fields = (
        *columns("object_id", "id", "owner"),
        *columns("string", "name", "description"),
        *columns("email", "email"),
        *columns("phone", "phone", "mobile_number"),
        *columns("string", "emergency", "website", "url_safe_id"),
        *ADDRESS,
        *PLACE,
        *columns("string", "timezone"),
        *IMAGE,
        *columns("boolean", "is_default", "is_disabled", "is_implicit"),
        *columns("json", "social_links", "additional_addresses", "territory_ids", "extra_fields"),
        *columns("object_id", "created_by"),
        *columns("datetime", "created", "updated"),
        OTHER,
    )

    def read(self) -> Iterator[list[Row]]:
        try:
            yield from super().read()
        except BadRequest as error:
            if not self.query:
                raise
            self.query = {}  # type: ignore[misc]  # what clients send is in no document
            self.keep_unread()
            self.logger.warning("Disabled groups are left out, and no deletions found: %s", error)
            yield from super().read()


class Resources(Listing):
    """Equipment that tasks need."""

    name = "resources"
    endpoint = "/resources"
    tolerated = (NotFound,)
    fields = (
        *columns("object_id", "id", "owner"),
        *columns("string", "type", "name", "details"),
        *columns("object_id", "group_id", "external_id"),
        *columns("json", "extra_fields"),
        *IMAGE,
        *columns("datetime", "created", "updated"),
        OTHER,
    )


class Templates(Listing):
    """Types of task, each with the statuses that a task of it can have."""

    name = "templates"
    endpoint = "/templates"
    tolerated = (NotFound,)
    has_pages = False
    id_lists = ("statuses", "status_texts")
    fields = (
        *columns("object_id", "id", "owner"),
        *columns("string", "name", "description"),
        *columns("boolean", "is_default", "enabled"),
        *columns("integer", "default_company_type"),
        *columns("boolean", "disable_auto_start_complete"),
        Field("auto_start_delay_time", "integer", description="Minutes"),
        Field("auto_complete_delay_time", "integer", description="Minutes"),
        *columns("json", "custom_messages"),
        Field("statuses", "array", description="Ids"),
        Field("status_texts", "array", description="Ids"),
        Field("status_data", "array", description="The statuses themselves"),
        *columns("json", "extra_fields"),
        *columns("datetime", "created", "updated"),
        OTHER,
    )


class Statuses(Listing):
    """The account's statuses of tasks, inactive ones included.

    Templates have them too, in `status_data`, and there they are documented.
    """

    name = "statuses"
    endpoint = "/statuses"
    has_pages = False
    tolerated = UNDOCUMENTED
    fields = (
        *columns("object_id", "id"),
        *columns("string", "name", "title", "description"),
        *columns("boolean", "is_active"),
        *columns("object_id", "type_id"),
        Field("type", name="status_type"),
        *columns("integer", "order"),
        *columns("boolean", "visible_to_customer", "require_signature", "require_rating"),
        *columns("string", "color"),
        *columns("datetime", "created", "updated"),
        OTHER,
    )


class Bookings(Listing):
    """Booking calendars, most likely: what customers can book. What they booked is in tasks."""

    name = "bookings"
    endpoint = "/bookings"
    tolerated = UNDOCUMENTED
    id_lists = ("entity_ids", "crew_ids", "worker_ids", "resource_ids")
    fields = (
        *columns("object_id", "id"),
        *columns("string", "url_safe_id", "name", "title", "description", "details", "status"),
        *columns("object_id", "owner", "external_id", "status_id", "template_id", "group_id"),
        *columns("string", "template", "group", "task_type"),
        Field("time_zone", description="Of the calendar; older clients call it timezone"),
        *columns("string", "timezone"),
        *columns("integer", "duration", "duration_estimate", "time_window_start"),
        Field("maximum_bookings_per_day", "integer", description="-1 for any number"),
        *columns("boolean", "enable_time_window_display", "is_recurring", "is_all_day"),
        *columns("boolean", "is_disabled", "unscheduled"),
        *columns("datetime", "start_datetime", "end_datetime"),
        *columns("string", "start_datetime_original_iso_str", "end_datetime_original_iso_str"),
        *columns("object_id", "customer_id"),
        *columns("string", "customer_name"),
        *ADDRESS,
        *PLACE,
        *columns("array", "entity_ids", "crew_ids", "worker_ids", "resource_ids"),
        *columns("json", "notifications", "extra_fields", "template_extra_fields"),
        *CHANGED,
        OTHER,
    )

    @property
    def is_filtered(self) -> bool:
        return bool(self.tap.booking_statuses)

    def read(self) -> Iterator[list[Row]]:
        wanted = self.tap.booking_statuses
        for page in super().read():
            yield [row for row in page if str(row.get("status")).upper() in wanted or not wanted]
