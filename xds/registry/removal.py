"""Removal of metadata (ITI TF-2 3.62.4.1.3): what may be removed, and how it goes.

All objects of a request go in one commit, or none. Nothing stays that refers to what is gone, and
every DocumentEntry, Folder and membership of a Folder that stays is still held by a SubmissionSet.

What can be done before the database is locked is done before: reading, checking, and writing the
lists of objects, each of which is one parameter of a statement. Within the lock it is asked whether
anything has changed that matters, and what was removed is written into the events. Rows of which
there are many are hidden then (:mod:`xds.database.hidden_rows`), and deleted after the commit, so
that SQLite's other writers wait for a tenth of a second and not for all of it.
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    bindparam,
    cast,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.types import TypeEngine

from xds.database.access import Database
from xds.database.hidden_rows import delete_hidden, has_hidden, hide, next_hidden
from xds.database.lists import listed, one_of
from xds.database.locks import Locks
from xds.database.reading import fetch
from xds.database.statements import array
from xds.errors import (
    LocalPolicyRestrictionError,
    ReferencesExistException,
    RegistryError,
    UnresolvedReferenceException,
    XDSMetadataVersionError,
    XDSUnreferencedObjectException,
)
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Comparison, Operator, evaluate
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject
from xds.metadata.unique_ids import normal
from xds.registry import events, patients
from xds.registry.events import CONTENT_REMOVED, EVENT_OBJECTS, UPDATED, NewEvent
from xds.registry.storage import observations
from xds.registry.tables import (
    TABLES,
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
from xds.registry.versions import set_rows

_FEW: Final = 500
"""Objects that are deleted in the commit of their removal; more are hidden in it."""
_PAUSE: Final = 0.002
"""Seconds in which others get their turn: the writers' lock is not a fair one."""
_URN: Final = "urn:uuid:"
_HOLDING_ATTRIBUTES: Final = ("confidentiality_code", "event_code_list")
"""The attributes of a DocumentEntry whose codes can put it on legal hold."""


