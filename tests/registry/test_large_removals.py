"""A removal of many objects, whose rows are hidden on SQLite and deleted after the commit."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from bench import samples
from tests.rounds import rounds
from xds.client import Fingerprint
from xds.database import hidden_rows
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import DocumentEntry, SubmissionSet
from xds.metadata.submission import Submission
from xds.registry import removal, schema
from xds.registry.events import REMOVED
from xds.registry.registry import DocumentRegistry
from xds.registry.tables import TABLES, VALUES, document_entry

shows = pytest.mark.shows
PATIENT, OTHER = samples.patient("L1"), samples.patient("L2")
ENTRIES = 3


class Ended(Exception):
    """The process has ended here."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have any removal be a large one, deleted row by row."""
    monkeypatch.setattr(removal, "_FEW", 0)
    monkeypatch.setattr(hidden_rows, "_BATCH", 1)


def _submission(patient_id: str = PATIENT) -> Submission:
    entries = [
        samples.entry(number, samples.oid(), patient_id, Fingerprint(1, "0" * 40)).updated(
            repository_unique_id="2.999.1.3"
        )
        for number in range(ENTRIES)
    ]
    return samples.submission(patient_id, samples.oid(), entries).with_uuids()


@pytest.fixture
def registry(database: Database) -> DocumentRegistry:
    made = DocumentRegistry(database=database)
    made.register(_submission(OTHER))
    return made


def _asked(submission: Submission) -> list[str]:
    return [one.id for one in submission.objects]


def _removed_but_not_deleted(
    registry: DocumentRegistry, monkeypatch: pytest.MonkeyPatch, after: int = 0
) -> Submission:
    """Remove a submission in a process that ends before all is deleted: after so many rows."""
    submission = _submission()
    registry.register(submission)
    done = [0]

    def delete(*arguments: Any) -> None:
        if done[0] == after:
            raise Ended
        done[0] += 1
        hidden_rows.delete_hidden(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(removal, "delete_hidden", delete)
        if registry.database.is_sqlite:
            with pytest.raises(Ended):
                registry.remove(_asked(submission))
        else:
            registry.remove(_asked(submission))
    return submission


def _rows(database: Database) -> dict[str, int]:
    """Count what there is in the tables, hidden or not."""
    tables = (*TABLES.values(), *VALUES.values())
    names = [table.name for table in tables] + [f"hidden_{one.name}" for one in TABLES.values()]
    with database.read() as connection:
        return {
            name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
            for name in names
        }


def _found(registry: DocumentRegistry) -> tuple[set[str], set[str]]:
    """Return the entryUUIDs that are found: DocumentEntries, and SubmissionSets."""
    with registry.view(ANYTHING) as view:
        entries = {one.found.entry_uuid for one in view.find(DocumentEntry, [])}
        return entries, {one.found.entry_uuid for one in view.find(SubmissionSet, [])}


@shows("behaviour removal")
@pytest.mark.parametrize("after", [0, 2])
def test_what_is_removed_is_gone_before_it_is_deleted(
    registry: DocumentRegistry, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before, there = _rows(registry.database), _found(registry)
    submission = _removed_but_not_deleted(registry, monkeypatch, after)
    assert _found(registry) == there
    with registry.view(ANYTHING) as view:
        assert view.count(DocumentEntry, []) == ENTRIES
        going = [one.id for one in submission.document_entries]
        assert view.going_with(going) == going
    told = [one for one in registry.events() if one.kind == REMOVED]
    assert {one.entry_uuid for one in told} == {
        submission.submission_set.id,
        *(one.id for one in submission.document_entries),
    }
    assert all(one.removed is not None for one in told)
    if registry.database.is_sqlite:
        assert _rows(registry.database) != before
    schema.prepare(registry.database)
    assert _rows(registry.database) == before


@shows("behaviour removal")
def test_what_is_removed_and_not_deleted_can_be_registered_again(
    registry: DocumentRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = _removed_but_not_deleted(registry, monkeypatch)
    registry.register(submission)
    entries, sets = _found(registry)
    assert {one.id for one in submission.document_entries} < entries
    assert submission.submission_set.id in sets
    assert _rows(registry.database)["document_entry"] == 2 * ENTRIES


@shows("behaviour removal")
def test_a_removal_that_fails_in_its_commit_hides_nothing(registry: DocumentRegistry) -> None:
    submission = _submission()
    registry.register(submission)
    before, there = _rows(registry.database), _found(registry)

    def fail(_: object) -> None:
        raise Ended

    with pytest.raises(Ended):
        registry.remove(_asked(submission), in_commit=fail)
    assert (_rows(registry.database), _found(registry)) == (before, there)


def test_a_removal_stands_where_the_deletion_fails(
    registry: DocumentRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = _submission()
    registry.register(submission)

    def fail(*_: object) -> None:
        raise DatabaseUnavailable("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(removal, "delete_hidden", fail)
        registry.remove(_asked(submission))
    assert not {one.id for one in submission.document_entries} & _found(registry)[0]
    other = _submission()
    registry.register(other)
    registry.remove(_asked(other))  # which deletes both
    assert _rows(registry.database)["document_entry"] == ENTRIES


@shows("behaviour race of a removal")
@rounds(3, 50)
def test_a_reader_sees_all_that_is_removed_or_nothing(
    registry: DocumentRegistry, rounds: int
) -> None:
    seen: list[Sequence[int]] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            with registry.database.read() as connection:
                counts = [
                    connection.scalar(select(func.count()).select_from(table)) or 0
                    for table in (document_entry, TABLES[SubmissionSet])
                ]
            seen.append(counts)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(rounds):
            submission = _submission()
            registry.register(submission)
            registry.remove(_asked(submission))
    finally:
        over.set()
        reader.join()
    assert {tuple(one) for one in seen} <= {(ENTRIES, 1), (2 * ENTRIES, 2)}
