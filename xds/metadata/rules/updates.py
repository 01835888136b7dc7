"""Rules of updates: what may be changed of what is registered (ITI TF-2 3.57.4.1.3, 3.92.4.1.3).

An update brings further versions of DocumentEntries and Folders, changes of a status, and new
Associations; a restricted update (ITI-92) brings versions of DocumentEntries alone. A version names
its logical object by its logicalID, and the version before by PreviousVersion.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from xds.metadata import vocabulary as v
from xds.metadata.ebrim import is_uuid
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.metadata.rules.case import Case, Finding, Findings, RegisteredObject
from xds.metadata.unique_ids import normal

Versioned = DocumentEntry | Folder
STATUSES = frozenset({v.APPROVED, v.DEPRECATED})


# --- what an update consists of ------------------------------------------------------------------


def member_of(case: Case, thing: Versioned) -> Association | None:
    """Return the HasMember of the SubmissionSet that brings a version."""
    return next(iter(case.members_of_set.get(thing.id, ())), None)


def propagates(case: Case, thing: Versioned) -> bool:
    """Tell whether the Associations of the version before are to hold for a version."""
    member = member_of(case, thing)
    return member is None or member.association_propagation != v.NOT_PROPAGATED


def triggers(case: Case, association_type: str) -> Sequence[Association]:
    """Return the Associations of a type that do nothing but ask for an update."""
    return case.associations_by_type.get(association_type, ())


def asks(case: Case) -> bool:
    """Tell whether an update asks for more than further versions."""
    return not v.UPDATE_TRIGGERS.isdisjoint(case.associations_by_type)


def status_target(case: Case, trigger: Association) -> RegisteredObject | None:
    """Return what is to have another status; of a submitted version, the version before."""
    submitted = case.submission.by_id.get(trigger.target)
    if isinstance(submitted, DocumentEntry | Folder):
        return case.known.latest.get(submitted.lid or "")
    return case.known.objects.get(trigger.target)


def new_statuses(case: Case) -> dict[str, str]:
    """Return the statuses that are asked for, by the entryUUID of what is registered."""
    found = {}
    for one in triggers(case, v.UPDATE_AVAILABILITY_STATUS):
        target = status_target(case, one)
        if target is not None and one.new_status in STATUSES:
            found[target.entry_uuid] = one.new_status or ""
    return found


def submitted_associations(case: Case) -> Iterator[Association]:
    """Yield the Associations that a SubmitAssociation adds."""
    for one in triggers(case, v.SUBMIT_ASSOCIATION):
        target = case.submission.by_id.get(one.target)
        if isinstance(target, Association):
            yield target


# --- operations ----------------------------------------------------------------------------------


def operations(case: Case) -> Findings:
    """Each object of an update asks for exactly one operation, and there is one at least."""
    submission = case.submission
    of_set = {one.id for one in submission.submission_sets}
    others = [one for one in submission.associations if one.source not in of_set]
    for thing in case.versions:
        times = len(case.members_of_set.get(thing.id, ()))
        if times != 1:
            yield Finding(thing, f"needs one HasMember of the SubmissionSet, has {times}")
    if not (case.versions or others or asks(case)):
        for submission_set in submission.submission_sets[:1]:
            yield Finding(submission_set, "asks for no operation")
    if not (others or asks(case)):
        return
    wanted = Counter(one.target for one in triggers(case, v.SUBMIT_ASSOCIATION))
    for one in others:
        if one.association_type in v.UPDATE_TRIGGERS:
            yield Finding(one, "sourceObject must be the SubmissionSet")
        elif wanted[one.id] != 1:
            yield Finding(one, f"needs one SubmitAssociation, has {wanted[one.id]}")
    for one in triggers(case, v.SUBMIT_ASSOCIATION):
        if not isinstance(submission.by_id.get(one.target), Association):
            yield Finding(one, f"targetObject {one.target} is no submitted Association")


def annotated_versions(case: Case) -> Findings:
    """The HasMember of each version that an update brings has a PreviousVersion."""
    for thing in case.versions:
        member = member_of(case, thing)
        if member is not None and member.previous_version is None:
            yield Finding(thing, "its HasMember has no PreviousVersion")


def one_change_of_each(case: Case) -> Findings:
    """An update changes the metadata of a logical object once, and a status once."""
    if len(case.versions) < 2 and not asks(case):
        return
    of_logical = Counter(thing.lid for thing in case.versions if thing.lid)
    for thing in case.versions:
        if thing.lid and of_logical.pop(thing.lid, 0) > 1:
            yield Finding(thing, f"several versions of logicalID {thing.lid}", "logicalID")
    asked = triggers(case, v.UPDATE_AVAILABILITY_STATUS)
    targets = {one.id: target for one in asked if (target := status_target(case, one))}
    of_status = Counter(_logical(target) for target in targets.values())
    for one in asked:
        if one.id in targets and of_status.pop(_logical(targets[one.id]), 0) > 1:
            yield Finding(one, f"several changes of the status of {one.target}")


def _logical(found: RegisteredObject) -> str:
    return found.logical_id or found.entry_uuid


# --- versions ------------------------------------------------------------------------------------


def later_version(case: Case) -> Findings:
    """A version that an update brings has the logicalID of another object: it is not the first."""
    for thing in case.versions:
        if thing.lid is None:
            yield Finding(thing, "logicalID is required in an update", "logicalID")
        elif thing.lid == thing.id or not is_uuid(thing.lid):
            reason = "logicalID must be the UUID of a registered object, and not the object's own"
            yield Finding(thing, reason, "logicalID")


def registered_logical_objects(case: Case) -> Findings:
    """The logicalID of a version is that of a registered object."""
    for thing in case.versions:
        if thing.lid and thing.lid != thing.id and thing.lid not in case.known.latest:
            yield Finding(thing, f"logicalID {thing.lid} is not registered", "logicalID")


def latest_previous_version(case: Case) -> Findings:
    """PreviousVersion is the number of the latest version that is registered."""
    for thing, old in case.updated:
        member = member_of(case, thing)
        given = None if member is None else member.previous_version
        if given is not None and given != str(old.version):
            reason = f"PreviousVersion {given} is not the latest version {old.version}"
            yield Finding(thing, reason, "version")


def stated_previous_version(case: Case) -> Findings:
    """A restricted update states the PreviousVersion of each DocumentEntry."""
    for entry in case.submission.document_entries:
        member = member_of(case, entry)
        if member is None:
            yield Finding(entry, "needs one HasMember of the SubmissionSet, has 0", "version")
        elif member.previous_version is None:
            yield Finding(entry, "its HasMember has no PreviousVersion", "version")


def same_identifiers(case: Case) -> Findings:
    """The uniqueId and the kind of a logical object stay as they are."""
    for thing in case.versions:
        old = case.known.latest.get(thing.lid or "")
        if old is None:
            continue
        if old.kind is not type(thing):
            yield Finding(thing, f"logicalID {thing.lid} is that of a {old.kind.KIND}", "logicalID")
        elif thing.unique_id and normal(thing.unique_id) != old.unique_id:
            reason = f"uniqueId {thing.unique_id} is not that of the version before"
            yield Finding(thing, reason, "uniqueId")


def same_object_type(case: Case) -> Findings:
    """A DocumentEntry stays Stable, or On-Demand."""
    for thing, old in case.updated:
        if isinstance(thing, DocumentEntry) and thing.objectType != old.object_type:
            yield Finding(thing, "objectType is not that of the version before", "objectType")


def approved_folder_versions(case: Case) -> Findings:
    """The Folder that gets a further version is Approved."""
    for thing, old in case.updated:
        if isinstance(thing, Folder) and old.availability_status != v.APPROVED:
            yield Finding(thing, f"Folder {old.entry_uuid} is deprecated")


def propagation(case: Case) -> Findings:
    """AssociationPropagation is yes or no, and the same of versions that Associations join."""
    for thing in case.versions:
        member = member_of(case, thing)
        given = None if member is None else member.association_propagation
        if given not in (None, v.PROPAGATED, v.NOT_PROPAGATED):
            yield Finding(thing, f"AssociationPropagation {given} is neither yes nor no")
    if not case.known.associations:
        return
    propagating = {old.entry_uuid: propagates(case, thing) for thing, old in case.updated}
    named = {old.entry_uuid: thing for thing, old in case.updated}
    for one in case.known.associations:
        both = {propagating[end] for end in (one.source, one.target) if end in propagating}
        if len(both) > 1:
            reason = f"AssociationPropagation differs from that of {named[one.target].id}"
            yield Finding(named[one.source], f"{reason}, which it is joined with")


# --- statuses and Associations -------------------------------------------------------------------


def status_changes(case: Case) -> Findings:
    """A status is changed of the latest version, from the one that it has to one that there is."""
    for one in triggers(case, v.UPDATE_AVAILABILITY_STATUS):
        for name, given in (("OriginalStatus", one.original_status), ("NewStatus", one.new_status)):
            if given not in STATUSES:
                yield Finding(one, f"{name} must be one of {', '.join(sorted(STATUSES))}")
        target = status_target(case, one)
        if target is None:
            continue
        if (reason := _unchangeable(case, target)) is not None:
            yield Finding(one, f"targetObject {one.target} {reason}")
        elif one.original_status in STATUSES - {target.availability_status}:
            yield Finding(one, f"{one.target} has not the OriginalStatus {one.original_status}")


def _unchangeable(case: Case, target: RegisteredObject) -> str | None:
    """Say why the status of an object cannot be changed."""
    if target.kind is SubmissionSet:
        return "is a SubmissionSet, whose status never changes"
    if target.kind is Association:
        source = case.known.neighbours.get(target.source or "")
        of_folder = source is not None and source.kind is Folder
        if not (of_folder or target.association_type in v.RELATIONSHIPS):
            return "is an Association of a SubmissionSet, whose status never changes"
    return None if target.is_latest else "is not the latest version"


def not_replaced(case: Case) -> Findings:
    """What an Approved document replaces does not become Approved again.

    A client that read it before the replacement would make two documents current.
    """
    if not triggers(case, v.UPDATE_AVAILABILITY_STATUS):
        return
    state = _State(case)
    replaced = {
        one.target
        for one in state.associations()
        if one.association_type in v.REPLACEMENTS and state.end(one.source) is not None
    }
    for one in triggers(case, v.UPDATE_AVAILABILITY_STATUS):
        target = status_target(case, one)
        if target is None or target.entry_uuid not in replaced:
            continue
        if one.new_status == v.APPROVED != target.availability_status:
            yield Finding(one, f"{one.target} is replaced by an Approved document")


def submitted_ends(case: Case) -> Findings:
    """A new relationship goes from one document to another, and nothing from the SubmissionSet.

    What the SubmissionSet holds is told by its own HasMembers.
    """
    of_set = {one.id for one in case.submission.submission_sets}
    for one in submitted_associations(case):
        if not of_set.isdisjoint((one.source, one.target)):
            yield Finding(one, "a SubmitAssociation adds nothing to the SubmissionSet itself")
            continue
        source, target = case.node(one.source), case.node(one.target)
        if source is None or target is None or one.association_type not in v.RELATIONSHIPS:
            continue
        if (source.kind, target.kind) != (DocumentEntry, DocumentEntry):
            said = f"cannot go from {source.kind.KIND} to {target.kind.KIND}"
            yield Finding(one, f"{one.association_type} {said}")


def no_deprecated_ends(case: Case) -> Findings:
    """No Association that an update adds touches what is Deprecated, or will be by this update."""
    if not case.known.objects:
        return
    replaced = {old.entry_uuid for _, old in case.updated}
    for one in case.submission.associations:
        if one.association_type in v.UPDATE_TRIGGERS:
            continue
        for end in (one.source, one.target):
            node = case.node(end)
            if node is None or node.submitted or node.kind not in (DocumentEntry, Folder):
                continue
            if end in replaced or node.availability_status == v.DEPRECATED:
                yield Finding(one, f"{node.kind.KIND} {end} is deprecated")


# --- patients ------------------------------------------------------------------------------------


def reconciled_patients(case: Case) -> Findings:
    """After an update, what Approved Associations join and is Approved is of one patient."""
    if not (case.known.associations or asks(case)):
        return
    state = _State(case)
    told = set()
    for one in (*submitted_associations(case), *state.associations()):
        source, target = state.end(one.source), state.end(one.target)
        if source is None or target is None or source == target:
            continue
        subject = state.subject(one)
        if (subject.id, source, target) in told:
            continue
        told.add((subject.id, source, target))
        yield Finding(subject, f"joins patientId {source} with patientId {target}", "patientId")


class _State:
    """What an update leaves: which Associations hold, and the patients of what is Approved."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.new = {old.entry_uuid: thing for thing, old in case.updated}
        self.statuses = new_statuses(case)

    def associations(self) -> Iterable[Association]:
        """Yield registered Associations that this update makes hold, or makes hold again."""
        for one in self.case.known.associations:
            if self.statuses.get(one.id) == v.DEPRECATED:
                continue
            joined = [self.new[end] for end in (one.source, one.target) if end in self.new]
            if all(propagates(self.case, thing) for thing in joined):
                yield one
        for uuid, status in self.statuses.items():
            found = self.case.known.objects.get(uuid)
            if found is not None and found.kind is Association and status == v.APPROVED:
                yield Association.create(
                    entry_uuid=uuid,
                    association_type=found.association_type,
                    source=found.source,
                    target=found.target,
                )

    def end(self, reference: str) -> str | None:
        """Return the patientId of an end; None where it is not Approved, or of no patient."""
        thing = self.new.get(reference) or self.case.submission.by_id.get(reference)
        known = self.case.known
        if isinstance(thing, DocumentEntry | Folder):
            old = known.latest.get(thing.lid or "")
            uuid = "" if old is None else old.entry_uuid
            status = v.APPROVED if old is None else old.availability_status
            patient_id = thing.patient_id
        else:
            found = known.objects.get(reference) or known.neighbours.get(reference)
            if found is None or found.kind not in (DocumentEntry, Folder):
                return None
            uuid, status, patient_id = reference, found.availability_status, found.patient_id
        return patient_id if self.statuses.get(uuid, status) == v.APPROVED else None

    def subject(self, association: Association) -> Versioned | Association:
        """Return what of the submission is to blame."""
        for end in (association.source, association.target):
            if end in self.new:
                return self.new[end]
        triggered = {
            target.entry_uuid: one
            for one in triggers(self.case, v.UPDATE_AVAILABILITY_STATUS)
            if (target := status_target(self.case, one)) is not None
        }
        for uuid in (association.id, association.source, association.target):
            if uuid in triggered:
                return triggered[uuid]
        return association
