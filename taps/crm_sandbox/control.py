"""The control API under ``/_sandbox``: what tests, demo and benchmarks do to the sandbox."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route

from crm_sandbox.clock import iso
from crm_sandbox.crm import ControlError, json_response, read_time
from crm_sandbox.faults import Fault  # noqa: TC001 - annotations are read at run time
from crm_sandbox.stats import Call  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from crm_sandbox.crm import Crm, World


class Control:
    """The commands every sandbox has, and the way to those of its CRMs."""

    def __init__(self, world: World, crms: Sequence[Crm]) -> None:
        self._world = world
        self._crms = {crm.name: crm for crm in crms}

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted under ``/_sandbox``."""
        return [
            Route("/{command}", self._shared, methods=["POST"]),
            Route("/{crm}/{command}", self._of_crm, methods=["POST"]),
        ]

    def reset(
        self, seed: int = 1, sizes: dict[str, int] | None = None, now: str | None = None
    ) -> None:
        """Start afresh: data, tokens, limits, switches, faults, statistics and clock.

        Args:
            seed: Same seed, sizes and day give the same data.
            sizes: Number of records by type, as ``contacts`` or ``hubspot.contacts``.
            now: ISO time the clock starts at, the real time where None.
        """
        per_crm = self._sizes(sizes or {})
        self._world.clock.set(None if now is None else read_time(now))
        self._world.faults.clear()
        self._world.stats.clear()
        for crm in self._crms.values():
            crm.reset(seed, per_crm[crm.name])

    def advance(self, seconds: float) -> str:
        """Move the clock and return the new time."""
        self._world.clock.advance(seconds)
        return self.now()

    def now(self) -> str:
        """Return the sandbox time."""
        return iso(self._world.clock.now_ms())

    def faults(
        self, rules: list[Fault] | None = None, latency_ms: float | None = None
    ) -> list[Fault]:
        """Replace the fault rules and the latency where given; return the rules with their hits."""
        if rules is not None:
            self._world.faults.rules = rules
        if latency_ms is not None:
            self._world.faults.latency_ms = latency_ms
        return self._world.faults.rules

    def stats(self, clear: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - a JSON field
        """Return the request counts, and start them afresh where `clear` is set."""
        report = self._world.stats.report()
        if clear:
            self._world.stats.clear()
        return report

    def log(self, contains: str = "", since: float = 0.0) -> list[Call]:
        """Return the last requests whose path contains a text."""
        return self._world.stats.log(contains, since)

    def _sizes(self, sizes: Mapping[str, int]) -> dict[str, dict[str, int]]:
        per_crm: dict[str, dict[str, int]] = {name: {} for name in self._crms}
        for key, size in sizes.items():
            prefix, _, record_type = key.rpartition(".")
            owners = [
                crm.name
                for crm in self._crms.values()
                if prefix in ("", crm.name) and record_type in crm.sizes
            ]
            if not owners or size < 0:
                raise ControlError(f"no CRM has records of type {key!r}, or the size is negative")
            for owner in owners:
                per_crm[owner][record_type] = size
        return per_crm

    async def _shared(self, request: Request) -> Response:
        commands: dict[str, Callable[..., Any]] = {
            "reset": self.reset,
            "advance": self.advance,
            "now": self.now,
            "faults": self.faults,
            "stats": self.stats,
            "log": self.log,
        }
        return await _run(commands, request)

    async def _of_crm(self, request: Request) -> Response:
        crm = self._crms.get(request.path_params["crm"])
        return await _run(crm.commands() if crm else {}, request)


async def _run(commands: Mapping[str, Callable[..., Any]], request: Request) -> Response:
    command = commands.get(request.path_params["command"])
    if command is None:
        return json_response({"message": f"no such command: {request.url.path}"}, 404)
    try:
        arguments = msgspec.json.decode(await request.body() or b"{}", type=_arguments(command))
        fields = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        return json_response(command(**fields))
    except (msgspec.ValidationError, msgspec.DecodeError, ControlError) as error:
        return json_response({"message": str(error)}, 400)


def _arguments(command: Callable[..., Any]) -> type[msgspec.Struct]:
    """Make a strict structure of a command's parameters, so that a misspelt one is an error."""
    hints = typing.get_type_hints(command, include_extras=True)
    fields: list[Any] = []
    for name, parameter in inspect.signature(command).parameters.items():
        default = () if parameter.default is inspect.Parameter.empty else (parameter.default,)
        fields.append((name, hints[name], *default))
    return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
