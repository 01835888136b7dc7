"""Rules of restricted updates: which attributes of a DocumentEntry may change (ITI TF-2 3.92)."""

from collections.abc import Callable, Mapping
from typing import Final

from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry, SubmissionSet
from xds.metadata.rules.case import Case, Finding, Findings, RegisteredObject
from xds.metadata.rules.updates import member_of
from xds.metadata.searched import searchable


def home_of_community(case: Case) -> Findings:
    """The homeCommunityId of a restricted update is that of this community."""
    own = case.policy.home_community_id
    for thing in case.patient_bearers:
        if own and thing.home_community_id not in (None, own):
            reason = f"homeCommunityId {thing.home_community_id} is not served here"
            yield Finding(thing, reason, "homeCommunityId")


def propagates_always(case: Case) -> Findings:
    """AssociationPropagation of a restricted update is yes, or absent."""
    for entry in case.submission.document_entries:
        member = member_of(case, entry)
        given = None if member is None else member.association_propagation
        if given not in (None, v.PROPAGATED):
            yield Finding(entry, f"AssociationPropagation {given} is not yes")


def only_document_entries(case: Case) -> Findings:
    """A restricted update brings DocumentEntries, and their HasMembers, and nothing else."""
    entries = {one.id for one in case.submission.document_entries}
    members = case.submission.has_member(SubmissionSet)
    allowed = entries | {one.id for one in members if one.target in entries}
    for thing in case.submission.objects:
        if thing.id not in allowed and not isinstance(thing, SubmissionSet):
            yield Finding(thing, "only DocumentEntries can be updated by a restricted update")
    if not entries:
        for submission_set in case.submission.submission_sets[:1]:
            yield Finding(submission_set, "brings no DocumentEntry")


def same_patient(case: Case) -> Findings:
    """A restricted update gives no DocumentEntry to another patient."""
    for entry, old in case.updated:
        if entry.patient_id and entry.patient_id != old.patient_id:
            reason = f"patientId {entry.patient_id} is not that of the version before"
            yield Finding(entry, reason, "patientId")


def unmodified(case: Case) -> Findings:
    """A restricted update leaves the attributes that are not to be changed as they are.

    hash and size are among them for Stable DocumentEntries: the table of the sender says so (ITI
    TF-2 table 3.92.4.1.2-1), while a list in the text names them as changeable.
    """
    for entry, old in case.updated:
        if not isinstance(entry, DocumentEntry):
            continue
        for name, differs in _IMMUTABLE.items():
            if differs(entry, old):
                yield Finding(entry, f"{name} must not be changed by a restricted update", name)


def _other(submitted: str | None, registered: str | None) -> bool:
    return searchable(submitted or "") != (registered or "")


_IMMUTABLE: Final[Mapping[str, Callable[[DocumentEntry, RegisteredObject], bool]]] = {
    "availabilityStatus": lambda entry, old: (
        entry.availability_status not in (None, old.availability_status)
    ),
    "version": lambda entry, old: entry.version not in (None, str(old.version)),
    "sourcePatientId": lambda entry, old: _other(entry.source_patient_id, old.source_patient_id),
    "documentAvailability": lambda entry, old: (
        (entry.document_availability or v.ONLINE) != (old.document_availability or v.ONLINE)
    ),
    "repositoryUniqueId": lambda entry, old: _other(
        entry.repository_unique_id, old.repository_unique_id
    ),
    "hash": lambda entry, old: (entry.hash or "").lower() != (old.hash or "").lower(),
    "size": lambda entry, old: _size(entry) != old.size,
}
"""Whether an attribute differs between a submitted version and the one before."""


def _size(entry: DocumentEntry) -> int | None:
    return int(entry.size) if entry.size and entry.size.isdecimal() else None


def changeable_here(case: Case) -> Findings:
    """A restricted update changes no attribute that the affinity domain has excluded."""
    for entry, old in case.updated:
        if not isinstance(entry, DocumentEntry) or not isinstance(old.thing, DocumentEntry):
            continue
        for attribute in DocumentEntry.attributes().values():
            name = attribute.tf_name
            if name not in case.policy.restricted_attributes:
                continue
            if attribute.texts(entry) != attribute.texts(old.thing):
                yield Finding(entry, f"{name} is not to be changed in this affinity domain", name)
