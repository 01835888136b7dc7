"""Copying an embedded database to a server: every row of every table, compared, in one transaction.

Nobody else has either database meanwhile: the file is locked exclusively, which a program that has
it open does not allow, and the tables of the server against writers.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Boolean, Connection, Table, exists, func, select, text

from xds import sqlite_file
from xds.database.access import Database
from xds.database.hidden_rows import PREFIX
from xds.database.statements import METADATA

_REVISION: Final = "alembic_version"
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
_MODULUS: Final = 1 << 256
_PAGE: Final = 2_000
_LOCK_SECONDS: Final = 1.0

Tell = Callable[[str, int], object]
"""Told the name of a table and how many rows of it are there, once they have been compared."""


class NotCopied(Exception):
    """Nothing was copied; the text says why, and what to do."""


def copy_to_server(path: Path, target: Database, made: Iterable[str], tell: Tell) -> None:
    """Copy all rows of a file to a server, both with the tables of this program.

    ``made`` names the tables in which a migration puts rows; theirs give way. NotCopied where a
    table of the server has other rows, or a program has the file open; DatabaseUnavailable where
    the server fails. In each case nothing has happened.
    """
    with _alone(path) as source, target.write() as connection:
        _require_known(source)
        _require_same_revision(source, connection)
        _require_nothing_hidden(source)
        tables = METADATA.sorted_tables
        names = ", ".join(table.name for table in tables)
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
        for table in tables:
            _require_empty(connection, table, may_give_way=table.name in made)
        for table in tables:
            tell(table.name, _copied(source, connection, table))


def gather_statistics(target: Database) -> None:
    """Have a server count what it has, as it would do by itself before long."""
    with target.administer() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("VACUUM (ANALYZE)"))


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file that nobody else has open, and keep everyone out of it."""
    uri = sqlite_file.uri(path)
    connecting = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_SECONDS)
    with closing(connecting) as opened:
        try:
            opened.execute("PRAGMA locking_mode = EXCLUSIVE")
            opened.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise NotCopied(
                f"{path} cannot be had alone ({error}): stop the server and whatever else uses it"
            ) from None
        yield opened
        opened.execute("ROLLBACK")


def _require_known(source: sqlite3.Connection) -> None:
    """Raise NotCopied where the file has a table that would be left behind."""
    names = {name for (name,) in source.execute(_TABLES)}
    if unknown := names - METADATA.tables.keys() - {_REVISION}:
        raise NotCopied(f"the database has tables that are none of this program: {min(unknown)}")


def _require_same_revision(source: sqlite3.Connection, connection: Connection) -> None:
    query = f"SELECT version_num FROM {_REVISION}"
    try:
        (here,) = source.execute(query).fetchone()
    except sqlite3.OperationalError:
        raise NotCopied("the file is no database of this program") from None
    there = connection.scalar(text(query))
    if here != there:
        raise NotCopied(
            f"the file has schema {here}, and the server {there}: run `xds migrate` on both first"
        )


def _require_nothing_hidden(source: sqlite3.Connection) -> None:
    """Raise NotCopied where a removal was broken off, whose rows would come back."""
    for name in METADATA.tables:
        if name.startswith(PREFIX) and source.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone():
            raise NotCopied("a removal was broken off: run `xds migrate` on the file to end it")


def _require_empty(connection: Connection, table: Table, *, may_give_way: bool) -> None:
    if may_give_way:
        connection.execute(table.delete())
    elif connection.scalar(select(exists().select_from(table))):
        raise NotCopied(f"the server's database is not empty: there are rows in {table.name}")


def _copied(source: sqlite3.Connection, connection: Connection, table: Table) -> int:
    """Copy one table, read it back, and return how many rows it has."""
    sent = _TableDigest()
    driver: Any = connection.connection.driver_connection
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    selection = f"SELECT {names} FROM {table.name}"
    flags = [i for i, column in enumerate(table.columns) if isinstance(column.type, Boolean)]
    with driver.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN") as copying:
        for row in source.execute(selection):
            sent.add(row)
            copying.write_row([bool(v) if i in flags else v for i, v in enumerate(row)])
    there = _TableDigest()
    with driver.cursor(name="copied") as cursor:
        cursor.itersize = _PAGE
        for row in cursor.execute(selection):
            there.add(row)
    if sent != there:
        raise NotCopied(f"the rows of {table.name} are not the same after the copy")
    _count_on(connection, table)
    return sent.rows


def _count_on(connection: Connection, table: Table) -> None:
    """Have the server give out keys after those that are taken."""
    if table.autoincrement_column is not None:
        last = connection.scalar(select(func.max(table.c.pk)))
        if last is not None:
            connection.execute(select(func.setval(f"{table.name}_pk_seq", last)))


class _TableDigest:
    """How many rows there are, and a digest of them all in whatever order."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, row: Iterable[object]) -> None:
        """Count one row."""
        said = repr(tuple(map(_plain, row))).encode()
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(sha256(said).digest())) % _MODULUS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TableDigest) and (self.rows, self._sum) == (
            other.rows,
            other._sum,
        )

    __hash__ = None  # type: ignore[assignment]


def _plain(value: object) -> object:
    """Return a value as both drivers could have it."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, memoryview):
        return bytes(value)
    return int(value) if isinstance(value, bool) else value
