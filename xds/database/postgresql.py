"""PostgreSQL, the database of many processes on many machines, by psycopg.

**Reading** is REPEATABLE READ, READ ONLY: all statements of one answer see one state, nobody waits
for a reader, and such a transaction never fails for what others do.

**Writing** is READ COMMITTED under named locks (advisory locks of the transaction). They are taken
in the same breath as BEGIN and before anything is read, so every statement sees all that was
committed by those who held them before. What a writer relies on it must lock by name: what it reads
and others may change, and what must not come to be meanwhile, such as a uniqueId, which no row lock
can hold. One who removes very many documents keeps all others waiting, so it writes first, what
they do not read before its commit, and locks and looks at what it relies on afterwards. The
alternatives were weighed: SERIALIZABLE needs no names, but refuses lawful transactions where their
index pages meet, and every refusal does a registration again; row locks (FOR SHARE) write to the
row of a patient at each of its submissions, and let a merge starve behind submissions that follow
each other, where advisory locks queue fairly and write nothing. All takers take them in one order,
so they cannot deadlock; row locks of UPDATEs below may in theory, and PostgreSQL then ends one of
the two, which is tried again (DatabaseConflict). Unique constraints stay as the last guard, and
what they refuse is tried again as well, to be refused by the rules.

**Connections** are looked at when they are taken from the pool, without a round trip: a server that
was stopped has closed its end, which makes the socket readable. The rest, a machine that went away
without a word, is left to TCP's own timers, which are set short. Nothing waits for ever: a lock, a
connection, a transaction that somebody forgot and a server that stands still have their time.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import NullPool

from xds.database.backend import Backend
from xds.database.errors import DatabaseConflict, DatabaseUnavailable
from xds.database.locks import Locks
from xds.sockets import is_readable

_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_CONNECTING: Final = {
    "application_name": "xds",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_SERVING: Final = {
    **_CONNECTING,
    # jit: compiling costs more than any statement here
    "options": "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s -c jit=off",
}
_ADMINISTERING: Final = {
    **_CONNECTING,
    # a change of a table that waits holds up everyone who comes after it: not for long
    "options": "-c lock_timeout=10s",
}
"""What the query of the URL may say otherwise."""

_CONFLICTS: Final = {
    "23505": "a unique value was taken meanwhile",
    "40001": "another transaction was in the way",
    "40P01": "two transactions waited for each other",
}
_READ_ONLY: Final = "25006"
_BEYOND_ITS_LIMITS: Final = "54"
"""The class of states of a statement that is too much for it, such as a text for an index."""
_NOT_AS_IT_SHOULD_BE: Final = frozenset({"42501", "42P01"})
"""No right to a table, no such table: of the database, not of what was asked."""
_MISSING: Final = "PostgreSQL needs the package psycopg: pip install 'xds[postgresql]'"


class PostgreSQL(Backend):
    """A server, or several of which one takes writes."""

    clock = "CAST(extract(epoch FROM clock_timestamp()) AS bigint)"
    clock_milliseconds = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"

    def __init__(self, url: URL, connections: int, patience: float | None = None) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        try:
            self.engine = _engine(self._url, connections, patience)
        except ImportError as error:
            raise DatabaseUnavailable(_MISSING) from error
        self._driver: Any = self.engine.dialect.dbapi

    def begin(self, driver: Any, locks: Locks | None) -> None:
        """Begin, and take the locks: one round trip."""
        try:
            with driver.cursor() as cursor:
                cursor.format = 0  # text: several statements at once admit no other
                cursor.execute(_READ if locks is None else _beginning(locks), prepare=False)
        except self._driver.Error:
            with suppress(self._driver.Error):
                driver.rollback()
            raise

    def lock(self, driver: Any, locks: Locks) -> None:
        """Take locks after what was locked before, in whose way that may be: a conflict."""
        if taken := _taking(locks):
            with driver.cursor() as cursor:
                cursor.format = 0
                cursor.execute(taken, prepare=False)

    def administration(self) -> Engine:
        """Return an engine without a pool: what its connections hold ends with them."""
        arguments = _arguments(self._url, _ADMINISTERING)
        return create_engine(self._url, poolclass=NullPool, connect_args=arguments)

    def require_same(self) -> None:
        """Do nothing: the files of a server are its own affair."""

    def require_durable(self, *, of_all: bool = False) -> None:
        """Do nothing: a commit returns, and is seen, when it is on the disk of the server."""

    def prove_writable(self, connection: Any) -> None:
        """Write to the log of the server, which a commit then waits for, as for any other."""
        connection.execute("SELECT pg_logical_emit_message(true, 'xds', 'ready?')")

    def failure(self, error: Exception) -> DatabaseUnavailable | None:
        """Tell what is wrong with the server from what was wrong with a statement."""
        cause = (error.orig if isinstance(error, DBAPIError) else None) or error
        state = getattr(cause, "sqlstate", None)
        if state in _CONFLICTS:
            return DatabaseConflict(_CONFLICTS[state])
        if state == _READ_ONLY:
            self.engine.dispose()  # it is a standby by now: look for the server that took over
            return DatabaseUnavailable("the server takes no writes")
        if state and state.startswith(_BEYOND_ITS_LIMITS):
            return None  # the driver calls it an error of the server; it is one of the values
        driver = self._driver
        of_the_server = isinstance(cause, driver.OperationalError | driver.InterfaceError)
        if of_the_server or state in _NOT_AS_IT_SHOULD_BE:
            return DatabaseUnavailable(_sentence(cause))
        return None


def _beginning(locks: Locks) -> str:
    taken = _taking(locks)
    return f"{_WRITE}; {taken}" if taken else _WRITE


def _taking(locks: Locks) -> str:
    taken = ", ".join(
        f"pg_advisory_xact_lock{'_shared' if shared else ''}({number})"
        for number, shared in locks.numbers()
    )
    return f"SELECT {taken}" if taken else ""


def _sentence(error: BaseException) -> str:
    """Return the first line of an error, which never quotes values."""
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error)
    return text.strip().partition("\n")[0].rstrip(".") or "it does not answer"


def _engine(url: URL, connections: int, patience: float | None) -> Engine:
    from xds.database.cursors import BinaryCursor, BoundedConnection

    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,  # every transaction here ends before its connection returns
        hide_parameters=True,
        # transactions begin in PostgreSQL.begin, not in the driver
        connect_args={
            **_arguments(url, _SERVING),
            "autocommit": True,
            "cursor_factory": BinaryCursor,
        },
    )

    def connect(_dialect: object, _record: object, _args: object, options: Any) -> Any:
        connection = BoundedConnection.connect(**options)
        connection.patience = patience
        return connection

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkout", _require_alive)
    return engine


def _arguments(url: URL, wanted: Mapping[str, str]) -> dict[str, Any]:
    """Return what is wanted and not said otherwise by the query of the URL."""
    return {name: value for name, value in wanted.items() if name not in url.query}


def _require_alive(driver: Any, _record: object, _proxy: object) -> None:
    """Raise DisconnectionError for a connection that the server has closed meanwhile."""
    if not driver.closed and not is_readable(driver.fileno()):
        return
    try:
        driver.execute("")  # it may have been no more than a notice
    except Exception as error:
        raise DisconnectionError("the server has closed the connection") from error
