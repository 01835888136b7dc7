"""What the registry knows of a document, as its page tells it beside what the document says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xds.content.reading.model import ContentParty, ContentPatient
from xds.content.reading.patient_comparison import patient_said
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import XCN, XON
from xds.metadata.objects import Author, DocumentEntry

Relation = Literal[
    "newer", "older", "addendum", "amended", "transform", "source", "signature", "signed"
]
"""What another document is to this one: a newer version, the one it replaces, one that adds to it,
one that it adds to, one made from it, the one it was made from, its signature, what it signs."""


@dataclass(frozen=True, slots=True)
class RelatedPage:
    """Another document that the reader may open."""

    relation: Relation
    href: str
    title: str = ""
    time: str = ""
    """When it was made, a DTM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryFacts:
    """What the registry knows of a document."""

    href: str
    """Of the document, as the page refers to it; what belongs to it lies below."""
    original: str = ""
    """Of the document as it is, where that is not ``original`` below."""
    is_made: bool = False
    """Whether it is made on demand of other documents, which are the legal ones."""
    unique_id: str = ""
    title: str = ""
    kind: str = ""
    """The display name of its typeCode."""
    media_type: str = ""
    size: int | None = None
    created: str = ""
    service_start: str = ""
    service_stop: str = ""
    is_deprecated: bool = False
    patient_id: str = ""
    """The patient that it is registered for, a CX."""
    source_patient_id: str = ""
    patient: ContentPatient | None = None
    """What its sender has said of the patient (sourcePatientInfo)."""
    authors: Sequence[ContentParty] = ()
    authenticator: ContentParty | None = None
    related: Sequence[RelatedPage] = ()
    sources: Sequence[RelatedPage] = ()
    """The documents that it was made of, where these are several."""


def facts_of(entry: DocumentEntry, href: str, related: Sequence[RelatedPage] = ()) -> RegistryFacts:
    """Return what a DocumentEntry says, with the other documents that a reader may open."""
    size = entry.size or ""
    return RegistryFacts(
        href=href,
        unique_id=entry.unique_id or "",
        title=entry.title or "",
        kind=entry.type_code.display_name if entry.type_code else "",
        media_type=entry.mime_type or "",
        size=int(size) if size.isdecimal() else None,
        created=entry.creation_time or "",
        service_start=entry.service_start_time or "",
        service_stop=entry.service_stop_time or "",
        is_made=entry.is_on_demand,
        is_deprecated=entry.availability_status == v.DEPRECATED,
        patient_id=entry.patient_id or "",
        source_patient_id=entry.source_patient_id or "",
        patient=patient_said(entry.source_patient_info),
        authors=tuple(map(_author, entry.author)),
        authenticator=_authenticator(entry.legal_authenticator),
        related=related,
    )


def _author(author: Author) -> ContentParty:
    institutions = [_institution(one) for one in author.institution]
    return ContentParty(
        name=", ".join(_person(one) for one in author.person),
        organisation=", ".join(institutions),
        role=", ".join(one.partition("^")[0] for one in author.role),
    )


def _authenticator(xcn: str | None) -> ContentParty | None:
    return ContentParty(name=_person(xcn)) if xcn else None


def _person(xcn: str) -> str:
    try:
        found = XCN.parse(xcn)
    except ValueError:
        return xcn
    name = (found.prefix, found.given_name, found.family_name, found.suffix)
    return " ".join(filter(None, name)) or found.id_number


def _institution(xon: str) -> str:
    try:
        return XON.parse(xon).organization_name
    except ValueError:
        return xon
