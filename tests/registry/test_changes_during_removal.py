"""Removals are checked before the database is locked: what happens in between is not overlooked."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from bench import samples
from xds.client import Fingerprint
from xds.database.access import Database
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import Submission
from xds.registry.events import REMOVED
from xds.registry.identities import PatientIdentities
from xds.registry.registry import DocumentRegistry
from xds.registry.tables import document_entry

PATIENT, OTHER = samples.patient("R1"), samples.patient("R2")
Change = Callable[[DocumentRegistry, DocumentEntry], object]


def _submission(patient_id: str = PATIENT) -> Submission:
    entry = samples.entry(1, samples.oid(), patient_id, Fingerprint(1, "0" * 40)).updated(
        repository_unique_id="2.999.1.3"
    )
    return samples.submission(patient_id, samples.oid(), [entry]).with_uuids()


def _replace(registry: DocumentRegistry, entry: DocumentEntry) -> None:
    new = _submission()
    replacement = Association.create(
        association_type=v.RPLC, source=new.document_entries[0].id, target=entry.id
    )
    registry.register(Submission((*new.objects, replacement)))


def _hold(registry: DocumentRegistry, entry: DocumentEntry) -> None:
    registry.hold([entry.unique_id or ""], reason="a case")


def _remove(registry: DocumentRegistry, entry: DocumentEntry) -> None:
    registry.remove(_with_its_set(registry, entry))


def _merge(registry: DocumentRegistry, _: DocumentEntry) -> None:
    PatientIdentities(registry.database).merge(subsumed=PATIENT, surviving=OTHER)


def _something_else(registry: DocumentRegistry, _: DocumentEntry) -> None:
    registry.register(_submission(OTHER))


def _with_its_set(registry: DocumentRegistry, entry: DocumentEntry) -> list[str]:
    """Return the objects of the submission that brought an entry."""
    with registry.view(ANYTHING) as view:
        return list(view.going_with([entry.id]))


def _removed_during(database: Database, change: Change) -> tuple[DocumentEntry, set[str]]:
    """Remove a submission, with a change between check and removal; return what entries are left.

    Raises what the removal does.
    """
    registry = DocumentRegistry(database=database)
    registry.register(_submission(OTHER))
    submission = _submission()
    registry.register(submission)
    (entry,) = submission.document_entries
    changes = [change]

    def meanwhile(_: object) -> None:
        if changes:
            changes.pop()(registry, entry)

    asked = [one.id for one in submission.objects]
    try:
        registry.remove(asked, tell=meanwhile)
    except TransactionFailure:
        assert entry.id in _entries(database) or change is _remove
        raise
    finally:
        assert not changes
    return entry, _entries(database)


def _entries(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(document_entry.c.entry_uuid)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_replace, "ReferencesExistException"),
        (_hold, "LocalPolicyRestrictionError"),
        (_remove, "UnresolvedReferenceException"),
    ],
)
def test_what_was_changed_meanwhile_is_not_removed(
    database: Database, change: Change, code: str
) -> None:
    with pytest.raises(TransactionFailure) as refused:
        _removed_during(database, change)
    assert {one.code for one in refused.value.errors} == {code}


@pytest.mark.parametrize("change", [_merge, _something_else])
def test_what_was_changed_meanwhile_may_be_of_no_matter(database: Database, change: Change) -> None:
    entry, left = _removed_during(database, change)
    assert entry.id not in left
    assert len(left) == (1 if change is _merge else 2)
    events = DocumentRegistry(database=database).events()
    assert {one.patient_id for one in events if one.kind == REMOVED} == {
        OTHER if change is _merge else PATIENT
    }
