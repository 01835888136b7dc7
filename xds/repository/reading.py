"""Reading registered documents: what cannot be given out is told, since it was promised.

A document that is registered was acknowledged, so one that is gone, that is not as it was stored,
or that cannot be read is an error of the log and of a counter. The bytes of a document of up to a
MiB are held to its hash as they go out; of a larger one to its size, and ``xds verify`` holds it to
its hash.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from typing import Final

from xds import logs
from xds.repository.index import IndexedDocument
from xds.repository.store import (
    DocumentDamaged,
    DocumentNotFound,
    DocumentReader,
    DocumentStore,
    StoreError,
)
from xds.tracing import part

EVENT: Final = "a registered document cannot be given out"
GONE: Final = "gone"
DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"
UNKNOWN: Final = "unknown"

_MOST_HASHED: Final = 1 << 20
"""Bytes: a hash takes a millisecond for each MiB, which is more than all else of an answer."""

_log = logs.get_logger(__name__)


def uncounted(_reason: str) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class RegisteredDocuments:
    """The registered documents in a store; safe to use from many threads."""

    store: DocumentStore
    count: Callable[[str], None] = uncounted
    """Is told GONE, DAMAGED, UNREADABLE or UNKNOWN of each that cannot be given out."""

    def whole(
        self,
        document: IndexedDocument,
        *,
        is_held: Callable[[IndexedDocument], bool] = lambda _: True,
    ) -> bytes:
        """Read a small document at once; DocumentNotFound, DocumentDamaged or StoreUnavailable.

        ``is_held`` is asked as by ``open``.
        """
        try:
            with part("store read"):
                data = self.store.whole(document.key, document.size)
            if document.size <= _MOST_HASHED:
                _check(sha1(data, usedforsecurity=False).hexdigest(), document)
        except StoreError as error:
            self._told(document, error, is_held)
            raise
        return data

    def open(
        self,
        document: IndexedDocument,
        start: int = 0,
        length: int | None = None,
        *,
        is_held: Callable[[IndexedDocument], bool] = lambda _: True,
    ) -> DocumentReader:
        """Open a document, or a part of it; DocumentNotFound, DocumentDamaged, StoreUnavailable.

        ``is_held`` is asked of one that is not there: where it was removed, nothing is amiss.

        Its reader raises the latter two where that shows only as the bytes come.
        """
        try:
            with part("store open"):
                reader = self.store.open(document.key, start, length)
            if reader.size != document.size:
                reader.close()
                raise DocumentDamaged("a document has not its size")
        except StoreError as error:
            self._told(document, error, is_held)
            raise
        is_whole = not start and length is None
        return _CheckedReader(
            self, document, reader, hashes=is_whole and reader.size <= _MOST_HASHED
        )

    def _told(
        self,
        document: IndexedDocument,
        error: StoreError,
        is_held: Callable[[IndexedDocument], bool],
    ) -> None:
        if not isinstance(error, DocumentNotFound) or is_held(document):
            self.tell(document, error)

    def tell_unknown(self, entry_uuid: str) -> None:
        """Tell of a document that is registered as this repository's, which does not know it."""
        self.count(UNKNOWN)
        _log.error(EVENT, reason=UNKNOWN, entry_uuid=entry_uuid)

    def tell(self, document: IndexedDocument, error: StoreError) -> None:
        """Tell log and counter of a document that cannot be given out."""
        reason = _reason(error)
        self.count(reason)
        # the key alone: a uniqueId may tell of the patient
        _log.error(
            EVENT,
            reason=reason,
            key=document.key,
            bytes=document.size,
            said=str(error),
        )


def _reason(error: StoreError) -> str:
    if isinstance(error, DocumentNotFound):
        return GONE
    return DAMAGED if isinstance(error, DocumentDamaged) else UNREADABLE


def _check(digest: str, document: IndexedDocument) -> None:
    if digest != document.hash:
        raise DocumentDamaged("a document has not its hash")


class _CheckedReader(DocumentReader):
    """The blocks of a registered document, whose hash is looked at before the last one goes out."""

    def __init__(
        self,
        documents: RegisteredDocuments,
        document: IndexedDocument,
        reader: DocumentReader,
        *,
        hashes: bool,
    ) -> None:
        self.size, self.length = reader.size, reader.length
        self._documents, self._document, self._reader = documents, document, reader
        self._hash = sha1(usedforsecurity=False) if hashes else None
        self._rest = reader.length

    def __next__(self) -> bytes:
        try:
            block = next(self._reader)
            self._hashed(block)
            return block
        except StoreError as error:
            self._documents.tell(self._document, error)
            raise

    def _hashed(self, block: bytes) -> None:
        if self._hash is None:
            return
        self._hash.update(block)
        self._rest -= len(block)
        if not self._rest:
            _check(self._hash.hexdigest(), self._document)

    def close(self) -> None:
        """Let go of the document."""
        self._reader.close()
