"""What each kind of database does in its own way."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from sqlalchemy import Engine

from xds.database.errors import DatabaseUnavailable
from xds.database.locks import Locks

LOCKS: Final = "xds_locks"
"""The execution option that tells the beginning of a transaction what it is to lock; none where it
only reads."""


class Backend(ABC):
    """One kind of database: its connections, how its transactions begin, and how it fails."""

    engine: Engine
    clock: str
    """The SQL for the time in whole seconds since 1970."""
    clock_milliseconds: str
    """The SQL for the time in whole milliseconds since 1970."""

    def queue(self) -> AbstractContextManager[None]:
        """Wait for a writer's turn, where writers take turns."""
        return nullcontext()

    @abstractmethod
    def begin(self, driver: Any, locks: Locks | None) -> None:
        """Begin a transaction on a connection of the driver: one that only reads without locks."""

    @abstractmethod
    def lock(self, driver: Any, locks: Locks) -> None:
        """Take locks in a transaction that writes."""

    @abstractmethod
    def prove_writable(self, connection: Any) -> None:
        """Write something that changes nothing, in a transaction on a connection of the driver."""

    @abstractmethod
    def require_same(self) -> None:
        """Raise DatabaseUnavailable where what is open no longer has its name."""

    @abstractmethod
    def require_durable(self, *, of_all: bool = False) -> None:
        """Return once what this thread has seen or committed is on the disk, or what anybody has.

        DatabaseUnavailable where it cannot be brought there.
        """

    def last_commit(self) -> int | None:
        """Return the number of the last commit of any process; None where it is not known."""
        return None

    def wal_bytes(self) -> int | None:
        """Return the size of the write-ahead log, where it is this program's affair."""
        return None

    def release_memory(self, driver: Any) -> None:  # noqa: B027 - most keep nothing
        """Give back what a connection keeps of the database's pages."""

    def administration(self) -> Engine:
        """Return an engine whose connections are as SQLAlchemy has them, for changes of tables."""
        return self.engine

    @abstractmethod
    def failure(self, error: Exception) -> DatabaseUnavailable | None:
        """Return what an error says of the database; None where it is of what was asked."""

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
