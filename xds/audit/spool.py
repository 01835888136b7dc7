"""Records on this machine's disk: durable before an answer leaves, without waiting for a database.

A commit of its own for every read would have all readers queue behind one writer. So each process
appends to a file of its own, whose room was made beforehand: a durable write is then one block,
and those of several threads and processes go on at the same time. What they hold is moved
to the table (:mod:`xds.audit.spool_mover`), by any other process where theirs has gone.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from xds.audit.record import AuditRecord, RecordJson, line_of, milliseconds, read_json
from xds.private_folder import make_private_folder

_ROOM: Final = 1 << 20
"""Bytes of a file."""
_SPARE: Final = 2
_END: Final = b"\n"
_SUFFIX: Final = ".audit"
SET_ASIDE: Final = "set-aside.jsonl"
"""The file of records that no database took, one a line, for the operator."""


class SpoolFile:
    """One file of records, a line each, and zeros after them; locked by the process that has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def clear(self) -> None:
        """Fill the file with zeros, so that writing changes nothing but its blocks."""
        self.write(bytes(_ROOM), 0)
        os.ftruncate(self._descriptor, _ROOM)

    def write(self, data: bytes, offset: int) -> None:
        """Write durably; OSError where that fails."""
        view = memoryview(data)
        while view:
            done = os.pwritev(self._descriptor, [view], offset, os.RWF_DSYNC)
            view, offset = view[done:], offset + done

    def lines(self) -> Iterator[bytes]:
        """Yield the records, and pieces of those that a crash has cut off: no answer left of them.

        Zeros may stand between whole lines as well: a thread that was cut off, or could not write,
        had its place, and others have written behind it.
        """
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        written = data[: data.rfind(_END) + 1]
        for line in written.replace(b"\0", _END).split(_END):
            if line:
                yield line

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._descriptor)


class Spool:
    """The files of one process; safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_private_folder(folder)
        self._lock = threading.Condition()
        self._current = self._fresh()
        self._offset = 0
        self._writing: dict[SpoolFile, int] = {}
        self._full: list[SpoolFile] = []
        self._spare: list[SpoolFile] = []

    def write(self, records: Sequence[AuditRecord]) -> None:
        """Make records durable; OSError where that fails."""
        data = b"".join(record.dump() + _END for record in records)
        spool_file, offset = self._place(len(data))
        try:
            spool_file.write(data, offset)
        finally:
            with self._lock:
                self._writing[spool_file] -= 1
                self._lock.notify_all()

    def make_spare(self) -> None:
        """Have a file ready for when the present one is full; OSError where there is no room."""
        with self._lock:
            if self._spare:
                return
        fresh = self._fresh()
        with self._lock:
            self._spare.append(fresh)

    def _place(self, size: int) -> tuple[SpoolFile, int]:
        with self._lock:
            if self._offset and self._offset + size > _ROOM:
                self._turn_over()
            place = self._current, self._offset
            self._offset += size
            self._writing[self._current] = self._writing.get(self._current, 0) + 1
            return place

    def _turn_over(self) -> None:
        fresh = self._spare.pop() if self._spare else self._fresh()
        self._full.append(self._current)
        self._current, self._offset = fresh, 0

    def _fresh(self) -> SpoolFile:
        spool_file = SpoolFile(self._folder / f"{os.getpid()}-{uuid4().hex}{_SUFFIX}")
        try:
            spool_file.clear()
            _sync(self._folder)
        except OSError:
            spool_file.remove()
            raise
        return spool_file

    def taken(self) -> list[SpoolFile]:
        """Return the files that have records, which are the caller's from now on."""
        with self._lock:
            if self._offset:
                self._turn_over()
            taken, self._full = self._full, []
            for spool_file in taken:
                self._lock.wait_for(lambda one=spool_file: not self._writing.get(one))  # type: ignore[misc]
                self._writing.pop(spool_file, None)
            return taken

    def moved(self, spool_file: SpoolFile) -> None:
        """Take back a file whose records stand in the table: a new one costs more than its zeros.

        OSError where it cannot be written; its records would be moved again, which does no harm.
        """
        spool_file.clear()
        with self._lock:
            if len(self._spare) < _SPARE:
                self._spare.append(spool_file)
                return
        spool_file.remove()

    def give_back(self, spool_files: Sequence[SpoolFile]) -> None:
        """Take files back whose records could not be moved."""
        with self._lock:
            self._full[:0] = spool_files

    def close(self) -> None:
        """Let go of the files; what is in them stays for another process."""
        with self._lock:
            for spool_file in (*self._full, *self._spare, self._current):
                spool_file.close()


def left_behind(folder: Path) -> Iterator[SpoolFile]:
    """Yield the files of processes that have gone."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            spool_file = SpoolFile(path)
        except OSError:
            continue  # of a process that is alive
        if path.exists():
            yield spool_file
        else:
            spool_file.remove()  # moved by another one meanwhile: opening has made it anew


def oldest(folder: Path) -> int:
    """Return when the oldest record was written that waits in a folder, in ms since 1970; else 0.

    The files are those of all processes, also of ones that have gone.
    """
    found = (_first(path) for path in folder.glob(f"*{_SUFFIX}"))
    return min((at for at in found if at), default=0)


def _first(path: Path) -> int:
    """Return the time of the first record of a file; 0 where there is none."""
    try:
        with path.open("rb") as file:
            written = file.read(_ROOM).lstrip(b"\0")
        return milliseconds(read_json(written.partition(_END)[0])["at"])
    except (OSError, ValueError):
        return 0  # removed, empty, or being written at this moment


def set_aside(folder: Path, record: RecordJson) -> None:
    """Keep a record, durably, that no database takes; OSError where that fails."""
    line = line_of(record).encode() + _END
    descriptor = os.open(folder / SET_ASIDE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync(folder)


def count_set_aside(folder: Path) -> int:
    """Return how many records have been set aside."""
    try:
        with (folder / SET_ASIDE).open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
