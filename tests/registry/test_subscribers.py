"""Readers of events: each event once, in the order of commits, by any number of processes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update
from structlog.testing import capture_logs

from tests.databases import Databases
from tests.waiting import PATIENCE, until
from xds.database.access import Database
from xds.metadata import datatypes
from xds.outgoing.delivery import NewDelivery
from xds.outgoing.queue import enqueue
from xds.outgoing.tables import delivery
from xds.registry import events, subscribers
from xds.registry.events import Event, NewEvent
from xds.registry.subscribers import EventReader, Reaction, Subscriber, subscriber


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def log() -> Iterator[object]:
    """What is logged, which is not rendered: tracebacks for a terminal take long."""
    with capture_logs() as entries:
        yield entries


def fine(_: Sequence[Event]) -> None:
    """Raise nothing."""


@dataclass
class Reader:
    """A subscriber of these tests: it puts a delivery into the queue for each event."""

    database: Database
    before: Callable[[Sequence[Event]], None] = fine
    """Called before it reacts; may raise."""
    committed: list[int] = field(default_factory=list)

    def react(self, found: Sequence[Event]) -> Reaction:
        self.before(found)
        numbers = [one.number for one in found]

        def write(connection: Connection) -> None:
            news = [NewDelivery(channel="none", target="t", id=str(one)) for one in numbers]
            enqueue(self.database, connection, news)

        return Reaction(write, lambda: self.committed.extend(numbers))

    def subscriber(self, begins: str = "first") -> Subscriber:
        return Subscriber("test", self.react, begins)  # type: ignore[arg-type]


@contextmanager
def reading(database: Database, *whom: Subscriber) -> Iterator[None]:
    """Have a process work for each for the length of a block."""
    with ExitStack() as stack:
        for one in whom:
            reader = EventReader(database, one)
            reader.start()
            stack.callback(reader.close)
        yield


def happen(connection: Connection, count: int = 1) -> None:
    new = [NewEvent(events.PATIENT_ADDED, None, None, patient) for patient in range(count)]
    events.write(connection, new, at=datatypes.now())


def happened(database: Database) -> list[str]:
    """Return the numbers of all events."""
    with database.read() as connection:
        return [str(one.number) for one in events.after(connection, 0)]


def reacted(database: Database) -> list[str]:
    """Return the events for which there is a delivery, in the order in which they came."""
    with database.read() as connection:
        return list(connection.scalars(select(delivery.c.id).order_by(delivery.c.pk)))


def test_several_processes_react_to_each_event_once_and_in_order(database: Database) -> None:
    readers = [Reader(database) for _ in range(3)]

    def work() -> None:
        for count in (1, 3, 40, 2):
            with database.write() as connection:
                happen(connection, count)

    with reading(database, *(one.subscriber() for one in readers)):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(reacted(database)) >= 4 * 46)
        assert reacted(database) == happened(database)
    committed = sorted(number for one in readers for number in one.committed)
    assert list(map(str, committed)) == happened(database)


def test_what_another_process_writes_is_seen_and_nothing_is_read_meanwhile(
    database: Database, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        pytest.skip("only processes that share a file know of commits of others")
    other = Database(databases.url(tmp_path))
    reader = Reader(database)
    reads: list[float] = []
    look = database.look

    def counted() -> AbstractContextManager[Connection]:
        reads.append(time.monotonic())
        return look()

    with closing(other), reading(database, reader.subscriber()):
        for count in range(1, 4):
            with other.write() as connection:
                happen(connection)
            until(lambda count=count: len(reader.committed) == count)  # type: ignore[misc]
        monkeypatch.setattr(database, "look", counted)
        began = time.monotonic()
        time.sleep(0.5)  # in which it would look 25 times
    assert len(reads) < 16 * (time.monotonic() - began)


def test_events_gather_while_a_subscriber_rests(database: Database) -> None:
    """Each reading is a commit of its own, which costs whoever writes meanwhile."""
    batches: list[int] = []
    unhurried = Reader(database, lambda found: batches.append(len(found)))
    with database.write() as connection:
        happen(connection)
    with reading(database, replace(unhurried.subscriber(), rest_seconds=2 * PATIENCE)):
        until(lambda: len(unhurried.committed) == 1)
        for _ in range(20):
            with database.write() as connection:
                happen(connection)
    with reading(database, unhurried.subscriber()):
        until(lambda: len(unhurried.committed) == 21)
    assert batches == [1, 20]


def test_what_needs_no_reaction_is_noted_with_what_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nothing is written for each event, and still each is reacted to once."""
    monkeypatch.setattr(subscribers, "_NOTE_SECONDS", 10.0)  # however long the writing takes
    commits: list[int] = []
    told: list[int] = []

    def react(found: Sequence[Event]) -> Reaction:
        first = found[0].number
        wanted = [one.number for one in found if one.number % 10 == 0]

        def write(connection: Connection) -> None:
            news = [NewDelivery(channel="none", target="t", id=str(one)) for one in wanted]
            enqueue(database, connection, news)
            commits.append(first)

        told.extend(one.number for one in found)
        return Reaction(write, is_idle=not wanted)

    with reading(database, Subscriber("test", react, "first")):
        for _ in range(60):
            with database.write() as connection:
                happen(connection)
        until(lambda: states(database)["test"].waiting == 0)
    assert told == list(map(int, happened(database)))
    assert reacted(database) == [one for one in happened(database) if int(one) % 10 == 0]
    assert len(commits) < 30


