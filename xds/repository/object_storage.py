"""Documents as objects: S3 and what speaks like it, Azure Blob Storage, Google Cloud Storage.

    <prefix>/documents/<key>   a published document, named by its key
    <prefix>/ready             what `check` writes

An object appears when it is whole, and cannot be renamed. So a staged document is no object yet:
all but its last part (8 MiB at most) has been sent as parts of an upload that nobody sees before
it is completed, and the last part waits in this process. To publish is to complete the upload,
or to put the one part as an object. A staged document is therefore known only to the store object
that staged it, and one that a crash cut off is gone, but for parts that were sent already: these
cannot be listed, and a lifecycle rule of the bucket has to remove them (AbortIncompleteMultipart-
Upload for S3 and Google; Azure does it by itself).

What is sent is signed with its SHA-256, which the store compares. A request that fails is
repeated for some seconds; as it has the same key and content, nothing is stored twice.

The library has threads of its own, which a fork does not copy: processes have to be spawned.
"""

import hashlib
import os
import re
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, UnknownConfigurationKeyError
from obstore.store import from_url

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
)

if TYPE_CHECKING:
    from obstore import BytesStream, ObjectMeta, WritableFile
    from obstore.store import ObjectStore, RetryConfig

_Item = TypeVar("_Item")

_FOLDER: Final = "documents"
_READY: Final = "ready"
_PART: Final = 8 * 1024 * 1024
"""The size of a part: S3 allows 10,000 of them, so a document may have 78 GiB."""
_HELD: Final = 32 * 1024 * 1024
"""How many bytes of staged documents wait in memory; more than these wait in unnamed files."""
_BLOCK: Final = 256 * 1024
_PAGE: Final = 1_000
_AT_ONCE: Final = 8

_CLIENT_DEFAULTS: Final[Mapping[str, str]] = {
    "connect_timeout": "2s",
    # between two answers of the store; the time of a whole transfer is the client's affair
    "read_timeout": "15s",
    "timeout": "1day",
}
_CLIENT_OPTIONS: Final = frozenset(_CLIENT_DEFAULTS) | {
    "allow_http",
    "allow_invalid_certificates",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "root_certificate",
    "user_agent",
}
_RETRIES: Final["RetryConfig"] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}

# no request is too large by itself, so that it is for what is left
_FULL: Final = re.compile(
    r"status code: (?:413|507)\b|<Code>(?:EntityTooLarge|\w*(?:Quota|StorageFull))"
)
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not")
_STATUS: Final = re.compile(r"status code: (\d{3}[ \w]*)")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_SAID: Final = re.compile(r'(?:message|error): "([^"]+)"')


