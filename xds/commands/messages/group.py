"""`xds messages`: a group, each of its commands in a module of its own."""

from types import MappingProxyType
from typing import Final

import click

from xds.commands.lazy_group import LazyGroup

SUBCOMMANDS: Final = MappingProxyType(
    {
        "send": ("messages.send", "Send messages from files, and print what is said of them."),
        "list": ("messages.listing", "List messages that came in, the latest first."),
        "show": ("messages.showing", "Show a message field by field, beside what it made."),
        "resend": ("messages.resending", "File messages again as they came."),
        "correct": ("messages.correcting", "File a file in the place of a refused message."),
        "purge": ("messages.purging", "Remove messages that are kept no longer."),
        "try": ("messages.try_message", "Show what a message would become, without filing it."),
    }
)


@click.group("messages", cls=LazyGroup, table=SUBCOMMANDS)
def command() -> None:
    """Messages that bring reports, documents and orders."""
