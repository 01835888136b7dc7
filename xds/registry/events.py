"""Event rows: what a commit did, for whoever reacts to it (audit, notification, feeds).

They are written inside the commit that they tell of, so none is lost and none tells of a change
that was rolled back. A subscriber keeps the last number that it has seen and reads on from there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    Table,
    bindparam,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
)

from xds.database.access import announce
from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.database.statements import insert_arrays, insert_rows
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.storage.fragments import FoundObject
from xds.registry.tables import KINDS, event, patient

TOPIC: Final = "events"
"""What a commit announces that has written events (:func:`xds.database.access.announce`)."""

REGISTERED: Final = "registered"
"""A DocumentEntry, SubmissionSet or Folder is new."""
DEPRECATED: Final = "deprecated"
"""A DocumentEntry or Folder is Deprecated: replaced, or by a change of its status."""
SUPERSEDED: Final = "superseded"
"""A version of a DocumentEntry or Folder is Deprecated, since there is a newer one (UPDATED)."""
CONTENT_UPDATED: Final = "content updated"
"""A registered Folder received a DocumentEntry."""
CONTENT_REMOVED: Final = "content removed"
"""A Folder lost a DocumentEntry."""
UPDATED: Final = "updated"
"""A DocumentEntry or Folder has a new version, which this is."""
APPROVED: Final = "approved"
"""A DocumentEntry or Folder is Approved again."""
REMOVED: Final = "removed"
"""A SubmissionSet, DocumentEntry or Folder was removed; the event has what it was."""
PUBLISHED: Final[Mapping[str, str]] = {
    kind: f"published: {kind}"
    for kind in (REGISTERED, DEPRECATED, CONTENT_UPDATED, CONTENT_REMOVED, UPDATED, REMOVED)
}
"""The same of objects of another registry, which it has told of (ITI-54), by what happened there.
Such an event has the object, as that of a removal."""
_HAPPENED: Final = {told: kind for kind, told in PUBLISHED.items()}
PATIENT_ADDED: Final = "patient added"
"""A feed made a patient id known."""
PATIENT_MERGED: Final = "patient merged"
"""A patient id was subsumed by a surviving one, which has what it had."""

PATIENT: Final = "Patient"
"""The kind of object where an event is of a patient and of nothing else."""

EventObject = SubmissionSet | DocumentEntry | Folder
EVENT_OBJECTS: Final = (SubmissionSet, DocumentEntry, Folder)
"""The kinds of which events tell."""

_OF_REMOVALS: Final = frozenset({"snapshot", "snapshot_status"})
_COLUMNS: Final = tuple(
    column for column in event.columns if column.name not in _OF_REMOVALS | {"pk"}
)

# PostgreSQL gives out numbers before the commit, in no order of commits, so an event may come to be
# seen after one of a higher number. A writer therefore says beforehand, by a shared lock with the
# last number given out, that its events will have higher ones; who reads goes no further than the
# lowest number said by those who have not committed yet. A lock ends after its commit is seen.
_NUMBERS: Final = 0x657674
_LOW: Final = 0x7FFFFFFF
"""The bits of a number that fit into a lock."""
_LAST: Final = (
    "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM event_pk_seq"
)
_LAST_GIVEN: Final[Select[Any]] = select(literal_column(f"({_LAST})"))
_NAMES: Final = ", ".join(column.name for column in _COLUMNS)
_POSTGRESQL: Final = f"""
    WITH said AS MATERIALIZED (
        SELECT pg_advisory_xact_lock_shared({_NUMBERS}, (last & {_LOW})::integer)
        FROM ({_LAST}) AS numbers (last)
    )
    INSERT INTO event ({_NAMES})
    SELECT {_NAMES}
    FROM said, unnest(
        %s::text[], %s::bigint[], %s::text[], %s::uuid[], %s::bigint[], %s::bigint[], %s::uuid[]
    ) WITH ORDINALITY AS told ({_NAMES}, place)
    ORDER BY place
