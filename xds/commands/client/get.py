"""`xds get`: a document out of its repository (ITI-43), found by its uniqueId (ITI-18)."""

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import click

from xds.client import DocumentConsumer, DocumentRequest, Fingerprint, RetrievedDocument
from xds.client.submitting import suffix_for
from xds.commands.client.client_options import Servers, safe_file_name, with_servers
from xds.commands.terminal import human_size, printable, progress
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

_STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class _Wanted:
    request: DocumentRequest
    entry: DocumentEntry | None

    @property
    def size(self) -> int | None:
        size = self.entry.size if self.entry is not None else None
        return int(size) if size and size.isdigit() else None


@click.command("get")
@click.argument("unique_id", metavar="UNIQUE_ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="File to write; - for the standard output.  [default: uniqueId and a suffix]",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--repository-id",
    metavar="OID",
    help="repositoryUniqueId; the registry is then not asked, and nothing can be compared.",
)
@with_servers
def command(
    servers: Servers, unique_id: str, output: str | None, force: bool, repository_id: str | None
) -> None:
    """Retrieve a document by its uniqueId, and compare it with what is registered of it."""
    with servers.consumer() as consumer:
        wanted = _wanted(consumer, unique_id, repository_id, servers)
        with closing(consumer.retrieve([wanted.request])) as documents:
            for document in documents:
                _receive(document, wanted, output, force=force)


def _wanted(
    consumer: DocumentConsumer, unique_id: str, repository_id: str | None, servers: Servers
) -> _Wanted:
    if repository_id is not None:
        return _Wanted(DocumentRequest(repository_id, unique_id), None)
    entries = consumer.get_documents(unique_ids=[unique_id]).document_entries
    if not entries:
        raise click.ClickException(
            f"No document {unique_id} is registered at {servers.registry_url}."
        )
    entry = min(entries, key=lambda found: found.availability_status != v.APPROVED)
    return _Wanted(DocumentRequest.of(entry), entry)


def _receive(
    document: RetrievedDocument, wanted: _Wanted, output: str | None, *, force: bool
) -> None:
    target = _target(document, output)
    if isinstance(target, Path) and target.exists() and not force:
        raise click.ClickException(f"{target} is there already; --force writes over it.")
    with progress("receiving", wanted.size) as tell:
        written = document.watched(tell).save(target, wanted.entry)
    if not isinstance(target, Path):
        target.flush()
    name = str(target) if isinstance(target, Path) else "standard output"
    verdict = _verdict(written, wanted.entry)
    click.echo(f"{printable(name)}: {human_size(written.size)}, {verdict}", err=True)


def _target(document: RetrievedDocument, output: str | None) -> Path | BinaryIO:
    if output == _STDOUT:
        return sys.stdout.buffer
    if output is not None:
        return Path(output)
    return safe_file_name(document.document_unique_id, suffix_for(document.mime_type))


def _verdict(written: Fingerprint, entry: DocumentEntry | None) -> str:
    compared = [name for name in ("hash", "size") if entry is not None and getattr(entry, name)]
    if not compared:
        return f"SHA-1 {written.hash}, with nothing registered to compare it with"
    return f"{' and '.join(compared)} as registered"
