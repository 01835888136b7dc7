"""Where the Document Repository keeps the bytes of documents: the interface of every store.

A document is staged while its bytes arrive, and published once the submission was found good.
Only published documents can be read. `publish` returns when they are durable, so a caller
that registers metadata afterwards never registers a document that a crash can take away.
What a crash does leave is found by `list` and `staged_leftovers`.

    StoreError
    ├── DocumentNotFound          no such document
    ├── DocumentDamaged           its bytes are not those that were stored
    └── StoreUnavailable          the store cannot be read or written now
        └── StoreFull             there is no room left
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from xds.closing import Closing
from xds.errors import FailureKind

OBJECT_STORES: Final = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
"""The schemes of the URLs of object stores."""

_PROOF: Final = bytes(64 * 1024)
"""What a check writes: on a full disk there is room for a few bytes now and then."""
_BLOCK: Final = 256 * 1024
_KEY: Final = re.compile(r"[0-9a-f]{32}")


class StoreError(Exception):
    """A document could not be stored, read or removed."""


class DocumentNotFound(StoreError):
    """The store has no such document."""


class DocumentDamaged(StoreError):
    """The bytes of a document are not those that were stored; the text names no patient."""


class StoreUnavailable(StoreError):
    """The store cannot do its work now; the text says why and names no patient."""

    failure_kind = FailureKind.UNAVAILABLE


class StoreFull(StoreUnavailable):
    """The store has no room left (answered with XDSRepositoryOutOfResources, TF-3 4.2.4)."""

    failure_kind = FailureKind.FULL


@dataclass(frozen=True, slots=True)
class StagedDocument:
    """A document whose bytes have arrived, which no reader can see yet.

    To be published or discarded by the store object that staged it: others may not know it.
    """

    key: str
    """Names the bytes in the store; unrelated to the patient and to uniqueId."""
    size: int
    """The number of bytes, as in DocumentEntry.size (TF-3 4.2.3.2)."""
    hash: str
    """SHA-1 as 40 lower-case hex digits, as in DocumentEntry.hash (TF-3 4.2.3.2)."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the store itself knows of a document that it holds."""

    key: str
    size: int
    modified: datetime
    """When it was published, or for a staged one, last written to. In UTC."""


class DocumentReader(Iterator[bytes], Closing):
    """The blocks of one document, or of a range of it. Belongs to one thread; close it."""

    size: int
    """The size of the whole document."""
    length: int
    """The number of bytes that the blocks add up to."""

    @abstractmethod
    def __next__(self) -> bytes:
        """Give the next block, never empty; DocumentDamaged when the bytes end too early."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the document; closing twice does no harm."""


class BytesReader(DocumentReader):
    """The blocks of a document that is in memory."""

    def __init__(self, data: bytes, start: int = 0, length: int | None = None) -> None:
        self.size = len(data)
        self._rest = memoryview(data)[start:][:length]
        self.length = len(self._rest)

    def __next__(self) -> bytes:
        if not self._rest:
            raise StopIteration
        block, self._rest = self._rest[:_BLOCK], self._rest[_BLOCK:]
        return bytes(block)

    def close(self) -> None:
        """Let go of the document."""
        self._rest = memoryview(b"")


