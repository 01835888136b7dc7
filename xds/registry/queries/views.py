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
    or_,
    select,
    true,
    type_coerce,
    union_all,
)

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.metadata import hl7_escapes
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion, all_of, evaluate
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.searched import searchable
from xds.metadata.unique_ids import normal
from xds.registry.queries.conditions import Condition, decided
from xds.registry.queries.search import WHOLE, Columns, Order, Page, Search, Shown
from xds.registry.queries.visibility import EVERYTHING, Sight, Visibility, not_all_withheld, seen
from xds.registry.storage.fragments import FoundObject, content_of, parsed
from xds.registry.tables import (
    TABLES,
    VALUES,
    association,
    document_entry,
    folder,
    patient,
    submission_set,
    value_attribute,
)

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder)


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
    def content(self) -> T:
        """The same for whoever looks at its attributes alone: its parts may lack their ids.

        It is not kept, so that a large result does not grow as it is looked at.
        """
        return cast("T", content_of(self.found))

    @property
    def number(self) -> int:
        """Objects of a kind are numbered in the order of registration."""
        return self.found.number

    def meets(self, criterion: Criterion) -> bool:
        """Decide a criterion in memory."""
        known = {
            "number": str(self.number),
            "registered_at": self.registered_at,
            "last_updated_at": self.last_updated_at,
        }
        return evaluate(criterion, self.thing, known)


