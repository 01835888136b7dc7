"""Changes of documents as one update (ITI-57): a submission, and its registration."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.errors import TransactionFailure
from xds.fhir.exchange import Call, Facade
from xds.fhir.r4.outcome import Refused, refusal
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.objects import Association, DocumentEntry, MetadataObject
from xds.metadata.submission import Submission
from xds.mhd.provide.publishing import Places, derived_submission_set
from xds.mhd.updates.changes import PATH, DocumentChange
from xds.registry import versions

_STALE: Final = "XDSMetadataVersionError"


def write(facade: Facade, call: Call, changes: Sequence[DocumentChange]) -> None:
    """Register changes, all or nothing.

    Raises Refused with what the registry finds wrong, and AccessDenied.
    """
    submission = update_of(changes, facade.domain.repository.unique_id)
    call.access.submits(submission)
    elements = {one.id: one for one in submission.document_entries}
    places = Places(dict.fromkeys([one.id for one in submission.objects], PATH), elements)
    try:
        facade.domain.registry.register(
            submission,
            transaction=ITI_57.name,
            in_commit=call.access.commit,
            visible=call.access.visible,
        )
    except TransactionFailure as failure:
        refused = refusal(failure, places.of)
        if call.if_match and any(one.error_code == _STALE for one in refused.issues):
            raise Refused(412, refused.issues) from None
        raise refused from None


def update_of(changes: Sequence[DocumentChange], source_id: str) -> Submission:
    """Return the submission of an update; its ids are UUIDs."""
    submission_set = derived_submission_set(changes[0].old, source_id)
    objects: list[MetadataObject] = [submission_set]
    for number, one in enumerate(changes):
        objects += _objects(one, submission_set.id, f"document {number}")
    return Submission(tuple(objects)).with_uuids()


def _objects(
    change: DocumentChange, submission_set: str, symbolic: str
) -> Iterator[MetadataObject]:
    """Yield the next version with its HasMember, and what asks for another status."""
    old = change.old
    target = old.entry_uuid
    if change.attributes:
        target = symbolic
        yield _next_version(old, symbolic).updated(**change.attributes)
        yield Association.create(
            association_type=v.HAS_MEMBER,
            source=submission_set,
            target=symbolic,
            submission_set_status=v.ORIGINAL,
            previous_version=old.version or "1",
        )
    if change.status is not None:
        yield Association.create(
            association_type=v.UPDATE_AVAILABILITY_STATUS,
            source=submission_set,
            target=target,
            original_status=old.availability_status,
            new_status=change.status,
        )


def _next_version(old: DocumentEntry, identifier: str) -> DocumentEntry:
    return ebrim.changed(
        versions.with_new_parts(old),
        id=identifier,
        lid=old.logical_id or old.entry_uuid,
        status=None,
        version_info=None,
    )
