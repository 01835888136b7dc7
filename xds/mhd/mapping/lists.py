"""SubmissionSet and Folder as List (MHD 4.2.4, the table of docs/mhd-mapping.md)."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from xds.fhir import vocabulary as f
from xds.fhir.datatypes import times
from xds.fhir.datatypes.authors import NOBODY, Actors, ContainedResources, merged
from xds.fhir.datatypes.codes import Codes, concept
from xds.fhir.datatypes.context import Mapped, Reading, Writing, mapped
from xds.fhir.datatypes.exact import extension, extensions
from xds.fhir.datatypes.identifiers import (
    identifier,
    number_and_authority,
    of_kind,
    package_unique_id,
    resource_id,
    unique_identifier,
)
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import check_oid
from xds.metadata.objects import Author, Code, Folder, SubmissionSet
from xds.metadata.systems import Systems
from xds.metadata.unique_ids import normal
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.common import (
    attempt,
    beside_its_own,
    check_single,
    claiming,
    further,
    further_identifiers,
    given,
    home_community,
    is_in_error,
    meta,
    nowhere,
    read_home_community,
    read_text,
    read_time,
    read_uuid,
    status_marks,
    uuids,
)
from xds.mhd.mapping.patients import subject
from xds.mhd.mapping.riders import FURTHER, Shape, restored, rider_of

if TYPE_CHECKING:
    from xds.registry.queries.views import Member

_FOLDER_STATUS: Final = {v.APPROVED: f.CURRENT, v.DEPRECATED: f.RETIRED}
_AVAILABILITY: Final = {
    f.CURRENT: v.APPROVED,
    f.RETIRED: v.DEPRECATED,
    f.SUPERSEDED: v.DEPRECATED,
}


def submission_set_list(
    thing: SubmissionSet,
    *,
    context: Writing,
    members: "Sequence[Member]",
    last_updated_at: str | None = None,
    patient: int | None = None,
) -> Resource:
    """Return a SubmissionSet as List, with what rode along with it."""
    found = _written_set(thing, context, members, patient)
    found["meta"] = meta(last_updated_at)

    def read(resource: Resource, patient_id: str) -> SubmissionSet:
        return _read_set(
            resource,
            Reading(context.systems, "", nowhere, is_of_one_here=True),
            IssueCollector(""),
            patient_id,
        )

    made = restored(_filled(found), thing, SUBMISSION_SET_SHAPE, read)
    is_comprehensive = (
        thing.content_type_code is not None and found["subject"] and not thing.limited_metadata
    )
    profile = mhd.COMPREHENSIVE_SUBMISSION_SET if is_comprehensive else mhd.MINIMAL_SUBMISSION_SET
    source = made.get("source", {}).get("reference", "#")
    if is_comprehensive and not source.startswith("#"):
        profile = mhd.UNCONTAINED_SUBMISSION_SET
    return claiming(made, None if made.keys() & _OF_NO_PROFILE else profile)


def _written_set(
    thing: SubmissionSet, context: Writing, members: "Iterable[Member]", patient: int | None
) -> Resource:
    contained = ContainedResources(context.systems)
    content = thing.content_type_code
    found = _list(thing, mhd.SUBMISSION_SET, context, members, patient)
    found["contained"] = contained.resources
    found["status"] = f.CURRENT
    found["extension"] = [
        *_designations((content,) if content else (), context.systems),
        *_source_id(thing.source_id, context.systems),
        *found["extension"],
        *_recipients(thing, contained),
    ]
    times.write(found, "date", thing.submission_time)
    _write_authors(found, thing.author, contained)
    return found


def folder_list(
    thing: Folder,
    *,
    context: Writing,
    members: "Sequence[Member]",
    last_updated_at: str | None = None,
    patient: int | None = None,
) -> Resource:
    """Return a Folder as List, with what rode along with it."""
    found = _written_folder(thing, context, members, patient)
    version = thing.version
    found["meta"] = meta(last_updated_at, version)

    def read(resource: Resource, patient_id: str) -> Folder:
        return _read_folder(
            resource,
            Reading(context.systems, "", nowhere, is_of_one_here=True),
            IssueCollector(""),
            patient_id,
        )

    made = restored(_filled(found), thing, FOLDER_SHAPE, read)
    codes, title = thing.code_list, found["title"]
    is_comprehensive = codes and found["subject"] and title and not thing.limited_metadata
    profile = mhd.COMPREHENSIVE_FOLDER if is_comprehensive else mhd.MINIMAL_FOLDER
    return claiming(made, None if made.keys() & _OF_NO_PROFILE else profile)


def _written_folder(
    thing: Folder, context: Writing, members: "Iterable[Member]", patient: int | None
) -> Resource:
    found = _list(thing, mhd.FOLDER, context, members, patient)
    found["id"] = resource_id(thing.logical_id or thing.entry_uuid)
    found["identifier"] += uuids(thing.entry_uuid, thing.logical_id)[1:]
    found["status"] = _FOLDER_STATUS.get(thing.availability_status or "", f.CURRENT)
    if is_in_error(thing):
        found["status"] = f.ENTERED_IN_ERROR
    found["extension"] = [*_designations(thing.code_list, context.systems), *found["extension"]]
    times.write(found, "date", thing.last_update_time)
    return found


def _filled(found: Resource) -> Resource:
    return {name: value for name, value in found.items() if value}


_OF_NO_PROFILE: Final = frozenset({"encounter", "orderedBy", "emptyReason"})
"""What the profiles do not admit, and may ride along all the same."""

_ELEMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    FURTHER: ("unique_id", "entry_uuid"),
    "title": ("title",),
    "code": (),
    "note": ("comments",),
    "encounter": (),
    "orderedBy": (),
    "emptyReason": (),
    "extension": (),
    "subject.display": (),
    "language": (),
    "implicitRules": (),
    "meta.security": (),
    "meta.tag": (),
    "text": (),
}
SUBMISSION_SET_SHAPE: Final = Shape(
    elements={**_ELEMENTS, "source": ("author",), "date": ("submission_time",)},
    extensions={
        mhd.DESIGNATION_TYPE: ("content_type_code",),
        mhd.SOURCE_ID: ("source_id",),
        mhd.INTENDED_RECIPIENT: ("intended_recipient",),
    },
    written=frozenset({mhd.HOME_COMMUNITY_ID}),
)
"""What of a List may ride with its SubmissionSet."""
FOLDER_SHAPE: Final = Shape(
    elements=_ELEMENTS,
    extensions={mhd.DESIGNATION_TYPE: ("code_list",)},
    written=frozenset({mhd.HOME_COMMUNITY_ID}),
)
"""What of a List may ride with its Folder."""


def _list(
    thing: SubmissionSet | Folder,
    kind: str,
    context: Writing,
    members: "Iterable[Member]",
    patient: int | None,
) -> Resource:
    """Return what both have in common, in FHIR's order; what has no value goes away at the end."""
    unique_id, title, comments = thing.unique_id, thing.title, thing.comments
    listed = [unique_identifier(unique_id, context.systems)] if unique_id else []
    return {
        "resourceType": "List",
        "id": resource_id(thing.entry_uuid),
        "meta": None,
        "contained": None,
        "extension": home_community(thing.home_community_id),
        "identifier": [*uuids(thing.entry_uuid, None), *listed],
        "status": None,
        "mode": "working",
        "title": title if title and not title.isspace() else None,
        "code": {"coding": [{"system": mhd.LIST_TYPES, "code": kind}]},
        "subject": subject(thing.patient_id, patient, context.systems),
        "date": None,
        "source": None,
        "note": [{"text": comments}] if comments and not comments.isspace() else None,
        "entry": [{"item": {"reference": one}} for one in dict.fromkeys(map(_reference, members))],
    }


