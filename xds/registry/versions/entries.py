"""Versions of DocumentEntries and Folders (ITI TF-3 4.1.5): what a further version brings about.

A version is an object of its own: it has the logicalID and uniqueId of the one before, the next
number, and parts with ids of their own. The version before is Deprecated. Associations join
versions and not logical objects, so those that are to hold for the new version are made again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Row, bindparam, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import RegistryObject
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject
from xds.registry.storage.fragments import FoundObject, parsed
from xds.registry.tables import TABLES, association, submission_set

T = TypeVar("T", bound=MetadataObject)
Versioned = DocumentEntry | Folder

_MADE_AGAIN: Final = (v.HAS_MEMBER, *sorted(v.RELATIONSHIPS))
"""The types of the Associations that a further version can have of the one before."""


def uuids_in(column: Any) -> Any:
    """Return the condition that a column is among the values of the parameter ``uuids``."""
    return one_of.named(column, "uuids")


_ASSOCIATIONS: Final = (
    select(
        association.c.pk,
        association.c.entry_uuid,
        association.c.home_community_id,
        association.c.source,
        association.c.target,
        association.c.fragment,
    )
    .where(
        or_(uuids_in(association.c.source), uuids_in(association.c.target)),
        one_of.fixed(association.c.association_type, _MADE_AGAIN),
        association.c.availability_status == v.APPROVED,
    )
    .order_by(association.c.pk)
)
_OF_OTHERS: Final = _ASSOCIATIONS.where(
    ~select(submission_set.c.pk).where(submission_set.c.entry_uuid == association.c.source).exists()
)
"""The same without the HasMembers of SubmissionSets."""


def _deprecating(kind: type[Versioned], condition: Any) -> ReturningUpdate[Any]:
    table = TABLES[kind]
    return (
        update(table)
        .where(condition)
        .values(availability_status=v.DEPRECATED, is_latest=0, last_updated_at=bindparam("at"))
        .returning(table.c.entry_uuid, table.c.patient)
    )


_KINDS: Final[tuple[type[Versioned], ...]] = (DocumentEntry, Folder)
_DEPRECATE: Final = {
    kind: _deprecating(kind, uuids_in(TABLES[kind].c.entry_uuid)) for kind in _KINDS
}
_DEPRECATE_ONE: Final = {
    kind: _deprecating(kind, TABLES[kind].c.entry_uuid == bindparam("uuid")) for kind in _KINDS
}


def each(connection: Connection, query: Any, uuids: Iterable[str]) -> Iterator[Row[Any]]:
    """Yield the rows of a query that has :func:`uuids_in`, for any number of UUIDs."""
    if wanted := list(uuids):
        yield from connection.execute(query, {"uuids": wanted})


def things(
    kind: type[Versioned], rows: Sequence[Row[Any]], patient_id: str = ""
) -> list[Versioned]:
    """Read the objects of rows of their table; the patientId is the one given."""
    return cast(
        "list[Versioned]",
        parsed(
            FoundObject(
                kind=kind,
                number=row.pk,
                entry_uuid=row.entry_uuid,
                home_community_id=row.home_community_id,
                availability_status=row.availability_status,
                patient_id=patient_id,
                last_update_time=getattr(row, "last_update_time", None),
                fragment=row.fragment,
            )
            for row in rows
        ),
    )


def associations(
    connection: Connection, entry_uuids: Iterable[str], *, of_sets: bool = True
) -> list[Association]:
    """Return the Approved memberships and relationships of objects, in order of registration.

    ``of_sets`` tells whether those that make them members of SubmissionSets are among them.
    """
    wanted = list(entry_uuids)
    query = _ASSOCIATIONS if of_sets else _OF_OTHERS
    return read_associations(fetch(connection, query, {"uuids": wanted}) if wanted else ())


def read_associations(rows: Iterable[Sequence[Any]]) -> list[Association]:
    """Read Approved Associations of rows: key, UUID, home community, source, target, fragment."""
    found = parsed(
        FoundObject(
            kind=Association,
            number=pk,
            entry_uuid=entry_uuid,
            home_community_id=home_community_id,
            availability_status=v.APPROVED,
            source=source,
            target=target,
            fragment=fragment,
        )
        for pk, entry_uuid, home_community_id, source, target, fragment in rows
    )
    return cast("list[Association]", found)


def made_again(old: Association, ends: Mapping[str, str], identifier: str) -> Association:
    """Return an Association once more, between what stands for its ends from now on."""
    return ebrim.changed(
        with_new_parts(old),
        id=identifier,
        sourceObject=ends.get(old.source, old.source),
        targetObject=ends.get(old.target, old.target),
    )


def with_new_parts(thing: T) -> T:
    """Give the parts of an object symbolic ids: a part belongs to one version."""

    def renamed(parts: Sequence[RegistryObject]) -> tuple[RegistryObject, ...]:
        return tuple(ebrim.changed(part, id=f"part {i}") for i, part in enumerate(parts))

    return ebrim.changed(
        thing,
        classifications=renamed(thing.classifications),
        external_identifiers=renamed(thing.external_identifiers),
    )


def members(
    submission_set: str, held: Iterable[MetadataObject], home_community_id: str | None
) -> Iterator[Association]:
    """Yield the HasMembers of a SubmissionSet; their ids are symbolic."""
    for number, one in enumerate(held):
        yield Association.create(
            entry_uuid=f"member {number}",
            association_type=v.HAS_MEMBER,
            source=submission_set,
            target=one.id,
            submission_set_status=v.ORIGINAL if isinstance(one, DocumentEntry) else None,
            home_community_id=home_community_id,
        )


def deprecate(
    connection: Connection, kind: type[Versioned], entry_uuids: Iterable[str], *, now: str
) -> Mapping[str, int]:
    """Deprecate versions that a further one has taken the place of; return their patients' rows."""
    match list(entry_uuids):
        case [uuid]:
            rows = fetch(connection, _DEPRECATE_ONE[kind], {"uuid": uuid, "at": now})
        case uuids:
            rows = fetch(connection, _DEPRECATE[kind], {"uuids": uuids, "at": now})
    return dict(rows)
