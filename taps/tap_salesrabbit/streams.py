"""The lists of a SalesRabbit account."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit.errors import BadRequest, FatalAPIError, NotFound, RetriableAPIError, RunEnded
from tapkit.fields import Field
from tapkit.stream import DELETED_AT

from tap_salesrabbit.lists import DATA, List

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_salesrabbit.client import Page
    from tap_salesrabbit.tap import TapSalesRabbit

__all__ = ["LeadStatusActivities", "LeadStatusHistories", "LeadStatuses", "Leads", "Users"]

ADDRESS = ("street1", "street2", "city", "state", "zip", "country")
COORDINATES = ("latitude", "longitude")


class LeadStatuses(List):
    """The statuses that leads of this account can have; all of them are read in each run."""

    name = "lead_statuses"
    path = "/leadStatuses"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    fields = (
        Field("id", "integer"),
        Field("name"),
        Field("abbreviation"),
        Field("active", "boolean"),
        DATA,
    )

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        try:
            yield from super().pages()
        except NotFound as error:
            self.logger.warning("%s is left out: %s", self.name, error)
            self.status.skip(str(error))

    def read(self, headers: Mapping[str, str]) -> Iterator[Page]:  # noqa: ARG002
        yield from self.tap.status_pages


class Users(List):
    """Users, those who left included (`active` false); all of them are read in each run.

    The list came whole on every page to one client.
    """

    name = "users"
    path = "/users"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    is_unpaged = True
    fields = (
        Field("id", "integer"),
        Field("firstName", name="first_name"),
        Field("lastName", name="last_name"),
        Field("fullName", name="full_name"),
        Field("email", "email"),
        Field("phone", "phone"),
        Field("active", "boolean"),
        Field("hireDate", "date", name="hire_date"),
        Field("businessUnit", name="business_unit"),
        Field("department"),
        Field("role"),
        Field("office"),
        Field("team"),
        Field("region"),
        Field("orgId", "integer", name="org_id"),
        Field("supervisorId", "integer", name="supervisor_id"),
        Field("recruiterId", "integer", name="recruiter_id"),
        Field("cmsId", "integer", name="cms_id"),
        Field("leadRepCmsId", "integer", name="lead_rep_cms_id"),
        Field("photo_url", "url"),
        Field("externalIds", "json", name="external_ids"),
        Field("dateCreated", "datetime", name="date_created"),
        Field("dateModified", "datetime", name="date_modified"),
        DATA,
    )


class Leads(List):
    """Leads; `user_id` is the owner, which need not be who set the status.

    Deleted ones may stay in the list with `deletedAt`, or vanish from it.
    """

    name = "leads"
    path = "/leads"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "date_modified"
    objects = ("customFields", "integrationData")
    fields = (
        Field("id", "integer"),
        Field("firstName", name="first_name"),
        Field("lastName", name="last_name"),
        Field("businessName", name="business_name"),
        Field("email", "email"),
        Field("phonePrimary", "phone", name="phone_primary"),
        Field("phoneAlternate", "phone", name="phone_alternate"),
        *(
            Field(name, kind, description=f"Or `address.{name}`")
            for name, kind in zip(
                ADDRESS,
                ("string", "string", "string", "state", "zip_code", "string"),
                strict=True,
            )
        ),
        *(Field(name, "number", description=f"Or `coordinates.{name}`") for name in COORDINATES),
        Field("status", description="Name or abbreviation; one of the account's `lead_statuses`"),
        Field("statusModified", "datetime", name="status_modified"),
        Field("notes"),
        Field("appointment"),
        Field("files", "json"),
        Field("campaignId", "integer", name="campaign_id"),
        Field("userId", "integer", name="user_id"),
        Field("userName", name="user_name"),
        Field("dateCreated", "datetime", name="date_created"),
        Field("dateModified", "datetime", name="date_modified"),
        Field("ownerModified", "datetime", name="owner_modified"),
        Field("dateOfBirth", "date", name="date_of_birth"),
        Field("deletedAt", "datetime", name="deleted_at"),
        Field("deletedAt", "datetime", name=DELETED_AT.name, description=DELETED_AT.description),
        Field("customFields", "json", name="custom_fields"),
        Field("integrationData", "json", name="integration_data"),
        DATA,
    )

    def __init__(self, tap: TapSalesRabbit) -> None:
        self._statuses: set[str] = set()
        self.fields = tuple(
            replace(field, check=self._check_status) if field.name == "status" else field
            for field in self.fields
        )
        super().__init__(tap)
        # So that leads keep their place while pages are read; one client sends it. Where the API
        # ignores it, nothing is lost by that.
        self.params = {"sortBy": "dateCreated", "order": "asc"}

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        if not self.config.get("skip_validation"):
            self._statuses = self._known_statuses()
        yield from super().pages()

    def fetch(self, number: int | None, headers: Mapping[str, str]) -> Any:
        try:
            return super().fetch(number, headers)
        except BadRequest:
            if number != 1 or not self.params:
                raise
            self.params = {}
            return super().fetch(number, headers)

    def row(self, record: dict[str, Any]) -> dict[str, Any]:
        row = super().row(record)
        for parent, names in (("address", ADDRESS), ("coordinates", COORDINATES)):
            nested = record.get(parent)
            if isinstance(nested, dict):
                missing = {name for name in names if row.get(name) in {None, ""}}
                row.update({name: nested[name] for name in missing & nested.keys()})
        return row

    def _known_statuses(self) -> set[str]:
        try:
            statuses = [row for page in self.tap.status_pages for row in page.rows]
        except RunEnded:
            raise
        except (FatalAPIError, NotFound, RetriableAPIError) as error:
            self.logger.warning("The statuses of leads are not checked: %s", error)
            return set()
        names = (row.get(name) for row in statuses for name in ("name", "abbreviation"))
        return {name.strip().casefold() for name in names if isinstance(name, str)}

    def _check_status(self, value: str) -> None:
        if self._statuses and value.strip().casefold() not in self._statuses:
            raise ValueError("not one of the account's statuses")


class LeadStatusHistories(List):
    """Visits of leads to statuses; the same lead may come to the same status again.

    `changed_by_user_id` is who did it, which need not be the lead's owner.
    """

    name = "lead_status_histories"
    path = "/leadStatusHistories"
    primary_keys: ClassVar[tuple[str, ...]] = ("lead_id", "status_updated", "id")
    replication_key = "lead_modified"
    identity = ("leadId", "statusUpdated", "id")
    fields = (
        Field("leadId", "integer", name="lead_id", description="Key of the event's array"),
        Field("id", "integer", description="Of the status, not of the event"),
        Field("name"),
        Field("abbreviation"),
        Field("active", "boolean"),
        Field("changedByUserId", "integer", name="changed_by_user_id"),
        Field("statusUpdated", "datetime", name="status_updated"),
        Field("leadCreated", "datetime", name="lead_created"),
        Field("leadModified", "datetime", name="lead_modified"),
        DATA,
    )

    def unpack(self, data: Any) -> list[dict[str, Any]]:
        if data == []:
            return []
        return [{"leadId": lead, **event} for lead, events in data.items() for event in events]


class LeadStatusActivities(List):
    """What reps did at the door of a lead, and where they stood.

    That `disposition_id` is unique is not proven, so that lead and time are parts of the key. What
    an activity says of its lead may be as of reading, and does not make the activity new.
    """

    name = "lead_status_activities"
    path = "/leadStatusActivities"
    since_header = "If-Status-Modified-Since"
    since_zone = "Z"
    primary_keys: ClassVar[tuple[str, ...]] = (
        *("disposition_id", "disposition_lead_id", "disposition_timestamp"),
    )
    replication_key = "current_on_device_status_modified"
    identity = ("dispositionID", "dispositionLeadID", "dispositionTimestamp")
    objects = ("currentLeadCustomFields",)
    fields = (
        Field("dispositionID", "integer", name="disposition_id"),
        Field("dispositionLeadID", "integer", name="disposition_lead_id"),
        Field("dispositionLeadStatusID", "integer", name="disposition_lead_status_id"),
        Field("dispositionLeadStatusName", name="disposition_lead_status_name"),
        Field("dispositionLeadStatusAbbreviation", name="disposition_lead_status_abbreviation"),
        Field("dispositionLeadStageID", "object_id", name="disposition_lead_stage_id"),
        Field("dispositionTimestamp", "datetime", name="disposition_timestamp"),
        Field("dispositionType", name="disposition_type"),
        Field("dispositionerID", "integer", name="dispositioner_id"),
        Field("dispositionerProximityInFeet", "number", name="dispositioner_proximity_in_feet"),
        Field("dispositionerProximityLatitude", "number", name="dispositioner_proximity_latitude"),
        Field(
            "dispositionerProximityLongitude", "number", name="dispositioner_proximity_longitude"
        ),
        Field("dispositionerProximityStatus", name="dispositioner_proximity_status"),
        Field("currentLeadCreated", "datetime", name="current_lead_created"),
        Field("currentLeadModified", "datetime", name="current_lead_modified"),
        Field("currentLeadCustomFields", "json", name="current_lead_custom_fields"),
        Field("currentLeadFirstName", name="current_lead_first_name"),
        Field("currentLeadLastName", name="current_lead_last_name"),
        Field("currentLeadIsActive", "boolean", name="current_lead_is_active"),
        Field("currentLeadLatitude", "number", name="current_lead_latitude"),
        Field("currentLeadLongitude", "number", name="current_lead_longitude"),
        Field("currentLeadOwnerEmail", "email", name="current_lead_owner_email"),
        Field("currentLeadOwnerID", "integer", name="current_lead_owner_id"),
        Field(
            "currentOnDeviceStatusCreated",
            "datetime",
            name="current_on_device_status_created",
            description="Without a zone in the API, taken as UTC",
        ),
        Field(
            "currentOnDeviceStatusModified",
            "datetime",
            name="current_on_device_status_modified",
            description="Without a zone in the API, taken as UTC",
        ),
        DATA,
    )
