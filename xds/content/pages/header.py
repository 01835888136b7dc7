"""The header of a page and its notices: of structured data and of what the registry knows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xds.content.pages import shown
from xds.content.pages.facts import RegistryFacts
from xds.content.reading.model import ContentParty, ContentPatient, ReadDocument
from xds.content.reading.patient_comparison import MISMATCH, is_of_another, patient_findings

_MOST_VALUES: Final = 50
_MOST_FACTS: Final = 2_000
"""Of people, organisations and events."""
TECHNICAL: Final = frozenset({"schema-invalid"})
"""Findings that are nothing to a reader of the content."""


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """A line of the header: what it is, and its values."""

    name: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader must know before reading."""

    text: str
    is_warning: bool = True
    href: str = ""
    linked: str = ""
    """The words of the link."""


@dataclass(frozen=True, slots=True)
class PatientView:
    """A patient as the template has it."""

    name: str
    born: str
    sex: str
    identifiers: Sequence[tuple[str, str]]
    """Numbers, each with the OID of who has assigned it."""
    address: str = ""


def patients(document: ReadDocument, facts: RegistryFacts) -> Sequence[PatientView]:
    """Return whom a document is about: as it says itself, else as it was registered."""
    known = [one for one in document.header.patients if one.name or one.family or one.identifiers]
    return [_patient(one, facts) for one in known or [facts.patient or ContentPatient()]]


def _patient(patient: ContentPatient, facts: RegistryFacts) -> PatientView:
    name = patient.name or " ".join(filter(None, (patient.given, patient.family)))
    identifiers = list(patient.identifiers)
    if not identifiers and facts.patient_id:
        identifiers = [facts.patient_id]
    return PatientView(
        name or "Name not given",
        shown.shown_time(patient.birth_date) if patient.birth_date else "not given",
        shown.shown_sex(patient.sex) if patient.sex else "not given",
        [shown.shown_identifier(one) for one in identifiers[:_MOST_VALUES]],
        patient.address,
    )


def lines(document: ReadDocument, facts: RegistryFacts) -> Iterator[HeaderLine]:
    """Yield what a reader has to know of a document beside its patient."""
    header = document.header
    authenticators = header.authenticators
    if not authenticators and facts.authenticator:
        authenticators = [facts.authenticator]
    start = header.service_start or facts.service_start
    stop = header.service_stop or facts.service_stop
    times = [shown.shown_time(one) for one in dict.fromkeys((start, stop)) if one]
    found = {
        "Type": [header.type_code.display_name if header.type_code else facts.kind],
        "Date": [shown.shown_time(header.created or facts.created)],
        "Status": [header.status.capitalize()],
        "Version": ["" if header.version is None else str(header.version)],
        "Service": [" to ".join(times)],
        "Author": [_party(one) for one in header.authors or facts.authors],
        "Authenticated by": [_party(one) for one in authenticators],
        "Custodian": [_party(header.custodian)] if header.custodian else [],
        "Recipient": [_party(one) for one in header.recipients],
        "Order": list(header.orders),
    }
    for name, values in found.items():
        if said := [one for one in values if one]:
            yield HeaderLine(name, said[:_MOST_VALUES])


def _party(party: ContentParty) -> str:
    said = (party.name, party.role, party.organisation)
    named = ", ".join(dict.fromkeys(filter(None, said)))
    time = shown.shown_time(party.time) if party.time else ""
    return f"{named or 'not named'} ({time})" if time else named


@dataclass(frozen=True, slots=True)
class PartView:
    """Who or what has a part in a document, as the template has it."""

    part: str
    facts: Sequence[tuple[str, str]]
    """What each is, and what is said."""


def parts(document: ReadDocument) -> tuple[list[PartView], bool]:
    """Return what the header says of people and events, and whether that is too much to show."""
    found: list[PartView] = []
    left = _MOST_FACTS
    for one in document.participations():
        if left <= 0:
            return found, True
        facts = [
            (fact.name, shown.shown_time(fact.time) if fact.time else fact.text)
            for fact in one.facts[:left]
        ]
        left -= len(one.facts)
        found.append(PartView(one.part, facts))
    return found, left < 0


def identity(document: ReadDocument, facts: RegistryFacts) -> Iterator[HeaderLine]:
    """Yield what tells a document from others, for the foot of its page."""
    header = document.header
    found: Mapping[str, str] = {
        "Document id": facts.unique_id or header.unique_id,
        "Set id": header.set_id,
        "Registered for patient": " of ".join(
            filter(None, shown.shown_identifier(facts.patient_id))
        ),
        "Confidentiality": header.confidentiality.display_name if header.confidentiality else "",
        "Language": header.language,
        "Media type": facts.media_type or document.media_type,
    }
    for name, value in found.items():
        if value:
            yield HeaderLine(name, [value])


# --- notices -------------------------------------------------------------------------------------

_PRELIMINARY: Final = frozenset({"preliminary", "active", "partial", "registered", "draft"})
_WITHDRAWN: Final = frozenset({"entered-in-error", "cancelled", "aborted"})
_OF_RELATED: Final[Mapping[str, str]] = {
    "older": "This document replaces an earlier version:",
    "addendum": "Another document adds to this one:",
    "amended": "This document adds to another one:",
    "transform": "This document is there in another form, too:",
    "source": "This document was made from another one:",
    "signature": "This document is signed by another one:",
    "signed": "This document is a signature of another one:",
}


def notices(document: ReadDocument, facts: RegistryFacts) -> Iterator[Notice]:
    """Yield the notices: first those that keep a reader from an error."""
    header = document.header
    registered = (facts.patient_id, facts.source_patient_id)
    compared = patient_findings(header.patients, registered, facts.patient)
    if is_of_another(compared):
        yield Notice("The document names another patient than the one that it is registered for.")
    if len(header.patients) > 1:
        yield Notice("The document is about several patients.")
    yield from _of_versions(facts)
    if header.status.lower() in _PRELIMINARY:
        yield Notice("This document is preliminary, not final.")
    if header.status.lower() in _WITHDRAWN:
        yield Notice("This document has been withdrawn by its author.")
    for finding in (*compared, *document.findings):
        if finding.code not in (*TECHNICAL, MISMATCH):
            yield Notice(finding.message)
    for one in facts.related:
        if one.relation != "newer":
            told = named(one.title, one.time) or "open it"
            yield Notice(_OF_RELATED[one.relation], False, one.href, told)


def _of_versions(facts: RegistryFacts) -> Iterator[Notice]:
    newer = [one for one in facts.related if one.relation == "newer"]
    for one in newer:
        told = named(one.title, one.time) or "open the newer version"
        yield Notice("A newer version has replaced this document:", True, one.href, told)
    if not newer and facts.is_deprecated:
        yield Notice("This document is deprecated: it is no longer in force.")


def named(title: str, time: str) -> str:
    """Return what a link to another document is called."""
    return ", ".join(filter(None, (title, shown.shown_time(time) if time else "")))
