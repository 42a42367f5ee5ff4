"""``warehouse serve``."""

from __future__ import annotations

import click

from warehouse.command import Refusal, Warehouse, emit, json_option, pass_warehouse
from warehouse.page.opening import open_views

__all__ = ["command"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A further host name by which browsers may call the page, as behind a proxy. Repeatable.",
)
@click.option(
    "--keep-seconds",
    default=3.0,
    show_default=True,
    type=click.FloatRange(0, 300),
    help="For how long an answer may be given again to whoever asks for the same.",
)
@json_option
@pass_warehouse
def command(
    warehouse: Warehouse,
    host: str,
    port: int,
    hosts: tuple[str, ...],
    keep_seconds: float,
    *,
    as_json: bool,
) -> None:
    """Serve the page: what runs, health, history, rejects, freshness; and /metrics, /healthz.

    Only this machine reaches it, unless --host says otherwise; then it asks for
    WAREHOUSE_PAGE_TOKEN, or for WAREHOUSE_PAGE_USER and WAREHOUSE_PAGE_PASSWORD, one of which must
    be set. SIGTERM and Ctrl-C end it.

    Example: warehouse serve --port 8080
    """
    views = open_views(warehouse)
    from warehouse.page import access, app, server  # noqa: PLC0415 - an extra, which is there

    def ready(url: str) -> None:
        if as_json:
            emit({"url": url})
        else:
            click.echo(f"The page is at {url}  (Ctrl-C ends it)")

    try:
        credentials = access.Credentials.of(warehouse.variables)
        is_local = access.is_loopback(host)
        if not (is_local or credentials):
            raise Refusal(
                f"Others reach {host}, so the page needs a lock: set WAREHOUSE_PAGE_TOKEN, or"
                " WAREHOUSE_PAGE_USER and WAREHOUSE_PAGE_PASSWORD."
            )
        if not views.database.is_reachable():
            click.echo("The page will say so until the database answers.", err=True)
        names = hosts if is_local or hosts else None
        server.serve(app.build(views, credentials, names, keep_seconds), host, port, ready)
    except (access.AccessError, server.NotServed) as error:
        raise Refusal(str(error)) from None
    finally:
        views.database.close()
