"""A DocumentReference as DocumentEntry: what is read into attributes."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.authors import NOBODY, Actors
from xds.fhir.datatypes.codes import Codes
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.demographics import read_patient
from xds.fhir.datatypes.exact import extensions, text_of
from xds.fhir.datatypes.identifiers import of_kind, reference_id, unique_id_of
from xds.fhir.datatypes.people import identifiers
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import check_document_availability, check_sha1
from xds.metadata.objects import Author, DocumentEntry
from xds.metadata.systems import Systems
from xds.metadata.unique_ids import normal
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.common import (
    attempt,
    given,
    read_home_community,
    read_text,
    read_time,
    read_uuid,
)
from xds.mhd.mapping.writing_documents import MOST_OF_UNSIGNED_INT, STATUS

_AVAILABILITY: Final = {status: urn for urn, status in STATUS.items()}


def read(
    resource: Resource, reading: Reading, notes: IssueCollector, patient_id: str
) -> DocumentEntry:
    """Read an entry; Refused with everything that is wrong."""
    return DocumentEntry.create(**read_attributes(resource, reading, notes, patient_id))


def read_attributes(
    resource: Resource, reading: Reading, notes: IssueCollector, patient_id: str
) -> Mapping[str, Any]:
    """Read the attributes that there are; Refused with everything that is wrong."""
    codes = Codes(reading.systems, notes)
    surroundings = resource.get("context", {})
    values = {
        **_read_identifiers(resource, reading.systems, notes),
        **_read_attachment(resource, notes),
        **_read_surroundings(surroundings, codes, notes),
        **_read_actors(resource, Actors(resource, reading, notes)),
        **_read_patient(resource, reading, notes, patient_id),
        "availability_status": _read_status(resource, reading, notes),
        "home_community_id": read_home_community(resource, notes),
        "document_availability": _read_availability(resource, notes),
        "type_code": codes.concept(resource.get("type"), "type"),
        "class_code": codes.first(resource.get("category", ()), "category"),
        "confidentiality_code": codes.all(resource.get("securityLabel", ()), "securityLabel"),
        "format_code": codes.coding(_first_content(resource).get("format"), "content[0].format"),
        "comments": read_text(resource, "description"),
        "reference_id_list": _read_references(surroundings, reading, notes),
        "patient_id": patient_id or None,
    }
    if notes.has_errors:
        raise Refused(400, notes.issues)
    return given(values)


def _first_content(resource: Resource) -> Resource:
    contents = resource.get("content") or [{}]
    found: Resource = contents[0]
    return found


def _read_identifiers(
    resource: Resource, systems: Systems, notes: IssueCollector
) -> dict[str, object]:
    listed = resource.get("identifier", [])
    stated = of_kind(listed, f.UNIQUE_ID)
    if "masterIdentifier" in resource:
        element, where = resource["masterIdentifier"], "masterIdentifier"
    elif stated:
        element, where = stated[0][1], f"identifier[{stated[0][0]}]"
    else:
        notes.error("required", "a document needs a masterIdentifier", "masterIdentifier")
        element, where = None, ""
    unique_id = attempt(notes, where, unique_id_of, element, systems) if element else None
    for place, one in stated:
        _check_equal(unique_id, one, f"identifier[{place}]", systems, notes)
    return {
        "unique_id": unique_id,
        "entry_uuid": read_uuid(listed, f.ENTRY_UUID, notes),
        "logical_id": read_uuid(listed, f.LOGICAL_ID, notes),
    }


def _check_equal(
    unique_id: str | None, element: Resource, where: str, systems: Systems, notes: IssueCollector
) -> None:
    """Refuse a uniqueId, said to be one by its type, that is not the masterIdentifier's."""
    if not unique_id or "type" not in element:
        return
    stated = attempt(notes, where, unique_id_of, element, systems)
    if normal(stated or "") != normal(unique_id):
        notes.error("invariant", "the uniqueId is not that of masterIdentifier", where)


def _read_status(resource: Resource, reading: Reading, notes: IssueCollector) -> str:
    status = resource.get("status", f.CURRENT)
    if status == f.ENTERED_IN_ERROR and reading.is_of_one_here:
        return v.DEPRECATED
    if status not in _AVAILABILITY:
        notes.error("not-supported", f"no document is registered as {status}", "status")
    return _AVAILABILITY.get(status, v.APPROVED)


def _read_availability(resource: Resource, notes: IssueCollector) -> str | None:
    for place, one in extensions(resource, mhd.OWN_DOCUMENT_AVAILABILITY):
        urn: str = one.get("valueUri", "")
        attempt(notes, f"extension[{place}]", check_document_availability, urn)
        return urn
    return None


