"""The record of messages that go out: which there are, and what became of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import choice
from typing import Any, Final
from zlib import crc32

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from xds.database.access import Database
from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.messaging.outbound.destination import ChangeToTell, Destination
from xds.messaging.outbound.tables import outbound_message, outbound_part, paused_destination
from xds.outgoing import queue
from xds.outgoing.delivery import NewDelivery

CHANNEL: Final = "message"
"""The channel of the delivery queue for messages that go out."""

_O: Final = outbound_message.c
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class OutboundState(StrEnum):
    """What has become of a message."""

    WAITING = "waiting"
    HELD = "held"
    """The destination is paused."""
    FAILED = "failed"
    """An attempt has failed, and another one will be made."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up; ``xds destinations retry`` tries again."""
    NOT_CHOSEN = "not chosen"
    """No rule of the destination holds."""
    OWN = "own"
    """The document came in a message of the destination itself."""
    SUPERSEDED = "superseded"
    """A newer message of the document says all that this one would."""
    DISCARDED = "discarded"
    """An operator has given it up for good, or another one is sent in its place."""


KNOWN_THERE: Final = frozenset({OutboundState.DELIVERED, OutboundState.OWN})
"""The states of messages whose document the destination has: it was sent there, or came from there.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """One row of the record."""

    id: str
    """MSH-10."""
    destination: str
    event: int
    change: ChangeToTell
    entry_uuid: str
    logical_id: str
    target: str
    state: OutboundState
    rule: str
    is_replay: bool
    created: int
    ended: int | None
    refusals: int
    answer: str
    reason: str
    said: str
    """What the receiver wrote beside its answer; it may tell of a patient."""
    corrects: str | None
    """The id of the message in whose place this one, which an operator has written, is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutbound:
    """A decision about to be recorded."""

    destination: Destination
    event: int
    change: ChangeToTell
    entry_uuid: str
    logical_id: str
    patient_id: str
    rule: str = ""
    state: OutboundState = OutboundState.WAITING
    is_replay: bool = False
    corrects: str | None = None
    lane: str = ""
    """Where it waits, if that is known."""
    id: str = field(default_factory=lambda: new_id())

    @property
    def target(self) -> str:
        """The lane in which it waits."""
        if self.lane:
            return self.lane
        match self.destination.order:
            case "destination":
                return f"{self.destination.name}/0"
            case "patient":
                key = self.patient_id
            case _:
                key = self.id
        return f"{self.destination.name}/{crc32(key.encode()) % self.destination.lanes}"


def new_id() -> str:
    """Return a new control id of 20 characters, as many as HL7 v2.3 allows."""
    return "".join(choice(_DIGITS) for _ in range(20))


def write(database: Database, connection: Connection, decided: Iterable[NewOutbound]) -> None:
    """Record decisions, and put the messages that are to go into the delivery queue."""
    now = database.milliseconds(connection)
    paused = set(connection.scalars(select(paused_destination.c.name)))
    rows, deliveries = [], []
    for one in decided:
        row = _row(one, now)
        if row["state"] == OutboundState.WAITING:
            if one.destination.name in paused:
                row["state"] = OutboundState.HELD
            else:
                deliveries.append(delivery_of(row["id"], row["target"], one.destination.address))
        rows.append(row)
    if rows:
        connection.execute(insert(outbound_message), rows)
        queue.enqueue(database, connection, deliveries)


def _row(one: NewOutbound, now: int) -> dict[str, Any]:
    ends = one.state is not OutboundState.WAITING
    return {
        "id": one.id,
        "destination": one.destination.name,
        "event": one.event,
        "change": one.change,
        "entry_uuid": one.entry_uuid,
        "logical_id": one.logical_id,
        "target": one.target,
        "state": one.state,
        "rule": one.rule,
        "is_replay": int(one.is_replay),
        "created": now,
        "ended": now if ends else None,
        "refusals": 0,
        "answer": "",
        "reason": "",
        "said": "",
        "corrects": one.corrects,
    }


def delivery_of(message_id: str, target: str, address: str) -> NewDelivery:
    """Return the delivery of a message; what is sent is read when it is sent."""
    return NewDelivery(
        channel=CHANNEL, target=target, address=address, id=f"{CHANNEL}.{message_id}"
    )


def message_id_of(delivery_id: str) -> str:
    """Return the message that a delivery of the channel is for."""
    return delivery_id.removeprefix(f"{CHANNEL}.")


def read(connection: Connection, message_id: str) -> OutboundMessage | None:
    """Return one message."""
    found = connection.execute(_BY_ID, {"wanted": message_id}).one_or_none()
    return None if found is None else _message(found)


