"""What became of registrations that nobody heard the outcome of: the registry is asked.

It knows by ITI-18 which documents of this repository are registered. Those are held for good; the
others are withdrawn, for nobody was told that they were accepted.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from xds.database.access import retried
from xds.metadata.objects import DocumentEntry
from xds.metadata.unique_ids import normal
from xds.repository import index
from xds.repository.index import IndexedDocument
from xds.repository.registering import RemoteRegistry, locked
from xds.repository.repository import DocumentRepository
from xds.repository.store import DocumentNotFound

Attempts = Mapping[str, Collection[str]]
"""Attempts to register, by the uniqueIds of their documents."""


def unregistered(
    repository: DocumentRepository, registry: RemoteRegistry, *, older_than: timedelta
) -> Iterator[IndexedDocument]:
    """Yield the documents that no attempt has registered, the last of which was before that time.

    What is younger is passed over: the registry may still be about to register it. Raises
    RegistryUnavailable.
    """
    for attempts in _waiting(repository, older_than):
        missing = attempts.keys() - registered(repository, registry, attempts).keys()
        with repository.database.read() as connection:
            found = index.find(connection, sorted(missing))
        yield from found.values()


def resolve(
    repository: DocumentRepository, registry: RemoteRegistry, *, older_than: timedelta
) -> Iterator[IndexedDocument]:
    """Withdraw the same documents, yielding each, and note that the others are registered."""
    for attempts in _waiting(repository, older_than):
        found = registered(repository, registry, attempts).keys()
        for withdrawn in _resolved(repository, attempts, found):
            with suppress(DocumentNotFound):
                repository.store.delete(withdrawn.key)
            yield withdrawn


def registered(
    repository: DocumentRepository, registry: RemoteRegistry, unique_ids: Collection[str]
) -> Mapping[str, list[DocumentEntry]]:
    """Return what the registry has of documents of this repository, by their uniqueIds."""
    found: dict[str, list[DocumentEntry]] = {}
    for entry in registry.document_entries(unique_ids):
        if entry.repository_unique_id == repository.unique_id:
            found.setdefault(normal(entry.unique_id or ""), []).append(entry)
    return {one: found[normal(one)] for one in unique_ids if normal(one) in found}


def _waiting(repository: DocumentRepository, older_than: timedelta) -> Iterator[Attempts]:
    with repository.database.read() as connection:
        limit = repository.database.clock(connection) - int(older_than.total_seconds())
    return index.pending_since(repository.database, limit)


def _resolved(
    repository: DocumentRepository, attempts: Attempts, found: Collection[str]
) -> list[IndexedDocument]:
    missing = {one: attempts[one] for one in attempts if one not in found}
    # an attempt that was begun after the registry was asked is not among these, and keeps its own
    failed = {attempt for some in missing.values() for attempt in some}

    def act() -> list[IndexedDocument]:
        with repository.database.write(locked(attempts)) as connection:
            index.note_registered(connection, found)
            return index.withdraw(connection, failed, missing)

    return retried(act)
