"""Properties, schemas, owners, pipelines, lists and the account's own endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api

TYPES = {
    "string", "number", "date", "datetime", "enumeration", "bool", "phone_number", "json",
    "object_coordinates",
}  # fmt: skip


def properties(api: Api, record_type: str = "contacts", **query: Any) -> dict[str, dict[str, Any]]:
    answer = api.get(f"/crm/properties/2026-09/{record_type}", **query).json()
    return {one["name"]: one for one in answer["results"]}


def test_contacts_have_properties_of_every_type(api: Api) -> None:
    found = properties(api)

    assert {one["type"] for one in found.values()} == TYPES
    assert len(found) > 35
    assert found["service_of_interest"]["fieldType"] == "checkbox"
    assert found["hubspot_owner_id"]["referencedObjectType"] == "OWNER"
    assert found["lifecyclestage"]["options"][1] == {
        "label": "Lead", "value": "lead", "displayOrder": 1, "hidden": False,
    }  # fmt: skip
    assert "hs_lastmodifieddate" not in found


def test_a_property_definition(api: Api) -> None:
    assert properties(api)["marketsharp_id"] == {
        "updatedAt": "2024-01-15T09:00:00.000Z",
        "createdAt": "2024-01-15T09:00:00.000Z",
        "name": "marketsharp_id",
        "label": "Marketsharp id",
        "type": "string",
        "fieldType": "text",
        "description": "",
        "groupName": "contactsinformation",
        "options": [],
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "archived": False,
        "hasUniqueValue": False,
        "hidden": False,
        "hubspotDefined": False,
        "formField": True,
        "dataSensitivity": "non_sensitive",
        "modificationMetadata": {
            "archivable": True,
            "readOnlyDefinition": False,
            "readOnlyOptions": False,
            "readOnlyValue": False,
        },
    }


def test_sensitive_and_archived_properties_are_listed_apart(api: Api) -> None:
    assert set(properties(api, dataSensitivity="sensitive")) == {"national_id"}
    assert set(properties(api, dataSensitivity="highly_sensitive")) == {"medical_note"}
    archived = properties(api, archived="true")
    assert set(archived) == {"fax_number_old"}
    assert archived["fax_number_old"]["archived"] is True
    assert not {"national_id", "medical_note", "fax_number_old"} & set(properties(api))


def test_sensitive_properties_need_their_scope(api: Api, sandbox: Sandbox) -> None:
    sandbox.token("pat-narrow", ["crm.objects.contacts.read"])
    sandbox.token(
        "pat-wide", ["crm.objects.contacts.read", "crm.objects.contacts.sensitive.read.v2"]
    )

    def seen(token: str) -> tuple[int, bool]:
        api.token = token
        answer = api.get("/crm/properties/2026-09/contacts", dataSensitivity="sensitive")
        record = api.get("/crm/objects/2026-09/contacts", properties="national_id").json()
        return answer.status_code, "national_id" in record["results"][0]["properties"]

    assert seen("pat-narrow") == (403, False)
    assert seen("pat-wide") == (200, True)


def test_properties_come_and_go(api: Api, sandbox: Sandbox) -> None:
    sandbox.add_property("contacts", "score", "number", value="7")
    sandbox.archive_property("contacts", "tier")

    found = properties(api)
    record = api.get("/crm/objects/2026-09/contacts", properties="score,tier").json()["results"][0]

    assert (found["score"]["type"], "tier" in found) == ("number", False)
    assert record["properties"]["score"] == "7"
    assert "tier" not in record["properties"]
    assert "tier" in properties(api, archived="true")


def test_schemas_describe_the_custom_objects(api: Api, sandbox: Sandbox) -> None:
    schemas = api.get("/crm-object-schemas/2026-09/schemas").json()["results"]

    assert [(one["objectTypeId"], one["fullyQualifiedName"]) for one in schemas] == [
        ("2-37000001", "p123_division"),
        ("2-42000001", "p123_genius_user"),
        ("2-42000002", "p123_Genius_User"),
        ("2-43000001", "p123_appointments"),
    ]
    division = schemas[0]
    assert division["labels"] == {"singular": "Division", "plural": "Divisions"}
    assert division["primaryDisplayProperty"] == "division_name"
    names = {one["name"] for one in division["properties"]}
    assert {"division_name", "hs_object_id", "hs_lastmodifieddate", "hs_createdate"} <= names
    assert ("2-37000001", "0-1") in [
        (one["fromObjectTypeId"], one["toObjectTypeId"]) for one in division["associations"]
    ]

    sandbox.archive_type("p123_Genius_User")
    sandbox.archive_type("2-43000001")
    live = api.get("/crm-object-schemas/2026-09/schemas").json()["results"]
    archived = api.get("/crm-object-schemas/2026-09/schemas", archived="true").json()["results"]
    assert [one["objectTypeId"] for one in archived] == ["2-42000002", "2-43000001"]
    assert len(live) == 2
    assert api.get("/crm/objects/2026-09/2-43000001").status_code == 400


def test_owners_page_and_archived_ones_come_apart(api: Api) -> None:
    first = api.get("/crm/owners/2026-09", limit=5).json()
    second = api.get("/crm/owners/2026-09", limit=5, after=first["paging"]["next"]["after"]).json()
    archived = api.get("/crm/owners/2026-09", archived="true").json()

    assert (len(first["results"]), len(second["results"]), "paging" in second) == (5, 4, False)
    assert len(archived["results"]) == 3
    assert all(one["archived"] for one in archived["results"])
    assert first["results"][0] == {
        "id": "661100",
        "email": "rep0@example.com",
        "type": "PERSON",
        "firstName": "Ada",
        "lastName": "Byron",
        "userId": 5501,
        "userIdIncludingInactive": 5501,
        "createdAt": "2024-12-20T00:00:00.000Z",
        "updatedAt": "2026-08-22T00:00:00.000Z",
        "archived": False,
        "teams": [
            {"id": "12", "name": "West", "primary": True},
            {"id": "13", "name": "Ünited", "primary": False},
        ],
    }
    assert api.get("/crm/owners/2026-09", limit=501).status_code == 400
    by_email = api.get("/crm/owners/2026-09", email="rep2@example.com").json()["results"]
    assert [one["id"] for one in by_email] == ["661102"]


def test_pipelines_have_stages_with_text_metadata(api: Api) -> None:
    found = api.get("/crm/pipelines/2026-09/deals").json()["results"]

    assert [one["id"] for one in found] == ["default", "74000001"]
    assert found[0]["createdAt"] == "1970-01-01T00:00:00Z"
    assert found[0]["stages"][3] == {
        "id": "closedwon",
        "label": "Closedwon",
        "displayOrder": 3,
        "metadata": {"isClosed": "true", "probability": "1.0"},
        "archived": False,
        "createdAt": "1970-01-01T00:00:00Z",
        "updatedAt": "1970-01-01T00:00:00Z",
        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
    }
    assert api.get("/crm/pipelines/2026-09/contacts").json() == {"results": []}


def test_lists_page_by_offset_and_have_members(api: Api, sandbox: Sandbox) -> None:
    def search(**body: Any) -> dict[str, Any]:
        return dict(api.post("/crm/lists/2026-09/search", body).json())

    first, last = search(count=3), search(count=3, offset=3)
    assert [one["listId"] for one in first["lists"]] == ["1", "2", "3"]
    assert (first["hasMore"], first["offset"], first["total"]) == (True, 3, 5)
    assert ([one["listId"] for one in last["lists"]], last["hasMore"]) == (["4", "5"], False)
    dynamic = search(processingTypes=["DYNAMIC"], objectTypeId="0-1")["lists"]
    assert [one["listId"] for one in dynamic] == ["2"]

    members, after = [], "0"
    while after:
        page = api.get("/crm/lists/2026-09/2/memberships", limit=8, after=after).json()
        members += [one["recordId"] for one in page["results"]]
        after = page.get("paging", {}).get("next", {}).get("after")
    assert members == [one["id"] for one in sandbox.records("contacts")][::3]
    assert page["total"] == len(members)
    assert api.get("/crm/lists/2026-09/99/memberships").status_code == 404


@pytest.mark.parametrize("path", ["/account-info/2026-09/details", "/account-info/2026-03/details"])
def test_account_details_test_the_credential(api: Api, path: str) -> None:
    assert api.get(path).json()["portalId"] == 123
    api.token = "pat-unknown"
    assert api.get(path).status_code == 401


def test_usage_counts_the_day_in_the_accounts_time_zone(api: Api, sandbox: Sandbox) -> None:
    sandbox.limits(daily=1000)
    usage = "/account-info/2026-09/api-usage/daily/private-apps"
    api.get("/account-info/2026-09/details")

    before = api.get(usage).json()["results"][0]
    sandbox.advance(20 * 3600)
    after = api.get(usage).json()["results"][0]

    assert (before["usageLimit"], before["currentUsage"], after["currentUsage"]) == (1000, 2, 1)
    assert before["resetsAt"] == "2026-11-21T05:00:00.000Z"


def test_the_object_library_says_what_is_switched_on(api: Api, sandbox: Sandbox) -> None:
    path = "/crm/object-library/2026-09/enablement"
    assert api.get(path).json()["enablementByObjectTypeId"]["0-421"] is True
    sandbox.enable("0-421", enabled=False)
    assert api.get(f"{path}/0-421").json() == {"enablement": False}
