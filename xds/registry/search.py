"""Finding objects: the SELECTs that stored queries are made of.

A statement depends only on which parameters are given, not on their values: it is built once for
each such shape and used again with other values.
"""

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    SmallInteger,
    Table,
    and_,
    bindparam,
    exists,
    func,
    null,
    or_,
    select,
    type_coerce,
    union,
    union_all,
)

from xds.database import fetch
from xds.errors import TransactionFailure, XDSTooManyResults
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.fragments import FoundObject
from xds.registry.lookups import chunks
from xds.registry.parameters import Arguments, Match, Parameter
from xds.registry.tables import (
    INDEXED_VALUES,
    VALUES,
    association,
    document_entry,
    folder,
    patient,
    submission_set,
    value_attribute,
)
from xds.registry.visibility import Sight, Visibility, seen

Condition = ColumnElement[bool]

_TABLES: Final[Mapping[str, tuple[Table, type[MetadataObject]]]] = {
    "submission_set": (submission_set, SubmissionSet),
    "document_entry": (document_entry, DocumentEntry),
    "folder": (folder, Folder),
    "association": (association, Association),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is demanded of a table's objects: the shape of the conditions, and their values."""

    shape: tuple[tuple[Parameter, int, int], ...] = ()
    """For each condition its parameter, the number of its group, and how many patterns it has."""
    values: Mapping[str, object] = field(default_factory=dict)


EVERY: Final = Filter()


def filtered(parameters: Iterable[Parameter], arguments: Arguments) -> Filter:
    """Return a condition for each group of each parameter that is given."""
    shape: list[tuple[Parameter, int, int]] = []
    values: dict[str, object] = {}
    for parameter in parameters:
        if parameter.match is Match.STEP:
            continue
        for number, group in enumerate(arguments.groups(parameter.name)):
            patterns = len(group) if parameter.match is Match.LIKE else 1
            shape.append((parameter, number, patterns))
            values.update(_bound(parameter, number, group))
    return Filter(tuple(shape), values)


def _bound(parameter: Parameter, number: int, group: Sequence[str]) -> Mapping[str, object]:
    name = _bind_name(parameter, number)
    if parameter.match is Match.LIKE:
        return {f"{name}_{i}": _literal_backslashes(text) for i, text in enumerate(group)}
    return {name: list(group) if parameter.match is Match.EQUAL else group[0]}


def _bind_name(parameter: Parameter, number: int) -> str:
    return f"{parameter.name.lstrip('$')}_{number}"


def _literal_backslashes(pattern: str) -> str:
    """IHE defines no escape character, so a backslash in a pattern means itself."""
    return pattern.replace("\\", "\\\\")


# --- conditions ----------------------------------------------------------------------------------


_FEW: Final = frozenset({"patient_id", "entry_uuid", "unique_id"})
"""Attributes that few objects share: a condition on one of them comes first."""


def _clauses(table: Table, shape: tuple[tuple[Parameter, int, int], ...]) -> list[Condition]:
    few = any(parameter.attribute in _FEW for parameter, _, _ in shape)
    return [_clause(table, *condition, few=few) for condition in shape]


def _clause(
    table: Table, parameter: Parameter, number: int, patterns: int, *, few: bool
) -> Condition:
    name = _bind_name(parameter, number)
    if parameter.attribute == "patient_id":
        return patient.c.patient_id.in_(bindparam(name, expanding=True))
    column: Any = table.c.get(parameter.attribute)
    if column is None:
        by_index = not few and parameter.attribute in INDEXED_VALUES
        return _held_by(table, _value_clause(table, parameter, name, patterns), by_index=by_index)
    if parameter.match is Match.FROM:
        return or_(column.is_(None), column >= bindparam(name, type_=column.type))
    if parameter.match is Match.TO:
        return or_(column.is_(None), column < bindparam(name, type_=column.type))
    return _comparison(column, parameter, name, patterns)


def _comparison(column: Any, parameter: Parameter, name: str, patterns: int) -> Condition:
    if parameter.match is Match.LIKE:
        return or_(*(column.like(bindparam(f"{name}_{i}"), escape="\\") for i in range(patterns)))
    found: Condition = column.in_(bindparam(name, expanding=True))
    return found


def _value_clause(table: Table, parameter: Parameter, name: str, patterns: int) -> Condition:
    values = VALUES[table.name]
    compared = _comparison(values.c.value, parameter, name, patterns)
    attribute = type_coerce(values.c.attribute, SmallInteger)
    return and_(attribute == value_attribute(parameter.attribute), compared)


def _held_by(table: Table, found: Condition, *, by_index: bool) -> Condition:
    """Demand a value: of each object that is looked at, or by the index of values first."""
    values = VALUES[table.name]
    if by_index:
        return table.c.pk.in_(select(values.c.owner).where(found))
    return exists().where(values.c.owner == table.c.pk, found)


# --- statements ----------------------------------------------------------------------------------


def _source(table: Table) -> FromClause:
    """Return the table with its patients, which conditions may look at."""
    if table is association:
        return table
    return table.join(patient, table.c.patient == patient.c.pk)


@lru_cache(maxsize=1_000)
def _selection(
    name: str,
    shape: tuple[tuple[Parameter, int, int], ...],
    among: str | None,
    fragments: bool,
    sight: Sight,
) -> Select[Any]:
    """Select the fields of a FoundObject, in their order; ``among`` is a column to look up in."""
    table, _ = _TABLES[name]
    columns = (
        table.c.pk,
        table.c.entry_uuid,
        table.c.home_community_id,
        table.c.availability_status,
        null() if table is association else patient.c.patient_id,
        table.c.get("last_update_time", null()),
        table.c.get("source", null()),
        table.c.get("target", null()),
        table.c.fragment if fragments else null(),
    )
    demanded = (*_clauses(table, shape), *seen(table, sight))
    query = select(*columns).select_from(_source(table)).where(*demanded)
    if among is not None:
        query = query.where(table.c[among].in_(bindparam("among", expanding=True)))
    return query.order_by(table.c.pk).limit(bindparam("most")).offset(bindparam("start"))


@lru_cache(maxsize=1_000)
def _count(name: str, shape: tuple[tuple[Parameter, int, int], ...], sight: Sight) -> Select[Any]:
    table, _ = _TABLES[name]
    demanded = (*_clauses(table, shape), *seen(table, sight))
    return select(func.count()).select_from(_source(table)).where(*demanded)


@lru_cache(maxsize=100)
def _touching(
    filters: tuple[tuple[str, tuple[tuple[Parameter, int, int], ...]], ...],
    fragments: bool,
    sight: Sight,
) -> Select[Any]:
    """Select the Associations that have an end among the objects of several filters."""
    found = []
    for name, shape in filters:
        table, _ = _TABLES[name]
        found.append(
            select(table.c.entry_uuid).select_from(_source(table)).where(*_clauses(table, shape))
        )
    uuids = union_all(*found).subquery()
    keys = union(
        select(association.c.pk).join(uuids, association.c.source == uuids.c.entry_uuid),
        select(association.c.pk).join(uuids, association.c.target == uuids.c.entry_uuid),
    ).subquery()
    everything = _selection("association", (), None, fragments, sight)
    return everything.where(association.c.pk.in_(select(keys.c.pk)))


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a result: from ``start`` on, at most ``size`` objects (all the rest if None)."""

    start: int = 0
    size: int | None = None


WHOLE: Final = Page()


def in_order(found: Iterable[FoundObject]) -> list[FoundObject]:
    """Return objects of one kind in the order of registration."""
    return sorted(found, key=lambda one: one.number)


@dataclass(frozen=True, slots=True)
class Search:
    """One query under way: where to look, and whether metadata is wanted or references only."""

    connection: Connection
    fragments: bool
    most: int
    """How many objects a result may have."""
    visible: Visibility
    """What may be found."""

    def objects(
        self, table: Table, wanted: Filter = EVERY, *, page: Page = WHOLE
    ) -> list[FoundObject]:
        """Return a table's objects that pass the filter, in the order of registration.

        Raises TransactionFailure with XDSTooManyResults where they are more than ``most``.
        """
        query = _selection(table.name, wanted.shape, None, self.fragments, self.visible.sight)
        return self._found(table, query, wanted.values, page)

    def objects_in(
        self, table: Table, column: str, values: Iterable[str], wanted: Filter = EVERY
    ) -> list[FoundObject]:
        """Return the objects whose column has one of many values, and that pass the filter."""
        query = _selection(table.name, wanted.shape, column, self.fragments, self.visible.sight)
        found: list[FoundObject] = []
        for chunk in chunks(values):
            found.extend(self._found(table, query, {**wanted.values, "among": chunk}, WHOLE))
        self.require_few(found)
        return in_order(found)

    def touching_any(self, entry_uuids: Iterable[str], wanted: Filter = EVERY) -> list[FoundObject]:
        """Return the Associations with a source or target among the entryUUIDs."""
        uuids = list(entry_uuids)
        found = {
            one.entry_uuid: one
            for column in ("source", "target")
            for one in self.objects_in(association, column, uuids, wanted)
        }
        return in_order(found.values())

    def touching(self, wanted: Mapping[Table, Filter]) -> list[FoundObject]:
        """Return the Associations with a source or target among all that pass the filters."""
        shapes = tuple((table.name, one.shape) for table, one in wanted.items())
        values = {name: value for one in wanted.values() for name, value in one.values.items()}
        query = _touching(shapes, self.fragments, self.visible.sight)
        return self._found(association, query, values, WHOLE)

    def count(self, table: Table, wanted: Filter) -> int:
        """Return how many of a table's objects pass the filter."""
        query = _count(table.name, wanted.shape, self.visible.sight)
        bound = {**wanted.values, **self.visible.values}
        ((found,),) = fetch(self.connection, query, bound)
        return int(found)

    def require_few(self, found: Sized) -> None:
        """Raise TransactionFailure with XDSTooManyResults for a result beyond the limit."""
        if len(found) > self.most:
            raise TransactionFailure(
                [
                    XDSTooManyResults(
                        f"more than {self.most} objects are found; ask for less, for ObjectRef, "
                        "or for pages by startIndex and maxResults"
                    )
                ]
            )

    def _found(
        self, table: Table, query: Select[Any], values: Mapping[str, object], page: Page
    ) -> list[FoundObject]:
        most = self.most + 1 if page.size is None else min(page.size, self.most + 1)
        bound = {**values, **self.visible.values, "most": most, "start": page.start}
        _, kind = _TABLES[table.name]
        found = [FoundObject(kind, *row) for row in fetch(self.connection, query, bound)]
        self.require_few(found)
        return found
