"""From a metadata object to its rows: the columns are filled by the declared attributes' names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select

from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.fragments import FIRST_VERSION, fragment
from xds.registry.patients import Patients, inserted_key
from xds.registry.surroundings import chunks
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


_INSERTS: Final = {table.name: insert(table) for table in (*TABLES.values(), *VALUES.values())}
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
        for text in dict.fromkeys(declared[name].texts(thing)):
            yield name, searchable(text)


def insert_objects(connection: Connection, objects: Sequence[Prepared], patients: Patients) -> None:
    """Insert objects with their searchable values, kind by kind, in the order given."""
    for kind, table in TABLES.items():
        chosen = [prepared for prepared in objects if type(prepared.thing) is kind]
        if not chosen:
            continue
        if kind is not Association:
            for one in chosen:
                one.row["patient"] = patients.key(_patient_id(one.thing))
        _insert(connection, table, chosen)


def _patient_id(thing: MetadataObject) -> str:
    assert isinstance(thing, DocumentEntry | SubmissionSet | Folder)
    assert thing.patient_id is not None, "a rule requires the patientId"
    return thing.patient_id


def _insert(connection: Connection, table: Table, chosen: Sequence[Prepared]) -> None:
    values = VALUES.get(table.name)
    if values is None or not any(one.values for one in chosen):
        connection.execute(_INSERTS[table.name], [one.row for one in chosen])
        return
    keys = _inserted_keys(connection, table, chosen)
    rows = [
        {"owner": keys[one.thing.id], "attribute": attribute, "value": value}
        for one in chosen
        for attribute, value in one.values
    ]
    connection.execute(_INSERTS[values.name], rows)


def _inserted_keys(
    connection: Connection, table: Table, chosen: Sequence[Prepared]
) -> Mapping[str, int]:
    if len(chosen) == 1:
        made = connection.execute(_INSERTS[table.name], chosen[0].row)
        return {chosen[0].thing.id: inserted_key(made)}
    connection.execute(_INSERTS[table.name], [one.row for one in chosen])
    keys: dict[str, int] = {}
    for chunk in chunks([one.thing.id for one in chosen]):
        query = select(table.c.entry_uuid, table.c.pk).where(table.c.entry_uuid.in_(chunk))
        keys.update((row.entry_uuid, row.pk) for row in connection.execute(query))
    return keys
