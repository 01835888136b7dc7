"""A group of commands, each of which is imported when it is used, so that help comes at once."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

CommandTable = Mapping[str, tuple[str, str]]
"""Each command by its name: its module below xds.commands, and what it does."""


class LazyGroup(click.Group):
    """The commands of a table, in its order."""

    def __init__(self, *args: Any, table: CommandTable, **given: Any) -> None:
        super().__init__(*args, **given)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the command."""
        if cmd_name not in self._table:
            return None
        module = import_module(f"xds.commands.{self._table[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])
