"""What a submission relies on, as names of locks: why registrations at one moment stay correct.

What the rules were checked against must still hold when the submission is written. It is of three
kinds, and locked so (:mod:`xds.database.postgresql`; SQLite has but one writer):

- uniqueIds, and UUIDs that the submitter chose, must not come to be registered meanwhile:
  exclusive, as two submissions with one of them are no two lawful submissions;
- its patient must not be merged into another one: shared, as many may submit for one patient;
- registered objects that it names must not change. All that changes them is of their patient:
  replacement with its cascade, Folders that gain a document, merges. So a submission that names
  any locks its patient, and theirs, exclusively; of these there is one in ten. So does one whose
  documents say their versions, since they replace, or are replaced by, others of the patient.
"""

from collections.abc import Iterable, Iterator

from xds.database.locks import Locks
from xds.metadata import ebrim
from xds.metadata.rules.case import RegistryState
from xds.metadata.submission import Submission
from xds.metadata.unique_ids import normal
from xds.registry import lookups, patients
from xds.registry.tables import searchable


def relied_on(submission: Submission, state: RegistryState, *, changes: bool = False) -> Locks:
    """Return the locks of a submission, by what was registered when it was checked.

    ``changes`` tells that it may change objects that it does not name: documents of the same set.
    """
    named = frozenset(f"id {searchable(name)}" for name in _ids(submission))
    of_patients = frozenset(map(patients.lock, _patient_ids(submission, state)))
    if changes or lookups.refers(submission):
        return Locks(exclusive=named | of_patients)
    return Locks(shared=of_patients, exclusive=named)


def all_of_locks(each: Iterable[Locks]) -> Locks:
    """Return the locks of several submissions that are registered together."""
    found = list(each)
    exclusive = frozenset().union(*(one.exclusive for one in found))
    shared = frozenset().union(*(one.shared for one in found))
    return Locks(shared=shared - exclusive, exclusive=exclusive)


def of_unique_ids(unique_ids: Iterable[str]) -> Locks:
    """Return the locks of those who register something under these uniqueIds."""
    return Locks(exclusive=frozenset(f"id {searchable(normal(one))}" for one in unique_ids))


def _ids(submission: Submission) -> Iterator[str]:
    yield from lookups.unique_ids(submission)
    yield from (thing.id for thing in submission.objects if ebrim.is_uuid(thing.id))


def _patient_ids(submission: Submission, state: RegistryState) -> Iterator[str]:
    for thing in lookups.bearers(submission):
        if thing.patient_id:
            yield thing.patient_id
    for of in (state.objects, state.latest, state.neighbours):
        for found in of.values():
            if found.patient_id:
                yield found.patient_id
