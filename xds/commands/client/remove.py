"""`xds remove`: remove documents and their metadata (ITI-62, then ITI-86)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import click

from xds.client import ClientError, DocumentRequest, TransactionRefused
from xds.client.administrator import DocumentRemoval, removal_of
from xds.commands.client.client_options import Servers, with_servers
from xds.commands.terminal import print_table, printable
from xds.metadata.objects import Association, DocumentEntry, MetadataObject

_HEADINGS: Final = ("object", "id", "")


@click.command("remove")
@click.argument("unique_ids", metavar="UNIQUE_ID...", nargs=-1, required=True)
@click.option("--keep-documents", is_flag=True, help="Remove the metadata alone (ITI-62).")
@click.option(
    "--repository-unique-id",
    metavar="OID",
    help="Remove of this repository what is not registered any more (ITI-86 alone).",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@with_servers
def command(
    servers: Servers,
    unique_ids: tuple[str, ...],
    keep_documents: bool,
    repository_unique_id: str | None,
    dry_run: bool,
) -> None:
    """Remove documents for good, with all that is registered of them and refers to them.

    The metadata go first and the documents afterwards, so that no entry is without its document.
    Where the second step fails, the documents can be removed by --repository-unique-id.
    """
    if keep_documents and repository_unique_id:
        raise click.UsageError("--keep-documents leaves what --repository-unique-id removes.")
    with servers.consumer() as consumer:
        removal = removal_of(consumer, unique_ids)
    registered = {one.document_unique_id for one in removal.documents}
    others = [one for one in dict.fromkeys(unique_ids) if one not in registered]
    if repository_unique_id:
        left = tuple(DocumentRequest(repository_unique_id, one) for one in others)
        removal = replace(removal, documents=(*removal.documents, *left))
        others = []
    elif others and not removal.objects:
        raise click.ClickException(f"Not registered: {printable(', '.join(others))}.")
    print_table(_HEADINGS, list(_rows(removal, keep_documents=keep_documents)))
    if others:
        click.echo(f"Not registered: {printable(', '.join(others))}.", err=True)
    if not dry_run:
        _remove(servers, removal, keep_documents=keep_documents)


def _remove(servers: Servers, removal: DocumentRemoval, *, keep_documents: bool) -> None:
    documents = () if keep_documents else removal.documents
    with servers.administrator() as administrator:
        if removal.objects:
            administrator.remove_metadata(removal.entry_uuids)
        try:
            if documents:
                administrator.remove_documents(documents)
        except ClientError as error:
            if not removal.objects:
                raise
            raise click.ClickException(_left(documents, error)) from None
    told = f"{_counted(len(removal.objects), 'object')} and {_counted(len(documents), 'document')}"
    click.echo(f"{told} removed.", err=True)


def _left(documents: Sequence[DocumentRequest], error: ClientError) -> str:
    """Tell that the metadata are removed and the documents not, and how they can be."""
    reason = error.explain() if isinstance(error, TransactionRefused) else str(error)
    lines = ["The metadata are removed; the documents are not. To remove them:"]
    for repository in dict.fromkeys(one.repository_unique_id for one in documents):
        own = [one for one in documents if one.repository_unique_id == repository]
        names = " ".join(one.document_unique_id for one in own)
        lines.append(f"  xds remove --repository-unique-id {repository} {names}")
    return "\n".join(printable(one) for one in [*lines, *reason.splitlines()])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rows(removal: DocumentRemoval, *, keep_documents: bool) -> Iterator[tuple[str, str, str]]:
    for one in removal.objects:
        yield one.KIND, one.id, printable(_said(one))
    for document in () if keep_documents else removal.documents:
        where = printable(f"in the repository {document.repository_unique_id}")
        yield "document", printable(document.document_unique_id), where


def _said(thing: MetadataObject) -> str:
    if isinstance(thing, Association):
        return f"{thing.association_type.rpartition(':')[2]} {thing.source} {thing.target}"
    if isinstance(thing, DocumentEntry):
        return f"version {thing.version or 1}, {thing.title or thing.unique_id}"
    return ""
