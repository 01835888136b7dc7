"""Removing documents on request (ITI TF-2 3.86.4.1.3), so that a crash cannot bring them back.

One commit takes the documents out of the index, from where on nobody can retrieve them, and notes
that they were removed. Only then are their bytes deleted. What a crash leaves of these lies in the
store without a row, as after a broken submission, and `xds sweep` removes it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import Final, Protocol

from xds import logs
from xds.database.access import InCommit, retried
from xds.database.errors import DatabaseConflict
from xds.database.locks import NOTHING, Locks
from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSDocumentUniqueIdError,
    XDSRemoveDocumentsError,
)
from xds.metadata.document_request import DocumentRequest
from xds.metadata.unique_ids import normal
from xds.repository import index
from xds.repository.index import Connection, IndexedDocument
from xds.repository.registering import locked
from xds.repository.repository import DocumentRepository
from xds.repository.store import StoreError


class Obstacles(Protocol):
    """Says why some documents must stay."""

    def __call__(
        self, connection: Connection, unique_ids: Collection[str], *, again: bool
    ) -> Mapping[str, str]:
        """Return the reasons by uniqueId; ``again``: such as have come since all were asked for."""


_UNSETTLED: Final = "its registration is under way"

_log: Final = logs.get_logger(__name__)


def remove(
    repository: DocumentRepository,
    requests: Sequence[DocumentRequest],
    obstacles: Obstacles,
    *,
    withheld: Set[str] = frozenset(),
    in_commit: InCommit | None = None,
    locks: Locks | None = None,
) -> None:
    """Remove documents, all or none; those whose uniqueIds are ``withheld`` are not there.

    ``obstacles`` is asked before the commit and within it, where ``in_commit`` is called. ``locks``
    are those of whoever would register the documents meanwhile.

    Raises TransactionFailure with everything that speaks against it; then nothing has changed.
    """
    misdirected = dict(_misdirected(repository, requests))
    wanted = list(dict.fromkeys(r.document_unique_id for r in requests if r not in misdirected))
    if misdirected:
        with repository.database.read() as connection:
            held = index.find(connection, wanted)
            further = _errors(connection, wanted, held, obstacles, withheld)
        raise TransactionFailure([*misdirected.values(), *further])
    own = locked([normal(one) for one in wanted])
    exclusive = own.exclusive | (locks.exclusive if locks else frozenset())
    act = partial(_remove, repository, wanted, obstacles, withheld, in_commit, exclusive)
    delete_bytes(repository, retried(act))


def drop(
    repository: DocumentRepository, connection: Connection, wanted: Sequence[str]
) -> Collection[IndexedDocument]:
    """Take documents out of the index in somebody else's commit, and return those that go.

    Who commits holds the locks of :func:`locked`, and calls :func:`delete_bytes` afterwards. What
    is not held, and what is being registered, is left as it is. Raises DatabaseConflict.
    """
    held = index.find(connection, wanted)
    unsettled = index.pending(connection, [normal(one) for one in held])
    documents = {one.key: one for name, one in held.items() if normal(name) not in unsettled}
    going = list(documents.values())
    if going:
        before = index.removed(connection, [one.unique_id for one in going])
        now = repository.database.clock(connection)
        if not index.remove(connection, going, before, now):
            raise DatabaseConflict("a document has been removed or provided meanwhile")
    return going


def _misdirected(
    repository: DocumentRepository, requests: Sequence[DocumentRequest]
) -> Iterator[tuple[DocumentRequest, RegistryError]]:
    """Yield what is not of this repository, or community, with the error of it."""
    for request in requests:
        try:
            repository.require_here(request)
        except RegistryError as error:
            yield request, error


def _remove(
    repository: DocumentRepository,
    wanted: Sequence[str],
    obstacles: Obstacles,
    withheld: Set[str],
    in_commit: InCommit | None,
    exclusive: frozenset[str],
) -> Collection[IndexedDocument]:
    database = repository.database

    with database.read() as connection:
        held = index.find(connection, wanted)
        if errors := _errors(connection, wanted, held, obstacles, withheld):
            raise TransactionFailure(errors)
        removed = list({one.key: one for one in held.values()}.values())
        before = index.removed(connection, [one.unique_id for one in removed])
    locks = Locks(exclusive=exclusive)
    is_large = locks.are_of_everything
    with database.write(NOTHING if is_large else locks) as connection:
        if not index.remove(connection, removed, before, database.clock(connection)):
            raise DatabaseConflict("a document has been removed or provided meanwhile")
        if is_large:  # which keeps everybody waiting, so not for longer than it must
            database.lock(connection, locks)
        if errors := _errors(connection, wanted, held, obstacles, withheld, again=True):
            raise TransactionFailure(errors)
        if in_commit is not None:
            in_commit(connection)
    return removed


def _errors(
    connection: Connection,
    wanted: Sequence[str],
    held: Mapping[str, IndexedDocument],
    obstacles: Obstacles,
    withheld: Set[str],
    *,
    again: bool = False,
) -> list[RegistryError]:
    """Return what speaks against the removal of documents, ``held`` of which are in the index."""
    reasons = dict(obstacles(connection, held.keys() - withheld, again=again))
    unsettled = index.pending(connection, [normal(one) for one in held])
    reasons |= {one: _UNSETTLED for one in held if unsettled and normal(one) in unsettled}
    return list(_refusals(wanted, held.keys() - withheld, reasons))


def _refusals(
    wanted: Sequence[str], held: Set[str], reasons: Mapping[str, str]
) -> Iterator[RegistryError]:
    for unique_id in wanted:
        if unique_id not in held:
            told = f"no document {unique_id} in this repository"
            yield XDSDocumentUniqueIdError(told, unique_id)
        elif unique_id in reasons:
            told = f"document {unique_id} cannot be removed: {reasons[unique_id]}"
            yield XDSRemoveDocumentsError(told, unique_id)


def delete_bytes(repository: DocumentRepository, documents: Collection[IndexedDocument]) -> None:
    """Delete the bytes of what is out of the index; what cannot be now is left to a sweep."""
    if not documents:
        return
    try:
        repository.store.delete_all(one.key for one in documents)
    except StoreError as error:
        _log.warning("the bytes of removed documents are left", said=str(error))
