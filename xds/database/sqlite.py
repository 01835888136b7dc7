"""SQLite, the embedded database.

It runs in WAL mode with full synchronisation, so that a commit is durable. It admits one writer at
a time, and makes others sleep and ask again; here the writers of all threads and processes queue on
a lock that wakes the next one at once. A write transaction takes SQLite's write lock at its
beginning, so that what it reads still holds when it writes; named locks add nothing to that.
"""

import fcntl
import sqlite3
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from xds.database.backend import Backend
from xds.database.errors import DatabaseUnavailable
from xds.database.locks import Locks

_BUSY_SECONDS: Final = 30
_CACHE_KIB: Final = 64 * 1024
_WAL_PAGES: Final = 16 * 1024
"""Pages of 4 KiB after which the WAL is written back: seldom, as a writer waits for it."""

_OF_THE_DATABASE: Final = (sqlite3.DatabaseError, sqlite3.OperationalError)
"""Errors of the database itself, such as a file that is none; others are of what it was asked."""


class SQLite(Backend):
    """A file, which is made where it is not there."""

    def __init__(self, url: URL, connections: int) -> None:
        self._writers = _Writers(_lock_file(url))
        self.engine = _engine(url, connections)

    def queue(self) -> AbstractContextManager[None]:
        """Wait until no other thread or process writes."""
        return self._writers

    def begin(self, driver: Any, locks: Locks | None) -> None:
        """Begin; with the write lock where locks are wanted, whichever they are."""
        driver.execute("BEGIN" if locks is None else "BEGIN IMMEDIATE")

    def failure(self, error: Exception) -> DatabaseUnavailable | None:
        """Tell what is wrong with the file from what was wrong with a statement."""
        cause = (error.orig if isinstance(error, DBAPIError) else None) or error
        if isinstance(cause, sqlite3.InterfaceError) or type(cause) in _OF_THE_DATABASE:
            return DatabaseUnavailable(str(cause))
        return None

    def close(self) -> None:
        """Close every connection, and the lock's file."""
        super().close()
        self._writers.close()


class _Writers:
    """The queue of SQLite's writers: a lock for threads, and a locked file for processes."""

    def __init__(self, path: Path) -> None:
        self._thread = threading.Lock()
        self._file = path.open("a")

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            self._thread.release()
            raise DatabaseUnavailable(f"the writers' lock: {error.strerror}") from error

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lock_file(url: URL) -> Path:
    path = Path(url.database or "xds.sqlite3")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}-writers")


def _engine(url: URL, connections: int) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,  # every transaction here ends before its connection returns
        hide_parameters=True,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in SQLite.begin, not in the driver
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"cache_size = -{_CACHE_KIB}",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {_WAL_PAGES}",
        "case_sensitive_like = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