"""
_SAY: Final = f"""
    SELECT pg_advisory_xact_lock_shared({_NUMBERS}, (last & {_LOW})::integer)
    FROM ({_LAST}) AS numbers (last)
"""
_UNDER_WAY: Final[Select[Any]] = select(literal_column("objid::bigint")).select_from(
    text(
        f"""
        pg_locks WHERE locktype = 'advisory' AND classid = {_NUMBERS} AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
    )
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one object."""

    number: int
    kind: str
    at: str
    """DTM, UTC."""
    object_kind: str
    entry_uuid: str | None
    patient_id: str | None
    survivor: str | None
    """The surviving patient id, where this is a merge."""
    submission_set: str | None
    """The entryUUID of the SubmissionSet that brought it about, if one did."""
    removed: FoundObject | None = None
    """What was removed, where this is a removal: the object as it was given out before."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event about to be written."""

    kind: str
    object_kind: type[MetadataObject] | None
    """None where it is of the patient alone."""
    entry_uuid: str | None
    patient: int
    survivor: int | None = None


def write(
    connection: Connection,
    new_events: Iterable[NewEvent],
    *,
    at: str,
    submission_set: str | None = None,
) -> None:
    """Write events in the order given; their commit announces TOPIC."""
    announce(connection, TOPIC)
    rows = [
        {
            "kind": event.kind,
            "at": at,
            "object_kind": event.object_kind.KIND if event.object_kind else PATIENT,
            "entry_uuid": event.entry_uuid,
            "patient": event.patient,
            "survivor": event.survivor,
            "submission_set": submission_set,
        }
        for event in new_events
    ]
    if connection.dialect.name == "sqlite":
        insert_rows(connection, event, rows)
    elif rows:
        insert_arrays(connection, _POSTGRESQL, _COLUMNS, rows)


def write_removals(connection: Connection, table: Table, chosen: Any, *, at: str) -> None:
    """Write of the chosen rows of a table, before they are deleted, what they are.

    The fragments go from table to table within the database.
    """
    announce(connection, TOPIC)
    if connection.dialect.name != "sqlite":
        connection.execute(text(_SAY))
    kind = KINDS[table.name]
    columns = ["kind", "at", "object_kind", "entry_uuid", "patient", "snapshot", "snapshot_status"]
    told = select(
        literal(REMOVED),
        literal(at, event.c.at.type),
        literal(kind.KIND),
        table.c.entry_uuid,
        table.c.patient,
        table.c.fragment,
        table.c.availability_status,
    )
    connection.execute(insert(event).from_select(columns, told.where(chosen).order_by(table.c.pk)))


def with_published(kinds: Iterable[str]) -> frozenset[str]:
    """Return kinds of events, and the same of objects of another registry."""
    return frozenset(one for kind in kinds for one in (kind, PUBLISHED.get(kind, kind)))


def happened(kind: str) -> str:
    """Return what has happened, whether here or in another registry."""
    return _HAPPENED.get(kind, kind)


def write_published(
    connection: Connection, rows: Iterable[Mapping[str, Any]], kind: str, *, at: str
) -> None:
    """Write that something happened to objects of another registry.

    ``kind`` is what happened. A row has object_kind, entry_uuid, patient, submission_set, and the
    object as snapshot and snapshot_status.
    """
    announce(connection, TOPIC)
    if connection.dialect.name != "sqlite":
        connection.execute(text(_SAY))
    told = [{"kind": PUBLISHED[kind], "at": at, **row} for row in rows]
    if told:
        connection.execute(insert(event), told)


