"""The one way to the database: transactions that read, and transactions that write."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Select, event, literal_column, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from xds.database.backend import LOCKS, Backend
from xds.database.errors import CommitUnknown, DatabaseConflict, DatabaseUnavailable
from xds.database.locks import NOTHING, Locks
from xds.database.postgresql import PostgreSQL
from xds.database.reading import fetch
from xds.database.sqlite import SQLite
from xds.tracing import part

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE: Final = 60.0
"""Seconds after which a server that does not answer is given up: it stands still, or a statement
is far beyond anything that is asked here."""
InCommit = Callable[[Connection], None]
"""Work on the same database that shares the fate of somebody else's transaction."""

_ATTEMPTS: Final = 5
_SOMETHING: Final[Select[Any]] = select(literal_column("1"))
_ANNOUNCED: Final = "xds_announced"
"""Where a connection keeps the topics that its transaction has announced."""


def announce(connection: Connection, topic: str) -> None:
    """Call this process's listeners of a topic once the transaction of the connection commits.

    A transaction that is rolled back calls nobody. Other processes are not told: they have to look.
    """
    connection.info.setdefault(_ANNOUNCED, set()).add(topic)


def retried(act: Callable[[], T]) -> T:
    """Do what ends in one transaction; again, a few times, where another one was in the way."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return act()
        except DatabaseConflict:
            continue
    return act()


def retrying(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function that is one transaction done as by :func:`retried`."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        return retried(lambda: function(*args, **kwargs))

    return wrapped


class Database:
    """One relational database with its connections; safe to use from many threads."""

    def __init__(
        self, url: str, *, connections: int = 16, patience: float | None = PATIENCE
    ) -> None:
        """Connect; ``patience`` is how many seconds a server may take for one answer."""
        self._backend = _backend(url, connections, patience)
        self.is_sqlite = isinstance(self._backend, SQLite)
        self._kept = _KeptConnections(connections // 2)
        self._seconds: Select[Any] = select(literal_column(self._backend.clock))
        self._milliseconds: Select[Any] = select(literal_column(self._backend.clock_milliseconds))
        self._listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)
        event.listen(self._backend.engine, "begin", self._begin)
        try:
            with self._backend.queue():
                self.check()  # the first connection to a new SQLite file makes it one of WAL mode
        except DatabaseUnavailable:
            self.close()
            raise

    def read(self) -> AbstractContextManager[Connection]:
        """Open a transaction that sees one consistent state; DatabaseUnavailable if that fails.

        When the block has ended, what it saw is durable.
        """
        return _ReadTransaction(self._transaction(None))

    def look(self) -> AbstractContextManager[Connection]:
        """As `read`, for whoever only finds out whether there is something to read or write.

        What it sees may be gone after a failure of power: so nobody may be told of it before a
        `read` has ended, and nothing be done because of it but to `read` or to `write`.
        """
        return _ReadTransaction(self._transaction(None, durable=False))

    @contextmanager
    def write(self, locks: Locks = NOTHING) -> Iterator[Connection]:
        """Open a transaction that may write; it is durable when the block ends without error.

        It holds the locks from its beginning to its end. DatabaseUnavailable when the database
        cannot be reached, is locked or full, and nothing has happened; CommitUnknown where it may
        have. DatabaseConflict when another transaction was in the way, and nothing has happened.
        """
        ended = False
        announced: frozenset[str] = frozenset()
        try:
            with (
                part("database write"),
                _Durable(self._backend),
                self._backend.queue(),
                self._transaction(locks) as connection,
            ):
                connection.info.pop(_ANNOUNCED, None)
                yield connection
                announced = frozenset(connection.info.get(_ANNOUNCED, ()))
                ended = True
        except DatabaseConflict:
            raise
        except DatabaseUnavailable as error:
            if ended:
                raise CommitUnknown(str(error)) from error
            raise
        self._call_listeners(announced)

    def lock(self, connection: Connection, locks: Locks) -> None:
        """Take locks in a transaction of `write` that has none, until its end.

        So others need not wait while it writes what nobody reads before its commit. Where one of
        them holds such a lock and waits for a row, it is a DatabaseConflict of one of the two.
        """
        self._backend.lock(connection.connection.dbapi_connection, locks)

    def listen(self, topic: str, listener: Callable[[], None]) -> None:
        """Have a listener called after each commit of this process that has announced a topic.

        It is called by the thread that has committed, so it returns at once and raises nothing.
        """
        self._listeners[topic].append(listener)

    def last_commit(self) -> int | None:
        """Return the number of the last commit of any process, for a look that costs nothing.

        While it is the same, nothing has changed. None where it is not known: on a server, and
        while a commit is under way.
        """
        return self._backend.last_commit()

    def _call_listeners(self, topics: frozenset[str]) -> None:
        for topic in topics:
            for listener in self._listeners.get(topic, ()):
                listener()

    @contextmanager
    def administer(self) -> Iterator[Connection]:
        """Connect for changes of tables on a server, in as many transactions as they take."""
        with self._availability(), self._backend.administration().connect() as connection:
            yield connection
        self._backend.require_durable(of_all=True)

    def _transaction(
        self, locks: Locks | None, *, durable: bool = True
    ) -> AbstractContextManager[Connection]:
        if isinstance(self._backend, SQLite):
            return _SQLiteTransaction(self._backend, self._kept, locks, durable)
        return self._transaction_of_server(locks)

    @contextmanager
    def _transaction_of_server(self, locks: Locks | None) -> Iterator[Connection]:
        with self._availability(), self._backend.engine.connect() as connection:
            connection.execution_options(**{LOCKS: locks})
            with connection.begin():
                yield connection

    @contextmanager
    def _availability(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failure = _failure(self._backend, error)
            if failure is None:
                raise
            raise failure from error

    def _begin(self, connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        self._backend.begin(driver, connection.get_execution_options().get(LOCKS))

    def clock(self, connection: Connection) -> int:
        """Return the database's time in seconds since 1970: it is the same for all processes."""
        ((now,),) = fetch(connection, self._seconds, {})
        return int(now)

    def milliseconds(self, connection: Connection) -> int:
        """Return the database's time in milliseconds since 1970: the same for all processes."""
        ((now,),) = fetch(connection, self._milliseconds, {})
        return int(now)

    def release_memory(self, connection: Connection) -> None:
        """Let a connection give back the pages that it keeps: for one who writes very much."""
        self._backend.release_memory(connection.connection.cursor())

    def check(self) -> None:
        """Raise DatabaseUnavailable when the database does not answer, or its file has gone."""
        self._backend.require_same()
        with self.read() as connection:
            fetch(connection, _SOMETHING, {})

    def check_writing(self) -> None:
        """Commit something that changes nothing; DatabaseUnavailable when that cannot be done."""
        with self.write() as connection:
            self._backend.prove_writable(connection.connection.dbapi_connection)

    def wal_bytes(self) -> int | None:
        """Return the size of the write-ahead log; None where a server sees to it."""
        return self._backend.wal_bytes()

    def close(self) -> None:
        """Close every connection."""
        self._kept.close()
        self._backend.close()


