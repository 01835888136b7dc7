"""The mapping as a table: every attribute of the metadata, where it is in FHIR, what is lost.

``make mapping`` writes docs/mhd-mapping.md from it (:mod:`xds.mhd.mapping.documentation`). Tests
hold it to what the code does: a row for every declared attribute, a value at every path, and no
loss that is not listed.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from xds.fhir import vocabulary as f
from xds.fhir.r4.outcome import Issue
from xds.metadata.catalogue import ITI_42
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.mhd import vocabulary as mhd


class Direction(Enum):
    """Which way an attribute goes."""

    BOTH = "both"
    TO_FHIR = "to FHIR"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """How one attribute of the metadata is mapped."""

    kind: type[MetadataObject]
    attribute: str
    path: str
    """FHIRPath; empty where FHIR has no place."""
    note: str = ""
    lost_of_xds: str = ""
    """What does not come back of the attribute after XDS, FHIR, XDS."""
    lost_of_fhir: str = ""
    """What does not come back of the element after FHIR, XDS, FHIR."""
    direction: Direction = Direction.BOTH


_EMPTY: Final = "an empty text comes back as absent; other languages than the first"
_UUID: Final = (
    "identifier of type entryUUID, use official; that of the first version is the resource id"
)
_UNIQUE: Final = "type uniqueId, use usual"
_LIMITED: Final = (
    "limited_metadata",
    "meta.profile",
    "the profile Minimal; what has all that the profile Comprehensive demands, and no flag, has "
    "that one",
    "all of it: the receiver gives the flag to what lacks something",
    "",
    Direction.TO_FHIR,
)
_HOME: Final = f"extension('{mhd.HOME_COMMUNITY_ID}').value"

_SHOWN: Final = "what is not in the form in which it rides along; the receiver makes it anew"
_RIDING: Final = (
    (
        "fhir_elements",
        "",
        "elements as a FHIR client sent them, where the attributes say less; see Riding along",
        _SHOWN,
        "",
        Direction.NONE,
    ),
    (
        "further_codes",
        "",
        "codings beside those of codes, each attribute|code^^codingScheme, for searches",
        _SHOWN,
        "",
        Direction.NONE,
    ),
    (
        "further_identifiers",
        "",
        "identifiers beside the object's own, each system|value, for searches",
        _SHOWN,
        "",
        Direction.NONE,
    ),
)

_DOCUMENT_ENTRY: Final = (
    *_RIDING,
    (
        "source_message",
        "",
        "the message of HL7 v2 or FHIR that brought the document, by the id of its record",
        "all of it: FHIR clients are not told",
        "",
        Direction.NONE,
    ),
    (
        "on_demand_form",
        "",
        "the form in which this program makes the document of others",
        "all of it: FHIR clients are not told",
        "",
        Direction.NONE,
    ),
    ("entry_uuid", "identifier.where(use = 'official')", _UUID),
    ("home_community_id", _HOME),
    ("availability_status", "status", "Approved: current; Deprecated: superseded"),
    ("author", "author", "contained resources, see Author"),
    ("class_code", "category", "of several the first"),
    ("comments", "description", "", _EMPTY),
    (
        "confidentiality_code",
        "securityLabel",
        "one CodeableConcept each; every coding that is read becomes a code",
    ),
    (
        "creation_time",
        "content.attachment.creation",
        "where there is none, date is read instead",
    ),
    (
        "document_availability",
        f"extension('{mhd.OWN_DOCUMENT_AVAILABILITY}').value",
        "an extension of our own",
    ),
    ("event_code_list", "context.event"),
    ("format_code", "content.format"),
    (
        "hash",
        "content.attachment.hash",
        "base64 of the 20 bytes; base64 of the 40 digits, as before MHD 4.2.4, is read too",
    ),
    ("healthcare_facility_type_code", "context.facilityType"),
    ("language_code", "content.attachment.language"),
    (
        "legal_authenticator",
        "authenticator",
        "a contained Practitioner, see XCN; an Organization is none, and rides along",
    ),
    _LIMITED,
    (
        "logical_id",
        "identifier.where(type.coding.code = 'logicalID')",
        "the resource id, and this where it is not the entryUUID; "
        f"the type is of {f.OWN_IDENTIFIER_TYPES}",
        "one that equals the entryUUID comes back as absent; the registry gives it again",
    ),
    ("mime_type", "content.attachment.contentType", "with its parameters"),
    (
        "object_type",
        "",
        "an on-demand document has neither hash nor size; what is read is stable until the "
        "whole request says otherwise",
        "on-demand, for whoever reads the resource alone",
        "",
        Direction.NONE,
    ),
    (
        "patient_id",
        "subject",
        "by identifier, and by reference where the patient's number is known; the receiver finds "
        "the patient of a reference",
        "",
        "by what reference or identifier the client named the patient",
    ),
    ("practice_setting_code", "context.practiceSetting"),
    (
        "reference_id_list",
        "context.related",
        "by identifier, see CXi; those of type encounterId are in context.encounter; of a "
        "reference to a resource of the request its first identifier is taken",
        "the place of encounters among others: they come last",
    ),
    (
        "repository_unique_id",
        "",
        "the server knows it: attachment.url leads to the document",
        "not said: the repository that takes a document gives its own",
        "",
        Direction.NONE,
    ),
    ("service_start_time", "context.period.start"),
    ("service_stop_time", "context.period.end"),
    (
        "size",
        "content.attachment.size",
        f"what exceeds {2**31 - 1} is in the extension alone",
    ),
    (
        "source_patient_id",
        "context.sourcePatientInfo",
        "identifier of a contained Patient, use usual; the first that has an OID is read, and "
        "where there is none the patientId stands in, with a warning",
        "an absent one comes back as the first PID-3, or as the patientId",
    ),
    (
        "source_patient_info",
        "context.sourcePatientInfo",
        "the contained Patient, see PID",
    ),
    ("title", "content.attachment.title", "", _EMPTY),
    ("type_code", "type"),
    (
        "unique_id",
        "masterIdentifier",
        f"and identifier, {_UNIQUE}; see uniqueId",
    ),
    (
        "uri",
        f"content.attachment.extension('{mhd.OWN_URI}').value",
        "an extension of our own: attachment.url is where the document is had",
    ),
)

_SUBMISSION_SET: Final = (
    *_RIDING,
    ("entry_uuid", "identifier.where(use = 'official')", _UUID),
    ("home_community_id", _HOME),
    ("availability_status", "status", "always current, as a SubmissionSet is always Approved"),
    (
        "author",
        "source",
        "the first one, an organisation in the extension ihe-authorOrg; further ones in an "
        f"extension {mhd.OWN_AUTHOR}; source and its ihe-authorOrg are read as one author",
    ),
    ("comments", "note", "", _EMPTY),
    (
        "content_type_code",
        f"extension('{mhd.DESIGNATION_TYPE}').value",
        "",
        "",
    ),
    (
        "intended_recipient",
        f"extension('{mhd.INTENDED_RECIPIENT}').value",
        "a contained resource each, see Author",
        "separators with nothing behind them",
    ),
    _LIMITED,
    ("patient_id", "subject", "as that of a document"),
    (
        "source_id",
        f"extension('{mhd.SOURCE_ID}').value",
        "urn:oid:, read with and without a system",
    ),
    ("submission_time", "date"),
    ("title", "title", "", _EMPTY),
    (
        "unique_id",
        "identifier.where(use = 'usual')",
        f"{_UNIQUE}; urn:oid:, a UUID is read as its OID below 2.25",
        "",
        "that it was a UUID",
    ),
)

_FOLDER: Final = (
    *_RIDING,
    ("entry_uuid", "identifier.where(use = 'official')", _UUID),
    ("home_community_id", _HOME),
    ("availability_status", "status", "Approved: current; Deprecated: retired"),
    ("code_list", f"extension('{mhd.DESIGNATION_TYPE}').value", "one each"),
    ("comments", "note", "", _EMPTY),
    ("last_update_time", "date", "", "", "the registry maintains it"),
    _LIMITED,
    (
        "logical_id",
        "identifier.where(type.coding.code = 'logicalID')",
        "as that of a document",
        "one that equals the entryUUID comes back as absent; the registry gives it again",
    ),
    ("patient_id", "subject", "as that of a document"),
    ("title", "title", "", _EMPTY),
    (
        "unique_id",
        "identifier.where(use = 'usual')",
        f"{_UNIQUE}; urn:oid:, a UUID is read as its OID below 2.25",
        "",
        "that it was a UUID",
    ),
)

_NO_ELEMENT: Final = "relatesTo and entry are no resources of their own"
_ASSOCIATION: Final = (
    ("entry_uuid", "", _NO_ELEMENT, "the registry gives a new one", "", Direction.NONE),
    ("home_community_id", "", _NO_ELEMENT, "all of it", "", Direction.NONE),
    ("availability_status", "", _NO_ELEMENT, "all of it", "", Direction.NONE),
    (
        "association_type",
        "relatesTo.code",
        "RPLC: replaces; XFRM: transforms; APND: appends; signs: signs; XFRM_RPLC: replaces and "
        "transforms, two elements; IsSnapshotOf: transforms; HasMember: List.entry",
        "IsSnapshotOf comes back as XFRM",
    ),
    ("source", "id", "the resource that has the relatesTo, or the List that has the entry"),
    ("target", "relatesTo.target", "a reference; List.entry.item"),
    (
        "submission_set_status",
        "",
        "Original is what the request brings, Reference what was there before",
        "none: the receiver sets it again",
        "",
        Direction.NONE,
    ),
    ("documentation", "", "no element", "all of it", "", Direction.NONE),
    *(
        (name, "", "only in the request of an update (ITI-57)", "none", "", Direction.NONE)
        for name in ("previous_version", "original_status", "new_status", "association_propagation")
    ),
)


def _rows() -> Iterator[Row]:
    kinds: tuple[tuple[type[MetadataObject], str, tuple[tuple[object, ...], ...]], ...] = (
        (DocumentEntry, "DocumentReference", _DOCUMENT_ENTRY),
        (SubmissionSet, "List", _SUBMISSION_SET),
        (Folder, "List", _FOLDER),
        (Association, "DocumentReference", _ASSOCIATION),
    )
    for kind, resource, rows in kinds:
        for attribute, path, *more in rows:
            where = f"{resource}.{path}" if path else ""
            yield Row(kind, str(attribute), where, *more)  # type: ignore[arg-type]


ROWS: Final = tuple(_rows())


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of a data type is mapped."""

    data_type: str
    part: str
    path: str
    note: str = ""


