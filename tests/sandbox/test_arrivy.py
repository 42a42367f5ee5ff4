"""The sandbox's Arrivy does what the API sheet says of it, and offers the other truths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from crm_sandbox.hubspot.catalog import SIZES

if TYPE_CHECKING:
    from crm_sandbox.client import Control

KEYS = {"X-Auth-Key": "arrivy-sandbox-key", "X-Auth-Token": "arrivy-sandbox-token"}


@pytest.fixture
def arrivy(sandbox: Control) -> Control:
    crm = sandbox.of("arrivy")
    crm.reset(seed=1, sizes=dict.fromkeys(SIZES, 1) | {"arrivy.tasks": 90})
    crm.no_limits()
    return crm


def ask(arrivy: Control, path: str, keys: Any = None, **query: Any) -> requests.Response:
    return requests.get(
        f"{arrivy.base_url()}{path}", query, headers=KEYS if keys is None else keys, timeout=10
    )


def ids(arrivy: Control, path: str, **query: Any) -> list[int]:
    return [row["id"] for row in ask(arrivy, path, **query).json()]


@pytest.mark.parametrize("wrong", [{}, {"X-Auth-Key": "x"}, {**KEYS, "X-Auth-Token": "x"}])
def test_both_headers_are_needed(arrivy: Control, wrong: dict[str, str]) -> None:
    answer = ask(arrivy, "/users/profile", wrong)
    assert answer.status_code == 401
    assert answer.json() == {"message": "UNAUTHORIZED", "description": "Wrong Credentials"}
    assert ask(arrivy, "/users/profile").status_code == 200


def test_lists_are_bare_and_come_in_numbered_pages(arrivy: Control) -> None:
    everything = ids(arrivy, "/customers")
    assert everything == [row["id"] for row in arrivy.records("customers")]
    assert all(10**15 < one < 2**53 for one in everything)
    pages = [ids(arrivy, "/customers", page=n, items_per_page=15) for n in (1, 2, 3, 4)]
    assert [one for page in pages for one in page] == everything
    assert [len(page) for page in pages] == [15, 15, 10, 0]
    assert ids(arrivy, "/customers", page_size=1) == everything


@pytest.mark.parametrize("name", ["page", "items_per_page"])
def test_a_bad_page_is_refused(arrivy: Control, name: str) -> None:
    answer = ask(arrivy, "/customers", **{name: "x"})
    assert answer.status_code == 400
    assert answer.json() == {"message": "INVALID_INPUT", "description": f"Invalid {name}"}


def test_one_row_and_none(arrivy: Control) -> None:
    task = arrivy.records("tasks")[0]
    assert ask(arrivy, f"/tasks/{task['id']}").json() == task
    arrivy.remove("tasks", str(task["id"]))
    answer = ask(arrivy, f"/tasks/{task['id']}")
    assert (answer.status_code, answer.json()["message"]) == (404, "NOT_FOUND")


class TestTasks:
    def test_three_sets_make_up_all(self, arrivy: Control) -> None:
        window = ids(arrivy, "/tasks")
        unscheduled = ids(arrivy, "/tasks", unscheduled="true")
        dateless = ids(arrivy, "/tasks", tasks_with_no_datetime="true")
        assert sorted(window + unscheduled + dateless) == sorted(
            row["id"] for row in arrivy.records("tasks")
        )
        assert len(window) > len(unscheduled) > 0 < len(dateless)
        arrivy.switches(dateless_are_unscheduled=True)
        assert {*ids(arrivy, "/tasks", unscheduled="true")} == {*unscheduled, *dateless}

    @pytest.mark.parametrize("about", ["scheduled", "created", "updated"])
    def test_a_window_is_about_one_kind_of_time(self, arrivy: Control, about: str) -> None:
        arrivy.switches(window=about)
        first, last = ("start_datetime", "end_datetime") if about == "scheduled" else (about, about)
        found = ids(arrivy, "/tasks", **{"from": "2026-06-01T01:00:00+01:00"}, to="2026-09-01")
        assert found == [
            row["id"]
            for row in arrivy.records("tasks")
            if row["start_datetime"]
            and not row["unscheduled"]
            and row[last] >= "2026-06-01T00:00:00"
            and row[first] <= "2026-09-01T00:00:00"
        ]
        arrivy.switches(window="ignored")
        assert len(ids(arrivy, "/tasks", to="2020-01-01")) > len(found) > 0

    def test_a_plus_sign_that_is_not_encoded_is_a_blank(self, arrivy: Control) -> None:
        url = f"{arrivy.base_url()}/tasks?from=2026-06-01T01:00:00+01:00"
        answer = requests.get(url, headers=KEYS, timeout=10)
        assert (answer.status_code, answer.json()["message"]) == (400, "INVALID_INPUT")

    def test_a_change_filter_is_ignored(self, arrivy: Control) -> None:
        assert ids(arrivy, "/tasks", updated_after="2099-01-01") == ids(arrivy, "/tasks")

    def test_details_bring_the_latest_ten_events(self, arrivy: Control) -> None:
        tasks = ask(arrivy, "/tasks", show_details="true").json()
        many = max(tasks, key=lambda row: len(row["task_status"]))
        assert len(many["task_status"]) == 10
        events = ask(arrivy, f"/tasks/{many['id']}/status").json()
        assert events[-10:] == many["task_status"]
        assert "task_id" not in events[0]
        arrivy.switches(details="")
        assert "task_status" not in ask(arrivy, "/tasks", show_details="true").json()[0]

    def test_a_hidden_cap_ends_a_query_silently(self, arrivy: Control) -> None:
        arrivy.switches(task_cap=10)
        pages = [ids(arrivy, "/tasks", page=n, items_per_page=6) for n in (1, 2, 3)]
        assert [len(page) for page in pages] == [6, 4, 0]

    def test_a_status_filter_filters_or_not(self, arrivy: Control) -> None:
        everything = ids(arrivy, "/tasks")
        assert ids(arrivy, "/tasks", statuses="CONFIRMED,COMPLETE") == everything
        arrivy.switches(status_filter=True)
        kinds = {row["status"] for row in ask(arrivy, "/tasks", statuses="CONFIRMED").json()}
        assert kinds == {"CONFIRMED"}

    def test_ratings_and_estimates_are_of_a_task(self, arrivy: Control) -> None:
        rated = next(row for row in arrivy.records("tasks") if row["rating"] is not None)
        (rating,) = ask(arrivy, f"/tasks/{rated['id']}/rating").json()
        assert rating["rating"] == rated["rating"]
        estimate = ask(arrivy, f"/tasks/{rated['id']}/estimate").json()
        assert estimate == {"estimate": f"{rated['duration']} minutes"}


def test_disabled_groups_are_left_out_unless_wanted(arrivy: Control) -> None:
    disabled = int(arrivy.create("groups", {"is_disabled": True}))
    assert disabled not in ids(arrivy, "/groups")
    assert disabled in ids(arrivy, "/groups", get_disabled_groups="true")
    arrivy.switches(disabled_groups=False)
    assert disabled not in ids(arrivy, "/groups", get_disabled_groups="true")


def test_undocumented_lists_may_be_missing_or_whole(arrivy: Control) -> None:
    everything = ids(arrivy, "/bookings")
    assert ids(arrivy, "/bookings", items_per_page=1, page=2) == everything[1:2]
    arrivy.switches(bookings="whole", statuses=False)
    assert ids(arrivy, "/bookings", items_per_page=1, page=2) == everything
    assert ask(arrivy, "/statuses").status_code == 404
    arrivy.switches(bookings="missing")
    assert ask(arrivy, "/bookings").status_code == 404


def test_the_size_of_pages_may_be_limited_or_fixed(arrivy: Control) -> None:
    arrivy.switches(largest_page=7)
    assert len(ids(arrivy, "/customers", items_per_page=20)) == 7
    arrivy.switches(ignores_size=True)
    assert len(ids(arrivy, "/customers", items_per_page=20)) == 40


def test_values_may_be_written_otherwise(arrivy: Control) -> None:
    arrivy.switches(id_lists="text", numbers=True, content_type="text/plain", envelope=True)
    answer = ask(arrivy, "/tasks")
    assert answer.headers["Content-Type"].startswith("text/plain")
    (rows,) = answer.json().values()
    assert all(isinstance(row["entity_ids"], str) for row in rows)
    assert all(isinstance(row["customer_mobile_number"], int) for row in rows)
    assert {row["unscheduled"] for row in rows} == {"false"}
    arrivy.switches(moments=False, envelope=False)
    assert "updated" not in ask(arrivy, "/tasks").json()[0]
    arrivy.switches(customer_moments=True)
    assert "updated" in ask(arrivy, "/customers").json()[0]


def test_order_may_be_another(arrivy: Control) -> None:
    plain = ids(arrivy, "/customers")
    arrivy.switches(order="newest")
    assert ids(arrivy, "/customers") == plain[::-1]
    arrivy.switches(order="scattered")
    assert sorted(ids(arrivy, "/customers")) == plain != ids(arrivy, "/customers")


def test_crew_members_are_somewhere_else_at_each_look(arrivy: Control) -> None:
    (first, *_) = ask(arrivy, "/entities").json()
    arrivy.advance(60)
    (again, *_) = ask(arrivy, "/entities").json()
    assert first.pop("lastreading") != again.pop("lastreading")
    assert first == again
    readings = ask(arrivy, f"/entities/{first['id']}/readings").json()
    assert readings == ask(arrivy, f"/entities/{first['id']}/readings").json()
    assert {"time", "lat", "lng"} <= readings[0].keys()


@pytest.mark.parametrize(("switch", "status"), [(403, 403), (400, 400)])
def test_a_missing_right_may_come_as_a_bad_request(
    arrivy: Control, switch: int, status: int
) -> None:
    arrivy.switches(denied_status=switch)
    arrivy.faults({"kind": "status", "status": 403})
    answer = ask(arrivy, "/customers")
    assert (answer.status_code, answer.json()) == (status, {"description": "NOT AUTHORIZED"})


def test_the_limit_is_enforced_with_and_without_a_hint(arrivy: Control) -> None:
    arrivy.limits(per_minute=2)
    answers = [ask(arrivy, "/groups") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Retry-After" not in answers[-1].headers
    arrivy.switches(retry_after=True)
    assert 0 < int(ask(arrivy, "/groups").headers["Retry-After"]) <= 61
