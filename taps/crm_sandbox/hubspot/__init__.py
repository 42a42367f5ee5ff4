"""The HubSpot API as of November 2026, made from the project's API sheet.

Where the sheet is silent or uncertain, `switches.Switches` says what is assumed and offers the
other truth. Known differences from HubSpot:

- Any version of the form YYYY-MM is served, all alike; the old ``/crm/v3`` paths are not.
- Read only, but for the token endpoint; there are no webhooks, exports or imports.
- Object types of section 5 that no stream reads are missing (communications, invoices, users …).
- Rolling windows count real time and accepted calls only, and all tokens of a kind share one
  counter. The daily count follows the sandbox clock, five hours behind UTC; it leaves refused
  calls out and has no meaning for OAuth tokens.
- A token may read everything unless it was given scopes. They are checked per object type; of the
  schema scopes only ``crm.schemas.custom.read`` exists.
- The deprecated ``-Secondly`` headers are not sent.
- Error messages and the codes in ``errors`` are the sandbox's where the sheet has none, and so are
  the bodies of refused token requests.
- A search for an unknown property is refused, except contacts by ``hs_lastmodifieddate``. A
  negative operator leaves out records without a value. ``query`` looks for a part of the text of a
  few properties. The index of one type lags, or does not, as a whole.
- Every pair of object types can be associated; type ids the sheet does not name are made up.
- Calculated properties, list members, owners and pipelines never change by themselves.
- No introspection or revocation of tokens, no single-record association endpoint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from crm_sandbox.auth import Tokens
from crm_sandbox.crm import Crm, World, json_response
from crm_sandbox.hubspot.access import AccountEndpoints, Meter, check_address, check_token
from crm_sandbox.hubspot.account import Account
from crm_sandbox.hubspot.associations import Associations
from crm_sandbox.hubspot.catalog import SIZES
from crm_sandbox.hubspot.commands import all_commands
from crm_sandbox.hubspot.edits import Edits
from crm_sandbox.hubspot.errors import not_found, of_fault
from crm_sandbox.hubspot.objects import Objects
from crm_sandbox.hubspot.reference import Reference
from crm_sandbox.hubspot.switches import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from crm_sandbox.crm import ApiError, Handler
    from crm_sandbox.faults import Fault

STATIC_TOKEN = "pat-na1-sandbox"  # noqa: S105 - opens nothing but the sandbox
TOKEN_SECONDS = 1800
_VERSION = re.compile(r"\d{4}-\d{2}(-beta)?")


class HubSpot(Crm):
    """HubSpot under ``/hubspot``."""

    name = "hubspot"
    sizes: ClassVar[Mapping[str, int]] = SIZES

    account: Account
    tokens: Tokens
    meter: Meter
    enabled: dict[str, bool]

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._endpoints = (
            Objects(self),
            Associations(self),
            Reference(self),
            AccountEndpoints(self),
        )
        self._commands = all_commands(self, Edits(self))

    def reset(self, seed: int, sizes: Mapping[str, int]) -> None:
        # The former account goes first: two of them may be too much for the memory.
        self.__dict__.pop("account", None)
        self.account = Account(self.world.clock, seed, sizes)
        self.tokens = Tokens(self.world.clock, STATIC_TOKEN, TOKEN_SECONDS)
        self.meter = Meter(Limits())
        self.enabled = {"0-421": True, "0-162": False, "0-410": False, "0-420": False}

    def routes(self) -> list[Route]:
        return [route for group in self._endpoints for route in group.routes()]

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return self._commands

    def dated_route(self, method: str, path: str, kind: str, handler: Handler) -> Route:
        """Return a route whose path has the API version in it."""

        async def dated(request: Request) -> Response:
            if not _VERSION.fullmatch(request.path_params["version"]):
                raise not_found()
            return await handler(request)

        return self.route(method, path, kind, dated)

    def admit(self, request: Request, kind: str) -> Mapping[str, str]:
        check_address(request)
        if kind == "oauth.token":
            return {}
        switches = self.account.switches
        token = check_token(request, self.tokens, switches)
        request.state.token = token
        now = self.world.clock.now_ms()
        return self.meter.take(token, kind, now, retry_after=switches.retry_after)

    def fault_error(self, fault: Fault) -> ApiError:
        return of_fault(fault, self.account.switches.expired_category)

    def repeat_cursor(self, request: Request, body: bytes, response: Response) -> Response:
        asked = request.query_params.get("after")
        if asked is None and body:
            asked = msgspec.json.decode(body).get("after")
        answer = msgspec.json.decode(bytes(response.body))
        if asked is None or "results" not in answer:
            return response
        answer["paging"] = {"next": {"after": str(asked)}}
        return json_response(answer)
