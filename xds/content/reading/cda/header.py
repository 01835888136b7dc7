"""The header of a CDA as its readers see it (CDA R2 4.2; documents that XDS-SD wraps as well)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.parties import address, cx, party, shown
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.model import (
    ContentHeader,
    ContentParty,
    ContentPatient,
)
from xds.content.versions import cda as versions

_GENDERS: Final[Mapping[str, str]] = {"F": "F", "M": "M", "UN": "O", "UNK": "U"}
_STATUSES: Final[Mapping[str, str]] = {
    "active": "preliminary",
    "completed": "final",
    "aborted": "cancelled",
    "nullified": "entered in error",
}
"""ActStatus of a report (XD-LAB, PaLM TF-3 6.3.2.10) in the words of FHIR."""
_STATUS_CODES: Final = (
    "{urn:oid:1.3.6.1.4.1.19376.1.3.2}statusCode",
    "{urn:hl7-org:sdtc}statusCode",
)


def header(source: CdaSource, values: Mapping[str, Any]) -> ContentHeader:
    """Read the header; ``values`` are the attributes that ITI-106 makes of it."""
    root = source.root
    said = versions.stated(root, source.zone)
    confidential = values.get("confidentiality_code") or (None,)
    return ContentHeader(
        unique_id=values.get("unique_id", ""),
        set_id=said.set_id,
        version=said.version,
        title=values.get("title", ""),
        type_code=source.code(root.find(f"{{{NS}}}code")) or values.get("type_code"),
        status=_status(root),
        language=values.get("language_code", ""),
        created=values.get("creation_time", ""),
        confidentiality=confidential[0],
        patients=tuple(map(_patient, hl7.each(root, "recordTarget/patientRole"))),
        authors=tuple(_authors(source)),
        custodian=_custodian(root),
        authenticators=tuple(_authenticators(source)),
        recipients=tuple(_recipients(root)),
        service_start=values.get("service_start_time") or "",
        service_stop=values.get("service_stop_time") or "",
        orders=_ids(root, "inFulfillmentOf/order/id"),
        templates=_ids(root, "templateId"),
    )


def _ids(element: Element, path: str) -> tuple[str, ...]:
    return tuple(map(str, hl7.identifiers(hl7.each(element, path))))


def _status(root: Element) -> str:
    for event in hl7.each(root, "documentationOf/serviceEvent"):
        for name in _STATUS_CODES:
            if (found := event.find(name)) is not None:
                return _STATUSES.get(found.get("code") or "", "")
    return ""


def _patient(role: Element) -> ContentPatient:
    person = hl7.first(role, "patient")
    names = hl7.names(person) if person is not None else []
    name = hl7.PersonName.read(names[0]) if names else None
    return ContentPatient(
        family=name.family if name else "",
        given=" ".join(name.given) if name else "",
        name=shown(names[0]) if names else "",
        birth_date=_born(person) if person is not None else "",
        sex=_sex(person) if person is not None else "",
        identifiers=cx(role),
        address=address(role),
    )


def _born(person: Element) -> str:
    found = hl7.first(person, "birthTime")
    day = (found.get("value") or "").strip()[:8] if found is not None else ""
    return day if day.isascii() and day.isdecimal() else ""


def _sex(person: Element) -> str:
    found = person.find(f"{{{NS}}}administrativeGenderCode")
    if found is None:
        return ""
    return _GENDERS.get(found.get("code") or found.get("nullFlavor") or "", "")


def _authors(source: CdaSource) -> Iterator[ContentParty]:
    for author in hl7.each(source.root, "author"):
        for role in hl7.each(author, "assignedAuthor"):
            said = source.words(hl7.first(author, "functionCode"))
            yield party(
                role,
                said=said or source.words(hl7.first(role, "code")),
                time=source.time(hl7.first(author, "time")),
            )


def _authenticators(source: CdaSource) -> Iterator[ContentParty]:
    for name in ("legalAuthenticator", "authenticator"):
        for signature in hl7.each(source.root, name):
            for role in hl7.each(signature, "assignedEntity"):
                said = source.words(hl7.first(role, "code"))
                yield party(role, said=said, time=source.time(hl7.first(signature, "time")))


def _custodian(root: Element) -> ContentParty | None:
    found = hl7.first(root, "custodian/assignedCustodian")
    return party(found) if found is not None else None


def _recipients(root: Element) -> Iterator[ContentParty]:
    for role in hl7.each(root, "informationRecipient/intendedRecipient"):
        yield party(role)
