"""The command line. A command is a row of COMMANDS and a module of xds/commands or below."""

from types import MappingProxyType
from typing import Any, Final

import click

from xds import __version__
from xds.commands.lazy_group import LazyGroup

COMMANDS: Final = MappingProxyType(
    {
        "serve": ("serve", "Serve a Document Registry and a Document Repository."),
        "migrate": (
            "maintenance.migrate",
            "Make the tables of a new database, or bring older ones up to date.",
        ),
        "submit": ("client.submit", "Provide documents to a repository and have them registered."),
        "find": ("client.find", "List the documents of a patient."),
        "get": ("client.get", "Retrieve a document."),
        "show": ("client.show", "Open the page of a document in a browser, or print it."),
        "update": ("client.update", "Change the metadata of a document."),
        "remove": ("client.remove", "Remove documents and their metadata."),
        "hold": ("maintenance.hold", "Put documents on legal hold, so that nobody removes them."),
        "verify": (
            "maintenance.verify",
            "Compare every stored document with what is registered of it.",
        ),
        "sweep": ("maintenance.sweep", "Remove stored documents that were never registered."),
        "backup": (
            "maintenance.backup",
            "Copy the embedded database and its documents, while it serves or not.",
        ),
        "restore": ("maintenance.restore", "Bring back what a backup has copied."),
        "copy-database": (
            "maintenance.copy_database",
            "Copy the embedded database to a PostgreSQL server, with nothing lost.",
        ),
        "audit": ("maintenance.audit", "Search the audit records: who has done what."),
        "queue": (
            "maintenance.queue",
            "List what waits to be sent and why, have it tried now, or drop it.",
        ),
        "subscriptions": (
            "maintenance.subscriptions",
            "List who is told of what and how it fares; pause, resume, replay or end it.",
        ),
        "destinations": (
            "maintenance.destinations",
            "List where documents are sent as messages and how it fares; pause, resume, replay.",
        ),
        "feeds": (
            "maintenance.feeds",
            "List the feeds that are paused, pause one, or have it taken again.",
        ),
        "observations": (
            "maintenance.observations",
            "List the structured results of a patient or a document, and fill them in.",
        ),
        "users": (
            "maintenance.users",
            "List the accounts of the console, add one, give it a password, or remove it.",
        ),
        "subscribe": (
            "client.subscribe",
            "Be told what happens to the documents of a patient, here or at a URL.",
        ),
        "listen": (
            "client.listen",
            "Receive DSUB and FHIR notifications and show them, for trials.",
        ),
        "messages": ("messages.group", "Messages that bring reports: what one would become."),
        "flavours": ("flavours", "List how messages of each sender are read, or show one flavour."),
        "certs": ("certs", "Make an authority and certificates for trials of TLS."),
        "load": (
            "maintenance.load",
            "Fill an empty registry with a population, for trials and measurements.",
        ),
        "config": ("config", "Show every option with its value and where it comes from."),
    }
)
"""Each command by its name: its module below xds.commands, and what it does."""


class _Commands(LazyGroup):
    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a file that this user may not open ends it with a sentence."""
        try:
            return super().invoke(ctx)
        except PermissionError as error:
            raise click.ClickException(f"{error.filename or 'A file'}: {error.strerror}.") from None


@click.command(
    cls=_Commands, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="xds")
def main() -> None:
    """Share documents by IHE XDS.b: serve a registry and a repository, or use one."""


if __name__ == "__main__":
    main(prog_name="xds")
