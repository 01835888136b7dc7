"""Metadata from the header of a CDA document (ITI-106, MHD 2:3.106; PCC TF-2 4.1.1).

Every attribute is a row of :data:`ROWS` and a few lines; :data:`PLACES` says where in the header it
is looked for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import Element, Identifier
from xds.content.defaults import MIME_TYPE_SUFFICIENT, Defaults
from xds.content.document_metadata import DocumentMetadata, gather, unreadable
from xds.content.patient_choice import AmbiguousPatient, FindKnown, nobody, only
from xds.content.versions import cda as versions
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import HD, CXi, SourcePatientInfo, is_oid
from xds.metadata.objects import Author, Code

ROOT: Final = f"{{{hl7.NS}}}ClinicalDocument"
MIME_TYPE: Final = "text/xml"
"""PCC TF-2 4.1.1, whatever name its sender gives to the type."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one document, and what is known beside it."""

    root: Element
    time_zone: tzinfo
    """Of times that state none."""
    assigning_authority: str | None
    """Of the patient ids of the affinity domain; None where the options do not say it."""
    known: FindKnown = nobody
    """Then tells which of several ids is that of a patient of the registry."""


def describe(
    root: Element, defaults: Defaults, assigning_authority: str | None, known: FindKnown = nobody
) -> DocumentMetadata:
    """Read a ClinicalDocument element; ``known`` tells the patients of the registry."""
    header = Header(root, defaults.time_zone, assigning_authority, known)
    found = gather(ROWS, header)
    templates = hl7.identifiers(hl7.each(root, "templateId"))
    return DocumentMetadata(
        values=found.values,
        places=PLACES,
        issues=found.issues,
        unreadable=found.unreadable,
        declared=frozenset({*map(str, templates), *(one.root for one in templates)}),
        bodies=frozenset(_bodies(root)),
        format_code=MIME_TYPE_SUFFICIENT,
        stated=versions.stated(root, defaults.time_zone),
    )


def _bodies(root: Element) -> Iterator[str]:
    if root.find(f"{{{hl7.NS}}}component/{{{hl7.NS}}}structuredBody") is not None:
        yield "structuredBody"
    if (unstructured := hl7.first(root, "component/nonXMLBody/text")) is not None:
        yield "nonXMLBody"
        yield (unstructured.get("mediaType") or "text/plain").partition(";")[0].strip()


# The document


def _unique_id(header: Header) -> str | None:
    element = hl7.first(header.root, "id")
    if element is None or not element.get("root"):
        return None
    unique_id = str(hl7.identifier(element))
    try:
        datatypes.check_identifier(unique_id)
    except ValueError as reason:
        raise unreadable("/ClinicalDocument/id", str(reason)) from None
    return unique_id


def _title(header: Header) -> str | None:
    return hl7.text(hl7.first(header.root, "title")) or None


def _type_code(header: Header) -> Code | None:
    return hl7.code(header.root.find(f"{{{hl7.NS}}}code"))


_CONSENT: Final = "1.3.6.1.4.1.19376.1.5.3.1.2.5"
"""The templateId of a consent whose code is a policy that the document is under."""


def _confidentiality_code(header: Header) -> tuple[Code, ...]:
    found = [hl7.code(hl7.first(header.root, "confidentialityCode"))]
    for consent in hl7.each(header.root, "authorization/consent"):
        if _CONSENT in {one.get("root") for one in hl7.each(consent, "templateId")}:
            found.append(hl7.code(hl7.first(consent, "code")))
    return _distinct(found)


def _distinct(codes: list[Code | None]) -> tuple[Code, ...]:
    return tuple({str(code): code for code in reversed(codes) if code is not None}.values())[::-1]


def _language_code(header: Header) -> str | None:
    element = hl7.first(header.root, "languageCode")
    said = (element.get("code") or "").strip() if element is not None else ""
    if element is None or not said:
        return None
    try:
        datatypes.check_language(said)
    except ValueError as reason:
        raise unreadable(f"{hl7.xpath(element)}/@code", str(reason)) from None
    return said


def _creation_time(header: Header) -> str | None:
    return hl7.time(hl7.first(header.root, "effectiveTime"), header.time_zone)


# Who wrote it and who answers for it


def _author(header: Header) -> tuple[Author, ...]:
    written = [_one_author(element) for element in hl7.each(header.root, "author")]
    return tuple(one for one in written if one.person or one.institution or one.telecommunication)


