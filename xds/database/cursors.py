"""The cursors of psycopg; a module of its own, as psycopg need not be there."""

from typing import Any

from psycopg import Connection, Cursor
from psycopg.pq import Format


class BinaryCursor(Cursor[Any]):
    """A cursor that has results sent in binary: fragments would be twice as long in text."""

    def __init__(self, connection: Connection[Any], **options: Any) -> None:
        super().__init__(connection, **options)
        self.format = Format.BINARY