def _reference(member: "Member") -> str:
    """Return the reference to a member, which several versions of it may be."""
    kind = "List" if member.kind is Folder else "DocumentReference"
    return f"{kind}/{resource_id(member.logical_id)}"


def _designations(codes: Iterable[Code], systems: Systems) -> list[Resource]:
    return [
        extension(mhd.DESIGNATION_TYPE, "valueCodeableConcept", concept(code, systems))
        for code in codes
    ]


def _source_id(source_id: str | None, systems: Systems) -> list[Resource]:
    if not source_id:
        return []
    return [extension(mhd.SOURCE_ID, "valueIdentifier", identifier(source_id, "", systems))]


def _recipients(thing: SubmissionSet, contained: ContainedResources) -> list[Resource]:
    made = [
        contained.recipient(text, f"recipient-{number}")
        for number, text in enumerate(thing.intended_recipient, 1)
    ]
    return [extension(mhd.INTENDED_RECIPIENT, "valueReference", one) for one in made if one]


def _write_authors(
    found: Resource, authors: Iterable[Author], contained: ContainedResources
) -> None:
    """Write the first author as source, an organisation as the extension there; others beside."""
    made = [
        contained.author(author, f"author-{number}") for number, author in enumerate(authors, 1)
    ]
    for reference in made:
        if reference is None:
            continue
        if found["source"] is not None:
            more = extension(mhd.OWN_AUTHOR, "valueReference", reference)
            found["extension"].append(more)
        elif _is_organization(reference, contained):
            organization = extension(mhd.AUTHOR_ORG, "valueReference", reference)
            found["source"] = {"extension": [organization]}
        else:
            found["source"] = reference


