"""`xds show`: the page of a document, in a browser, on the terminal or in a file (ITI-68)."""

import webbrowser
from pathlib import Path

import click

from xds.client import page_text
from xds.commands.client.client_options import Servers, with_servers
from xds.commands.terminal import printable
from xds.metadata import vocabulary as v


@click.command("show")
@click.argument("unique_id", metavar="UNIQUE_ID")
@click.option("--text", is_flag=True, help="Print the text of the page, and open no browser.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@with_servers
def command(servers: Servers, unique_id: str, text: bool, html: Path | None, force: bool) -> None:
    """Show a document by its uniqueId: open its page in a browser, or print it.

    Where there is no browser the text of the page is printed.
    """
    with servers.consumer() as consumer:
        entries = consumer.get_documents(unique_ids=[unique_id]).document_entries
    if not entries:
        raise click.ClickException(
            f"No document {unique_id} is registered at {servers.registry_url}."
        )
    entry = min(entries, key=lambda found: found.availability_status != v.APPROVED)
    if html is not None:
        _write(servers, entry.entry_uuid, html, force=force)
    elif text:
        print_page(servers, entry.entry_uuid)
    else:
        open_page(servers, entry.entry_uuid)


def open_page(servers: Servers, entry_uuid: str) -> None:
    """Open the page of a document in a browser; print it where there is none."""
    with servers.pages() as pages:
        url = pages.url(entry_uuid)
    if webbrowser.open(url):
        click.echo(printable(url), err=True)
    else:
        print_page(servers, entry_uuid)


def print_page(servers: Servers, entry_uuid: str) -> None:
    """Print the text of a document's page."""
    with servers.pages() as pages:
        for line in page_text(pages.page(entry_uuid)):
            click.echo(printable(line))


def _write(servers: Servers, entry_uuid: str, target: Path, *, force: bool) -> None:
    if target.exists() and not force:
        raise click.ClickException(f"{target} is there already; --force writes over it.")
    with servers.pages() as pages:
        target.write_bytes(pages.page(entry_uuid))
