"""What the registry has of the objects that an update brings further versions of, in one statement.

An update is a registration that reads more: the latest versions with what they are joined with,
beside the patients and the uniqueIds in use. To ask for each by itself would cost it more than all
that it writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Integer,
    Label,
    Select,
    bindparam,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import TypeEngine

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder
from xds.metadata.rules.case import RegisteredObject
from xds.metadata.submission import Submission
from xds.metadata.unique_ids import normal
from xds.registry import lookups
from xds.registry.lookups import BEARERS, FACTS, latest_where
from xds.registry.tables import Key, association, folder, patient
from xds.registry.versions.entries import Versioned, read_associations

_IN_USE, _JOINED = range(-2, 0)
"""What a row is of that is no object of :data:`FACTS`, in the column of the kind."""
_FURTHER: Final[Mapping[str, TypeEngine[Any]]] = {
    "patient": Key,
    "survivor": Key,
    "pk": Key,
    "fragment": association.c.fragment.type,
}
_NAMES: Final = (*FACTS, *_FURTHER)
_ENTRIES: Final[tuple[type[Versioned], ...]] = (DocumentEntry,)
_VERSIONED: Final[tuple[type[Versioned], ...]] = (DocumentEntry, Folder)
_Row = tuple[Any, ...]
_Condition = Callable[[Any, str], Any]
"""Makes the condition that a column is a parameter of that name, or one of it."""


def _of(*names: str) -> Callable[[Sequence[Any]], Any]:
    return itemgetter(*(_NAMES.index(name) for name in names))


_patient = _of("patient_id", "patient", "survivor")
_unique_id = _of("unique_id")
_pk = _of("pk")
_joined = _of("pk", "entry_uuid", "home_community_id", "source", "target", "fragment")


@dataclass(frozen=True, slots=True)
class KnownOfUpdate:
    """What is registered of what an update names by logicalID or uniqueId."""

    patients: Sequence[tuple[str, int, int | None]]
    """Those of the latest versions: id, row, and the row of the survivor after a merge."""
    in_use: Sequence[str]
    """The uniqueIds that something else has, in their normal form."""
    latest: Mapping[str, RegisteredObject]
    """The latest versions by their logicalIDs."""
    associations: tuple[Association, ...]
    """The Approved memberships and relationships of these, in order of registration."""


def known_of_update(
    connection: Connection, submission: Submission, *, of_sets: bool
) -> KnownOfUpdate:
    """Read what is registered of an update that brings further versions.

    ``of_sets`` tells whether the memberships of SubmissionSets are among the Associations.
    """
    logical_ids = lookups.logical_ids(submission)
    names = [normal(one.unique_id or "") for one in submission.submission_sets]
    kinds = _ENTRIES if not submission.folders else _VERSIONED
    objects, in_use, joined = _read(connection, kinds, logical_ids, names, of_sets=of_sets)
    if kinds is _ENTRIES and len(objects) < len(logical_ids):  # one may be that of a Folder
        objects, in_use, joined = _read(connection, _VERSIONED, logical_ids, names, of_sets=of_sets)
    found = [lookups.registered_object(row) for row in objects]
    latest = {one.logical_id or "": one for one in found}
    if others := _to_ask_for(submission, latest):
        in_use += lookups.used(connection, others, list(latest))
        in_use = list(dict.fromkeys(in_use))
    return KnownOfUpdate(list(map(_patient, objects)), in_use, latest, _associations(joined))


def _read(
    connection: Connection,
    kinds: tuple[type[Versioned], ...],
    logical_ids: list[str],
    unique_ids: list[str],
    *,
    of_sets: bool,
) -> tuple[list[_Row], list[str], list[_Row]]:
    """Return the latest versions, the uniqueIds in use, and the Associations of the versions."""
    values: Mapping[str, Any]
    if len(logical_ids) == len(unique_ids) == 1:
        statement = _OF_ONE[kinds, of_sets]
        values = {"logical_ids": logical_ids[0], "unique_ids": unique_ids[0]}
    else:
        statement = _OF_SEVERAL[kinds, of_sets]
        values = {"logical_ids": logical_ids, "unique_ids": unique_ids}
    objects, in_use, joined = [], [], []
    for row in fetch(connection, statement, values):
        if row[0] == _IN_USE:
            in_use.append(_unique_id(row))
        elif row[0] == _JOINED:
            joined.append(row)
        else:
            objects.append(row)
    return objects, in_use, joined


def _to_ask_for(submission: Submission, latest: Mapping[str, RegisteredObject]) -> list[str]:
    """Return the uniqueIds of which it has to be known who else has them.

    That of a version whose document and patient are those of the version before is no news: what
    else has it was held against that one.
    """
    found = []
    things: tuple[Versioned, ...] = (*submission.document_entries, *submission.folders)
    for thing in things:
        old = latest.get(thing.lid or "")
        is_same = old is not None and (normal(thing.unique_id or ""), thing.patient_id) == (
            old.unique_id,
            old.patient_id,
        )
        if old is not None and isinstance(thing, DocumentEntry):
            is_same = is_same and (thing.hash, thing.size) == (old.hash, _text(old.size))
        if not is_same and thing.unique_id:
            found.append(normal(thing.unique_id))
    return list(dict.fromkeys(found))


def _text(size: int | None) -> str | None:
    return None if size is None else str(size)


def _associations(rows: Sequence[_Row]) -> tuple[Association, ...]:
    if not rows:
        return ()
    by_pk = {_pk(row): _joined(row) for row in rows}
    return tuple(read_associations(by_pk[pk] for pk in sorted(by_pk)))


# --- the statement -------------------------------------------------------------------------------


def _equal(column: Any, name: str) -> Any:
    return column == bindparam(name, type_=column.type)


def _statement(
    kinds: tuple[type[Versioned], ...], condition: _Condition, *, of_sets: bool
) -> CompoundSelect[Any]:
    of_patient = (patient.c.pk.label("patient"), patient.c.survivor)
    latest = latest_where(lambda one: condition(one, "logical_ids"), kinds, *of_patient)
    versions = latest.cte("latest")
    of_latest: Mapping[str, Any] = {column.name: column for column in versions.c}
    types = {name: column.type for name, column in of_latest.items()} | dict(_FURTHER)
    joined = _row(types, _JOINED, _columns_of_association()).where(
        association.c.availability_status == v.APPROVED
    )
    by_target = joined.select_from(
        versions.join(association, versions.c.entry_uuid == association.c.target)
    )
    return union_all(
        _row(types, None, of_latest).select_from(versions),
        joined.select_from(
            versions.join(association, versions.c.entry_uuid == association.c.source)
        ),
        by_target if of_sets else by_target.where(_IS_OF_NO_SET),
        *(
            _row(types, _IN_USE, {"unique_id": table.c.unique_id}).where(
                condition(table.c.unique_id, "unique_ids")
            )
            for table in BEARERS
        ),
    )


_IS_OF_NO_SET: Final = or_(
    association.c.association_type != v.HAS_MEMBER,
    select(folder.c.pk).where(folder.c.entry_uuid == association.c.source).exists(),
)
"""A HasMember is of a Folder or of a SubmissionSet, and of Folders there are fewer."""


def _columns_of_association() -> Mapping[str, Any]:
    columns = association.c
    names = ("entry_uuid", "association_type", "source", "target", "home_community_id", "fragment")
    return {**{name: columns[name] for name in names}, "pk": columns.pk}


def _row(
    types: Mapping[str, TypeEngine[Any]], kind: int | None, columns: Mapping[str, Any]
) -> Select[Any]:
    given = dict(columns)
    if kind is not None:
        given["kind"] = literal_column(str(kind), Integer)
    return select(*(_column(name, types[name], given.get(name)) for name in _NAMES))


def _column(name: str, of_type: TypeEngine[Any], given: Any) -> Label[Any]:
    column: Any = sql_cast(null(), of_type) if given is None else given
    return cast("Label[Any]", column.label(name))


def _statements(condition: _Condition) -> Mapping[tuple[Any, bool], CompoundSelect[Any]]:
    return {
        (kinds, of_sets): _statement(kinds, condition, of_sets=of_sets)
        for kinds in (_ENTRIES, _VERSIONED)
        for of_sets in (False, True)
    }


_OF_ONE: Final = _statements(_equal)
_OF_SEVERAL: Final = _statements(one_of.named)