@dataclass(frozen=True, slots=True)
class ObjectToRemove:
    """One object that is to be removed."""

    kind: type[MetadataObject]
    pk: int
    entry_uuid: str
    patient: int | None
    """The row of the patient; None for an Association, as is the id."""
    patient_id: str | None
    """CX."""
    logical_id: str | None
    is_latest: int | None
    object_type: str | None
    association_type: str | None
    source: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class _List:
    """Values as one parameter of a statement, in the text that a database reads."""

    text: str
    is_json: bool

    @classmethod
    def of(cls, connection: Connection, values: Iterable[object]) -> "_List":
        is_json = connection.dialect.name == "sqlite"
        return cls(json.dumps(list(values)) if is_json else array(values), is_json)

    @classmethod
    def of_uuids(cls, connection: Connection, uuids: Iterable[str | None]) -> "_List":
        bare = (one.removeprefix(_URN) for one in uuids if one and one.startswith(_URN))
        return cls.of(connection, bare)

    def has_uuid(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that a column of UUIDs has one of the values."""
        plain = type_coerce(column, Text() if self.is_json else Uuid())
        return plain.in_(self._each(Uuid()))

    def has_key(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that a column of row numbers has one of the values."""
        return column.in_(self._each(BigInteger()))

    def _each(self, kind: TypeEngine[Any]) -> Select[Any]:
        """Return the values as rows: PostgreSQL would read the text again for each row of a table.

        ``kind`` is what they are there.
        """
        if self.is_json:
            return select(func.json_each(self.text).table_valued("value").c.value)
        return select(func.unnest(cast(literal(self.text, Text), ARRAY(kind))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The objects of one request for removal, as they are registered at the moment."""

    asked: tuple[str, ...]
    """entryUUIDs, each once."""
    found: tuple[ObjectToRemove, ...]
    by_uuid: Mapping[str, ObjectToRemove]
    patients: Mapping[int, str]
    """The patients of the objects and of what Associations among them join: row number, and CX."""
    keys: Mapping[type[MetadataObject], _List]
    """The row numbers of the objects of each kind of which there are any."""
    uuids: _List
    logical_ids: _List
    folders: _List
    """The entryUUIDs of what stays and loses a member."""
    latest: Mapping[type[MetadataObject], _List]
    """The row numbers of the versions that become the latest ones, of kinds that have any."""

    @property
    def documents(self) -> Sequence[str]:
        """The logicalIDs of DocumentEntries."""
        found = (one.logical_id for one in self.found if one.kind is DocumentEntry)
        return [logical_id for logical_id in dict.fromkeys(found) if logical_id is not None]

    @property
    def locks(self) -> Locks:
        """What the removal locks: the patients, as do all who refer to their objects."""
        return Locks(exclusive=frozenset(map(patients.lock, self.patients.values())))


# --- what is asked for ---------------------------------------------------------------------------


def read(connection: Connection, entry_uuids: Iterable[str]) -> Removal:
    """Read what is registered under entryUUIDs."""
    asked = tuple(dict.fromkeys(entry_uuids))
    uuids = _List.of_uuids(connection, asked)
    found = [one for kind in TABLES for one in _read(connection, kind, uuids)]
    by_uuid = {one.entry_uuid: one for one in found}
    by_kind: dict[type[MetadataObject], list[int]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one.pk)
    ends = {end for one in found for end in (one.source, one.target)} - by_uuid.keys()
    losing = {one.source for one in found if one.association_type == v.HAS_MEMBER}
    return Removal(
        asked=asked,
        found=tuple(found),
        by_uuid=by_uuid,
        patients=_patients(connection, found, ends),
        keys={kind: _List.of(connection, keys) for kind, keys in by_kind.items()},
        uuids=uuids,
        logical_ids=_List.of_uuids(connection, {one.logical_id for one in found}),
        folders=_List.of_uuids(connection, losing - by_uuid.keys()),
        latest=dict(_next_latest(connection, found)),
    )


def _read(
    connection: Connection, kind: type[MetadataObject], uuids: _List
) -> Iterator[ObjectToRemove]:
    table = TABLES[kind]
    source: FromClause = table
    own: tuple[Any, Any] = (null(), null())
    if kind is not Association:
        source = table.join(patient, table.c.patient == patient.c.pk)
        own = (patient.c.pk, patient.c.patient_id)
    of_kind = (
        *("logical_id", "is_latest", "object_type"),
        *("association_type", "source", "target"),
    )
    columns = (*own, *(table.c.get(name, null()) for name in of_kind))
    query = select(table.c.pk, table.c.entry_uuid, *columns).select_from(source)
    for row in connection.execute(query.where(uuids.has_uuid(table.c.entry_uuid))):
        yield ObjectToRemove(kind, *row)


def _patients(
    connection: Connection, found: Iterable[ObjectToRemove], ends: Iterable[str | None]
) -> Mapping[int, str]:
    own = {one.patient: one.patient_id for one in found if one.patient and one.patient_id}
    listed = _List.of_uuids(connection, ends)
    for kind in EVENT_OBJECTS:
        table = TABLES[kind]
        joined = select(patient.c.pk, patient.c.patient_id).join(table).distinct()
        for pk, patient_id in connection.execute(joined.where(listed.has_uuid(table.c.entry_uuid))):
            own[pk] = patient_id
    return own


def _next_latest(
    connection: Connection, found: Iterable[ObjectToRemove]
) -> Iterator[tuple[type[MetadataObject], _List]]:
    """Yield the highest versions that are left of those whose latest one goes."""
    removed = {(one.kind, one.pk) for one in found}
    for kind in (DocumentEntry, Folder):
        table = TABLES[kind]
        logical = {one.logical_id for one in found if one.kind is kind and one.is_latest}
        query = select(table.c.logical_id, table.c.pk).order_by(table.c.version)
        of_same = _List.of_uuids(connection, logical).has_uuid(table.c.logical_id)
        rows = connection.execute(query.where(of_same, table.c.is_latest == 0))
        left = {logical_id: pk for logical_id, pk in rows if (kind, pk) not in removed}
        if left:
            yield kind, _List.of(connection, left.values())


def has_changed(connection: Connection, removal: Removal, since: int) -> bool:
    """Tell whether something that matters for a removal may have happened since an event number.

    That is any event of its patients, and a new version of one of its objects, whose patient may
    be another one.
    """
    keys = _List.of(connection, removal.patients)
    later = event.c.pk > since
    of_patients = or_(keys.has_key(event.c.patient), keys.has_key(event.c.survivor))
    queries = [select(event.c.pk).where(later, of_patients)]
    for kind in (DocumentEntry, Folder):
        table = TABLES[kind]
        versions = select(event.c.pk).join(table, table.c.entry_uuid == event.c.entry_uuid)
        of_same = removal.logical_ids.has_uuid(table.c.logical_id)
        queries.append(versions.where(later, event.c.kind == UPDATED, of_same))
    return any(connection.scalar(one.limit(1)) is not None for one in queries)


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


def later_versions(removal: Removal) -> Iterator[RegistryError]:
    """Tell of logical objects whose latest version stays."""
    latest = {one.logical_id for one in removal.found if one.is_latest}
    for one in removal.found:
        if one.logical_id is not None and one.logical_id not in latest:
            yield XDSMetadataVersionError(
                f"{one.logical_id} has a later version than {one.entry_uuid}",
                one.entry_uuid,
                rule="latest_version",
            )


def _still_referenced(connection: Connection, removal: Removal) -> Iterator[RegistryError]:
    told = set()
    for end in ("source", "target"):
        column = association.c[end]
        query = select(association.c.entry_uuid, column).order_by(association.c.pk)
        rows = connection.execute(query.where(removal.uuids.has_uuid(column)))
        for by, referenced in rows:
            if by not in removal.by_uuid and referenced not in told:
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
            _List.of_uuids(connection, left).has_uuid(association.c.target),
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
        for entry_uuid in on_hold(connection, removal.keys.get(DocumentEntry), codes)
    ]


def on_hold(connection: Connection, keys: _List | None, codes: Sequence[str]) -> list[str]:
    """Return the entryUUIDs of those of some DocumentEntries that are on legal hold."""
    if keys is None:
        return []
    if not codes and connection.scalar(select(legal_hold.c.unique_id).limit(1)) is None:
        return []
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
    chosen = query.where(keys.has_key(document_entry.c.pk), or_(*held))
    return list(connection.scalars(chosen))


def has_holding_code(entry: DocumentEntry, codes: Sequence[str]) -> bool:
    """Tell whether the codes of a DocumentEntry put it on legal hold."""
    return any(
        evaluate(Comparison(attribute, Operator.EQUAL, tuple(codes)), entry)
        for attribute in _HOLDING_ATTRIBUTES
        if codes
    )


def obstacles(
    connection: Connection,
    unique_ids: Collection[str],
    repository_unique_id: str,
    codes: Sequence[str],
    *,
    referenced: bool,
    since: int | None = None,
) -> Mapping[str, str]:
    """Say why documents of a repository must stay, by their uniqueIds (ITI TF-2 3.86.4.1.3).

    ``referenced`` tells that DocumentEntries which name them are a reason; ``since`` the number of
    an event, where only entries matter that have come to be registered after it.
    """
    asked = {one: normal(one) for one in unique_ids}
    bound = {"unique_ids": list(asked.values())}
    marked = fetch(connection, _MARKED, bound) if fetch(connection, _ANY_MARKED, {}) else []
    held = {unique_id for (unique_id,) in marked}
    own = {"repository": repository_unique_id}
    if since is None:
        rows = fetch(connection, _NAMING, {**own, **bound})
    else:  # they are few: it is not the database that looks for the many uniqueIds among them
        wanted = set(asked.values())
        later = fetch(connection, _SINCE, {**own, "since": since})
        rows = [row for row in later if row[2] in wanted]
    bearing = set(on_hold(connection, _List.of(connection, [row[0] for row in rows]), codes))
    held |= {unique_id for _, entry_uuid, unique_id in rows if entry_uuid in bearing}
    named = {unique_id: entry_uuid for _, entry_uuid, unique_id in reversed(rows)}
    if not referenced:
        named.clear()
    found: dict[str, str] = {}
    for one, unique_id in asked.items() if held or named else ():
        if unique_id in held:
            found[one] = "it is on legal hold"
        elif unique_id in named:
            found[one] = f"DocumentEntry {named[unique_id]} names it: remove that first"
    return found


_NORMAL_IDS: Final = listed("unique_ids", Text())
_MARKED: Final = select(legal_hold.c.unique_id).where(one_of(legal_hold.c.unique_id, _NORMAL_IDS))
_ANY_MARKED: Final = select(legal_hold.c.unique_id).limit(1)
_OF_REPOSITORY: Final = (
    select(document_entry.c.pk, document_entry.c.entry_uuid, document_entry.c.unique_id)
    .where(document_entry.c.repository_unique_id == bindparam("repository"))
    .order_by(document_entry.c.pk)
)
_NAMING: Final = _OF_REPOSITORY.where(one_of(document_entry.c.unique_id, _NORMAL_IDS))
_LATER: Final = select(event.c.entry_uuid).where(
    event.c.pk > bindparam("since"), event.c.entry_uuid.is_not(None)
)
_SINCE: Final = _OF_REPOSITORY.where(document_entry.c.entry_uuid.in_(_LATER))


# --- the removal ---------------------------------------------------------------------------------


def apply(connection: Connection, removal: Removal, *, now: str) -> None:
    """Remove the objects, and write what they were into the events.

    After the commit :func:`delete_removed` is due.
    """
    hides = connection.dialect.name == "sqlite" and len(removal.found) > _FEW
    for kind, keys in removal.keys.items():
        table = TABLES[kind]
        among = keys.has_key(table.c.pk)
        if kind in EVENT_OBJECTS:
            events.write_removals(connection, table, among, at=now)
        if hides:
            hide(connection, table, keys.text)
            continue
        if kind in EVENT_OBJECTS:
            values = VALUES[table.name]
            connection.execute(delete(values).where(keys.has_key(values.c.owner)))
        connection.execute(delete(table).where(among))
    if not hides:
        observations.forget(connection, removal.documents)
        set_rows.forget(connection, removal.documents)
    for kind, keys in removal.latest.items():
        table = TABLES[kind]
        connection.execute(update(table).where(keys.has_key(table.c.pk)).values(is_latest=1))
    set_rows.follow(connection, removal.documents)
    events.write(connection, _emptied(connection, removal, now), at=now)


def delete_removed(database: Database) -> None:
    """Delete what is removed and only hidden yet, also by a process that has ended since.

    It may be broken off and begun again, and several may do it at once.
    """
    for table in TABLES.values() if database.is_sqlite else ():
        values = VALUES.get(table.name)
        owners = () if values is None else (values.c.owner,)
        while _has_hidden(database, table):
            with database.write() as connection:
                if table is document_entry:
                    gone = next_hidden(connection, table.c.logical_id)
                    observations.forget(connection, gone)
                    set_rows.forget(connection, gone)
                delete_hidden(connection, table, owners)
            time.sleep(_PAUSE)


def _has_hidden(database: Database, table: Table) -> bool:
    with database.read() as connection:
        return has_hidden(connection, table)


def _emptied(connection: Connection, removal: Removal, now: str) -> list[NewEvent]:
    """Date the Folders that stay and lost a document."""
    own = removal.folders.has_uuid(folder.c.entry_uuid)
    query = select(folder.c.pk, folder.c.entry_uuid, folder.c.patient)
    rows = connection.execute(query.where(own)).all()
    if rows:
        dated = {"last_update_time": now, "last_updated_at": now}
        connection.execute(update(folder).where(own).values(dated))
    return [NewEvent(CONTENT_REMOVED, Folder, row.entry_uuid, row.patient) for row in rows]
