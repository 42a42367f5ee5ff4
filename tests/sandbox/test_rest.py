"""What all sandboxes of REST CRMs share, on a CRM made up for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
from crm_sandbox.clock import Clock, iso
from crm_sandbox.crm import ApiError, ControlError, World, json_response
from crm_sandbox.faults import Faults
from crm_sandbox.rest import Page, RestCrm, page_of, whole_number
from crm_sandbox.stats import Stats
from starlette.requests import Request

if TYPE_CHECKING:
    from random import Random

    from starlette.routing import Route


TOKEN = "acme-sandbox"


class Acme(RestCrm):
    class Switches(msgspec.Struct, forbid_unknown_fields=True):
        retry_after: bool = False

    class Limits(msgspec.Struct, forbid_unknown_fields=True):
        per_minute: int | None = 3

    name = "acme"
    sizes: ClassVar = {"owners": 2, "things": 5}
    static_token = TOKEN
    windows: ClassVar = {"per_minute": 60.0}
    editable: ClassVar = {"things": ("colour", "weight")}

    def fresh(self, record_type: str, random: Random, at: int) -> dict[str, Any]:
        record = {"id": self.new_id(record_type, 100), "created": iso(at)}
        if record_type == "things":
            owner = self.any_of("owners", random)["id"]
            record |= {"owner": owner, "colour": random.choice("rgb"), "weight": random.random()}
        return record

    def touched(self, record_type: str, record: dict[str, Any], at: int) -> None:
        record["modified"] = iso(at)
        assert record_type in self.sizes

    def endless(self, answer: Any) -> Any:
        return {**answer, "more": True}

    def routes(self) -> list[Route]:
        return []


@pytest.fixture
def acme() -> Acme:
    crm = Acme(World(Clock(), Faults(), Stats()))
    crm.world.clock.set(1_790_000_000_000)
    crm.reset(1, {})
    return crm


def run(acme: Acme, command: str, **arguments: Any) -> Any:
    return acme.commands()[command](**arguments)


def request(query: str = "", token: str = TOKEN) -> Request:
    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "path": "/things", "query_string": query.encode(), "headers": headers}
    return Request(scope)


def refusal(acme: Acme, token: str = TOKEN) -> ApiError:
    with pytest.raises(ApiError) as caught:
        acme.admit(request(token=token), "things")
    return caught.value


def test_data_is_made_when_it_is_wanted_and_the_same_for_a_seed(acme: Acme) -> None:
    assert acme._tables is None
    first = run(acme, "records", record_type="things")
    assert [one["id"] for one in first] == [100, 101, 102, 103, 104]
    assert {one["owner"] for one in first} <= {100, 101}
    acme.reset(1, {})
    assert [{**one, "created": 0} for one in run(acme, "records", record_type="things")] == [
        {**one, "created": 0} for one in first
    ]
    acme.reset(2, {"things": 1})
    assert run(acme, "counts") == {
        "owners": {"live": 2, "archived": 0},
        "things": {"live": 1, "archived": 0},
    }


def test_records_are_created_changed_and_removed(acme: Acme) -> None:
    (made,) = run(acme, "create", record_type="things", properties={"colour": "mauve"})
    record = acme.find("things", made)
    assert (record["colour"], record["modified"][:10]) == ("mauve", record["created"][:10])

    run(acme, "update", record_type="things", record_id="100", properties={"weight": 1})
    assert acme.find("things", "100")["modified"][:10] == record["modified"][:10]
    moment = "2026-01-01T00:00:00.000Z"
    quiet = {"record_type": "things", "record_id": "101", "properties": {"weight": 2}}
    run(acme, "update", **quiet, modified=moment)
    run(acme, "update", **quiet | {"properties": {"weight": 3}}, touch=False)
    assert (acme.find("things", "101")["weight"], acme.find("things", "101")["modified"]) == (
        3,
        moment,
    )

    run(
        acme,
        "bulk_update",
        record_type="things",
        count=2,
        properties={"weight": 4},
        modified=moment,
    )
    assert [(one["weight"], one.get("modified")) for one in acme.rows("things")[:3]] == [
        (4, moment),
        (4, moment),
        (acme.rows("things")[2]["weight"], None),
    ]

    run(acme, "remove", record_type="things", ids=["101"])
    assert [one["id"] for one in run(acme, "records", record_type="things", archived=True)] == [101]
    with pytest.raises(ApiError):
        acme.find("things", "101")
    with pytest.raises(ControlError, match="no record '101'"):
        run(acme, "update", **quiet)
    with pytest.raises(ControlError, match="no records of type 'nonsense'"):
        run(acme, "create", record_type="nonsense")


def test_a_round_of_changes_is_the_same_for_the_same_seed(acme: Acme) -> None:
    def round_() -> tuple[Any, list[dict[str, Any]]]:
        acme.reset(1, {})
        done = run(acme, "mutate", seed=5, change=2, add=1, remove=1)
        dateless = [{**one, "created": 0, "modified": 0} for one in acme.rows("things")]
        return done, dateless

    done, rows = round_()
    assert {kind: [len(ids) for ids in made.values()] for kind, made in done.items()} == {
        "changed": [2],
        "added": [1],
        "removed": [1],
    }
    assert len(rows) == 5
    assert round_() == (done, rows)
    with pytest.raises(ControlError, match="there are only 5 records of things"):
        run(acme, "mutate", change=6)


def test_credentials_and_limits_are_checked(acme: Acme) -> None:
    assert refusal(acme, "wrong").status == 401
    for _ in range(3):
        acme.admit(request(), "things")
    assert (refusal(acme).status, refusal(acme).headers) == (429, {})
    run(acme, "switches", values={"retry_after": True})
    assert 55 <= int(refusal(acme).headers["Retry-After"]) <= 60
    assert msgspec.to_builtins(run(acme, "limits", values={"per_minute": None})) == {
        "per_minute": None
    }
    acme.admit(request(), "things")
    run(acme, "limits", values={"per_minute": 1}, seconds={"per_minute": 0.05})
    acme.admit(request(), "things")
    assert 0 < acme.meters["per_minute"].wait_seconds() <= 0.05
    run(acme, "limits", values={"per_minute": None})
    run(acme, "revoke")
    assert refusal(acme).status == 401
    run(acme, "token", token="another")
    acme.admit(request(token="another"), "things")
    with pytest.raises(msgspec.ValidationError, match="per_hour"):
        run(acme, "limits", values={"per_hour": 1})


def test_a_repeated_page_never_ends(acme: Acme) -> None:
    answers = [
        acme.repeat_cursor(request(f"page={page}&x=1"), b"", json_response({"page": page}))
        for page in (1, 2)
    ]
    assert [json.loads(bytes(one.body)) for one in answers] == [{"page": 1, "more": True}] * 2


def test_pages_are_cut_by_number_and_size() -> None:
    rows = list(range(5))
    assert page_of(rows, 2, 2) == Page([2, 3], number=2, size=2, total=5, pages=3, has_more=True)
    assert page_of(rows, 3, 2) == Page([4], number=3, size=2, total=5, pages=3, has_more=False)
    assert page_of(rows, 0, 5, first=0).has_more is False
    assert page_of(rows, 9, 5).items == []
    assert page_of([], 1, 5).pages == 0


def test_numbers_in_a_query_are_checked() -> None:
    assert whole_number(request("page=7"), "page", 1) == 7
    assert whole_number(request(), "page", 1) == 1
    for query in ("page=0", "page=-1", "page=x", "page=", "page=9"):
        with pytest.raises(ValueError, match="Invalid page"):
            whole_number(request(query), "page", 1, high=8)
