"""FHIR documents: a Bundle of the type document, whose Composition says what it is (R4, 3.3).

Here it is told whether one is complete, how its bytes are made, and what metadata it gives
(ITI-106, MHD 2:3.106; PCC TF-2 4.1.1). Paths begin at the document itself: ``Bundle.entry[0]``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

from xds.content.defaults import MIME_TYPE_SUFFICIENT
from xds.content.document_metadata import DocumentMetadata, gather, unreadable
from xds.content.versions import fhir as versions
from xds.fhir.datatypes import times
from xds.fhir.datatypes.authors import NOBODY, Actors
from xds.fhir.datatypes.codes import Codes
from xds.fhir.datatypes.context import Reading, mapped
from xds.fhir.datatypes.demographics import read_patient
from xds.fhir.datatypes.identifiers import reference_id, unique_id_of
from xds.fhir.r4 import rendering
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.r4.structure import is_document
from xds.fhir.references import ConditionalReference, Entry, Held, References, Subject
from xds.fhir.vocabulary import URI_SYSTEM, UUID_URN
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.objects import Author, Code
from xds.metadata.systems import Systems

__all__ = ["Document", "describe", "document_bytes", "is_document", "problems"]

PatientOf = Callable[[Subject], str]
"""Returns the patientId (CX) of a subject; Refused where there is none."""

_COMPOSITION: Final = "Bundle.entry[0].resource"


def document_bytes(bundle: Resource, media_type: str) -> bytes:
    """Return a FHIR document in the form of the request that it came in, with all that it has."""
    return rendering.render(bundle, media_type)


def problems(document: Resource, path: str = "Bundle") -> list[Issue]:
    """Tell what keeps a Bundle from being a FHIR document (R4, bdl-9, bdl-10, bdl-11)."""
    found: list[Issue] = []

    def note(code: str, diagnostics: str, where: str) -> None:
        found.append(Issue(code=code, diagnostics=diagnostics, expression=(f"{path}.{where}",)))

    if not is_document(document):
        note("value", "a FHIR document is a Bundle of the type document", "type")
    identifier = document.get("identifier") or {}
    for part in ("system", "value"):
        if not identifier.get(part):
            where = f"identifier.{part}" if identifier else "identifier"
            note("required", "a FHIR document needs an identifier with system and value", where)
            break
    if not document.get("timestamp"):
        note("required", "a FHIR document needs a timestamp", "timestamp")
    entries = document.get("entry") or [{}]
    if (entries[0].get("resource") or {}).get("resourceType") != "Composition":
        note("value", "the first resource of a FHIR document is a Composition", "entry[0].resource")
    return found


@dataclass(frozen=True)
class Document:
    """One FHIR document whose structure is in order, and what is known beside it."""

    bundle: Resource
    media_type: str
    """The form of its bytes."""
    base: str
    """The server's own base URL, as this client sees it."""
    systems: Systems
    subjects: Callable[[References], PatientOf]
    """Makes what tells whose document it is."""
    prefers_bundle: bool = False
    """Whether Bundle.identifier is the uniqueId where there is one."""

    @property
    def composition(self) -> Resource:
        """The first resource."""
        resource: Resource = self.bundle["entry"][0]["resource"]
        return resource

    @cached_property
    def references(self) -> References:
        """Where the references within the document lead."""
        return References(self.base, tuple(_entries(self.bundle)))

    @cached_property
    def full_url(self) -> str:
        """The fullUrl of the Composition, where its relative references begin."""
        return self.references.entries[0].full_url

    @cached_property
    def patient_of(self) -> PatientOf:
        """What tells whose document it is."""
        return self.subjects(self.references)

    @property
    def reading(self) -> Reading:
        """What the mapping is told to read the Composition."""
        resolve = partial(self.references.resource, full_url=self.full_url)
        return Reading(systems=self.systems, path=_COMPOSITION, resolve=resolve)


def _entries(bundle: Resource) -> Iterator[Entry]:
    for index, one in enumerate(bundle.get("entry") or ()):
        resource = one.get("resource") or {}
        kind = resource.get("resourceType") or ""
        full_url = one.get("fullUrl") or ""
        is_uuid = full_url[: len(UUID_URN)].lower() == UUID_URN
        place = f"Bundle.entry[{index}]"
        yield Entry(
            index=index,
            place=place,
            path=f"{place}.resource",
            kind=kind,
            method="",
            url=kind,  # without the id, which is none of this server's
            full_url=full_url.lower() if is_uuid else full_url.rstrip("/"),
            resource=resource,
            resource_type=kind,
            is_context=True,
        )


