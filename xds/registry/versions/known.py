"""What the registry has of the objects that an update brings further versions of, in one statement.

An update is a registration that reads more: the latest versions with what they are joined with,
beside the patients and the uniqueIds in use. To ask for each by itself would cost it more than all
that it writes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import TypeEngine

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.rules.case import RegisteredObject
from xds.metadata.submission import Submission
from xds.metadata.unique_ids import normal
from xds.registry import lookups
from xds.registry.lookups import BEARERS, FACTS, latest_where
from xds.registry.tables import Key, association, patient, searchable, submission_set
from xds.registry.versions.entries import Versioned, read_associations

_PATIENT, _IN_USE, _JOINED = range(-3, 0)
"""What a row is of that is no object of :data:`FACTS`, in the column of the kind."""
_FURTHER: Final[Mapping[str, TypeEngine[Any]]] = {
    "number": Key,
    "survivor": Key,
    "fragment": association.c.fragment.type,
}
_NAMES: Final = (*FACTS, *_FURTHER)
_Condition = Callable[[Any, str], Any]
"""Makes the condition that a column is a parameter of that name, or one of it."""


def _of(*names: str) -> Callable[[Sequence[Any]], Any]:
    return itemgetter(*(_NAMES.index(name) for name in names))


_patient = _of("patient_id", "number", "survivor")
_unique_id = _of("unique_id")
_number = _of("number")
_joined = _of("number", "entry_uuid", "home_community_id", "source", "target", "fragment")


@dataclass(frozen=True, slots=True)
class KnownOfUpdate:
    """What is registered of what an update names by logicalID, uniqueId or patientId."""

    patients: Sequence[tuple[str, int, int | None]]
    """Id, row, and the row of the survivor after a merge."""
    in_use: Sequence[str]
    """The uniqueIds that something else has, in their normal form."""
    latest: Mapping[str, RegisteredObject]
    """The latest versions by their logicalIDs."""
    associations: tuple[Association, ...]
    """The Approved memberships and relationships of these, in order of registration."""


def known_of_update(
    connection: Connection, submission: Submission, patient_ids: Iterable[str], *, of_sets: bool
) -> KnownOfUpdate:
    """Read what is registered of an update that brings further versions.

    ``of_sets`` tells whether the memberships of SubmissionSets are among the Associations.
    """
    by_kind: dict[int, list[tuple[Any, ...]]] = {}
    for row in _rows(connection, submission, patient_ids, of_sets=of_sets):
        by_kind.setdefault(row[0], []).append(row)
    patients = [_patient(row) for row in by_kind.pop(_PATIENT, ())]
    in_use = [_unique_id(row) for row in by_kind.pop(_IN_USE, ())]
    joined = by_kind.pop(_JOINED, ())
    objects = [lookups.registered_object(row) for of in by_kind.values() for row in of]
    latest = {one.logical_id or "": one for one in objects}
    if others := _to_ask_for(submission, latest):
        in_use += lookups.used(connection, others, list(latest))
    return KnownOfUpdate(patients, list(dict.fromkeys(in_use)), latest, _associations(joined))


def _rows(
    connection: Connection, submission: Submission, patient_ids: Iterable[str], *, of_sets: bool
) -> list[tuple[Any, ...]]:
    values = {
        "logical_ids": lookups.logical_ids(submission),
        "unique_ids": [normal(one.unique_id or "") for one in submission.submission_sets],
        "patient_ids": [searchable(one) for one in patient_ids],
    }
    if all(len(each) == 1 for each in values.values()):
        only = {name: one for name, (one,) in values.items()}
        return fetch(connection, _OF_ONE[of_sets], only)
    return fetch(connection, _OF_SEVERAL[of_sets], values)


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


def _associations(rows: Iterable[tuple[Any, ...]]) -> tuple[Association, ...]:
    if not rows:
        return ()
    by_number = {_number(row): _joined(row) for row in rows}
    return tuple(read_associations(by_number[number] for number in sorted(by_number)))


# --- the statement -------------------------------------------------------------------------------


def _equal(column: Any, name: str) -> Any:
    return column == bindparam(name, type_=column.type)


def _statement(condition: _Condition, *, of_sets: bool) -> CompoundSelect[Any]:
    latest = latest_where(lambda column: condition(column, "logical_ids")).cte("latest")
    of_latest: Mapping[str, Any] = {column.name: column for column in latest.c}
    types = {name: column.type for name, column in of_latest.items()} | dict(_FURTHER)
    by_source = latest.c.entry_uuid == association.c.source
    by_target = latest.c.entry_uuid == association.c.target
    joined = _row(types, _JOINED, _columns_of_association()).where(
        association.c.availability_status == v.APPROVED
    )
    of_patient = {"number": patient.c.pk, **{one.name: one for one in patient.c}}
    return union_all(
        _row(types, None, of_latest).select_from(latest),
        joined.select_from(latest.join(association, by_source)),
        joined.select_from(latest.join(association, by_target)).where(
            *(() if of_sets else (~_is_of_set().exists(),))
        ),
        *(
            _row(types, _IN_USE, {"unique_id": table.c.unique_id}).where(
                condition(table.c.unique_id, "unique_ids")
            )
            for table in BEARERS
        ),
        _row(types, _PATIENT, of_patient).where(condition(patient.c.patient_id, "patient_ids")),
    )


def _is_of_set() -> Select[Any]:
    return select(submission_set.c.pk).where(submission_set.c.entry_uuid == association.c.source)


def _columns_of_association() -> Mapping[str, Any]:
    columns = association.c
    names = ("entry_uuid", "association_type", "source", "target", "home_community_id", "fragment")
    return {**{name: columns[name] for name in names}, "number": columns.pk}


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


_OF_ONE: Final = {of_sets: _statement(_equal, of_sets=of_sets) for of_sets in (False, True)}
_OF_SEVERAL: Final = {
    of_sets: _statement(one_of.named, of_sets=of_sets) for of_sets in (False, True)
}
