"""Finding objects: the SELECTs that stored queries and FHIR searches are made of.

A statement depends only on the shape of a criterion, not on its values: it is built once for each
such shape and used again with other values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    bindparam,
    func,
    null,
    or_,
    select,
    union,
    union_all,
)

from xds.database.reading import fetch
from xds.errors import TransactionFailure, XDSTooManyResults
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, Comparison, Criterion, Operator, all_of
from xds.registry.queries.conditions import Shape, bind, column, conditions
from xds.registry.queries.visibility import Sight, Visibility, seen
from xds.registry.storage.fragments import FoundObject
from xds.registry.tables import KINDS, association, document_entry, folder, is_latest, patient


class Columns(Enum):
    """What is read of each object that is found."""

    REFERENCE = "the fields of a FoundObject without its fragment"
    LEAF = "the fields of a FoundObject"
    REGISTERED = "these, its patient, and when it was registered and last updated"


class Shown(Enum):
    """Which versions and statuses are found, beside what a criterion asks for."""

    ALL = "everything"
    LATEST = "latest versions"
    CURRENT = "latest versions, Approved Folders and Associations, documents that are online"
    CURRENT_IN_ANY_STATUS = "the same with Folders in any status"


@dataclass(frozen=True, slots=True)
class Order:
    """What a result is sorted by; what is absent comes last, unless it is to come first."""

    attribute: str
    descending: bool = False
    absent_first: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a result: from ``start`` on, at most ``size`` objects (all the rest if None)."""

    start: int = 0
    size: int | None = None


WHOLE: Final = Page()


# --- statements ----------------------------------------------------------------------------------


def _source(table: Table) -> FromClause:
    """Return the table with its patients, which conditions may look at."""
    if table is association:
        return table
    return table.join(patient, table.c.patient == patient.c.pk)


def _columns(table: Table, columns: Columns) -> Iterator[ColumnElement[Any]]:
    yield from (table.c.pk, table.c.entry_uuid, table.c.home_community_id)
    yield table.c.availability_status
    yield null().label("patient_id") if table is association else patient.c.patient_id
    for name in ("last_update_time", "source", "target"):
        yield table.c.get(name, null().label(name))
    yield null().label("fragment") if columns is Columns.REFERENCE else table.c.fragment
    if columns is Columns.REGISTERED:
        yield from (table.c.patient, table.c.registered_at, table.c.last_updated_at)


def _ordered(table: Table, order: Sequence[Order]) -> Iterator[ColumnElement[Any]]:
    for one in order:
        sorted_by = column(table, one.attribute)
        yield sorted_by.is_(None).desc() if one.absent_first else sorted_by.is_(None)
        yield sorted_by.desc() if one.descending else sorted_by.asc()
    yield table.c.pk


def _where(table: Table, shape: Shape, sight: Sight, shown: Shown) -> Iterator[ColumnElement[bool]]:
    yield from conditions(table, shape)
    yield from seen(table, sight)
    if shown in (Shown.CURRENT, Shown.CURRENT_IN_ANY_STATUS):
        yield from _current(table, shown)
    if shown is not Shown.ALL and "is_latest" in table.c:
        yield is_latest(table)


def _current(table: Table, shown: Shown) -> Iterator[ColumnElement[bool]]:
    """Yield what $MetadataLevel 1 demands beside the latest version (ITI TF-2 3.18.4.1.2.3.5.1)."""
    if table is document_entry:
        availability = table.c.document_availability
        yield or_(availability.is_(None), availability != v.OFFLINE)
    if table is association or (table is folder and shown is Shown.CURRENT):
        yield table.c.availability_status == v.APPROVED


@lru_cache(maxsize=1_000)
def _selection(
    table: Table,
    shape: Shape,
    sight: Sight,
    columns: Columns,
    shown: Shown,
    order: tuple[Order, ...] = (),
) -> Select[Any]:
    """Select objects, by ``order`` and then by registration."""
    return (
        select(*_columns(table, columns))
        .select_from(_source(table))
        .where(*_where(table, shape, sight, shown))
        .order_by(*_ordered(table, order))
        .limit(bindparam("most"))
        .offset(bindparam("start"))
    )


@lru_cache(maxsize=1_000)
def _count(table: Table, shape: Shape, sight: Sight, shown: Shown) -> Select[Any]:
    wanted = _where(table, shape, sight, shown)
    return select(func.count()).select_from(_source(table)).where(*wanted)


