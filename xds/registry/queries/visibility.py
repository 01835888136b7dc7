"""What a caller may know of, as conditions on every kind of object.

The criterion is one for DocumentEntries. It reaches further: a SubmissionSet or Folder is withheld
where the criterion is of patients and theirs is not among them, and where it holds DocumentEntries
and all of these are withheld, since its title or its author may tell what they are; an Association,
where one of its ends is withheld; what is made here of a document, on demand or as a snapshot of
that, where the document is, for it says the same in another format. A search for patients withholds
those of whom every entry is (:func:`not_all_withheld`). Whoever may see everything is asked
nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from sqlalchemy import FromClause, Select, Table, and_, exists, func, or_, select

from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, And, Criterion, is_anything, of_patient
from xds.registry.queries.conditions import Condition, Shape, bind, condition, fails
from xds.registry.tables import association, document_entry, folder, patient, submission_set

_PREFIX: Final = "seen"
_KEPT: Final = 1_000
"""Criteria that are kept bound: a policy makes the same of all callers whom it treats alike."""
_DEEPEST: Final = 2
"""A SubmissionSet holds Associations, which may be memberships of a Folder."""

Sight = tuple[Shape, ...]
"""The shape of what is visible: to entries, and to what has but their patient. Empty: all is."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """A criterion for DocumentEntries, bound as every criterion is."""

    sight: Sight = ()
    values: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, criterion: Criterion) -> "Visibility":
        """Bind what a caller may know of."""
        return EVERYTHING if is_anything(criterion) else _bind(criterion)


EVERYTHING: Final = Visibility()


@lru_cache(_KEPT)
def _bind(criterion: Criterion) -> Visibility:
    both = bind(And(criterion, of_patient(criterion)), _PREFIX)
    return Visibility(both.shape[1:], both.values)


def seen(table: Table, sight: Sight, row: FromClause | None = None) -> list[Condition]:
    """Return the conditions by which a row of the table is visible; none where everything is.

    ``row`` as for :func:`xds.registry.queries.conditions.condition`.
    """
    if not sight:
        return []
    entries, patients = sight
    if table is document_entry:
        return _entry_seen(table if row is None else row, entries)
    if table is association:
        return list(_of_ends(association if row is None else row, sight, _DEEPEST))
    found = [] if patients == _ANYTHING else [condition(table, patients, row)]
    if table is not patient and not _is_of_patients(entries):
        found.append(_of_members(table if row is None else row, entries))
    return found


def _entry_seen(entry: FromClause, entries: Shape) -> list[Condition]:
    """Require that an entry is visible, and what it is a form of.

    A form is of the patient of its original: for a criterion of patients that is the same.
    """
    found = [condition(document_entry, entries, None if entry is document_entry else entry)]
    if not _is_of_patients(entries):
        found.append(~_any(_withheld_original(entry, entries)))
    return found


def _withheld_original(entry: FromClause, entries: Shape) -> Select[tuple[int]]:
    """Select the documents that are withheld and of which an entry, or a version of it, is a form.

    A form is an On-Demand entry or a snapshot of one, and a transformation of its original. Other
    transformations are somebody's own documents, with codes that say who may see them.
    """
    version, registered, original = (document_entry.alias() for _ in range(3))
    made, snapshot = (association.alias() for _ in range(2))
    is_snapshot = exists(
        select(snapshot.c.pk)
        .where(
            snapshot.c.source == version.c.entry_uuid,
            snapshot.c.association_type == v.IS_SNAPSHOT_OF,
        )
        .correlate(version)
    )
    return (
        select(original.c.pk)
        .select_from(
            version.join(made, made.c.source == version.c.entry_uuid)
            .join(registered, registered.c.entry_uuid == made.c.target)
            .join(original, original.c.logical_id == registered.c.logical_id)
        )
        .where(
            version.c.logical_id == entry.c.logical_id,
            made.c.association_type == v.XFRM,
            or_(version.c.object_type == v.ON_DEMAND_DOCUMENT_ENTRY, is_snapshot),
            original.c.is_latest == 1,
            fails(condition(document_entry, entries, original)),
        )
        .correlate(entry)
    )


_ANYTHING: Final = bind(ANYTHING).shape


def _is_of_patients(shape: Shape) -> bool:
    """Tell whether a criterion is of patients alone, so that a set's is that of all its entries."""
    if isinstance(shape[0], str):
        return shape[0] == "patient_id"
    return all(map(_is_of_patients, shape[1:]))


def _of_members(holder: FromClause, entries: Shape) -> Condition:
    """Require a visible entry among those that are held, where there are any."""
    entry = document_entry.alias()
    member = association.alias()
    held = (
        select(entry.c.pk)
        .select_from(member.join(entry, entry.c.entry_uuid == member.c.target))
        .where(
            member.c.source == holder.c.entry_uuid,
            member.c.association_type == v.HAS_MEMBER,
        )
        .correlate(holder)
    )
    return _some_visible(held, entry, entries)


def _some_visible(held: Select[tuple[int]], entry: FromClause, entries: Shape) -> Condition:
    return or_(_any(held.where(*_entry_seen(entry, entries))), ~_any(held))


def not_all_withheld(sight: Sight) -> list[Condition]:
    """Return the condition that a patient has a visible entry, or none at all.

    The entries of a patient who was merged into another are those of the other.
    """
    if not sight:
        return []
    entry = document_entry.alias()
    whose = func.coalesce(patient.c.survivor, patient.c.pk)
    held = select(entry.c.pk).where(entry.c.patient == whose).correlate(patient)
    return [_some_visible(held, entry, sight[0])]


def _of_ends(row: FromClause, sight: Sight, depth: int) -> Iterator[Condition]:
    """Require that neither end is withheld."""
    for table in (document_entry, submission_set, folder):
        end = table.alias()
        yield ~_any(_end(row, end).where(fails(and_(*seen(table, sight, end)))))
    if depth > 1:
        end = association.alias()
        yield ~_any(_end(row, end).where(fails(and_(*_of_ends(end, sight, depth - 1)))))


def _end(row: FromClause, end: FromClause) -> Select[tuple[int]]:
    return (
        select(end.c.pk)
        .select_from(end)
        .where(end.c.entry_uuid.in_([row.c.source, row.c.target]))
        .correlate(row)
    )


def _any(query: Select[tuple[int]]) -> Condition:
    return exists(query)
