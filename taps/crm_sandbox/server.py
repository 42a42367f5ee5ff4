"""The ASGI application and the HTTP server around it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.protocols.http.h11_impl import H11Protocol
from warehouse.page.server import Server

from crm_sandbox.arrivy import Arrivy
from crm_sandbox.callrail import CallRail
from crm_sandbox.clock import Clock
from crm_sandbox.control import Control
from crm_sandbox.crm import Crm, World
from crm_sandbox.faults import TRANSPORT, Faults
from crm_sandbox.hubspot import HubSpot
from crm_sandbox.salesrabbit import SalesRabbit
from crm_sandbox.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CRMS: tuple[type[Crm], ...] = (HubSpot, CallRail, Arrivy, SalesRabbit)
LONGEST_REQUEST_LINE = 1 << 20


def build(seed: int, sizes: Mapping[str, int]) -> ASGIApp:
    """Return the application with its data made.

    Raises:
        ControlError: a size names no record type.
    """
    world = World(Clock(), Faults(), Stats())
    crms = [crm(world) for crm in CRMS]
    control = Control(world, crms)
    control.reset(seed, dict(sizes))
    mounts = [Mount(f"/{crm.name}", routes=crm.routes()) for crm in crms]
    app = Starlette(routes=[Mount("/_sandbox", routes=control.routes()), *mounts])
    return _dated(app, world.clock)


def serve(app: ASGIApp, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on, 0 for a free one.
        ready: Called with the server's URL once it accepts connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        # Connections inherit it; asyncio sets it only on sockets that name TCP as their protocol.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound = listener.getsockname()[1]
        url = f"http://[{host}]:{bound}" if family == socket.AF_INET6 else f"http://{host}:{bound}"
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="error",
            date_header=False,
            server_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=LONGEST_REQUEST_LINE,
        )
        Server(config, lambda: ready(url)).run(sockets=[listener])


class _Protocol(H11Protocol):
    """Hands the connection to the faults, which break it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = self.transport
            await app(scope, receive, send)

        self.app = with_transport


def _dated(app: ASGIApp, clock: Clock) -> ASGIApp:
    """Put the sandbox's time into the Date header of every answer."""

    async def wrapper(scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", clock.http_date().encode())
                message["headers"] = [*message.get("headers", []), date]
            await send(message)

        await app(scope, receive, dated)

    return wrapper
