"""Link changes: a local patient id belongs to another patient from now on (ITI TF-2 3.64.4.1.3).

The Approved DocumentEntries of the local id get a new version of the new patient, and so does each
Folder that holds none but them; Associations whose two ends are then of one patient are made again
between the new versions. All of it comes with one SubmissionSet of the registry's own making.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, select, union_all

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.objects import (
    Association,
    Code,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.metadata.submission import Submission
from xds.registry import events
from xds.registry.events import DEPRECATED, REGISTERED, UPDATED, NewEvent
from xds.registry.patients import Patients
from xds.registry.storage.fragments import FIRST_VERSION
from xds.registry.storage.rows import assign_patients, insert_objects, prepared
from xds.registry.tables import association, document_entry, folder, patient, searchable
from xds.registry.versions import entries as versions
from xds.registry.versions import set_rows
from xds.registry.versions.entries import Versioned, each, uuids_in

LINK_CHANGE: Final = "Patient identity link change"
"""The display name of the contentTypeCode of generated SubmissionSets."""
_CONTENT_TYPE: Final = Code("XPID", "urn:ihe:iti:xpid:2017", LINK_CHANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    """What a PIX Manager tells: patient ids as metadata writes them."""

    local: str
    """The local id, the sourcePatientId of documents."""
    new: str
    """The affinity domain's id that it belongs to now."""
    previous: str
    """The affinity domain's id that it belonged to."""
    subsumed_local: str | None = None
    """The local id that ``local`` replaces, where the source merged two patients."""
    source_id: str
    """The OID of the PIX Manager."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPolicy:
    """What the affinity domain decides for link changes."""

    learn_patients: bool = True
    """Whether a new id that no feed has made known is accepted (``unknown_patients = open``)."""
    home_community_id: str | None = None
    """Set on the SubmissionSet and the Associations."""
    content_type: Code = _CONTENT_TYPE
    """The contentTypeCode of the SubmissionSet; IHE leaves it to the affinity domain."""


_ENTRIES: Final = (
    select(document_entry)
    .join(patient, document_entry.c.patient == patient.c.pk)
    .where(
        patient.c.patient_id == bindparam("previous"),
        document_entry.c.source_patient_id == bindparam("source_patient_id"),
        document_entry.c.availability_status == v.APPROVED,
    )
    .order_by(document_entry.c.pk)
)
_HOLDERS: Final = (
    select(folder)
    .distinct()
    .join(association, association.c.source == folder.c.entry_uuid)
    .where(
        uuids_in(association.c.target),
        association.c.association_type == v.HAS_MEMBER,
        association.c.availability_status == v.APPROVED,
        folder.c.availability_status == v.APPROVED,
    )
    .order_by(folder.c.pk)
)
_MEMBERS: Final = (
    select(association.c.source, document_entry.c.source_patient_id)
    .join(document_entry, association.c.target == document_entry.c.entry_uuid)
    .where(
        uuids_in(association.c.source),
        association.c.association_type == v.HAS_MEMBER,
        association.c.availability_status == v.APPROVED,
        document_entry.c.availability_status == v.APPROVED,
    )
)
_ENDS: Final = union_all(
    *(
        select(table.c.entry_uuid, patient.c.patient_id)
        .join(patient, table.c.patient == patient.c.pk)
        .where(uuids_in(table.c.entry_uuid), table.c.availability_status == v.APPROVED)
        for table in (document_entry, folder)
    )
)


@dataclass(frozen=True, slots=True)
class _Old:
    """An object that gets a new version, with its row."""

    thing: Versioned
    row: Row[Any]

    @property
    def next_id(self) -> str:
        """The symbolic id of the new version."""
        return f"next {self.thing.id}"


_OldVersions = Mapping[str, _Old]
"""All that gets a new version, by entryUUID."""


def apply(
    connection: Connection, change: LinkChange, policy: LinkPolicy, patients: Patients, *, now: str
) -> None:
    """Make the new versions, within a transaction; nothing where no DocumentEntry is concerned."""
    wanted = {
        "previous": change.previous,
        "source_patient_id": searchable(change.subsumed_local or change.local),
    }
    entries = _read(DocumentEntry, connection.execute(_ENTRIES, wanted).all(), change.previous)
    if not entries:
        return
    folders = _folders(connection, [old.thing.id for old in entries], wanted["source_patient_id"])
    found = {old.thing.id: old for old in (*entries, *folders)}
    copies = list(_copies(connection, found, change))
    submission = _submission(found, copies, change, policy, now).with_uuids()
    _insert(connection, submission, found, patients, now)
    for kind in (DocumentEntry, Folder):
        of_kind = [uuid for uuid, old in found.items() if isinstance(old.thing, kind)]
        versions.deprecate(connection, kind, of_kind, now=now)


# --- what is concerned ---------------------------------------------------------------------------


def _read(kind: type[Versioned], rows: Sequence[Row[Any]], patient_id: str) -> list[_Old]:
    found = versions.things(kind, rows, patient_id)
    return [_Old(thing, row) for thing, row in zip(found, rows, strict=True)]


def _folders(connection: Connection, entries: list[str], source_patient_id: str) -> list[_Old]:
    """Return the Folders that hold some of the entries, and Approved ones of no other local id."""
    rows = {row.pk: row for row in each(connection, _HOLDERS, entries)}
    uuids = [row.entry_uuid for row in rows.values()]
    mixed = {
        row.source
        for row in each(connection, _MEMBERS, uuids)
        if row.source_patient_id != source_patient_id
    }
    return _read(Folder, [row for row in rows.values() if row.entry_uuid not in mixed], "")


def _copies(connection: Connection, old: _OldVersions, change: LinkChange) -> Iterator[Association]:
    """Yield the Associations between new versions, or to an Approved object of the new patient."""
    found = versions.associations(connection, old)
    others = {end for one in found for end in (one.source, one.target)} - set(old)
    patients = {row.entry_uuid: row.patient_id for row in each(connection, _ENDS, others)}
    patients.update(dict.fromkeys(old, change.new))
    ends = {entry_uuid: one.next_id for entry_uuid, one in old.items()}
    for number, one in enumerate(found):
        if patients.get(one.source) == patients.get(one.target) == change.new:
            yield versions.made_again(one, ends, f"copy {number}")


# --- what is made --------------------------------------------------------------------------------


def _submission(
    old: _OldVersions,
    copies: Sequence[Association],
    change: LinkChange,
    policy: LinkPolicy,
    now: str,
) -> Submission:
    """Return the generated SubmissionSet with all that comes with it; ids are symbolic."""
    new = [_next(one, change) for one in old.values()]
    memberships = [one for one in copies if one.association_type == v.HAS_MEMBER]
    home = policy.home_community_id
    submission_set = SubmissionSet.create(
        entry_uuid="submission set",
        patient_id=change.new,
        source_id=change.source_id,
        unique_id=f"2.25.{uuid4().int}",
        submission_time=now,
        content_type_code=policy.content_type,
        home_community_id=home,
    )
    held = versions.members(submission_set.id, (*new, *memberships), home)
    return Submission((submission_set, *new, *copies, *held))


def _next(old: _Old, change: LinkChange) -> Versioned:
    thing: Versioned = ebrim.changed(versions.with_new_parts(old.thing), id=old.next_id)
    if isinstance(thing, DocumentEntry) and change.subsumed_local is not None:
        thing = thing.updated(source_patient_id=change.local)
    return thing.updated(patient_id=change.new)


def _insert(
    connection: Connection,
    submission: Submission,
    found: _OldVersions,
    patients: Patients,
    now: str,
) -> None:
    numbers = {old.row.logical_id: old.row.version + 1 for old in found.values()}
    things = [thing for thing in submission.objects if isinstance(thing, MetadataObject)]
    objects = [prepared(one, now, numbers.get(one.lid or "", FIRST_VERSION)) for one in things]
    assign_patients(objects, patients)
    insert_objects(connection, objects)
    new_events = [
        NewEvent(
            REGISTERED if isinstance(one.thing, SubmissionSet) else UPDATED,
            type(one.thing),
            one.thing.id,
            one.row["patient"],
        )
        for one in objects
        if isinstance(one.thing, events.EVENT_OBJECTS)
    ]
    gone = [
        NewEvent(DEPRECATED, type(old.thing), old.thing.id, old.row.patient)
        for old in found.values()
    ]
    set_rows.follow(connection, [old.row.logical_id for old in found.values()])
    made_by = submission.submission_set.id
    events.write(connection, [*new_events, *gone], at=now, submission_set=made_by)
