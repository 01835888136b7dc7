"""Filling an empty registry by bulk copy: what is done before it and after.

Meanwhile the database has a schema that no program serves, so that a filling that was broken off is
never taken for a registry. On PostgreSQL indexes and constraints are made when all rows are there,
which is several times as fast as to keep them up row by row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, Table, exists, func, select, text

from xds.database.access import Database
from xds.registry import schema
from xds.registry.tables import TABLES, VALUES, event, patient

_FILLED: Final[Sequence[Table]] = (patient, *TABLES.values(), *VALUES.values(), event)
_CONSTRAINTS: Final = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype IN ('u', 'f') AND connamespace = current_schema()::regnamespace
        AND conrelid::regclass::text = ANY(:names)
    ORDER BY contype DESC, conname
"""
_INDEXES: Final = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid::regclass::text = ANY(:names) AND NOT indisprimary
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype = 'u')
    ORDER BY 1
"""
_MEMORY: Final = "SET maintenance_work_mem = '512MB'"


class NotEmpty(Exception):
    """The registry holds something already."""


@contextmanager
def filling(database: Database) -> "Iterator[Finish]":
    """Open an empty registry to bulks of rows; NotEmpty where it is not.

    The block ends with the steps of what it is handed. Where it does not come to that, the database
    is good for nothing any more.
    """
    with database.administer() as connection:
        require_empty(connection)
        revision = schema.close(connection)
        steps = without_indexes(connection, _FILLED)
        connection.commit()
    yield Finish(database, revision, steps)


def require_empty(connection: Connection) -> None:
    """Raise NotEmpty where any table has a row."""
    for table in _FILLED:
        if connection.scalar(select(exists().select_from(table))):
            raise NotEmpty(f"there are rows in {table.name}")


def without_indexes(connection: Connection, tables: Sequence[Table]) -> list[str]:
    """Drop what is made anew when the rows of tables are there; return the statements for that."""
    if connection.dialect.name == "sqlite":
        return []
    named = {"names": [table.name for table in tables]}
    constraints = connection.execute(text(_CONSTRAINTS), named).all()
    indexes = connection.execute(text(_INDEXES), named).all()
    for table, name, _ in reversed(constraints):
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    for name, _ in indexes:
        connection.execute(text(f"DROP INDEX {name}"))
    made = [definition for _, definition in indexes]
    return made + [
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
        for table, name, definition in constraints
    ]


def make_index(connection: Connection, statement: str) -> None:
    """Make one of those, with memory enough for large tables."""
    connection.execute(text(_MEMORY))
    connection.execute(text(statement))
    connection.commit()


@dataclass(frozen=True, slots=True)
class Finish:
    """What makes a registry of that which has been filled in."""

    database: Database
    revision: str
    _rest: Sequence[str]

    @property
    def steps(self) -> Iterator[Callable[[], None]]:
        """What is to be done, one after the other."""
        yield from (partial(self._make, statement) for statement in self._rest)
        yield self._end

    def _make(self, statement: str) -> None:
        with self.database.administer() as connection:
            make_index(connection, statement)

    def _end(self) -> None:
        with self.database.administer() as connection:
            _count_on(connection)
        with self.database.administer() as connection:
            schema.reopen(connection, self.revision)
            connection.commit()


def _count_on(connection: Connection) -> None:
    """Have the database give out numbers after those that are taken, and count what it has."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("ANALYZE"))
        connection.commit()
        return
    number_on(connection, (patient, *TABLES.values(), event))
    connection.commit()
    # as the server would do by itself before long: until then the first readers write what it finds
    connection.execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(text("VACUUM (ANALYZE)"))


def number_on(connection: Connection, tables: Sequence[Table]) -> None:
    """Have a server's tables give out numbers after those that are taken."""
    for table in tables:
        last = select(func.max(table.c.pk)).scalar_subquery()
        connection.execute(select(func.setval(f"{table.name}_pk_seq", last)))