def _is_organization(reference: Resource, contained: ContainedResources) -> bool:
    target = reference["reference"][1:]
    return any(
        one["id"] == target and one["resourceType"] == "Organization" for one in contained.resources
    )


# --- reading -------------------------------------------------------------------------------------


def read_submission_set(
    resource: Resource, reading: Reading, *, patient_id: str
) -> Mapped[SubmissionSet]:
    """Return a List as SubmissionSet; Refused with everything that is wrong with it.

    A uniqueId or submissionTime that it does not have is for the receiver to give.
    """
    notes = IssueCollector(reading.path)
    found = _read_set(resource, reading, notes, patient_id)
    as_written = _written_set(found, Writing(reading.systems, ""), (), None)
    concepts = {"content_type_code": _designated(resource)}
    kept = _riding(resource, found, as_written, SUBMISSION_SET_SHAPE, reading, notes, concepts)
    return mapped(notes, found.updated(**kept(patient_id)))


def _read_set(
    resource: Resource, reading: Reading, notes: IssueCollector, patient_id: str
) -> SubmissionSet:
    actors = Actors(resource, reading, notes)
    if resource.get("status", f.CURRENT) != f.CURRENT:
        notes.error("value", "a SubmissionSet is current", "status")
    content_types = _read_designations(resource, reading, notes)
    values = {
        **_read_list(resource, reading, notes, patient_id),
        "availability_status": v.APPROVED,
        "content_type_code": next(iter(content_types), None),
        "source_id": _read_source_id(resource, reading.systems, notes),
        "submission_time": read_time(notes, resource, "date", "date"),
        "author": _read_authors(resource, actors),
        "intended_recipient": _read_recipients(resource, actors),
    }
    return mapped(notes, SubmissionSet.create(**given(values))).thing


def read_folder(resource: Resource, reading: Reading, *, patient_id: str) -> Mapped[Folder]:
    """Return a List as Folder; Refused with everything that is wrong with it."""
    notes = IssueCollector(reading.path)
    found = _read_folder(resource, reading, notes, patient_id)
    as_written = _written_folder(found, Writing(reading.systems, ""), (), None)
    concepts = {"code_list": _designated(resource)}
    kept = _riding(resource, found, as_written, FOLDER_SHAPE, reading, notes, concepts)
    return mapped(notes, found.updated(**kept(patient_id)))


def _read_folder(
    resource: Resource, reading: Reading, notes: IssueCollector, patient_id: str
) -> Folder:
    status = resource.get("status", f.CURRENT)
    if status == f.ENTERED_IN_ERROR and reading.is_of_one_here:
        status = f.RETIRED
    if status not in _AVAILABILITY:
        notes.error("not-supported", f"no Folder is registered as {status}", "status")
    values = {
        **_read_list(resource, reading, notes, patient_id),
        "availability_status": _AVAILABILITY.get(status, v.APPROVED),
        "logical_id": read_uuid(resource.get("identifier", ()), f.LOGICAL_ID, notes),
        "code_list": _read_designations(resource, reading, notes),
        "last_update_time": read_time(notes, resource, "date", "date"),
    }
    return mapped(notes, Folder.create(**given(values))).thing


