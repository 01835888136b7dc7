"""Rules that need to know what is registered: identifiers, patients, relationships."""

from collections import Counter
from collections.abc import Iterator, Sequence

from xds.metadata import vocabulary as v
from xds.metadata.ebrim import is_uuid
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.metadata.rules.case import AssociationEnd, Case, Finding, Findings, RegisteredObject
from xds.metadata.unique_ids import normal

# --- references ----------------------------------------------------------------------------------


def references_resolve(case: Case) -> Findings:
    """Each end of an Association is submitted here or, as a UUID, registered."""
    for association in case.submission.associations:
        for name, reference in (
            ("sourceObject", association.source),
            ("targetObject", association.target),
        ):
            if case.node(reference) is None:
                known = "registered nor submitted" if is_uuid(reference) else "submitted"
                yield Finding(association, f"{name} {reference} is not {known}")


def relationship_ends(case: Case) -> Findings:
    """A relationship begins at a submitted DocumentEntry; what is replaced is registered."""
    for association in case.submission.relationships():
        source, target = case.node(association.source), case.node(association.target)
        if source is not None and not (source.submitted and source.kind is DocumentEntry):
            yield Finding(
                association, f"sourceObject {association.source} is no submitted DocumentEntry"
            )
        if target is not None and target.kind is not DocumentEntry:
            yield Finding(association, f"targetObject {association.target} is no DocumentEntry")
        elif target is not None and target.submitted and _needs_registered(association):
            yield Finding(association, f"targetObject {association.target} is not yet registered")


def _needs_registered(association: Association) -> bool:
    return association.association_type in v.REPLACEMENTS | {v.IS_SNAPSHOT_OF}


def approved_documents(case: Case) -> Findings:
    """No new Association touches a Deprecated DocumentEntry."""
    for association in case.submission.associations:
        for reference in (association.source, association.target):
            node = case.node(reference)
            if node is not None and node.kind is DocumentEntry and _is_deprecated(node):
                yield Finding(association, f"DocumentEntry {reference} is deprecated")


def approved_folders(case: Case) -> Findings:
    """No new Association touches a Deprecated Folder."""
    for association in case.submission.associations:
        for reference in (association.source, association.target):
            node = case.node(reference)
            if node is not None and node.kind is Folder and _is_deprecated(node):
                yield Finding(association, f"Folder {reference} is deprecated")


def _is_deprecated(node: AssociationEnd) -> bool:
    return node.availability_status == v.DEPRECATED


def snapshots(case: Case) -> Findings:
    """IsSnapshotOf goes from a Stable to an On-Demand DocumentEntry."""
    for association in case.submission.relationships():
        if association.association_type != v.IS_SNAPSHOT_OF:
            continue
        source, target = case.node(association.source), case.node(association.target)
        if source is not None and source.object_type != v.STABLE_DOCUMENT_ENTRY:
            yield Finding(association, "the source of IsSnapshotOf must be Stable")
        if target is not None and target.object_type != v.ON_DEMAND_DOCUMENT_ENTRY:
            yield Finding(association, "the target of IsSnapshotOf must be On-Demand")


def no_addendum_to_transformation(case: Case) -> Findings:
    """A transformation is not appended to (ITI TF-3 4.2.2.2.2)."""
    transformations = {
        a.source for a in case.submission.associations if a.association_type == v.XFRM
    }
    for association in case.submission.relationships():
        node = case.node(association.target)
        if association.association_type != v.APND or node is None:
            continue
        registered = node.registered is not None and node.registered.is_transformation
        if registered or association.target in transformations:
            yield Finding(association, f"{association.target} is a transformation")


# --- identifiers ---------------------------------------------------------------------------------


def distinct_unique_ids(case: Case) -> Findings:
    """No uniqueId stands twice in one message."""
    bearers = case.patient_bearers
    named = [normal(unique_id) for thing in bearers if (unique_id := thing.unique_id)]
    if len(set(named)) == len(named):
        return
    count = Counter(named)
    for thing in bearers:
        if thing.unique_id and count.pop(normal(thing.unique_id), 0) > 1:
            reason = f"uniqueId {thing.unique_id} stands on several objects"
            yield Finding(thing, reason, "uniqueId")


def unused_unique_ids(case: Case) -> Findings:
    """The uniqueId of a SubmissionSet or Folder is not in use, nor that of anything withheld.

    A submitter who may not know of what bears a uniqueId learns that it is in use and nothing else:
    not of what kind or of whom it is, and not whether hash or size are the same.
    """
    for thing in case.patient_bearers:
        others = _bearers(case, thing)
        if any(other.is_withheld for other in others):
            yield Finding(thing, f"uniqueId {thing.unique_id} is already in use", "uniqueId")
        elif others and not isinstance(thing, DocumentEntry):
            reason = f"uniqueId {thing.unique_id} is already that of a {others[0].kind.KIND}"
            yield Finding(thing, reason, "uniqueId")


def _bearers(case: Case, thing: SubmissionSet | DocumentEntry | Folder) -> list[RegisteredObject]:
    """Return what is registered with an object's uniqueId, but for earlier versions of itself."""
    if not case.known.unique_ids:
        return []
    others = case.known.unique_ids.get(normal(thing.unique_id or ""), ())
    return [one for one in others if thing.lid is None or one.logical_id != thing.lid]


def _of_known_documents(case: Case) -> Sequence[DocumentEntry]:
    """Return the entries; none where no uniqueId of the submission is registered."""
    return case.submission.document_entries if case.known.unique_ids else ()