def last_complete(connection: Connection) -> int | None:
    """Return the number up to which a later transaction sees every event; None: it sees them all.

    SQLite has but one writer, so its numbers are in the order of commits.
    """
    if connection.dialect.name == "sqlite":
        return None
    ((last,),) = fetch(connection, _LAST_GIVEN, {})
    # only now: who was given a number up to the last has said so by now, or has committed
    behind = [(last - low) & _LOW for (low,) in fetch(connection, _UNDER_WAY, {})]
    complete: int = last - max((number for number in behind if number <= _LOW // 2), default=0)
    return complete


def last_seen(connection: Connection) -> int:
    """Return a number up to which a later transaction sees every event, on either database."""
    complete = last_complete(connection)
    if complete is not None:
        return complete
    ((last,),) = fetch(connection, _HIGHEST, {})
    return last or 0


def last_before(connection: Connection, at: str) -> int:
    """Return the number of the last event before a time (DTM); 0 where there is none.

    It looks at each event: it is for what an operator asks now and then.
    """
    last: int | None = connection.scalar(select(func.max(event.c.pk)).where(event.c.at < at))
    return last or 0


_LATEST: Final = 2**63 - 1
_SURVIVOR: Final = patient.alias("surviving_patient")
_AFTER: Final = (
    select(
        event.c.pk,
        event.c.kind,
        event.c.at,
        event.c.object_kind,
        event.c.entry_uuid,
        patient.c.patient_id,
        _SURVIVOR.c.patient_id,
        event.c.submission_set,
        event.c.snapshot,
        event.c.snapshot_status,
    )
    .select_from(
        event.outerjoin(patient, event.c.patient == patient.c.pk).outerjoin(
            _SURVIVOR, event.c.survivor == _SURVIVOR.c.pk
        )
    )
    .where(event.c.pk > bindparam("number"), event.c.pk <= bindparam("until"))
    .order_by(event.c.pk)
    .limit(bindparam("at_most", type_=event.c.pk.type))
)
_HIGHEST: Final = select(func.max(event.c.pk))
_ANY_AFTER: Final = select(event.c.pk).where(event.c.pk > bindparam("last")).limit(1)


def is_any_after(connection: Connection, number: int) -> bool:
    """Tell whether anything has happened since an event number."""
    return bool(fetch(connection, _ANY_AFTER, {"last": number}))


def after(
    connection: Connection, number: int, *, until: int | None = None, at_most: int = 1_000
) -> list[Event]:
    """Return the events that follow a number, up to another one, oldest first."""
    bound = {"number": number, "until": _LATEST if until is None else until, "at_most": at_most}
    return [_event(row) for row in fetch(connection, _AFTER, bound)]


def removed(
    connection: Connection, kind: type[MetadataObject], uuids: Iterable[str]
) -> list[FoundObject]:
    """Return objects that were removed, as they were given out before."""
    wanted = list(uuids)
    if not wanted:
        return []
    rows = fetch(connection, _REMOVED, {"uuids": wanted, "kind": kind.KIND})
    return [
        FoundObject(
            kind=kind,
            number=0,
            entry_uuid=uuid,
            home_community_id=None,
            availability_status=status,
            patient_id=patient_id,
            last_update_time=at,
            fragment=snapshot,
        )
        for uuid, status, patient_id, at, snapshot in rows
    ]


_REMOVED: Final = (
    select(
        event.c.entry_uuid,
        event.c.snapshot_status,
        patient.c.patient_id,
        event.c.at,
        event.c.snapshot,
    )
    .select_from(event.join(patient, event.c.patient == patient.c.pk))
    .where(
        one_of.named(event.c.entry_uuid, "uuids"),
        event.c.snapshot.is_not(None),
        event.c.object_kind == bindparam("kind"),
    )
    .order_by(event.c.pk)
)

_BY_NAME: Final[Mapping[str, type[MetadataObject]]] = {kind.KIND: kind for kind in EVENT_OBJECTS}


def _event(row: Sequence[Any]) -> Event:
    *told, snapshot, status = row
    one = Event(*told)
    if snapshot is None:
        return one
    what = FoundObject(
        kind=_BY_NAME[one.object_kind],
        number=0,
        entry_uuid=one.entry_uuid or "",
        home_community_id=None,
        availability_status=status,
        patient_id=one.patient_id,
        last_update_time=one.at,
        fragment=snapshot,
    )
    return replace(one, removed=what)
