"""Changes as updates (ITI-57): a submission for each patient, and their registration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xds.errors import TransactionFailure
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import Refused, refusal
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.submission import Registration, Submission
from xds.mhd.provide.publishing import Places, derived_submission_set
from xds.mhd.updates.comparison import STALE, MetadataChange
from xds.registry.versions import entries as versions


@dataclass(frozen=True, slots=True)
class MetadataUpdate:
    """What one request changes, as it is registered."""

    registrations: tuple[Registration, ...]
    """One for each patient; the ids are UUIDs."""
    places: Places
    """Where in the request their objects are said."""

    @property
    def whole(self) -> Submission:
        """All of it, for those who look at what is submitted."""
        each = (one.submission for one in self.registrations)
        return Submission(tuple(thing for one in each for thing in one.objects))


def write(facade: Facade, call: Call, changes: Sequence[MetadataChange]) -> None:
    """Register changes, all or nothing.

    Raises Refused with what the registry finds wrong, and AccessDenied.
    """
    update = update_of(changes, facade.domain.repository.unique_id)
    call.access.submits(update.whole)
    first, *further = update.registrations
    try:
        facade.domain.registry.register(
            first.submission,
            transaction=first.transaction,
            further=further,
            in_commit=call.access.commit,
            visible=call.access.visible,
        )
    except TransactionFailure as failure:
        refused = refusal(failure, update.places.of)
        if call.if_match and any(one.error_code == STALE for one in refused.issues):
            raise Refused(412, refused.issues) from None
        raise refused from None


def update_of(changes: Sequence[MetadataChange], source_id: str) -> MetadataUpdate:
    """Return the update that makes some changes; ``source_id`` is that of its SubmissionSets."""
    by_patient: dict[str | None, list[MetadataChange]] = {}
    for one in changes:
        by_patient.setdefault(one.old.patient_id, []).append(one)
    registrations = []
    resources: dict[str, str] = {}
    things: dict[str, MetadataObject] = {}
    for of_patient in by_patient.values():
        submission, paths = _submission(of_patient, source_id)
        registrations.append(Registration(submission, ITI_57.name))
        resources |= paths
        things |= {one.id: one for one in (*submission.document_entries, *submission.folders)}
    return MetadataUpdate(tuple(registrations), Places(resources, things))


def _submission(
    changes: Sequence[MetadataChange], source_id: str
) -> tuple[Submission, dict[str, str]]:
    """Return the submission of one patient's changes, and the FHIRPaths of its objects by id."""
    submission_set = _submission_set(changes[0].old, source_id)
    objects: list[MetadataObject] = [submission_set]
    paths = {submission_set.id: changes[0].path}
    new_versions = {
        one.old.entry_uuid: f"object {i}" for i, one in enumerate(changes) if one.attributes
    }
    for number, one in enumerate(changes):
        parts = list(_objects(one, submission_set.id, f"object {number}", new_versions))
        objects += parts
        joining = {new_versions.get(uuid, uuid): path for uuid, path in one.joining.items()}
        paths |= {each.id: _place(one, each, joining) for each in parts}
    named = Submission(tuple(objects))
    submission = named.with_uuids()
    ids = zip(named.objects, submission.objects, strict=True)
    return submission, {made.id: paths[symbolic.id] for symbolic, made in ids}


def _place(change: MetadataChange, thing: MetadataObject, joining: Mapping[str, str]) -> str:
    """Return the FHIRPath of an object of a change; of a joining document by its entryUUID."""
    if not isinstance(thing, Association):
        return change.path
    is_status = thing.association_type == v.UPDATE_AVAILABILITY_STATUS
    if is_status and thing.target not in change.leaving:
        return f"{change.path}.status"
    return joining.get(thing.target, change.path)


def _submission_set(thing: DocumentEntry | Folder, source_id: str) -> SubmissionSet:
    """Return the SubmissionSet of an update, which says of itself what the first object does."""
    if isinstance(thing, DocumentEntry):
        return derived_submission_set(thing, source_id)
    like = DocumentEntry.create(
        patient_id=thing.patient_id, type_code=next(iter(thing.code_list), None)
    )
    return derived_submission_set(like, source_id)


def _objects(
    change: MetadataChange, submission_set: str, symbolic: str, new: Mapping[str, str]
) -> Iterator[MetadataObject]:
    """Yield the next version with its HasMember, and what asks for other changes.

    ``new`` are the ids of all versions that the update makes, by the entryUUID of the one before.
    """
    old = change.old
    target = old.entry_uuid
    if change.attributes:
        target = symbolic
        yield _next_version(old, symbolic).updated(**change.attributes)
        yield Association.create(
            association_type=v.HAS_MEMBER,
            source=submission_set,
            target=symbolic,
            submission_set_status=v.ORIGINAL if isinstance(old, DocumentEntry) else None,
            previous_version=old.version or "1",
        )
    if change.status is not None:
        yield _status(submission_set, target, old.availability_status, change.status)
    for membership in change.leaving:
        yield _status(submission_set, membership, v.APPROVED, v.DEPRECATED)
    for number, document in enumerate(change.joining):
        joined = Association.create(
            entry_uuid=f"{symbolic} joined {number}",
            association_type=v.HAS_MEMBER,
            source=target,
            target=new.get(document, document),
        )
        yield joined
        yield Association.create(
            association_type=v.SUBMIT_ASSOCIATION, source=submission_set, target=joined.id
        )


def _status(submission_set: str, target: str, before: str | None, after: str) -> Association:
    return Association.create(
        association_type=v.UPDATE_AVAILABILITY_STATUS,
        source=submission_set,
        target=target,
        original_status=before,
        new_status=after,
    )


def _next_version(old: DocumentEntry | Folder, identifier: str) -> MetadataObject:
    return ebrim.changed(
        versions.with_new_parts(old),
        id=identifier,
        lid=old.logical_id or old.entry_uuid,
        status=None,
        version_info=None,
    )