def _designated(resource: Resource) -> list[Resource]:
    found = extensions(resource, mhd.DESIGNATION_TYPE)
    return [one.get("valueCodeableConcept", {}) for _, one in found]


def _riding(
    resource: Resource,
    thing: SubmissionSet | Folder,
    as_written: Resource,
    shape: Shape,
    reading: Reading,
    notes: IssueCollector,
    concepts: Mapping[str, Collection[Resource]],
) -> Callable[[str], dict[str, object]]:
    """Return what makes, for a patient, the attributes of what rides along."""
    others = beside_its_own(
        resource.get("identifier", ()),
        (normal(thing.unique_id or ""), thing.entry_uuid),
        lambda one: package_unique_id(one, reading.systems),
    )
    for place, one in enumerate(resource.get("entry", ())):
        if one.keys() - {"item", "id"} or one["item"].keys() - _OF_ITEM:
            notes.lost("of an entry only what it leads to is kept", f"entry[{place}]")
    rider = rider_of(resource, as_written, shape, reading, notes, others)
    return lambda patient_id: given(
        {
            "fhir_elements": replace(rider, patient=patient_id).values(),
            "further_codes": (
                *further(concepts, thing, reading.systems),
                *status_marks(resource),
            ),
            "further_identifiers": further_identifiers(others),
        }
    )


_OF_ITEM: Final = frozenset({"reference", "identifier", "type", "id"})


def _read_list(
    resource: Resource, reading: Reading, notes: IssueCollector, patient_id: str
) -> dict[str, object]:
    listed = resource.get("identifier", ())
    notes_of_list = resource.get("note", ())
    unique_id = None
    check_single(listed, f.UNIQUE_ID, notes)
    for place, one in of_kind(listed, f.UNIQUE_ID)[:1]:
        where = f"identifier[{place}]"
        unique_id = attempt(notes, where, package_unique_id, one, reading.systems)
    return {
        "entry_uuid": read_uuid(listed, f.ENTRY_UUID, notes),
        "unique_id": unique_id,
        "home_community_id": read_home_community(resource, notes),
        "patient_id": patient_id or None,
        "title": read_text(resource, "title"),
        "comments": read_text(notes_of_list[0], "text") if notes_of_list else None,
    }


def _read_designations(
    resource: Resource, reading: Reading, notes: IssueCollector
) -> tuple[Code, ...]:
    codes = Codes(reading.systems, notes)
    found = [
        codes.concept(one.get("valueCodeableConcept", {}), f"extension[{place}].value")
        for place, one in extensions(resource, mhd.DESIGNATION_TYPE)
    ]
    return tuple(code for code in found if code is not None)


def _read_source_id(resource: Resource, systems: Systems, notes: IssueCollector) -> str | None:
    """Read sourceId, an OID; IHE's own examples say it without a system."""
    for place, one in extensions(resource, mhd.SOURCE_ID):
        where = f"extension[{place}].value"
        return attempt(notes, where, _oid_of, one.get("valueIdentifier", {}), systems)
    return None


def _oid_of(element: Resource, systems: Systems) -> str:
    number, _ = number_and_authority(element, systems)
    check_oid(number)
    return number


def _read_recipients(resource: Resource, actors: Actors) -> tuple[str, ...]:
    found = [
        actors.recipient(one.get("valueReference", {}), f"extension[{place}].value")
        for place, one in extensions(resource, mhd.INTENDED_RECIPIENT)
    ]
    return tuple(text for text in found if text)


def _read_authors(resource: Resource, actors: Actors) -> tuple[Author, ...]:
    """Read source: its person, and the organisation of its extension, are one author."""
    source, first = resource.get("source", {}), NOBODY
    if source.keys() - {"extension", "id"}:
        first = actors.author(source, "source")
    for place, one in extensions(source, mhd.AUTHOR_ORG):
        reference = one.get("valueReference", {})
        organization = actors.author(reference, f"source.extension[{place}].value")
        if not set(organization.institution) & set(first.institution):
            first = merged(first, organization)
    others = [
        actors.author(one.get("valueReference", {}), f"extension[{place}].value")
        for place, one in extensions(resource, mhd.OWN_AUTHOR)
    ]
    return tuple(author for author in (first, *others) if author != NOBODY)
