"""The connections and cursors of psycopg; a module of its own, as psycopg need not be there."""

from typing import Any, TypeVar

from psycopg import Connection, Cursor, OperationalError
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg.pq import Format

T = TypeVar("T")


class BoundedConnection(Connection[Any]):
    """A connection that is given up when the server does not answer for too long."""

    patience: float | None = None
    """Seconds; None: for ever."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for one answer of the server."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except _WaitTimeout:
            # what the server still has to say belongs to a question that nobody asks any more
            self.close()
            raise OperationalError(f"it has not answered for {self.patience:.0f} s") from None


class BinaryCursor(Cursor[Any]):
    """A cursor that has results sent in binary: fragments would be twice as long in text."""

    def __init__(self, connection: Connection[Any], **options: Any) -> None:
        super().__init__(connection, **options)
        self.format = Format.BINARY
