"""The ASGI application."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from warehouse.page import metrics
from warehouse.page.access import Credentials, Guard
from warehouse.page.cache import Cache
from warehouse.page.database import Unreadable
from warehouse.page.filters import BadFilter, Filters
from warehouse.page.views import STATIC, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from starlette.requests import Request

    from warehouse.page.views import Views

__all__ = ["build"]


def build(
    views: Views, credentials: Credentials, hosts: Collection[str] | None, kept: float
) -> Guard:
    """Return the application.

    Args:
        views: What it shows.
        credentials: What opens it.
        hosts: See `Guard`.
        kept: Seconds for which an answer may be given again to whoever asks for the same.
    """
    page = _Page(views, kept)
    app = Starlette(
        routes=[
            Route("/", page.overview),
            Route("/running", page.running),
            Route("/runs", page.runs),
            Route("/runs/{id}", page.run),
            Route("/activity", page.activity),
            Route("/rejects", page.rejects),
            Route("/rejects/{id}", page.reject),
            Route("/tables", page.tables),
            Route("/metrics", page.metrics),
            Route("/healthz", page.healthz),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={
            HTTPException: page.http_error,
            Missing: page.missing,
            BadFilter: page.bad_filter,
            Unreadable: page.unreadable,
            Exception: page.failure,
        },
    )
    return Guard(app, credentials, hosts)


class _Page:
    """The addresses."""

    def __init__(self, views: Views, kept: float) -> None:
        self.views = views
        self.cache: Cache[bytes] = Cache(kept)
        self.reachable: Cache[bool] = Cache(kept)

    async def _show(self, view: Callable[..., str], *asked: Hashable) -> Response:
        """Answer with a view's HTML; what is asked for again soon is not worked out again."""
        make = partial(view, *asked)
        return HTMLResponse(await self.cache.get((view.__name__, *asked), lambda: make().encode()))

    async def overview(self, request: Request) -> Response:
        return await self._show(self.views.overview, "refresh" in request.query_params)

    async def running(self, _: Request) -> Response:
        return await self._show(self.views.running)

    async def runs(self, request: Request) -> Response:
        return await self._show(self.views.runs, Filters.of(request.query_params))

    async def run(self, request: Request) -> Response:
        return await self._show(self.views.run, _id(request))

    async def activity(self, request: Request) -> Response:
        return await self._show(self.views.activity, Filters.of(request.query_params))

    async def rejects(self, request: Request) -> Response:
        return await self._show(self.views.rejects, Filters.of(request.query_params))

    async def reject(self, request: Request) -> Response:
        return await self._show(self.views.reject, _id(request))

    async def tables(self, _: Request) -> Response:
        return await self._show(self.views.tables)

    async def metrics(self, _: Request) -> Response:
        body = await self.cache.get("metrics", self.views.metrics)
        return Response(body, headers={"Content-Type": metrics.CONTENT_TYPE_LATEST})

    async def healthz(self, _: Request) -> Response:
        # Everybody may ask, so it is looked up no more often than the rest.
        if await self.reachable.get("database", self.views.database.is_reachable):
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the database cannot be reached\n", 503)

    # What went wrong

    def _error(self, code: int, title: str, sentence: str) -> Response:
        return HTMLResponse(self.views.error(title, sentence), code)

    async def http_error(self, _: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        if code == 404:  # noqa: PLR2004
            return self._error(code, "Not found", "There is no page at this address.")
        return self._error(code, "This did not work", str(getattr(error, "detail", "")))

    async def missing(self, _: Request, error: Exception) -> Response:
        return self._error(404, "Not found", str(error))

    async def bad_filter(self, _: Request, error: Exception) -> Response:
        return self._error(400, "This filter means nothing", str(error))

    async def unreadable(self, _: Request, error: Exception) -> Response:
        return self._error(503, "The warehouse cannot be read", str(error))

    async def failure(self, _: Request, __: Exception) -> Response:
        return self._error(500, "This did not work", "The log of warehouse serve says why.")


def _id(request: Request) -> int:
    """Return the number in the address; one that no table can have is not found either."""
    text: str = request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < 2**63):  # noqa: PLR2004
        raise HTTPException(404)
    return int(text)
