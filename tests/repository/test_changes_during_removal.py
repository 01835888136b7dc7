"""ITI-86 asks what it may remove before it locks: what happens in between is not overlooked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import samples
from tests.databases import Databases
from tests.registry.meanwhile import Change, Meanwhile
from xds.affinity_domain import AffinityDomain
from xds.client import Fingerprint
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.database.locks import NOTHING, Locks
from xds.errors import TransactionFailure
from xds.metadata.document_request import DocumentRequest
from xds.registry.registry import DocumentRegistry
from xds.repository import index
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
    entry = samples.entry(1, unique_id, PATIENT, Fingerprint(1, "0" * 40)).updated(
        repository_unique_id=EXAMPLE_REPOSITORY
    )
    submission = samples.submission(PATIENT, samples.oid(), [entry])
    return lambda registry: registry.register(submission)


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