def _twins(case: Case, entry: DocumentEntry) -> list[RegisteredObject]:
    """Return the registered entries of the same document; none where one of them is withheld."""
    others = _bearers(case, entry)
    if any(other.is_withheld for other in others):
        return []
    return [other for other in others if other.kind is DocumentEntry]


def identical_hash(case: Case) -> Findings:
    """A document registered again under its uniqueId has the same hash."""
    for entry in _of_known_documents(case):
        hashes = {other.hash.lower() for other in _latest(_twins(case, entry)) if other.hash}
        if entry.hash and hashes - {entry.hash.lower()}:
            reason = f"uniqueId {entry.unique_id} is registered with another hash"
            yield Finding(entry, reason, "hash")


def identical_size(case: Case) -> Findings:
    """A document registered again under its uniqueId has the same size."""
    for entry in _of_known_documents(case):
        sizes = {other.size for other in _latest(_twins(case, entry)) if other.size is not None}
        if entry.size and entry.size.isdecimal() and sizes - {int(entry.size)}:
            reason = f"uniqueId {entry.unique_id} is registered with another size"
            yield Finding(entry, reason, "size")


def no_stable_twin(case: Case) -> Findings:
    """An On-Demand entry does not take the uniqueId of a Stable one."""
    for entry in case.submission.document_entries:
        if any(o.object_type == v.STABLE_DOCUMENT_ENTRY for o in _twins(case, entry)):
            reason = f"uniqueId {entry.unique_id} is that of a Stable DocumentEntry"
            yield Finding(entry, reason, "uniqueId")


def unused_uuids(case: Case) -> Findings:
    """A UUID that the submitter chose is not in use."""
    for thing in case.submission.objects:
        if thing.id in case.known.objects:
            yield Finding(thing, "the entryUUID is already registered", "entryUUID")


# --- patients ------------------------------------------------------------------------------------


def assigning_authority(case: Case) -> Findings:
    """Patient ids come from the affinity domain's assigning authority."""
    authority = case.policy.assigning_authority
    if authority is None:
        return
    for thing, patient_id in _patient_ids(case):
        if not patient_id.endswith(f"&{authority}&ISO"):
            reason = f"patientId {patient_id} is not of the assigning authority {authority}"
            yield Finding(thing, reason, "patientId")


def known_patients(case: Case) -> Findings:
    """Patient ids are known to the registry and not merged into another."""
    for thing, patient_id in _patient_ids(case):
        if patient_id in case.known.refused_patients:
            yield Finding(thing, f"patientId {patient_id} is not known", "patientId")


def _patient_ids(case: Case) -> Iterator[tuple[SubmissionSet | DocumentEntry | Folder, str]]:
    """Yield each distinct patientId once, with the first object that bears it."""
    seen: set[str] = set()
    for thing in case.patient_bearers:
        patient_id = thing.patient_id
        if patient_id and patient_id not in seen:
            seen.add(patient_id)
            yield thing, patient_id


def one_patient(case: Case) -> Findings:
    """All objects of a submission are of its SubmissionSet's patient."""
    for submission_set in case.submission.submission_sets[:1]:
        expected = submission_set.patient_id
        for thing in case.patient_bearers if expected else ():
            patient_id = thing.patient_id
            if patient_id and patient_id != expected:
                reason = f"patientId {patient_id} is not the SubmissionSet's {expected}"
                yield Finding(thing, reason, "patientId")


def patient_of_document(case: Case) -> Findings:
    """A document registered again under its uniqueId is of the same patient.

    A uniqueId names one document (ITI TF-3 4.2.3.2.26), and a document is of one patient. The TF
    demands the same hash and size and says nothing of the patient, yet an answer with the metadata
    of both entries could not be given (XDSResultNotSinglePatient). The error is
    XDSPatientIdDoesNotMatch; its context has the submitted patientId, and not the registered one.
    Merged patients are one. Of the versions of an entry the latest tells the patient, since a link
    change (ITI-64) gives the document to another one.
    """
    for entry in _of_known_documents(case):
        patients = {other.patient_id for other in _latest(_twins(case, entry))}
        if entry.patient_id and patients - {entry.patient_id}:
            reason = (
                f"patientId {entry.patient_id} is not that of the document registered with "
                f"uniqueId {entry.unique_id}"
            )
            yield Finding(entry, reason, "patientId")


def _latest(versions: list[RegisteredObject]) -> Iterator[RegisteredObject]:
    """Yield the latest version of each logicalID among registered objects."""
    by_version = sorted(versions, key=lambda one: one.version or 0)
    yield from {one.logical_id or one.entry_uuid: one for one in by_version}.values()


def related_patients(case: Case) -> Findings:
    """A Folder and its documents, and both ends of a relationship, are of one patient."""
    for association in (*case.folder_members, *case.submission.relationships()):
        source, target = case.node(association.source), case.node(association.target)
        if source is None or target is None or (source.submitted and target.submitted):
            continue
        if source.patient_id != target.patient_id:
            yield Finding(
                association,
                f"joins patientId {source.patient_id} with patientId {target.patient_id}",
            )


def inherited_folders(case: Case) -> Findings:
    """A replacement joins its predecessor's Folders, which must be of the same patient."""
    for association in case.submission.relationships():
        if association.association_type not in v.REPLACEMENTS:
            continue
        source, target = case.node(association.source), case.node(association.target)
        if source is None or target is None or target.registered is None:
            continue
        for folder in target.registered.folders:
            if folder.patient_id != source.patient_id:
                yield Finding(
                    association,
                    f"patientId {source.patient_id} is not that of Folder {folder.entry_uuid}",
                )
