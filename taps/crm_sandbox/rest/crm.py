"""The base of a simple REST CRM: records as the API shows them, kept by type and id."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from crm_sandbox.auth import Tokens
from crm_sandbox.clock import DAY_MS
from crm_sandbox.crm import ApiError, Crm, World, json_response
from crm_sandbox.limits import RollingWindow
from crm_sandbox.rest.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from crm_sandbox.faults import Fault

Record = dict[str, Any]
OLDEST_DAYS = 400
"""How far back the first records were created."""


class RestCrm(Crm):
    """A CRM whose records are flat or nested JSON, kept as its API shows them.

    A subclass gives the attributes below, `fresh`, and its endpoints in `routes`; everything else
    has a default. Data is made at the first request or command.

    Attributes:
        static_token: The credential that is valid at the start.
        Switches: What the API sheet leaves uncertain; all fields have defaults.
        Limits: Calls allowed in a window, by name of the limit; null switches one off.
        windows: Name of a limit → length of its window in seconds, counted in real time.
        editable: Record type → fields that `mutate` changes.
        page_parameter: The query parameter with the number of a page.
        switches: The switches in force.
        limits: The limits in force.
    """

    static_token: ClassVar[str]
    Switches: ClassVar[type[msgspec.Struct]]
    Limits: ClassVar[type[msgspec.Struct]]
    windows: ClassVar[Mapping[str, float]]
    editable: ClassVar[Mapping[str, Sequence[str]]]
    page_parameter: ClassVar[str] = "page"

    switches: Any
    limits: Any
    tokens: Tokens
    _tables: dict[str, dict[str, Record]] | None

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._commands = Commands(self)

    # What a subclass says

    @abstractmethod
    def fresh(self, record_type: str, random: Random, at: int) -> Record:
        """Return a made-up record that was created at a moment, in milliseconds.

        `new_id` gives it an id; `rows` has the records of the types made before it.
        """

    def make(self, random: Random, sizes: Mapping[str, int]) -> Iterator[tuple[str, Record]]:
        """Yield the records at the start with their types; each is stored as it comes."""
        now = self.now()
        for record_type, size in sizes.items():
            for _ in range(size):
                at = now - random.randrange(1000, OLDEST_DAYS * DAY_MS)
                yield record_type, self.fresh(record_type, random, at)

    def touched(self, record_type: str, record: Record, at: int) -> None:
        """Note in a record that it changed at a moment, where the CRM does that."""

    def removed(self, record_type: str, record: Record, at: int) -> bool:  # noqa: ARG002
        """Note in a record that it was deleted; return whether it leaves the lists for good."""
        return True

    def record_id(self, record_type: str, record: Record) -> str:  # noqa: ARG002
        """Return a record's id, by which commands name it."""
        return str(record["id"])

    def credential(self, request: Request) -> str:
        """Return the credential of a request; by default the bearer token."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def error(
        self, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> ApiError:
        """Return an error in the CRM's form."""
        return ApiError(status, {"error": message}, headers)

    def counted(self, request: Request, kind: str) -> Iterable[str]:  # noqa: ARG002
        """Return the names of the limits that a request counts against; by default all."""
        return self.meters

    def refusal_headers(self, wait_seconds: float) -> Mapping[str, str]:
        """Return the headers of a 429; by default Retry-After if there is a switch of that name."""
        if getattr(self.switches, "retry_after", False):
            return {"Retry-After": str(int(wait_seconds) + 1)}
        return {}

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every answer, such as those on what is left of a limit."""
        return {}

    def endless(self, answer: Any) -> Any:
        """Return an answer changed so that it promises another page."""
        return answer

    # What endpoints use

    def rows(self, record_type: str) -> list[Record]:
        """Return all records of a type, oldest first."""
        return list(self.tables[record_type].values())

    def any_of(self, record_type: str, random: Random) -> Record:
        """Return one of the records of a type."""
        records = self._lists.get(record_type)
        table = self.tables[record_type]
        if records is None or len(records) != len(table):
            records = self._lists[record_type] = list(table.values())
        return random.choice(records)

    def find(self, record_type: str, record_id: str) -> Record:
        """Return a record.

        Raises:
            ApiError: there is none; a 404.
        """
        record = self.tables[record_type].get(record_id)
        if record is None:
            raise self.error(404, "Not found")
        return record

    def now(self) -> int:
        """Return the sandbox time in milliseconds."""
        return self.world.clock.now_ms()

    def new_id(self, record_type: str, first: int = 1) -> int:
        """Return the next number of a type, the first one being `first`."""
        self._serials[record_type] += 1
        return first - 1 + self._serials[record_type]

    @property
    def tables(self) -> dict[str, dict[str, Record]]:
        """The records by type and id, made when they are first wanted."""
        if self._tables is None:
            tables: dict[str, dict[str, Record]] = {name: {} for name in self._sizes}
            self._tables = tables  # already, for `make` to look at what it has made
            for record_type, record in self.make(Random(self._seed), self._sizes):  # noqa: S311
                tables[record_type][self.record_id(record_type, record)] = record
        return self._tables

    # What `Crm` asks for

    def reset(self, seed: int, sizes: Mapping[str, int]) -> None:
        self._seed = seed
        self._sizes = {**self.sizes, **sizes}
        self._tables = None
        self._serials: Counter[str] = Counter()
        self._lists: dict[str, list[Record]] = {}
        self._repeated: dict[tuple[str, str], Any] = {}
        self.binned: dict[str, list[Record]] = {name: [] for name in self.sizes}
        self.switches = self.Switches()
        self.tokens = Tokens(self.world.clock, self.static_token, 0)
        self.use_limits(self.Limits(), {})

    def use_limits(self, limits: msgspec.Struct, windows: Mapping[str, float]) -> None:
        """Put limits in force, some with windows of another length, and count afresh."""
        self.limits = limits
        self.meters = {
            name: RollingWindow(getattr(limits, name), windows.get(name, seconds))
            for name, seconds in self.windows.items()
        }

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        """Return the commands all REST CRMs have; a subclass adds its own to them."""
        names = (name for name in vars(Commands) if not name.startswith("_"))
        return {name: getattr(self._commands, name) for name in names}

    def admit(self, request: Request, kind: str) -> Mapping[str, str]:
        if self.tokens.find(self.credential(request))[0] != "valid":
            raise self.error(401, "Unauthorized")
        meters = [self.meters[name] for name in self.counted(request, kind)]
        wait = max((meter.wait_seconds() for meter in meters), default=0.0)
        if wait:
            headers = {**self.headers(), **self.refusal_headers(wait)}
            raise self.error(429, "Too many requests", headers)
        for meter in meters:
            meter.take()
        return self.headers()

    def fault_error(self, fault: Fault) -> ApiError:
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return self.error(fault.status, "The request failed", headers)

    def repeat_cursor(self, request: Request, body: bytes, response: Response) -> Response:  # noqa: ARG002
        """Return the first page that was answered, as if it were this one and not the last."""
        query = [item for item in request.query_params.items() if item[0] != self.page_parameter]
        if response.status_code != 200:  # noqa: PLR2004
            return response
        key = (request.url.path, repr(query))
        if key not in self._repeated:
            self._repeated[key] = self.endless(msgspec.json.decode(bytes(response.body)))
        return json_response(self._repeated[key])
