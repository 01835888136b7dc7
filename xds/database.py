"""The relational database: how it is opened, and how its transactions begin.

SQLite runs in WAL mode with full synchronisation, so that a commit is durable. It admits one writer
at a time, and makes others sleep and ask again; here the writers of all threads and processes queue
on a lock that wakes the next one at once. A write transaction takes SQLite's write lock at its
beginning, so that what it reads still holds when it writes.
"""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Executable, MetaData, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

METADATA: Final = MetaData()
"""Every table of the registry and of the repository's index."""

_BUSY_SECONDS: Final = 30
_CACHE_KIB: Final = 64 * 1024
_WAL_PAGES: Final = 16 * 1024
"""Pages of 4 KiB after which the WAL is written back: seldom, as a writer waits for it."""


class DatabaseUnavailable(Exception):
    """The database cannot be reached or opened."""


@contextmanager
def _availability() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise DatabaseUnavailable(str(error)) from error
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        if isinstance(error, DatabaseError) and type(error) not in _OF_THE_DATABASE:
            raise
        cause = error.__cause__
        raise DatabaseUnavailable(str(cause) if cause else "no connection is free") from error


_OF_THE_DATABASE: Final = (DatabaseError, OperationalError)
"""Errors of the database itself, such as a file that is none; others are of what it was asked."""


def fetch(
    connection: Connection, statement: Executable, values: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """Run a SELECT of plain columns on the driver itself, with values for its bindparams.

    For the few statements of every registration, while others wait for the lock: SQLAlchemy's part
    of a call costs several times what SQLite's does. Types of its own are not applied.
    """
    text_, order = _driver_text(statement, connection.dialect)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text_, values if order is None else [values[name] for name in order])
        return list(cursor.fetchall())
    finally:
        cursor.close()


@lru_cache(maxsize=256)
def _driver_text(statement: Any, dialect: Any) -> tuple[str, tuple[str, ...] | None]:
    compiled = statement.compile(dialect=dialect)
    order = compiled.positiontup
    return str(compiled), None if order is None else tuple(order)


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


class Database:
    """One relational database with its connections; safe to use from many threads."""

    def __init__(self, url: str, *, connections: int = 16) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._writers = _writers(parsed) if self.is_sqlite else None
        self._writing: AbstractContextManager[None] = self._writers or nullcontext()
        self._engine = _sqlite(parsed, connections) if self.is_sqlite else _server(url, connections)
        try:
            with self._writing:
                self.check()  # the first connection to a new SQLite file makes it one of WAL mode
        except DatabaseUnavailable:
            self.close()
            raise

    def create_tables(self) -> None:
        """Create the tables that are not there yet; DatabaseUnavailable when that fails."""
        with self.write() as connection:
            METADATA.create_all(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one consistent state; DatabaseUnavailable if that fails."""
        with _availability(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; it is durable when the block ends without error.

        DatabaseUnavailable when the database cannot be reached, is locked or full. The commit may
        then have happened or not.
        """
        with self._writing, _availability(), self._engine.connect() as connection:
            connection.execution_options(xds_write=True)
            with connection.begin():
                yield connection

    def check(self) -> None:
        """Raise DatabaseUnavailable when the database does not answer."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        if self._writers is not None:
            self._writers.close()


def _writers(url: URL) -> _Writers:
    path = Path(url.database or "xds.sqlite3")
    path.parent.mkdir(parents=True, exist_ok=True)
    return _Writers(path.with_name(f"{path.name}-writers"))


def _server(url: str, connections: int) -> Engine:
    return create_engine(
        url, pool_size=connections, max_overflow=0, pool_pre_ping=True, hide_parameters=True
    )


def _sqlite(url: URL, connections: int) -> Engine:
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
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin, not in the driver
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


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("xds_write")
    driver: Any = connection.connection.dbapi_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
