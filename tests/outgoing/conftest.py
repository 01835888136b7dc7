"""Fixtures and helpers of the tests of what goes out."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from tests.databases import Databases
from xds.database.access import Database
from xds.outgoing.delivery import Channel, Delivery, Limit, NewDelivery, Order, RetrySchedule
from xds.outgoing.dispatcher import Dispatcher
from xds.outgoing.queue import enqueue
from xds.outgoing.sending import DispatchLimits
from xds.outgoing.tables import delivery, delivery_arrival, delivery_target

QUICK: Final = RetrySchedule((0.02,))
NAME: Final = "test"


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def log() -> Iterator[object]:
    """What is logged, which is not rendered: tracebacks for a terminal take long."""
    with capture_logs() as entries:
        yield entries


def taken(_: Delivery) -> None:
    """Take whatever comes."""


@dataclass
class Target:
    """Where messages go in this process: what came, and how each is answered."""

    answer: Callable[[Delivery], None] = taken
    """Raises where a message is not taken."""
    came: list[Delivery] = field(default_factory=list)
    """What was offered, in its order."""
    took: list[Delivery] = field(default_factory=list)
    collisions: int = 0
    """How often messages of one target came at the same time."""
    _under_way: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, one: Delivery) -> None:
        """Send a message, as a channel does."""
        with self._lock:
            self.collisions += one.target in self._under_way
            self._under_way.add(one.target)
            self.came.append(one)
        try:
            self.answer(one)
            with self._lock:
                self.took.append(one)
        finally:
            with self._lock:
                self._under_way.discard(one.target)

    def channel(
        self,
        name: str = NAME,
        order: Order = "strict",
        limit: Limit | None = None,
        schedule: RetrySchedule = QUICK,
    ) -> Channel:
        """Return a channel that ends here."""
        return Channel(name=name, send=self.send, schedule=schedule, order=order, limit=limit)

    def of(self, target: str) -> list[str]:
        """Return the ids of what a target took."""
        return [one.id for one in list(self.took) if one.target == target]


@contextmanager
def dispatching(
    database: Database, *channels: Channel, processes: int = 1, limits: DispatchLimits | None = None
) -> Iterator[Sequence[Dispatcher]]:
    """Send for the length of a block, as so many processes would."""
    with ExitStack() as stack:
        running = [Dispatcher(database, channels, limits=limits) for _ in range(processes)]
        for one in running:
            one.start()
            stack.callback(one.close)
        yield running


def put(database: Database, *news: NewDelivery) -> None:
    with database.write() as connection:
        enqueue(database, connection, news)


def numbered(
    target: str, numbers: Iterable[int], *, address: str = "", channel: str = NAME
) -> list[NewDelivery]:
    """Return messages of a target whose ids are its name and their numbers."""
    return [
        NewDelivery(channel=channel, target=target, address=address, id=f"{target}/{number}")
        for number in numbers
    ]


def ids(target: str, numbers: Iterable[int]) -> list[str]:
    return [f"{target}/{number}" for number in numbers]


def is_empty(database: Database) -> bool:
    """Tell whether nothing is left of any message that waited, nor of its target."""
    with database.read() as connection:
        waiting = connection.execute(select(delivery.c.pk).where(delivery.c.dead_at.is_(None)))
        targets = connection.execute(select(delivery_target.c.target))
        arrivals = connection.execute(select(delivery_arrival.c.pk))
        return not (waiting.all() or targets.all() or arrivals.all())
