"""What an update changes of a List: of a Folder its metadata and what it holds, of others nothing.

ITI-57 makes the next version of a Folder, gives it another status, and adds and ends memberships. A
SubmissionSet never changes (ITI TF-2 3.57.4.1.3), and neither does what it holds.
"""

from collections.abc import Iterator, Mapping

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.identifiers import of_kind, package_unique_id
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.fhir.references import Entry
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry, Folder
from xds.metadata.unique_ids import normal
from xds.mhd.mapping.common import nowhere
from xds.mhd.mapping.lists import read_folder
from xds.mhd.provide.associations import AssociationReader
from xds.mhd.provide.bundle import EntryKind, SubmittedEntries, list_type
from xds.mhd.provide.pending import PendingSubmission
from xds.mhd.provide.publishing import check_lengths, check_modifiers
from xds.mhd.provide.submitted_objects import SubmittedObjects
from xds.mhd.updates import comparison
from xds.mhd.updates.comparison import (
    IDENTIFIER,
    UNMODIFIABLE,
    CurrentResource,
    MetadataChange,
    differing,
    unchangeable,
)

_PATH = "List"
_STATUSES = {
    f.CURRENT: v.APPROVED,
    f.RETIRED: v.DEPRECATED,
    f.ENTERED_IN_ERROR: v.DEPRECATED,
}
_NO_ELEMENT_OF_METADATA = frozenset({"meta", "id"})


def list_change(
    facade: Facade, call: Call, current: CurrentResource, wanted: Resource
) -> MetadataChange | None:
    """Return what a List changes of what is registered; None of a SubmissionSet, where it is equal.

    Raises Refused with all that may not change, and with all that cannot be read.
    """
    problems = IssueCollector()
    check_modifiers(wanted, _PATH, problems)
    comparison.check_id(current.resource, wanted, problems, is_in_url=bool(call.identifier))
    status = int(facade.config.fhir_unchangeable_status)
    folder = current.thing
    if not isinstance(folder, Folder):
        comparison.raise_all(problems, _of_submission_set(current.resource, wanted), status)
        return None
    found = [
        *_identifiers(facade, current, wanted),
        *comparison.other_subject(current.resource, wanted, call.base),
        *_kind(current.resource, wanted),
    ]
    old, new = (_read(facade, one, folder) for one in (current.resource, wanted))
    changed = {name: value for name, _, value in differing(old, new, _PATH)}
    if new.home_community_id != old.home_community_id:
        reason = "homeCommunityId does not change"
        found.append(unchangeable(UNMODIFIABLE, reason, f"{_PATH}.extension"))
    check_lengths(folder.updated(**changed), _PATH, problems, mapped=True)
    if wanted["status"] == f.ENTERED_IN_ERROR and facade.config.fhir_entered_in_error == "no":
        known = f"{f.CURRENT}, {f.RETIRED}"
        problems.error("value", f"the status of a Folder is one of {known}", f"{_PATH}.status")
    joining, leaving = _members(facade, call, folder, wanted, problems)
    comparison.raise_all(problems, found, status)
    said = _STATUSES[wanted["status"]]
    return MetadataChange(
        _PATH,
        folder,
        changed,
        said if said != folder.availability_status else None,
        joining=joining,
        leaving=leaving,
    )


def _of_submission_set(current: Resource, wanted: Resource) -> Iterator[Issue]:
    for name in dict.fromkeys([*current, *wanted]):
        if name not in _NO_ELEMENT_OF_METADATA and current.get(name) != wanted.get(name):
            reason = "a SubmissionSet never changes, nor what it holds (ITI TF-2 3.57.4.1.3)"
            yield unchangeable(UNMODIFIABLE, reason, f"{_PATH}.{name}")


def _read(facade: Facade, resource: Resource, folder: Folder) -> Folder:
    """Read the attributes; the status is compared apart, and the server dates a Folder."""
    reading = Reading(facade.domain.systems, _PATH, nowhere, is_of_one_here=True)
    found = read_folder(
        comparison.with_status_apart(resource), reading, patient_id=folder.patient_id or ""
    ).thing
    found = comparison.of_community(found, folder)
    return found.updated(unique_id=folder.unique_id, last_update_time=None)


def _identifiers(facade: Facade, current: CurrentResource, wanted: Resource) -> Iterator[Issue]:
    """Tell of another uniqueId, and of UUIDs that are none of the Folder's versions."""
    folder = current.thing
    listed = wanted.get("identifier", [])
    for place, one in of_kind(listed, f.UNIQUE_ID):
        said = comparison.of(lambda it: package_unique_id(it, facade.domain.systems), one)
        if normal(said) != normal(folder.unique_id or ""):
            reason = "the uniqueId of a Folder does not change"
            yield unchangeable(IDENTIFIER, reason, f"{_PATH}.identifier[{place}]")
    yield from comparison.other_uuids(current, listed, _PATH)


def _kind(current: Resource, wanted: Resource) -> Iterator[Issue]:
    """Tell of what makes a List another thing than a Folder."""
    if list_type(wanted) != list_type(current):
        reason = "a Folder stays a Folder, which the code of the List says"
        yield unchangeable(UNMODIFIABLE, reason, f"{_PATH}.code")
    if wanted.get("mode") != current.get("mode"):
        yield unchangeable(UNMODIFIABLE, "the mode of a Folder is working", f"{_PATH}.mode")


def _members(
    facade: Facade, call: Call, folder: Folder, wanted: Resource, problems: IssueCollector
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the entryUUIDs of documents that join, each with its FHIRPath, and memberships."""
    entry = Entry(
        index=0,
        place=_PATH,
        path=_PATH,
        kind=EntryKind.FOLDER,
        method="PUT",
        url=call.identifier,
        full_url="",
        resource=wanted,
        resource_type=_PATH,
    )
    with facade.domain.registry.view(call.access.visible) as view:
        pending = PendingSubmission(
            config=facade.config,
            systems=facade.domain.systems,
            call=call,
            submitted=SubmittedEntries((), is_minimal=False),
            view=view,
            issues=problems,
        )
        reader = AssociationReader(pending=pending, objects=SubmittedObjects({}, {}, None))
        ends = [(end, path) for end, path in reader.items(entry)]
        held = view.members([folder.entry_uuid])
    for end, path in ends:
        if end.kind is not DocumentEntry:
            problems.error("value", "a Folder holds DocumentReferences only", path)
    listed = {end.logical_id or end.uuid for end, _ in ends}
    kept = {one.logical_id for one in held}
    joining = {end.uuid: path for end, path in ends if (end.logical_id or end.uuid) not in kept}
    return joining, tuple(one.membership for one in held if one.logical_id not in listed)
