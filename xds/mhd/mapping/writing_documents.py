"""A DocumentEntry as DocumentReference: what its attributes say."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from xds.fhir import vocabulary as f
from xds.fhir.datatypes import times
from xds.fhir.datatypes.authors import ContainedResources
from xds.fhir.datatypes.codes import coding, concept
from xds.fhir.datatypes.context import Writing
from xds.fhir.datatypes.demographics import contained_patient
from xds.fhir.datatypes.exact import extension, put
from xds.fhir.datatypes.identifiers import (
    reference_by_identifier,
    reference_type,
    resource_id,
    unique_identifier,
)
from xds.fhir.datatypes.relations import relates_to
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.metadata.systems import Systems
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.common import home_community, is_in_error, uuids
from xds.mhd.mapping.patients import subject

if TYPE_CHECKING:
    from xds.registry.queries.views import Relation

MOST_OF_UNSIGNED_INT: Final = 2**31 - 1
"""The largest unsignedInt of FHIR, and so the largest size that it can say."""

_ANY_TYPE: Final = "application/octet-stream"
"""The mimeType of an entry that says none (ebRIM's default)."""

STATUS: Final = {v.APPROVED: f.CURRENT, v.DEPRECATED: f.SUPERSEDED}


def _status(entry: DocumentEntry) -> str:
    if is_in_error(entry):
        return f.ENTERED_IN_ERROR
    return STATUS.get(entry.availability_status or "", f.CURRENT)


def document_url(entry_uuid: str, base: str) -> str:
    """Return the URL at which ITI-68 gives the document."""
    return f"{base}/document/{resource_id(entry_uuid)}"


def written(
    entry: DocumentEntry,
    context: Writing,
    relations: "Sequence[Relation]" = (),
    registered_at: str | None = None,
    patient: int | None = None,
) -> Resource:
    """Return what the attributes say, in FHIR's order; what has no value goes away at the end."""
    systems = context.systems
    contained = ContainedResources(systems)
    return {
        "resourceType": "DocumentReference",
        "id": resource_id(entry.logical_id or entry.entry_uuid),
        "meta": {},
        "contained": contained.resources,
        "extension": _extensions(entry),
        **_identifiers(entry, systems),
        "status": _status(entry),
        **_coded(entry, systems),
        "subject": subject(entry.patient_id, patient, context),
        "date": times.instant(registered_at) if registered_at else None,
        **_actors(entry, contained),
        "relatesTo": relates_to(relations),
        "description": _said(entry.comments),
        "content": [_content(entry, context)],
        "context": _context(entry, contained),
    }


def _said(text: str | None) -> str | None:
    return text if text and not text.isspace() else None


def _extensions(entry: DocumentEntry) -> list[Resource]:
    found = home_community(entry.home_community_id)
    availability = entry.document_availability
    if availability:
        found.append(extension(mhd.OWN_DOCUMENT_AVAILABILITY, "valueUri", availability))
    return found


def _identifiers(entry: DocumentEntry, systems: Systems) -> Resource:
    listed = uuids(entry.entry_uuid, entry.logical_id)
    unique_id = entry.unique_id
    if not unique_id:
        return {"identifier": listed}
    master = unique_identifier(unique_id, systems)
    return {"masterIdentifier": master, "identifier": [dict(master), *listed]}


def _coded(entry: DocumentEntry, systems: Systems) -> Resource:
    type_code, class_code = entry.type_code, entry.class_code
    return {
        "type": concept(type_code, systems) if type_code else None,
        "category": [concept(class_code, systems)] if class_code else None,
        "securityLabel": [concept(code, systems) for code in entry.confidentiality_code],
    }


def _actors(entry: DocumentEntry, contained: ContainedResources) -> Resource:
    authors = [
        contained.author(author, f"author-{number}")
        for number, author in enumerate(entry.author, 1)
    ]
    signer = entry.legal_authenticator
    return {
        "author": [author for author in authors if author is not None],
        "authenticator": contained.signer(signer, "authenticator") if signer else None,
    }


def _content(entry: DocumentEntry, context: Writing) -> Resource:
    attachment: Resource = {}
    uri = entry.uri
    if uri:
        attachment["extension"] = [extension(mhd.OWN_URI, "valueString", uri)]
    mime_type = entry.mime_type or _ANY_TYPE
    plain = " ".join(mime_type.split())
    put(attachment, "contentType", mime_type, plain, plain)
    language = entry.language_code
    if language:
        attachment["language"] = language
    attachment["url"] = document_url(entry.entry_uuid, context.base)
    _write_size(attachment, entry.size)
    _write_hash(attachment, entry.hash)
    title = _said(entry.title)
    if title:
        attachment["title"] = title
    times.write(attachment, "creation", entry.creation_time)
    format_code = entry.format_code
    if format_code is None:
        return {"attachment": attachment}
    return {"attachment": attachment, "format": coding(format_code, context.systems)}


def _write_size(attachment: Resource, size: str | None) -> None:
    if size:
        number = int(size) if size.isdecimal() and size.isascii() else -1
        plain = number if 0 <= number <= MOST_OF_UNSIGNED_INT else None
        put(attachment, "size", size, plain, str(plain))


def _write_hash(attachment: Resource, digits: str | None) -> None:
    if digits:
        try:
            plain = b64encode(bytes.fromhex(digits)).decode()
        except ValueError:
            plain = None
        put(attachment, "hash", digits, plain, digits.lower() if plain else None)


def _context(entry: DocumentEntry, contained: ContainedResources) -> Resource:
    systems = contained.systems
    found: Resource = _references(entry.reference_id_list, systems)
    events = entry.event_code_list
    if events:
        found["event"] = [concept(code, systems) for code in events]
    period: Resource = {}
    times.write(period, "start", entry.service_start_time)
    times.write(period, "end", entry.service_stop_time)
    if period:
        found["period"] = period
    facility, setting = entry.healthcare_facility_type_code, entry.practice_setting_code
    if facility:
        found["facilityType"] = concept(facility, systems)
    if setting:
        found["practiceSetting"] = concept(setting, systems)
    source_id, info = entry.source_patient_id, entry.source_patient_info
    if source_id or info:
        patient = contained_patient("source-patient", source_id, info, systems)
        found["sourcePatientInfo"] = contained.put(patient)
    return found


def _references(texts: Iterable[str], systems: Systems) -> Resource:
    found: Resource = {}
    for text in texts:
        if text:
            is_encounter = reference_type(text) == v.REFERENCE_ENCOUNTER_ID
            listed = found.setdefault("encounter" if is_encounter else "related", [])
            listed.append(reference_by_identifier(text, systems))
    return found
