"""List, search, batch read and single records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api

CONTACTS = "/crm/objects/2026-09/contacts"


def above(number: int) -> dict[str, str]:
    return {"propertyName": "hs_object_id", "operator": "GT", "value": str(number)}


def pages(api: Api, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Follow the cursors of a list."""
    found, after = [], None
    while True:
        body = api.get(path, **query, **({"after": after} if after else {})).json()
        found.append(body["results"])
        if "paging" not in body:
            return found
        after = body["paging"]["next"]["after"]


def test_a_listed_record_has_the_documented_shape(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create(
        "contacts", {"email": "ada@example.com", "firstname": "", "num_notes": "3"}
    )

    found = pages(api, CONTACTS, limit=100, properties="email,firstname,num_notes,phone,unknown")

    record = found[0][-1]
    moment = record["createdAt"]
    assert moment.startswith("2026-11-20T10:00:0")
    assert record == {
        "id": made,
        "properties": {
            "createdate": moment,
            "email": "ada@example.com",
            "firstname": "",
            "hs_object_id": made,
            "lastmodifieddate": moment,
            "num_notes": "3",
            "phone": None,
        },
        "createdAt": moment,
        "updatedAt": moment,
        "archived": False,
        "url": f"https://app.hubspot.com/contacts/123/record/0-1/{made}",
    }


def test_listing_pages_through_every_live_record_once(api: Api, sandbox: Sandbox) -> None:
    found = pages(api, CONTACTS, limit=7)

    assert [len(page) for page in found[:-1]] == [7] * (len(found) - 1)
    assert [one["id"] for page in found for one in page] == [
        one["id"] for one in sandbox.records("contacts")
    ]


def test_the_scattered_order_lists_the_same_records_in_pages(api: Api, sandbox: Sandbox) -> None:
    by_id = [one["id"] for page in pages(api, CONTACTS, limit=100) for one in page]
    sandbox.switches(list_order="scattered")

    scattered = [one["id"] for page in pages(api, CONTACTS, limit=7) for one in page]

    assert scattered != by_id
    assert sorted(scattered, key=int) == by_id


def test_archived_records_are_listed_apart(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("deals", {"dealname": "Roof"})
    sandbox.archive("deals", made)

    archived = api.get("/crm/objects/2026-09/deals", archived="true", limit=100).json()["results"]

    assert [one["id"] for one in archived] == [made]
    assert archived[0]["archived"] is True
    assert archived[0]["archivedAt"] == archived[0]["updatedAt"]
    assert made not in [one["id"] for one in sandbox.records("deals")]
    assert api.ids_found("deals", above(int(made) - 1)) == []


def test_archived_records_vanish_after_90_days(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("deals")
    sandbox.archive("deals", made)
    listed = {"archived": "true", "limit": 100}

    sandbox.advance(89.9 * 86_400)
    kept = api.get("/crm/objects/2026-09/deals", **listed).json()["results"]
    sandbox.advance(0.2 * 86_400)
    gone = api.get("/crm/objects/2026-09/deals", **listed).json()["results"]

    assert [one["id"] for one in kept] == [made]
    assert gone == []


@pytest.mark.parametrize(
    "path", ["0-3", "deals", "deal", "DEAL", "2-37000001", "p123_division", "0-421"]
)
def test_types_go_by_name_id_and_full_name(api: Api, path: str) -> None:
    for version in ("2026-09", "2026-03", "2025-09"):
        assert len(api.get(f"/crm/objects/{version}/{path}", limit=6).json()["results"]) == 6


def test_a_custom_object_does_not_hide_the_standard_type_of_its_name(api: Api) -> None:
    standard = api.get("/crm/objects/2026-09/appointments").json()["results"]
    custom = api.get("/crm/objects/2026-09/p123_appointments").json()["results"]

    assert standard[0]["url"].endswith(f"/0-421/{standard[0]['id']}")
    assert custom[0]["url"].endswith(f"/2-43000001/{custom[0]['id']}")


@pytest.mark.parametrize(("path", "status"), [("/2026-09/nothing", 400), ("/v3/contacts", 404)])
def test_unknown_types_and_versions_are_refused(api: Api, path: str, status: int) -> None:
    answer = api.get(f"/crm/objects{path}")

    category = "VALIDATION_ERROR" if status == 400 else "OBJECT_NOT_FOUND"
    assert (answer.status_code, answer.json()["category"]) == (status, category)


@pytest.mark.parametrize(("query", "most"), [({}, 100), ({"propertiesWithHistory": "email"}, 50)])
def test_list_pages_are_capped(api: Api, query: dict[str, str], most: int) -> None:
    assert api.get(CONTACTS, limit=most, **query).status_code == 200
    refused = api.get(CONTACTS, limit=most + 1, **query)
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")


def test_an_address_over_16000_characters_is_refused_in_html(api: Api) -> None:
    assert api.get(CONTACTS, properties="x" * 15_000).status_code == 200
    refused = api.get(CONTACTS, properties="x" * 16_000)
    assert refused.status_code == 414
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "414 Request-URI Too Large" in refused.text


def test_inline_associations_repeat_a_record_per_type(api: Api, sandbox: Sandbox) -> None:
    company = sandbox.create("companies")
    contact = sandbox.create("contacts")
    sandbox.associate("contacts", contact, "companies", company, "Primary")

    record = api.get(f"{CONTACTS}/{contact}", associations="companies,deals").json()

    assert record["associations"] == {
        "companies": {
            "results": [
                {"id": company, "type": "contact_to_company_unlabeled"},
                {"id": company, "type": "contact_to_company"},
            ]
        }
    }


def test_history_is_newest_first(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("contacts", {"email": "first@example.com"})
    sandbox.advance(60)
    sandbox.update("contacts", made, {"email": "second@example.com"})

    record = api.get(f"{CONTACTS}/{made}", propertiesWithHistory="email").json()

    history = record["propertiesWithHistory"]["email"]
    assert [one["value"] for one in history] == ["second@example.com", "first@example.com"]
    assert [one["timestamp"] for one in history] == [record["updatedAt"], record["createdAt"]]
    assert set(history[0]) == {
        "value", "timestamp", "sourceType", "sourceId", "sourceLabel", "updatedByUserId",
    }  # fmt: skip


def test_batch_read_answers_missing_ids_as_errors(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("contacts", {"email": "ada@example.com"})
    body = {"inputs": [{"id": made}, {"id": "999999"}], "properties": ["email"]}

    answer = api.post(f"{CONTACTS}/batch/read", body)
    sandbox.switches(batch_status=200)
    tolerant = api.post(f"{CONTACTS}/batch/read", body)

    found = answer.json()
    assert (answer.status_code, tolerant.status_code) == (207, 200)
    assert found["status"] == "COMPLETE"
    assert [one["properties"]["email"] for one in found["results"]] == ["ada@example.com"]
    assert found["numErrors"] == 1
    assert found["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert found["errors"][0]["context"] == {"ids": ["999999"]}


@pytest.mark.parametrize(("history", "most"), [([], 100), (["email"], 50)])
def test_batch_read_is_capped(api: Api, history: list[str], most: int) -> None:
    def read(count: int) -> int:
        inputs = [{"id": str(number)} for number in range(count)]
        body = {"inputs": inputs, "propertiesWithHistory": history}
        return api.post(f"{CONTACTS}/batch/read", body).status_code

    assert (read(most), read(most + 1)) == (207, 400)


def test_batch_read_finds_archived_records_only_when_asked(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("contacts")
    sandbox.archive("contacts", made)
    body = {"inputs": [{"id": made}]}

    assert api.post(f"{CONTACTS}/batch/read", body).json()["results"] == []
    archived = api.post(f"{CONTACTS}/batch/read?archived=true", body)
    assert archived.status_code == 200
    assert [one["id"] for one in archived.json()["results"]] == [made]


def test_unset_values_can_be_empty_strings(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("contacts")
    sandbox.switches(unset="empty")

    assert api.get(f"{CONTACTS}/{made}", properties="email").json()["properties"]["email"] == ""
