"""Servers with forms, and what is provided to them and had from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import pytest

from tests.fhir.asked import new_patient
from tests.serving import Server
from tests.waiting import until
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentSource,
    QueryResponse,
    ReportedError,
    TransactionRefused,
    entry_of,
    submission_of,
)
from xds.metadata import vocabulary as v
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import Submission

T = TypeVar("T")
ORGANISATION: Final = """
[organisation]
name = "Harbour Hospital"
id = "2.999.1.7"
street = "1 Quay Street"
city = "Harbour"
country = "GB"

[xds_sd]
patient_country = "GB"
model = "Harbour scanner"
operator_family = "Records"
"""
BOTH_TYPES: Final = (v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY)
PATIENT_INFO: Final = (
    "PID-3|H-401^^^&2.999.1.2&ISO",
    "PID-5|Jones^Ann^^^Ms",
    "PID-7|19700102",
    "PID-8|F",
    "PID-11|2 Bay Road^^Harbour^^HB2 2BB^GB",
)


def with_forms(folder: Path, text: str, **options: str) -> dict[str, str]:
    """Return the options of a server whose file of forms has that text."""
    path = folder / "forms.toml"
    path.write_text(ORGANISATION + text)
    return {"document_forms": str(path), **options}


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A document that came by ITI-43."""

    data: bytes
    mime_type: str
    unique_id: str
    new_unique_id: str | None
    new_repository_unique_id: str | None


def provide(
    server: Server,
    data: bytes,
    mime_type: str = "text/plain",
    *,
    related: Sequence[tuple[str, DocumentEntry]] = (),
    **attributes: object,
) -> DocumentEntry:
    """Provide and register a document by ITI-41; ``related`` are types and targets."""
    patient = str(attributes.pop("patient_id", None) or new_patient())
    entry = entry_of(patient, mime_type, **attributes)
    relations = [
        Association.create(association_type=kind, source=entry.entry_uuid, target=other.entry_uuid)
        for kind, other in related
    ]
    made = submission_of([entry])
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(
            Submission((*made.objects, *relations)),
            {entry.entry_uuid: Content((data,), len(data))},
        )
    return entry


def found(server: Server, patient_id: str, *types: str) -> QueryResponse:
    """Ask FindDocuments for all documents of a patient; of some types, where they are named."""
    with DocumentConsumer(server.registry_url) as consumer:
        return consumer.stored_query(
            v.FIND_DOCUMENTS,
            {
                "$XDSDocumentEntryPatientId": patient_id,
                "$XDSDocumentEntryStatus": [v.APPROVED, v.DEPRECATED],
                **({"$XDSDocumentEntryType": list(types)} if types else {}),
            },
        )


def entries(server: Server, patient_id: str) -> list[DocumentEntry]:
    """Return the On-Demand entries of a patient."""
    asked = found(server, patient_id, v.ON_DEMAND_DOCUMENT_ENTRY)
    return list(asked.document_entries)


def entry(server: Server, patient_id: str, form: str) -> DocumentEntry:
    """Return the On-Demand entry of a form, once it is there."""

    def look() -> DocumentEntry | None:
        of_form = (one for one in entries(server, patient_id) if one.on_demand_form == form)
        return next(of_form, None)

    return awaited(look)


def awaited(look: Callable[[], T | None]) -> T:
    """Return what comes to be there."""
    found = until(look, lambda seen: seen is not None)
    assert found is not None
    return found


def associations(server: Server, *uuids: str) -> list[Association]:
    """Return the relationships in which objects are."""
    with DocumentConsumer(server.registry_url) as consumer:
        asked = consumer.stored_query(v.GET_ASSOCIATIONS, {"$uuid": list(uuids)})
    return [
        one
        for one in asked.objects
        if isinstance(one, Association) and one.association_type in v.RELATIONSHIPS
    ]


def retrieve(server: Server, of: DocumentEntry | str) -> Retrieved:
    """Retrieve a document by ITI-43; TransactionRefused."""
    unique_id = of if isinstance(of, str) else of.unique_id or ""
    request = DocumentRequest(server.config.repository_unique_id, unique_id)
    with DocumentConsumer(repository_urls=server.repository_url) as consumer:
        found = [
            Retrieved(
                b"".join(one.chunks()),
                one.mime_type,
                one.document_unique_id,
                one.new_document_unique_id,
                one.new_repository_unique_id,
            )
            for one in consumer.retrieve([request])
        ]
    (only,) = found
    return only


def refusal(server: Server, of: DocumentEntry) -> ReportedError:
    """Return the one error of an ITI-43 that finds nothing."""
    with pytest.raises(TransactionRefused) as refused:
        retrieve(server, of)
    (error,) = refused.value.response.errors
    return error
