"""Keeping store and index together: what ``xds sweep`` and ``xds verify`` do."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from xds.repository import index
from xds.repository.index import IndexedDocument
from xds.repository.repository import DocumentRepository
from xds.repository.store import DocumentNotFound, StoredDocument, StoreError


@dataclass(frozen=True, slots=True)
class Damage:
    """One document that is not as it was stored."""

    unique_id: str
    reason: str


def orphans(repository: DocumentRepository, *, older_than: timedelta) -> Iterator[StoredDocument]:
    """Yield what lies in the store without an index row: left by a crash, or still arriving.

    Only age tells these apart, so what is younger than ``older_than`` is passed over.
    """
    limit = datetime.now(UTC) - older_than
    for stored in repository.store.staged_leftovers():
        if stored.modified < limit:
            yield stored
    for stored in repository.store.list():
        if stored.modified < limit:
            with repository.database.read() as connection:
                if not index.holds_key(connection, stored.key):
                    yield stored


def sweep(repository: DocumentRepository, *, older_than: timedelta) -> Iterator[StoredDocument]:
    """Remove the orphans, yielding each that is gone."""
    for orphan in orphans(repository, older_than=older_than):
        repository.store.discard([orphan])
        yield orphan


def damages(repository: DocumentRepository) -> Iterator[tuple[IndexedDocument, Damage | None]]:
    """Read every document of the index and say what is wrong with it, None where nothing is."""
    for found in index.every(repository.database):
        reason = _reason(repository, found)
        yield found, None if reason is None else Damage(found.unique_id, reason)


def _reason(repository: DocumentRepository, found: IndexedDocument) -> str | None:
    digest = hashlib.sha1(usedforsecurity=False)
    size = 0
    try:
        with repository.store.open(found.key) as reader:
            for chunk in reader:
                digest.update(chunk)
                size += len(chunk)
    except DocumentNotFound:
        return "the document is missing"
    except StoreError:
        return "the document cannot be read"
    if size != found.size:
        return f"size is {size}, registered is {found.size}"
    if digest.hexdigest() != found.hash:
        return f"hash is {digest.hexdigest()}, registered is {found.hash}"
    return None