def describe(document: Document) -> DocumentMetadata:
    """Read the metadata of a document."""
    found = gather(ROWS, document)
    return DocumentMetadata(
        values=found.values,
        places=PLACES,
        issues=found.issues,
        unreadable=found.unreadable,
        declared=frozenset(_profiles(document.composition, document.bundle)),
        format_code=_format_code(document),
        stated=versions.stated(document.bundle, document.systems),
    )


def _profiles(*resources: Resource) -> Iterator[str]:
    for resource in resources:
        for profile in (resource.get("meta") or {}).get("profile") or ():
            yield profile.partition("|")[0]


_OF_FHIR: Final = "http://hl7.org/fhir/StructureDefinition/"


def _format_code(document: Document) -> Code:
    """Return the profile of the Bundle, as IHE does of patient summaries (sIPS 3:5.9)."""
    for profile in _profiles(document.bundle):
        if not profile.startswith(_OF_FHIR):
            return Code(profile, document.systems.scheme(URI_SYSTEM), profile)
    return MIME_TYPE_SUFFICIENT


# The document


def _unique_id(document: Document) -> str | None:
    """Return the Composition's identifier; where metadata cannot say it, the Bundle's.

    Or the other way round, where the deployment wants that (option fhir_document_unique_id).
    """
    failures: list[Refused] = []
    places = [(_COMPOSITION, document.composition), ("Bundle", document.bundle)]
    if document.prefers_bundle:
        places.reverse()
    for place, resource in places:
        if identifier := resource.get("identifier"):
            try:
                return unique_id_of(identifier, document.systems)
            except ValueError as reason:
                failures.append(unreadable(f"{place}.identifier", str(reason)))
    raise failures[0]


def _title(document: Document) -> str | None:
    title: str | None = document.composition.get("title")
    return title


def _codes(document: Document, read: Callable[[Codes, Resource], Any]) -> Any:
    """Let the mapping read codes of the Composition; Refused with whatever it finds wrong."""
    notes = IssueCollector(_COMPOSITION)
    found = read(Codes(document.systems, notes), document.composition)
    return mapped(notes, found).thing


def _type_code(document: Document) -> Any:
    return _codes(document, lambda codes, said: codes.concept(said.get("type"), "type"))


def _class_code(document: Document) -> Any:
    return _codes(document, lambda codes, said: codes.first(said.get("category", ()), "category"))


_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_CONFIDENTIALITIES: Final[Mapping[str, str]] = {
    "U": "unrestricted",
    "L": "low",
    "M": "moderate",
    "N": "normal",
    "R": "restricted",
    "V": "very restricted",
}


def _confidentiality_code(document: Document) -> tuple[Code, ...]:
    said = document.composition.get("confidentiality")
    own = [Code(said, _CONFIDENTIALITY, _CONFIDENTIALITIES.get(said, said))] if said else []
    labels = (document.composition.get("meta") or {}).get("security") or ()
    found: tuple[Code | None, ...] = _codes(
        document,
        lambda codes, _: tuple(
            codes.coding(label, f"meta.security[{i}]") for i, label in enumerate(labels)
        ),
    )
    return tuple({str(code): code for code in (*own, *found) if code is not None}.values())


def _event_code_list(document: Document) -> tuple[Code, ...]:
    found: tuple[Code, ...] = _codes(
        document,
        lambda codes, said: tuple(
            code
            for i, event in enumerate(said.get("event", ()))
            for code in codes.each(event.get("code", ()), f"event[{i}].code")
        ),
    )
    return tuple({str(code): code for code in found}.values())


def _language_code(document: Document) -> str | None:
    for place, resource in ((_COMPOSITION, document.composition), ("Bundle", document.bundle)):
        if said := resource.get("language"):
            try:
                datatypes.check_language(said)
            except ValueError as reason:
                raise unreadable(f"{place}.language", str(reason)) from None
            return str(said)
    return None


# Times


def _time(said: str | None, where: str) -> str | None:
    try:
        return times.dtm(said) if said else None
    except ValueError as reason:
        raise unreadable(f"{_COMPOSITION}.{where}", str(reason)) from None


def _creation_time(document: Document) -> str | None:
    return _time(document.composition.get("date"), "date")


def _service_times(document: Document, end: str) -> list[str]:
    found = [
        _time((event.get("period") or {}).get(end), f"event[{i}].period.{end}")
        for i, event in enumerate(document.composition.get("event", ()))
    ]
    return [one for one in found if one]