class DocumentStore(ABC):
    """Keeps documents. Used by many threads, and by many processes, at once.

    Every method raises StoreUnavailable, or StoreFull, when the store cannot do its work.
    """

    @abstractmethod
    def stage(self, chunks: Iterable[bytes]) -> StagedDocument:
        """Take in a document as it arrives; an exception from chunks leaves nothing behind."""

    @abstractmethod
    def publish(self, staged: Sequence[StagedDocument]) -> None:
        """Make all of them durable and readable; if that fails, none of them stays.

        DocumentNotFound when one is not staged: already published, discarded, or swept.
        """

    @abstractmethod
    def discard(self, documents: Iterable[StagedDocument | StoredDocument]) -> None:
        """Remove them, staged or published; what is missing already is no error."""

    @abstractmethod
    def open(self, key: str, start: int = 0, length: int | None = None) -> DocumentReader:
        """Read a published document, or the part of it from start on; else DocumentNotFound."""

    def whole(self, key: str, size: int) -> bytes:
        """Read a small document at once, whose size is known; DocumentDamaged if it is not that.

        Else as :meth:`open`. To open, read and close a document of a few KiB by that costs more
        than all else of an answer; a store overrides this where it has a shorter way.
        """
        with self.open(key) as reader:
            if reader.size == size:
                return of_size(b"".join(reader), size)
        raise _not_of_size()

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a published document for good; DocumentNotFound when there is none."""

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove published documents for good; what is missing already is no error.

        All that can be removed is, whatever is wrong with others.
        """
        failure: StoreError | None = None
        for key in keys:
            try:
                self.delete(key)
            except DocumentNotFound:
                continue
            except StoreError as error:
                failure = error
        if failure is not None:
            raise failure

    @abstractmethod
    def list(self) -> Iterator[StoredDocument]:
        """List the published documents, in no order."""

    @abstractmethod
    def staged_leftovers(self) -> Iterator[StoredDocument]:
        """List the staged documents: those that are arriving now, and what a crash left.

        Only age tells these apart, so remove those that no request can still be writing. A store
        that cannot see those of other processes says what else removes them.
        """

    @abstractmethod
    def now(self) -> datetime:
        """Tell the time by the clock that dates the documents, which may not be this machine's."""

    def check(self) -> None:
        """Prove that documents can be written, for the readiness of the server."""
        self.discard([self.stage([_PROOF])])


def is_key(text: str) -> bool:
    """Whether the text is a key that a store may have given: 32 lower-case hex digits."""
    return _KEY.fullmatch(text) is not None


def of_size(data: bytes, size: int) -> bytes:
    """Return the bytes of a document; DocumentDamaged when they are not as many as its size."""
    if len(data) != size:
        raise _not_of_size()
    return data


def _not_of_size() -> DocumentDamaged:
    return DocumentDamaged("a document has not its size")


def length_of_range(size: int, start: int, length: int | None) -> int:
    """How many bytes of a document of that size a range holds; beyond its end there are none."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range of a document has no negative start or length")
    rest = max(0, size - start)
    return rest if length is None else min(rest, length)


def open_store(url: str, options: Mapping[str, str] | None = None) -> DocumentStore:
    """Open the store that a URL names: file:///absolute/folder, or s3://bucket/prefix and such.

    The options say how an object store is reached; what they may be depends on its kind.
    """
    # here and not above, because each kind of store imports this module
    from xds.repository.filesystem import FilesystemStore

    scheme = urlsplit(url).scheme
    if scheme == "file":
        return FilesystemStore(_folder_of(url))
    if scheme in OBJECT_STORES:
        return _open_object_store(url, options or {})
    raise ValueError(
        f"documents: cannot tell from {scheme or 'no scheme'!r} which store is meant; "
        "a folder is written file:///absolute/path, a bucket s3://bucket/prefix"
    )


def _open_object_store(url: str, options: Mapping[str, str]) -> DocumentStore:
    try:
        from xds.repository.object_storage import ObjectStorage
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        raise ValueError(
            "documents: an object store needs the package obstore: "
            "pip install 'xds[object-storage]'"
        ) from None
    return ObjectStorage(url, options)


def folder_of(url: str) -> Path | None:
    """Return the folder that a URL names, None for another store; ValueError if it is wrong."""
    return _folder_of(url) if urlsplit(url).scheme == "file" else None


def _folder_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise ValueError("documents: a folder is written file:///absolute/path, ? and # encoded")
    folder = Path(unquote(parts.path))
    if not folder.is_absolute():
        raise ValueError("documents: the path of a file: URL must be absolute")
    return folder