def _read_attachment(resource: Resource, notes: IssueCollector) -> dict[str, object]:
    contents = resource.get("content", ())
    if len(contents) != 1:
        where = "content[1]" if contents else "content"
        notes.error("structure", "a DocumentReference has one content (MHD profiles)", where)
    attachment = _first_content(resource).get("attachment", {})
    where = "content[0].attachment"
    mime_type = attachment.get("contentType")
    creation = read_time(notes, attachment, "creation", f"{where}.creation")
    uris = [one.get("valueString") for _, one in extensions(attachment, mhd.OWN_URI)]
    return {
        "mime_type": text_of(attachment, "contentType", mime_type, lambda t: " ".join(t.split())),
        "language_code": read_text(attachment, "language"),
        "title": read_text(attachment, "title"),
        # before MHD 4 the date was the document's own, and some senders still have it so
        "creation_time": creation or read_time(notes, resource, "date", "date"),
        "hash": attempt(notes, f"{where}.hash", _read_hash, attachment),
        "size": _read_size(attachment),
        "uri": next(iter(uris), None),
    }


def _read_size(attachment: Resource) -> str | None:
    size = attachment.get("size")
    return text_of(attachment, "size", None if size is None else str(size), _size_that_fhir_can_say)


def _size_that_fhir_can_say(text: str) -> str | None:
    return str(int(text)) if text.isdecimal() and int(text) <= MOST_OF_UNSIGNED_INT else None


_NOT_A_HASH: Final = (
    "not a SHA-1 as FHIR has it: the base64 of its 20 bytes, 28 characters, and not the 40 "
    "hexadecimal digits of XDS"
)


def _read_hash(attachment: Resource) -> str | None:
    """Return the SHA-1 in hex: of its 20 bytes, or of its 40 digits as before MHD 4.2.4."""
    value = attachment.get("hash")
    digits = None
    if value is not None:
        try:
            content = b64decode("".join(value.split()), validate=True)
            of_digits = content.decode("ascii", "replace").lower()
            digits = content.hex() if len(content) == 20 else of_digits
            check_sha1(digits)
        except ValueError:
            raise ValueError(_NOT_A_HASH) from None
    return text_of(attachment, "hash", digits, str.lower)


def _read_surroundings(
    surroundings: Resource, codes: Codes, notes: IssueCollector
) -> dict[str, object]:
    period, path = surroundings.get("period", {}), "context.period"
    facility, setting = surroundings.get("facilityType"), surroundings.get("practiceSetting")
    return {
        "event_code_list": codes.each(surroundings.get("event", ()), "context.event"),
        "healthcare_facility_type_code": codes.concept(facility, "context.facilityType"),
        "practice_setting_code": codes.concept(setting, "context.practiceSetting"),
        "service_start_time": read_time(notes, period, "start", f"{path}.start"),
        "service_stop_time": read_time(notes, period, "end", f"{path}.end"),
    }


def _read_actors(resource: Resource, actors: Actors) -> dict[str, object]:
    read: list[Author] = [
        actors.author(reference, f"author[{i}]")
        for i, reference in enumerate(resource.get("author", ()))
    ]
    signer = resource.get("authenticator")
    return {
        "author": tuple(author for author in read if author != NOBODY),
        "legal_authenticator": actors.person(signer, "authenticator") if signer else None,
    }


def _read_patient(
    resource: Resource, reading: Reading, notes: IssueCollector, patient_id: str
) -> dict[str, object]:
    """Read what the source calls the patient.

    Metadata require a sourcePatientId (ITI TF-3 4.2.3.2.22): where the source says none that has
    an OID, as IHE's own examples do not, the id of the domain stands in.
    """
    where = "context.sourcePatientInfo"
    reference = resource.get("context", {}).get("sourcePatientInfo")
    found: Resource | None = None
    if reference is not None:
        found = Actors(resource, reading, notes).target(reference, where, resource)
        if found is None and "identifier" in reference:
            found = {"resourceType": "Patient", "identifier": [reference["identifier"]]}
        if found is not None and found.get("resourceType") != "Patient":
            notes.error("invalid", "the source's patient is a Patient", where)
    source_id, info = read_patient(found or {}, reading.systems)
    if source_id is None and reference is not None:
        reason = "the source has no identifier of a system with an OID: the subject's is taken"
        notes.lost(reason, where)
    return {"source_patient_id": source_id or patient_id or None, "source_patient_info": info}


def _read_references(
    surroundings: Resource, reading: Reading, notes: IssueCollector
) -> tuple[str, ...]:
    """Read referenceIdList: what related and encounter identify (ITI TF-3 4.2.3.2.28)."""
    found: list[str] = []
    defaults = {"related": v.REFERENCE_UNIQUE_ID, "encounter": v.REFERENCE_ENCOUNTER_ID}
    for name, type_code in defaults.items():
        for i, reference in enumerate(surroundings.get(name, ())):
            where = f"context.{name}[{i}]"
            identifier = _business_identifier(reference, reading)
            if identifier is None:
                continue  # it rides along
            if name == "encounter":
                # whatever kind of number it is, this is what it is the number of
                identifier = {part: one for part, one in identifier.items() if part != "type"}
            text = attempt(notes, where, reference_id, identifier, reading.systems, type_code)
            if text is not None:
                found.append(text)
    return tuple(found)


def _business_identifier(reference: Resource, reading: Reading) -> Resource | None:
    if "identifier" in reference:
        found: Resource = reference["identifier"]
        return found
    target = reading.resolve(reference) if "reference" in reference else None
    listed = [] if target is None else identifiers(target)
    return listed[0] if listed else None
