"""One sandbox server for all tests here, reset to a small account before each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from crm_sandbox.client import Sandbox
from crm_sandbox.hubspot import STATIC_TOKEN
from crm_sandbox.hubspot.catalog import SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = dict.fromkeys(SIZES, 6) | {"contacts": 60}
NOW = "2026-11-20T10:00:00.000Z"


class Api:
    """HubSpot's HTTP interface as a client without any cleverness sees it."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.token = STATIC_TOKEN

    def get(self, path: str, **query: Any) -> requests.Response:
        return self._send("GET", path, params=query)

    def post(self, path: str, body: Any) -> requests.Response:
        return self._send("POST", path, json=body)

    def search(self, object_type: str, **body: Any) -> requests.Response:
        return self.post(f"/crm/objects/2026-09/{object_type}/search", body)

    def ids_found(self, object_type: str, *filters: dict[str, Any]) -> list[int]:
        """Return the ids a search finds, 200 at most."""
        answer = self.search(object_type, filterGroups=[{"filters": list(filters)}], limit=200)
        return [int(one["id"]) for one in answer.json()["results"]]

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return requests.request(
            method, f"{self.base_url}{path}", headers=headers, timeout=10, **options
        )


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(sizes=SMALL) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.reset(seed=1, sizes=SMALL, now=NOW)
    server.no_limits()
    return server


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    return Api(sandbox.base_url())