def _service_start_time(document: Document) -> str | None:
    """Return when the earliest of the events documented began."""
    return min(_service_times(document, "start"), key=datatypes.earliest, default=None)


def _service_stop_time(document: Document) -> str | None:
    """Return when the latest of the events documented ended; not before the earliest began."""
    latest = max(_service_times(document, "end"), key=datatypes.earliest, default=None)
    return datatypes.end_of(_service_start_time(document), latest)


# Who wrote it and who answers for it


def _author(document: Document) -> tuple[Author, ...]:
    notes = IssueCollector(_COMPOSITION)
    actors = Actors(document.composition, document.reading, notes)
    authors = document.composition.get("author", ())
    found = [actors.author(one, f"author[{i}]") for i, one in enumerate(authors)]
    return mapped(notes, tuple(one for one in found if one != NOBODY)).thing


def _legal_authenticator(document: Document) -> str | None:
    notes = IssueCollector(_COMPOSITION)
    actors = Actors(document.composition, document.reading, notes)
    for i, attester in enumerate(document.composition.get("attester", ())):
        if attester.get("mode") == "legal" and "party" in attester:
            person = actors.person(attester["party"], f"attester[{i}].party")
            return mapped(notes, person).thing
    return None


# The patient

_SUBJECT: Final = f"{_COMPOSITION}.subject"


def _patient_id(document: Document) -> str | None:
    subject = _subject(document)
    return document.patient_of(subject) if subject else None


def _subject(document: Document) -> Subject | None:
    """Return the subject, as long as it cannot be mistaken for a Patient of this server.

    A relative reference begins at the server that the document comes from, which is another one.
    """
    reference = document.composition.get("subject")
    if not reference:
        return None
    found = document.references.follow(reference, document.composition, document.full_url)
    own = f"{document.base}/"
    is_own = document.full_url.startswith(own) or reference.get("reference", "").startswith(own)
    if isinstance(found, Held | ConditionalReference) and not is_own:
        if not reference.get("identifier"):
            raise unreadable(_SUBJECT, "leads to no entry of the document", "not-found")
        reference = {"identifier": reference["identifier"]}
    return Subject(reference, document.composition, _SUBJECT, document.full_url)


def _source(document: Document) -> tuple[str | None, tuple[str, ...]]:
    reference = document.composition.get("subject") or {}
    patient = Actors(document.composition, document.reading, IssueCollector(_COMPOSITION)).target(
        reference, "subject", document.composition
    )
    if patient is None or patient.get("resourceType") != "Patient":
        return None, ()
    return read_patient(patient, document.systems)


def _source_patient_id(document: Document) -> str | None:
    """Return the id within the document; a mere reference has none but the patientId."""
    return _source(document)[0] or _patient_id(document)


def _source_patient_info(document: Document) -> tuple[str, ...]:
    return _source(document)[1]


# What it belongs to


def _reference_id_list(document: Document) -> tuple[str, ...]:
    encounter = document.composition.get("encounter") or {}
    resource = document.reading.resolve(encounter) or {}
    identifiers = resource.get("identifier") or filter(None, [encounter.get("identifier")])
    found: list[str] = []
    for i, one in enumerate(identifiers):
        try:
            found.append(reference_id(one, document.systems, v.REFERENCE_ENCOUNTER_ID))
        except ValueError as reason:
            where = f"encounter: identifier[{i}] of the Encounter"
            raise unreadable(f"{_COMPOSITION}.{where}", str(reason)) from None
    return tuple(found)


ROWS: Final[Mapping[str, Callable[[Document], object]]] = {
    "unique_id": _unique_id,
    "title": _title,
    "type_code": _type_code,
    "class_code": _class_code,
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
    "reference_id_list": _reference_id_list,
    "mime_type": lambda document: document.media_type,
}
"""How each attribute is read."""

PLACES: Final[Mapping[str, str]] = {
    "unique_id": f"{_COMPOSITION}.identifier",
    "type_code": f"{_COMPOSITION}.type",
    "class_code": f"{_COMPOSITION}.category",
    "confidentiality_code": f"{_COMPOSITION}.confidentiality",
    "language_code": f"{_COMPOSITION}.language",
    "creation_time": f"{_COMPOSITION}.date",
    "patient_id": _SUBJECT,
    "source_patient_id": _SUBJECT,
    "healthcare_facility_type_code": _COMPOSITION,
    "practice_setting_code": _COMPOSITION,
}
"""Where the attributes that are required are looked for."""
