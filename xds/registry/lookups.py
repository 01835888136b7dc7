"""What the registry has of the objects that a submission names, looked up in its transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    Select,
    Text,
    cast,
    literal,
    null,
    select,
    union,
    union_all,
)

from xds.database.lists import none_of, one_of
from xds.database.reading import fetch
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.rules.case import RegisteredObject, RegistryState
from xds.metadata.submission import Submission
from xds.metadata.unique_ids import normal
from xds.registry.storage.fragments import FoundObject, parsed
from xds.registry.tables import TABLES, association, document_entry, folder, is_latest, patient

T = TypeVar("T")

_KINDS: Final[tuple[type[MetadataObject], ...]] = (
    DocumentEntry,
    SubmissionSet,
    Folder,
    Association,
)

_ABSENT: Final[Mapping[str, Any]] = {
    "logical_id": document_entry.c.logical_id.type,
    "version": Integer(),
    "is_latest": Integer(),
    "source_patient_id": Text(),
    "repository_unique_id": Text(),
    "document_availability": Text(),
    "association_type": association.c.association_type.type,
    "source": association.c.source.type,
    "target": association.c.target.type,
}
"""The columns that not every kind has, with their types."""
FACTS: Final = (
    *("kind", "entry_uuid", "availability_status", "patient_id", "unique_id"),
    *("object_type", "hash", "size", *_ABSENT, "home_community_id"),
)
"""The columns of :func:`_facts`, in their order, by the fields of a RegisteredObject."""


def _facts(kind: type[MetadataObject]) -> Select[Any]:
    """Select a RegisteredObject's facts in the same columns for every kind."""
    table = TABLES[kind]
    is_entry = kind is DocumentEntry
    has_patient = kind is not Association
    nothing = {name: cast(null(), kind).label(name) for name, kind in _ABSENT.items()}
    columns = [
        literal(_KINDS.index(kind), Integer).label("kind"),
        table.c.entry_uuid,
        table.c.availability_status,
        (patient.c.patient_id if has_patient else cast(null(), Text)).label("patient_id"),
        (table.c.unique_id if has_patient else cast(null(), Text)).label("unique_id"),
        (table.c.object_type if is_entry else cast(null(), Integer)).label("object_type"),
        (table.c.hash if is_entry else cast(null(), Text)).label("hash"),
        (table.c.size if is_entry else cast(null(), Integer)).label("size"),
        *(table.c.get(name, absent) for name, absent in nothing.items()),
        table.c.home_community_id,
    ]
    source = table.join(patient, table.c.patient == patient.c.pk) if has_patient else table
    return select(*columns).select_from(source)


_BY_UUID: Final = union_all(
    *(_facts(kind).where(one_of.named(TABLES[kind].c.entry_uuid, "uuids")) for kind in _KINDS)
)


def latest_where(
    condition: Callable[[Any], Any],
    kinds: Sequence[type[MetadataObject]],
    *further: ColumnElement[Any],
) -> Select[Any] | CompoundSelect[Any]:
    """Select the facts of the latest versions of some kinds that meet a condition of logicalIDs.

    ``further`` are columns of the table of patients.
    """
    each = [
        _facts(kind)
        .add_columns(*further)
        .where(condition(TABLES[kind].c.logical_id), is_latest(TABLES[kind]))
        for kind in kinds
    ]
    return each[0] if len(each) == 1 else union_all(*each)


_BY_UNIQUE_ID: Final = union_all(
    *(
        _facts(kind).where(one_of.named(TABLES[kind].c.unique_id, "ids"))
        for kind in _KINDS
        if kind is not Association
    )
)
BEARERS: Final = tuple(table for kind, table in TABLES.items() if kind is not Association)
_PROBES: Final = union(
    *(
        select(table.c.unique_id).where(one_of.named(table.c.unique_id, "unique_ids"))
        for table in BEARERS
    )
)
_PROBES_OF_OTHERS: Final = union(
    *(
        select(table.c.unique_id).where(
            one_of.named(table.c.unique_id, "unique_ids"),
            *(none_of.named(one, "logical_ids") for one in table.c if one.name == "logical_id"),
        )
        for table in BEARERS
    )
)
"""The same without the versions of some logical objects."""
_TRANSFORMATIONS: Final = select(association.c.source).where(
    one_of.named(association.c.source, "uuids"),
    association.c.association_type == v.XFRM,
)
_FRAGMENTS: Final = select(document_entry.c.entry_uuid, document_entry.c.fragment).where(
    one_of.named(document_entry.c.entry_uuid, "uuids")
)
_FOLDERS: Final = (
    select(association.c.target, folder.c.entry_uuid, patient.c.patient_id)
    .select_from(
        association.join(folder, association.c.source == folder.c.entry_uuid).join(
            patient, folder.c.patient == patient.c.pk
        )
    )
    .where(
        one_of.named(association.c.target, "uuids"),
        association.c.association_type == v.HAS_MEMBER,
        association.c.availability_status == v.APPROVED,
        folder.c.availability_status == v.APPROVED,
    )
    .order_by(folder.c.pk)
)


def refers(submission: Submission) -> bool:
    """Tell whether the submission names what is registered: by an Association or a logicalID."""
    if logical_ids(submission):
        return True
    ends = (end for a in submission.associations for end in (a.source, a.target))
    return any(ebrim.is_uuid(end) and end not in submission.by_id for end in ends)


