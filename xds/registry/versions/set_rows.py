"""What is kept of documents that say their versions: the set that each is of, and what is awaited.

Rows are of a logical object: an update of metadata makes no other version of the document. They
have the patient so that a set is found by one index, whatever setIds other senders use; a merge
moves them with all else, and whatever else gives a document to another patient calls
:func:`follow`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    SmallInteger,
    Table,
    Text,
    bindparam,
    delete,
    select,
    type_coerce,
    update,
)

from xds.database.lists import one_of
from xds.database.reading import change, fetch
from xds.database.statements import METADATA, insert_rows
from xds.metadata import vocabulary as v
from xds.metadata.submission import StatedVersion
from xds.metadata.unique_ids import as_reference, normal
from xds.registry.tables import (
    ASSOCIATION_TYPES,
    EntryUUID,
    Key,
    UniqueId,
    association,
    document_entry,
    document_entry_value,
    is_latest,
    patient,
    searchable,
    value_attribute,
)

document_set_member = Table(
    "document_set_member",
    METADATA,
    Column("logical_id", EntryUUID, primary_key=True),
    Column("patient", Key, ForeignKey("patient.pk"), nullable=False),
    Column("set_id", Text, nullable=False),
    Column("version", BigInteger),
    Column("moment", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Documents that say of which set of versions they are."""
Index(
    "ix_document_set_member_set",
    document_set_member.c.patient,
    document_set_member.c.set_id,
)

awaited_document = Table(
    "awaited_document",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("logical_id", EntryUUID, nullable=False, index=True),
    Column("association_type", ASSOCIATION_TYPES, nullable=False),
    Column("unique_id", UniqueId, nullable=False, index=True),
    Column("set_id", Text, nullable=False),
)
"""Documents that others name as those that they replace, add to or are made from, and which were
not here when the others came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """A document of the patient, registered before or in the same submission."""

    entry_uuid: str
    """Of the latest version of its metadata; the id of one of the same submission."""
    logical_id: str
    unique_id: str
    """In its normal form."""
    is_approved: bool
    is_submitted: bool = False
    """Whether it is of the same submission."""
    set_id: str = ""
    version: int | None = None
    moment: str = ""

    def order(self, stated: StatedVersion) -> int:
        """Tell whether what is stated is of a later version (1) or an earlier one (-1); else 0."""
        if stated.version is not None and self.version is not None:
            return (stated.version > self.version) - (stated.version < self.version)
        if stated.moment and self.moment:
            return (stated.moment > self.moment) - (stated.moment < self.moment)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingDocument:
    """A document that has named another one as its parent before that was here."""

    document: KnownDocument
    association_type: str
    unique_id: str
    """That of the other one."""
    set_id: str = ""
    """That of the other one, where it is said."""
    pk: int = 0
    """Of its row; 0 where it is of the same submission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocuments:
    """What is registered of the sets and the uniqueIds that the documents of one patient name."""

    of_sets: Mapping[str, Sequence[KnownDocument]]
    of_ids: Mapping[str, Sequence[KnownDocument]]
    successors: Mapping[str, Sequence[KnownDocument]]
    """By entryUUID the Approved documents that replace one, of those that are Deprecated."""
    awaiting: Sequence[AwaitingDocument]


NOTHING_KNOWN: Final = KnownDocuments(of_sets={}, of_ids={}, successors={}, awaiting=())


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRows:
    """What the documents of a submission leave behind; ids are entryUUIDs."""

    members: Sequence[tuple[str, str, StatedVersion]] = ()
    """entryUUID, patientId, and what is said."""
    awaited: Sequence[tuple[str, str, str, str]] = ()
    """entryUUID, type of the Association, uniqueId and set of the other document."""
    met: Sequence[int] = ()
    """Rows of what is awaited no more."""


NO_ROWS: Final = SetRows()


