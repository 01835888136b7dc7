"""The outbox: answers that wait to be sent, each a file in a folder, so that they outlast a crash.

    <folder>/DUE-ACCEPTED-ATTEMPTS-TARGET-KEY   an answer: a line of JSON, then the message
    <folder>/KEY.arriving                       one that is still being written
    <folder>/KEY.unreadable                     one that something has damaged

Times are milliseconds since 1970. What changes is in the name, so that one rename records an
attempt, and the names in their order are the answers in the order in which they are due. Who sends
an answer holds a lock on its file; the lock ends with its process, however that ends.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self
from uuid import uuid4

from xds import logs, tracing
from xds.targets import Target

_NAME: Final = re.compile(r"(\d{14})-(\d{14})-(\d{6})-([0-9a-f]{8})-([0-9a-f]{32})")
_ARRIVING: Final = ".arriving"
_UNREADABLE: Final = ".unreadable"
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_LONGEST_LABEL: Final = 256 * 1024
_ABANDONED_SECONDS: Final = 3600
_HEAD_START: Final = 100
"""Milliseconds, so that the 202 is there before the answer."""

_log = logs.get_logger(__name__)


class OutboxUnavailable(Exception):
    """The outbox cannot be written now; the text says why."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of an answer besides its bytes."""

    url: str
    content_type: str
    correlation: str
    """The id in the logs of the request that is answered."""
    traceparent: str = ""
    """The header of what belongs to a trace."""


@dataclass(frozen=True, slots=True)
class Slip:
    """The name of a waiting answer, and what it says."""

    due: int
    accepted: int
    attempts: int
    target: str
    """Stands for scheme, host and port, so that one target can be kept from using everything."""
    key: str

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.due:014d}-{self.accepted:014d}-{self.attempts:06d}-{self.target}-{self.key}"

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Read a file's name; nothing for a file of another kind."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4], found[5])


class Outbox:
    """A folder of answers, which it makes. Any number of processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        with _as_unavailable():
            _make_durable_folder(self._folder)

    def put(
        self, target: Target, content_type: str, correlation: str, blocks: Iterable[bytes]
    ) -> None:
        """Keep an answer; on return it is durable. OutboxUnavailable when that cannot be done.

        Whatever the blocks raise comes through; then nothing is kept.
        """
        now = milliseconds()
        slip = Slip(now + _HEAD_START, now, 0, _short(target.origin), uuid4().hex)
        label = Label(target.url, content_type, correlation, tracing.passed_on())
        arriving = self._folder / f"{slip.key}{_ARRIVING}"
        with _as_unavailable():
            descriptor = os.open(arriving, _NEW_FILE, 0o600)
        try:
            with _as_unavailable():
                with open(descriptor, "wb") as file:
                    _write(file, label, blocks)
                arriving.rename(self._folder / slip.name)
                _sync(self._folder)
        except BaseException:
            with suppress(OSError):
                arriving.unlink()
            raise

    def waiting(self) -> list[Slip]:
        """List the answers that wait or are being sent, those due first; OSError if it cannot."""
        return [slip for name in sorted(os.listdir(self._folder)) if (slip := Slip.read(name))]

    def claim(self, slip: Slip) -> "Letter | None":
        """Take an answer to send it; nothing if it is gone, or another thread or process has it."""
        path = self._folder / slip.name
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        try:
            if _is_locked(file, path) and (label := self._label(file, slip)):
                return Letter(path, slip, label, file)
        except BaseException:
            file.close()
            raise
        file.close()
        return None

    def _label(self, file: BinaryIO, slip: Slip) -> Label | None:
        try:
            return Label(**json.loads(file.readline(_LONGEST_LABEL)))
        except (ValueError, TypeError):
            _log.error("an answer in the outbox is damaged", key=slip.key)
            (self._folder / slip.name).rename(self._folder / f"{slip.key}{_UNREADABLE}")
            return None

    def sweep(self) -> None:
        """Remove what a crash left half written; for none of it was a request accepted."""
        before = time.time() - _ABANDONED_SECONDS
        for path in self._folder.glob(f"*{_ARRIVING}"):
            # another worker may sweep as well, or finish the file at this moment
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


class Letter:
    """An answer that is being sent, and the lock on it; belongs to one thread, close it."""

    def __init__(self, path: Path, slip: Slip, label: Label, body: BinaryIO) -> None:
        self._path = path
        self._start = body.tell()
        self.slip = slip
        self.label = label
        self.body = body
        """The message from its first byte on."""

    @property
    def size(self) -> int:
        """The number of bytes of the message."""
        return os.fstat(self.body.fileno()).st_size - self._start

    def remove(self) -> None:
        """Take the answer out of the outbox: it was delivered, or is given up."""
        self._path.unlink()

    def postpone(self, due: int) -> None:
        """Record an attempt, and when the next one is due."""
        slip = replace(self.slip, due=due, attempts=self.slip.attempts + 1)
        self._path.rename(self._path.with_name(slip.name))

    def close(self) -> None:
        """Let go of the answer, so that whoever finds it next may send it."""
        self.body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def milliseconds() -> int:
    """Return the time as the outbox counts it."""
    return time.time_ns() // 1_000_000


def _write(file: BinaryIO, label: Label, blocks: Iterable[bytes]) -> None:
    file.write(json.dumps(asdict(label)).encode() + b"\n")
    for block in blocks:
        file.write(block)
    file.flush()
    os.fsync(file.fileno())


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _is_locked(file: BinaryIO, path: Path) -> bool:
    """Lock a file; no if it is locked, or no longer the one of that name: it was sent meanwhile."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutboxUnavailable(str(error.strerror)) from error


def _make_durable_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_durable_folder(folder.parent)
        folder.mkdir(0o700, exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
