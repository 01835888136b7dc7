"""SQLite, the embedded database.

It runs in WAL mode, and a commit is on the disk before anybody is told of it
(:mod:`xds.database.durability`). It admits one writer at a time, and makes others sleep and ask
again; here the writers of all threads and processes queue on a lock that wakes the next one at
once. A write transaction takes SQLite's write lock at its beginning, so that what it reads still
holds when it writes; named locks add nothing to that.

Nothing is written, and no connection made, once the file's name leads to another file or to none:
what would be acknowledged then would be in a file that nobody finds again.

**The write-ahead log** is written back when it has 64 MiB, and used again from its beginning as
soon as no reader needs it. One long reader keeps it from that, and so do short ones that overlap.
Beyond 256 MiB a writer therefore waits for the readers, for a second at most; where that is not
enough, the log of the server says so, and ``xds_database_wal_bytes`` shows it.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from xds import logs
from xds.database.backend import Backend
from xds.database.durability import CommitSync
from xds.database.errors import DatabaseConflict, DatabaseUnavailable
from xds.database.locks import Locks
from xds.sqlite_file import SQLiteFile, uri

_BUSY_SECONDS: Final = 30
_CACHE_KIB: Final = 64 * 1024
_WAL_PAGES: Final = 16 * 1024
"""Pages of 4 KiB after which the WAL is written back: seldom, as a writer waits for it."""
_WAL_LIMIT: Final = 4 * _WAL_PAGES * 4096
"""Bytes of the WAL from which on a writer waits for readers, to have it written back."""
_WAL_PATIENCE: Final = 1_000
"""Milliseconds that it waits."""
_LOOK_EVERY: Final = 256
"""Writes after which the size of the WAL is looked at."""
_WARN_SECONDS: Final = 60.0
_OPENING: Final = {"mode": "rw", "uri": "true"}
"""What has SQLite open the file, and not make it."""

_OF_THE_DATABASE: Final = (sqlite3.DatabaseError, sqlite3.OperationalError)
"""Errors of the database itself, such as a file that is none; others are of what it was asked."""
_TAKEN: Final = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


def _is_of_the_statement(error: BaseException) -> bool:
    """Tell whether a statement cannot be run by any file: it is wrong, or beyond SQLite's limits.

    A table that is not there is a damage of the file.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # without what extends it
    return code == sqlite3.SQLITE_ERROR and not str(error).startswith("no such table")


_log: Final = logs.get_logger(__name__)


class SQLite(Backend):
    """A file, which is made where it is not there."""

    clock = "CAST(strftime('%s', 'now') AS INTEGER)"
    clock_milliseconds = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"

    def __init__(self, url: URL, connections: int) -> None:
        if not url.database:
            raise DatabaseUnavailable("a database is sqlite:///FILE or postgresql://USER@HOST/NAME")
        path = Path(url.database).absolute()
        self._file = SQLiteFile.make(path)
        self._writers = _Writers(path.with_name(f"{path.name}-writers"))
        self._sync = self._writers.commits(path)
        self.engine = _engine(url, path, connections)
        event.listen(self.engine, "do_connect", lambda *_: self.require_same())
        self._written = 0
        self._warned = -_WARN_SECONDS

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Wait until no other thread or process writes; DatabaseUnavailable without the file."""
        with self._writers:
            self.require_same()
            try:
                yield
            finally:
                self._sync.end()
            self._written += 1
            if self._written % _LOOK_EVERY == 0 and self.wal_bytes() > _WAL_LIMIT:
                self._bound_wal()

    def begin(self, driver: Any, locks: Locks | None) -> None:
        """Begin; with the write lock where locks are wanted, whichever they are."""
        driver.execute("BEGIN" if locks is None else "BEGIN IMMEDIATE")

    def commit(self, driver: Any, locks: Locks | None) -> None:
        """End a transaction that was begun so; the commit of one who writes is counted."""
        if locks is not None:
            self._sync.begin()
        driver.commit()

    def lock(self, driver: Any, locks: Locks) -> None:
        """Do nothing: whoever writes holds everything."""

    def require_durable(self, *, of_all: bool = False) -> None:
        """Return once what this thread has seen or written is on the disk."""
        if of_all:
            self._sync.sync()
        else:
            self._sync.require_durable()

    def release_memory(self, driver: Any) -> None:
        """Empty the page cache of a connection."""
        driver.execute("PRAGMA shrink_memory")

    def prove_writable(self, connection: Any) -> None:
        """Write the first page of the file as it is."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {int(version)}")

    def failure(self, error: Exception) -> DatabaseUnavailable | None:
        """Tell what is wrong with the file from what was wrong with a statement.

        A unique value that is taken is DatabaseConflict: rules refuse what is registered, so it is
        one of a hidden row (:mod:`xds.database.hidden_rows`).
        """
        cause = (error.orig if isinstance(error, DBAPIError) else None) or error
        if getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK) in _TAKEN:
            return DatabaseConflict("a unique value is taken")
        of_the_file = isinstance(cause, sqlite3.InterfaceError) or type(cause) in _OF_THE_DATABASE
        if not of_the_file or _is_of_the_statement(cause):
            return None
        return DatabaseUnavailable(str(cause))

    def require_same(self) -> None:
        """Raise DatabaseUnavailable where the file's name leads to another file, or to none."""
        if not self._file.is_there():
            raise DatabaseUnavailable(
                f"{self._file.path} is not the file that was opened: it was moved, removed or "
                "replaced. Put it back, or start the server again"
            )

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        return self._file.wal_bytes()

    def _bound_wal(self) -> None:
        """Have the WAL written back and cut, or say that readers keep it; in a writer's turn."""
        with closing(self.engine.raw_connection()) as connection:
            connection.execute(f"PRAGMA busy_timeout = {_WAL_PATIENCE}")
            (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
        if is_busy and time.monotonic() - self._warned >= _WARN_SECONDS:
            self._warned = time.monotonic()
            _log.warning(
                "the write-ahead log grows: a reader keeps it from being written back",
                bytes=self.wal_bytes(),
            )

    def last_commit(self) -> int | None:
        """Return what the processes have counted."""
        return self._sync.last()

    def close(self) -> None:
        """Close every connection, and the lock's file."""
        super().close()
        self._sync.close()
        self._writers.close()


class _Writers:
    """The queue of SQLite's writers: a lock for threads, and a locked file for processes."""

    def __init__(self, path: Path) -> None:
        self._thread = threading.Lock()
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")

    def commits(self, database: Path) -> CommitSync:
        """Give the commits of the writers, which are counted in the locked file."""
        try:
            return CommitSync(self._file.fileno(), database)
        except OSError as error:
            raise DatabaseUnavailable(f"the writers' lock: {error.strerror}") from error

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


def _engine(url: URL, path: Path, connections: int) -> Engine:
    engine = create_engine(
        url.set(database=uri(path).partition("?")[0], query={**url.query, **_OPENING}),
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
        "synchronous = NORMAL",  # what is committed is synced by CommitSync
        "foreign_keys = ON",
        f"cache_size = -{_CACHE_KIB}",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {_WAL_PAGES}",
        f"journal_size_limit = {_WAL_PAGES * 4096}",
        "case_sensitive_like = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
