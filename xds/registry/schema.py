"""The schema of the database: which one it is, whether this program can serve it, and upgrades.

A schema has a revision, MAJOR.MINOR, which stands in the database (:mod:`xds.registry.migrations`).
A program serves its own revision and later ones of the same major number, which only add to it: so
an upgrade begins with ``xds migrate`` while programs of before go on serving, and may start again.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.registry.removal import delete_removed
from xds.registry.storage.refilling import refill

HEAD: Final = "2.26"
"""The revision that this program is made for."""

FILLED: Final = frozenset({"audit_chain"})
"""The tables that have rows where nothing was registered yet: a migration puts them there."""

_TABLE: Final = "alembic_version"
# no PRAGMA: prepared before the table was made, it would not see it afterwards
_IS_THERE: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name = :name",
    "postgresql": "SELECT to_regclass(:name)",
}
_REVISION: Final = re.compile(r"([0-9]+)\.([0-9]+)")
_ONE_AT_A_TIME: Final = 0x786473_6D696772
"""The number of the lock of those who upgrade a server's database."""
_POLL_SECONDS: Final = 0.1


_STEPS: Final = Path(__file__).with_name("migrations")
_CLOSED: Final = "being filled"
"""In place of a revision: `xds load` is at work, or was broken off."""


class SchemaMismatch(DatabaseUnavailable):
    """The database has a schema that this program cannot serve; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """The steps to a revision; those of this program, unless a test has others."""

    head: str = HEAD
    folders: tuple[Path, ...] = (_STEPS, _STEPS / "to_2_9")


OURS: Final = Migrations()


def current(database: Database) -> str | None:
    """Return the revision of a database; None where it is empty."""
    with database.read() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    there = connection.scalar(text(_IS_THERE[connection.dialect.name]), {"name": _TABLE})
    if there is None:
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {_TABLE}"))
    return revision


def prepare(database: Database, migrations: Migrations = OURS) -> None:
    """See to it that the database can be served: SchemaMismatch where a person must act.

    An embedded database is brought up to date; a server's is left to ``xds migrate``. What another
    program registered that knew less of what is searched is refilled, and a removal that was
    broken off after its commit is ended.
    """
    found = current(database)
    if not _is_older(found, migrations.head):
        _complete(database)
        return
    if not database.is_sqlite:
        raise SchemaMismatch(
            f"the database has {_named(found)}, and this program needs {migrations.head}: run "
            "`xds migrate` first"
        )
    migrate(database, migrations)


def is_served_by(found: str, program: str) -> bool:
    """Tell whether a program made for one revision can serve a database of another."""
    own, other = _numbers(program), _numbers(found)
    return own[0] == other[0] and own <= other


def _is_older(found: str | None, head: str) -> bool:
    """Tell whether a schema is to be upgraded; SchemaMismatch where it is beyond this program."""
    if found is None:
        return True
    if is_served_by(found, head):
        return False
    if _numbers(found) > _numbers(head):
        raise SchemaMismatch(
            f"the database has schema {found}, and this program knows {head} at most: use a newer "
            "program"
        )
    return True


def _numbers(revision: str) -> tuple[int, int]:
    if revision == _CLOSED:
        raise SchemaMismatch(
            "`xds load` is filling the database, or was broken off: then drop it and make it anew"
        )
    match = _REVISION.fullmatch(revision)
    if match is None:
        raise SchemaMismatch(f"the database has a schema that is none of this program: {revision}")
    return int(match[1]), int(match[2])


def close(connection: Connection) -> str:
    """Keep every program from serving a database, and return its revision."""
    revision = _current(connection)
    assert revision is not None, "the database has been prepared"
    reopen(connection, _CLOSED)
    return revision


def reopen(connection: Connection, revision: str) -> None:
    """Have programs serve the database again."""
    connection.execute(text(f"UPDATE {_TABLE} SET version_num = :it"), {"it": revision})


def _named(found: str | None) -> str:
    return "no schema yet" if found is None else f"schema {found}"


def migrate(database: Database, migrations: Migrations = OURS) -> tuple[str | None, str]:
    """Bring a database up to date; return the revisions that it had and has.

    Any number may do so at once: one does it, the others wait for it. SchemaMismatch where the
    database is newer than this program. What is searched of registered objects is up to date
    afterwards, also of those that programs of before have registered since the last time.
    """
    revisions = _migrated(database, migrations)
    _complete(database)
    return revisions


def _complete(database: Database) -> None:
    """Refill a database that has the tables of this program, and delete what was removed.

    A test has other databases too.
    """
    revision = current(database)
    if revision is not None and is_served_by(revision, HEAD):
        delete_removed(database)
        refill(database)


def _migrated(database: Database, migrations: Migrations) -> tuple[str | None, str]:
    with _alone(database) as connection:
        found = _current(connection)
        if found is not None and not _is_older(found, migrations.head):
            return found, found
        if not database.is_sqlite:
            connection.commit()  # so that Alembic begins a transaction for each step
        _upgrade(connection, migrations)
        return found, migrations.head


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """Connect for the length of an upgrade, while no one else upgrades."""
    if database.is_sqlite:
        with database.write() as connection:
            yield connection
        return
    with database.administer() as connection:
        # asked again and again: a statement that waits would hold up CREATE INDEX CONCURRENTLY
        while not connection.scalar(text(f"SELECT pg_try_advisory_lock({_ONE_AT_A_TIME})")):
            connection.commit()
            time.sleep(_POLL_SECONDS)
        connection.commit()
        yield connection


def _upgrade(connection: Connection, migrations: Migrations) -> None:
    # Alembic takes long to import, and is needed but once in the life of a schema
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    folders = [str(folder) for folder in migrations.folders]
    scripts = ScriptDirectory(folders[0], version_locations=folders)

    def steps(revision: Any, _: MigrationContext) -> Any:
        return scripts._upgrade_revs(migrations.head, revision)

    options = {"fn": steps, "script": scripts, "transaction_per_migration": True}
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context), context.begin_transaction():
        context.run_migrations()