def found_of(kind: type[T], row: Sequence[Any]) -> Found[T]:
    """Return the object of a row with the columns REGISTERED.

    Not by the constructors, which take three times as long: they are made by the thousand.
    """
    made: Found[T] = Found.__new__(Found)
    made.__dict__.update(
        found=tuple.__new__(FoundObject, (kind, *row[:9])),
        patient=row[9],
        registered_at=row[10],
        last_updated_at=row[11],
    )
    return made


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
    membership: str
    """The entryUUID of the Association by which it is held."""


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """A patient id that the registry knows."""

    number: int
    patient_id: str
    """CX."""
    survivor: int | None
    """The number of the patient that it was merged into."""


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
    def _search(self) -> Search:
        shown = Shown.ALL if self.versions else Shown.LATEST
        return Search(self.connection, Columns.REGISTERED, self.most, self.visible, shown)

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

        What the database cannot decide is decided in memory (:meth:`decides`), of a result that is
        asked for as a whole; ValueError for a page of it. Raises TransactionFailure with
        XDSTooManyResults where what the database finds is more than the limit.
        """
        criterion, is_decided = decided(kind, all_of(criteria))
        if not (is_decided or page == WHOLE):
            raise ValueError("what is decided in memory is found as a whole")
        rows = self._search.rows(TABLES[kind], criterion, order=order, page=page)
        found: list[Found[T]] = [found_of(kind, row) for row in rows]
        return found if is_decided else [one for one in found if one.meets(all_of(criteria))]

    def version_uuids(self, kind: type[MetadataObject], logical_id: str) -> list[str]:
        """Return the entryUUIDs of all versions of a logical object that are visible."""
        search = Search(self.connection, Columns.REFERENCE, self.most, self.visible, Shown.ALL)
        found = search.objects_in(TABLES[kind], "logical_id", [logical_id])
        return [one.entry_uuid for one in found]

    def decides(self, kind: type[MetadataObject], criteria: Iterable[Criterion]) -> bool:
        """Tell whether the database can decide criteria, which are else decided in memory."""
        return decided(kind, all_of(criteria))[1]

    def count(self, kind: type[T], criteria: Sequence[Criterion]) -> int:
        """Return how many objects meet every criterion; ValueError as for a page of them."""
        criterion, is_decided = decided(kind, all_of(criteria))
        if not is_decided:
            raise ValueError("what is decided in memory is found as a whole")
        return self._search.count(TABLES[kind], criterion)

    def documents(self, unique_ids: Iterable[str], repository_unique_id: str) -> set[str]:
        """Return the uniqueIds of documents of a repository all of whose entries are visible."""
        asked = {one: normal(searchable(one)) for one in unique_ids}
        bound = {"wanted": asked.values(), "repository": repository_unique_id}
        found = {one for (one,) in self._rows(_documents(self.visible.sight), bound)}
        return {one for one, compared in asked.items() if compared in found}

    def bearers(self, kind: type[Any], identifiers: Iterable[str]) -> list[str]:
        """Return the entryUUIDs of objects that have one of these among their further identifiers.

        Whether they are visible is for whoever finds them by it.
        """
        return [uuid for (uuid,) in self._each(_bearers(TABLES[kind]), identifiers)]

    def relations(self, entry_uuids: Iterable[str]) -> list[Relation]:
        """Return the relationships whose source is one of the entries, as they were registered.

        Each leads to a document, whichever of its versions it was registered with.
        """
        rows = self._each(_relations(self.visible.sight), entry_uuids)
        return list(dict.fromkeys(Relation(*row) for row in rows))

    def relating(self, logical_ids: Iterable[str]) -> list[Relation]:
        """Return the relationships that lead to one of the documents, as they were registered."""
        rows = self._each(_relating(self.visible.sight), logical_ids)
        return list(dict.fromkeys(Relation(*row) for row in rows))

    def replaced(self, entry_uuids: Iterable[str]) -> set[str]:
        """Return those of some entries that another one has replaced (ITI TF-3 4.2.2.2.3)."""
        return {uuid for (uuid,) in self._each(_replaced(self.visible.sight), entry_uuids)}

    def members(self, entry_uuids: Iterable[str]) -> list[Member]:
        """Return what SubmissionSets and Folders hold, in the order in which it was put there."""
        rows = sorted(self._each(_members(self.visible.sight), entry_uuids))
        return [
            Member(holder, (DocumentEntry, Folder)[kind], uuid, logical_id, membership)
            for _, holder, kind, uuid, logical_id, membership in rows
        ]

    def going_with(self, entry_uuids: Iterable[str]) -> list[str]:
        """Return the entryUUIDs of all that goes where objects are removed, and of these.

        That is each Association with one of them, those with these in turn, and SubmissionSets
        that hold nothing then (ITI TF-2 3.62.4.1.3). Whether it is visible is for the removal.
        """
        gone = dict.fromkeys(entry_uuids)
        holders: dict[str, None] = {}
        frontier = list(gone)
        while frontier:  # memberships of Folders have HasMembers of their own
            touching = list(self._each(_TOUCHING, frontier))
            frontier = [uuid for uuid, _ in touching if uuid not in gone]
            gone.update(dict.fromkeys(frontier))
            holders.update(dict.fromkeys(source for _, source in touching))
        sets = [uuid for (uuid,) in self._each(_SETS, [one for one in holders if one not in gone])]
        held = {source for uuid, source in self._each(_TOUCHING, sets) if uuid not in gone}
        return [*gone, *(one for one in sets if one not in held)]

    def patients(self, patient_ids: Iterable[str]) -> list[KnownPatient]:
        """Return those of the patient ids (CX) that are known."""
        wanted = [searchable(patient_id) for patient_id in patient_ids]
        return [
            KnownPatient(*row)
            for row in self._each(_patients(patient.c.patient_id, self.visible.sight), wanted)
        ]

    def patients_by_id_number(self, id_number: str) -> list[KnownPatient]:
        """Return the patients that have this id, whoever assigned it."""
        literal_id = re.sub(r"([\\%_])", r"\\\1", hl7_escapes.escape(searchable(id_number)))
        bound = {"pattern": f"{literal_id}^^^&%"}
        query = _patients_by_id_number(self.visible.sight)
        return [KnownPatient(*row) for row in self._rows(query, bound)]

    def patients_by_number(self, numbers: Iterable[int]) -> list[KnownPatient]:
        """Return the patients that have these numbers."""
        return [
            KnownPatient(*row)
            for row in self._each(_patients(patient.c.pk, self.visible.sight), numbers)
        ]

    def subsumed_by(self, number: int) -> list[KnownPatient]:
        """Return the patients that were merged into one."""
        return [KnownPatient(*row) for row in self._each(_subsumed(self.visible.sight), [number])]

    def not_all_withheld(self, patients: Iterable[KnownPatient]) -> list[KnownPatient]:
        """Return the patients who have a visible DocumentEntry, or none at all."""
        asked = list(patients)
        if not self.visible.sight:
            return asked
        query = _patients_not_all_withheld(self.visible.sight)
        found = {number for (number,) in self._each(query, [one.number for one in asked])}
        return [one for one in asked if one.number in found]

    def _each(self, query: Select[Any], wanted: Iterable[Any]) -> Sequence[Any]:
        return self._rows(query, {"wanted": list(wanted)})

    def _rows(self, query: Select[Any], bound: Mapping[str, object]) -> Sequence[Any]:
        return fetch(self.connection, query, {**bound, **self.visible.values})


# --- statements ----------------------------------------------------------------------------------


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


def _wanted(among: ColumnElement[Any]) -> Condition:
    return one_of.named(among, "wanted")


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
def _bearers(table: Table) -> Select[Any]:
    values = VALUES[table.name]
    of_attribute = type_coerce(values.c.attribute, SmallInteger)
    return (
        select(table.c.entry_uuid)
        .join(values, values.c.owner == table.c.pk)
        .where(of_attribute == value_attribute("further_identifiers"), _wanted(values.c.value))
        .distinct()
        .limit(_MOST_BEARERS)
    )


_TOUCHING: Final = (
    select(association.c.entry_uuid, association.c.source)
    .where(or_(_wanted(association.c.source), _wanted(association.c.target)))
    .order_by(association.c.pk)
)
_SETS: Final = select(submission_set.c.entry_uuid).where(_wanted(submission_set.c.entry_uuid))


def _relations(sight: Sight) -> Select[Any]:
    return _relationships(association.c.source, sight)


def _relating(sight: Sight) -> Select[Any]:
    return _relationships(document_entry.c.logical_id, sight)


@lru_cache(maxsize=100)
def _relationships(wanted: Column[Any], sight: Sight) -> Select[Any]:
    return (
        select(association.c.association_type, association.c.source, document_entry.c.logical_id)
        .join(document_entry, document_entry.c.entry_uuid == association.c.target)
        .where(
            _wanted(wanted),
            one_of.fixed(association.c.association_type, sorted(v.RELATIONSHIPS)),
            association.c.availability_status == v.APPROVED,
            *seen(association, sight),
        )
        .order_by(association.c.pk)
    )


@lru_cache(maxsize=100)
def _replaced(sight: Sight) -> Select[Any]:
    return (
        select(association.c.target)
        .where(
            _wanted(association.c.target),
            one_of.fixed(association.c.association_type, sorted(v.REPLACEMENTS)),
            association.c.availability_status == v.APPROVED,
            *seen(association, sight),
        )
        .distinct()
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
            association.c.entry_uuid,
        )
        .join(table, table.c.entry_uuid == association.c.target)
        .where(
            _wanted(association.c.source),
            association.c.association_type == v.HAS_MEMBER,
            association.c.availability_status == v.APPROVED,
            *seen(association, sight),
        )
    )


def _known(*conditions: Condition, sight: Sight) -> Select[Any]:
    columns = (patient.c.pk, patient.c.patient_id, patient.c.survivor)
    return select(*columns).where(*conditions, *seen(patient, sight)).order_by(patient.c.pk)


@lru_cache(maxsize=100)
def _patients(wanted: Column[Any], sight: Sight) -> Select[Any]:
    return _known(_wanted(wanted), sight=sight)


@lru_cache(maxsize=100)
def _subsumed(sight: Sight) -> Select[Any]:
    # said so, for the index of such rows
    return _patients(patient.c.survivor, sight).where(patient.c.survivor.is_not(None))


@lru_cache(maxsize=100)
def _patients_by_id_number(sight: Sight) -> Select[Any]:
    alike = patient.c.patient_id.like(bindparam("pattern"), escape="\\")
    return _known(alike, sight=sight)


@lru_cache(maxsize=100)
def _patients_not_all_withheld(sight: Sight) -> Select[Any]:
    return select(patient.c.pk).where(_wanted(patient.c.pk), *not_all_withheld(sight))
