"""The command ``crm-sandbox``."""

from __future__ import annotations

import ipaddress
import os
import threading
from signal import SIGTERM, raise_signal

import click

from crm_sandbox.crm import ControlError
from crm_sandbox.server import build, serve


@click.group()
def main() -> None:
    """Serve local copies of the CRM APIs."""


def _sizes(
    _context: click.Context, _option: click.Parameter, given: tuple[str, ...]
) -> dict[str, int]:
    sizes = {}
    for text in given:
        record_type, separator, size = text.partition("=")
        if not separator or not size.isdecimal():
            raise click.BadParameter(f"{text!r} is not of the form contacts=1000")
        sizes[record_type] = int(size)
    return sizes


@main.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on, 0 for a free one.")
@click.option("--seed", default=1, show_default=True, help="Seed the data is made from.")
@click.option("--size", multiple=True, callback=_sizes, help="Records of a type: contacts=1000.")
@click.option("--allow-remote", is_flag=True, help="Allow an address other hosts can reach.")
@click.option("--exit-with-stdin", is_flag=True, help="Stop when standard input is closed.")
def serve_command(
    host: str,
    port: int,
    seed: int,
    size: dict[str, int],
    *,
    allow_remote: bool,
    exit_with_stdin: bool,
) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    if not allow_remote and not _is_loopback(host):
        raise click.UsageError(f"{host} is not a loopback address; --allow-remote permits it")
    try:
        app = build(seed, size)
    except ControlError as error:
        raise click.UsageError(str(error)) from error
    if exit_with_stdin:
        threading.Thread(target=_exit_with_stdin, daemon=True).start()
    serve(app, host, port, lambda url: click.echo(f"crm-sandbox listening on {url}"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _exit_with_stdin() -> None:
    # Not sys.stdin: its lock, held here, would stop the interpreter from ending.
    while os.read(0, 4096):
        pass
    raise_signal(SIGTERM)