@lru_cache(maxsize=100)
def _touching(
    shapes: tuple[tuple[Table, Shape], ...],
    among: Shape,
    columns: Columns,
    sight: Sight,
    shown: Shown,
) -> Select[Any]:
    """Select the Associations ``among`` some that have an end among objects of several tables."""
    uuids = union_all(
        *(
            select(table.c.entry_uuid)
            .select_from(_source(table))
            .where(*_where(table, shape, (), shown))
            for table, shape in shapes
        )
    ).subquery()
    keys = union(
        select(association.c.pk).join(uuids, association.c.source == uuids.c.entry_uuid),
        select(association.c.pk).join(uuids, association.c.target == uuids.c.entry_uuid),
    ).subquery()
    everything = _selection(association, among, sight, columns, shown)
    return everything.where(association.c.pk.in_(select(keys.c.pk)))


def in_order(found: Iterable[FoundObject]) -> list[FoundObject]:
    """Return objects of one kind in the order of registration."""
    return sorted(found, key=lambda one: one.number)


@dataclass(frozen=True, slots=True)
class Search:
    """One query under way: where to look, and what is read of each object."""

    connection: Connection
    columns: Columns
    most: int
    """How many objects a result may have."""
    visible: Visibility
    """What may be found."""
    shown: Shown = Shown.ALL

    def rows(
        self,
        table: Table,
        criterion: Criterion,
        *,
        order: Sequence[Order] = (),
        page: Page = WHOLE,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a table's objects that meet a criterion, by order and registration.

        Raises TransactionFailure with XDSTooManyResults where they are more than ``most``.
        """
        bound = bind(criterion)
        sight = self.visible.sight
        query = _selection(table, bound.shape, sight, self.columns, self.shown, tuple(order))
        return self._rows(query, bound.values, page)

    def objects(
        self, table: Table, criterion: Criterion = ANYTHING, *, page: Page = WHOLE
    ) -> list[FoundObject]:
        """Return a table's objects that meet a criterion, as :meth:`rows` does."""
        kind = KINDS[table.name]
        rows = self.rows(table, criterion, page=page)
        # not by _make, which takes longer than the tuple
        return [tuple.__new__(FoundObject, (kind, *row)) for row in rows]

    def objects_in(
        self, table: Table, attribute: str, values: Iterable[str], criterion: Criterion = ANYTHING
    ) -> list[FoundObject]:
        """Return the objects that have one of many values, and that meet a criterion."""
        kind = KINDS[table.name]
        return [
            FoundObject(kind, *row) for row in self.rows_in(table, attribute, values, criterion)
        ]

    def rows_in(
        self, table: Table, attribute: str, values: Iterable[str], criterion: Criterion = ANYTHING
    ) -> list[tuple[Any, ...]]:
        """Return the rows of the same objects."""
        listed = tuple(values)
        if not listed:
            return []
        wanted = Comparison(attribute, Operator.EQUAL, listed)
        return self.rows(table, all_of([wanted, criterion]))

    def touching_any(
        self, entry_uuids: Iterable[str], criterion: Criterion = ANYTHING
    ) -> list[FoundObject]:
        """Return the Associations with a source or target among the entryUUIDs."""
        uuids = list(entry_uuids)
        found = {
            one.entry_uuid: one
            for end in ("source", "target")
            for one in self.objects_in(association, end, uuids, criterion)
        }
        return in_order(found.values())

    def touching(
        self, wanted: Mapping[Table, Criterion], criterion: Criterion = ANYTHING
    ) -> list[FoundObject]:
        """Return the Associations with a source or target among all that meet the criteria.

        ``criterion`` is for the Associations themselves.
        """
        among = bind(criterion, "among_")
        bound = {table: bind(one, f"{table.name}_") for table, one in wanted.items()}
        shapes = tuple((table, one.shape) for table, one in bound.items())
        values = {name: value for one in bound.values() for name, value in one.values.items()}
        sight = self.visible.sight
        query = _touching(shapes, among.shape, self.columns, sight, self.shown)
        values |= among.values
        return [FoundObject(KINDS[association.name], *row) for row in self._rows(query, values)]

    def count(self, table: Table, criterion: Criterion) -> int:
        """Return how many of a table's objects meet the criterion."""
        bound = bind(criterion)
        query = _count(table, bound.shape, self.visible.sight, self.shown)
        ((found,),) = fetch(self.connection, query, {**bound.values, **self.visible.values})
        return int(found)

    def require_few(self, found: Sized) -> None:
        """Raise TransactionFailure with XDSTooManyResults for a result beyond the limit."""
        if len(found) > self.most:
            advice = "ask for less"
            if self.columns is not Columns.REGISTERED:
                advice += ", for ObjectRef, or for pages by startIndex and maxResults"
            reason = f"more than {self.most} objects are found; {advice}"
            raise TransactionFailure([XDSTooManyResults(reason)])

    def _rows(
        self, query: Select[Any], values: Mapping[str, Any], page: Page = WHOLE
    ) -> list[tuple[Any, ...]]:
        most = self.most + 1 if page.size is None else min(page.size, self.most + 1)
        bound = {**values, **self.visible.values, "most": most, "start": page.start}
        found = fetch(self.connection, query, bound)
        self.require_few(found)
        return found
