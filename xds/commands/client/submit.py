"""`xds submit`: provide documents to a repository and have them registered (ITI-41)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from xds.client import (
    Content,
    DocumentSource,
    Provision,
    RegistryResponse,
    submission_of_files,
)
from xds.client.submitting import EXAMPLE_SOURCE
from xds.commands.client.client_options import (
    Servers,
    code,
    dtm,
    parsed_by,
    with_patient,
    with_servers,
)
from xds.commands.client.show import open_page
from xds.commands.terminal import print_json, print_table, printable, progress
from xds.metadata.objects import Author

_CODE: Final = parsed_by(code)
_SUBMISSION_SET: Final[tuple[str, ...]] = ("source_id", "content_type_code")


@click.command("submit")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@with_patient
@click.option("--title", help="Title of each document.  [default: the file's name]")
@click.option("--mime-type", help="MIME type of each document.  [default: by the file's suffix]")
@click.option(
    "--class-code",
    metavar="CODE",
    callback=_CODE,
    help="Kind of document, coarse: code^display^scheme.",
)
@click.option("--type-code", metavar="CODE", callback=_CODE, help="Kind of document, fine.")
@click.option("--format-code", metavar="CODE", callback=_CODE, help="Format of the content.")
@click.option(
    "--event-code",
    "event_code_list",
    metavar="CODE",
    callback=_CODE,
    multiple=True,
    help="What was done.",
)
@click.option(
    "--confidentiality-code",
    metavar="CODE",
    callback=_CODE,
    multiple=True,
    help="How confidential.  [default: N]",
)
@click.option(
    "--healthcare-facility-type-code", metavar="CODE", callback=_CODE, help="Kind of facility."
)
@click.option("--practice-setting-code", metavar="CODE", callback=_CODE, help="Clinical specialty.")
@click.option("--author", metavar="XCN", help="Who wrote it: id^family^given^^^prefix, or ^family.")
@click.option("--institution", metavar="XON", help="Where it was written: name, or with its OID.")
@click.option("--language", "language_code", help="Language, such as en-GB.  [default: en]")
@click.option(
    "--creation-time",
    metavar="DTM",
    callback=parsed_by(dtm),
    help="YYYYMMDDhhmmss in UTC.  [default: the file's]",
)
@click.option("--source-patient-id", help="ID^^^&OID&ISO at the source.  [default: --patient]")
@click.option("--comments", help="Comments on each document.")
@click.option(
    "--content-type-code",
    metavar="CODE",
    callback=_CODE,
    help="Why it is shared.  [default: class code]",
)
@click.option(
    "--source-id",
    envvar="XDS_CLIENT_SOURCE_ID",
    show_envvar=True,
    default=EXAMPLE_SOURCE,
    show_default=True,
    help="OID of this Document Source; the default is an example.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--show", is_flag=True, help="Then open the page of each document in a browser.")
@with_servers
def command(
    servers: Servers,
    files: tuple[Path, ...],
    patient_id: str,
    as_json: bool,
    show: bool,
    **given: Any,
) -> None:
    """Provide documents of one patient to a repository, which has them registered.

    What is not given is guessed from the file, or says as little as possible.
    """
    with servers.source() as source:
        provision = _provision(files, patient_id, given)
        response = _send(source, provision)
    for warning in response.errors:
        click.echo(f"Warning: {printable(str(warning))}", err=True)
    _print(files, provision, as_json=as_json)
    for entry_uuid in provision.documents if show else ():
        open_page(servers, entry_uuid)


def _provision(files: Sequence[Path], patient_id: str, given: dict[str, Any]) -> Provision:
    author, institution = given.pop("author"), given.pop("institution")
    if author or institution:
        given["author"] = (Author(person=_texts(author), institution=_texts(institution)),)
    known = {name: value for name, value in given.items() if value not in (None, ())}
    submission_set = {name: known.pop(name) for name in _SUBMISSION_SET if name in known}
    try:
        return submission_of_files(
            files, patient_id, submission_set=submission_set, with_hash=True, **known
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _texts(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


def _send(source: DocumentSource, provision: Provision) -> RegistryResponse:
    contents = {
        entry_uuid: Content.of_file(given) if isinstance(given, Path) else given
        for entry_uuid, given in provision.documents.items()
    }
    with progress("sending", sum(content.size or 0 for content in contents.values())) as tell:
        watched = {entry_uuid: content.watched(tell) for entry_uuid, content in contents.items()}
        return source.provide_and_register(provision.submission, watched)


def _print(files: Sequence[Path], provision: Provision, *, as_json: bool) -> None:
    entries = provision.submission.document_entries
    if as_json:
        documents = [
            {"file": str(file), "unique_id": entry.unique_id, "entry_uuid": entry.entry_uuid}
            for file, entry in zip(files, entries, strict=True)
        ]
        unique_id = provision.submission.submission_set.unique_id
        print_json({"submission_set_unique_id": unique_id, "documents": documents})
        return
    rows = [(str(file), e.unique_id or "") for file, e in zip(files, entries, strict=True)]
    print_table(("file", "uniqueId"), rows)
