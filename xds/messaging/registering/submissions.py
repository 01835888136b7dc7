"""A plan as submissions: new documents by ITI-42, changes of what is registered by ITI-57."""

from collections.abc import Iterator, Mapping, Sequence

from xds.messaging.registering.metadata import RESTRICTED, EntryMaker
from xds.messaging.registering.plan import EntryChange, NewDocument
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.objects import Association, Code, DocumentEntry, MetadataObject
from xds.metadata.submission import Registration, Submission
from xds.registry.versions import entries as versions


def of_documents(
    maker: EntryMaker,
    documents: Sequence[NewDocument],
    forms: Mapping[str, tuple[str, Code]],
    title: str,
    digest: str,
) -> Submission:
    """Return the submission of new documents; ``forms`` are mime type and formatCode by uniqueId.

    Documents and SubmissionSet have UUIDs already.
    """
    entries = [_entry(maker, one, *forms[one.unique_id]) for one in documents]
    submission_set = maker.submission_set(title, digest, entries[0].class_code)
    objects: list[MetadataObject] = [submission_set, *entries]
    for one, entry in zip(documents, entries, strict=True):
        objects.append(
            Association.create(
                association_type=v.HAS_MEMBER,
                source=submission_set.id,
                target=entry.id,
                submission_set_status=v.ORIGINAL,
            )
        )
        objects += _relations(one)
    return Submission(tuple(objects))


def _entry(maker: EntryMaker, new: NewDocument, mime_type: str, format_code: Code) -> DocumentEntry:
    return maker.entry(
        new.report,
        new.document,
        entry_uuid=new.entry_uuid,
        unique_id=new.unique_id,
        mime_type=mime_type,
        format_code=format_code,
        names=new.stated.names if new.stated is not None else (),
    )


def _relations(new: NewDocument) -> Iterator[Association]:
    for old in new.replaced:
        yield Association.create(
            association_type=v.RPLC, source=new.entry_uuid, target=old.entry_uuid
        )
    if new.appended_to is not None:
        yield Association.create(
            association_type=v.APND, source=new.entry_uuid, target=new.appended_to.entry_uuid
        )


def of_changes(
    maker: EntryMaker, changes: Sequence[EntryChange], title: str, digest: str
) -> Registration:
    """Return the update that makes changes, with a SubmissionSet of its own."""
    first = changes[0].old
    submission_set = maker.submission_set(title, digest, first.class_code, "changes")
    comments = next((one.comments for one in changes if one.comments), None)
    submission_set = submission_set.updated(patient_id=first.patient_id, comments=comments)
    objects: list[MetadataObject] = [submission_set]
    for number, one in enumerate(changes):
        objects += _change(maker, one, submission_set.id, f"version {number}")
    return Registration(Submission(tuple(objects)).with_uuids(), ITI_57.name)


def _change(
    maker: EntryMaker, change: EntryChange, submission_set: str, symbolic: str
) -> Iterator[MetadataObject]:
    old = change.old
    target = old.entry_uuid
    if change.status is not None or change.restricts:
        target = symbolic
        yield _version(maker, change, symbolic)
        yield Association.create(
            association_type=v.HAS_MEMBER,
            source=submission_set,
            target=symbolic,
            submission_set_status=v.ORIGINAL,
            previous_version=old.version or "1",
        )
    if change.deprecates:
        yield Association.create(
            association_type=v.UPDATE_AVAILABILITY_STATUS,
            source=submission_set,
            target=target,
            original_status=old.availability_status,
            new_status=v.DEPRECATED,
        )


def _version(maker: EntryMaker, change: EntryChange, symbolic: str) -> DocumentEntry:
    old = change.old
    made = ebrim.changed(
        versions.with_new_parts(old),
        id=symbolic,
        lid=old.logical_id or old.entry_uuid,
        status=None,
        version_info=None,
    )
    if change.status is not None:
        made = made.updated(fhir_elements=maker.doc_status(change.status))
    if change.restricts:
        made = made.updated(confidentiality_code=(RESTRICTED,))
    return made
