"""Notifications of subscriptions by their numbers, and those of them that are in the queue.

The delivery queue has but a window of what a subscription is to be told; the rest waits in the
table of notifications. So a target that is away for weeks costs a row for each notification, and
pausing or replaying costs no more than a window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection

from xds.database.access import Database
from xds.notification.model import NotificationKind, SubscriptionState
from xds.outgoing import operations, queue
from xds.outgoing.delivery import NewDelivery
from xds.outgoing.operations import DeliverySelection

WINDOW: Final = 1_000
"""Notifications of a subscription that are in the queue at most."""
_LOW: Final = WINDOW // 2


@dataclass(frozen=True, slots=True)
class QueuedNotification:
    """What a delivery of the queue is, as its id says."""

    subscription: int
    """The key: ids of deliveries stand in logs, and whoever knows a subscription's id may end it.
    """
    round: int
    kind: NotificationKind
    number: int
    """Of an EVENT; else 0."""
    unique: str = ""
    """What tells one from another of a kind, and an event that is sent once more."""

    @property
    def moves(self) -> bool:
        """Whether the subscription has been told all up to its number once it is taken."""
        return self.kind is NotificationKind.EVENT and not self.unique

    @property
    def id(self) -> str:
        """The id of the delivery."""
        what = str(self.number) if self.kind is NotificationKind.EVENT else self.kind.value
        parts = (str(self.subscription), str(self.round), what, self.unique)
        return ".".join(part for part in parts if part)

    @classmethod
    def read(cls, delivery_id: str) -> "QueuedNotification":
        """Read the id of a delivery."""
        subscription, number_of_round, what, *unique = delivery_id.split(".")
        told = (int(subscription), int(number_of_round))
        if what.isdecimal():
            return cls(*told, NotificationKind.EVENT, int(what), *unique)
        return cls(*told, NotificationKind(what), 0, *unique)


def deliveries(row: Any, numbers: Iterable[int]) -> list[NewDelivery]:
    """Return events of a subscription as they are put into the queue."""
    return [_delivery(row, number=number) for number in numbers]


def put_other(
    database: Database, connection: Connection, row: Any, kind: NotificationKind, round_: int
) -> None:
    """Put into the queue what is no event."""
    new = _delivery(row, kind=kind, round_=round_, unique=uuid4().hex)
    queue.enqueue(database, connection, [new])


def put_again(database: Database, connection: Connection, row: Any, numbers: Iterable[int]) -> None:
    """Put events into the queue once more, after what waits there."""
    unique = uuid4().hex
    news = [_delivery(row, number=number, unique=unique) for number in numbers]
    queue.enqueue(database, connection, news)


def _delivery(
    row: Any,
    *,
    number: int = 0,
    kind: NotificationKind = NotificationKind.EVENT,
    round_: int | None = None,
    unique: str = "",
) -> NewDelivery:
    of_round = row.round if round_ is None else round_
    what = QueuedNotification(row.pk, of_round, kind, number, unique)
    return NewDelivery(channel=row.protocol, target=str(row.pk), address=row.address, id=what.id)


def fits(row: Any, *, numbered: int) -> int:
    """Return the number up to which notifications of a subscription may be in the queue."""
    if not row.address or row.state not in (SubscriptionState.ACTIVE, SubscriptionState.ERROR):
        return int(row.queued)
    return int(max(min(numbered, row.delivered + WINDOW), row.queued))


def refilled(
    database: Database, connection: Connection, row: Any, now: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Put into the queue what has room there, and return the columns that change by it.

    ``now`` are columns of the row that have been changed and not written yet.
    """
    current = CurrentRow(row, now)
    if current.queued - current.delivered > _LOW:
        return now
    last = fits(current, numbered=current.numbered)
    queue.enqueue(database, connection, deliveries(current, range(current.queued + 1, last + 1)))
    return {**now, "queued": last}


class CurrentRow:
    """A row with columns that have been changed since it was read."""

    def __init__(self, row: Any, now: Mapping[str, Any]) -> None:
        self._row = row
        self._now = now

    def _asdict(self) -> Mapping[str, Any]:
        return {**self._row._asdict(), **self._now}

    def __getattr__(self, name: str) -> Any:
        return self._now[name] if name in self._now else getattr(self._row, name)


def withdraw(database: Database, connection: Connection, row: Any) -> None:
    """Take what waits for a subscription's target out of the queue; and have it tried anew."""
    selection = DeliverySelection(row.protocol, str(row.pk))
    operations.drop(database, connection, selection, only_dead=False)
