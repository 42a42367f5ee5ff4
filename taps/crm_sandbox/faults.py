"""Faults that are switched on from outside: errors, slowness, broken bodies and connections."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

Kind = Literal["status", "slow", "hang", "cut", "malformed", "repeat_cursor", "reset"]
TRANSPORT = "crm_sandbox.transport"


class Fault(msgspec.Struct, kw_only=True):
    """One rule: which requests it hits and what happens to them.

    Attributes:
        kind: What happens: ``status`` answers an error; ``slow`` answers after `seconds`; ``hang``
            gives no answer for `seconds`, then breaks the connection; ``cut`` sends half the body,
            then closes; ``malformed`` spoils the JSON; ``repeat_cursor`` answers with the cursor
            that was asked for; ``reset`` resets the connection.
        path: Regular expression, searched in the path.
        method: HTTP method, any where null.
        after: So many matching requests pass first.
        every: Of the others each `every`-th is hit.
        count: So many are hit at most, all where null.
        status: The status answered.
        variant: Which of a status's forms, for example the policy of a 429; named by the CRM.
        retry_after: Value of a Retry-After header, none where null.
        seconds: How long ``slow`` and ``hang`` take.
    """

    kind: Kind
    path: str = ""
    method: str | None = None
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    count: Annotated[int, msgspec.Meta(ge=0)] | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 500
    variant: str | None = None
    retry_after: str | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    seen: int = 0
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Count a request and say whether the fault hits it."""
        if self.method not in (None, method) or not re.search(self.path, path):
            return False
        self.seen += 1
        due = self.seen > self.after and (self.seen - self.after) % self.every == 0
        if not due or (self.count is not None and self.hits >= self.count):
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force and the latency every request has."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.latency_ms = 0.0

    def clear(self) -> None:
        """Switch everything off."""
        self.rules = []
        self.latency_ms = 0.0

    def strike(self, method: str, path: str) -> Fault | None:
        """Return the first rule that hits this request."""
        return next((rule for rule in self.rules if rule.strikes(method, path)), None)


class CutResponse(Response):
    """Announces the whole body, sends half of it and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(scope).close()
        await _disconnected(receive)


class ResetResponse(Response):
    """Sends nothing and breaks the connection with a TCP reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        transport = _transport(scope)
        if not transport.is_closing():
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        await _disconnected(receive)


async def hold(request: Request, seconds: float) -> None:
    """Wait so long, or until the client gives up."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_disconnected(request.receive), seconds)


def spoil(fault: Fault, response: Response) -> Response:
    """Return what the client gets in place of a good response."""
    if fault.kind in ("reset", "hang"):
        return ResetResponse()
    if fault.kind == "cut":
        # A body too small to be cut is padded, which JSON allows.
        body = bytes(response.body) + b" " * 64
        return CutResponse(body, response.status_code, media_type="application/json")
    if fault.kind == "malformed":
        body = bytes(response.body)
        return Response(body[: max(len(body) - 2, 1)] + b'"', media_type="application/json")
    return response


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope[TRANSPORT]
    return transport


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
