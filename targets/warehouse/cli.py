"""The command ``warehouse``: run the pipelines, and look after the database they fill."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import click

from warehouse import commands
from warehouse.command import PREFIX, Warehouse

__all__ = ["main"]


class _Commands(click.Group):
    """The modules of `warehouse.commands`; each has its command under the name ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = import_module(f"{commands.__name__}.{cmd_name}").command
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crm-warehouse")
@click.option(
    "--database",
    help=f"URL of the database. Default: what the variables {PREFIX}SQLALCHEMY_URL, {PREFIX}HOST"
    " and so on say, in the environment or the project's .env; else the embedded Postgres.",
)
@click.pass_context
def main(context: click.Context, database: str | None) -> None:
    """Run the pipelines, and look after the warehouse they fill.

    Exit codes: 0 all is well, 1 what was asked for failed or is not well, 2 the command was given
    wrongly, 3 it could not be carried out at all.
    """
    context.obj = Warehouse.of_project(database)
