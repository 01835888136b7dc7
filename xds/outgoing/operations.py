"""What waits in the delivery queue and why, for metrics and for those who operate it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from xds.database.access import Database, announce, retrying
from xds.outgoing.delivery import host_of
from xds.outgoing.queue import TOPIC
from xds.outgoing.tables import delivery, delivery_arrival, delivery_body, delivery_target

_D: Final = delivery.c
_T: Final = delivery_target.c
_WAITS: Final = _D.dead_at.is_(None)
_IS_DEAD: Final = _D.dead_at.is_not(None)
# of columns of one index: what waits may be a million rows, each with its body
_WAITING: Final = (
    select(_D.channel, func.count().label("number"), func.min(_D.pk).label("first"))
    .where(_WAITS)
    .group_by(_D.channel)
)
_DEAD: Final = select(_D.channel, func.count().label("number")).where(_IS_DEAD).group_by(_D.channel)
_FAILING: Final = (
    select(_T.channel, _T.error, func.count().label("number"), func.max(_T.failed_at).label("last"))
    .where(_T.attempts > 0)
    .group_by(_T.channel, _T.error)
)


@dataclass(frozen=True, slots=True)
class DeliverySelection:
    """Some of what is in the queue; what is None is not looked at."""

    channel: str | None = None
    target: str | None = None
    """With what has stepped aside of it."""
    id: str | None = None

    def of(self, table: Table) -> ColumnElement[bool]:
        """Return the condition on a table with channel and target, and perhaps an id."""
        conditions: list[ColumnElement[bool]] = [true()]
        if self.channel is not None:
            conditions.append(table.c.channel == self.channel)
        if self.target is not None:
            aside = table.c.target.startswith(f"{self.target} ", autoescape=True)
            conditions.append(or_(table.c.target == self.target, aside))
        if self.id is not None:
            conditions.append(delivery.c.id == self.id)
        return and_(*conditions)


EVERYTHING: Final = DeliverySelection()


@dataclass(frozen=True, slots=True)
class WaitingTarget:
    """A target with messages that wait. Times are milliseconds since 1970."""

    channel: str
    target: str
    waiting: int
    oldest: int
    """When the first of them was accepted."""
    next: str
    """The id of the first."""
    attempts: int
    """Failures since a message was delivered."""
    due: int | None
    """When it is tried again; None where nobody has looked at it yet."""
    is_taken: bool
    """Whether a process is sending to it."""
    error: str | None
    failed_since: int | None


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """A message that was given up. Times are milliseconds since 1970."""

    id: str
    channel: str
    target: str
    accepted: int
    dead_at: int
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What waits of a channel. Times are milliseconds since 1970."""

    waiting: int = 0
    oldest: int = 0
    """When the first was accepted; 0 where none waits."""
    dead: int = 0


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How many messages of a selection wait, and how many were given up."""

    waiting: int
    dead: int


@dataclass(frozen=True, slots=True)
class Failing:
    """Targets of a channel that fail for one reason."""

    channel: str
    error: str
    targets: int
    last: int
    """When one failed last, in milliseconds since 1970."""


def states(connection: Connection) -> Mapping[str, ChannelState]:
    """Return what waits of each channel of which anything is in the queue."""
    dead = {row.channel: row.number for row in connection.execute(_DEAD)}
    found = {channel: ChannelState(dead=number) for channel, number in dead.items()}
    for row in connection.execute(_WAITING):
        oldest = connection.scalar(select(_D.accepted).where(_D.pk == row.first))
        found[row.channel] = ChannelState(row.number, oldest or 0, dead.get(row.channel, 0))
    return found


def failing(connection: Connection) -> list[Failing]:
    """Return why targets fail now, and how many."""
    return [Failing(*row) for row in connection.execute(_FAILING)]


def waiting(
    connection: Connection, selection: DeliverySelection, most: int, start: int = 0
) -> list[WaitingTarget]:
    """Return targets with messages that wait, those that wait longest first, from a number on."""
    heads = (
        select(_D.channel, _D.target, func.count().label("number"), func.min(_D.pk).label("first"))
        .where(_WAITS, selection.of(delivery))
        .group_by(_D.channel, _D.target)
        .subquery()
    )
    target_of = and_(_T.channel == heads.c.channel, _T.target == heads.c.target)
    query = (
        select(
            heads.c.channel,
            heads.c.target,
            heads.c.number,
            _D.accepted,
            _D.id,
            func.coalesce(_T.attempts, 0),
            _T.due,
            _T.holder.is_not(None),
            _T.error,
            _T.failed_since,
        )
        .select_from(
            heads.join(delivery, _D.pk == heads.c.first).outerjoin(delivery_target, target_of)
        )
        .order_by(heads.c.first)
        .limit(most)
        .offset(start)
    )
    return [WaitingTarget(*row) for row in connection.execute(query)]


def dead(
    connection: Connection, selection: DeliverySelection, most: int, start: int = 0
) -> list[DeadDelivery]:
    """Return messages that were given up, those given up first at the beginning."""
    columns = (_D.id, _D.channel, _D.target, _D.accepted, _D.dead_at, _D.attempts, _D.error)
    query = select(*columns).where(_IS_DEAD, selection.of(delivery)).order_by(_D.dead_at, _D.pk)
    return [DeadDelivery(*row) for row in connection.execute(query.limit(most).offset(start))]


def counted(connection: Connection, selection: DeliverySelection) -> QueueCount:
    """Return how much of the queue is meant by a selection."""
    chosen = selection.of(delivery)
    waits = select(func.count()).where(_WAITS, chosen)
    gone = select(func.count()).where(_IS_DEAD, chosen)
    return QueueCount(connection.scalar(waits) or 0, connection.scalar(gone) or 0)


def retry(
    database: Database, connection: Connection, selection: DeliverySelection
) -> tuple[int, int]:
    """Have what waits tried now, and what was given up again, as if it had just been accepted.

    Returns how many targets and how many messages that were given up.
    """
    now = database.milliseconds(connection)
    of_targets = selection.of(delivery_target) if selection.id is None else _target_of(selection)
    waits = update(delivery_target).where(_T.holder.is_(None), of_targets).values(due=now)
    targets: int = connection.execute(waits).rowcount
    chosen = select(_D.channel, _D.target, _D.address).where(_IS_DEAD, selection.of(delivery))
    rows = connection.execute(chosen.distinct()).all()
    revived = (
        update(delivery)
        .where(_IS_DEAD, selection.of(delivery))
        .values(dead_at=None, attempts=0, error=None, accepted=now)
    )
    messages: int = connection.execute(revived).rowcount
    if rows:
        arrivals = [{"channel": c, "target": t, "host": host_of(c, t, a)} for c, t, a in rows]
        connection.execute(insert(delivery_arrival), arrivals)
    announce(connection, TOPIC)
    return targets, messages


@retrying
def retry_now(database: Database, selection: DeliverySelection) -> tuple[int, int]:
    """Do :func:`retry` in a transaction of its own; DatabaseUnavailable."""
    with database.write() as connection:
        return retry(database, connection, selection)


def drop(
    database: Database, connection: Connection, selection: DeliverySelection, *, only_dead: bool
) -> int:
    """Remove messages for good; return how many. What a process is sending may still arrive."""
    chosen = and_(selection.of(delivery), _IS_DEAD if only_dead else true())
    bodies = select(_D.id).where(chosen, _D.parts > 0)
    connection.execute(delete(delivery_body).where(delivery_body.c.delivery.in_(bodies)))
    if not only_dead:  # a dispatcher finds what is left of them, and removes the others
        now = database.milliseconds(connection)
        connection.execute(
            update(delivery_target)
            .where(_T.holder.is_(None), _target_of(selection))
            .values(due=now, attempts=0, failed_since=None, failed_at=None, error=None)
        )
    removed: int = connection.execute(delete(delivery).where(chosen)).rowcount
    announce(connection, TOPIC)
    return removed


@retrying
def drop_now(database: Database, selection: DeliverySelection, *, only_dead: bool) -> int:
    """Do :func:`drop` in a transaction of its own; DatabaseUnavailable."""
    with database.write() as connection:
        return drop(database, connection, selection, only_dead=only_dead)


@retrying
def drop_counted(
    database: Database, selection: DeliverySelection, confirmed: str, *, only_dead: bool
) -> tuple[int, int | None]:
    """Do :func:`drop` if that many messages were confirmed; DatabaseUnavailable.

    Returns how many there are, and how many were removed: None where others were confirmed.
    """
    with database.write() as connection:
        now = counted(connection, selection)
        number = now.dead + (0 if only_dead else now.waiting)
        if not number or confirmed != str(number):
            return number, None
        return number, drop(database, connection, selection, only_dead=only_dead)


def _target_of(selection: DeliverySelection) -> Any:
    """Return the condition on the targets of messages that wait."""
    chosen = select(_D.pk).where(
        _D.channel == _T.channel, _D.target == _T.target, _WAITS, selection.of(delivery)
    )
    return chosen.exists()
