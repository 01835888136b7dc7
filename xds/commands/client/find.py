"""`xds find`: what documents of a patient are registered (ITI-18, FindDocuments)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from xds.client import DocumentFilters
from xds.commands.client.client_options import (
    Servers,
    code_sought,
    dtm,
    parsed_by,
    with_patient,
    with_servers,
)
from xds.commands.terminal import human_size, print_json, print_table, printable
from xds.metadata import vocabulary as v
from xds.metadata.objects import Author, Code, DocumentEntry

_CODE: Final = parsed_by(code_sought)
_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "approved": (v.APPROVED,),
    "deprecated": (v.DEPRECATED,),
    "any": (v.APPROVED, v.DEPRECATED),
}
_TYPE: Final = (v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY)
_HEADINGS: Final = ("date", "title", "type", "MIME type", "size", "status", "uniqueId")


@click.command("find")
@with_patient
@click.option(
    "--status",
    type=click.Choice(list(_STATUS)),
    default="approved",
    show_default=True,
    help="Status of the documents.",
)
@click.option(
    "--class-code", metavar="CODE", callback=_CODE, multiple=True, help="Coarse kind: code^^scheme."
)
@click.option(
    "--type-code", metavar="CODE", callback=_CODE, multiple=True, help="Fine kind: code^^scheme."
)
@click.option(
    "--format-code", metavar="CODE", callback=_CODE, multiple=True, help="Format: code^^scheme."
)
@click.option(
    "--author",
    "author_person",
    metavar="PATTERN",
    help="Person who wrote it: a pattern with % and _.",
)
@click.option(
    "--from",
    "creation_time_from",
    callback=parsed_by(dtm),
    help="Created at YYYYMMDDhhmmss or later.",
)
@click.option(
    "--to", "creation_time_to", metavar="DTM", callback=parsed_by(dtm), help="Created before."
)
@click.option("--json", "as_json", is_flag=True, help="Print all metadata, as JSON.")
@with_servers
def command(servers: Servers, patient_id: str, status: str, as_json: bool, **given: Any) -> None:
    """List the documents of a patient.

    An option for a code may be repeated; one of the codes is enough.
    """
    filters: DocumentFilters = {"type": _TYPE}
    filters.update({name: value for name, value in given.items() if value})  # type: ignore[typeddict-item]
    with servers.consumer() as consumer:
        found = consumer.find_documents(patient_id, status=_STATUS[status], **filters)
        entries = found.document_entries
    for error in found.response.errors:
        click.echo(f"Warning: {printable(str(error))}", err=True)
    if as_json:
        print_json([_as_json(entry) for entry in entries])
    elif entries:
        print_table(_HEADINGS, map(_row, sorted(entries, key=_newest_first, reverse=True)))
    else:
        click.echo("No document was found.", err=True)


def _newest_first(entry: DocumentEntry) -> str:
    return entry.creation_time or ""


def _row(entry: DocumentEntry) -> Sequence[str]:
    type_code = entry.type_code
    status = (entry.availability_status or "").rpartition(":")[2]
    return (
        _date(entry.creation_time or ""),
        entry.title or "",
        "" if type_code is None else type_code.display_name or type_code.code,
        entry.mime_type or "",
        human_size(int(entry.size)) if (entry.size or "").isdigit() and entry.size else "",
        status,
        entry.unique_id or "",
    )


def _date(dtm: str) -> str:
    """Write a DTM as far as it goes, to the minute: 2026-01-02 03:04."""
    day = "-".join(filter(None, (dtm[:4], dtm[4:6], dtm[6:8])))
    return f"{day} {dtm[8:10]}:{dtm[10:12]}" if len(dtm) >= 12 else day


def _as_json(entry: DocumentEntry) -> dict[str, object]:
    """Give every attribute that the entry has, by its name of the TF in snake_case."""
    values = {name: attribute.read(entry) for name, attribute in entry.attributes().items()}
    return {name: _plain(value) for name, value in values.items() if value not in (None, ())}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Code):
        return asdict(value)
    if isinstance(value, Author):
        return {name: part for name, part in asdict(value).items() if part}
    return value
