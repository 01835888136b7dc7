"""Documents are removed as they were looked at, and with their entries by one commit or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from bench import samples
from tests.databases import Databases
from tests.registry.meanwhile import Change, Meanwhile
from xds.affinity_domain import AffinityDomain
from xds.client import Fingerprint
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.database.access import InCommit
from xds.database.locks import NOTHING, Locks
from xds.errors import TransactionFailure
from xds.metadata.criteria import ANYTHING
from xds.metadata.document_request import DocumentRequest
from xds.metadata.submission import Submission
from xds.registry.registry import DocumentRegistry
from xds.repository import index, maintenance, removing
from xds.repository.index import Connection, IndexedDocument

PATIENT = samples.patient("D1")
NAMED = samples.oid()


@pytest.fixture
def domain(tmp_path: Path, databases: Databases) -> Iterator[AffinityDomain]:
    with databases.opened(tmp_path):
        options = {"database": databases.url(tmp_path), "remove_documents": "unreferenced"}
        opened = AffinityDomain.open(Config.model_validate({"data": tmp_path, **options}))
        yield opened
        opened.close()


def _kept(domain: AffinityDomain, unique_id: str) -> IndexedDocument:
    """Have the repository keep a document that no entry names."""
    store = domain.repository.store
    staged = store.stage([b"x"])
    store.publish([staged])
    kept = IndexedDocument(unique_id, staged.key, "text/plain", staged.size, staged.hash)
    with domain.repository.database.write() as connection:
        index.add(connection, [kept])
    return kept


def _registering(unique_id: str) -> Change:
    submission = _submission(unique_id, PATIENT)
    return lambda registry: registry.register(submission)


def _submission(unique_id: str, patient_id: str) -> Submission:
    entry = samples.entry(1, unique_id, patient_id, Fingerprint(1, "0" * 40)).updated(
        repository_unique_id=EXAMPLE_REPOSITORY
    )
    return samples.submission(patient_id, samples.oid(), [entry])


def _removed(
    domain: AffinityDomain,
    unique_ids: list[str],
    change: Change,
    racing_on: type[Meanwhile] = Meanwhile,
) -> None:
    """Remove documents, with a change after they were looked at."""
    racing: Any = racing_on(domain.database, change)
    repository = replace(domain.repository, database=racing)
    replace(domain, repository_here=repository).remove_documents(
        [DocumentRequest(EXAMPLE_REPOSITORY, one) for one in unique_ids],
        withheld=frozenset(),
        in_commit=lambda _: None,
    )


@pytest.mark.parametrize(
    "change",
    [
        _registering(NAMED),
        lambda registry: registry.hold([NAMED], reason="a case"),
    ],
    ids=["registered", "held"],
)
def test_what_must_stay_since_then_stays(domain: AffinityDomain, change: Change) -> None:
    others = [_kept(domain, samples.oid()) for _ in range(70)]
    kept = [*others, _kept(domain, NAMED)]
    unique_ids = [one.unique_id for one in kept]
    with pytest.raises(TransactionFailure) as refused:
        _removed(domain, unique_ids, change)
    assert [(one.code, one.location) for one in refused.value.errors] == [
        ("XDSRemoveDocumentsError", NAMED)
    ]
    with domain.database.read() as connection:
        assert set(index.find(connection, unique_ids)) == set(unique_ids)
    assert {one.key for one in domain.repository.store.list()} == {one.key for one in kept}


class _BeforeLock(Meanwhile):
    """Does it when the documents are out of the index already, and nothing is locked yet."""

    @contextmanager
    def write(self, locks: Locks = NOTHING) -> Iterator[Connection]:
        """Open the transaction and nothing else."""
        with self._database.write(locks) as connection:
            yield connection

    def lock(self, connection: Connection, locks: Locks) -> None:
        """Do it, and take the locks."""
        if self._changes:
            self._changes.pop()(DocumentRegistry(database=self._database))
        self._database.lock(connection, locks)


def test_a_document_that_is_registered_before_many_are_locked_stays(
    domain: AffinityDomain,
) -> None:
    if domain.database.is_sqlite:
        return  # whose one writer nobody can come between
    unique_ids = [_kept(domain, samples.oid()).unique_id for _ in range(70)]
    with pytest.raises(TransactionFailure):
        _removed(domain, unique_ids, _registering(unique_ids[0]), _BeforeLock)
    with domain.database.read() as connection:
        assert set(index.find(connection, unique_ids)) == set(unique_ids)


def test_another_document_that_is_registered_meanwhile_is_no_reason(
    domain: AffinityDomain,
) -> None:
    kept = [_kept(domain, samples.oid()) for _ in range(2)]
    unique_ids = [one.unique_id for one in kept]
    _removed(domain, unique_ids, _registering(samples.oid()))
    with domain.database.read() as connection:
        assert not index.find(connection, unique_ids)
        assert index.removed(connection, unique_ids) == set(unique_ids)
    assert not list(domain.repository.store.list())


def test_a_document_is_removed_provided_anew_and_removed_again(domain: AffinityDomain) -> None:
    unique_id = samples.oid()
    for _ in range(2):
        kept = _kept(domain, unique_id)
        _removed(domain, [unique_id], lambda _: None)
        with domain.database.read() as connection:
            assert index.removed_keys(connection, [kept.key]) == {kept.key}


def test_a_document_that_is_removed_meanwhile_is_not_there(domain: AffinityDomain) -> None:
    kept = _kept(domain, samples.oid())

    def remove(_: object) -> None:
        _removed(domain, [kept.unique_id], lambda _: None)

    with pytest.raises(TransactionFailure) as refused:
        _removed(domain, [kept.unique_id], remove)
    assert [one.code for one in refused.value.errors] == ["XDSDocumentUniqueIdError"]


# --- metadata and documents in one commit --------------------------------------------------------


class Ended(Exception):
    """The process ends here, or the database does."""


@dataclass(frozen=True, slots=True)
class Both:
    """A document with its entry, and their removal by one commit."""

    domain: AffinityDomain
    kept: IndexedDocument
    entry_uuids: list[str]

    @classmethod
    def of(cls, domain: AffinityDomain) -> "Both":
        """Keep a document, and register it."""
        kept = _kept(domain, samples.oid())
        submission = _submission(kept.unique_id, PATIENT).with_uuids()
        domain.registry.register(submission)
        return cls(domain, kept, [one.id for one in submission.objects])

    def remove(self, in_commit: InCommit = lambda _: None) -> None:
        """Remove both."""
        self.domain.remove_with_documents(
            self.entry_uuids,
            [self.kept.unique_id],
            tell=lambda _: None,
            in_commit=in_commit,
            visible=ANYTHING,
        )

    @property
    def left(self) -> tuple[bool, bool, bool]:
        """Whether the entry is registered, the document can be retrieved, and there are bytes."""
        with self.domain.database.read() as connection:
            is_held = bool(index.find(connection, [self.kept.unique_id]))
        is_registered = bool(self.domain.registry.patients_of_documents([self.kept.unique_id]))
        return is_registered, is_held, bool(list(self.domain.repository.store.list()))


def test_a_document_goes_with_its_entry(domain: AffinityDomain) -> None:
    both = Both.of(domain)
    both.remove()
    assert both.left == (False, False, False)


def test_a_removal_that_ends_before_its_commit_leaves_everything(domain: AffinityDomain) -> None:
    both = Both.of(domain)

    def end(_: object) -> None:
        raise Ended

    with pytest.raises(Ended):
        both.remove(end)
    assert both.left == (True, True, True)


def test_a_removal_that_ends_after_its_commit_leaves_bytes_for_a_sweep(
    domain: AffinityDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Both.of(domain)
    with monkeypatch.context() as ending:
        ending.setattr(removing, "delete_bytes", Mock(side_effect=Ended))
        with pytest.raises(Ended):
            both.remove()
    assert both.left == (False, False, True)
    swept = list(maintenance.sweep(domain.repository, older_than=timedelta(0)))
    assert [one.key for one in swept] == [both.kept.key]
    assert both.left == (False, False, False)


def test_a_document_that_gets_another_entry_meanwhile_stays(domain: AffinityDomain) -> None:
    both = Both.of(domain)
    racing: Any = Meanwhile(domain.database, _registering(both.kept.unique_id))
    registry = replace(domain.registry, database=racing)
    replace(both, domain=replace(domain, registry_here=registry)).remove()
    assert both.left == (True, True, True)


def test_a_document_on_legal_hold_keeps_its_entry(domain: AffinityDomain) -> None:
    both = Both.of(domain)
    domain.registry.hold([both.kept.unique_id], reason="a case")
    with pytest.raises(TransactionFailure):
        both.remove()
    assert both.left == (True, True, True)
