"""A DocumentEntry as DocumentReference: what its attributes say.

It is written as JSON at once: a search gives many, and most of one stands in others too.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xds.fhir import vocabulary as f
from xds.fhir.datatypes import times
from xds.fhir.datatypes.authors import author_texts, signer_texts
from xds.fhir.datatypes.codes import coding, concept
from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.demographics import contained_patient
from xds.fhir.datatypes.exact import extension, put
from xds.fhir.datatypes.identifiers import (
    reference_by_identifier,
    reference_type,
    resource_id,
    unique_identifier_text,
)
from xds.fhir.datatypes.relations import relates_to
from xds.fhir.http import versions
from xds.fhir.r4 import json
from xds.fhir.r4.json import joined, listed
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.systems import Systems
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.common import home_community, is_in_error, uuid_texts
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


class WrittenReference(NamedTuple):
    """A DocumentReference: the JSON of its elements by their names, in FHIR's order.

    What has no value is absent, or is an empty text. URLs of this server begin with the mark
    ``versions.BASE``.
    """

    elements: Mapping[str, str]
    """All but ``meta``, ``content`` and ``context``, for which a text is put in."""
    attachment: Mapping[str, str]
    format: str
    context: Mapping[str, str]

    def text(self, meta: str = "") -> str:
        """Return the JSON of the whole, with this element meta."""
        content = {"attachment": joined(self.attachment), "format": self.format}
        surroundings = joined(self.context) if self.context else ""
        more = {"meta": meta, "content": f"[{joined(content)}]", "context": surroundings}
        return joined({**self.elements, **more})

    def resource(self, base: str, meta: str = "") -> Resource:
        """Return the whole as a resource, for a base of URLs that is given."""
        return json.of_text(self.text(meta).replace(versions.BASE, json.text(base)[1:-1]))


def written(
    entry: DocumentEntry,
    systems: Systems,
    relations: "Sequence[Relation]" = (),
    registered_at: str | None = None,
    patient: int | None = None,
) -> WrittenReference:
    """Return what the attributes say."""
    actors = _actors(entry, systems)
    codes = _classified(
        entry.type_code,
        entry.class_code,
        entry.confidentiality_code,
        entry.format_code,
        entry.healthcare_facility_type_code,
        entry.practice_setting_code,
        systems,
    )
    master, identifiers = _identifiers(entry, systems)
    said = subject(entry.patient_id, patient, systems)
    elements = {
        "resourceType": '"DocumentReference"',
        "id": json.text(resource_id(entry.logical_id or entry.entry_uuid)),
        "meta": "",
        "contained": actors.contained,
        "extension": _extensions(entry),
        "masterIdentifier": master,
        "identifier": identifiers,
        "status": f'"{_status(entry)}"',
        **codes.elements,
        "subject": said.text if said else "",
        "date": f'"{times.instant(registered_at)}"' if registered_at else "",
        **actors.elements,
        "relatesTo": json.text(relates_to(relations)) if relations else "",
        "description": _said(entry.comments),
        "content": "",
        "context": "",
    }
    surroundings = {
        **_references(entry.reference_id_list, systems),
        "event": _events(entry.event_code_list, systems),
        "period": _period(entry.service_start_time, entry.service_stop_time),
        **codes.context,
        **actors.context,
    }
    return WrittenReference(elements, _attachment(entry), codes.format, _present(surroundings))


def _present(members: Mapping[str, str]) -> Mapping[str, str]:
    return {name: text for name, text in members.items() if text}


def _said(text: str | None) -> str:
    return json.text(text) if text and not text.isspace() else ""


def _extensions(entry: DocumentEntry) -> str:
    home, availability = entry.home_community_id, entry.document_availability
    if not (home or availability):
        return ""
    found = home_community(home)
    if availability:
        found.append(extension(mhd.OWN_DOCUMENT_AVAILABILITY, "valueUri", availability))
    return json.text(found)


def _identifiers(entry: DocumentEntry, systems: Systems) -> tuple[str, str]:
    """Return masterIdentifier and the list of identifiers."""
    own = uuid_texts(entry.entry_uuid, entry.logical_id)
    if not entry.unique_id:
        return "", listed(own)
    master = unique_identifier_text(entry.unique_id, systems)
    return master, listed((master, *own))


# --- what is the same in many documents ----------------------------------------------------------

_GROUPS: Final = 2_000
"""How many groups of codes are kept as they were written."""


class _Group(NamedTuple):
    """What attributes that often stand together say: by its place in the resource."""

    elements: Mapping[str, str]
    context: Mapping[str, str]
    contained: str = ""
    format: str = ""


@lru_cache(_GROUPS)
def _classified(
    type_code: Code | None,
    class_code: Code | None,
    confidentiality: Sequence[Code],
    format_code: Code | None,
    facility: Code | None,
    setting: Code | None,
    systems: Systems,
) -> _Group:
    def one(code: Code | None) -> str:
        return concept(code, systems).text if code else ""

    elements = {
        "type": one(type_code),
        "category": f"[{one(class_code)}]" if class_code else "",
        "securityLabel": listed(map(one, confidentiality)),
    }
    surroundings = {"facilityType": one(facility), "practiceSetting": one(setting)}
    form = coding(format_code, systems).text if format_code else ""
    return _Group(elements, surroundings, format=form)


@lru_cache(_GROUPS)
def _events(codes: Iterable[Code], systems: Systems) -> str:
    return listed(concept(code, systems).text for code in codes)


def _actors(entry: DocumentEntry, systems: Systems) -> _Group:
    """Write authors, authenticator and the patient of the source, and what contains them."""
    signer, source_id, info = (
        entry.legal_authenticator,
        entry.source_patient_id,
        entry.source_patient_info,
    )
    wrote = [
        author_texts(one, f"author-{number}", systems) for number, one in enumerate(entry.author, 1)
    ]
    elements = {"author": listed([reference for _, reference in wrote if reference])}
    if signer:
        wrote.append(signer_texts(signer, "authenticator", systems))
        elements["authenticator"] = wrote[-1][1]
    contained = [text for text, _ in wrote if text]
    patient = ""
    if source_id or info:
        contained.append(contained_patient(_SOURCE, source_id, info, systems).text)
        patient = _SOURCE_REFERENCE
    return _Group(elements, {"sourcePatientInfo": patient}, contained=listed(contained))


_SOURCE: Final = "source-patient"
_SOURCE_REFERENCE: Final = f'{{"reference":"#{_SOURCE}"}}'


@lru_cache(CACHED)
def _period(start: str | None, end: str | None) -> str:
    period: Resource = {}
    times.write(period, "start", start)
    times.write(period, "end", end)
    return json.text(period) if period else ""


def _references(texts: Iterable[str], systems: Systems) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for text in texts:
        if text:
            is_encounter = reference_type(text) == v.REFERENCE_ENCOUNTER_ID
            each = found.setdefault("encounter" if is_encounter else "related", [])
            each.append(reference_by_identifier(text, systems).text)
    return {name: listed(each) for name, each in found.items()}


# --- the attachment ------------------------------------------------------------------------------


def _attachment(entry: DocumentEntry) -> Mapping[str, str]:
    uri, language, creation = entry.uri, entry.language_code, entry.creation_time
    found = {
        "extension": json.text([extension(mhd.OWN_URI, "valueString", uri)]) if uri else "",
        **_content_type(entry.mime_type or _ANY_TYPE),
        "language": json.text(language) if language else "",
        "url": f'"{document_url(entry.entry_uuid, versions.BASE)}"',
        **_size(entry.size or ""),
        **_hash(entry.hash or ""),
        "title": _said(entry.title),
    }
    if creation:
        found.update(times.texts("creation", creation))
    return found


@lru_cache(CACHED)
def _content_type(mime_type: str) -> Mapping[str, str]:
    plain = " ".join(mime_type.split())
    return _put("contentType", mime_type, plain, plain)


def _size(size: str) -> Mapping[str, str]:
    number = int(size) if size.isdecimal() and size.isascii() else -1
    plain = number if 0 <= number <= MOST_OF_UNSIGNED_INT else None
    return _put("size", size, plain, str(plain)) if size else {}


def _hash(digits: str) -> Mapping[str, str]:
    try:
        plain = b64encode(bytes.fromhex(digits)).decode()
    except ValueError:
        plain = None
    return _put("hash", digits, plain, digits.lower() if plain else None) if digits else {}


def _put(name: str, text: str, plain: Any, canonical: str | None) -> Mapping[str, str]:
    """Return the JSON of what ``exact.put`` sets, by its names."""
    if plain is not None and canonical == text:
        return {name: json.text(plain)}
    element: Resource = {}
    put(element, name, text, plain, canonical)
    return {one: json.text(value) for one, value in element.items()}
