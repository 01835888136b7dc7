"""A change between what a transaction reads and what it locks, in that order and no other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from xds.database.access import Database
from xds.database.locks import NOTHING, Locks
from xds.registry.registry import DocumentRegistry

Change = Callable[[DocumentRegistry], object]


class Meanwhile:
    """A database on which something is done just before the first transaction that writes."""

    def __init__(self, database: Database, change: Change) -> None:
        self._database = database
        self._changes = [change]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def write(self, locks: Locks = NOTHING) -> Iterator[Connection]:
        """Do it, and open the transaction."""
        if self._changes:
            self._changes.pop()(DocumentRegistry(database=self._database))
        with self._database.write(locks) as connection:
            yield connection
