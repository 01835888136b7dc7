"""Documents as files below one folder: the embedded store.

    <root>/3f/3fa1…        a published document, named by its key
    <root>/3f/3fa1….staged a document on its way in

The two names share a folder, so that publishing is one atomic rename and one fsync of that
folder. The 256 folders are made at the start: making one later would cost each submission
the fsync of its parent.
"""

import errno
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from xds.repository.store import (
    DocumentDamaged,
    DocumentNotFound,
    DocumentReader,
    DocumentStore,
    StagedDocument,
    StoredDocument,
    StoreError,
    StoreFull,
    StoreUnavailable,
    is_key,
    length_of_range,
    of_size,
)

_STAGED: Final = ".staged"
_CLOCK: Final = ".clock"
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_BLOCK: Final = 256 * 1024
_WRITE_OUT: Final = 8 * 1024 * 1024
_SYNCS: Final = 8
"""Folders that are synced at a time."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FilesystemStore(DocumentStore):
    """A store in a folder, which it makes. Holds no state: any number may share the folder."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self._folders = [os.path.join(self._root, f"{number:02x}") for number in range(256)]
        with self._errors():
            _make_durable_folder(self._root)
            for folder in self._folders:
                _make_folder(folder)
            _sync(self._root)

    def stage(self, chunks: Iterable[bytes]) -> StagedDocument:
        """Write, count and hash in one pass; the file is private to its owner."""
        return self._stage(uuid4().hex, chunks)

    def keep(self, key: str, chunks: Iterable[bytes]) -> StagedDocument:
        """Take in a document under the key that it has elsewhere; it is durable on return."""
        kept = self._stage(key, chunks)
        self.publish([kept])
        return kept

    def _stage(self, key: str, chunks: Iterable[bytes]) -> StagedDocument:
        path = self._path(key) + _STAGED
        try:
            with self._errors():
                descriptor = os.open(path, _NEW_FILE, 0o600)
            try:
                size, digest = self._write(descriptor, chunks)
            finally:
                # network file systems report a full disk no earlier than this
                with self._errors():
                    os.close(descriptor)
        except BaseException:
            _remove([path])
            raise
        return StagedDocument(key, size, digest)

    def _write(self, descriptor: int, chunks: Iterable[bytes]) -> tuple[int, str]:
        digest = hashlib.sha1(usedforsecurity=False)
        size = written_out = 0
        for chunk in chunks:
            digest.update(chunk)
            # only the writing: an OSError of the chunks is the sender's, not the store's
            with self._errors():
                _write_all(descriptor, chunk)
                size += len(chunk)
                if size - written_out >= _WRITE_OUT:
                    _start_writing_out(descriptor, written_out, size - written_out)
                    written_out = size
        return size, digest.hexdigest()

    def publish(self, staged: Sequence[StagedDocument]) -> None:
        """Sync every file, rename every file, sync every folder: in this order."""
        paths = [self._path(document.key) for document in staged]
        renamed: list[str] = []
        try:
            with self._errors(missing="a document to be published is not staged"):
                for path in paths:
                    _sync_and_date(path + _STAGED)
                for path in paths:
                    os.rename(path + _STAGED, path)
                    renamed.append(path)
                for folder in {os.path.dirname(path) for path in paths}:
                    _sync(folder)
        except BaseException:
            # of the published names only those of this call: another one may have been
            # published earlier, and be registered
            _remove([*renamed, *(path + _STAGED for path in paths)])
            raise

    def discard(self, documents: Iterable[StagedDocument | StoredDocument]) -> None:
        """Unlink without fsync: what a crash brings back, a sweep removes."""
        failures = _remove(
            self._path(document.key) + suffix for document in documents for suffix in ("", _STAGED)
        )
        if failures:
            raise self._failure(failures[0]) from failures[0]

    def open(self, key: str, start: int = 0, length: int | None = None) -> DocumentReader:
        """Open the file, and read nothing yet."""
        with self._errors(missing=f"no document {key}"):
            file = io.FileIO(self._path(key))
            try:
                return _FileReader(file, start, length)
            except BaseException:
                file.close()
                raise

    def whole(self, key: str, size: int) -> bytes:
        """Read in three calls of the system: each of them lets other threads have the interpreter.

        One byte more is asked for than there should be, to notice it.
        """
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return of_size(os.read(descriptor, size + 1), size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._failure(error, missing=f"no document {key}") from error

    def delete(self, key: str) -> None:
        """Unlink, and sync the folder: a removed document must not come back."""
        path = self._path(key)
        with self._errors(missing=f"no document {key}"):
            os.unlink(path)
            _sync(os.path.dirname(path))

    def delete_all(self, keys: Iterable[str]) -> None:
        """Unlink all, and sync each folder once, several at a time, which the disk does at once."""
        paths = [self._path(key) for key in keys]
        failures = _remove(paths)
        folders = list(dict.fromkeys(map(os.path.dirname, paths)))
        with self._errors(), ThreadPoolExecutor(_SYNCS) as threads:
            list(threads.map(_sync, folders))
        if failures:
            raise self._failure(failures[0]) from failures[0]

    def list(self) -> Iterator[StoredDocument]:
        """Folder by folder; what is published meanwhile may or may not be among them."""
        return self._files("")

    def staged_leftovers(self) -> Iterator[StoredDocument]:
        """List the files that still carry the name of a staged document."""
        return self._files(_STAGED)

    def now(self) -> datetime:
        """Date a new file: where the folder is on a file server, its clock is what counts."""
        with self._errors():
            path = f"{self._root}/{uuid4().hex}{_CLOCK}"
            descriptor = os.open(path, _NEW_FILE, 0o600)
            try:
                modified = os.fstat(descriptor).st_mtime
            finally:
                os.close(descriptor)
                os.unlink(path)
        return datetime.fromtimestamp(modified, UTC)

    def _files(self, suffix: str) -> Iterator[StoredDocument]:
        for folder in self._folders:
            with self._errors():
                found = _read_folder(folder, suffix)
            yield from found

    def _path(self, key: str) -> str:
        # a key may come from outside, and must never lead out of the folder
        if not is_key(key):
            raise DocumentNotFound("no document has such a key")
        return f"{self._root}/{key[:2]}/{key}"

    @contextmanager
    def _errors(self, missing: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(error, missing) from error

    def _failure(self, error: OSError, missing: str = "") -> StoreError:
        # without its folders the store has not lost one document, but is not there at all
        if missing and isinstance(error, FileNotFoundError) and os.path.isdir(self._folders[-1]):
            return DocumentNotFound(missing)
        kind = StoreFull if error.errno in _FULL else StoreUnavailable
        return kind(f"the document folder {self._root} cannot be used: {error.strerror or error}")


class _FileReader(DocumentReader):
    """The blocks of one file. A small document is one read."""

    def __init__(self, file: io.FileIO, start: int, length: int | None) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self.length = self._rest = length_of_range(self.size, start, length)
        self._file = file
        if start:
            file.seek(start)

    def __next__(self) -> bytes:
        if not self._rest:
            raise StopIteration
        try:
            block = self._file.read(min(_BLOCK, self._rest))
        except OSError as error:
            raise StoreUnavailable(f"a document cannot be read: {error.strerror}") from error
        if not block:
            raise DocumentDamaged("a document ends before its size")
        self._rest -= len(block)
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _make_durable_folder(path: str) -> None:
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        _make_durable_folder(parent)
        _make_folder(path)
        _sync(parent)


def _make_folder(path: str) -> None:
    # another process may make the same folders at this moment
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)


def _write_all(descriptor: int, chunk: bytes) -> None:
    written = os.write(descriptor, chunk)
    while written < len(chunk):
        written += os.write(descriptor, memoryview(chunk)[written:])


def _start_writing_out(descriptor: int, start: int, length: int) -> None:
    # Linux begins to write dirty pages out when told that they are not needed, so that the
    # disk works while a large document arrives, and not only at its fsync
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def _sync_and_date(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        # a document may wait long for the others of its submission, and must not look old
        # to a sweep in the moment between publication and registration
        os.utime(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(paths: Iterable[str]) -> list[OSError]:
    failures = []
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            failures.append(error)
    return failures


def _read_folder(folder: str, suffix: str) -> list[StoredDocument]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            key = entry.name.removesuffix(suffix)
            if is_key(key) and entry.name == key + suffix:
                # it may have been removed, or published, since the folder was read
                with suppress(FileNotFoundError):
                    found.append(_describe(key, entry.stat(follow_symlinks=False)))
    return found


def _describe(key: str, status: os.stat_result) -> StoredDocument:
    return StoredDocument(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