def _one_author(element: Element) -> Author:
    assigned = hl7.first(element, "assignedAuthor")
    if assigned is None:
        return Author()
    organization = hl7.first(assigned, "representedOrganization")
    return Author(
        person=_said(_author_person(assigned)),
        institution=_said(hl7.xon(organization)) if organization is not None else (),
        role=_said(hl7.coded_string(hl7.first(element, "functionCode"))),
        specialty=_said(hl7.coded_string(hl7.first(assigned, "code"))),
        telecommunication=tuple(hl7.telecommunications(hl7.each(assigned, "telecom"))),
    )


def _said(value: str) -> tuple[str, ...]:
    return (value,) if value else ()


def _author_person(assigned: Element) -> str:
    ids = hl7.identifiers(hl7.each(assigned, "id"))
    if (person := hl7.first(assigned, "assignedPerson")) is not None:
        return hl7.xcn(ids, person)
    device = hl7.first(assigned, "assignedAuthoringDevice")
    if device is None:
        return ""  # the ids are then those of an organisation's role, and name nobody
    called = (hl7.text(hl7.first(device, part)) for part in _DEVICE)
    return hl7.xcn(ids, None, called=next(filter(None, called), ""))


_DEVICE: Final = ("softwareName", "manufacturerModelName")


def _legal_authenticator(header: Header) -> str | None:
    entity = hl7.first(header.root, "legalAuthenticator/assignedEntity")
    if entity is None:
        return None
    ids = hl7.identifiers(hl7.each(entity, "id"))
    return hl7.xcn(ids, hl7.first(entity, "assignedPerson")) or None


# The patient

_PATIENT_ROLE: Final = "/ClinicalDocument/recordTarget/patientRole"


def _patient_role(header: Header) -> Element | None:
    found = hl7.each(header.root, "recordTarget/patientRole")
    if len(found) > 1:
        reason = "a document of several patients cannot be registered, which is for one"
        raise unreadable("/ClinicalDocument/recordTarget", reason, "business-rule")
    return found[0] if found else None


def _patient_ids(header: Header) -> tuple[Identifier, ...]:
    role = _patient_role(header)
    if role is None:
        return ()
    return tuple(one for one in hl7.identifiers(hl7.each(role, "id")) if one.is_cx)


def _patient_id(header: Header) -> str | None:
    ids, authority = _patient_ids(header), header.assigning_authority
    where = f"{_PATIENT_ROLE}/id"
    if authority is None:
        return _only_patient_id([hl7.cx(one, where) for one in ids], header.known)
    fitting = [one for one in ids if one.root == authority]
    if ids and not fitting:
        reason = f"no id has the root {authority}, which is that of the affinity domain"
        raise unreadable(where, reason, "not-found")
    return hl7.cx(fitting[0], where) if fitting else None


def _only_patient_id(ids: Sequence[str], known: FindKnown) -> str | None:
    try:
        return only(ids, known) if ids else None
    except AmbiguousPatient as reason:
        raise unreadable(f"{_PATIENT_ROLE}/id", str(reason), "multiple-matches") from None


def _source_patient_id(header: Header) -> str | None:
    """Prefer an id of the source's own; some sources know the affinity domain's only."""
    ids, authority = _patient_ids(header), header.assigning_authority
    own = [one for one in ids if one.root != authority] or list(ids)
    return hl7.cx(own[0], f"{_PATIENT_ROLE}/id") if own else None


_GENDERS: Final[Mapping[str, str]] = {"F": "F", "M": "M", "UN": "O", "UNK": "U"}
"""AdministrativeGender of HL7 v3 to table 0001 of HL7 v2."""


def _source_patient_info(header: Header) -> tuple[str, ...]:
    role = _patient_role(header)
    if role is None:
        return ()
    person = hl7.first(role, "patient")
    ids = [hl7.cx(one, f"{_PATIENT_ROLE}/id") for one in _patient_ids(header)]
    return tuple(
        str(SourcePatientInfo(field, (value,)))
        for field, values in (
            (3, ids),
            *(_personal(person) if person is not None else ()),
            (11, [hl7.xad(address) for address in hl7.each(role, "addr")]),
            *_telecommunications(role),
        )
        for value in values
        if value
    )


def _personal(person: Element) -> Iterator[tuple[int, list[str]]]:
    yield 5, [hl7.PersonName.read(name).xpn() for name in hl7.names(person)]
    yield 7, [_born(person)]
    yield 8, [_gender(person)]


