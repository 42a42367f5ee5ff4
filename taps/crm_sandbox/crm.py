"""What a CRM module brings, and the way each of its requests goes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from crm_sandbox.clock import from_iso
from crm_sandbox.faults import hold, spoil
from crm_sandbox.stats import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from crm_sandbox.clock import Clock
    from crm_sandbox.faults import Fault, Faults
    from crm_sandbox.stats import Stats

    Handler = Callable[[Request], Awaitable[Response]]


class ApiError(Exception):
    """An answer other than the one asked for, in the CRM's own form."""

    def __init__(
        self,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.headers = dict(headers or {})
        self.media_type = media_type

    def response(self) -> Response:
        """Return it as an HTTP response."""
        return Response(self.body, self.status, self.headers, self.media_type)


class ControlError(ValueError):
    """A control request that cannot be carried out; the text says why."""


def read_time(text: str) -> int:
    """Return an ISO time in milliseconds.

    Raises:
        ControlError: it is none.
    """
    try:
        return from_iso(text)
    except ValueError as error:
        raise ControlError(f"{text!r} is not an ISO time") from error


class World:
    """What all CRMs of one sandbox share."""

    def __init__(self, clock: Clock, faults: Faults, stats: Stats) -> None:
        self.clock = clock
        self.faults = faults
        self.stats = stats


class Crm(ABC):
    """One CRM of the sandbox, served under ``/<name>``.

    Attributes:
        name: The prefix of its paths.
        sizes: Record types with the number of records made of each by default.
    """

    name: ClassVar[str]
    sizes: ClassVar[Mapping[str, int]]

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def reset(self, seed: int, sizes: Mapping[str, int]) -> None:
        """Forget everything and make the data of this seed; switches and limits are as at start."""

    @abstractmethod
    def routes(self) -> list[Route]:
        """Return the endpoints, made with `route`."""

    @abstractmethod
    def commands(self) -> Mapping[str, Callable[..., Any]]:
        """Return what ``POST /_sandbox/<name>/<command>`` can do; arguments are the JSON body."""

    @abstractmethod
    def admit(self, request: Request, kind: str) -> Mapping[str, str]:
        """Let a request in and return headers for its answer.

        Raises:
            ApiError: credentials, rate limits or the address forbid it.
        """

    @abstractmethod
    def fault_error(self, fault: Fault) -> ApiError:
        """Return the error of a ``status`` fault in the CRM's form."""

    @abstractmethod
    def repeat_cursor(self, request: Request, body: bytes, response: Response) -> Response:
        """Return the response with the cursor that was asked for as the next one."""

    def route(self, method: str, path: str, kind: str, handler: Handler) -> Route:
        """Return an endpoint that is counted, delayed, spoilt and guarded like all others."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, kind, handler)

        return Route(path, endpoint, methods=[method])

    async def _answer(self, request: Request, kind: str, handler: Handler) -> Response:
        path: str = request.scope["path"]
        body = await request.body()
        call = Call(
            at=time.monotonic(),
            crm=self.name,
            kind=kind,
            method=request.method,
            path=path,
            query=request.scope["query_string"].decode(),
            body=body.decode(errors="replace"),
        )
        self.world.stats.begin(call)
        fault = self.world.faults.strike(request.method, path)
        delay = self.world.faults.latency_ms / 1000
        if fault is not None and fault.kind in ("slow", "hang"):
            delay += fault.seconds
        if delay:
            await hold(request, delay)
        headers: Mapping[str, str] = {}
        try:
            if fault is not None and fault.kind == "status":
                raise self.fault_error(fault)
            headers = self.admit(request, kind)
            response = await handler(request)
        except ApiError as error:
            response = error.response()
        response.headers.update(headers)
        broken = fault is not None and fault.kind in ("reset", "hang")
        self.world.stats.end(call, 0 if broken else response.status_code)
        if fault is None:
            return response
        if fault.kind == "repeat_cursor":
            return self.repeat_cursor(request, body, response)
        return spoil(fault, response)


def json_response(content: Any, status: int = 200) -> Response:
    """Return content as a JSON response."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")