PARTS: Final = (
    Part("Code", "code", "Coding.code"),
    Part("Code", "codingScheme", "Coding.system", "by the table of systems, else urn:oid:"),
    Part("Code", "displayName", "Coding.display", "the code where it is only repeated"),
    Part("DTM", "YYYY, YYYYMM, YYYYMMDD", "date of that precision"),
    Part("DTM", "to the hour or minute", "dateTime, Z", "zero-filled, and the text beside it"),
    Part("DTM", "to the second", "dateTime, Z"),
    Part("uniqueId", "OID", "system urn:ietf:rfc:3986, value urn:oid:"),
    Part("uniqueId", "urn:uuid: or another URI", "system urn:ietf:rfc:3986, value as it is"),
    Part("uniqueId", "root^extension", "system of the root, value extension"),
    Part("uniqueId", "any other text", f"system {f.OWN_UNIQUE_IDS}, value as it is"),
    Part("CX", "1", "Identifier.value"),
    Part("CX", "4.2", "Identifier.system", "by the table of systems, else urn:oid:"),
    Part("CXi", "1", "Identifier.value", "an OID or URI without authority: urn:ietf:rfc:3986"),
    Part("CXi", "4", "Identifier.system", "a system that is no OID is the namespace, 4.1"),
    Part(
        "CXi",
        "5",
        "Identifier.type.coding",
        "a URN: system urn:ietf:rfc:3986; another code: that of v2-0203, of which ACSN "
        "and PLAC are read as accession and order",
    ),
    Part("XCN", "1, 9", "Practitioner.identifier"),
    Part("XCN", "2", "Practitioner.name.family"),
    Part("XCN", "3, 4", "Practitioner.name.given", "4 in words"),
    Part("XCN", "5, 6", "Practitioner.name.suffix, prefix"),
    Part("XCN", "7", "Practitioner.qualification.code.text"),
    Part("XON", "1", "Organization.name", "required of an XON: else the id"),
    Part("XON", "10, 6.2", "Organization.identifier"),
    Part("XTN", "3", "ContactPoint.system", "PH, CP: phone; FX: fax; BP: pager; Internet: email"),
    Part("XTN", "2", "ContactPoint.use", "PRN: home; WPN: work; the equipment CP: mobile"),
    Part("XTN", "4", "ContactPoint.value", "of an e-mail; an address with :// is of system url"),
    Part(
        "XTN",
        "5, 6, 7, 8",
        "ContactPoint.value",
        "+country area number xextension; a text of another form is 7",
    ),
    Part("Author", "a person, telecommunication", "Practitioner"),
    Part("Author", "one institution, telecommunication", "Organization"),
    Part(
        "Author",
        "any other",
        "PractitionerRole",
        f"practitioner, organization, code, specialty, telecom; further persons and institutions "
        f"in the extensions {f.OWN_PERSON} and {f.OWN_INSTITUTION}",
    ),
    Part(
        "Author",
        "role, specialty",
        "CodeableConcept",
        "coded strings as coding, others as text; one whose system has no OID gives its words",
    ),
    Part("PID", "PID-3", "Patient.identifier", "a system that is no OID is the namespace"),
    Part("PID", "PID-5", "Patient.name", "type L: official, D: usual, M: maiden, N: nickname"),
    Part("PID", "PID-7", "Patient.birthDate"),
    Part("PID", "PID-8", "Patient.gender", "M, F, O (and A), U"),
    Part("PID", "PID-11", "Patient.address", "type H: home, B: work, C: temp, BA: old"),
    Part("PID", "PID-13, 14", "Patient.telecom", "14 for use work"),
)

