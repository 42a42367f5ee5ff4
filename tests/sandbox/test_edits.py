"""What the control API does to the data, and that a seed fixes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from crm_sandbox.client import SandboxError
from crm_sandbox.hubspot.catalog import SIZES
from sandbox.conftest import NOW, SMALL

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api

ROUND = {
    "change": 30, "add": 12, "archive": 9, "restore": 3, "merge": 2, "purge": 3, "associate": 10,
    "dissociate": 5,
}  # fmt: skip


def truth(sandbox: Sandbox) -> dict[str, Any]:
    """Return all records and the busiest associations, without the time of the changes."""
    recent = re.compile(r"2026-11-20T10:\d\d:\d\d\.\d{3}Z|\d{13}")
    text = {key: [*sandbox.records(key), *sandbox.records(key, archived=True)] for key in SIZES} | {
        "links": sandbox.associations("contacts", "companies")
    }
    return {key: recent.sub("now", repr(value)) for key, value in text.items()}


def test_a_seed_fixes_the_data_and_the_mutations(sandbox: Sandbox) -> None:
    def run(seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        sandbox.reset(seed=seed, sizes=SMALL, now=NOW)
        return truth(sandbox), sandbox.mutate(seed=5, **ROUND), truth(sandbox)

    first, again, other = run(1), run(1), run(2)

    assert first == again
    assert first[0] != first[2]
    assert first[0] != other[0]


def test_a_round_does_what_it_says(sandbox: Sandbox) -> None:
    sandbox.archive("deals", *(one["id"] for one in sandbox.records("deals")[:3]))
    before = sandbox.counts()
    sandbox.advance(60)

    done = sandbox.mutate(seed=7, **ROUND)

    after = sandbox.counts()
    assert set(done) == {
        "changed", "added", "archived", "restored", "merged", "purged", "associated", "dissociated",
    }  # fmt: skip
    for key in SIZES:
        added, archived, restored, purged, merged = (
            len(done[kind].get(key, ()))
            for kind in ("added", "archived", "restored", "purged", "merged")
        )
        live = before[key]["live"] + added - archived + restored - purged - merged
        assert after[key] == {
            "live": live,
            "archived": before[key]["archived"] + archived - restored,
        }
    assert sum(map(len, done["changed"].values())) == ROUND["change"]
    assert len(done["associated"]) >= ROUND["associate"] - 1
    moved = {
        key: {one["id"] for one in sandbox.records(key) if one["updatedAt"] >= "2026-11-20T10:01"}
        for key in SIZES
    }
    for key, ids in done["changed"].items():
        gone = {one for kind in ("archived", "purged") for one in done[kind].get(key, ())} | {
            one for merge in done["merged"].get(key, ()) for one in merge["from"]
        }
        assert set(ids) - gone <= moved[key]


def test_a_round_can_be_kept_to_some_types(sandbox: Sandbox) -> None:
    done = sandbox.mutate(change=5, add=3, types=["0-3", "p123_division"])
    assert {key for changes in done.values() for key in changes} <= {"deals", "2-37000001"}


def test_updating_moves_the_modified_date_unless_told_otherwise(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("deals", {"dealname": "one"})

    def modified() -> str:
        record = api.get(f"/crm/objects/2026-09/deals/{made}").json()
        assert record["updatedAt"] == record["properties"]["hs_lastmodifieddate"]
        return str(record["updatedAt"])

    created = modified()
    sandbox.advance(60)
    sandbox.update("deals", made, {"dealname": "two"}, touch=False)
    assert modified() == created
    sandbox.update("deals", made, {"dealname": "three"})
    assert modified() > created
    sandbox.update("deals", made, {"dealname": None}, modified="2026-01-02T03:04:05.678Z")
    assert modified() == "2026-01-02T03:04:05.678Z"
    assert sandbox.records("deals")[-1]["properties"]["dealname"] is None


def test_many_records_can_share_one_modified_date(api: Api, sandbox: Sandbox) -> None:
    ids = sandbox.bulk_update("contacts", 50, {"tier": "Gold"}, modified="2026-11-19T00:00:00Z")

    window = {"propertyName": "lastmodifieddate", "operator": "EQ", "value": "1795046400000"}
    assert api.ids_found("contacts", window) == sorted(map(int, ids))
    assert {one["properties"]["tier"] for one in sandbox.records("contacts")[:50]} == {"Gold"}
    with pytest.raises(SandboxError, match="there are only"):
        sandbox.bulk_update("contacts", 61)


def test_made_up_records_can_be_added_in_bulk(sandbox: Sandbox) -> None:
    ids = sandbox.create_many("contacts", 200, seed=4)
    added = sandbox.records("contacts")[-200:]
    assert [one["id"] for one in added] == ids
    assert len({one["properties"]["email"] for one in added}) > 150


@pytest.mark.parametrize("moves", [True, False])
def test_restoring_moves_the_modified_date_by_switch(
    sandbox: Sandbox,
    *,
    moves: bool,
) -> None:
    made = sandbox.create("deals")
    sandbox.switches(restore_moves_modified=moves, archive_moves_modified=False)
    sandbox.advance(60)
    sandbox.archive("deals", made)
    sandbox.restore("deals", made)

    record = sandbox.records("deals")[-1]
    assert record["id"] == made
    assert "archivedAt" not in record
    assert (record["updatedAt"] > record["createdAt"]) is moves


@pytest.mark.parametrize("new_id", [True, False])
@pytest.mark.parametrize("answers", ["missing", "survivor"])
def test_a_merge_leaves_one_record(
    api: Api, sandbox: Sandbox, *, new_id: bool, answers: str
) -> None:
    sandbox.switches(merge_new_id=new_id, merged_id_answers=answers)
    kept, lost, company = (
        sandbox.create("contacts", {"email": "kept@example.com"}),
        sandbox.create("contacts", {"email": "lost@example.com"}),
        sandbox.create("companies"),
    )
    sandbox.associate("contacts", lost, "companies", company, "Primary")

    survivor = sandbox.merge("contacts", kept, lost)

    assert (survivor == kept) is not new_id
    merged = [kept, lost] if new_id else [lost]
    last = sandbox.records("contacts")[-1]
    assert last["id"] == survivor
    assert last["properties"]["email"] == "kept@example.com"
    assert last["properties"]["hs_merged_object_ids"] == ";".join(merged)
    vids = last["properties"]["hs_calculated_merged_vids"].split(";")
    assert [one.partition(":")[0] for one in vids] == merged
    asked = api.get(f"/crm/objects/2026-09/contacts/{lost}")
    assert asked.status_code == (404 if answers == "missing" else 200)
    links = sandbox.associations("contacts", "companies")
    assert {one["from_id"] for one in links if one["to_id"] == company} == {survivor}


def test_a_purged_record_is_gone_without_trace(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("contacts")
    sandbox.purge("contacts", made)

    assert api.get(f"/crm/objects/2026-09/contacts/{made}").status_code == 404
    assert api.get(f"/crm/objects/2026-09/contacts/{made}", archived="true").status_code == 404


@pytest.mark.parametrize(
    ("command", "arguments", "why"),
    [
        ("archive", {"record_type": "deals", "ids": ["1"]}, "no live deals with id 1"),
        ("update", {"record_type": "nope", "record_id": "1", "properties": {}}, "no object type"),
        ("update", {"wrong": 1}, "unknown field"),
        ("create", {"record_type": "deals", "properties": {"nope": "1"}}, "no property nope"),
        ("create", {"record_type": "deals", "properties": {"createdate": "1"}}, "cannot be set"),
        ("switches", {"values": {"nope": 1}}, "unknown field"),
        ("limits", {"values": {"daily": 0}}, "Expected `int` >= 1"),
        ("archive_type", {"record_type": "deals"}, "not a custom object"),
        ("nope", {}, "no such command"),
    ],
)
def test_wrong_commands_are_refused(
    sandbox: Sandbox, command: str, arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(SandboxError, match=why):
        sandbox.command(command, **arguments)


def test_the_made_data_is_varied_and_partly_invalid(server: Sandbox) -> None:
    server.reset(sizes={"contacts": 1000}, now=NOW)
    columns: dict[str, set[str | None]] = {}
    for record in server.records("contacts"):
        for name, value in record["properties"].items():
            columns.setdefault(name, set()).add(value)

    unset_somewhere = {name for name, values in columns.items() if None in values}
    assert {"phone", "tier", "lead_notes", "price"} <= unset_somewhere
    assert "" in columns["lead_notes"]
    assert any("\n" in (one or "") for one in columns["lead_notes"])
    assert {"not-an-email", "two@@example.com"} & columns["email"]
    assert {"call me", "555-CALL-NOW"} & columns["phone"]
    assert {"2026-02-30", "soon"} & columns["prospect_add_date"]
    assert "12345678901234567890.123456789" in columns["lead_cost"]
    assert any(";" in (one or "") for one in columns["service_of_interest"])
    assert all(not (one or "").isascii() for one in ("李", "Søren") if one in columns["firstname"])
    deals = [one["properties"]["closedate"] for one in server.records("deals")]
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one or "") for one in deals)
