"""The parts of messages that are sent in parts: each is on record until the last one comes.

A part is acknowledged once it is on record, in the state ``partial``. It waits for the part after
it by a key: who sends, what kind of message, and DSC-1. The latest part that waits by a key counts,
so a sender that starts anew is understood; one that waits longer than WAITS is not found any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from xds.database.access import Database
from xds.messaging import raw_messages, records
from xds.messaging.incoming import FilingOutcome, IncomingMessage
from xds.messaging.raw_messages import KeptMessage
from xds.messaging.records import AlreadyAccepted, MessageKeys, NewRecord
from xds.messaging.tables import message, message_fragment

WAITS: Final = 86_400_000
"""Milliseconds for which a part waits for the part after it."""
MOST_PARTS: Final = 1_000
"""Of one message."""
_ATTEMPTS: Final = 3

_F: Final = message_fragment.c
_AWAITING: Final = (
    select(_F.message)
    .where(
        _F.awaited == bindparam("key"),
        _F.message != bindparam("but"),
        _F.noted > bindparam("since"),
    )
    .order_by(_F.pk.desc())
    .limit(1)
)
_FOLLOWS: Final = select(_F.follows).where(_F.message == bindparam("id"))


class TooManyParts(Exception):
    """A message has more than MOST_PARTS parts."""


@dataclass(frozen=True, slots=True)
class MessageFragments:
    """The parts that are on record."""

    database: Database

    def before(self, incoming: IncomingMessage, follows: str) -> Sequence[str]:
        """Return the ids of the records of the parts before one, the first one first.

        Nothing where the part before it is not here, or has waited too long. TooManyParts.
        """
        with self.database.read() as connection:
            part = self._awaiting(connection, incoming, follows)
            found: list[str] = []
            while part is not None:
                found.append(part)
                if len(found) >= MOST_PARTS:
                    raise TooManyParts
                part = connection.scalar(_FOLLOWS, {"id": part})
        return found[::-1]

    def _awaiting(
        self, connection: Connection, incoming: IncomingMessage, pointer: str
    ) -> str | None:
        """Return the part that awaits one with a pointer; a repetition does not await itself."""
        before = records.replayed(connection, MessageKeys.of(incoming))
        asked = {
            "key": _key(incoming, pointer),
            "but": before.record_id if before else "",
            "since": self.database.milliseconds(connection) - WAITS,
        }
        found: str | None = connection.scalar(_AWAITING, asked)
        return found

    def keep(self, incoming: IncomingMessage, awaits: str, follows: str | None) -> FilingOutcome:
        """Put a part on record, and return what is told of it.

        ``awaits`` is its DSC-1, ``follows`` the id of the part before it. A part that comes again
        keeps its record, and awaits the next one anew. Raises as the database does.
        """
        keys = MessageKeys.of(incoming)
        for _ in range(_ATTEMPTS):
            with self.database.read() as connection:
                found = records.replayed(connection, keys)
            outcome = found or FilingOutcome(
                state="partial",
                record_id=str(uuid4()),
                decisions=("it is a part of a message, which is filed when the last part is here",),
            )
            kept = KeptMessage()
            if found is None:
                kept = raw_messages.keep(self.database, outcome.record_id, incoming)
            try:
                with self.database.write() as connection:
                    if found is None:
                        new = NewRecord(incoming=incoming, outcome=outcome, keys=keys)
                        records.write(self.database, connection, new, kept)
                    self._await(connection, outcome.record_id, _key(incoming, awaits), follows)
            except AlreadyAccepted:
                kept.drop(self.database, outcome.record_id)
                continue
            return outcome
        raise AlreadyAccepted

    def _await(self, connection: Connection, record_id: str, key: str, follows: str | None) -> None:
        connection.execute(delete(message_fragment).where(_F.message == record_id))
        row = {
            "message": record_id,
            "awaited": key,
            "follows": follows,
            "noted": self.database.milliseconds(connection),
        }
        connection.execute(insert(message_fragment), row)

    def forget(self, incoming: IncomingMessage, awaits: str) -> None:
        """Have nothing wait by a pointer any more: its sender has begun another message by it."""
        with self.database.write() as connection:
            key = _key(incoming, awaits)
            connection.execute(delete(message_fragment).where(_F.awaited == key))

    def join(self, ids: Sequence[str]) -> None:
        """Note that the whole is on record of which these are parts."""
        one_of_them = message.c.id == bindparam("part")
        joined = update(message).where(one_of_them, message.c.state == "partial")
        with self.database.write() as connection:
            connection.execute(joined.values(state="joined"), [{"part": one} for one in ids])


def remove_old(database: Database) -> None:
    """Remove what has waited too long; the parts themselves are kept as other messages are."""
    with database.write() as connection:
        before = database.milliseconds(connection) - WAITS
        connection.execute(delete(message_fragment).where(_F.noted <= before))


def _key(incoming: IncomingMessage, pointer: str) -> str:
    said = incoming.envelope
    assert said is not None
    parts = (incoming.feed, said.sending_application, said.sending_facility, said.code)
    return sha256("\x1f".join((*parts, said.trigger, pointer)).encode()).hexdigest()
