"""Reading the registry by the names of attributes, for bindings that have no stored queries.

A condition names a declared attribute and never a table or column. What an ITI-18 client may ask is
asked here too, and some things beside: order, alternatives, values that are absent or not equal.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final, Generic, TypeVar, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    SmallInteger,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    type_coerce,
    union_all,
)

from xds.database import fetch
from xds.errors import TransactionFailure, XDSTooManyResults
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.unique_ids import normal
from xds.registry.conditions import Clause, Shape, bind, clause, column
from xds.registry.fragments import FoundObject, parsed
from xds.registry.lookups import chunks
from xds.registry.search import WHOLE, Page
from xds.registry.tables import (
    VALUES,
    association,
    document_entry,
    folder,
    patient,
    searchable,
    submission_set,
    value_attribute,
)
from xds.registry.visibility import EVERYTHING, Sight, Visibility, not_all_withheld, seen

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
    """An Approved Association between documents, such as RPLC (ITI TF-3 4.2.2.2)."""

    association_type: str
    source: str
    """The entryUUID of a version."""
    target: str
    """The logicalID of the document that it leads to."""


@dataclass(frozen=True, slots=True)
class Member:
    """A DocumentEntry or Folder in a SubmissionSet, or a DocumentEntry in a Folder."""

    holder: str
    """The entryUUID of a SubmissionSet, or of a version of a Folder."""
    kind: type[DocumentEntry] | type[Folder]
    entry_uuid: str
    logical_id: str


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
    visible: Visibility
    """What is seen in it."""
    versions: bool = False
    """Whether versions before the latest are found as well."""

    @property
    def every_version(self) -> "RegistryView":
        """The same with the versions before the latest (ITI TF-3 4.1.5)."""
        return replace(self, versions=True)

    @property
    def whole(self) -> "RegistryView":
        """The same with nothing withheld: to keep ids apart, never to tell of what is there."""
        return replace(self, visible=EVERYTHING, versions=True)

    def find(
        self,
        kind: type[T],
        criteria: Sequence[Criterion],
        *,
        order: Sequence[Order] = (),
        page: Page = WHOLE,
    ) -> list[Found[T]]:
        """Return the objects that meet every criterion, by ``order`` and then by registration.

        Raises TransactionFailure with XDSTooManyResults where they are more than the limit, and
        KeyError for an attribute that is not searched.
        """
        wanted = bind(criteria)
        query = _selection(
            _TABLES[kind].name, wanted.shapes, tuple(order), self.visible.sight, self.versions
        )
        size = self.most + 1 if page.size is None else min(page.size, self.most + 1)
        bound = {**wanted.values, "most": size, "start": page.start}
        rows = self._rows(query, bound)
        if len(rows) > self.most:
            raise TransactionFailure(
                [XDSTooManyResults(f"more than {self.most} objects are found; ask for less")]
            )
        return [Found(FoundObject(kind, *row[:9]), *row[9:]) for row in rows]

    def count(self, kind: type[T], criteria: Sequence[Criterion]) -> int:
        """Return how many objects meet every criterion."""
        wanted = bind(criteria)
        query = _count(_TABLES[kind].name, wanted.shapes, self.visible.sight, self.versions)
        ((found,),) = self._rows(query, wanted.values)
        return int(found)

    def documents(self, unique_ids: Iterable[str], repository_unique_id: str) -> set[str]:
        """Return the uniqueIds of documents of a repository all of whose entries are visible."""
        asked = {one: normal(searchable(one)) for one in unique_ids}
        query, bound = _documents(self.visible.sight), {"repository": repository_unique_id}
        found: set[str] = set()
        for chunk in chunks(asked.values()):
            found.update(one for (one,) in self._rows(query, {"wanted": chunk, **bound}))
        return {one for one, compared in asked.items() if compared in found}

    def bearers(self, kind: type[Any], identifiers: Iterable[str]) -> list[str]:
        """Return the entryUUIDs of objects that have one of these among their further identifiers.

        Whether they are visible is for whoever finds them by it.
        """
        return [uuid for (uuid,) in self._each(_bearers(_TABLES[kind].name), identifiers)]

    def relations(self, entry_uuids: Iterable[str]) -> list[Relation]:
        """Return the relationships whose source is one of the entries, as they were registered.

        Each leads to a document, whichever of its versions it was registered with.
        """
        rows = self._each(_relations(self.visible.sight), entry_uuids)
        return list(dict.fromkeys(Relation(*row) for row in rows))

    def members(self, entry_uuids: Iterable[str]) -> list[Member]:
        """Return what SubmissionSets and Folders hold, in the order in which it was put there."""
        rows = sorted(self._each(_members(self.visible.sight), entry_uuids))
        return [
            Member(holder, (DocumentEntry, Folder)[kind], uuid, logical_id)
            for _, holder, kind, uuid, logical_id in rows
        ]

    def patients(self, patient_ids: Iterable[str]) -> list[KnownPatient]:
        """Return those of the patient ids (CX) that are known."""
        wanted = [searchable(patient_id) for patient_id in patient_ids]
        return [
            KnownPatient(*row)
            for row in self._each(_patients(patient.c.patient_id, self.visible.sight), wanted)
        ]

    def patients_by_id_number(self, id_number: str) -> list[KnownPatient]:
        """Return the patients that have this id, whoever assigned it."""
        literal_id = re.sub(r"([\\%_])", r"\\\1", datatypes.escape(searchable(id_number)))
        bound = {"pattern": f"{literal_id}^^^&%"}
        query = _patients_by_id_number(self.visible.sight)
        return [KnownPatient(*row) for row in self._rows(query, bound)]

    def patients_by_number(self, numbers: Iterable[int]) -> list[KnownPatient]:
        """Return the patients that have these numbers."""
        return [
            KnownPatient(*row)
            for row in self._each(_patients(patient.c.pk, self.visible.sight), numbers)
        ]

    def not_all_withheld(self, patients: Iterable[KnownPatient]) -> list[KnownPatient]:
        """Return the patients who have a visible DocumentEntry, or none at all."""
        asked = list(patients)
        if not self.visible.sight:
            return asked
        query = _patients_not_all_withheld(self.visible.sight)
        found = {number for (number,) in self._each(query, [one.number for one in asked])}
        return [one for one in asked if one.number in found]

    def _each(self, query: Select[Any], wanted: Iterable[Any]) -> Iterable[Any]:
        for chunk in chunks(wanted):
            yield from self._rows(query, {"wanted": chunk})

    def _rows(self, query: Select[Any], bound: Mapping[str, object]) -> Sequence[Any]:
        return fetch(self.connection, query, {**bound, **self.visible.values})


# --- statements ----------------------------------------------------------------------------------


def _ordered(table: Table, order: Sequence[Order]) -> Iterable[ColumnElement[Any]]:
    for one in order:
        sorted_by = column(table, one.attribute)
        yield sorted_by.is_(None).desc() if one.absent_first else sorted_by.is_(None)
        yield sorted_by.desc() if one.descending else sorted_by.asc()
    yield table.c.pk


@lru_cache(maxsize=1_000)
def _selection(
    name: str, shapes: tuple[Shape, ...], order: tuple[Order, ...], sight: Sight, versions: bool
) -> Select[Any]:
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
        .where(*_where(table, shapes, sight, versions))
        .order_by(*_ordered(table, order))
        .limit(bindparam("most"))
        .offset(bindparam("start"))
    )


@lru_cache(maxsize=1_000)
def _count(name: str, shapes: tuple[Shape, ...], sight: Sight, versions: bool) -> Select[Any]:
    (table,) = (one for one in _TABLES.values() if one.name == name)
    return (
        select(func.count())
        .select_from(table.join(patient, table.c.patient == patient.c.pk))
        .where(*_where(table, shapes, sight, versions))
    )


def _where(
    table: Table, shapes: tuple[Shape, ...], sight: Sight, versions: bool
) -> Iterable[Clause]:
    yield from (clause(table, shape) for shape in shapes)
    yield from seen(table, sight)
    if not versions and "is_latest" in table.c:
        # a literal, for the index of such rows
        yield table.c.is_latest == literal_column("1")


_NEWER: Final = document_entry.alias()
LATEST_VERSION: Final = ~exists(
    select(_NEWER.c.pk)
    .where(
        _NEWER.c.logical_id == document_entry.c.logical_id,
        _NEWER.c.version > document_entry.c.version,
    )
    .correlate(document_entry)
)
"""That an entry has no newer version: a link change gives its document to another patient."""


def _wanted(among: ColumnElement[Any]) -> Clause:
    return among.in_(bindparam("wanted", expanding=True))


@lru_cache(maxsize=100)
def _documents(sight: Sight) -> Select[Any]:
    is_visible = case((and_(true(), *seen(document_entry, sight)), 1), else_=0)
    return (
        select(document_entry.c.unique_id)
        .select_from(document_entry.join(patient, document_entry.c.patient == patient.c.pk))
        .where(
            _wanted(document_entry.c.unique_id),
            document_entry.c.repository_unique_id == bindparam("repository"),
            LATEST_VERSION,
        )
        .group_by(document_entry.c.unique_id)
        .having(func.min(is_visible) == 1)
    )


_MOST_BEARERS: Final = 10_000


@lru_cache(maxsize=10)
def _bearers(name: str) -> Select[Any]:
    (table,) = (one for one in _TABLES.values() if one.name == name)
    values = VALUES[name]
    of_attribute = type_coerce(values.c.attribute, SmallInteger)
    return (
        select(table.c.entry_uuid)
        .join(values, values.c.owner == table.c.pk)
        .where(of_attribute == value_attribute("further_identifiers"), _wanted(values.c.value))
        .distinct()
        .limit(_MOST_BEARERS)
    )


@lru_cache(maxsize=100)
def _relations(sight: Sight) -> Select[Any]:
    return (
        select(association.c.association_type, association.c.source, document_entry.c.logical_id)
        .join(document_entry, document_entry.c.entry_uuid == association.c.target)
        .where(
            _wanted(association.c.source),
            association.c.association_type.in_(sorted(v.RELATIONSHIPS)),
            association.c.availability_status == v.APPROVED,
            *seen(association, sight),
        )
        .order_by(association.c.pk)
    )


@lru_cache(maxsize=100)
def _members(sight: Sight) -> Any:
    return union_all(_held(document_entry, 0, sight), _held(folder, 1, sight))


def _held(table: Table, kind: int, sight: Sight) -> Select[Any]:
    return (
        select(
            association.c.pk,
            association.c.source,
            literal(kind),
            association.c.target,
            table.c.logical_id,
        )
        .join(table, table.c.entry_uuid == association.c.target)
        .where(
            _wanted(association.c.source),
            association.c.association_type == v.HAS_MEMBER,
            association.c.availability_status == v.APPROVED,
            *seen(association, sight),
        )
    )


def _known(*conditions: Clause, sight: Sight) -> Select[Any]:
    columns = (patient.c.pk, patient.c.patient_id, patient.c.survivor)
    return select(*columns).where(*conditions, *seen(patient, sight)).order_by(patient.c.pk)


@lru_cache(maxsize=100)
def _patients(wanted: Column[Any], sight: Sight) -> Select[Any]:
    return _known(_wanted(wanted), sight=sight)


@lru_cache(maxsize=100)
def _patients_by_id_number(sight: Sight) -> Select[Any]:
    alike = patient.c.patient_id.like(bindparam("pattern"), escape="\\")
    return _known(alike, sight=sight)


@lru_cache(maxsize=100)
def _patients_not_all_withheld(sight: Sight) -> Select[Any]:
    return select(patient.c.pk).where(_wanted(patient.c.pk), *not_all_withheld(sight))