class ObjectStorage(DocumentStore):
    """A store in a bucket that exists. Any number of processes may share it."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        """Take the store's address and settings; nothing is asked of it yet."""
        self._url = url
        self._store = _connect(url, options)
        self._arrived: dict[str, _Arrival] = {}
        self._room = _StagingMemory(_HELD)

    def stage(self, chunks: Iterable[bytes]) -> StagedDocument:
        """Hash and count what comes, and send it on part by part."""
        key = uuid4().hex
        digest = hashlib.sha1(usedforsecurity=False)
        arrival = _Arrival(self._store, _path(key))
        try:
            for chunk in chunks:
                digest.update(chunk)
                # only the sending: an OSError of the chunks is the sender's, not the store's
                with self._errors():
                    arrival.write(chunk)
            with self._errors():
                arrival.end(self._room)
        except BaseException:
            arrival.abort()
            raise
        self._arrived[key] = arrival
        return StagedDocument(key, arrival.size, digest.hexdigest())

    def publish(self, staged: Sequence[StagedDocument]) -> None:
        """Complete every upload, several at once; if one fails, remove all."""
        found = [self._arrived.pop(document.key, None) for document in staged]
        arrivals = [arrival for arrival in found if arrival is not None]
        try:
            if len(arrivals) < len(found):
                raise DocumentNotFound("a document to be published is not staged")
            with self._errors():
                _at_once(_Arrival.publish, arrivals)
        except BaseException:
            for arrival in arrivals:
                arrival.abort()
            with suppress(StoreError):
                self._remove([arrival.path for arrival in arrivals if arrival.may_be_there])
            raise

    def discard(self, documents: Iterable[StagedDocument | StoredDocument]) -> None:
        """Abort what is staged, and remove what is not."""
        published = []
        for document in documents:
            arrival = self._arrived.pop(document.key, None)
            if arrival is None:
                published.append(_path(document.key))
            else:
                arrival.abort()
        self._remove(published)

    def _remove(self, paths: Sequence[str]) -> None:
        def remove(path: str) -> None:
            with suppress(DocumentNotFound), self._errors(missing="gone already"):
                obstore.delete(self._store, path)

        try:
            with self._errors(missing="one is gone already"):
                if paths:
                    obstore.delete(self._store, paths)  # S3 takes a thousand in one request
        except DocumentNotFound:
            _at_once(remove, paths)  # to S3 it is no error; other stores stop at it

    def open(self, key: str, start: int = 0, length: int | None = None) -> DocumentReader:
        """Send one request, or for a range two; the bytes are fetched as they are read."""
        path = _path(key)
        with self._errors(missing=f"no document {key}"):
            if not start and length is None:
                found = obstore.get(self._store, path)
                size = found.meta["size"]
                return _ObjectReader(self._url, size, size, found.stream(_BLOCK))
            size = self._describe(path)["size"]
            rest = length_of_range(size, start, length)
            if not rest:
                return _ObjectReader(self._url, size, 0, None)
            found = obstore.get(self._store, path, options={"range": (start, start + rest)})
            return _ObjectReader(self._url, size, rest, found.stream(_BLOCK))

    def delete(self, key: str) -> None:
        """Remove the object, if it is there."""
        path = _path(key)
        with self._errors(missing=f"no document {key}"):
            self._describe(path)
            obstore.delete(self._store, path)

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove the objects, a thousand in one request."""
        self._remove([_path(key) for key in keys])

    def _describe(self, path: str) -> "ObjectMeta":
        try:
            return obstore.head(self._store, path)
        except FileNotFoundError:
            # the answer to HEAD has no body, that could tell a missing bucket from a missing object
            return obstore.get(self._store, path).meta

    def list(self) -> Iterator[StoredDocument]:
        """Page by page, in the order of the keys."""
        with self._errors():
            for page in obstore.list(self._store, _FOLDER, chunk_size=_PAGE):
                for found in page:
                    key = found["path"].removeprefix(f"{_FOLDER}/")
                    if is_key(key):
                        yield StoredDocument(key, found["size"], found["last_modified"])

    def staged_leftovers(self) -> Iterator[StoredDocument]:
        """List what waits in this store object; of others, and of a crash, nothing can be told."""
        for key, arrival in list(self._arrived.items()):
            yield StoredDocument(key, arrival.size, arrival.ended)

    def now(self) -> datetime:
        """Date a new object; to the second, as the store does."""
        with self._errors():
            obstore.put(self._store, _READY, b"ready?", use_multipart=False)
            return self._describe(_READY)["last_modified"]

    def check(self) -> None:
        """Write a small object that stands for no document."""
        with self._errors():
            obstore.put(self._store, _READY, b"ready?", use_multipart=False)

    @contextmanager
    def _errors(self, missing: str = "") -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise _failure(self._url, error, missing) from _cause(error)


class _StagingMemory:
    """Memory that is shared out among the staged documents of a process."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes, unless there are too few left."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size


class _Arrival:
    """A document on its way in: the parts that were sent, and the last one, which waits here.

    Belongs to the thread that handles the request.
    """

    def __init__(self, store: "ObjectStore", path: str) -> None:
        self.path = path
        self.size = 0
        self.ended = datetime.now(UTC)
        self.may_be_there = False
        self._store = store
        self._upload: WritableFile | None = None
        self._part = bytearray()
        self._file: IO[bytes] | None = None
        self._room: _StagingMemory | None = None

    def write(self, chunk: bytes) -> None:
        """Take in more of it; a part is sent when there is more than fills it."""
        self.size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            if len(self._part) == _PART:
                self._send()
            fitting = rest[: _PART - len(self._part)]
            self._part += fitting
            rest = rest[len(fitting) :]

    def _send(self) -> None:
        """Send the part while the next one fills; the part before has to be there first."""
        if self._upload is None:
            self._upload = obstore.open_writer(
                self._store, self.path, buffer_size=_PART, max_concurrency=1
            )
        part, self._part = self._part, bytearray()
        self._upload.write(part)

    def end(self, room: _StagingMemory) -> None:
        """Let the last part wait, in memory if there is room for it."""
        if self._upload is not None:
            self._upload.write(b"")  # so that all that was sent is there, or fails now
        self.ended = datetime.now(UTC)
        if room.take(len(self._part)):
            self._room = room
            return
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._file.write(self._part)
        except OSError as error:
            raise StoreFull(
                f"there is no room for a document in {tempfile.gettempdir()}: {error.strerror}"
            ) from error
        self._part = bytearray()

    def publish(self) -> None:
        """Make it an object."""
        self.may_be_there = True
        last = self._part if self._file is None else _read_again(self._file)
        if self._upload is None:
            obstore.put(self._store, self.path, last, use_multipart=False)
        else:
            upload, self._upload = self._upload, None
            upload.write(last)
            upload.close()
            size = obstore.head(self._store, self.path)["size"]
            if size != self.size:
                raise StoreUnavailable(f"{size} bytes were stored of {self.size}")
        self._release()

    def abort(self) -> None:
        """Forget it, and have the store forget its parts; does no harm once it is published."""
        upload, self._upload = self._upload, None
        if upload is not None:
            with suppress(BaseError, OSError):
                upload.__exit__(StoreError, StoreError(), None)
        self._release()

    def _release(self) -> None:
        if self._room is not None:
            self._room.give_back(len(self._part))
            self._room = None
        if self._file is not None:
            self._file.close()
            self._file = None
        self._part = bytearray()


