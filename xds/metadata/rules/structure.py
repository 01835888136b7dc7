"""Rules of structure: what a Submission Request is made of (ITI TF-3 4.1.4, 4.2.1, 4.2.2)."""

import re
from collections import Counter
from collections.abc import Mapping

from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.ebrim import Classification, RegistryObject, UnusedObject, is_uuid
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.rules.case import AssociationEnd, Case, Finding, Findings


def only_xds_objects(case: Case) -> Findings:
    """Every object is a SubmissionSet, DocumentEntry, Folder or Association."""
    for thing in case.submission.others:
        if isinstance(thing, UnusedObject):
            yield Finding(thing, f"rim:{thing.kind} has no place in a Submission Request")
        elif isinstance(thing, Classification):
            yield Finding(thing, "classifiedObject names no object of the submission")
        else:
            yield Finding(thing, "needs exactly one Classification as SubmissionSet or as Folder")


def one_submission_set(case: Case) -> Findings:
    """There is exactly one SubmissionSet."""
    sets = case.submission.submission_sets
    if not sets:
        yield Finding(UnusedObject(id="", kind="SubmissionSet"), "there is no SubmissionSet")
    for extra in sets[1:]:
        yield Finding(extra, "a submission has exactly one SubmissionSet")


def something_to_share(case: Case) -> Findings:
    """A submission brings a DocumentEntry, a Folder, or a document into a Folder.

    A set that only refers to registered documents is let pass: it shares them anew.
    """
    submission = case.submission
    if submission.document_entries or submission.folders or case.folder_members:
        return
    for submission_set in submission.submission_sets[:1]:
        if not _references(case):
            yield Finding(submission_set, "brings no DocumentEntry, Folder or Folder membership")


def _references(case: Case) -> bool:
    return any(a.submission_set_status == v.REFERENCE for a in case.submission_set_members)


def distinct_ids(case: Case) -> Findings:
    """No two objects share an id."""
    objects = case.submission.objects
    if len(case.submission.by_id) == len(objects):
        return
    count = Counter(thing.id for thing in objects)
    for thing in objects:
        if count.pop(thing.id, 0) > 1:
            yield Finding(thing, "the id stands on several objects")


def member_of_submission_set(case: Case) -> Findings:
    """Each DocumentEntry, Folder and Folder membership has exactly one HasMember of the set."""
    count = Counter(association.target for association in case.submission_set_members)
    submission = case.submission
    for thing in (*submission.document_entries, *submission.folders, *case.folder_members):
        if count[thing.id] != 1:
            yield Finding(
                thing,
                f"needs exactly one HasMember Association from the SubmissionSet, has "
                f"{count[thing.id]}",
            )


def parts_name_their_owner(case: Case) -> Findings:
    """classifiedObject and registryObject are the id of the object that they stand in."""
    for thing in case.submission.objects:
        for part in thing.classifications:
            if part.classifiedObject != thing.id:
                reason = "classifiedObject is not the object's id"
                yield Finding(thing, f"Classification {part.id}: {reason}")
        for identifier in thing.external_identifiers:
            if identifier.registryObject != thing.id:
                reason = "registryObject is not the object's id"
                yield Finding(thing, f"ExternalIdentifier {identifier.id}: {reason}")


_HAS_MEMBER_ENDS = {
    (SubmissionSet, DocumentEntry),
    (SubmissionSet, Folder),
    (SubmissionSet, Association),
    (Folder, DocumentEntry),
}


def association_types(case: Case) -> Findings:
    """The type of an Association is one that this transaction may bring."""
    allowed = v.RELATIONSHIPS | {v.HAS_MEMBER}
    if case.transaction == ITI_57.name:
        allowed |= v.UPDATE_TRIGGERS
    for association in case.submission.associations:
        if association.associationType not in allowed:
            yield Finding(
                association,
                f"associationType {association.association_type} is not one of this transaction",
            )


def has_member_ends(case: Case) -> Findings:
    """HasMember goes from the set to its objects, or from a Folder to a document."""
    for association in case.submission.associations:
        if association.associationType != v.HAS_MEMBER:
            continue
        source, target = case.node(association.source), case.node(association.target)
        if source is None or target is None:
            continue
        if (source.kind, target.kind) not in _HAS_MEMBER_ENDS:
            yield Finding(
                association,
                f"HasMember cannot go from {source.kind.KIND} to {target.kind.KIND}",
            )
        elif source.kind is SubmissionSet and not source.submitted:
            yield Finding(association, "nothing can be added to a registered SubmissionSet")
        elif source.kind is SubmissionSet and not _may_be_held(target):
            yield Finding(association, f"a registered {target.kind.KIND} is no member of a new set")


