"""The relational database: how it is opened, and how its transactions begin.

SQLite runs in WAL mode with full synchronisation, so that a commit is durable. SQLite admits one
writer at a time: writers of one process queue on a lock, which is fair and wakes at once, and
writers of other processes wait in SQLite's own busy handler. A write transaction takes SQLite's
write lock at its beginning, so that what it reads still holds when it writes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

METADATA: Final = MetaData()
"""Every table of the registry and of the repository's index."""

_BUSY_SECONDS: Final = 30
_CACHE_KIB: Final = 64 * 1024


class DatabaseUnavailable(Exception):
    """The database cannot be reached or opened."""


@contextmanager
def _availability() -> Iterator[None]:
    try:
        yield
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        if isinstance(error, DatabaseError) and type(error) not in _OF_THE_DATABASE:
            raise
        cause = error.__cause__
        raise DatabaseUnavailable(str(cause) if cause else "no connection is free") from error


_OF_THE_DATABASE: Final = (DatabaseError, OperationalError)
"""Errors of the database itself, such as a file that is none; others are of what it was asked."""


class Database:
    """One relational database with its connections; safe to use from many threads."""

    def __init__(self, url: str, *, connections: int = 16) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._engine = _sqlite(parsed, connections) if self.is_sqlite else _server(url, connections)
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()

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


def _server(url: str, connections: int) -> Engine:
    return create_engine(
        url, pool_size=connections, max_overflow=0, pool_pre_ping=True, hide_parameters=True
    )


def _sqlite(url: URL, connections: int) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
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
        "case_sensitive_like = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("xds_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