_COLUMNS: Final = tuple(column for column in outbound_message.columns if column.name != "pk")
_BY_ID: Final = select(*_COLUMNS).where(_O.id == bindparam("wanted"))
_HELD: Final = (
    select(_O.destination, _O.logical_id, _O.rule)
    .where(
        one_of.named(_O.logical_id, "documents"),
        _O.state != OutboundState.NOT_CHOSEN,
        _O.state != OutboundState.SUPERSEDED,
        _O.state != OutboundState.DISCARDED,
        _O.change != "withdrawn",
    )
    .order_by(_O.pk)
)
_LAST_KNOWN: Final = (
    select(_O.change)
    .where(
        _O.logical_id == bindparam("document"),
        _O.destination == bindparam("to"),
        _O.state.in_(KNOWN_THERE),
    )
    .order_by(_O.pk.desc())
    .limit(1)
)
_STATES: Final = (
    select(_O.state)
    .where(_O.logical_id == bindparam("document"), _O.destination == bindparam("to"))
    .distinct()
)


def _message(row: Row[Any]) -> OutboundMessage:
    values = row._asdict()
    values["state"] = OutboundState(values["state"])
    values["is_replay"] = bool(values["is_replay"])
    return OutboundMessage(**values)


def messages(
    connection: Connection, *conditions: Any, most: int, start: int = 0
) -> list[OutboundMessage]:
    """Return the messages that meet conditions on the columns of the table, newest first."""
    query = select(*_COLUMNS).where(*conditions).order_by(_O.pk.desc()).limit(most).offset(start)
    return [_message(row) for row in connection.execute(query)]


def last_known(connection: Connection, destination: str, logical_id: str) -> str | None:
    """Return the last change of a document that a destination knows; None where it has none."""
    asked = {"document": logical_id, "to": destination}
    found: str | None = connection.scalar(_LAST_KNOWN, asked)
    return found


def states_of(connection: Connection, destination: str, logical_id: str) -> frozenset[str]:
    """Return what has become of the messages of a document for a destination."""
    asked = {"document": logical_id, "to": destination}
    return frozenset(connection.scalars(_STATES, asked))


def held(
    connection: Connection, logical_ids: Sequence[str]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield destinations that have a document, or will have it, with it, and by which rule."""
    if logical_ids:
        for name, logical_id, rule in fetch(connection, _HELD, {"documents": logical_ids}):
            yield (name, logical_id), rule


_ENDED: Final = (
    update(outbound_message)
    .where(_O.id == bindparam("wanted"))
    .values(state=bindparam("now_is"), ended=bindparam("at"), answer=bindparam("code"), reason="")
)
_FAILED: Final = (
    update(outbound_message)
    .where(
        _O.id == bindparam("wanted"),
        # of a destination that was paused meanwhile it is held, of one given up dead
        _O.state.in_((OutboundState.WAITING, OutboundState.FAILED)),
    )
    .values(
        state=OutboundState.FAILED,
        refusals=_O.refusals + bindparam("more"),
        reason=bindparam("why"),
        said=bindparam("text"),
    )
)
_DIED: Final = (
    update(outbound_message)
    .where(_O.id == bindparam("wanted"), _O.state != OutboundState.DISCARDED)
    .values(
        state=OutboundState.DEAD,
        ended=bindparam("at"),
        answer=bindparam("code"),
        reason=bindparam("why"),
        said=bindparam("text"),
    )
)


def note_ended(
    connection: Connection, ended: Sequence[tuple[str, OutboundState, str]], at: int
) -> None:
    """Note messages that are done with: id, state and acknowledgement code."""
    if ended:
        rows = [{"wanted": i, "now_is": s, "code": code, "at": at} for i, s, code in ended]
        connection.execute(_ENDED, rows)


def note_failed(
    connection: Connection, message_id: str, reason: str, said: str = "", *, refused: bool
) -> None:
    """Note an attempt after which there will be another one."""
    asked = {"wanted": message_id, "why": reason, "text": said, "more": int(refused)}
    connection.execute(_FAILED, asked)


def note_dead(
    connection: Connection, message_id: str, reason: str, code: str, at: int, said: str = ""
) -> None:
    """Note that a message was given up."""
    asked = {"wanted": message_id, "why": reason, "code": code, "at": at, "text": said}
    connection.execute(_DIED, asked)


_PIECE: Final = 1 << 20
_PARTS: Final = select(outbound_part.c.content).where(
    outbound_part.c.message == bindparam("id"), outbound_part.c.place == bindparam("place")
)


def write_parts(connection: Connection, message_id: str, blocks: Iterable[bytes]) -> None:
    """Keep a message that an operator has written."""
    held, place = b"", 0
    for block in blocks:
        held += block
        while len(held) >= _PIECE:
            _write_part(connection, message_id, place, held[:_PIECE])
            held, place = held[_PIECE:], place + 1
    _write_part(connection, message_id, place, held)


def _write_part(connection: Connection, message_id: str, place: int, content: bytes) -> None:
    row = {"message": message_id, "place": place, "content": content}
    connection.execute(insert(outbound_part), row)


@dataclass(frozen=True, slots=True)
class KeptOutbound:
    """The blocks of a message that an operator has written, from the beginning each time."""

    database: Database
    id: str

    def __iter__(self) -> Iterator[bytes]:
        place = 0
        while True:
            with self.database.read() as connection:
                piece = connection.scalar(_PARTS, {"id": self.id, "place": place})
            if piece is None:
                return
            yield bytes(piece)
            place += 1
