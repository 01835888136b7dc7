"""What destinations are told and how they fare, and what an operator can do about it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    Connection,
    and_,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)

from xds.database.access import Database, retrying
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.messaging.outbound import matching, records
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.records import (
    CHANNEL,
    NewOutbound,
    OutboundMessage,
    OutboundState,
    delivery_of,
)
from xds.messaging.outbound.tables import outbound_message, paused_destination
from xds.outgoing import operations, queue
from xds.outgoing.operations import DeliverySelection
from xds.registry import events

_O: Final = outbound_message.c
_P: Final = paused_destination.c
_BATCH: Final = 200
_WAITING: Final = (OutboundState.WAITING, OutboundState.FAILED)
_OPEN: Final = (*_WAITING, OutboundState.HELD)
# as the index of these rows has it: with parameters in its place no database knows that it fits
_IS_OPEN: Final = _O.state.in_(
    [literal_column(f"'{one}'") for one in ("waiting", "held", "failed", "dead")]
)
MOST_COUNTED: Final = 1_000
MOST_OPEN: Final = 10_000
"""Up to which the messages of a destination in one state are counted where that is to be cheap."""
_IN_INDEX: Final = "state IN ('waiting', 'held', 'failed', 'dead')"
_NEXT: Final = text(
    f"SELECT min(destination) FROM outbound_message WHERE {_IN_INDEX} AND destination > :after"
)
_UP_TO: Final = text(
    f"SELECT count(*) FROM (SELECT 1 AS one FROM outbound_message WHERE {_IN_INDEX} "
    "AND destination = :name AND state = :state LIMIT :most) AS counted"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationHealth:
    """How one destination fares. Times are milliseconds since 1970; None where there is none."""

    name: str
    address: str
    state: str
    """``sending``, ``failing``, ``paused``, or ``removed`` where the options name it no more."""
    waiting: int
    oldest: int | None
    """When the first message that waits was recorded."""
    dead: int
    delivered: int
    """Of those that are kept in the record."""
    last_delivered: int | None
    error: str
    """Why the last attempt at the first message that waits has failed."""


def health(
    connection: Connection, destinations: Iterable[Destination], *, with_delivered: bool = True
) -> list[DestinationHealth]:
    """Return how destinations fare, those that messages wait for longest first.

    ``with_delivered`` looks at the whole record. Else that is left out, messages of one state are
    counted up to :data:`MOST_OPEN`, and it is cheap.
    """
    known = {one.name: one.address for one in destinations}
    counts = _counts(connection) if with_delivered else _open_counts(connection)
    paused = set(connection.scalars(select(_P.name)))
    last: dict[str, int] = {}
    if with_delivered:
        last = {row[0]: row[1] for row in connection.execute(_LAST)}
    names = dict.fromkeys([*known, *(name for name, _ in counts), *paused])
    found = []
    for name in names:
        oldest, error = _first(connection, name)
        waiting = sum(counts[name, state] for state in _OPEN)
        state = "failing" if error else "sending"
        state = "paused" if name in paused else state if name in known else "removed"
        found.append(
            DestinationHealth(
                name=name,
                address=known.get(name, ""),
                state=state,
                waiting=waiting,
                oldest=oldest,
                dead=counts[name, OutboundState.DEAD],
                delivered=counts[name, OutboundState.DELIVERED],
                last_delivered=last.get(name),
                error=error,
            )
        )
    return sorted(found, key=lambda one: (one.oldest is None, one.oldest or 0))


_LAST: Final = (
    select(_O.destination, func.max(_O.ended))
    .where(_O.state == OutboundState.DELIVERED)
    .group_by(_O.destination)
)


def _counts(connection: Connection) -> Counter[tuple[str, str]]:
    query = select(_O.destination, _O.state, func.count()).group_by(_O.destination, _O.state)
    found: Counter[tuple[str, str]] = Counter()
    for name, state, number in connection.execute(query):
        found[name, state] = number
    return found


def _open_counts(connection: Connection) -> Counter[tuple[str, str]]:
    """Return how many messages of each destination are in which state, each up to a number."""
    found: Counter[tuple[str, str]] = Counter()
    name: str | None = connection.scalar(_NEXT, {"after": ""})
    while name is not None:
        for state in (*_OPEN, OutboundState.DEAD):
            bound = {"name": name, "state": str(state), "most": MOST_OPEN}
            found[name, state] = connection.scalar(_UP_TO, bound) or 0
        name = connection.scalar(_NEXT, {"after": name})
    return found


def _first(connection: Connection, name: str) -> tuple[int | None, str]:
    """Return since when messages wait for a destination, and why the first one does."""
    firsts: dict[str, int] = {}
    for state in _OPEN:  # one at a time, so that each is the beginning of a part of the index
        of_state = and_(_O.destination == name, _IS_OPEN, _O.state == state)
        if first := connection.scalar(select(func.min(_O.pk)).where(of_state)):
            firsts[state] = first
    if not firsts:
        return None, ""
    oldest = connection.scalar(select(_O.created).where(_O.pk == min(firsts.values())))
    failed = firsts.get(OutboundState.FAILED)
    error = failed and connection.scalar(select(_O.reason).where(_O.pk == failed))
    return oldest, error or ""


@dataclass(frozen=True, slots=True)
class DestinationRate:
    """What went to a destination lately: of its last :data:`MOST_COUNTED` records alone."""

    delivered: int
    last_delivered: int | None
    """When something was taken last, in milliseconds since 1970."""


def rate(connection: Connection, name: str, since: int) -> DestinationRate:
    """Return what a destination has taken since a time (milliseconds since 1970)."""
    last = select(_O.state, _O.ended).where(_O.destination == name)
    last = last.order_by(_O.pk.desc()).limit(MOST_COUNTED)
    rows = connection.execute(last)
    ended = [row.ended for row in rows if row.state == OutboundState.DELIVERED and row.ended]
    return DestinationRate(sum(one >= since for one in ended), max(ended, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundSelection:
    """Some of the record; what is None is not looked at."""

    destination: str | None = None
    document: str | None = None
    """An entryUUID, or the logicalID of a document."""
    state: OutboundState | None = None
    id: str | None = None

    @property
    def conditions(self) -> Sequence[Any]:
        """What the rows meet."""
        found: list[Any] = []
        if self.destination is not None:
            found.append(_O.destination == self.destination)
        if self.document is not None:
            found.append(or_(_O.entry_uuid == self.document, _O.logical_id == self.document))
        if self.state is not None:
            found.append(_O.state == self.state)
            if self.state in (*_OPEN, OutboundState.DEAD):
                found.append(_IS_OPEN)
        if self.id is not None:
            found.append(_O.id == self.id)
        return found


def number(connection: Connection, selection: OutboundSelection) -> int:
    """Return how many messages there are."""
    return connection.scalar(select(func.count()).where(*selection.conditions)) or 0


def messages(
    connection: Connection, selection: OutboundSelection, most: int, start: int = 0
) -> list[OutboundMessage]:
    """Return messages, newest first, from a number on."""
    return records.messages(connection, *selection.conditions, most=most, start=start)


@retrying
def pause(database: Database, name: str) -> int:
    """Send nothing to a destination until it is resumed; return how many messages are held.

    A message that is under way may still arrive.
    """
    with database.write() as connection:
        now = database.milliseconds(connection)
        known = connection.scalar(select(_P.name).where(_P.name == name))
        if known is None:
            connection.execute(insert(paused_destination), {"name": name, "since": now})
        waits = and_(_O.destination == name, _O.state.in_(_WAITING))
        for target in connection.scalars(select(_O.target).where(waits).distinct()).all():
            selection = DeliverySelection(CHANNEL, target)
            operations.drop(database, connection, selection, only_dead=False)
        held = update(outbound_message).where(waits).values(state=OutboundState.HELD)
        return connection.execute(held).rowcount


@retrying
def resume(database: Database, destination: Destination) -> int:
    """Send what was held, in its order, and go on; return how many messages there are."""
    is_held = and_(_O.destination == destination.name, _O.state == OutboundState.HELD)
    with database.write() as connection:
        connection.execute(delete(paused_destination).where(_P.name == destination.name))
        rows = connection.execute(select(_O.id, _O.target).where(is_held).order_by(_O.pk)).all()
        connection.execute(
            update(outbound_message).where(is_held).values(state=OutboundState.WAITING)
        )
        again = (delivery_of(row.id, row.target, destination.address) for row in rows)
        queue.enqueue(database, connection, again)
        return len(rows)


@retrying
def retry(database: Database, destination: Destination, message_id: str | None = None) -> int:
    """Send messages of a destination again that were given up; return how many.

    Where it is paused they are held with the others.
    """
    selection = OutboundSelection(
        destination=destination.name, state=OutboundState.DEAD, id=message_id
    )
    chosen = and_(*selection.conditions)
    with database.write() as connection:
        rows = connection.execute(select(_O.id, _O.target).where(chosen).order_by(_O.pk)).all()
        paused = select(_P.name).where(_P.name == destination.name)
        is_paused = connection.scalar(paused) is not None
        for row in rows:
            delivery = delivery_of(row.id, row.target, destination.address)
            old = DeliverySelection(CHANNEL, id=delivery.id)
            operations.drop(database, connection, old, only_dead=True)
            if not is_paused:
                queue.enqueue(database, connection, [delivery])
        state = OutboundState.HELD if is_paused else OutboundState.WAITING
        again = update(outbound_message).where(chosen)
        connection.execute(again.values(state=state, refusals=0, ended=None))
        return len(rows)


@retrying
def discard(database: Database, selection: OutboundSelection, why: str) -> int:
    """Give messages up for good that are not delivered; return how many."""
    with database.write() as connection:
        return _discard(database, connection, [*selection.conditions], why)


def _discard(database: Database, connection: Connection, chosen: list[Any], why: str) -> int:
    conditions = and_(*chosen, _O.state.in_((*_OPEN, OutboundState.DEAD)))
    for message_id in connection.scalars(select(_O.id).where(conditions)).all():
        old = DeliverySelection(CHANNEL, id=delivery_of(message_id, "", "").id)
        operations.drop(database, connection, old, only_dead=False)
    gone = update(outbound_message).where(conditions)
    now = database.milliseconds(connection)
    values = {"state": OutboundState.DISCARDED, "reason": why, "ended": now}
    return connection.execute(gone.values(values)).rowcount


@retrying
def resend(database: Database, destination: Destination, message: OutboundMessage) -> str:
    """Send what a message tells in a new one; return its control id."""
    again = _again(destination, message)
    with database.write() as connection:
        records.write(database, connection, [again])
        _discard(database, connection, [_O.id == message.id], f"sent again as {again.id}")
    return again.id


@retrying
def correct(
    database: Database,
    destination: Destination,
    message: OutboundMessage,
    content: SpooledMessage,
    why: str,
) -> str:
    """Send what an operator has written in the place of a message; return its control id.

    That becomes MSH-10 of it. Unreadable where it is no message of HL7 v2.
    """
    again = replace(_again(destination, message), corrects=message.id)
    header = Message.read(content).header
    place = header.place(10)
    if place is None:
        raise Unreadable("MSH has no field 10")
    with database.write() as connection:
        records.write(database, connection, [again])
        blocks = chain(content.blocks(0, place[0]), [again.id.encode()], content.blocks(place[1]))
        records.write_parts(connection, again.id, blocks)
        told = f"corrected as {again.id}: {why}"
        _discard(database, connection, [_O.id == message.id], told)
    return again.id


def _again(destination: Destination, message: OutboundMessage) -> NewOutbound:
    # the lane is that of the message, whose patient the record does not name
    return NewOutbound(
        destination=destination,
        event=message.event,
        change=message.change,
        entry_uuid=message.entry_uuid,
        logical_id=message.logical_id,
        patient_id="",
        lane=message.target,
        rule=message.rule,
        is_replay=True,
    )


def decisions(
    connection: Connection, destination: Destination, since: str
) -> Iterator[NewOutbound]:
    """Yield what the rules of a destination decide now about the events since a time (DTM)."""
    number = events.last_before(connection, since)
    until = events.last_seen(connection)
    while found := events.after(connection, number, until=until, at_most=_BATCH):
        yield from matching.decisions(connection, [destination], found, is_replay=True)
        number = found[-1].number


def replay(database: Database, destination: Destination, since: str) -> int:
    """Tell a destination again of all that its rules choose since a time (DTM).

    The messages are new ones, with control ids of their own. Returns how many there are.
    """
    with database.read() as connection:
        chosen = [
            one
            for one in decisions(connection, destination, since)
            if one.state is OutboundState.WAITING
        ]
    for start in range(0, len(chosen), _BATCH):
        with database.write() as connection:
            records.write(database, connection, chosen[start : start + _BATCH])
    return len(chosen)


@dataclass(frozen=True, slots=True)
class WaitingMessages:
    """What a destination has not taken. Times are milliseconds since 1970."""

    waiting: int = 0
    oldest: int = 0
    """When the first was recorded; 0 where none waits."""
    dead: int = 0


_NOT_TAKEN: Final = (
    select(_O.destination, _O.state, func.count().label("number"), func.min(_O.pk))
    .where(_IS_OPEN)
    .group_by(_O.destination, _O.state)
)


def not_taken(connection: Connection, *, whole: bool = True) -> Mapping[str, WaitingMessages]:
    """Return what each destination has not taken, where there is anything.

    Unless ``whole``, messages of one state are counted up to :data:`MOST_OPEN`, and it is cheap.
    """
    if not whole:
        counts = _open_counts(connection)
        return {
            name: WaitingMessages(
                sum(counts[name, state] for state in _OPEN),
                _first(connection, name)[0] or 0,
                counts[name, OutboundState.DEAD],
            )
            for name in dict.fromkeys(name for name, _ in counts)
        }
    found: dict[str, WaitingMessages] = {}
    for name, state, number, first in connection.execute(_NOT_TAKEN).all():
        one = found.get(name, WaitingMessages())
        if state == OutboundState.DEAD:
            found[name] = replace(one, dead=number)
        else:
            oldest = connection.scalar(select(_O.created).where(_O.pk == first)) or 0
            oldest = min(oldest, one.oldest or oldest)
            found[name] = replace(one, waiting=one.waiting + number, oldest=oldest)
    return found
