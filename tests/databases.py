"""Databases for tests: of one kind for the whole run, or of both for the tests that look at them.

``pytest --database=both`` (the default) runs on SQLite, and the modules in ON_BOTH once more on
PostgreSQL; ``--database=sqlite`` and ``--database=postgresql`` run everything on one.
"""

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from psycopg.errors import DuplicateDatabase, InvalidCatalogName

from tests.postgresql import QUICK, PostgreSQL, postgresql
from xds.database.access import Database
from xds.registry import schema
from xds.sqlite_file import write_back

SQLITE, POSTGRESQL, BOTH = "sqlite", "postgresql", "both"

ON_BOTH: Final = frozenset(
    {
        "audit/test_activity.py",
        "audit/test_chain.py",
        "audit/test_poisoned.py",
        "audit/test_searching.py",
        "content/test_stored_observations.py",
        "messaging/test_filing.py",
        "messaging/test_message_pages.py",
        "notification/test_engine.py",
        "fhir/test_update_races.py",
        "notification/test_keeper.py",
        "notification/test_matching.py",
        "outgoing/test_dispatcher.py",
        "outgoing/test_killed.py",
        "outgoing/test_operations.py",
        "outgoing/test_overview.py",
        "registry/test_bulk.py",
        "registry/test_changes_during_removal.py",
        "registry/test_changes_during_updates.py",
        "registry/test_criteria.py",
        "registry/test_document_sets.py",
        "registry/test_effects.py",
        "registry/test_events.py",
        "registry/test_identities.py",
        "registry/test_link_changes.py",
        "registry/test_many_writers.py",
        "registry/test_metadata_level.py",
        "registry/test_plans.py",
        "registry/test_queries.py",
        "registry/test_races.py",
        "registry/test_removal.py",
        "registry/test_schema.py",
        "registry/test_update_races.py",
        "registry/test_subscribers.py",
        "registry/test_updates.py",
        "registry/test_views.py",
        "repository/test_changes_during_removal.py",
        "repository/test_registering.py",
        "repository/test_sweeping.py",
        "security/test_policy.py",
        "security/test_policy_transactions.py",
        "test_database.py",
    }
)
"""Modules of tests/ that look at what databases do differently."""

_DEFAULT: Final = "TESTS_RUN_ON"
"""Where a whole run on PostgreSQL says so, for whatever starts a deployment."""


@dataclass(frozen=True, slots=True)
class Databases:
    """Where tests have their databases: each data folder has one of its own."""

    server: PostgreSQL | None = None
    """None: SQLite."""
    prefix: str = ""
    """Of the names of these databases, which others on the same server do not have."""

    @property
    def kind(self) -> str:
        """The kind of all of them."""
        return SQLITE if self.server is None else POSTGRESQL

    def url(self, data: Path) -> str:
        """Return the URL of a folder's database, which is made, with tables, when first asked."""
        if self.server is None:
            _copy_template(_file_in(data))
            return _sqlite(data)
        name, template = self._name(data), f"{self.prefix}template"
        try:
            return self.server.create(name, template)
        except DuplicateDatabase:
            return self.server.database(name)
        except InvalidCatalogName:
            _migrate(self.server.create(template))
            return self.url(data)

    def empty(self, data: Path) -> str:
        """Return the URL of a new database for a folder, without tables."""
        if self.server is None:
            return _sqlite(data)
        return self.server.create(self._name(data))

    @contextmanager
    def opened(self, data: Path) -> Iterator[Database]:
        """Open a folder's database, with its tables, and drop it when the block ends."""
        database = Database(self.url(data))
        try:
            yield database
        finally:
            database.close()
            self.drop(data)

    def drop(self, data: Path) -> None:
        """Drop a folder's database, where it does not go with the folder."""
        if self.server is not None:
            self.server.drop(self._name(data))

    def drop_all(self) -> None:
        """Drop all of them that are left."""
        if self.server is not None:
            for name in self.server.names(self.prefix):
                self.server.drop(name)

    def _name(self, data: Path) -> str:
        return self.prefix + hashlib.sha1(str(data.absolute()).encode()).hexdigest()[:20]


def _migrate(url: str) -> None:
    database = Database(url)
    schema.migrate(database)
    database.close()


def _file_in(data: Path) -> Path:
    return data / "registry.sqlite3"


def _sqlite(data: Path) -> str:
    return f"sqlite:///{_file_in(data)}"


def _copy_template(path: Path) -> None:
    """Make an embedded database with tables, unless one is there."""
    if not path.exists():
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        path.touch(0o600)
        with _MAKING:  # a process migrates one database at a time
            template = _template_file()
        path.write_bytes(template)


_MAKING: Final = threading.Lock()


@cache
def _template_file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "registry.sqlite3"
        _migrate(f"sqlite:///{path}")
        write_back(path)
        return path.read_bytes()


@contextmanager
def databases_of(kind: str) -> Iterator[Databases]:
    """Give databases of a kind for the length of a run."""
    if kind == SQLITE:
        yield Databases()
        return
    with postgresql(QUICK) as server:
        found = Databases(server, f"xds_test_{secrets.token_hex(4)}_")
        try:
            yield found
        finally:
            found.drop_all()


@contextmanager
def as_default(databases: Databases) -> Iterator[None]:
    """Have all deployments that say nothing of a database use these, for the length of a block."""
    if databases.server is None:
        yield
        return
    os.environ[_DEFAULT] = f"{databases.prefix} {databases.server.url}"
    try:
        yield
    finally:
        del os.environ[_DEFAULT]


def default() -> Databases:
    """Return the databases of deployments that say nothing of one."""
    prefix, _, url = os.environ.get(_DEFAULT, "").partition(" ")
    return Databases(PostgreSQL(url), prefix) if url else Databases()


def prepared(data: Path) -> Path:
    """Return a data folder, in which there is an embedded database with tables from now on."""
    _copy_template(_file_in(data))
    return data


def options(data: Path) -> Mapping[str, str]:
    """Return the options of a deployment on a data folder that says nothing of a database."""
    found = default()
    return {} if found.server is None else {"database": found.url(data)}