EXTENSIONS: Final = {
    f.OWN_TEXT: "the exact text of the attribute, beside an element that alone would not give it "
    "back: on a Coding as code^display^scheme, on the source's Patient each value of "
    "sourcePatientInfo. Believed as long as it says what the element says",
    mhd.OWN_DOCUMENT_AVAILABILITY: "documentAvailability of a DocumentEntry, as its URN",
    mhd.OWN_URI: "URI of a DocumentEntry, on the attachment",
    mhd.OWN_AUTHOR: "a further author of a SubmissionSet, on the List",
    f.OWN_PERSON: "a further person of an author, on the PractitionerRole",
    f.OWN_INSTITUTION: "a further institution of an author, on the PractitionerRole",
}

UNMAPPED: Final = {
    "id, meta.versionId, meta.lastUpdated, meta.profile": "the server's own",
    "subject.reference, subject.identifier": "the server names the patient in its own way",
    "attachment.url, data, hash, size": "those of the document as this server has it; a hash or "
    "size that is not the document's is refused",
    "DocumentReference.date": "read where attachment.creation is absent; written: when registered",
    "DocumentReference.content[1]": "refused: a document has one content",
    "DocumentReference.status entered-in-error": "refused",
    "DocumentReference.relatesTo": "Associations: code and target are kept, what else there is is "
    "warned of",
    "List.mode": "working",
    "Folder List.date": "the registry's own",
    "List.entry": "Associations: what an entry has beside its item is warned of",
    "text, subject.display": "ride along, and are shown as long as patient and status are as they "
    "were submitted",
    "Identifier of type uniqueId or entryUUID": "by its value; the marks are the server's",
    "modifierExtension": "refused",
    "what exceeds 64 Ki characters for one object": "warned of",
}
"""What a FHIR client may send and metadata have no place for."""


