"""The database: what transactions see of each other, and what is said when it is not there."""

import builtins
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from sqlite3 import ProgrammingError
from threading import Barrier, Event, Thread
from typing import Any, cast

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from bench import machine
from tests.databases import Databases
from tests.postgresql import OwnPostgreSQL, own_postgresql
from tests.waiting import PATIENCE
from xds.database.access import Database, announce, retried, retrying
from xds.database.errors import CommitUnknown, DatabaseConflict, DatabaseUnavailable
from xds.database.locks import Locks
from xds.registry import schema
from xds.registry.tables import patient

A, B = (f"{letter}^^^&2.999.1.1&ISO" for letter in "AB")


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    """An empty registry."""
    with databases.opened(tmp_path) as opened:
        yield opened


@pytest.fixture
def server(database: Database) -> Database:
    """A database with named locks."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    return database


def add(connection: Connection, patient_id: str) -> None:
    connection.execute(insert(patient), {"patient_id": patient_id})


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(patient)) or 0


# --- transactions --------------------------------------------------------------------------------


def test_a_reader_sees_one_state(database: Database) -> None:
    with database.read() as connection:
        before = count(connection)
        with database.write() as writing:
            add(writing, A)
        assert count(connection) == before == 0
    with database.read() as connection:
        assert count(connection) == 1


def test_a_reader_sees_what_was_committed_since_another_read(database: Database) -> None:
    for number in range(3):
        with database.read() as connection:
            assert count(connection) == number
        with database.write() as writing:
            add(writing, f"{number}^^^&2.999.1.1&ISO")


def test_a_read_that_fails_spoils_none_that_comes_after(database: Database) -> None:
    for _ in range(20):  # more often than there are connections
        with suppress(ZeroDivisionError), database.read() as connection:
            count(connection)
            raise ZeroDivisionError
    with database.write() as writing:
        add(writing, A)
    with database.read() as connection:
        assert count(connection) == 1


@pytest.mark.parametrize("ends", ["before", "within"])
def test_a_connection_that_breaks_is_not_kept(database: Database, ends: str) -> None:
    if not database.is_sqlite:
        pytest.skip("a server's connections are the pool's")
    for _ in range(20):  # more often than there are connections
        with database.read() as connection:
            driver: Any = connection.connection.dbapi_connection
            if ends == "within":
                with suppress(ProgrammingError), database.read() as broken:
                    cast("Any", broken.connection.dbapi_connection).close()
        if ends == "before":
            driver.close()
            with suppress(ProgrammingError), database.read():
                pass
    with database.write() as writing:
        add(writing, A)
    with database.read() as connection:
        assert count(connection) == 1


def test_readers_leave_connections_to_writers(database: Database) -> None:
    together = Barrier(8)

    def read() -> int:
        with database.read() as connection:
            together.wait()
            return count(connection)

    with ThreadPoolExecutor(8) as pool:
        assert [one.result() for one in [pool.submit(read) for _ in range(8)]] == [0] * 8
    with database.write() as writing:
        add(writing, A)
    with database.read() as connection:
        assert count(connection) == 1


def test_what_fails_leaves_nothing_behind(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            add(connection, A)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert count(connection) == 0


def test_a_commit_calls_the_listeners_of_what_it_announced(database: Database) -> None:
    called: list[int] = []

    def listener() -> None:
        with database.read() as connection:  # after the commit: it sees it
            called.append(count(connection))

    database.listen("patients", listener)
    with database.write() as connection:
        add(connection, A)
    assert called == []
    with suppress(LookupError), database.write() as connection:
        announce(connection, "patients")
        raise LookupError
    with database.write() as connection:
        announce(connection, "patients")
        announce(connection, "patients")
        announce(connection, "nobody's")
        add(connection, B)
        assert called == []
    assert called == [2]


def test_the_time_of_the_database_is_the_machines_here(database: Database) -> None:
    before = time.time_ns() // 1_000_000
    with database.read() as connection:
        told = database.milliseconds(connection)
    after = time.time_ns() // 1_000_000
    assert before - 2 <= told <= after + 2


def test_a_reader_cannot_write(server: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="takes no writes"), server.read() as connection:
        add(connection, A)
    with server.write() as connection:
        add(connection, A)


def test_what_was_taken_meanwhile_is_a_conflict(server: Database) -> None:
    with server.write() as connection:
        add(connection, A)
    with pytest.raises(DatabaseConflict), server.write() as connection:
        add(connection, A)


def test_transactions_that_wait_for_each_other_are_a_conflict(server: Database) -> None:
    with server.write() as connection:
        add(connection, A)
        add(connection, B)
    reached = Barrier(2)

    def update(first: str, second: str) -> None:
        with server.write() as connection:
            for one in (first, second):
                query = "UPDATE patient SET survivor = NULL WHERE patient_id = :one"
                connection.execute(text(query), {"one": one})
                if one == first:
                    reached.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        updating = [threads.submit(update, *both) for both in ((A, B), (B, A))]
        errors = [one.exception() for one in updating]
    (failed,) = (error for error in errors if error is not None)
    assert isinstance(failed, DatabaseConflict)


def test_what_is_in_the_way_once_is_tried_again() -> None:
    tries: list[int] = []

    def act() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise DatabaseConflict("in the way")
        return "done"

    assert retried(act) == "done"
    assert len(tries) == 3


def test_what_is_always_in_the_way_is_told() -> None:
    def act() -> None:
        raise DatabaseConflict("in the way")

    with pytest.raises(DatabaseConflict, match="in the way"):
        retried(act)


# --- locks ---------------------------------------------------------------------------------------


def shared(*names: str) -> Locks:
    return Locks(shared=frozenset(names))


def exclusive(*names: str) -> Locks:
    return Locks(exclusive=frozenset(names))


MANY = [f"name {number}" for number in range(65)]


@pytest.mark.parametrize(
    ("held", "wanted", "waits"),
    [
        (exclusive("a"), exclusive("a"), True),
        (exclusive("a"), exclusive("b"), False),
        (exclusive("a"), shared("a"), True),
        (shared("a"), exclusive("a", "b"), True),
        (shared("a"), shared("a"), False),
        (Locks(frozenset("a"), frozenset("a")), shared("a"), True),
        (exclusive(*MANY), exclusive("name 7"), True),
        (exclusive(*MANY), shared("another"), True),
        (exclusive("name 7"), exclusive(*MANY), True),
        (exclusive(*MANY), Locks(), False),
    ],
)
def test_a_lock_keeps_others_out_until_the_end(
    server: Database, held: Locks, wanted: Locks, waits: bool
) -> None:
    def take() -> None:
        with server.write(wanted):
            pass

    with ThreadPoolExecutor(1) as threads:
        with server.write(held):
            taking: Future[None] = threads.submit(take)
            if waits:
                with pytest.raises(TimeoutError):
                    taking.result(0.2)
            else:
                taking.result(PATIENCE)
        taking.result(PATIENCE)


def test_locks_are_taken_in_the_midst_of_a_transaction(server: Database) -> None:
    def look() -> int:
        with server.write(exclusive("a")) as connection:
            return count(connection)

    with ThreadPoolExecutor(1) as threads:
        with server.write() as connection:
            add(connection, A)
            assert threads.submit(look).result(PATIENCE) == 0
            server.lock(connection, exclusive(*MANY))
            looking = threads.submit(look)
            with pytest.raises(TimeoutError):
                looking.result(0.2)
        assert looking.result(PATIENCE) == 1


def test_of_two_who_wait_for_row_and_lock_one_has_a_conflict(server: Database) -> None:
    def add_under_a_lock(has_lock: Event, has_row: Event) -> None:
        with server.write(exclusive("a")) as connection:
            has_lock.set()
            assert has_row.wait(PATIENCE)
            add(connection, A)

    def add_and_lock(has_lock: Event, has_row: Event) -> None:
        assert has_lock.wait(PATIENCE)
        with server.write() as connection:
            add(connection, A)
            has_row.set()
            server.lock(connection, exclusive(*MANY))

    events = Event(), Event()
    with ThreadPoolExecutor(2) as threads:
        each = [threads.submit(one, *events) for one in (add_under_a_lock, add_and_lock)]
        failed = [one.exception(PATIENCE) for one in each]
    assert {type(one) for one in failed} == {DatabaseConflict, type(None)}
    with server.read() as connection:
        assert count(connection) == 1


def test_all_locks_are_taken_in_one_order() -> None:
    one = [number for number, _ in exclusive("a", "b", "c").numbers()]
    other = [number for number, _ in Locks(frozenset("bc"), frozenset("a")).numbers()]
    assert one == other == sorted(one)
    assert len(set(one)) == 4


def test_what_comes_after_a_lock_sees_what_was_done_under_it(server: Database) -> None:
    seen: list[int] = []

    def look() -> None:
        with server.write(exclusive("a")) as connection:
            seen.append(count(connection))

    with server.write(exclusive("a")) as connection:
        looking = Thread(target=look)
        looking.start()
        time.sleep(0.1)
        add(connection, A)
    looking.join()
    assert seen == [1]


def test_a_lock_that_cannot_be_had_is_told(
    server: Database, tmp_path: Path, databases: Databases
) -> None:
    impatient = Database(f"{databases.url(tmp_path)}?options=-c%20lock_timeout%3D100ms")
    with server.write(exclusive("a")):
        refused = pytest.raises(DatabaseUnavailable, match="lock timeout")
        with refused, impatient.write(exclusive("a")):
            pass
        with impatient.write(exclusive("b")) as connection:
            assert count(connection) == 0
    impatient.close()


# --- a server that goes and comes back -----------------------------------------------------------


@pytest.fixture(scope="module")
def own() -> Iterator[OwnPostgreSQL]:
    """A server that may be stopped."""
    with own_postgresql({"fsync": "off"}) as server:
        yield server


@pytest.fixture
def stoppable(own: OwnPostgreSQL) -> Iterator[Database]:
    """A database of a server that may be stopped, with several connections open."""
    own.drop("stoppable")
    opened = Database(own.create("stoppable"), connections=3)
    schema.migrate(opened)
    with opened.read(), opened.read(), opened.read():
        pass
    yield opened
    opened.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_was_away_is_used_again_at_once(
    own: OwnPostgreSQL, stoppable: Database, mode: str
) -> None:
    with stoppable.write() as connection:
        add(connection, A)
    own.stop(mode)
    try:
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="refused"):
                stoppable.check()
            with pytest.raises(DatabaseUnavailable), stoppable.write(exclusive("a")):
                pass
    finally:
        own.start()
    for _ in range(3):
        with stoppable.read() as one, stoppable.write(exclusive("a")) as two:
            assert count(one) == count(two) == 1


def test_a_server_that_goes_in_the_middle_undoes_what_was_begun(
    own: OwnPostgreSQL, stoppable: Database
) -> None:
    def write() -> None:
        with stoppable.write() as connection:
            add(connection, A)
            own.stop("immediate")
            own.start()
            add(connection, B)

    with pytest.raises(DatabaseUnavailable):
        write()
    with stoppable.read() as connection:
        assert count(connection) == 0


def test_a_server_that_goes_at_the_commit_leaves_it_unknown(
    own: OwnPostgreSQL, stoppable: Database
) -> None:
    def write(then: Callable[[], None]) -> None:
        with stoppable.write() as connection:
            add(connection, A)
            then()

    try:
        with pytest.raises(CommitUnknown):
            write(lambda: own.stop("immediate"))
        with pytest.raises(DatabaseUnavailable) as refused:
            write(lambda: None)
        assert not isinstance(refused.value, CommitUnknown)
    finally:
        own.start()


def test_a_server_that_stands_still_is_given_up(own: OwnPostgreSQL, stoppable: Database) -> None:
    url = own.database("stoppable")
    impatient = Database(url, connections=1, patience=0.5)
    pid = int((own.folder / "data" / "postmaster.pid").read_text().split()[0])
    servers = machine.family(pid)
    for one in servers:
        os.kill(one, signal.SIGSTOP)
    try:
        with pytest.raises(DatabaseUnavailable, match="has not answered"):
            impatient.check()
    finally:
        for one in servers:
            os.kill(one, signal.SIGCONT)
    impatient.check()
    impatient.close()


def test_a_connection_that_was_ended_is_not_used_again(stoppable: Database) -> None:
    with stoppable.write() as connection:
        ended = connection.scalar(
            text(
                "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert ended == 2
    for _ in range(3):
        with stoppable.read() as one, stoppable.read() as two, stoppable.read() as three:
            assert count(one) == count(two) == count(three) == 0


# --- what is not there ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/xds", "connection refused"),
        ("postgresql+psycopg://nobody:secret@127.0.0.1:1/xds", "connection refused"),
        ("mysql://localhost/xds", "a database is sqlite:///file or postgresql://user@host/name"),
        ("postgresql://host:port/xds", "its url cannot be read"),
        ("sqlite:////proc/nowhere/registry.sqlite3", "no such file"),
    ],
)
def test_a_database_that_is_not_there_is_told(url: str, said: str) -> None:
    with pytest.raises((DatabaseUnavailable, OSError)) as refused:
        Database(url)
    assert said in str(refused.value).lower()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "statement", ["SELECT no_such FROM patient", "SELEKT 1", "SELECT nothing(1) FROM patient"]
)
def test_a_wrong_statement_is_no_outage(database: Database, statement: str) -> None:
    with pytest.raises(DBAPIError), database.read() as connection:
        connection.execute(text(statement))
    with pytest.raises(DBAPIError), database.write() as connection:
        connection.execute(text(statement))


def test_a_table_that_is_not_there_is_a_damage(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), database.read() as connection:
        connection.execute(text("SELECT 1 FROM taken_away"))


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without_psycopg(name: str, *more: Any) -> Any:
        if name.partition(".")[0] == "psycopg" or name == "xds.database.cursors":
            raise ModuleNotFoundError(name)
        return usual(name, *more)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(DatabaseUnavailable, match=r"pip install 'xds\[postgresql\]'"):
        Database("postgresql://localhost/xds")


def test_a_function_that_is_a_transaction_is_done_again() -> None:
    tried: list[int] = []

    @retrying
    def act(number: int, *, most: int) -> str:
        tried.append(number)
        if len(tried) < most:
            raise DatabaseConflict("in the way")
        return "done"

    assert (act(7, most=3), tried) == ("done", [7] * 3)