_PATIENT: Final = select(patient.c.pk).where(patient.c.patient_id == bindparam("patient_id"))
_MEMBER: Final = document_set_member.c.logical_id == document_entry.c.logical_id
_DOCUMENT: Final = (
    document_entry.c.entry_uuid,
    document_entry.c.logical_id,
    document_entry.c.unique_id,
    document_entry.c.availability_status,
    document_set_member.c.set_id,
    document_set_member.c.version,
    document_set_member.c.moment,
)
_OF_PATIENT: Final = (
    document_entry.c.patient == bindparam("patient"),
    is_latest(document_entry),
)
_OF_SETS: Final = (
    select(*_DOCUMENT)
    .select_from(document_set_member.join(document_entry, _MEMBER))
    .where(
        document_set_member.c.patient == bindparam("patient"),
        one_of.named(document_set_member.c.set_id, "set_ids"),
        *_OF_PATIENT,
    )
    .order_by(document_entry.c.pk)
)
_OF_LOGICAL_IDS: Final = (
    select(*_DOCUMENT)
    .select_from(document_set_member.join(document_entry, _MEMBER))
    .where(
        one_of.named(document_set_member.c.logical_id, "logical_ids"),
        is_latest(document_entry),
    )
)
_OF_IDS: Final = (
    select(*_DOCUMENT)
    .select_from(document_entry.outerjoin(document_set_member, _MEMBER))
    .where(one_of.named(document_entry.c.unique_id, "unique_ids"), *_OF_PATIENT)
    .order_by(document_entry.c.pk)
)
_OF_REFERENCES: Final = (
    select(document_entry_value.c.value, *_DOCUMENT)
    .select_from(
        document_entry_value.join(
            document_entry, document_entry_value.c.owner == document_entry.c.pk
        ).outerjoin(document_set_member, _MEMBER)
    )
    .where(
        type_coerce(document_entry_value.c.attribute, SmallInteger)
        == value_attribute("reference_id_list"),
        one_of.named(document_entry_value.c.value, "references"),
        *_OF_PATIENT,
    )
    .order_by(document_entry.c.pk)
)
"""Documents by what they call themselves where that is not their uniqueId."""
_REPLACING: Final = (
    select(association.c.target, *_DOCUMENT)
    .select_from(
        association.join(
            document_entry, association.c.source == document_entry.c.entry_uuid
        ).outerjoin(document_set_member, _MEMBER)
    )
    .where(
        one_of.named(association.c.target, "uuids"),
        one_of.fixed(association.c.association_type, sorted(v.REPLACEMENTS)),
        association.c.availability_status == v.APPROVED,
        *_OF_PATIENT,
    )
    .order_by(document_entry.c.pk)
)
_AWAITING: Final = (
    select(
        awaited_document.c.pk,
        awaited_document.c.association_type,
        awaited_document.c.unique_id,
        awaited_document.c.set_id,
        *_DOCUMENT,
    )
    .select_from(
        awaited_document.join(
            document_entry, awaited_document.c.logical_id == document_entry.c.logical_id
        ).outerjoin(document_set_member, _MEMBER)
    )
    .where(one_of.named(awaited_document.c.unique_id, "unique_ids"), *_OF_PATIENT)
    .order_by(awaited_document.c.pk)
)
_MET: Final = delete(awaited_document).where(one_of.named(awaited_document.c.pk, "met"))

Visible = Callable[[Sequence[str]], Sequence[str]]
"""Returns those of some entryUUIDs that the submitter may know of."""


def _known(row: Sequence[Any]) -> KnownDocument:
    entry_uuid, logical_id, unique_id, status, set_id, version, moment = row
    return KnownDocument(
        entry_uuid=entry_uuid,
        logical_id=logical_id,
        unique_id=unique_id,
        is_approved=status == v.APPROVED,
        set_id=set_id or "",
        version=version,
        moment=moment or "",
    )


def known_documents(
    connection: Connection,
    patient_id: str,
    stated: Collection[tuple[str, StatedVersion]],
    visible: Visible,
) -> KnownDocuments:
    """Read what is registered for a patient of what documents name.

    ``stated`` are the uniqueId of each document and what it says.
    """
    keys = fetch(connection, _PATIENT, {"patient_id": searchable(patient_id)})
    if not keys:
        return NOTHING_KNOWN
    of_patient = {"patient": keys[0][0]}
    names = {normal(one) for _, said in stated for r in said.related for one in r.unique_ids}
    sets = {said.set_id for _, said in stated}
    sets |= {r.set_id for _, said in stated for r in said.related} | names
    own = sorted({normal(one) for uid, said in stated for one in (uid, *said.names)})
    sets -= {""}
    in_sets, in_ids = {"set_ids": sorted(sets)}, {"unique_ids": sorted(names)}
    members = fetch(connection, _OF_SETS, {**of_patient, **in_sets}) if sets else []
    named = fetch(connection, _OF_IDS, {**of_patient, **in_ids}) if names else []
    by_id = [(one.unique_id, one) for one in map(_known, named)]
    by_id += _of_references(connection, of_patient, names)
    found = fetch(connection, _AWAITING, {**of_patient, "unique_ids": own})
    awaiting = [
        AwaitingDocument(
            pk=pk, association_type=kind, unique_id=unique_id, set_id=set_id, document=_known(row)
        )
        for pk, kind, unique_id, set_id, *row in found
    ]
    known = KnownDocuments(
        of_sets=_grouped((one.set_id, one) for one in map(_known, members)),
        of_ids=_grouped(by_id),
        successors={},
        awaiting=awaiting,
    )
    gone = [one for each in known.of_ids.values() for one in each if not one.is_approved]
    gone += [one.document for one in awaiting if not one.document.is_approved]
    return _as_seen(replace(known, successors=_successors(connection, of_patient, gone)), visible)


def _of_references(
    connection: Connection, of_patient: Mapping[str, Any], names: Iterable[str]
) -> Iterator[tuple[str, KnownDocument]]:
    references = {as_reference(one): one for one in names}
    if references:
        asked = {**of_patient, "references": sorted(references)}
        for value, *row in fetch(connection, _OF_REFERENCES, asked):
            yield references[value], _known(row)


