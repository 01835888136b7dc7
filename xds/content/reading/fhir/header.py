"""The header of a FHIR document as its readers see it (R4, Composition; documents.html)."""

from collections.abc import Iterator, Mapping
from typing import Final

from xds.content.reading.fhir.source import (
    BundleEntry,
    FhirSource,
    choice,
    dtm,
    part,
    parts,
    text,
    texts,
    words,
)
from xds.content.reading.model import (
    ContentHeader,
    ContentParty,
    ContentPatient,
)
from xds.fhir.datatypes.identifiers import unique_id_of
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code

_SEXES: Final[Mapping[str, str]] = {"female": "F", "male": "M", "other": "O", "unknown": "U"}
_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_RECIPIENT: Final = "http://hl7.eu/fhir/StructureDefinition/information-recipient"


def header(source: FhirSource) -> ContentHeader:
    """Read the header: what the Composition says, and the Bundle where that says nothing."""
    entry, bundle = source.composition, source.bundle
    composition = entry.resource
    own, of_bundle = _id(source, composition), _id(source, bundle)
    return ContentHeader(
        unique_id=own or of_bundle,
        set_id=own or _named(part(composition, "identifier")),
        title=text(composition, "title"),
        type_code=source.code(part(composition, "type")),
        status=text(composition, "status").replace("-", " "),
        language=text(composition, "language") or text(bundle, "language"),
        created=dtm(composition.get("date")),
        confidentiality=_confidentiality(composition),
        patients=tuple(_patients(source, entry)),
        authors=tuple(_parties(source, entry, parts(composition, "author"))),
        custodian=next(_parties(source, entry, [part(composition, "custodian")]), None),
        authenticators=tuple(_authenticators(source, entry)),
        recipients=tuple(_recipients(source, entry)),
        service_start=_service(composition, "start"),
        service_stop=_service(composition, "end"),
        orders=tuple(_orders(source)),
        templates=tuple(texts(part(bundle, "meta"), "profile"))
        + tuple(texts(part(composition, "meta"), "profile")),
    )


def _id(source: FhirSource, resource: Resource) -> str:
    identifier = part(resource, "identifier")
    said = {"system": text(identifier, "system"), "value": text(identifier, "value")}
    try:
        return unique_id_of({name: value for name, value in said.items() if value}, source.systems)
    except ValueError:
        return ""


def _named(identifier: Resource) -> str:
    """Return an Identifier whose system is no OID: a uniqueId cannot be made of it."""
    system, value = text(identifier, "system"), text(identifier, "value")
    return f"{system}|{value}" if system and value else value


def _confidentiality(composition: Resource) -> Code | None:
    said = text(composition, "confidentiality")
    return Code(said, _CONFIDENTIALITY, said) if said else None


def _service(composition: Resource, end: str) -> str:
    found = [dtm(part(one, "period").get(end)) for one in parts(composition, "event")]
    times = [one for one in found if one]
    return (min(times) if end == "start" else max(times)) if times else ""


def _orders(source: FhirSource) -> Iterator[str]:
    for entry in source.entries:
        if entry.type == "ServiceRequest":
            for one in parts(entry.resource, "identifier"):
                if said := source.identifier(one):
                    yield said


# Who


def _patients(source: FhirSource, entry: BundleEntry) -> Iterator[ContentPatient]:
    reference = part(entry.resource, "subject")
    found = source.follow(reference, entry)
    if found is not None:
        yield patient(source, found.resource)
    elif said := source.identifier(part(reference, "identifier")):
        yield ContentPatient(name=text(reference, "display"), identifiers=(said,))


def patient(source: FhirSource, resource: Resource) -> ContentPatient:
    """Read a Patient resource."""
    names = parts(resource, "name")
    name = next((one for one in names if text(one, "use") == "official"), names[0] if names else {})
    return ContentPatient(
        family=text(name, "family"),
        given=" ".join(texts(name, "given")),
        name=shown(name),
        birth_date=text(resource, "birthDate").replace("-", "")[:8],
        sex=_SEXES.get(text(resource, "gender"), ""),
        identifiers=_identifiers(source, resource),
        address=_address(resource),
    )


def shown(name: Resource) -> str:
    """Return a HumanName as its readers see it."""
    if said := text(name, "text"):
        return said
    family = [text(name, "family")] if text(name, "family") else []
    words = (*texts(name, "prefix"), *texts(name, "given"), *family, *texts(name, "suffix"))
    return " ".join(words)


def _identifiers(source: FhirSource, resource: Resource) -> tuple[str, ...]:
    found = (source.identifier(one) for one in parts(resource, "identifier"))
    return tuple(one for one in found if one)


def _address(resource: Resource) -> str:
    for one in parts(resource, "address"):
        if said := text(one, "text"):
            return said
        names = ("postalCode", "city", "district", "state", "country")
        lines = (*texts(one, "line"), *(text(one, name) for name in names))
        return ", ".join(line for line in lines if line)
    return ""


def _telecoms(resource: Resource) -> tuple[str, ...]:
    found = (text(one, "value") for one in parts(resource, "telecom"))
    return tuple(one for one in found if one)


def _parties(
    source: FhirSource, entry: BundleEntry, references: list[Resource], *, time: str = ""
) -> Iterator[ContentParty]:
    for reference in references:
        found = source.follow(reference, entry)
        said = text(reference, "display") or source.identifier(part(reference, "identifier"))
        if found is not None:
            yield party(source, found, said, time=time)
        elif said:
            yield ContentParty(name=said, time=time)


def party(
    source: FhirSource, entry: BundleEntry, said: str = "", *, time: str = ""
) -> ContentParty:
    """Read a Practitioner, PractitionerRole, Organization, Device, Patient or RelatedPerson."""
    resource, kind = entry.resource, entry.type
    role, organisation = "", ""
    if kind == "PractitionerRole":
        role = ", ".join(filter(None, map(words, parts(resource, "code"))))
        for one in source.followed(resource, "organization", entry):
            organisation = text(one.resource, "name")
        for one in source.followed(resource, "practitioner", entry):
            resource = one.resource
    names = parts(resource, "name") or parts(resource, "deviceName")
    name = shown(names[0]) or text(names[0], "name") if names else ""
    if kind == "Organization":
        organisation = text(resource, "name") or said
        said = ""
    return ContentParty(
        name=name or said,
        organisation=organisation,
        role=role,
        time=time,
        identifiers=_identifiers(source, resource),
        address=_address(resource),
        telecoms=_telecoms(resource) or _telecoms(entry.resource),
    )


def _authenticators(source: FhirSource, entry: BundleEntry) -> Iterator[ContentParty]:
    attesters = parts(entry.resource, "attester")
    for one in sorted(attesters, key=lambda one: text(one, "mode") != "legal"):
        time = dtm(one.get("time"))
        yield from _parties(source, entry, [part(one, "party")], time=time)


def _recipients(source: FhirSource, entry: BundleEntry) -> Iterator[ContentParty]:
    for one in parts(entry.resource, "extension"):
        if text(one, "url") == _RECIPIENT:
            kind, value = choice(one, "value")
            if kind == "Reference" and isinstance(value, dict):
                yield from _parties(source, entry, [value])
