"""CallRail: its records, what may be done to them, who may ask, and how often."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from crm_sandbox.callrail import calls, generate
from crm_sandbox.callrail.lists import Lists
from crm_sandbox.callrail.switches import Limits, Switches
from crm_sandbox.clock import from_iso, iso
from crm_sandbox.crm import ControlError, json_response
from crm_sandbox.limits import RollingWindow
from crm_sandbox.rest import RestCrm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from random import Random

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from crm_sandbox.rest import Record

PATHS = {"text_messages": "text-messages"}


class CallRail(RestCrm):
    """CallRail under ``/callrail``; every path begins with ``/v3``."""

    name = "callrail"
    static_token = "callrail-sandbox"  # noqa: S105 - opens nothing but the sandbox
    Switches = Switches
    Limits = Limits
    windows: ClassVar[Mapping[str, float]] = {"per_hour": 3600.0, "per_day": 86_400.0}
    sizes: ClassVar[Mapping[str, int]] = {
        "accounts": 1,
        "companies": 3,
        "trackers": 5,
        "tags": 4,
        "users": 4,
        "calls": 60,
        "form_submissions": 20,
        "text_messages": 8,
        "leads": 6,
        "notifications": 3,
        "integrations": 3,
        "caller_ids": 3,
    }
    editable: ClassVar[Mapping[str, Sequence[str]]] = {
        "calls": ("tags", "note", "value", "lead_status", "customer_name", "transcription"),
        "form_submissions": ("tags", "note", "value", "lead_status"),
        "text_messages": ("customer_name", "state", "lead_status"),
        "companies": ("name", "time_zone"),
        "trackers": ("name", "whisper_message"),
        "users": ("role", "email"),
    }

    def routes(self) -> list[Route]:
        lists = [name for name in self.sizes if name != "accounts"]
        account = "/v3/a/{account}"
        text = f"{account}/text-messages/{{id}}.json"
        views = f"{account}/calls/{{id}}/page_views.json"
        to = Lists(self)
        return [
            self.route("GET", "/v3/a.json", "accounts.list", to.accounts),
            self.route("GET", text, "text_messages.get", to.messages),
            self.route("GET", views, "page_views.list", to.page_views),
            self.route("GET", f"{account}/calls", "calls.list", to.lister("calls")),
            *(
                self.route(
                    "GET",
                    f"{account}/{PATHS.get(name, name)}.json",
                    f"{name}.list",
                    to.lister(name),
                )
                for name in lists
            ),
        ]

    # Records

    def fresh(self, record_type: str, random: Random, at: int) -> Record:
        serial = self.new_id(record_type)
        if record_type == "accounts":
            return generate.account(serial, random)
        if record_type == "companies":
            account = random.choice(self.rows("accounts"))["id"]
            return generate.company(serial, random, at, account)
        company = random.choice(self.rows("companies"))
        if record_type == "calls":
            trackers = [it for it in self.rows("trackers") if it["company_id"] == company["id"]]
            tracker = random.choice(trackers)["id"] if trackers else None
            tags = self._tags(random, company)
            return calls.call(serial, random, at, {**company, "tracker": tracker}, tags)
        if record_type == "form_submissions":
            return generate.form(serial, random, at, company, self._tags(random, company))
        if record_type == "text_messages":
            texts = [
                self._text(random, at + 60_000 * step) for step in range(random.randrange(1, 5))
            ]
            return generate.conversation(serial, random, at, company, texts)
        make: Callable[..., Record] = getattr(generate, record_type.removesuffix("s"))
        return make(serial, random, at, company)

    def removed(self, record_type: str, record: Record, at: int) -> bool:
        if record_type in {"companies", "trackers"}:
            record |= {"status": "disabled", "disabled_at": iso(at)}
            return False
        if record_type == "tags":
            for call in (*self.rows("calls"), *self.rows("form_submissions")):
                call["tags"] = [name for name in call["tags"] if name != record["name"]]
        return True

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return {**super().commands(), "text": self.text}

    def text(self, conversation_id: str, content: str, at: str | None = None) -> str:
        """Add a text to a conversation and return its id."""
        conversation = self.tables["text_messages"].get(conversation_id)
        if conversation is None:
            raise ControlError(f"there is no conversation {conversation_id!r}")
        moment = self.now() if at is None else from_iso(at)
        added: Record = {
            "id": f"SCI{self.new_id('messages'):06d}",
            "content": content,
            "created_at": iso(moment),
            "status": None,
            "direction": "incoming",
            "type": "sms",
            "media_urls": [],
            "user": None,
        }
        conversation["messages"].append(added)
        conversation["last_message_at"] = added["created_at"]
        return str(added["id"])

    def _tags(self, random: Random, company: Record) -> list[str]:
        names = [
            tag["name"]
            for tag in self.rows("tags")
            if tag["account_id"] == company["account_id"]
            and tag["company_id"] in {None, company["id"]}
        ]
        return random.sample(names, min(len(names), random.randrange(3)))

    def _text(self, random: Random, at: int) -> Record:
        return generate.text(random, at, self.new_id("messages"))

    # Who may ask, and how often

    def credential(self, request: Request) -> str:
        header = request.headers.get("authorization", "")
        found = re.fullmatch(r'Token token="?([^"]+)"?', header)
        return found[1] if found else ""

    def use_limits(self, limits: msgspec.Struct, windows: Mapping[str, float]) -> None:
        self._windows = {**self.windows, **windows}
        self.limits = limits
        self.meters = {}

    def counted(self, request: Request, kind: str) -> Iterable[str]:  # noqa: ARG002
        """Each account counts by itself; a list of accounts counts against all of them."""
        asked = request.path_params.get("account")
        accounts = [asked] if asked else [account["id"] for account in self.rows("accounts")]
        names = []
        for account in accounts:
            for limit, seconds in self._windows.items():
                name = f"{account} {limit}"
                if name not in self.meters:
                    self.meters[name] = RollingWindow(getattr(self.limits, limit), seconds)
                names.append(name)
        return names

    def account(self, request: Request) -> str:
        """Return the id of the account in the path, which may go by its number.

        Raises:
            ApiError: there is none, or the key may not see it.
        """
        asked = request.path_params["account"]
        for account in self.rows("accounts"):
            if asked in {account["id"], str(account["numeric_id"])}:
                if not self.sees(request, account["id"]):
                    raise self.error(403, "Forbidden")
                return str(account["id"])
        raise self.error(404, "Not found")

    def sees(self, request: Request, account: str) -> bool:
        """Whether the key's user may see an account; the key's scopes name them."""
        scopes = self.tokens.find(self.credential(request))[1].scopes
        return scopes is None or account in scopes

    def endless(self, answer: Any) -> Any:
        return {**answer, "total_pages": 1000}

    def repeat_cursor(self, request: Request, body: bytes, response: Response) -> Response:
        if "relative_pagination" not in request.query_params or response.status_code != 200:  # noqa: PLR2004
            return super().repeat_cursor(request, body, response)
        answer = msgspec.json.decode(bytes(response.body))
        return json_response({**answer, "next_page": str(request.url), "has_next_page": True})
