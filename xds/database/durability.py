"""Which commits of SQLite are on the disk: they are synced outside of the writers' lock.

SQLite syncs its write-ahead log within COMMIT, while it holds the one lock of all writers: on a
disk that takes 8 ms for it, all together write some hundred times a second. So it is told to leave
that out (``synchronous = NORMAL``: it syncs before it writes the log back, never loses order, and
may lose the last commits when power fails), and each writer syncs the log after it has let go of
the lock, many at the same time.

Nobody may be answered from what is not on the disk. So three counters, in memory that all processes
share, tell how far commits have begun, have ended and are on the disk; a reader that may have seen
more than is on the disk syncs the log itself before it goes on. A counter that is behind costs a
sync too many and is never wrong.
"""

import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from xds.database.errors import DatabaseUnavailable

_COUNTERS: Final = 3
_BYTES: Final = 8 * _COUNTERS
_BEGUN, _ENDED, _SYNCED = range(_COUNTERS)


class CommitSync:
    """The commits of one file; safe to use from many threads and processes.

    ``begin`` and ``end`` are called by the one who holds the writers' lock.
    """

    def __init__(self, counters: int, database: Path) -> None:
        """Share the counters in the beginning of an open file; OSError where there is no room."""
        # not by truncation: the first use of a page for which there is no room ends the process
        os.posix_fallocate(counters, 0, _BYTES)
        self._counters = memoryview(mmap.mmap(counters, _BYTES)).cast("Q")
        self._log = f"{database}-wal"

    def close(self) -> None:
        """Share the counters no longer; who is still at work here goes on with a copy of them.

        What is shared has a descriptor of its own, which would otherwise be kept until the garbage
        collector comes.
        """
        self._counters = memoryview(bytearray(self._counters.tobytes())).cast("Q")

    def begin(self) -> None:
        """Note that a commit is about to be made, which others may see before it has returned."""
        self._counters[_BEGUN] += 1

    def end(self) -> None:
        """Note that whatever was begun is committed, or never will be."""
        self._counters[_ENDED] = self._counters[_BEGUN]

    def last(self) -> int | None:
        """Return the number of the last commit; None while one is under way, or was broken off."""
        begun = self._counters[_BEGUN]
        return begun if self._counters[_ENDED] == begun else None

    def require_durable(self) -> None:
        """Return once everything that this thread may have seen, or committed, is on the disk.

        DatabaseUnavailable where it cannot be brought there.
        """
        if self._counters[_SYNCED] >= self._counters[_BEGUN]:
            return
        ended = self._counters[_ENDED]
        self.sync()
        if ended > self._counters[_SYNCED]:
            self._counters[_SYNCED] = ended

    def sync(self) -> None:
        """Bring the write-ahead log to the disk; where there is none, it has been written back.

        The log has no locks, so that it may be opened and closed beside SQLite.
        """
        try:
            with suppress(FileNotFoundError):
                descriptor = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise DatabaseUnavailable(f"the write-ahead log: {error.strerror}") from error
