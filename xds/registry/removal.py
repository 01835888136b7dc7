"""Removal of metadata (ITI TF-2 3.62.4.1.3): what may be removed, and how it goes.

All objects of a request go in one commit, or none. Nothing stays that refers to what is gone, and
every DocumentEntry, Folder and membership of a Folder that stays is still held by a SubmissionSet.
Lists of objects are one parameter of a statement, however long they are.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    SmallInteger,
    Table,
    Text,
    Uuid,
    any_,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)

from xds.database import Locks, array
from xds.errors import (
    LocalPolicyRestrictionError,
    ReferencesExistException,
    RegistryError,
    UnresolvedReferenceException,
    XDSUnreferencedObjectException,
)
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject
from xds.metadata.unique_ids import normal
from xds.registry import events, patients
from xds.registry.events import CONTENT_UPDATED, EVENT_OBJECTS, NewEvent
from xds.registry.rows import TABLES
from xds.registry.tables import (
    VALUES,
    association,
    document_entry,
    event,
    folder,
    legal_hold,
    patient,
    submission_set,
    value_attribute,
)

_URN: Final = "urn:uuid:"
_HOLDING_ATTRIBUTES: Final = ("confidentiality_code", "event_code_list")
"""The attributes of a DocumentEntry whose codes can put it on legal hold."""


@dataclass(frozen=True, slots=True)
class ObjectToRemove:
    """One object that is to be removed."""

    kind: type[MetadataObject]
    pk: int
    entry_uuid: str
    patient_id: str | None
    """CX; None for an Association."""
    logical_id: str | None
    object_type: str | None
    association_type: str | None
    source: str | None
    target: str | None


@dataclass(frozen=True)
class Removal:
    """The objects of one request for removal, as they are registered at the moment."""

    asked: tuple[str, ...]
    """entryUUIDs, each once."""
    found: tuple[ObjectToRemove, ...]
    last_event: int
    """The number of the last event when they were read: what is later may have changed them."""

    @cached_property
    def by_uuid(self) -> Mapping[str, ObjectToRemove]:
        """The objects by their entryUUIDs."""
        return {one.entry_uuid: one for one in self.found}

    def keys(self, kind: type[MetadataObject]) -> list[int]:
        """Return the row numbers of the objects of a kind."""
        return [one.pk for one in self.found if one.kind is kind]

    @property
    def locks(self) -> Locks:
        """What the removal locks: the patients, as do all who refer to their objects."""
        named = {one.patient_id for one in self.found if one.patient_id}
        return Locks(exclusive=frozenset(map(patients.lock, named)))


# --- lists as one parameter ----------------------------------------------------------------------


def _among(connection: Connection, column: ColumnElement[Any], uuids: Iterable[str]) -> Any:
    """Return the condition that a column of UUIDs has one of many values."""
    bare = [one.removeprefix(_URN) for one in uuids if one.startswith(_URN)]
    if connection.dialect.name == "sqlite":
        return type_coerce(column, Text).in_(_listed(bare))
    return type_coerce(column, Uuid()) == any_(cast(literal(array(bare), Text), ARRAY(Uuid())))


def _keys_among(connection: Connection, column: ColumnElement[Any], keys: Sequence[int]) -> Any:
    if connection.dialect.name == "sqlite":
        return column.in_(_listed(keys))
    return column == any_(cast(literal(array(keys), Text), ARRAY(BigInteger)))


def _listed(values: Sequence[object]) -> Select[Any]:
    each = func.json_each(json.dumps(values)).table_valued("value")
    return select(each.c.value)


# --- what is asked for ---------------------------------------------------------------------------


def read(connection: Connection, entry_uuids: Iterable[str]) -> Removal:
    """Read what is registered under entryUUIDs."""
    asked = tuple(dict.fromkeys(entry_uuids))
    last = connection.scalar(select(func.max(event.c.pk))) or 0
    found = [one for kind in TABLES for one in _read(connection, kind, asked)]
    return Removal(asked, tuple(found), last)


def is_unchanged(connection: Connection, removal: Removal) -> bool:
    """Tell whether nothing was registered, changed or removed since."""
    return (connection.scalar(select(func.max(event.c.pk))) or 0) == removal.last_event


def _read(
    connection: Connection, kind: type[MetadataObject], asked: Sequence[str]
) -> Iterator[ObjectToRemove]:
    table = TABLES[kind]
    source: FromClause = table
    if kind is not Association:
        source = table.join(patient, table.c.patient == patient.c.pk)
    columns = (
        table.c.pk,
        table.c.entry_uuid,
        null() if kind is Association else patient.c.patient_id,
        *(
            table.c.get(name, null())
            for name in ("logical_id", "object_type", "association_type", "source", "target")
        ),
    )
    query = select(*columns).select_from(source)
    for row in connection.execute(query.where(_among(connection, table.c.entry_uuid, asked))):
        yield ObjectToRemove(kind, *row)


def errors(
    connection: Connection, removal: Removal, legal_hold_codes: Sequence[str]
) -> list[RegistryError]:
    """Return everything that speaks against a removal; empty where it may be done."""
    unknown = [
        UnresolvedReferenceException(f"{one} is not registered", one, rule="registered_objects")
        for one in removal.asked
        if one not in removal.by_uuid
    ]
    return [
        *unknown,
        *_still_referenced(connection, removal),
        *_orphaned(connection, removal),
        *holds(connection, removal, legal_hold_codes),
    ]


def _still_referenced(connection: Connection, removal: Removal) -> Iterator[RegistryError]:
    uuids = removal.by_uuid
    told = set()
    for end in ("source", "target"):
        column = association.c[end]
        query = select(association.c.entry_uuid, column).order_by(association.c.pk)
        for by, referenced in connection.execute(query.where(_among(connection, column, uuids))):
            if by not in uuids and referenced not in told:
                told.add(referenced)
                yield ReferencesExistException(
                    f"{referenced} is still referenced by Association {by}",
                    referenced,
                    rule="unreferenced_objects",
                )


def _orphaned(connection: Connection, removal: Removal) -> Iterator[RegistryError]:
    """Tell of what stays and would be held by no SubmissionSet any more."""
    left = {
        one.target: None
        for one in removal.found
        if one.association_type == v.HAS_MEMBER and one.target not in removal.by_uuid
    }
    holders = (
        select(association.c.entry_uuid, association.c.target)
        .join(submission_set, submission_set.c.entry_uuid == association.c.source)
        .where(
            association.c.association_type == v.HAS_MEMBER,
            _among(connection, association.c.target, [one for one in left if one]),
        )
    )
    held: dict[str, set[str]] = {}
    for by, target in connection.execute(holders) if left else ():
        held.setdefault(target, set()).add(by)
    for target, by_which in held.items():
        if by_which <= removal.by_uuid.keys():
            yield XDSUnreferencedObjectException(target, target, rule="held_objects")


def holds(connection: Connection, removal: Removal, codes: Sequence[str]) -> list[RegistryError]:
    """Return an error for each DocumentEntry that is on legal hold."""
    return [
        LocalPolicyRestrictionError(
            f"DocumentEntry {entry_uuid} is on legal hold", entry_uuid, rule="legal_hold"
        )
        for entry_uuid in on_hold(connection, removal.keys(DocumentEntry), codes)
    ]


def on_hold(connection: Connection, keys: Sequence[int], codes: Sequence[str]) -> list[str]:
    """Return the entryUUIDs of those of some DocumentEntries that are on legal hold."""
    own = document_entry.c.unique_id.in_(select(legal_hold.c.unique_id))
    held: list[ColumnElement[bool]] = [own]
    values = VALUES[document_entry.name]
    for attribute in _HOLDING_ATTRIBUTES if codes else ():
        bearing = select(values.c.owner).where(
            values.c.owner == document_entry.c.pk,
            type_coerce(values.c.attribute, SmallInteger) == value_attribute(attribute),
            values.c.value.in_(codes),
        )
        held.append(bearing.exists())
    query = select(document_entry.c.entry_uuid).order_by(document_entry.c.pk)
    chosen = query.where(_keys_among(connection, document_entry.c.pk, keys), or_(*held))
    return list(connection.scalars(chosen))


def obstacles(
    connection: Connection,
    unique_ids: Collection[str],
    repository_unique_id: str,
    codes: Sequence[str],
    *,
    referenced: bool,
) -> Mapping[str, str]:
    """Say why documents of a repository must stay, by their uniqueIds (ITI TF-2 3.86.4.1.3).

    ``referenced`` tells that DocumentEntries which name them are a reason.
    """
    found: dict[str, str] = {}
    own = document_entry.c.repository_unique_id == repository_unique_id
    for asked in unique_ids:
        named = document_entry.c.unique_id == asked
        query = select(document_entry.c.pk, document_entry.c.entry_uuid)
        rows = connection.execute(query.where(named, own).order_by(document_entry.c.pk)).all()
        held = select(legal_hold.c.unique_id).where(legal_hold.c.unique_id == asked)
        if connection.scalar(held) is not None or (
            rows and on_hold(connection, [row.pk for row in rows], codes)
        ):
            found[asked] = "it is on legal hold"
        elif rows and referenced:
            found[asked] = f"DocumentEntry {rows[0].entry_uuid} names it: remove that first"
    return found


# --- the removal ---------------------------------------------------------------------------------


def apply(connection: Connection, removal: Removal, *, now: str) -> None:
    """Remove the objects, and write what they were into the events."""
    folders = {
        one.source for one in removal.found if one.association_type == v.HAS_MEMBER and one.source
    }
    for kind, table in TABLES.items():
        keys = removal.keys(kind)
        if not keys:
            continue
        among = _keys_among(connection, table.c.pk, keys)
        if kind in EVENT_OBJECTS:
            events.write_removals(connection, table, among, at=now)
            values = VALUES[table.name]
            connection.execute(delete(values).where(_keys_among(connection, values.c.owner, keys)))
        connection.execute(delete(table).where(among))
    for table in (document_entry, folder):
        _mark_latest(connection, table, removal)
    events.write(connection, _emptied(connection, folders, now), at=now)


def _mark_latest(connection: Connection, table: Table, removal: Removal) -> None:
    """Make the highest version that is left the latest one, where there were several."""
    kind = DocumentEntry if table is document_entry else Folder
    logical = {one.logical_id for one in removal.found if one.kind is kind and one.logical_id}
    highest = table.alias()
    of_same = select(func.max(highest.c.version)).where(highest.c.logical_id == table.c.logical_id)
    connection.execute(
        update(table)
        .where(
            _among(connection, table.c.logical_id, logical),
            table.c.is_latest == 0,
            table.c.version == of_same.scalar_subquery(),
        )
        .values(is_latest=1)
    )


def _emptied(connection: Connection, folders: Iterable[str], now: str) -> list[NewEvent]:
    """Date the Folders that stay and lost a document."""
    query = select(folder.c.pk, folder.c.entry_uuid, folder.c.patient)
    rows = connection.execute(query.where(_among(connection, folder.c.entry_uuid, folders))).all()
    if rows:
        own = _keys_among(connection, folder.c.pk, [row.pk for row in rows])
        dated = {"last_update_time": now, "last_updated_at": now}
        connection.execute(update(folder).where(own).values(dated))
    return [NewEvent(CONTENT_UPDATED, Folder, row.entry_uuid, row.patient) for row in rows]


# --- legal holds ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A document that nobody may remove, nor its metadata."""

    unique_id: str
    at: str
    """DTM, UTC: since when."""
    reason: str


def hold(connection: Connection, unique_ids: Iterable[str], *, at: str, reason: str) -> None:
    """Put documents on legal hold; of those that are already, nothing changes."""
    wanted = {normal(one): None for one in unique_ids}
    known = set(connection.scalars(select(legal_hold.c.unique_id)))
    rows = [{"unique_id": one, "at": at, "reason": reason} for one in wanted if one not in known]
    if rows:
        connection.execute(insert(legal_hold), rows)


def release(connection: Connection, unique_ids: Iterable[str]) -> list[str]:
    """End the legal hold of documents, and return those of which there was one."""
    ended = []
    for unique_id in unique_ids:
        own = legal_hold.c.unique_id == unique_id
        if connection.execute(delete(legal_hold).where(own)).rowcount:
            ended.append(unique_id)
    return ended


def legal_holds(connection: Connection) -> list[LegalHold]:
    """Return the documents that are on legal hold by a mark, the first one first."""
    columns = (legal_hold.c.unique_id, legal_hold.c.at, legal_hold.c.reason)
    query = select(*columns).order_by(legal_hold.c.at, legal_hold.c.unique_id)
    return [LegalHold(*row) for row in connection.execute(query)]
