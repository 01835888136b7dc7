"""Keeping store and index together: what ``xds sweep`` and ``xds verify`` do.

A sweep never removes a document that is acknowledged, whatever age it is told and whatever clock
its machine has. What lies in the store without a row may be of a submission that is about to
commit. So a sweep first notes what it will remove, in a transaction that waits for all
registrations and looks for rows once more; a registration looks for such notes in its commit. The
one of both that comes second sees the other. Age only spares submissions that are under way; it is
told by the clock of the store, which has dated the documents.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from xds.database.access import retried
from xds.database.locks import EVERYTHING
from xds.repository import index
from xds.repository.index import IndexedDocument
from xds.repository.repository import DocumentRepository
from xds.repository.store import DocumentNotFound, StoredDocument, StoreError

_Item = TypeVar("_Item")

_PAGE: Final = 500
_AT_ONCE: Final = 8
"""Documents that are read at the same time: from another machine each takes a while to come."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One document that is not as it was stored."""

    unique_id: str
    reason: str


def orphans(repository: DocumentRepository, *, older_than: timedelta) -> Iterator[StoredDocument]:
    """Yield what lies in the store without an index row: left by a crash, or still arriving.

    Only age tells these apart, so what is younger than ``older_than`` is passed over.
    """
    for page in _orphans(repository, older_than):
        yield from page


def holds_some(repository: DocumentRepository) -> bool:
    """Whether the index has any of the documents that are in the store; yes where there are none.

    If not, it is the index of another store, or the store that of another index.
    """
    is_empty = True
    for page in _pages(repository.store.list()):
        is_empty = False
        with repository.database.read() as connection:
            if index.held_keys(connection, [stored.key for stored in page]):
                return True
    return is_empty


def sweep(repository: DocumentRepository, *, older_than: timedelta) -> Iterator[StoredDocument]:
    """Remove the orphans, yielding each that is gone."""
    for page in _orphans(repository, older_than):
        gone = _condemned(repository, page)
        repository.store.discard(gone)
        yield from gone


def _condemned(
    repository: DocumentRepository, orphans: Sequence[StoredDocument]
) -> Sequence[StoredDocument]:
    """Note what will be removed, and return it: without what has come to be held meanwhile."""
    if not orphans:
        return ()
    database, keys = repository.database, [orphan.key for orphan in orphans]

    def note() -> set[str]:
        with database.write(EVERYTHING) as connection:
            return index.condemn(connection, keys, database.clock(connection))

    gone = retried(note)
    return [orphan for orphan in orphans if orphan.key in gone]


def _orphans(
    repository: DocumentRepository, older_than: timedelta
) -> Iterator[Sequence[StoredDocument]]:
    limit = repository.store.now() - older_than
    for page in _pages(repository.store.staged_leftovers()):
        yield [stored for stored in page if stored.modified <= limit]
    for page in _pages(repository.store.list()):
        old = [stored for stored in page if stored.modified <= limit]
        with repository.database.read() as connection:
            held = index.held_keys(connection, [stored.key for stored in old])
        yield [stored for stored in old if stored.key not in held]


def _pages(stored: Iterator[_Item]) -> Iterator[Sequence[_Item]]:
    while page := list(islice(stored, _PAGE)):
        yield page


def damages(repository: DocumentRepository) -> Iterator[tuple[IndexedDocument, Damage | None]]:
    """Read every document of the index and say what is wrong with it, None where nothing is."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for page in _pages(index.every(repository.database)):
            reasons = threads.map(partial(damage_of, repository), page)
            for found, reason in zip(page, reasons, strict=True):
                yield found, None if reason is None else Damage(found.unique_id, reason)


def damage_of(repository: DocumentRepository, found: IndexedDocument) -> str | None:
    """Read every byte of a document and say what is wrong with it, None where nothing is."""
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