def logical_ids(submission: Submission) -> list[str]:
    """Return the logicalIDs of objects of which the submission brings a further version."""
    found = (*submission.document_entries, *submission.folders)
    return list({one.lid: None for one in found if one.lid and one.lid != one.id})


def registered(connection: Connection, uuids: Iterable[str]) -> Mapping[str, RegisteredObject]:
    """Return what is registered under some entryUUIDs."""
    found = _registered(connection, _BY_UUID, "uuids", list(uuids), (), {})
    return {one.entry_uuid: one for one in found}


def with_things(
    connection: Connection, found: Mapping[str, RegisteredObject]
) -> Mapping[str, RegisteredObject]:
    """Return the same DocumentEntries, each with its metadata."""
    named = {one.entry_uuid: key for key, one in found.items() if one.kind is DocumentEntry}
    query = _FRAGMENTS
    rows = connection.execute(query, {"uuids": list(named)}) if named else ()
    things = parsed(
        FoundObject(DocumentEntry, 0, row.entry_uuid, None, v.APPROVED, fragment=row.fragment)
        for row in rows
    )
    by_key = {named[thing.id]: thing for thing in things}
    return {key: replace(one, thing=by_key.get(key)) for key, one in found.items()}


def registry_state(
    connection: Connection,
    submission: Submission,
    refused_patients: frozenset[str],
    in_use: Sequence[str] | None = None,
    latest: Mapping[str, RegisteredObject] = MappingProxyType({}),
    associations: tuple[Association, ...] = (),
) -> RegistryState:
    """Read what is registered of everything that the submission names by entryUUID and uniqueId.

    Of an update it is known already which of its uniqueIds something else has (``in_use``), the
    latest versions, and their Associations.
    """
    uuids = _uuids(submission)
    relations = {a.target for a in submission.relationships() if ebrim.is_uuid(a.target)}
    transformations, folders = _relations(connection, relations)
    objects = {
        found.entry_uuid: found
        for found in _registered(connection, _BY_UUID, "uuids", uuids, transformations, folders)
    }
    by_unique_id: dict[str, list[RegisteredObject]] = {}
    if in_use is None:
        in_use = used(connection, unique_ids(submission))
    for found in _registered(connection, _BY_UNIQUE_ID, "ids", list(in_use), (), {}):
        by_unique_id.setdefault(found.unique_id or "", []).append(found)
    return RegistryState(
        objects=objects,
        unique_ids={unique_id: tuple(found) for unique_id, found in by_unique_id.items()},
        latest=latest,
        associations=associations,
        refused_patients=refused_patients,
    )


def used(connection: Connection, wanted: Sequence[str], but_for: Sequence[str] = ()) -> list[str]:
    """Return those of some uniqueIds that are in use: nearly always none, and no more is read.

    ``but_for`` are logicalIDs of objects whose versions do not count.
    """
    statement = _PROBES_OF_OTHERS if but_for else _PROBES
    bound = {"unique_ids": wanted, "logical_ids": but_for}
    return [one for (one,) in fetch(connection, statement, bound)]


def _uuids(submission: Submission) -> list[str]:
    named = {thing.id: None for thing in submission.objects}
    for found in submission.associations:
        named |= {found.source: None, found.target: None}
    return [identifier for identifier in named if ebrim.is_uuid(identifier)]


def bearers(submission: Submission) -> tuple[SubmissionSet | DocumentEntry | Folder, ...]:
    """Return the objects that have a uniqueId and a patientId."""
    return (*submission.submission_sets, *submission.document_entries, *submission.folders)


def unique_ids(submission: Submission) -> list[str]:
    """Return the uniqueIds of a submission in their normal form, each once."""
    found = (thing.unique_id for thing in bearers(submission))
    return list({normal(one): None for one in found if one})


def _registered(
    connection: Connection,
    statement: Any,
    parameter: str,
    values: list[str],
    transformations: Iterable[str],
    folders: Mapping[str, tuple[RegisteredObject, ...]],
) -> Iterable[RegisteredObject]:
    if not values:
        return
    for row in fetch(connection, statement, {parameter: values}):
        found = registered_object(row)
        uuid = found.entry_uuid
        if uuid in transformations or uuid in folders:
            found = replace(
                found, is_transformation=uuid in transformations, folders=folders.get(uuid, ())
            )
        yield found


def registered_object(row: Sequence[Any]) -> RegisteredObject:
    """Read a row that begins with the columns of :data:`FACTS`."""
    facts = dict(zip(FACTS, row, strict=False))
    facts["kind"] = _KINDS[facts["kind"]]
    facts["is_latest"] = facts["is_latest"] != 0
    return RegisteredObject(**facts)


def _relations(
    connection: Connection, targets: set[str]
) -> tuple[set[str], Mapping[str, tuple[RegisteredObject, ...]]]:
    """Return which targets are transformations, and the Approved Folders that hold each."""
    transformations: set[str] = set()
    folders: dict[str, tuple[RegisteredObject, ...]] = {}
    if targets:
        uuids = list(targets)
        transformations |= set(connection.scalars(_TRANSFORMATIONS, {"uuids": uuids}))
        for target, entry_uuid, patient_id in connection.execute(_FOLDERS, {"uuids": uuids}):
            found = RegisteredObject(kind=Folder, entry_uuid=entry_uuid, patient_id=patient_id)
            folders[target] = (*folders.get(target, ()), found)
    return transformations, folders
