"""The DocumentEntries of what is made of documents: what they take from those, and what is theirs.

Who may see a document is decided by its codes, so a form has those of its source. It is signed by
nobody: a legalAuthenticator is of the original alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from xds import PRODUCT
from xds.client.submitting import submission_of
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, Author, DocumentEntry, MetadataObject
from xds.metadata.submission import Submission
from xds.on_demand.forms import DocumentForm, FormType

_TAKEN: Final = (
    "author",
    "class_code",
    "confidentiality_code",
    "event_code_list",
    "healthcare_facility_type_code",
    "home_community_id",
    "language_code",
    "limited_metadata",
    "patient_id",
    "practice_setting_code",
    "reference_id_list",
    "service_start_time",
    "service_stop_time",
    "source_patient_id",
    "source_patient_info",
    "type_code",
)
"""What a form has of its source."""
DERIVED: Final = (*_TAKEN, "comments", "format_code", "mime_type", "title")
"""What of the entry of a form follows from its source."""


def minted_uuid(repository_unique_id: str, *parts: str) -> UUID:
    """Return the UUID of these parts in one repository."""
    return uuid5(uuid5(NAMESPACE_OID, repository_unique_id), "|".join(("on demand", *parts)))


def minted(repository_unique_id: str, *parts: str) -> str:
    """Return the OID of these parts, below 2.25 (ISO/IEC 9834-8)."""
    return f"2.25.{minted_uuid(repository_unique_id, *parts).int}"


def entry_uuid(repository_unique_id: str, form: str, of: str) -> str:
    """Return the logicalID of the On-Demand entry of a form of a document or patient.

    ``of`` is the logicalID of the document, or the patient id (CX). There is one such entry,
    however often it is registered.
    """
    return f"urn:uuid:{minted_uuid(repository_unique_id, 'entry', form, of)}"


def on_demand_entry(
    repository_unique_id: str, form: DocumentForm, type_: FormType, source: DocumentEntry, of: str
) -> DocumentEntry:
    """Return the On-Demand entry of a form of a document."""
    identifier = entry_uuid(repository_unique_id, form.name, of)
    values = _derived(form, type_, source)
    return DocumentEntry.create(
        entry_uuid=identifier,
        object_type=v.ON_DEMAND_DOCUMENT_ENTRY,
        on_demand_form=form.name,
        repository_unique_id=repository_unique_id,
        unique_id=minted(repository_unique_id, "unique id", form.name, of),
        **_given(values),
    )


def patient_entry(
    repository_unique_id: str, form: DocumentForm, patient_id: str, given: Mapping[str, Any]
) -> DocumentEntry:
    """Return the On-Demand entry of what is made of a patient's documents (CX).

    Nothing in it is of these: who sees the entry may not be allowed to see all of them.
    """
    if form.type is None:
        raise ValueError(f"{form.name} is no form of a patient")
    values = {
        "author": (Author(institution=(PRODUCT,)),),
        "comments": "Made on demand of the documents of the patient; those are legally valid.",
        "format_code": form.type.format_code,
        "language_code": "en",
        "mime_type": form.type.mime_type,
        "patient_id": patient_id,
        "source_patient_id": patient_id,
        "title": form.title,
        **form.entry,
        **given,
    }
    return DocumentEntry.create(
        entry_uuid=entry_uuid(repository_unique_id, form.name, patient_id),
        object_type=v.ON_DEMAND_DOCUMENT_ENTRY,
        on_demand_form=form.name,
        repository_unique_id=repository_unique_id,
        unique_id=minted(repository_unique_id, "unique id", form.name, patient_id),
        **values,
    )


def _derived(form: DocumentForm, type_: FormType, source: DocumentEntry) -> dict[str, Any]:
    return {
        **{name: getattr(source, name) for name in _TAKEN},
        "comments": f"Converted from {source.unique_id}; the original is legally valid.",
        "format_code": type_.format_code,
        "mime_type": type_.mime_type,
        "title": f"{source.title} ({form.title})" if source.title else form.title,
    }


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, ())}


def snapshot_entry(
    entry: DocumentEntry, type_: FormType, unique_id: str, made: str
) -> DocumentEntry:
    """Return the Stable entry of what an On-Demand entry gave at some time."""
    identifier = minted_uuid(entry.repository_unique_id or "", "snapshot", unique_id)
    values = {name: getattr(entry, name) for name in DERIVED}
    values |= {"format_code": type_.format_code, "mime_type": type_.mime_type}
    return DocumentEntry.create(
        entry_uuid=f"urn:uuid:{identifier}",
        creation_time=made,
        on_demand_form=entry.on_demand_form,
        unique_id=unique_id,
        **_given(values),
    )


def submission(
    repository_unique_id: str,
    entry: DocumentEntry,
    relations: Sequence[tuple[str, str]],
) -> Submission:
    """Return the submission of an entry and of what it is to others: type and entryUUID of each."""
    made = submission_of([entry], **of_submission_sets(repository_unique_id))
    related: list[MetadataObject] = [
        Association.create(association_type=type_, source=entry.id, target=target)
        for type_, target in relations
    ]
    return Submission((*made.objects, *related))


def of_submission_sets(repository_unique_id: str) -> dict[str, Any]:
    """Return the attributes of SubmissionSets by which this program registers what it makes."""
    return {
        "author": (Author(institution=(PRODUCT,)),),
        "source_id": minted(repository_unique_id, "source"),
    }
