"""The HTTP server around the application."""

from __future__ import annotations

import errno
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

__all__ = ["NotServed", "Server", "serve"]

_GRACE = 5
"""Seconds for answers that are under way when the server is told to stop."""
_WAITING = 512
"""Connections that may wait to be accepted."""


class NotServed(Exception):
    """The address cannot be listened on; the message says why."""


def serve(app: ASGIApp, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0: a free one.
        ready: Called with the server's URL once it accepts connections.

    Raises:
        NotServed: The port is taken, or the address is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=_WAITING)
    except OSError as error:
        reason = f"{host} port {port} cannot be listened on: {error.strerror}."
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} of {host} is in use; choose another one with --port."
        raise NotServed(reason) from None
    with listener:
        # Connections inherit it; asyncio sets it only on sockets that name TCP as their protocol.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        url = f"http://{name}:{listener.getsockname()[1]}"
        Server(config, lambda: ready(url)).run(sockets=[listener])


class Server(uvicorn.Server):
    """Announces that it is ready, and ends with exit code 0 on a signal."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own would raise the signal again after the shutdown.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield
