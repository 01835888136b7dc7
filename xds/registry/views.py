"""Reading the registry by the names of attributes, for bindings that have no stored queries.

A condition names a declared attribute and never a table or column. What an ITI-18 client may ask is
asked here too, and some things beside: order, alternatives, values that are absent or not equal.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, Generic, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    SmallInteger,
    Table,
    and_,
    bindparam,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from xds.errors import TransactionFailure, XDSTooManyResults
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.demands import All, Condition, Demand, Either, Find, Unless
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.registry.fragments import FoundObject, parsed
from xds.registry.search import WHOLE, Page
from xds.registry.surroundings import chunks
from xds.registry.tables import (
    VALUE_ATTRIBUTES,
    VALUES,
    association,
    document_entry,
    folder,
    patient,
    searchable,
    submission_set,
    value_attribute,
)

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder)


@dataclass(frozen=True, slots=True)
class Order:
    """What a result is sorted by; what is absent comes last, unless it is to come first."""

    attribute: str
    descending: bool = False
    absent_first: bool = False


@dataclass(frozen=True)
class Found(Generic[T]):
    """One object that was found, with what the registry itself knows of it."""

    found: FoundObject
    patient: int
    """The number of its patient, as in :class:`KnownPatient`."""
    registered_at: str
    """DTM of 14 digits, UTC."""
    last_updated_at: str
    """When anything of it last changed: its status, its patient, a Folder's content."""

    @cached_property
    def thing(self) -> T:
        """The object with its status and patientId of this moment."""
        (thing,) = parsed([self.found])
        return cast("T", thing)

    @property
    def number(self) -> int:
        """Objects of a kind are numbered in the order of registration."""
        return self.found.number


@dataclass(frozen=True, slots=True)
class Relation:
    """An Association between documents, such as RPLC (ITI TF-3 4.2.2.2)."""

    association_type: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Member:
    """A DocumentEntry or Folder in a SubmissionSet, or a DocumentEntry in a Folder."""

    holder: str
    kind: type[DocumentEntry] | type[Folder]
    entry_uuid: str


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """A patient id that the registry knows."""

    number: int
    patient_id: str
    """CX."""
    survivor: int | None
    """The number of the patient that it was merged into."""


_TABLES: Final[dict[type, Table]] = {
    DocumentEntry: document_entry,
    SubmissionSet: submission_set,
    Folder: folder,
}


@dataclass(frozen=True, slots=True)
class RegistryView:
    """The registry at one moment; made by :meth:`DocumentRegistry.view`, good within its block."""

    connection: Connection
    most: int
    """How many objects a result may have."""

    def find(
        self,
        kind: type[T],
        demands: Sequence[Demand],
        *,
        order: Sequence[Order] = (),
        page: Page = WHOLE,
    ) -> list[Found[T]]:
        """Return the objects that meet every demand, by ``order`` and then in that of registration.

        Raises TransactionFailure with XDSTooManyResults where they are more than the limit, and
        KeyError for an attribute that is not searched.
        """
        shapes, values = _apart(demands)
        query = _selection(_TABLES[kind].name, shapes, tuple(order))
        size = self.most + 1 if page.size is None else min(page.size, self.most + 1)
        bound = {**values, "most": size, "start": page.start}
        rows = self.connection.execute(query, bound).all()
        if len(rows) > self.most:
            raise TransactionFailure(
                [XDSTooManyResults(f"more than {self.most} objects are found; ask for less")]
            )
        return [Found(FoundObject(kind, *row[:9]), *row[9:]) for row in rows]

    def count(self, kind: type[T], demands: Sequence[Demand]) -> int:
        """Return how many objects meet every demand."""
        shapes, values = _apart(demands)
        found: int = self.connection.execute(
            _count(_TABLES[kind].name, shapes), values
        ).scalar_one()
        return found

    def relations(self, entry_uuids: Iterable[str]) -> list[Relation]:
        """Return the relationships whose source is one of the entries, as they were registered."""
        return [Relation(*row) for row in self._each(_RELATIONS, entry_uuids)]

    def members(self, entry_uuids: Iterable[str]) -> list[Member]:
        """Return what SubmissionSets and Folders hold, in the order in which it was put there."""
        rows = sorted(self._each(_MEMBERS, entry_uuids))
        return [
            Member(holder, (DocumentEntry, Folder)[kind], uuid) for _, holder, kind, uuid in rows
        ]

    def patients(self, patient_ids: Iterable[str]) -> list[KnownPatient]:
        """Return those of the patient ids (CX) that are known."""
        wanted = [searchable(patient_id) for patient_id in patient_ids]
        return [KnownPatient(*row) for row in self._each(_PATIENTS, wanted)]

    def patients_by_id_number(self, id_number: str) -> list[KnownPatient]:
        """Return the patients that have this id, whoever assigned it."""
        literal_id = re.sub(r"([\\%_])", r"\\\1", datatypes.escape(searchable(id_number)))
        bound = {"pattern": f"{literal_id}^^^&%"}
        rows = self.connection.execute(_PATIENTS_BY_ID_NUMBER, bound).all()
        return [KnownPatient(*row) for row in rows]

    def patients_by_number(self, numbers: Iterable[int]) -> list[KnownPatient]:
        """Return the patients that have these numbers."""
        return [KnownPatient(*row) for row in self._each(_PATIENTS_BY_NUMBER, numbers)]

    def _each(self, query: Select[Any], wanted: Iterable[Any]) -> Iterable[Any]:
        for chunk in chunks(wanted):
            yield from self.connection.execute(query, {"wanted": chunk}).all()


# --- demands -------------------------------------------------------------------------------------