def row(kind: type[MetadataObject], attribute: str) -> Row:
    """Return the row of an attribute."""
    return next(one for one in ROWS if one.kind is kind and one.attribute == attribute)


def absent(
    thing: MetadataObject, path: str, *, transaction: str = ITI_42.name, but: Collection[str] = ()
) -> list[Issue]:
    """Return an issue for each attribute that a transaction requires and the object has not.

    ``path`` is the FHIRPath of the resource; ``but`` names attributes that the receiver gives.
    """
    return [
        Issue(
            code="required",
            diagnostics=f"{attribute.tf_name} is required",
            expression=(_expression(type(thing), name, path),),
        )
        for name, attribute in thing.attributes().items()
        if transaction in attribute.required_in
        and name not in but
        and not attribute.is_given(thing)
    ]


def element(thing: MetadataObject, tf_name: str, path: str) -> str:
    """Return the FHIRPath of what an attribute is read from: the resource, where it has no place.

    ``tf_name`` is that of the TF, ``path`` the FHIRPath of the resource.
    """
    for one in ROWS:
        if one.kind is not type(thing) or not one.path:
            continue
        if one.kind.attributes()[one.attribute].tf_name == tf_name:
            # which of several identifiers it is, clients tell in ways of their own
            return _expression(one.kind, one.attribute, path).partition(".where(")[0]
    return path


def _expression(kind: type[MetadataObject], attribute: str, path: str) -> str:
    _, dot, within = row(kind, attribute).path.partition(".")
    return f"{path}{dot}{within}"
