"""Finding objects: the SELECTs that stored queries are made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Table,
    exists,
    or_,
    select,
    union,
)

from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.fragments import FoundObject
from xds.registry.parameters import Arguments, Match, Parameter
from xds.registry.surroundings import chunks
from xds.registry.tables import (
    VALUES,
    association,
    document_entry,
    folder,
    patient,
    submission_set,
)

Condition = ColumnElement[bool]

_KINDS: Final[Mapping[str, type[MetadataObject]]] = {
    "submission_set": SubmissionSet,
    "document_entry": DocumentEntry,
    "folder": Folder,
    "association": Association,
}


def _selection(table: Table, *, fragments: bool) -> Select[Any]:
    columns = [table.c.entry_uuid, table.c.home_community_id, table.c.availability_status]
    source: Any = table
    if table is not association:
        columns.append(patient.c.patient_id)
        source = table.join(patient, table.c.patient == patient.c.pk)
    else:
        columns += [table.c.source, table.c.target]
    if table is folder:
        columns.append(table.c.last_update_time)
    if fragments:
        columns.append(table.c.fragment)
    return select(*columns).select_from(source).order_by(table.c.pk)


_SELECTIONS: Final = {
    (table.name, fragments): _selection(table, fragments=fragments)
    for table in (submission_set, document_entry, folder, association)
    for fragments in (False, True)
}


@dataclass(frozen=True, slots=True)
class Search:
    """One query under way: where to look, and whether metadata is wanted or references only."""

    connection: Connection
    fragments: bool

    def objects(self, table: Table, *conditions: Condition) -> list[FoundObject]:
        """Return a table's objects that meet all conditions, in the order of registration."""
        query = _SELECTIONS[table.name, self.fragments].where(*conditions)
        kind = _KINDS[table.name]
        return [FoundObject(kind, **row) for row in self.connection.execute(query).mappings()]

    def objects_in(
        self, table: Table, column: str, values: Iterable[str], *conditions: Condition
    ) -> list[FoundObject]:
        """Return the objects whose column has one of many values, and meet all conditions."""
        found: list[FoundObject] = []
        for chunk in chunks(values):
            found.extend(self.objects(table, table.c[column].in_(chunk), *conditions))
        return found

    def touching_any(self, entry_uuids: Iterable[str], *conditions: Condition) -> list[FoundObject]:
        """Return the Associations with a source or target among the entryUUIDs."""
        uuids = list(entry_uuids)
        found = {
            one.entry_uuid: one
            for column in ("source", "target")
            for one in self.objects_in(association, column, uuids, *conditions)
        }
        return list(found.values())

    def touching(self, entry_uuids: Select[Any] | CompoundSelect[Any]) -> list[FoundObject]:
        """Return the Associations that have a source or target among the selected entryUUIDs."""
        among = entry_uuids.subquery()
        uuid = among.c[0]
        keys = union(
            select(association.c.pk).join(among, association.c.source == uuid),
            select(association.c.pk).join(among, association.c.target == uuid),
        )
        return self.objects(association, association.c.pk.in_(select(keys.subquery().c.pk)))


def of_patient(table: Table, patient_ids: Sequence[str]) -> Condition:
    """The object is of one of the patients."""
    keys = select(patient.c.pk).where(patient.c.patient_id.in_(patient_ids))
    return table.c.patient.in_(keys)


def conditions(
    table: Table, parameters: Iterable[Parameter], arguments: Arguments
) -> list[Condition]:
    """Return a condition for each given parameter that looks at an attribute of the table."""
    return [
        _condition(table, parameter, group)
        for parameter in parameters
        if parameter.match is not Match.STEP and parameter.name in arguments
        for group in arguments.groups(parameter.name)
    ]


def _condition(table: Table, parameter: Parameter, group: tuple[str, ...]) -> Condition:
    name = parameter.attribute
    if name == "patient_id":
        return of_patient(table, group)
    column: Any = table.c.get(name)
    if column is None:
        return _value_condition(table, parameter, group)
    if parameter.match is Match.FROM:
        return or_(column.is_(None), column >= group[0])
    if parameter.match is Match.TO:
        return or_(column.is_(None), column < group[0])
    return _comparison(column, parameter, group)


def _comparison(column: Any, parameter: Parameter, group: tuple[str, ...]) -> Condition:
    if parameter.match is Match.LIKE:
        return or_(*(column.like(_literal_backslashes(p), escape="\\") for p in group))
    found: Condition = column.in_(group)
    return found


def _literal_backslashes(pattern: str) -> str:
    """IHE defines no escape character, so a backslash in a pattern means itself."""
    return pattern.replace("\\", "\\\\")


def _value_condition(table: Table, parameter: Parameter, group: tuple[str, ...]) -> Condition:
    values = VALUES[table.name]
    return exists().where(
        values.c.owner == table.c.pk,
        values.c.attribute == parameter.attribute,
        _comparison(values.c.value, parameter, group),
    )