Shape = tuple[Any, ...]
"""A demand without its values: what statements are kept by."""
Clause = ColumnElement[bool]


def _apart(demands: Sequence[Demand]) -> tuple[tuple[Shape, ...], dict[str, object]]:
    """Part the demands from their values, which are numbered."""
    values: dict[str, object] = {}
    return tuple(_shape(demand, values) for demand in demands), values


def _shape(demand: Demand, values: dict[str, object]) -> Shape:
    if isinstance(demand, Either | All):
        return (type(demand), *(_shape(part, values) for part in demand))
    if isinstance(demand, Unless):
        return (Unless, _shape(demand.demand, values))
    assert isinstance(demand, Condition)
    texts = [searchable(text) for text in demand.values]
    first = len(values)
    if demand.find is Find.EQUAL:
        values[f"v{first}"] = texts
        return (demand.attribute, demand.find, first, 1)
    values.update({f"v{first + i}": text for i, text in enumerate(texts)})
    return (demand.attribute, demand.find, first, len(texts))


def _clause(table: Table, shape: Shape) -> Clause:
    if shape[0] in (Either, All):
        join = or_ if shape[0] is Either else and_
        parts = [_clause(table, part) for part in shape[1:]]
        return join(*parts) if parts else literal(shape[0] is All)
    if shape[0] is Unless:
        return not_(func.coalesce(_clause(table, shape[1]), literal(False)))
    attribute, find, first, count = shape
    if attribute in VALUE_ATTRIBUTES.terms:
        values = VALUES[table.name]
        held = [
            values.c.owner == table.c.pk,
            type_coerce(values.c.attribute, SmallInteger) == value_attribute(attribute),
        ]
        return exists().where(*held, _compared(values.c.value, find, first, count))
    return _compared(_column(table, attribute), find, first, count)


def _column(table: Table, attribute: str) -> ColumnElement[Any]:
    if attribute == "patient_id":
        return patient.c.patient_id
    return table.c["pk" if attribute == "number" else attribute]


def _compared(column: ColumnElement[Any], find: Find, first: int, count: int) -> Clause:
    if find is Find.GIVEN:
        return column.is_not(None)
    if find is Find.EQUAL:
        return column.in_(bindparam(f"v{first}", expanding=True))
    values = [bindparam(f"v{first + i}", type_=column.type) for i in range(count)]
    if find is Find.LIKE:
        # both by the database, whatever letters its lower() knows
        return or_(*(func.lower(column).like(func.lower(one), escape="\\") for one in values))
    compare: Callable[[Any], Clause] = column.__ge__ if find is Find.FROM else column.__lt__
    return or_(*map(compare, values))


# --- statements ----------------------------------------------------------------------------------


def _ordered(table: Table, order: Sequence[Order]) -> Iterable[ColumnElement[Any]]:
    for one in order:
        column = _column(table, one.attribute)
        yield column.is_(None).desc() if one.absent_first else column.is_(None)
        yield column.desc() if one.descending else column.asc()
    yield table.c.pk


@lru_cache(maxsize=1_000)
def _selection(name: str, shapes: tuple[Hashable, ...], order: tuple[Order, ...]) -> Select[Any]:
    """Select the fields of a FoundObject and then those of Found, in their order."""
    (table,) = (one for one in _TABLES.values() if one.name == name)
    columns = (
        table.c.pk,
        table.c.entry_uuid,
        table.c.home_community_id,
        table.c.availability_status,
        patient.c.patient_id,
        table.c.get("last_update_time", null()),
        null().label("source"),
        null().label("target"),
        table.c.fragment,
        table.c.patient,
        table.c.registered_at,
        table.c.last_updated_at,
    )
    return (
        select(*columns)
        .select_from(table.join(patient, table.c.patient == patient.c.pk))
        .where(*(_clause(table, cast("Shape", shape)) for shape in shapes))
        .order_by(*_ordered(table, order))
        .limit(bindparam("most"))
        .offset(bindparam("start"))
    )


@lru_cache(maxsize=1_000)
def _count(name: str, shapes: tuple[Hashable, ...]) -> Select[Any]:
    (table,) = (one for one in _TABLES.values() if one.name == name)
    return (
        select(func.count())
        .select_from(table.join(patient, table.c.patient == patient.c.pk))
        .where(*(_clause(table, cast("Shape", shape)) for shape in shapes))
    )


def _wanted(column: ColumnElement[Any]) -> Clause:
    return column.in_(bindparam("wanted", expanding=True))


_RELATIONS: Final = (
    select(association.c.association_type, association.c.source, association.c.target)
    .where(
        _wanted(association.c.source),
        association.c.association_type.in_(sorted(v.RELATIONSHIPS)),
    )
    .order_by(association.c.pk)
)


def _held(table: Table, kind: int) -> Select[Any]:
    return (
        select(association.c.pk, association.c.source, literal(kind), association.c.target)
        .join(table, table.c.entry_uuid == association.c.target)
        .where(_wanted(association.c.source), association.c.association_type == v.HAS_MEMBER)
    )


_MEMBERS: Final[Any] = union_all(_held(document_entry, 0), _held(folder, 1))

_KNOWN: Final = select(patient.c.pk, patient.c.patient_id, patient.c.survivor).order_by(
    patient.c.pk
)
_PATIENTS: Final = _KNOWN.where(_wanted(patient.c.patient_id))
_PATIENTS_BY_NUMBER: Final = _KNOWN.where(_wanted(patient.c.pk))
_PATIENTS_BY_ID_NUMBER: Final = _KNOWN.where(
    patient.c.patient_id.like(bindparam("pattern"), escape="\\")
)