def _may_be_held(target: AssociationEnd) -> bool:
    """Only DocumentEntries are shared by reference (ITI TF-3 4.2.2.1)."""
    return target.submitted or target.kind is DocumentEntry


def distinct_ends(case: Case) -> Findings:
    """An Association does not join an object with itself."""
    for association in case.submission.associations:
        if association.source == association.target:
            yield Finding(
                association, f"sourceObject and targetObject are both {association.source}"
            )


def submission_set_status(case: Case) -> Findings:
    """SubmissionSetStatus is Original for a submitted document, Reference for a registered one."""
    for association in case.submission_set_members:
        target = case.node(association.target)
        if target is None or target.kind is not DocumentEntry:
            continue
        wanted = v.ORIGINAL if target.submitted else v.REFERENCE
        if association.submission_set_status != wanted:
            yield Finding(
                association, f"SubmissionSetStatus must be {wanted} for {association.target}"
            )


def uuids_in_lower_case(case: Case) -> Findings:
    """An id that begins urn:uuid: is a UUID in lower case."""
    for thing in case.submission.objects:
        for identifier in filter(is_uuid, _identifiers(thing)):
            if not _UUID.fullmatch(identifier):
                yield Finding(thing, f"{identifier} is not a UUID in lower case")


def _identifiers(thing: RegistryObject) -> list[str]:
    ends = (thing.source, thing.target) if isinstance(thing, Association) else ()
    parts = (*thing.classifications, *thing.external_identifiers)
    return [thing.id, *[part.id for part in parts], *ends]


_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def first_version(case: Case) -> Findings:
    """A logicalID is absent or the object's own id: later versions come by ITI-57."""
    for thing in case.submission.objects:
        if not isinstance(thing, MetadataObject) or thing.lid is None:
            continue
        if thing.lid != thing.id:
            yield Finding(thing, "logicalID may only be the entryUUID in a first version")
        elif not hasattr(thing, "logical_id") and not _UUID.fullmatch(thing.lid):
            # of the others the attribute's own type says so
            yield Finding(thing, "logicalID: not urn:uuid: and a UUID in lower case")


def limited_metadata(case: Case) -> Findings:
    """XDS takes full metadata only: limitedMetadata is absent, unless the deployment admits it."""
    for thing in case.patient_bearers:
        if thing.limited_metadata and not case.policy.limited_metadata:
            yield Finding(thing, "limitedMetadata must not be given in XDS")


def slot_names(case: Case) -> Findings:
    """Slot names are unique in an object; extra ones are URNs.

    The TF keeps ``urn:ihe:`` for attributes of its own (ITI TF-3 4.2.3.1.6). A Slot of such a name
    that is not known here is one of a later edition or a national extension: it is kept and given
    out as any other extra metadata.
    """
    for thing in case.submission.objects:
        names = {slot.name for slot in thing.slots}
        if len(names) == len(thing.slots) and names <= _DECLARED_SLOTS.get(type(thing), _NONE):
            continue
        count = Counter(slot.name for slot in thing.slots)
        for name, times in count.items():
            if times > 1:
                yield Finding(thing, f"Slot {name} stands {times} times")
            if not _is_allowed(thing, name):
                yield Finding(thing, f"Slot {name} is neither an attribute of XDS nor a URN")


def _is_allowed(thing: RegistryObject, name: str) -> bool:
    return name in _DECLARED_SLOTS.get(type(thing), _NONE) or _is_urn(name)


def _is_urn(name: str) -> bool:
    try:
        datatypes.check_urn(name)
    except ValueError:
        return False
    return True


_NONE: frozenset[str] = frozenset()
_DECLARED_SLOTS: Mapping[type[RegistryObject], frozenset[str]] = {
    kind: frozenset(
        attribute.slot_name
        for attribute in kind.attributes().values()
        if hasattr(attribute, "slot_name")
    )
    for kind in (DocumentEntry, SubmissionSet, Folder, Association)
}
