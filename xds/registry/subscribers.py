"""Readers of the registry's events: each event is reacted to once, in the order of commits.

A subscriber is a row with the number of the last event that it has reacted to. Of the processes
that share the database one works for it at a time, by a lease. What it writes and the number are
one commit, which fails where the lease was lost: so what a reaction writes, such as deliveries
(:func:`xds.outgoing.queue.enqueue`), is there once for each event. What it does beyond the
database may be done again after a crash; name and number of an event are the key by which a
receiver tells.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)

from xds import logs
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.database.reading import fetch
from xds.database.statements import METADATA
from xds.registry import events
from xds.registry.events import Event
from xds.registry.tables import event

LEASE: Final = 3_000
"""Milliseconds for which a process works for a subscriber after the last event."""

_BATCH: Final = 200
_WARM_SECONDS: Final = 0.02
"""Between two looks while the lease lasts: events may come from every process."""
_POLL_SECONDS: Final = 0.5
_NOTE_SECONDS: Final = 1.0
"""After which it is noted at the latest that events were read to which there was nothing to do."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0

subscriber = Table(
    "subscriber",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("last_event", BigInteger, nullable=False),
    Column("holder", Text),
    Column("until", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", BigInteger),
    Column("error", Text),
)
"""A row for each subscriber: up to ``last_event`` it has reacted. Times are in milliseconds.

``holder`` works for it until ``until``. ``attempts`` counts reactions that failed in a row.
"""
_C: Final = subscriber.c
_ROW: Final = select(_C.last_event, _C.holder, _C.until).where(_C.name == bindparam("who"))
_NEW: Final = text(
    "INSERT INTO subscriber (name, last_event, until, attempts) VALUES (:who, :last, 0, 0) "
    "ON CONFLICT (name) DO NOTHING"
)
# what lies further ahead than any lease is of before the clock was set back
_IS_FREE: Final = or_(
    _C.holder.is_(None), _C.until <= bindparam("now"), _C.until > bindparam("now") + 2 * LEASE
)
_TAKE: Final = (
    update(subscriber)
    .where(_C.name == bindparam("who"), _IS_FREE)
    .values(holder=bindparam("me"), until=bindparam("end"))
)
_ADVANCE: Final = (
    update(subscriber)
    .where(
        _C.name == bindparam("who"),
        _C.holder == bindparam("me"),
        _C.last_event == bindparam("before"),
    )
    .values(
        last_event=bindparam("last"), until=bindparam("end"), attempts=0, failed_at=None, error=None
    )
)
_FAIL: Final = (
    update(subscriber)
    .where(_C.name == bindparam("who"), _C.holder == bindparam("me"))
    .values(
        holder=None, attempts=_C.attempts + 1, failed_at=bindparam("now"), error=bindparam("why")
    )
)
_LET_GO: Final = (
    update(subscriber)
    .where(and_(_C.name == bindparam("who"), _C.holder == bindparam("me")))
    .values(holder=None)
)

_log = logs.get_logger(__name__)


def _write_nothing(connection: Connection) -> None:
    """Write nothing."""


def _do_nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What is to be done because of events."""

    write: Callable[[Connection], None] = _write_nothing
    """Within the commit that notes the events, as short as it can be."""
    committed: Callable[[], None] = _do_nothing
    """After it; not called where the process ends in between."""
    is_idle: bool = False
    """Whether there is nothing to write: then a commit may note many events at once, and after a
    crash in between they come again."""
    until: int | None = None
    """The number of the last event to which it is the reaction; None: all that were handed over."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who reacts to events."""

    name: str
    react: Callable[[Sequence[Event]], Reaction]
    """Takes events in their order, some hundreds at most. It may read and take its time, but not
    write; where it raises, the same events come again later."""
    begins: Literal["first", "next"] = "next"
    """With the first event that there is, or with the next one, when it is new."""
    rest_seconds: float = 0.0
    """How long it lets events gather once it has read all: each reading is a commit of its own."""


@dataclass(frozen=True, slots=True)
class _Read:
    """How far a process has read: to the event that is noted, and then on to another one."""

    noted: int
    last: int


@dataclass(frozen=True, slots=True)
class _Turn:
    """Whose turn it is to work for a subscriber, as its row says."""

    noted: int
    """The number of the last event that was noted."""
    holder: str | None
    until: int
    now: int

    def is_of(self, name: str) -> bool:
        """Tell whether a reader has the lease."""
        return self._is_held and self.holder == name

    def is_of_another(self, name: str) -> bool:
        """Tell whether another reader has the lease."""
        return self._is_held and self.holder != name

    @property
    def seconds(self) -> float:
        """How long to wait for the end of the lease before the next look."""
        return min(float(self.until - self.now) / 1000, _POLL_SECONDS)

    @property
    def _is_held(self) -> bool:
        return self.holder is not None and self.now < self.until <= self.now + 2 * LEASE


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at the database has shown."""

    turn: _Turn | None
    """None where the subscriber is new."""
    complete: int | None
    last: int = 0
    """The number of the last event that was read."""
    has_more: bool = False


class _LeaseLost(Exception):
    """Another process works for the subscriber by now."""


class EventReader:
    """Works for one subscriber in one process, when it is this process's turn."""

    def __init__(self, database: Database, whom: Subscriber) -> None:
        self._database = database
        self._whom = whom
        self._name = uuid4().hex
        self._wake = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"events: {whom.name}", daemon=True)
        self._warm_until = 0.0
        self._noted = 0.0
        self._looked_at = 0.0
        self._without_more: int | None = None
        self._read = _Read(0, 0)
        database.listen(events.TOPIC, self._wake.set)

    def start(self) -> None:
        """Begin to react."""
        self._thread.start()

    def close(self) -> None:
        """Stop after what is under way, and leave the subscriber to others."""
        self._ends.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause, trouble = 0.0, _FIRST_PAUSE
        while not self._ends.is_set():
            if pause:
                self._ends.wait(self._whom.rest_seconds)
            self._wake.wait(pause)
            self._wake.clear()
            try:
                pause, trouble = self._round(), _FIRST_PAUSE
                continue
            except _LeaseLost:
                pause = _POLL_SECONDS
                continue
            except DatabaseUnavailable as error:
                _log.error("events cannot be read", subscriber=self._whom.name, reason=str(error))
            except Exception as error:
                _log.error("a reaction failed", subscriber=self._whom.name, exc_info=error)
                self._note_failure(error)
            self._ends.wait(trouble)
            pause, trouble = 0.0, min(trouble * 2, _LONGEST_PAUSE)
        self._let_go()

    def _round(self) -> float:
        """React to some events; return the seconds until there may be more."""
        if self._is_as_seen():
            return _WARM_SECONDS
        self._looked_at, self._without_more = time.monotonic(), None
        before = self._database.last_commit()
        seen = self._look()
        turn = seen.turn
        if turn is None:
            self._introduce(seen.complete)
            return 0.0
        if turn.is_of_another(self._name):
            self._ends.wait(turn.seconds)  # and not until this process commits: the other one looks
            return 0.0
        found = self._events(seen)
        if not found:
            if seen.last > turn.noted and time.monotonic() > self._noted + _NOTE_SECONDS:
                self._advance(turn.noted, seen.last, Reaction())
            self._without_more = before
            return _WARM_SECONDS if time.monotonic() < self._warm_until else _POLL_SECONDS
        if not turn.is_of(self._name):
            self._take()
        self._react(turn.noted, found)
        self._warm_until = time.monotonic() + LEASE / 1000
        return 0.0 if len(found) == _BATCH else _WARM_SECONDS

    def _is_as_seen(self) -> bool:
        """Tell whether nobody has committed anything since there was nothing to react to.

        A look is taken now and then even so.
        """
        if self._without_more is None or time.monotonic() >= self._looked_at + _POLL_SECONDS:
            return False
        return self._database.last_commit() == self._without_more

    def _look(self) -> "_Seen":
        """Look, in one short transaction, whether it is this reader's turn and for what."""
        with self._database.look() as connection:
            rows = fetch(connection, _ROW, self._who)
            # read before the transaction that reads the events: see there
            complete = events.last_complete(connection)
            if not rows:
                return _Seen(None, complete)
            noted, holder, until = rows[0]
            turn = _Turn(noted, holder, until, self._database.milliseconds(connection))
            # another process may have worked meanwhile
            is_own = turn.is_of(self._name) and self._read.noted == turn.noted
            last = self._read.last if is_own else turn.noted
            return _Seen(turn, complete, last, events.is_any_after(connection, last))

    def _events(self, seen: "_Seen") -> Sequence[Event]:
        if not seen.has_more:
            return ()
        with self._database.read() as connection:
            return events.after(connection, seen.last, until=seen.complete, at_most=_BATCH)

    @property
    def _who(self) -> dict[str, Any]:
        return {"who": self._whom.name, "me": self._name}

    def _introduce(self, complete: int | None) -> None:
        """Give the subscriber its row."""
        with self._database.write() as connection:
            last = 0
            if self._whom.begins == "next":
                there = connection.scalar(select(func.max(event.c.pk))) or 0
                last = there if complete is None else min(there, complete)
            connection.execute(_NEW, {**self._who, "last": last})

    def _take(self) -> None:
        """Take the lease; _LeaseLost where another process has it."""
        with self._database.write() as connection:
            now = self._database.milliseconds(connection)
            asked = {**self._who, "now": now, "end": now + LEASE}
            if connection.execute(_TAKE, asked).rowcount != 1:
                raise _LeaseLost

    def _react(self, before: int, found: Sequence[Event]) -> None:
        reaction = self._whom.react(found)
        last = found[-1].number if reaction.until is None else reaction.until
        if reaction.is_idle and time.monotonic() < self._noted + _NOTE_SECONDS:
            self._read = _Read(before, last)
        else:
            self._advance(before, last, reaction)
        reaction.committed()

    def _advance(self, before: int, last: int, reaction: Reaction) -> None:
        """Note all up to an event in one commit with what there is to write."""
        with self._database.write() as connection:
            end = self._database.milliseconds(connection) + LEASE
            asked = {**self._who, "before": before, "last": last, "end": end}
            if connection.execute(_ADVANCE, asked).rowcount != 1:
                raise _LeaseLost
            reaction.write(connection)
        self._noted = time.monotonic()
        self._read = _Read(last, last)

    def _note_failure(self, error: Exception) -> None:
        try:
            with self._database.write() as connection:
                now = self._database.milliseconds(connection)
                asked = {**self._who, "now": now, "why": type(error).__name__}
                connection.execute(_FAIL, asked)
        except DatabaseUnavailable as unavailable:
            _log.error("the failure was not noted", reason=str(unavailable))

    def _let_go(self) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(_LET_GO, self._who)
        except DatabaseUnavailable:
            return  # the lease ends by itself


def introduce(connection: Connection, name: str, last: int) -> None:
    """See to it that a subscriber is there, which else begins when a process first works for it.

    Where it is new, it begins after an event.
    """
    connection.execute(_NEW, {"who": name, "last": last})


@dataclass(frozen=True, slots=True)
class SubscriberState:
    """How far a subscriber is."""

    waiting: int
    """Events after the last one that it has reacted to, at most."""
    error: str | None
    """Why it fails now; None where it does not."""
    failed_at: int
    """In milliseconds since 1970; 0 where it does not fail."""


def states(connection: Connection) -> Mapping[str, SubscriberState]:
    """Return how far each subscriber is, by its name."""
    last = connection.scalar(select(func.max(event.c.pk))) or 0
    return {
        row.name: SubscriberState(max(last - row.last_event, 0), row.error, row.failed_at or 0)
        for row in connection.execute(select(subscriber))
    }