class _Durable:
    """Has a block end only when what it saw and what it committed is on the disk.

    Also where it fails: what somebody is refused for must not be gone after a failure of power.
    """

    __slots__ = ("_backend",)

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, *_: object) -> None:
        """Wait; DatabaseUnavailable where it cannot be brought to the disk."""
        self._backend.require_durable()


class _KeptConnections:
    """Connections of SQLite that are kept for who comes next; safe to use from many threads.

    The last one that was given back is taken first: it has most of the pages that are asked for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: deque[Connection] = deque()

    def take(self) -> Connection | None:
        """Return one that nobody else has, if there is any."""
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def put(self, connection: Connection) -> None:
        """Keep a connection, or give it back to the pool."""
        if len(self._kept) < self._most:
            self._kept.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Give all back to the pool."""
        while (connection := self.take()) is not None:
            connection.close()


class _ReadTransaction:
    """A transaction that reads, as a span; no generator, since each request has one at least."""

    __slots__ = ("_part", "_transaction")

    def __init__(self, transaction: AbstractContextManager[Connection]) -> None:
        self._transaction = transaction
        self._part = part("database read")

    def __enter__(self) -> Connection:
        self._part.__enter__()
        try:
            return self._transaction.__enter__()
        except BaseException:
            self._part.__exit__()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> bool | None:
        try:
            return self._transaction.__exit__(kind, error, where)
        finally:
            self._part.__exit__()


class _SQLiteTransaction:
    """A transaction of SQLite, on a connection that is kept for the next.

    To take a connection from the pool, begin, end and give it back costs SQLAlchemy some 110
    microseconds, a tenth of what a retrieval takes; SQLite's BEGIN and COMMIT cost four. So a
    connection stays in one transaction of SQLAlchemy's, and the driver is told where each begins
    and ends. After an error it goes back to the pool.
    """

    __slots__ = ("_backend", "_connection", "_durable", "_kept", "_locks")

    def __init__(
        self, backend: SQLite, kept: _KeptConnections, locks: Locks | None, durable: bool
    ) -> None:
        """``durable`` says whether the end of a reading waits for what it saw to be on the disk.

        A writing does in any case (:meth:`Database.write`).
        """
        self._backend = backend
        self._kept = kept
        self._locks = locks
        self._durable = durable and locks is None

    def __enter__(self) -> Connection:
        """Begin; DatabaseUnavailable where that fails."""
        kept = self._kept.take()
        try:
            self._connection = self._connected() if kept is None else kept
            if kept is not None:
                self._backend.begin(self._driver, self._locks)
        except Exception as error:
            self._fail(error, kept)
            raise
        return self._connection

    def _connected(self) -> Connection:
        connection = self._backend.engine.connect()
        connection.execution_options(**{LOCKS: self._locks})
        connection.begin()
        return connection

    @property
    def _driver(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _fail(self, error: Exception, connection: Connection | None) -> None:
        """Let go of a connection that cannot begin or end; DatabaseUnavailable if of the file."""
        if connection is not None:
            connection.invalidate()
            connection.close()
        if failure := _failure(self._backend, error):
            raise failure from error

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _where: object
    ) -> None:
        """End, and keep the connection; DatabaseUnavailable where the error was of the file."""
        if error is None:
            try:
                self._backend.commit(self._driver, self._locks)
            except Exception as failed:
                self._fail(failed, self._connection)
                raise
            self._kept.put(self._connection)
        else:
            self._connection.close()
        if self._durable:
            self._backend.require_durable()
        if isinstance(error, Exception) and (failure := _failure(self._backend, error)):
            raise failure from error


def _failure(backend: Backend, error: Exception) -> DatabaseUnavailable | None:
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("no connection is free")
    return backend.failure(error)


def _backend(url: str, connections: int, patience: float | None) -> Backend:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUnavailable("its URL cannot be read") from error
    match parsed.get_backend_name():
        case "sqlite":
            return SQLite(parsed, connections)
        case "postgresql" | "postgres":
            return PostgreSQL(parsed, connections, patience)
    raise DatabaseUnavailable("a database is sqlite:///FILE or postgresql://USER@HOST/NAME")