def test_a_reaction_may_be_to_the_first_of_the_events(database: Database) -> None:
    def react(found: Sequence[Event]) -> Reaction:
        def write(connection: Connection) -> None:
            news = [NewDelivery(channel="none", target="t", id=str(found[0].number))]
            enqueue(database, connection, news)

        return Reaction(write, until=found[0].number)

    with database.write() as connection:
        happen(connection, 5)
    with reading(database, Subscriber("test", react, "first")):
        until(lambda: reacted(database) == happened(database))


def test_an_event_whose_commit_is_late_is_not_skipped(database: Database) -> None:
    """Numbers are given out before the commit: a lower one may be seen after a higher one."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    has_number, may_commit = threading.Event(), threading.Event()

    def late() -> None:
        with database.write() as connection:
            happen(connection)
            has_number.set()
            may_commit.wait(PATIENCE)

    thread = threading.Thread(target=late)
    with reading(database, Reader(database).subscriber()):
        thread.start()
        has_number.wait(PATIENCE)
        with database.write() as connection:
            happen(connection)
        time.sleep(0.3)
        assert reacted(database) == []  # the second waits for the first
        may_commit.set()
        thread.join()
        until(lambda: len(reacted(database)) == 2)
    assert reacted(database) == happened(database)


@pytest.mark.parametrize(("begins", "count"), [("first", 3), ("next", 1)])
def test_a_new_subscriber_begins_where_it_says(database: Database, begins: str, count: int) -> None:
    with database.write() as connection:
        happen(connection, 2)
    with reading(database, Reader(database).subscriber(begins)):
        until(lambda: bool(states(database)))
        with database.write() as connection:
            happen(connection)
        until(lambda: len(reacted(database)) == count)
    assert reacted(database) == happened(database)[-count:]


def states(database: Database) -> dict[str, subscribers.SubscriberState]:
    with database.read() as connection:
        return dict(subscribers.states(connection))


def test_a_reaction_that_fails_is_tried_again_and_shows(database: Database) -> None:
    fails = threading.Event()
    fails.set()

    def before(_: Sequence[Event]) -> None:
        if fails.is_set():
            raise LookupError

    with database.write() as connection:
        happen(connection, 2)
    with reading(database, Reader(database, before).subscriber()):
        until(lambda: bool(states(database)) and states(database)["test"].error == "LookupError")
        assert states(database)["test"].waiting == 2
        assert states(database)["test"].failed_at > 0
        fails.clear()
        until(lambda: reacted(database) == happened(database))
    assert states(database)["test"] == subscribers.SubscriberState(0, None, 0)


def test_what_is_written_fails_with_the_commit_that_notes_the_event(database: Database) -> None:
    tries: list[int] = []

    def react(found: Sequence[Event]) -> Reaction:
        def write(connection: Connection) -> None:
            news = [NewDelivery(channel="none", target="t", id=str(one.number)) for one in found]
            enqueue(database, connection, news)
            tries.append(1)
            if len(tries) == 1:
                raise LookupError

        return Reaction(write)

    with database.write() as connection:
        happen(connection, 2)
    with reading(database, Subscriber("test", react, "first")):
        until(lambda: reacted(database) == happened(database))
    assert len(tries) == 2


def test_a_process_that_has_lost_its_lease_writes_nothing(database: Database) -> None:
    stands_still, goes_on = threading.Event(), threading.Event()

    def before(_: Sequence[Event]) -> None:
        stands_still.set()
        goes_on.wait(PATIENCE)

    slow, quick = Reader(database, before), Reader(database)
    with database.write() as connection:
        happen(connection, 2)
    with reading(database, slow.subscriber()):
        stands_still.wait(PATIENCE)
        with database.write() as connection:  # as when it has stood still for long
            connection.execute(update(subscriber).values(until=0))
        with reading(database, quick.subscriber()):
            until(lambda: quick.committed != [])
            goes_on.set()
            time.sleep(0.2)
    assert slow.committed == []
    assert reacted(database) == happened(database)


@pytest.mark.parametrize("ahead", [300, 10**9])
def test_a_lease_of_a_process_that_died_or_of_another_clock_ends(
    database: Database, ahead: int
) -> None:
    with reading(database, Reader(database).subscriber()):
        until(lambda: bool(states(database)))
    with database.write() as connection:
        happen(connection)
        end = database.milliseconds(connection) + ahead
        connection.execute(update(subscriber).values(holder="dead", until=end))
    with reading(database, Reader(database).subscriber()):
        until(lambda: reacted(database) == happened(database))
