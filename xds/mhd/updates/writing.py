"""Changes as one update (ITI-57): a submission, and its registration."""

from collections.abc import Iterator, Sequence

from xds.errors import TransactionFailure
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import Refused, refusal
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.submission import Submission
from xds.mhd.provide.publishing import Places, derived_submission_set
from xds.mhd.updates.comparison import STALE, MetadataChange
from xds.registry import versions


def write(facade: Facade, call: Call, changes: Sequence[MetadataChange]) -> None:
    """Register changes, all or nothing.

    Raises Refused with what the registry finds wrong, and AccessDenied.
    """
    submission, places = update_of(changes, facade.domain.repository.unique_id)
    call.access.submits(submission)
    try:
        facade.domain.registry.register(
            submission,
            transaction=ITI_57.name,
            in_commit=call.access.commit,
            visible=call.access.visible,
        )
    except TransactionFailure as failure:
        refused = refusal(failure, places.of)
        if call.if_match and any(one.error_code == STALE for one in refused.issues):
            raise Refused(412, refused.issues) from None
        raise refused from None


def update_of(changes: Sequence[MetadataChange], source_id: str) -> tuple[Submission, Places]:
    """Return the submission of an update, whose ids are UUIDs, and where its objects are read."""
    submission_set = _submission_set(changes[0].old, source_id)
    objects: list[MetadataObject] = [submission_set]
    paths = {submission_set.id: _path(changes[0])}
    for number, one in enumerate(changes):
        made = list(_objects(one, submission_set.id, f"object {number}"))
        objects += made
        paths |= {each.id: _place(each, one) for each in made}
    named = Submission(tuple(objects))
    submission = named.with_uuids()
    ids = zip(named.objects, submission.objects, strict=True)
    resources = {new.id: paths[old.id] for old, new in ids}
    things = {one.id: one for one in (*submission.document_entries, *submission.folders)}
    return submission, Places(resources, things)


def _place(thing: MetadataObject, change: MetadataChange) -> str:
    """Return the FHIRPath of what an object of an update is read from."""
    joined = thing.target if isinstance(thing, Association) else ""
    return change.joining.get(joined, _path(change))


def _path(change: MetadataChange) -> str:
    return "List" if isinstance(change.old, Folder) else "DocumentReference"


def _submission_set(thing: DocumentEntry | Folder, source_id: str) -> SubmissionSet:
    """Return the SubmissionSet of an update, which says of itself what the first object does."""
    if isinstance(thing, DocumentEntry):
        return derived_submission_set(thing, source_id)
    like = DocumentEntry.create(
        patient_id=thing.patient_id, type_code=next(iter(thing.code_list), None)
    )
    return derived_submission_set(like, source_id)


def _objects(
    change: MetadataChange, submission_set: str, symbolic: str
) -> Iterator[MetadataObject]:
    """Yield the next version with its HasMember, and what asks for other changes."""
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
            target=document,
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
