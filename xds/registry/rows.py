"""From a metadata object to its rows: the columns are filled by the declared attributes' names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table

from xds.database import Insertion, insert_all
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.fragments import FIRST_VERSION, fragment
from xds.registry.patients import Patients
from xds.registry.tables import (
    VALUE_ATTRIBUTES,
    VALUES,
    association,
    document_entry,
    folder,
    searchable,
    submission_set,
)

TABLES: Final[Mapping[type[MetadataObject], Table]] = {
    SubmissionSet: submission_set,
    DocumentEntry: document_entry,
    Folder: folder,
    Association: association,
}


def _columns(kind: type[MetadataObject]) -> tuple[str, ...]:
    """Return the columns that a declared attribute of the same name fills."""
    special = {"patient", "availability_status", "logical_id", "last_update_time"}
    declared = kind.attributes()
    return tuple(c.name for c in TABLES[kind].columns if c.name in declared.keys() - special)


_COLUMNS: Final = {kind: _columns(kind) for kind in TABLES}
_VALUE_ATTRIBUTES: Final = {
    kind: tuple(name for name in VALUE_ATTRIBUTES.terms if name in kind.attributes())
    for kind in TABLES
    if kind is not Association
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """One object ready for its table: all but what only the transaction knows."""

    thing: MetadataObject
    row: dict[str, Any]
    values: tuple[tuple[str, str], ...] = field(default=())


def prepared(thing: MetadataObject, now: str, version: int = FIRST_VERSION) -> Prepared:
    """Render an object and pick out what is searched; ``now`` is the time of registration."""
    kind = type(thing)
    declared = kind.attributes()
    row: dict[str, Any] = {
        name: searchable(texts[0]) if any(texts := declared[name].texts(thing)) else None
        for name in _COLUMNS[kind]
    }
    row["availability_status"] = v.APPROVED
    row["fragment"] = fragment(thing, version)
    if kind is not Association:
        row["registered_at"] = row["last_updated_at"] = now
    if isinstance(thing, DocumentEntry | Folder):
        row["logical_id"] = thing.logical_id or thing.id
        row["version"] = version
    if isinstance(thing, DocumentEntry):
        row["size"] = int(thing.size) if thing.size else None
    if isinstance(thing, Folder):
        row["last_update_time"] = now
    return Prepared(thing, row, tuple(_values(thing)))


def _values(thing: MetadataObject) -> Iterator[tuple[str, str]]:
    declared = type(thing).attributes()
    for name in _VALUE_ATTRIBUTES.get(type(thing), ()):
        for text in dict.fromkeys(map(searchable, declared[name].texts(thing))):
            yield name, text


def settle(objects: Sequence[Prepared], patients: Patients) -> None:
    """Give objects the rows of their patients, some of whom may be learnt by it."""
    for one in objects:
        if not isinstance(one.thing, Association):
            one.row["patient"] = patients.key(_patient_id(one.thing))


def insert_objects(connection: Connection, objects: Sequence[Prepared]) -> None:
    """Insert objects with their searchable values, kind by kind, in the order given."""
    insert_all(connection, [_insertion(kind, objects) for kind in TABLES])


def _patient_id(thing: MetadataObject) -> str:
    assert isinstance(thing, DocumentEntry | SubmissionSet | Folder)
    assert thing.patient_id is not None, "a rule requires the patientId"
    return thing.patient_id


def _insertion(kind: type[MetadataObject], objects: Sequence[Prepared]) -> Insertion:
    chosen = [one for one in objects if type(one.thing) is kind]
    table = TABLES[kind]
    parts = [
        {"owner": one.thing.id, "attribute": attribute, "value": value}
        for one in chosen
        for attribute, value in one.values
    ]
    return Insertion(table, [one.row for one in chosen], VALUES.get(table.name), parts)
