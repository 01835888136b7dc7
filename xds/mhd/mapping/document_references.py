"""DocumentEntry and DocumentReference (MHD 4.2.4, the table of docs/mhd-mapping.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from xds.fhir.datatypes import times
from xds.fhir.datatypes.context import Mapped, Reading, Writing, mapped
from xds.fhir.datatypes.identifiers import resource_id, unique_id_of
from xds.fhir.http import versions
from xds.fhir.r4 import json
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import DocumentEntry
from xds.metadata.rendered_attributes import attributes_given
from xds.metadata.unique_ids import normal
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.common import (
    beside_its_own,
    claiming,
    further,
    further_identifiers,
    given,
    meta,
    nowhere,
    status_marks,
)
from xds.mhd.mapping.riders import FURTHER, Shape, at, restored, rider_of

if TYPE_CHECKING:
    from xds.registry.queries.views import Relation

from xds.mhd.mapping.reading_documents import read, read_attributes
from xds.mhd.mapping.writing_documents import document_url, written

__all__ = ["document_reference", "document_url", "read_document_reference", "rendered"]

_COMPREHENSIVE: Final = ("type", "category", "subject", "securityLabel")
_COMPREHENSIVE_CONTEXT: Final = ("facilityType", "practiceSetting", "sourcePatientInfo")
"""What the profile Comprehensive.DocumentReference demands beside the content."""


def rendered(
    entry: DocumentEntry,
    *,
    context: Writing,
    relations: "Sequence[Relation]" = (),
    registered_at: str,
    last_updated_at: str,
    patient: int,
) -> Rendered:
    """Return the JSON of what ``document_reference`` returns, with its versionId."""
    if entry.fhir_elements or not entry.version:
        made = document_reference(
            entry,
            context=context,
            relations=relations,
            registered_at=registered_at,
            last_updated_at=last_updated_at,
            patient=patient,
        )
        return versions.rendered(made, context.base)
    found = written(entry, context.systems, relations, registered_at, patient)
    profile = _of_attributes(entry, found.elements, found.context, found.attachment, found.format)
    stated = (
        f'{{"versionId":"{entry.version}{versions.DIGEST}",'
        f'"lastUpdated":"{times.instant(last_updated_at)}","profile":["{profile}"]}}'
    )
    own_id = resource_id(entry.logical_id or entry.entry_uuid)
    return versions.filled(own_id, found.text(stated), context.base)


def document_reference(
    entry: DocumentEntry,
    *,
    context: Writing,
    relations: "Sequence[Relation]" = (),
    registered_at: str | None = None,
    last_updated_at: str | None = None,
    patient: int | None = None,
) -> Resource:
    """Return a DocumentEntry as DocumentReference, with what rode along with it.

    ``relations`` are the associations whose source it is; ``patient`` is the number of its patient
    in the registry; both times are DTMs of 14 digits.
    """
    found = written(entry, context.systems, relations, registered_at, patient)
    stated = meta(last_updated_at, entry.version)
    made = restored(
        found.resource(context.base, json.text(stated) if stated else ""),
        entry,
        SHAPE,
        lambda resource, patient_id: read(
            resource,
            Reading(context.systems, "", nowhere, is_of_one_here=True),
            IssueCollector(""),
            patient_id,
        ),
    )
    return claiming(made, _profile(made, entry))


def _profile(made: Resource, entry: DocumentEntry) -> str | None:
    """Return the profile that a resource keeps; None where what rode along keeps none."""
    if "docStatus" in made or len(made.get("category", ())) > 1:
        return None
    content, surroundings = made["content"][0], made.get("context", {})
    profile = _of_attributes(
        entry, made, surroundings, content["attachment"], content.get("format")
    )
    if profile == mhd.MINIMAL_DOCUMENT_REFERENCE:
        return profile
    actors = [
        *made.get("author", ()),
        made.get("authenticator"),
        made["context"].get("sourcePatientInfo"),
    ]
    for one in actors:
        if one and not one.get("reference", "").startswith("#"):
            return mhd.UNCONTAINED_DOCUMENT_REFERENCE
    return profile


def _of_attributes(
    entry: DocumentEntry,
    elements: Mapping[str, Any],
    surroundings: Mapping[str, Any],
    attachment: Mapping[str, Any],
    form: Any,
) -> str:
    """Return the profile of a resource whose actors are all contained, by what there is."""
    is_comprehensive = (
        not entry.limited_metadata
        and form
        and all(map(elements.get, _COMPREHENSIVE))
        and all(map(surroundings.get, _COMPREHENSIVE_CONTEXT))
        and attachment.get("language")
        and attachment.get("creation")
    )
    if is_comprehensive:
        return mhd.COMPREHENSIVE_DOCUMENT_REFERENCE
    return mhd.MINIMAL_DOCUMENT_REFERENCE


_OF_TARGET: Final = frozenset({"reference", "identifier", "type", "id"})
_CODED: Final = {
    "class_code": "category",
    "type_code": "type",
    "event_code_list": "context.event",
    "healthcare_facility_type_code": "context.facilityType",
    "practice_setting_code": "context.practiceSetting",
}
"""Where codings beside the code of an attribute may stand."""

SHAPE: Final = Shape(
    elements={
        "masterIdentifier": ("unique_id",),
        FURTHER: ("unique_id", "entry_uuid"),
        "docStatus": (),
        "type": ("type_code",),
        "category": ("class_code",),
        "securityLabel": ("confidentiality_code",),
        "author": ("author",),
        "authenticator": ("legal_authenticator",),
        "custodian": (),
        "description": ("comments",),
        "content[0].format": ("format_code",),
        "content[0].attachment.contentType": ("mime_type",),
        "content[0].attachment.language": ("language_code",),
        "content[0].attachment.title": ("title",),
        "content[0].attachment.creation": ("creation_time",),
        "content[0].attachment.id": (),
        "content[0].attachment.extension": (),
        "content[0].id": (),
        "content[0].extension": (),
        "context.encounter": ("reference_id_list",),
        "context.event": ("event_code_list",),
        "context.period": ("service_start_time", "service_stop_time"),
        "context.facilityType": ("healthcare_facility_type_code",),
        "context.practiceSetting": ("practice_setting_code",),
        "context.sourcePatientInfo": ("source_patient_id", "source_patient_info"),
        "context.related": ("reference_id_list",),
        "context.id": (),
        "context.extension": (),
        "extension": (),
        "subject.display": (),
        "language": (),
        "implicitRules": (),
        "meta.security": (),
        "meta.tag": (),
        "text": (),
    },
    written=frozenset({mhd.HOME_COMMUNITY_ID}),
)
"""What of a DocumentReference may ride with its entry."""


def read_document_reference(
    resource: Resource, reading: Reading, *, patient_id: str
) -> Mapped[DocumentEntry]:
    """Return a DocumentReference as DocumentEntry; Refused with everything that is wrong with it.

    It is a stable entry without repositoryUniqueId: where the document is, and whether it is made
    on demand, is for whoever has the rest of the request. Hash and size are what the attachment
    says.
    """
    notes = IssueCollector(reading.path)
    said = read_attributes(resource, reading, notes, patient_id)
    entry = DocumentEntry.create(**said)
    own = (normal(entry.unique_id or ""), entry.entry_uuid, entry.logical_id)
    others = beside_its_own(
        resource.get("identifier", ()), own, lambda one: unique_id_of(one, reading.systems)
    )
    for place, one in enumerate(resource.get("relatesTo", ())):
        if one.keys() - {"code", "target", "id"} or one.get("target", {}).keys() - _OF_TARGET:
            notes.lost("of a relation its code and target are kept", f"relatesTo[{place}]")
    as_written = written(attributes_given(entry, said), reading.systems).resource("")
    rider = rider_of(resource, as_written, SHAPE, reading, notes, others)
    concepts = {name: _concepts(resource, path) for name, path in _CODED.items()}
    kept = {
        "fhir_elements": replace(rider, patient=patient_id).values(),
        "further_codes": (
            *further(concepts, entry, reading.systems),
            *status_marks(resource),
        ),
        "further_identifiers": further_identifiers(others),
    }
    return mapped(notes, entry.updated(**given(kept)))


def _concepts(resource: Resource, path: str) -> Sequence[Resource]:
    found: Any = at(resource, path)
    return found if isinstance(found, list) else [found] if found else []
