"""Keeping store and index together: what ``xds sweep`` and ``xds verify`` do."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeVar

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


def sweep(repository: DocumentRepository, *, older_than: timedelta) -> Iterator[StoredDocument]:
    """Remove the orphans, yielding each that is gone."""
    for page in _orphans(repository, older_than):
        repository.store.discard(page)
        yield from page


def _orphans(
    repository: DocumentRepository, older_than: timedelta
) -> Iterator[Sequence[StoredDocument]]:
    limit = datetime.now(UTC) - older_than
    for page in _pages(repository.store.staged_leftovers()):
        yield [stored for stored in page if stored.modified < limit]
    for page in _pages(repository.store.list()):
        old = [stored for stored in page if stored.modified < limit]
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
            reasons = threads.map(partial(_reason, repository), page)
            for found, reason in zip(page, reasons, strict=True):
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
