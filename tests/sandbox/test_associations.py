"""Associations: batch read, its 207 form, paging per record, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api


def read(api: Api, pair: str, *inputs: dict[str, str]) -> requests.Response:
    return api.post(f"/crm/associations/2026-09/{pair}/batch/read", {"inputs": inputs})


def test_a_batch_answers_targets_and_records_without_any(api: Api, sandbox: Sandbox) -> None:
    contact, lonely = sandbox.create("contacts"), sandbox.create("contacts")
    company = sandbox.create("companies")
    sandbox.associate("contacts", contact, "companies", company, "Decision maker")

    answer = read(api, "contacts/companies", {"id": contact}, {"id": lonely})

    body = answer.json()
    assert answer.status_code == 207
    assert body["startedAt"] <= body.pop("completedAt")
    assert body.pop("startedAt").startswith("2026-11-20T10:00:0")
    assert body == {
        "status": "COMPLETE",
        "results": [
            {
                "from": {"id": contact},
                "to": [
                    {
                        "toObjectId": company,
                        "associationTypes": [
                            {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None},
                            {"category": "USER_DEFINED", "typeId": 101, "label": "Decision maker"},
                        ],
                    }
                ],
            }
        ],
        "numErrors": 1,
        "errors": [
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": f"No company is associated with contact {lonely}.",
                "context": {
                    "fromObjectId": [lonely],
                    "fromObjectType": ["contact"],
                    "toObjectType": ["company"],
                },
            }
        ],
    }


def test_a_batch_without_errors_is_200_and_ids_can_be_numbers(api: Api, sandbox: Sandbox) -> None:
    contact, company = sandbox.create("contacts"), sandbox.create("companies")
    sandbox.associate("companies", company, "contacts", contact)
    sandbox.switches(to_object_id="number")

    answer = read(api, "0-1/0-2", {"id": contact})

    assert answer.status_code == 200
    assert "errors" not in answer.json()
    assert answer.json()["results"][0]["to"][0]["toObjectId"] == int(company)


def test_many_targets_page_per_record(api: Api, sandbox: Sandbox) -> None:
    company = sandbox.create("companies")
    contacts = [sandbox.create("contacts") for _ in range(5)]
    for contact in contacts:
        sandbox.associate("contacts", contact, "companies", company)
    sandbox.switches(association_page_size=2)

    found: list[str] = []
    source = {"id": company}
    while True:
        result = read(api, "companies/contacts", source).json()["results"][0]
        found += [one["toObjectId"] for one in result["to"]]
        if "paging" not in result:
            break
        source["after"] = result["paging"]["next"]["after"]

    assert found == contacts


def test_a_batch_takes_1000_inputs(api: Api) -> None:
    inputs = [{"id": str(number)} for number in range(1001)]

    full = read(api, "contacts/deals", *inputs[:1000])
    over = read(api, "contacts/deals", *inputs)

    assert (full.status_code, over.status_code) == (207, 400)
    assert full.json()["numErrors"] + len(full.json()["results"]) == 1000


def test_changing_associations_moves_no_date(api: Api, sandbox: Sandbox) -> None:
    contact, deal = sandbox.create("contacts"), sandbox.create("deals")
    before = sandbox.records("contacts")
    sandbox.advance(3600)

    sandbox.associate("deals", deal, "contacts", contact)
    linked = read(api, "contacts/deals", {"id": contact})
    removed = sandbox.dissociate("contacts", contact, "deals", deal)

    assert linked.json()["results"][0]["to"][0]["toObjectId"] == deal
    assert removed is True
    assert read(api, "contacts/deals", {"id": contact}).json()["results"] == []
    assert sandbox.records("contacts") == before


def test_archiving_either_side_hides_and_restoring_shows_again(api: Api, sandbox: Sandbox) -> None:
    contact, deal = sandbox.create("contacts"), sandbox.create("deals")
    sandbox.associate("deals", deal, "contacts", contact)

    def linked(pair: str, one: str) -> int:
        return len(read(api, pair, {"id": one}).json()["results"])

    sandbox.archive("deals", deal)
    assert (linked("contacts/deals", contact), linked("deals/contacts", deal)) == (0, 0)
    sandbox.restore("deals", deal)
    assert (linked("contacts/deals", contact), linked("deals/contacts", deal)) == (1, 1)
    sandbox.purge("deals", deal)
    assert linked("contacts/deals", contact) == 0


def test_leads_to_deals_has_one_direction(api: Api, sandbox: Sandbox) -> None:
    lead, deal = sandbox.create("leads"), sandbox.create("deals")
    sandbox.associate("leads", lead, "deals", deal)

    def found(pair: str, one: str) -> list[Any]:
        return list(read(api, pair, {"id": one}).json()["results"])

    assert len(found("leads/deals", lead)) == 1
    assert found("deals/leads", deal) == []
    sandbox.switches(single_direction_pairs=False)
    assert len(found("deals/leads", deal)) == 1


def test_labels_of_a_pair(api: Api) -> None:
    standard = api.get("/crm/associations/2026-09/appointments/contacts/labels").json()
    custom = api.get("/crm/associations/2026-09/contacts/p123_division/labels").json()

    assert standard == {
        "results": [
            {"category": "HUBSPOT_DEFINED", "typeId": 906, "label": None},
            {"category": "USER_DEFINED", "typeId": 105, "label": "Homeowner"},
        ]
    }
    assert [(one["category"], one["label"]) for one in custom["results"]] == [
        ("USER_DEFINED", None)
    ]


def test_the_truth_lists_what_the_api_answers(api: Api, sandbox: Sandbox) -> None:
    contacts = sandbox.records("contacts")
    answer = read(api, "contacts/2-37000001", *({"id": one["id"]} for one in contacts))
    answered = {
        (result["from"]["id"], target["toObjectId"], how["typeId"])
        for result in answer.json()["results"]
        for target in result["to"]
        for how in target["associationTypes"]
    }

    truth = sandbox.associations("contacts", "p123_division")

    assert len(truth) > 20
    assert {(one["from_id"], one["to_id"], one["typeId"]) for one in truth} == answered
