"""`xds remove`: remove documents and their metadata (ITI-62, then ITI-86)."""

from typing import Final

import click

from xds.client.administrator import DocumentRemoval, removal_of
from xds.commands.client.client_options import Servers, with_servers
from xds.commands.terminal import print_table, printable
from xds.metadata.objects import Association, DocumentEntry, MetadataObject

_HEADINGS: Final = ("object", "entryUUID", "")


@click.command("remove")
@click.argument("unique_ids", metavar="UNIQUE_ID...", nargs=-1, required=True)
@click.option("--keep-documents", is_flag=True, help="Remove the metadata alone (ITI-62).")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@with_servers
def command(
    servers: Servers, unique_ids: tuple[str, ...], keep_documents: bool, dry_run: bool
) -> None:
    """Remove documents for good, with all that is registered of them and refers to them.

    The metadata go first and the documents afterwards, so that no entry is without its document.
    Where the second step fails, the same command does it again.
    """
    with servers.consumer() as consumer:
        removal = removal_of(consumer, unique_ids)
    if removal.objects:
        rows = [(one.KIND, one.id, printable(_said(one))) for one in removal.objects]
        print_table(_HEADINGS, rows)
    if not removal.objects and not keep_documents:
        raise click.ClickException("None of them is registered.")
    if not dry_run:
        _remove(servers, removal, keep_documents=keep_documents)


def _remove(servers: Servers, removal: DocumentRemoval, *, keep_documents: bool) -> None:
    with servers.administrator() as administrator:
        administrator.remove_metadata(removal.entry_uuids)
        if not keep_documents:
            administrator.remove_documents(removal.documents)
    documents = 0 if keep_documents else len(removal.documents)
    click.echo(f"{len(removal.objects)} objects and {documents} documents removed.", err=True)


def _said(thing: MetadataObject) -> str:
    if isinstance(thing, Association):
        return f"{thing.association_type.rpartition(':')[2]} {thing.source} {thing.target}"
    if isinstance(thing, DocumentEntry):
        return f"version {thing.version or 1}, {thing.title or thing.unique_id}"
    return ""