def _telecommunications(role: Element) -> Iterator[tuple[int, list[str]]]:
    """PID-14 is the telephone of the business, PID-13 any other."""
    found = hl7.each(role, "telecom")
    at_work = [one for one in found if "WP" in (one.get("use") or "").split()]
    yield 13, list(hl7.telecommunications(one for one in found if one not in at_work))
    yield 14, list(hl7.telecommunications(at_work))


def _born(person: Element) -> str:
    """Return the day of birth: the time of it has no place, and no zone may shift the day."""
    element = hl7.first(person, "birthTime")
    day = (element.get("value") or "").strip()[:8] if element is not None else ""
    try:
        if day:
            datatypes.check_dtm(day)
    except ValueError:
        raise unreadable(f"{_PATIENT_ROLE}/patient/birthTime/@value", "not a date") from None
    return day


def _gender(person: Element) -> str:
    element = person.find(f"{{{hl7.NS}}}administrativeGenderCode")
    if element is None:
        return ""
    return _GENDERS.get(element.get("code") or element.get("nullFlavor") or "", "")


# What was done


def _service_times(header: Header, end: str) -> list[str]:
    found: list[str] = []
    for period in hl7.each(header.root, "documentationOf/serviceEvent/effectiveTime"):
        bound = hl7.first(period, end)
        if bound is None and period.get("value"):
            bound = period
        if said := hl7.time(bound, header.time_zone):
            found.append(said)
    return found


def _service_start_time(header: Header) -> str | None:
    """Return when the earliest of the acts documented began."""
    return min(_service_times(header, "low"), key=datatypes.earliest, default=None)


def _service_stop_time(header: Header) -> str | None:
    """Return when the latest of the acts documented ended; not before the earliest began."""
    latest = max(_service_times(header, "high"), key=datatypes.earliest, default=None)
    return datatypes.end_of(_service_start_time(header), latest)


def _event_code_list(header: Header) -> tuple[Code, ...]:
    codes = hl7.each(header.root, "documentationOf/serviceEvent/code")
    return _distinct([hl7.code(element) for element in codes])


def _healthcare_facility_type_code(header: Header) -> Code | None:
    path = "componentOf/encompassingEncounter/location/healthCareFacility/code"
    return hl7.code(hl7.first(header.root, path))


_REFERENCES: Final[Mapping[str, str]] = {
    "inFulfillmentOf/order/id": v.REFERENCE_ORDER,
    "componentOf/encompassingEncounter/id": v.REFERENCE_ENCOUNTER_ID,
}


def _reference_id_list(header: Header) -> tuple[str, ...]:
    return tuple(
        str(CXi(one.extension or one.root, type_code, HD("", one.root) if one.is_cx else None))
        for path, type_code in _REFERENCES.items()
        for one in hl7.identifiers(hl7.each(header.root, path))
        if is_oid(one.root)
    )


ROWS: Final[Mapping[str, Callable[[Header], object]]] = {
    "unique_id": _unique_id,
    "title": _title,
    "type_code": _type_code,
    "confidentiality_code": _confidentiality_code,
    "language_code": _language_code,
    "creation_time": _creation_time,
    "author": _author,
    "legal_authenticator": _legal_authenticator,
    "patient_id": _patient_id,
    "source_patient_id": _source_patient_id,
    "source_patient_info": _source_patient_info,
    "service_start_time": _service_start_time,
    "service_stop_time": _service_stop_time,
    "event_code_list": _event_code_list,
    "healthcare_facility_type_code": _healthcare_facility_type_code,
    "reference_id_list": _reference_id_list,
    "mime_type": lambda _: MIME_TYPE,
}
"""How each attribute is read."""

PLACES: Final[Mapping[str, str]] = {
    "unique_id": "/ClinicalDocument/id",
    "type_code": "/ClinicalDocument/code",
    "confidentiality_code": "/ClinicalDocument/confidentialityCode",
    "language_code": "/ClinicalDocument/languageCode",
    "creation_time": "/ClinicalDocument/effectiveTime",
    "patient_id": f"{_PATIENT_ROLE}/id",
    "source_patient_id": f"{_PATIENT_ROLE}/id",
    "class_code": "/ClinicalDocument/code",
    "healthcare_facility_type_code": (
        "/ClinicalDocument/componentOf/encompassingEncounter/location/healthCareFacility/code"
    ),
    "practice_setting_code": "/ClinicalDocument",
}
"""Where the attributes that are required are looked for."""
