"""tap-hubspot against the sandbox: what it reads is what the account holds, however it changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from singer import Row, Run, Tables, run_tap, select
from tap_hubspot.client import HubSpotClient
from tap_hubspot.tap import TapHubSpot, custom_types

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm_sandbox.client import Sandbox


@pytest.fixture(autouse=True)
def _search_is_not_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_hubspot.client.SEARCH_SPACING", 1)


@pytest.fixture
def read(config: Row) -> Callable[..., Run]:
    def read(*streams: str, state: Row | None = None, **settings: Any) -> Run:
        catalog = select(TapHubSpot, config, *streams) if streams else None
        return run_tap(TapHubSpot, {**config, **settings}, state, catalog)

    return read


def test_one_contact_whole(sandbox: Sandbox, read: Callable[..., Run]) -> None:
    """A contact of every type of property becomes one row, column by column."""
    names = ["email", "phone", "price", "lead_sourced_on", "zip", "firstname"]
    values = {
        "email": "ada@example.com",
        "phone": "+1 415 555 2671",
        "price": "12345678901234567890.12345",
        "zip": "",
        "firstname": 'Ada\n"Countess"',
    }
    record_id = sandbox.create("contacts", values)
    run = read("contacts", properties={"contacts": names})
    (row,) = (row for row in run.records("contacts") if row["id"] == record_id)
    (truth,) = (r for r in sandbox.records("contacts") if r["id"] == record_id)
    created, updated = (f"{truth[at][:-1]}000Z" for at in ("createdAt", "updatedAt"))
    assert row == {
        "id": record_id,
        "created_at": created,
        "updated_at": updated,
        "archived": False,
        "archived_at": None,
        "_sdc_deleted_at": None,
        "email": "ada@example.com",
        "phone": "+1 415 555 2671",
        "price": 12345678901234567890.12345,
        "lead_sourced_on": None,
        "zip": "",
        "firstname": 'Ada\n"Countess"',
        "sync_issues": None,
    }
    line = next(line for line in run.lines if f'"record":{{"id":"{record_id}",' in line)
    assert '"price":12345678901234567890.12345' in line


def test_a_first_load_has_every_record_of_every_type(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    sandbox.archive("deals", *_ids(sandbox, "deals")[:3])
    tables = Tables().load(read())
    counts = sandbox.counts()
    kinds = {kind: kind for kind in counts if not kind.startswith("2-")}
    for stream, kind in {**kinds, "divisions": "2-37000001"}.items():
        rows = tables.rows[stream].values()
        assert counts[kind] == {
            "live": sum(not row["archived"] for row in rows),
            "archived": sum(row["_sdc_deleted_at"] is not None for row in rows),
        }
    assert counts["deals"]["archived"] >= 3
    for stream in ("owners", "pipelines", "pipeline_stages", "properties", "lists"):
        assert tables.rows[stream], stream
    truth = {
        (one["from_id"], one["to_id"], one["typeId"])
        for one in sandbox.associations("contacts", "companies")
    }
    assert truth
    assert truth == {
        (row["from_id"], row["to_id"], row["type_id"])
        for row in tables.rows["associations"].values()
        if (row["from_type"], row["to_type"]) == ("contacts", "companies")
    }


ALL_KINDS = {"change": 25, "add": 6, "archive": 6, "restore": 4, "associate": 10, "dissociate": 10}
TRUTHS: list[Row] = [
    {},
    {"batch_status": 200, "to_object_id": "number", "association_page_size": 1},
    {"unset": "empty", "list_order": "scattered", "single_direction_pairs": False},
    {"restore_moves_modified": True, "archive_moves_modified": False},
    {"merge_new_id": True, "merged_id_answers": "survivor"},
    {"search_lag_seconds": 60, "retry_after": True},
    {"search_body_limit": 1000},
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: ",".join(truth) or "as documented")
def test_incremental_runs_end_where_a_full_one_does(
    sandbox: Sandbox, read: Callable[..., Run], truth: Row
) -> None:
    """Whatever is true of what HubSpot leaves open."""
    sandbox.switches(**truth)
    streams = ("contacts", "companies", "deals", "associations", "association_labels")
    run = read(*streams, associations_refresh_days=0)
    tables = Tables().load(run)
    for seed in range(3):
        merges = {"merge": 2} if seed == 1 else {}
        types = ["contacts", "companies", "deals"]
        sandbox.mutate(seed, types, **ALL_KINDS, **merges)
        sandbox.advance(120)
        run = read(*streams, state=run.state, associations_refresh_days=0)
        tables.load(run)
        assert tables.changed
    assert run.error is None
    assert tables.rows == Tables().load(read(*streams)).rows
    again = read(*streams, state=run.state, associations_refresh_days=0)
    assert not tables.load(again).changed


def test_a_run_without_changes_asks_once_per_page_of_look_back(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    run = read("contacts", "deals")
    sandbox.stats(clear=True)
    run = read("contacts", "deals", state=run.state)
    kinds = sandbox.stats()["kinds"]
    assert kinds["hubspot.objects.search"] == 2
    assert kinds["hubspot.objects.list"] == 2  # the archived ones
    assert all(status["extracted"] < 5 for status in run.statuses.values())


def test_more_changes_than_search_gives_with_most_at_one_moment(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    """25,000 changed contacts, 12,000 of them at one moment: all come, and none twice."""
    sandbox.reset(seed=1, sizes={"contacts": 27_000})
    sandbox.no_limits()
    narrow = {"properties": {"contacts": ["firstname"]}}
    run = read("contacts", **narrow)
    for count in range(25_000, 11_000, -1_000):  # the first 12,000 keep the last moment
        sandbox.advance(60)
        changed = sandbox.bulk_update("contacts", count, {"firstname": "A"})
    sandbox.advance(60)
    sandbox.stats(clear=True)
    run = read("contacts", state=run.state, **narrow)
    moments = Counter(row["updated_at"] for row in run.records("contacts"))
    assert moments.most_common(1)[0][1] == len(changed) == 12_000
    got = [row["id"] for row in run.records("contacts") if row["firstname"] == "A"]
    assert len(got) == len(set(got)) == 25_000
    assert sandbox.stats()["kinds"]["hubspot.objects.search"] <= 25_000 / 200 + 2


def test_property_names_beyond_a_url_travel_in_the_body(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    for number in range(400):
        name = f"a_very_long_custom_property_name_{number:04}"
        sandbox.add_property("deals", name, value=str(number))
    sandbox.archive("deals", *_ids(sandbox, "deals")[:2])
    sandbox.stats(clear=True)
    run = read("deals")
    assert run.error is None
    rows = run.records("deals")
    assert len(rows) == 40
    assert all(
        row["a_very_long_custom_property_name_0399"] == "399" for row in rows if not row["archived"]
    )
    assert sandbox.stats()["kinds"]["hubspot.objects.batch_read"] == 2


def test_a_missing_scope_fails_its_stream_only_and_is_named(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    scopes = ["crm.objects.contacts.read", "crm.objects.deals.read"]
    sandbox.token("pat-na1-narrow", scopes)
    run = read("contacts", "companies", "deals", "associations", access_token="pat-na1-narrow")
    assert {name: status["status"] for name, status in run.statuses.items()} == {
        "contacts": "success",
        "companies": "failed",
        "deals": "success",
        "associations": "partial",
    }
    assert "those of companies" in run.statuses["associations"]["error"]
    assert "crm.objects.companies.read" in run.statuses["companies"]["error"]
    assert "companies" in str(run.error)
    assert len(run.records("contacts")) == 120


def test_oauth_tokens_are_renewed_and_rotated(sandbox: Sandbox, read: Callable[..., Run]) -> None:
    sandbox.switches(rotate_refresh_token=True)
    credentials = sandbox.oauth(lifetime_seconds=2)
    sandbox.faults(latency_ms=50)
    run = read("contacts", "companies", "deals", access_token=None, **credentials)
    assert run.error is None
    assert len(run.records("contacts")) == 120


def test_the_daily_limit_stops_the_run_and_keeps_the_state(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    first = read("contacts", "deals")
    sandbox.faults(
        {"kind": "status", "status": 429, "variant": "DAILY", "path": "objects/2026-09/deals"}
    )
    run = read("contacts", "deals", state=first.state)
    assert "daily limit" in str(run.error)
    assert run.statuses["contacts"]["status"] == "success"
    assert run.statuses["deals"]["status"] == "failed"
    assert run.state["bookmarks"]["deals"] == first.state["bookmarks"]["deals"]


def test_search_is_paced_across_streams(
    sandbox: Sandbox, read: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_hubspot.client.SEARCH_SPACING", 250)
    sandbox.limits(search_per_second=5)
    state = read("contacts", "companies", "deals", "tickets").state
    sandbox.bulk_update("contacts", 100, {"firstname": "A"})
    sandbox.advance(2)
    sandbox.stats(clear=True)
    run = read("contacts", "companies", "deals", "tickets", state=state, page_size=10)
    stats = sandbox.stats()
    assert len(run.records("contacts")) >= 100
    assert stats["kinds"]["hubspot.objects.search"] >= 13
    assert stats["rate_limited"] == 0
    assert 3 <= stats["busiest_second"]["hubspot.objects.search"] <= 5


class TestAssociations:
    @staticmethod
    def leave(sandbox: Sandbox) -> tuple[str, str, str, str]:
        """Let a contact leave a company, and change the contact."""
        one = sandbox.associations("contacts", "companies")[0]
        pair = ("contacts", one["from_id"], "companies", one["to_id"])
        sandbox.dissociate(*pair)
        sandbox.advance(3600)
        sandbox.update("contacts", one["from_id"], {"firstname": "Moved"})
        sandbox.advance(5)
        return pair

    def test_those_of_changed_records_are_read_and_removed_ones_removed(
        self, sandbox: Sandbox, read: Callable[..., Run]
    ) -> None:
        streams = ("contacts", "companies", "associations")
        run = read(*streams)
        tables = Tables().load(run)
        left = self.leave(sandbox)
        sandbox.stats(clear=True)
        run = read(*streams, state=run.state)
        # One for the changed contact, one for the company that the look-back sees again.
        assert sandbox.stats()["kinds"]["hubspot.associations.batch_read"] == 2
        tables.load(run)
        assert not [row for row in tables.rows["associations"] if row[:4] == left]

    def test_a_failure_in_between_is_made_up_for(
        self, sandbox: Sandbox, read: Callable[..., Run]
    ) -> None:
        """Records move on while associations fail: the next run reads them all again."""
        streams = ("contacts", "companies", "associations")
        run = read(*streams)
        tables = Tables().load(run)
        left = self.leave(sandbox)
        sandbox.advance(3600)
        sandbox.faults({"kind": "status", "status": 400, "path": "associations"})
        failed = read(*streams, state=run.state)
        assert failed.statuses["associations"]["status"] == "success"  # 400, no labels: no pair
        sandbox.faults({"kind": "status", "status": 403, "path": "associations"})
        failed = read(*streams, state=run.state)
        assert failed.statuses["associations"]["status"] == "partial"
        tables.load(failed)
        sandbox.faults()
        tables.load(read(*streams, state=failed.state))
        assert not [row for row in tables.rows["associations"] if row[:4] == left]

    def test_a_stream_that_is_left_out_once_loses_nothing(self, read: Callable[..., Run]) -> None:
        """Neither when all is due to be read, nor when it comes back, nor when it is new."""
        streams = ("contacts", "companies", "deals", "associations", "association_labels")
        run = read(*streams)
        whole = Tables().load(run)
        tables = Tables().load(run)
        fewer = [name for name in streams if name != "deals"]
        less = read(*fewer, state=run.state, associations_refresh_days=0)
        assert tables.load(less).rows["associations"] == whole.rows["associations"]
        assert tables.rows["association_labels"] == whole.rows["association_labels"]
        added = Tables().load(read(*fewer)).load(read(*streams, state=read(*fewer).state))
        assert added.rows["associations"] == whole.rows["associations"]
        assert added.rows["association_labels"] == whole.rows["association_labels"]

    def test_a_missing_scope_loses_nothing(
        self, sandbox: Sandbox, read: Callable[..., Run]
    ) -> None:
        streams = ("contacts", "companies", "associations")
        run = read(*streams)
        tables = Tables().load(run)
        before = dict(tables.rows["associations"])
        sandbox.token("pat-na1-narrow", ["crm.objects.contacts.read"])
        narrow = {"access_token": "pat-na1-narrow", "associations_refresh_days": 0}
        tables.load(read(*streams, state=run.state, **narrow))
        assert tables.rows["associations"] == before

    def test_one_refused_pair_leaves_the_others(
        self, sandbox: Sandbox, read: Callable[..., Run]
    ) -> None:
        streams = ("contacts", "companies", "deals", "associations")
        whole = Tables().load(read(*streams)).rows["associations"]
        sandbox.faults(
            {"kind": "status", "status": 400, "path": "contacts/companies/batch"},
            {"kind": "status", "status": 403, "path": "deals/contacts/batch"},
        )
        run = read(*streams)
        assert run.statuses["associations"]["status"] == "partial"
        lost = {("contacts", "companies"), ("deals", "contacts")}
        tables = Tables().load(run)
        left = {key: row for key, row in whole.items() if (key[0], key[2]) not in lost}
        assert left
        assert tables.rows["associations"] == left
        sandbox.faults()
        assert tables.load(read(*streams, state=run.state)).rows["associations"] == whole

    def test_a_whole_read_with_a_refused_pair_still_removes(
        self, sandbox: Sandbox, read: Callable[..., Run]
    ) -> None:
        """It removes nothing itself, so the next run does, though the pair is still refused."""
        streams = ("contacts", "companies", "deals", "associations")
        run = read(*streams)
        tables = Tables().load(run)
        left = self.leave(sandbox)
        sandbox.faults({"kind": "status", "status": 403, "path": "deals/contacts/batch"})
        for _ in range(2):
            run = read(*streams, state=run.state, associations_refresh_days=0)
            assert run.statuses["associations"]["status"] == "partial"
            tables.load(run)
        assert not [row for row in tables.rows["associations"] if row[:4] == left]
        assert [
            row for row in tables.rows["associations"] if row[0] == "deals" and row[2] == "contacts"
        ]

    def test_max_records_does_not_part_a_scope(
        self, sandbox: Sandbox, read: Callable[..., Run]
    ) -> None:
        run = read("contacts", "companies", "associations", max_records=30)
        rows = run.records("associations")
        assert len(rows) >= 30
        truth = sandbox.associations("contacts", "companies")
        for contact in {row["from_id"] for row in rows if row["from_type"] == "contacts"}:
            of = [
                row for row in rows if (row["from_type"], row["from_id"]) == ("contacts", contact)
            ]
            assert len(of) == sum(one["from_id"] == contact for one in truth)

    def test_pairs_can_be_named(self, read: Callable[..., Run]) -> None:
        run = read(
            "contacts", "companies", "deals", "associations", association_pairs=["deals:contacts"]
        )
        assert {(r["from_type"], r["to_type"]) for r in run.records("associations")} == {
            ("deals", "contacts")
        }
        wrong = read("contacts", "associations", association_pairs=["deals:people"])
        assert "names people; known are" in str(wrong.error)
        assert wrong.lines == []


def test_custom_types_are_named_stably() -> None:
    def schema(name: str, number: int) -> Row:
        return {"name": name, "objectTypeId": f"2-{number}"}

    schemas = [
        *(schema("Contact", 30), schema("division", 10), schema("Divisions", 9)),
        *(schema("genius user", 11), schema("people", 12)),
        *(schema("Property", 40), schema("物件", 41), schema("123", 42)),
    ]
    taken = {"contacts", *TapHubSpot.field_tables}
    assert [(kind.name, kind.id) for kind in custom_types(schemas, taken)] == [
        ("divisions", "2-9"),
        ("divisions_2_10", "2-10"),
        ("genius_users", "2-11"),
        ("people", "2-12"),
        ("contacts_2_30", "2-30"),
        ("properties_2_40", "2-40"),
        ("custom_2_41", "2-41"),
        ("123", "2-42"),
    ]


def test_properties_do_not_hide_what_records_have(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    sandbox.add_property("deals", "archived", value="never")
    run = read("deals", properties={"deals": ["archived"]})
    assert {(row["archived"], row["property_archived"]) for row in run.records("deals")} == {
        (False, "never")
    }


def test_disabled_appointments_are_no_stream(sandbox: Sandbox, config: Row) -> None:
    sandbox.enable("0-421", enabled=False)
    names = {
        stream["tap_stream_id"] for stream in TapHubSpot(config=config).catalog_dict["streams"]
    }
    assert "contacts" in names
    assert "appointments" not in names


@pytest.mark.parametrize("status", [400, 404, 405])
@pytest.mark.parametrize("path", ["properties/2026-09/quotes", "object-library", "schemas"])
def test_what_discovery_cannot_have_fails_no_other_stream(
    sandbox: Sandbox, read: Callable[..., Run], path: str, status: int
) -> None:
    sandbox.faults({"kind": "status", "status": status, "path": path})
    run = run_tap(TapHubSpot, {"base_url": sandbox.base_url(), "access_token": "pat-na1-sandbox"})
    failed = {name for name, status in run.statuses.items() if status["status"] == "failed"}
    assert failed == ({"quotes"} if "quotes" in path else set())
    assert len(run.records("contacts")) == 120


def test_the_dictionary_keeps_what_it_may_not_see(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    sandbox.faults({"kind": "status", "status": 403, "path": "properties/2026-09/leads"})
    run = read("properties")
    assert run.statuses["properties"]["status"] == "partial"
    assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]


def test_pipelines_do_without_a_type_that_is_refused(
    sandbox: Sandbox, read: Callable[..., Run]
) -> None:
    sandbox.faults({"kind": "status", "status": 403, "path": "pipelines/2026-09/leads"})
    run = read("deals", "leads", "pipelines")
    assert run.statuses["pipelines"]["status"] == "partial"
    assert {row["object_type"] for row in run.records("pipelines")} == {"deals"}


def test_a_batch_that_is_not_whole_fails_the_stream(
    sandbox: Sandbox, read: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_hubspot.objects.URL_ROOM", 10)
    post = HubSpotClient.post

    def broken(self: HubSpotClient, path: str, body: Any, **options: Any) -> Any:
        answer = post(self, path, body, **options)
        if "batch/read" in path:
            answer = {**answer, "errors": [{"category": "INTERNAL_ERROR"}]}
        return answer

    monkeypatch.setattr(HubSpotClient, "post", broken)
    run = read("deals")
    assert run.statuses["deals"]["status"] == "failed"
    assert "INTERNAL_ERROR" in run.statuses["deals"]["error"]


def test_a_retry_after_in_milliseconds_does_not_end_the_stream(
    sandbox: Sandbox, read: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_hubspot.client.LONGEST_WINDOW", 0.1)
    sandbox.faults(
        {
            "kind": "status",
            "status": 429,
            "variant": "TEN_SECONDLY_ROLLING",
            "retry_after": "10000",
            "count": 3,
        }
    )
    run = read("deals")
    assert run.error is None
    assert len(run.records("deals")) == 40


def test_missing_credentials_say_what_to_set(config: Row) -> None:
    run = run_tap(TapHubSpot, {**config, "access_token": None})
    assert "client_secret" in str(run.error)


def _ids(sandbox: Sandbox, record_type: str) -> list[str]:
    return [record["id"] for record in sandbox.command("records", record_type=record_type)]