def versions_of(
    connection: Connection, logical_ids: Collection[str]
) -> Mapping[str, KnownDocument]:
    """Return what documents that are of sets say of their versions, by their logicalIDs."""
    if not logical_ids:
        return {}
    rows = fetch(connection, _OF_LOGICAL_IDS, {"logical_ids": sorted(logical_ids)})
    return {one.logical_id: one for one in map(_known, rows)}


def _grouped(
    each: Iterable[tuple[str, KnownDocument]],
) -> Mapping[str, Sequence[KnownDocument]]:
    found: dict[str, list[KnownDocument]] = {}
    for name, one in each:
        found.setdefault(name, []).append(one)
    return found


def _successors(
    connection: Connection, of_patient: Mapping[str, Any], gone: Sequence[KnownDocument]
) -> Mapping[str, Sequence[KnownDocument]]:
    """Follow the replacements of Deprecated documents to those that are Approved."""
    origins = {one.entry_uuid: {one.entry_uuid} for one in gone}
    found: dict[str, list[KnownDocument]] = {}
    frontier = list(origins)
    while frontier:
        rows = fetch(connection, _REPLACING, {**of_patient, "uuids": frontier})
        frontier = []
        for target, *row in rows:
            one = _known(row)
            if one.is_approved:
                for origin in sorted(origins[target]):
                    found.setdefault(origin, []).append(one)
            elif one.entry_uuid not in origins:
                origins[one.entry_uuid] = origins[target]
                frontier.append(one.entry_uuid)
    return found


def _as_seen(known: KnownDocuments, visible: Visible) -> KnownDocuments:
    """Leave out what the submitter may not know of: it is as if it were not there."""
    every = {one.entry_uuid for each in known.of_sets.values() for one in each}
    every |= {one.entry_uuid for each in known.of_ids.values() for one in each}
    every |= {one.entry_uuid for each in known.successors.values() for one in each}
    every |= {one.document.entry_uuid for one in known.awaiting}
    if not every:
        return known
    seen = set(visible(sorted(every)))

    def left(
        groups: Mapping[str, Sequence[KnownDocument]],
    ) -> Mapping[str, Sequence[KnownDocument]]:
        return {
            name: shown
            for name, each in groups.items()
            if (shown := [one for one in each if one.entry_uuid in seen])
        }

    return KnownDocuments(
        of_sets=left(known.of_sets),
        of_ids=left(known.of_ids),
        successors=left(known.successors),
        awaiting=[one for one in known.awaiting if one.document.entry_uuid in seen],
    )


def write(connection: Connection, rows: SetRows, patient_key: Callable[[str], int]) -> None:
    """Write what the documents of a submission leave behind."""
    members = [
        {
            "logical_id": entry_uuid,
            "patient": patient_key(patient_id),
            "set_id": said.set_id,
            "version": said.version,
            "moment": said.moment,
        }
        for entry_uuid, patient_id, said in rows.members
    ]
    insert_rows(connection, document_set_member, members)
    names = ("logical_id", "association_type", "unique_id", "set_id")
    awaited = [dict(zip(names, one, strict=True)) for one in rows.awaited]
    insert_rows(connection, awaited_document, awaited)
    if rows.met:
        connection.execute(_MET, {"met": list(rows.met)})


# --- what follows the documents ------------------------------------------------------------------

_OWNER: Final = (
    select(document_entry.c.patient)
    .where(
        document_entry.c.logical_id == document_set_member.c.logical_id,
        is_latest(document_entry),
    )
    .scalar_subquery()
)
_FOLLOW: Final = (
    update(document_set_member)
    .where(
        one_of.named(document_set_member.c.logical_id, "uuids"),
        document_set_member.c.patient != _OWNER,
    )
    .values(patient=_OWNER)
)
_MOVE: Final = (
    update(document_set_member)
    .where(document_set_member.c.patient == bindparam("subsumed"))
    .values(patient=bindparam("surviving"))
)
_FORGET: Final = tuple(
    delete(table).where(
        one_of.named(table.c.logical_id, "uuids"),
        ~select(document_entry.c.pk)
        .where(document_entry.c.logical_id == table.c.logical_id)
        .exists(),
    )
    for table in (document_set_member, awaited_document)
)


def move(connection: Connection, *, subsumed: int, surviving: int) -> None:
    """Give the sets of one patient to another one."""
    change(connection, _MOVE, [{"subsumed": subsumed, "surviving": surviving}])


def follow(connection: Connection, logical_ids: Iterable[str]) -> None:
    """Have documents belong to the patients whose they are by now."""
    if wanted := list(logical_ids):
        change(connection, _FOLLOW, [{"uuids": wanted}])


def forget(connection: Connection, logical_ids: Iterable[str]) -> None:
    """Leave nothing behind of documents of which no version is registered any more."""
    if wanted := list(logical_ids):
        for statement in _FORGET:
            change(connection, statement, [{"uuids": wanted}])
