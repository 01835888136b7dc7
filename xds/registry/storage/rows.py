"""From a metadata object to its rows: the columns are filled by the declared attributes' names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from xds.database.statements import Insertion, insert_all
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.searched import searchable
from xds.registry.patients import Patients
from xds.registry.storage.fragments import FIRST_VERSION, fragment
from xds.registry.tables import (
    SEARCH_VERSIONS,
    TABLES,
    VALUE_ATTRIBUTES,
    VALUES,
)


def _valued(kind: type[MetadataObject]) -> Iterator[str]:
    return (name for name in VALUE_ATTRIBUTES.terms if name in kind.indexes())


_OF_REGISTRY: Final = frozenset({"availability_status", "logical_id", "last_update_time"})
"""Columns of attributes whose value the registry decides."""
_COLUMNS: Final = {
    kind: tuple(
        (name, index.texts)
        for name, index in kind.indexes().items()
        if name in TABLES[kind].c and name not in _OF_REGISTRY and index.single
    )
    for kind in TABLES
}
_VALUES: Final = {
    kind: tuple((name, kind.indexes()[name].texts) for name in _valued(kind)) for kind in TABLES
}


@dataclass(frozen=True, slots=True)
class PreparedObject:
    """One object ready for its table: all but what only the transaction knows."""

    thing: MetadataObject
    row: dict[str, Any]
    values: tuple[tuple[str, str], ...] = field(default=())


def prepared(
    thing: MetadataObject, now: str, version: int = FIRST_VERSION, status: str = v.APPROVED
) -> PreparedObject:
    """Render an object and pick out what is searched; ``now`` is the time of registration."""
    kind = type(thing)
    row = columns(thing)
    row["availability_status"] = status
    row["fragment"] = fragment(thing, version)
    if kind is not Association:
        row["registered_at"] = row["last_updated_at"] = now
        row["search_version"] = SEARCH_VERSIONS[TABLES[kind].name]
    if isinstance(thing, DocumentEntry | Folder):
        row["logical_id"] = thing.logical_id or thing.id
        row["version"] = version
        row["is_latest"] = 1
    if isinstance(thing, Folder):
        row["last_update_time"] = now
    return PreparedObject(thing, row, tuple(values(thing)))


def columns(thing: MetadataObject) -> dict[str, Any]:
    """Return what is searched of an object and stands in columns."""
    return {
        name: _kept(found[0]) if any(found := texts(thing)) else None
        for name, texts in _COLUMNS[type(thing)]
    }


def values(thing: MetadataObject) -> Iterator[tuple[str, str]]:
    """Yield what is searched of an object and stands in rows: the attribute, and a value."""
    for name, texts in _VALUES[type(thing)]:
        if found := texts(thing):
            yield from [(name, text) for text in dict.fromkeys(map(_kept, found))]


def _kept(text: str) -> str:
    """Return what ``searchable`` returns, which is most often the text itself."""
    return text if text.isascii() and "\0" not in text else searchable(text)


def assign_patients(objects: Sequence[PreparedObject], patients: Patients) -> None:
    """Give objects the rows of their patients, some of whom may be learnt by it."""
    for one in objects:
        if not isinstance(one.thing, Association):
            one.row["patient"] = patients.key(_patient_id(one.thing))


def insert_objects(connection: Connection, objects: Sequence[PreparedObject]) -> None:
    """Insert objects with their searchable values, kind by kind, in the order given."""
    insert_all(connection, [_insertion(kind, objects) for kind in TABLES])


def _patient_id(thing: MetadataObject) -> str:
    assert isinstance(thing, DocumentEntry | SubmissionSet | Folder)
    assert thing.patient_id is not None, "a rule requires the patientId"
    return thing.patient_id


def _insertion(kind: type[MetadataObject], objects: Sequence[PreparedObject]) -> Insertion:
    chosen = [one for one in objects if type(one.thing) is kind]
    table = TABLES[kind]
    parts = [
        {"owner": one.thing.id, "attribute": attribute, "value": value}
        for one in chosen
        for attribute, value in one.values
    ]
    return Insertion(table, [one.row for one in chosen], VALUES.get(table.name), parts)
