"""Updates of metadata: what one is held to, and what it brings about (ITI TF-2 3.57, 3.92).

All versions are planned first, and then the Associations that go with them, so that of two joined
objects that are updated together the new versions are joined once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_92
from xds.metadata.objects import Association, Folder, MetadataObject
from xds.metadata.rules import updates as rules
from xds.metadata.rules.case import Case, RegistryState
from xds.metadata.submission import Submission
from xds.registry import lookups
from xds.registry.consequences import Consequences, StatusChange
from xds.registry.versions import entries as versions


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """What an update writes."""

    objects: tuple[MetadataObject, ...]
    """The SubmissionSet, versions and Associations; what only asked for the update is not kept."""
    versions: Mapping[str, tuple[int, str]]
    """Number and availabilityStatus of each version, by its entryUUID."""
    consequences: Consequences


def registry_state(connection: Connection, case: Case) -> RegistryState:
    """Read what is joined with that which an update concerns, beside what it names itself.

    The Associations of the versions that it takes the place of are known already.
    """
    latest = {one.entry_uuid for one in case.known.latest.values()}
    others, ends = _concerned(case, latest)
    joined = case.known.associations
    if others:
        of_sets = wants_sets(case.transaction)
        joined = tuple(versions.associations(connection, {*latest, *others}, of_sets=of_sets))
    ends += [end for one in joined for end in (one.source, one.target)]
    found = case.known.latest
    if case.policy.restricted_attributes and case.transaction == ITI_92.name:
        found = lookups.with_things(connection, found)
    elif not ends:
        return case.known
    neighbours = lookups.registered(connection, dict.fromkeys(ends)) if ends else {}
    return replace(case.known, latest=found, associations=joined, neighbours=neighbours)


def wants_sets(transaction: str) -> bool:
    """Tell whether an update looks at the HasMembers of SubmissionSets: a restricted one does."""
    return transaction == ITI_92.name


def _concerned(case: Case, latest: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the entryUUIDs of what changes beside its metadata, and the ends of Associations.

    Those are of Associations among what changes.
    """
    concerned, ends = [], []
    for trigger in rules.triggers(case, v.UPDATE_AVAILABILITY_STATUS):
        target = rules.status_target(case, trigger)
        if target is not None and target.kind is Association:
            ends += [target.source or "", target.target or ""]
        elif target is not None and target.entry_uuid not in latest:
            concerned.append(target.entry_uuid)
    return concerned, ends


def plan(case: Case) -> UpdatePlan:
    """Work out what a validated update writes; the ids of its submission are UUIDs."""
    updated = case.updated
    statuses = rules.new_statuses(case)
    new = {old.entry_uuid: thing.id for thing, old in updated}
    numbers = {
        thing.id: (
            (old.version or 0) + 1,
            statuses.get(old.entry_uuid, old.availability_status),
        )
        for thing, old in updated
    }
    kept = tuple([one for one in case.submission.objects if isinstance(one, MetadataObject)])
    superseded = tuple([old for _, old in updated])
    if not (case.known.associations or rules.asks(case)):  # versions of what nothing is joined with
        return UpdatePlan(kept, numbers, Consequences(superseded=superseded))
    references = list(_references(case, new))
    added = _added(case, new, references)
    objects = (*(one for one in kept if not _is_trigger(one)), *added)
    consequences = Consequences(
        superseded=superseded,
        statuses=(
            *_status_changes(case, statuses, new),
            *(StatusChange(Association, one.id, v.DEPRECATED) for one in references),
        ),
        folders=tuple(_folders(case, _gaining(case, objects, statuses), new)),
        losing=tuple(_folders(case, _with_memberships(case, statuses, v.DEPRECATED), new)),
    )
    return UpdatePlan(objects, numbers, consequences)


def _is_trigger(thing: MetadataObject) -> bool:
    return isinstance(thing, Association) and thing.association_type in v.UPDATE_TRIGGERS


def _added(
    case: Case, new: Mapping[str, str], references: list[Association]
) -> list[MetadataObject]:
    """Return the Associations that the registry adds: those made again, and their HasMembers."""
    found = [*_propagated(case, new), *references]
    submitted = list(rules.submitted_associations(case))
    if not found and not submitted:
        return []
    copies = [versions.made_again(one, new, f"copy {i}") for i, one in enumerate(found)]
    memberships = [
        one
        for one in (*copies[: len(found) - len(references)], *submitted)
        if one.association_type == v.HAS_MEMBER
    ]
    submission_set = case.submission.submission_set
    held = versions.members(submission_set.id, memberships, submission_set.home_community_id)
    made = Submission((*copies, *held)).with_uuids()
    return [one for one in made.objects if isinstance(one, Association)]


def _propagated(case: Case, new: Mapping[str, str]) -> Iterator[Association]:
    """Yield the Associations of versions before that are to hold for the new ones as well.

    Memberships go from a Folder in its latest version, whatever its status, and with a Folder to
    the documents that are Approved. What the same update deprecates is not made again.
    """
    if not case.known.associations:
        return
    ending = rules.new_statuses(case)
    propagating = {old.entry_uuid for thing, old in case.updated if rules.propagates(case, thing)}
    for one in case.known.associations:
        if {one.source, one.target}.isdisjoint(propagating):
            continue
        if ending.get(one.id) == v.DEPRECATED:
            continue
        if one.association_type == v.HAS_MEMBER and not _stays_member(case, one, new):
            continue
        yield one


def _stays_member(case: Case, one: Association, new: Mapping[str, str]) -> bool:
    source = case.known.neighbours.get(one.source)
    target = case.known.neighbours.get(one.target)
    if source is None or target is None or source.kind is not Folder or not source.is_latest:
        return False
    return one.target in new or target.availability_status == v.APPROVED


def _references(case: Case, new: Mapping[str, str]) -> Iterator[Association]:
    """Yield the HasMembers by which other SubmissionSets share a document that is updated.

    They lead to the new version from now on, where the update is a restricted one (ITI TF-2
    3.92.4.1.3).
    """
    if case.transaction != ITI_92.name:
        return
    for one in case.known.associations:
        if one.target in new and one.submission_set_status == v.REFERENCE:
            yield one


def _status_changes(
    case: Case, statuses: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[StatusChange]:
    for entry_uuid, status in statuses.items():
        found = case.known.objects.get(entry_uuid)
        if found is not None and entry_uuid not in new and found.availability_status != status:
            yield StatusChange(found.kind, entry_uuid, status)


def _gaining(
    case: Case, objects: tuple[MetadataObject, ...], statuses: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is the source of a membership from now on."""
    yield from (one.source for one in objects if isinstance(one, Association))
    yield from _with_memberships(case, statuses, v.APPROVED)


def _with_memberships(case: Case, statuses: Mapping[str, str], becoming: str) -> Iterator[str]:
    """Yield the sources of HasMembers that are given a status."""
    for entry_uuid, status in statuses.items():
        found = case.known.objects.get(entry_uuid)
        if found is None or found.association_type != v.HAS_MEMBER or status != becoming:
            continue
        yield found.source or ""


def _folders(case: Case, sources: Iterable[str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield those that are registered Folders, each once."""
    registered = {**case.known.neighbours, **case.known.objects}
    for source in dict.fromkeys(sources):
        holder = registered.get(source)
        if holder is not None and holder.kind is Folder and source not in new:
            yield source
