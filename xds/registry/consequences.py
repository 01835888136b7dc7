"""What a submission changes in the registry beyond its own objects (ITI TF-2 3.42.4.1.3.3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from xds.database.lists import one_of
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject
from xds.metadata.rules.case import RegisteredObject, RegistryState
from xds.metadata.submission import Submission
from xds.registry.events import (
    APPROVED,
    CONTENT_REMOVED,
    CONTENT_UPDATED,
    DEPRECATED,
    SUPERSEDED,
    NewEvent,
)
from xds.registry.tables import TABLES, association, document_entry, folder
from xds.registry.versions import entries as versions
from xds.registry.versions.entries import Versioned

_DEPENDANTS: Final = select(association.c.source).where(
    one_of.named(association.c.target, "uuids"),
    association.c.association_type.in_((v.XFRM, v.APND)),
)
_APPROVED_ENTRIES: Final = select(
    document_entry.c.pk, document_entry.c.entry_uuid, document_entry.c.patient
).where(
    one_of.named(document_entry.c.entry_uuid, "uuids"),
    document_entry.c.availability_status == v.APPROVED,
)
_FOLDERS: Final = select(folder.c.pk, folder.c.entry_uuid, folder.c.patient).where(
    one_of.named(folder.c.entry_uuid, "uuids")
)


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Another availabilityStatus of a registered object."""

    kind: type[MetadataObject]
    entry_uuid: str
    status: str


@dataclass(frozen=True, slots=True)
class Consequences:
    """The consequences of one submission, planned before anything is written."""

    replaced: tuple[str, ...] = ()
    """entryUUIDs of the DocumentEntries that the submission replaces."""
    replacing: frozenset[str] = frozenset()
    """entryUUIDs of those that take their place, and stay Approved whatever they derive from."""
    associations: tuple[Association, ...] = ()
    """Folder memberships that replacements inherit, with their place in the SubmissionSet."""
    folders: tuple[str, ...] = field(default=())
    """entryUUIDs of the registered Folders that receive a DocumentEntry."""
    losing: tuple[str, ...] = ()
    """entryUUIDs of the registered Folders that lose one."""
    superseded: tuple[RegisteredObject, ...] = ()
    """The versions that further ones take the place of."""
    statuses: tuple[StatusChange, ...] = ()


def plan(submission: Submission, state: RegistryState) -> Consequences:
    """Work out the consequences of a submission whose ids are UUIDs."""
    replacements = [a for a in submission.relationships() if a.association_type in v.REPLACEMENTS]
    members = {(a.source, a.target) for a in submission.associations}
    inherited = [
        (replacement.source, held.entry_uuid)
        for replacement in replacements
        for held in state.objects[replacement.target].folders
        if (held.entry_uuid, replacement.source) not in members
    ]
    associations = tuple(_inherited(submission.submission_set.id, dict.fromkeys(inherited)))
    named = {a.source: None for a in submission.associations}
    gaining = [u for u in named if u in state.objects and state.objects[u].kind is Folder]
    return Consequences(
        replaced=tuple({a.target: None for a in replacements}),
        replacing=frozenset(a.source for a in replacements),
        associations=associations,
        folders=tuple(dict.fromkeys([*gaining, *(holder for _, holder in inherited)])),
    )


def _inherited(
    submission_set: str, memberships: Iterable[tuple[str, str]]
) -> Iterator[Association]:
    for entry, holder in memberships:
        membership = _has_member(holder, entry)
        yield membership
        yield _has_member(submission_set, membership.id)


def _has_member(source: str, target: str) -> Association:
    return Association.create(association_type=v.HAS_MEMBER, source=source, target=target)


def apply(connection: Connection, consequences: Consequences, *, now: str) -> list[NewEvent]:
    """Deprecate what is replaced, with its addenda and transformations, and date the Folders.

    The cascade follows addenda and transformations to any depth: a transformation of an addendum
    to a replaced document is no more current than the document.
    """
    written: list[NewEvent] = []
    if consequences.replaced:
        written += _deprecate(connection, _with_dependants(connection, consequences), now)
    if consequences.superseded:
        written += _supersede(connection, consequences.superseded, now)
    if consequences.statuses:
        written += _change_statuses(connection, consequences.statuses, now)
    if consequences.folders:
        written += _update_folders(connection, consequences.folders, now, CONTENT_UPDATED)
    if consequences.losing:
        written += _update_folders(connection, consequences.losing, now, CONTENT_REMOVED)
    return written


def _with_dependants(connection: Connection, consequences: Consequences) -> list[str]:
    found = dict.fromkeys(consequences.replaced)
    frontier = list(consequences.replaced)
    while frontier:
        dependants = connection.scalars(_DEPENDANTS, {"uuids": frontier}).all()
        new = set(dependants) - found.keys() - consequences.replacing
        frontier = [uuid for uuid in dict.fromkeys(dependants) if uuid in new]
        found |= dict.fromkeys(frontier)
    return list(found)


def _deprecate(connection: Connection, uuids: list[str], now: str) -> Iterator[NewEvent]:
    rows = connection.execute(_APPROVED_ENTRIES, {"uuids": uuids}).all()
    connection.execute(
        update(document_entry)
        .where(one_of.fixed(document_entry.c.pk, [row.pk for row in rows]))
        .values(availability_status=v.DEPRECATED, last_updated_at=now)
    )
    for row in rows:
        yield NewEvent(DEPRECATED, DocumentEntry, row.entry_uuid, row.patient)


def _supersede(
    connection: Connection, superseded: Sequence[RegisteredObject], now: str
) -> Iterator[NewEvent]:
    kinds: tuple[type[Versioned], ...] = (DocumentEntry, Folder)
    for kind in kinds:
        of_kind = [one for one in superseded if one.kind is kind]
        if not of_kind:
            continue
        uuids = [one.entry_uuid for one in of_kind]
        patients = versions.deprecate(connection, kind, uuids, now=now)
        for one in of_kind:
            if one.availability_status == v.APPROVED:
                yield NewEvent(SUPERSEDED, kind, one.entry_uuid, patients[one.entry_uuid])


def _change_statuses(
    connection: Connection, changes: Iterable[StatusChange], now: str
) -> Iterator[NewEvent]:
    for change in changes:
        table = TABLES[change.kind]
        own = table.c.entry_uuid == change.entry_uuid
        if change.kind is Association:
            connection.execute(update(table).where(own).values(availability_status=change.status))
            continue
        row = _row(connection, change.kind, change.entry_uuid)
        values = {"availability_status": change.status, "last_updated_at": now}
        connection.execute(update(table).where(own).values(values))
        kind = DEPRECATED if change.status == v.DEPRECATED else APPROVED
        yield NewEvent(kind, change.kind, change.entry_uuid, row.patient)


def _row(connection: Connection, kind: type[MetadataObject], entry_uuid: str) -> Row[Any, Any]:
    table = TABLES[kind]
    query = select(table.c.patient, table.c.availability_status)
    return connection.execute(query.where(table.c.entry_uuid == entry_uuid)).one()


def _update_folders(
    connection: Connection, uuids: tuple[str, ...], now: str, happened: str
) -> Iterator[NewEvent]:
    rows = connection.execute(_FOLDERS, {"uuids": uuids}).all()
    connection.execute(
        update(folder)
        .where(one_of.fixed(folder.c.pk, [row.pk for row in rows]))
        .values(last_update_time=now, last_updated_at=now)
    )
    for row in rows:
        yield NewEvent(happened, Folder, row.entry_uuid, row.patient)