class _ObjectReader(DocumentReader):
    """The blocks of one object, from one answer of the store, which goes on as they are read."""

    def __init__(self, url: str, size: int, length: int, stream: "BytesStream | None") -> None:
        self.size = size
        self.length = self._rest = length
        self._url = url
        self._stream = stream

    def __next__(self) -> bytes:
        if not self._rest or self._stream is None:
            raise StopIteration
        try:
            block = next(self._stream, b"")
        except (BaseError, OSError) as error:
            raise _failure(self._url, error) from _cause(error)
        if not block or len(block) > self._rest:
            raise DocumentDamaged("a document ends before its size, or after it")
        self._rest -= len(block)
        return block

    def close(self) -> None:
        """Let go of the answer; a connection that has more to give is closed."""
        self._rest = 0
        self._stream = None


def _connect(url: str, options: Mapping[str, str]) -> "ObjectStore":
    _check_url(url)
    client = {k: v for k, v in options.items() if k in _CLIENT_OPTIONS}
    if "allow_http" not in client and "AWS_ALLOW_HTTP" in os.environ:
        # the library reads all other variables of this kind itself
        client["allow_http"] = os.environ["AWS_ALLOW_HTTP"]
    if "root_certificate" in client:
        client["root_certificate"] = _read_certificate(client["root_certificate"])
    settings: dict[str, Any] = {
        "config": {k: v for k, v in options.items() if k not in _CLIENT_OPTIONS},
        "client_options": {**_CLIENT_DEFAULTS, **client},
        "retry_config": _RETRIES,
    }
    try:
        store: ObjectStore = from_url(url, **settings)
    except (BaseError, ValueError) as error:
        said = str(error).partition("\n")[0]
        is_option = isinstance(error, UnknownConfigurationKeyError) or "Config error" in said
        option = "documents_options" if is_option else "documents"
        raise ValueError(f"{option}: {said}") from None
    return store


def _read_certificate(file: str) -> str:
    try:
        return Path(file).read_text("ascii")
    except (OSError, ValueError) as error:
        raise ValueError(f"documents_options: root_certificate: {error}") from None


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if not parts.netloc or parts.query or parts.fragment or parts.password:
        raise ValueError(
            f"documents: a bucket is written {parts.scheme}://bucket/prefix, with nothing more; "
            "how it is reached belongs into documents_options"
        )


def _path(key: str) -> str:
    # a key may come from outside, and must never lead out of the folder
    if not is_key(key):
        raise DocumentNotFound("no document has such a key")
    return f"{_FOLDER}/{key}"


def _at_once(work: Callable[[_Item], None], items: Sequence[_Item]) -> None:
    """Do it for each, several at once; after a failure no other is begun, and it is raised."""
    if len(items) < 2:
        for item in items:
            work(item)
        return
    waiting = deque(items)
    failures: list[BaseException] = []

    def go_on() -> None:
        with suppress(IndexError):
            while not failures:
                attempt(waiting.popleft())

    def attempt(item: _Item) -> None:
        try:
            work(item)
        except BaseException as error:
            failures.append(error)

    # not by an executor, which refuses work while the process is about to end
    threads = [threading.Thread(target=go_on) for _ in range(min(len(items), _AT_ONCE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _read_again(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _failure(url: str, error: Exception, missing: str = "") -> StoreError:
    text = str(error)
    if missing and isinstance(error, FileNotFoundError) and not _NO_BUCKET.search(text):
        return DocumentNotFound(missing)
    kind = StoreFull if _FULL.search(text) else StoreUnavailable
    return kind(f"the object store {url} cannot be used: {_reason(text)}")


def _cause(error: Exception) -> OSError:
    """Give what a log may tell of it: the library's own account names the access key at times."""
    return ConnectionError(_reason(str(error)))


def _reason(text: str) -> str:
    """Pick from the library's account what an administrator needs to know."""
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return f"it answers {status[1]}" + (f", {code[1]}" if code else "")
    if "kind: BadScheme" in text or "source: BadScheme" in text:
        return "plain http is used only with allow_http=true"
    if "TimedOut" in text:
        return "it does not answer in time"
    said = _SAID.search(text)
    return said[1] if said else text.partition("\n")[0].rpartition(" - ")[2]
