"""`xds subscribe`: have someone be told what happens to the documents of a patient (ITI-52)."""

import time
from collections.abc import Iterator
from typing import Final

import click

from xds.client import DocumentMetadataSubscriber, ReceivedNotification, patient_filter
from xds.commands.client.client_options import (
    Servers,
    code_sought,
    parsed_by,
    with_patient,
    with_servers,
)
from xds.commands.terminal import printable
from xds.metadata.objects import Code, DocumentEntry, Folder, SubmissionSet

_ENTRY_TOPICS: Final = (
    *("FullDocumentEntry", "MinimalDocumentEntry"),
    *("ExtendedFullDocumentEntry", "ExtendedMinimalDocumentEntry"),
)
_PACKAGE_TOPICS: Final = (
    "SubmissionSetMetadata",
    "FolderMetadata",
    "UpdateFolder",
    "ExtendedFolder",
)
_PATIENT: Final = {"SubmissionSetMetadata": "$XDSSubmissionSetPatientId"} | dict.fromkeys(
    ("FolderMetadata", "UpdateFolder", "ExtendedFolder"), "$XDSFolderPatientId"
)
_FHIR_TOPICS: Final = {
    "FullDocumentEntry": ("DocumentReference-PatientDependent", "full-resource"),
    "MinimalDocumentEntry": ("DocumentReference-PatientDependent", "id-only"),
    "ExtendedFullDocumentEntry": ("DocReference-PatientDependent-AllEvents", "full-resource"),
    "ExtendedMinimalDocumentEntry": ("DocReference-PatientDependent-AllEvents", "id-only"),
    "SubmissionSetMetadata": ("SubmissionSet-PatientDependent", "full-resource"),
    "FolderMetadata": ("Basic-Folder-Subscription", "full-resource"),
    "UpdateFolder": ("Folder-Subscription-UpdateOpt", "full-resource"),
    "ExtendedFolder": ("Folder-Subscription-for-Full-Events", "full-resource"),
}
"""The topic of DSUBm, and how much is told, that stand for a topic of DSUB (DSUBm 1:54)."""
_PAUSE_SECONDS: Final = 1.0
_AT_ONCE: Final = 50


@click.command("subscribe")
@click.option(
    "--topic",
    type=click.Choice((*_ENTRY_TOPICS, *_PACKAGE_TOPICS)),
    default="ExtendedFullDocumentEntry",
    show_default=True,
    help="What is told of, and how much of it.",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="CODE",
    callback=parsed_by(code_sought),
    help="Only documents of this typeCode, code^^scheme, or of one of several.",
)
@click.option("--to", "consumer", metavar="URL", help="Where it is told.  [default: here]")
@click.option("--ends", metavar="TIME", help="When it ends: 2027-01-31T00:00:00Z, or P30D.")
@click.option(
    "--count", type=click.IntRange(1), help="End after so many notifications, without --to."
)
@click.option("--fhir", is_flag=True, help="By FHIR (DSUBm, ITI-110); needs --to.")
@with_patient
@with_servers
def command(
    servers: Servers,
    topic: str,
    fhir: bool,
    types: tuple[Code, ...],
    consumer: str | None,
    ends: str | None,
    count: int | None,
    patient_id: str,
) -> None:
    """Subscribe to what happens to the documents of a patient.

    With --to, a broker tells another server, such as `xds listen`. Without, this command fetches
    what happens (at a pull point) and shows it, until Ctrl-C.
    """
    if types and topic not in _ENTRY_TOPICS:
        raise click.UsageError("--type is for topics of DocumentEntries")
    if fhir:
        if consumer is None:
            raise click.UsageError("--fhir needs --to: by FHIR nothing is fetched")
        _subscribe_by_fhir(servers, consumer, topic, types, ends, patient_id)
        return
    parameters = {_PATIENT.get(topic, "$XDSDocumentEntryPatientId"): patient_id}
    filters = {"$XDSDocumentEntryTypeCode": list(types)} if types else {}
    with servers.subscriber() as subscriber:
        where = consumer or subscriber.create_pull_point()
        made = subscriber.subscribe(where, f"ihe:{topic}", {**parameters, **filters}, ends=ends)
        until = f", until {made.ends}" if made.ends else ""
        click.echo(f"Subscription {printable(made.address)}{printable(until)}", err=True)
        if consumer is None:
            _show_all(subscriber, where, count)


def _subscribe_by_fhir(
    servers: Servers,
    endpoint: str,
    topic: str,
    types: tuple[Code, ...],
    ends: str | None,
    patient_id: str,
) -> None:
    filters = [patient_filter(patient_id)]
    if types:
        tokens = (f"urn:oid:{one.coding_scheme}|{one.code}" for one in types)
        filters.append(f"type={','.join(tokens)}")
    name, content = _FHIR_TOPICS[topic]
    with servers.fhir_subscriber() as subscriber:
        made = subscriber.subscribe(endpoint, name, filters, content=content, ends=ends)
        click.echo(f"Subscription {printable(made)}", err=True)


def _show_all(subscriber: DocumentMetadataSubscriber, pull_point: str, count: int | None) -> None:
    """Show what comes to a pull point, until so many have come or someone interrupts."""
    shown = 0
    try:
        while count is None or shown < count:
            told = subscriber.pull(pull_point, _AT_ONCE)
            for one in told:
                click.echo("\n".join(map(printable, _lines(one))))
            shown += len(told)
            if not told:
                time.sleep(_PAUSE_SECONDS)
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        subscriber.destroy_pull_point(pull_point)


def _lines(told: ReceivedNotification) -> Iterator[str]:
    yield told.topic or "no topic"
    for one in told.objects:
        assert isinstance(one, DocumentEntry | SubmissionSet | Folder)
        yield f"  {one.KIND} {one.unique_id or one.id}: {one.title or 'no title'}"
    for entry_uuid in told.entry_uuids:
        yield f"  {entry_uuid}"
