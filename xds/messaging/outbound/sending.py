"""Sending messages: a channel of the delivery queue, by MLLP, MLLPS or HTTP.

A delivery says no more than which message it is. What is sent is read and built at each attempt,
under the same control id, so that a receiver can tell a repetition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from xds.audit import table, trail
from xds.audit.record import AuditRecord
from xds.config import Config
from xds.database.access import Database
from xds.messaging.outbound import destinations_file, records
from xds.messaging.outbound.answers import AnswerVerdict, JudgedAnswer
from xds.messaging.outbound.building import MessageToSend
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.documents import DocumentsToSend, NotToBeSent
from xds.messaging.outbound.exchanging import DestinationWire, MessageOnTheWire
from xds.messaging.outbound.records import CHANNEL, OutboundMessage, OutboundState
from xds.messaging.outbound.syntax import HL7V2, MessageSyntax
from xds.metadata import datatypes
from xds.metadata.catalogue import CARD_7, LAB_3
from xds.metadata.objects import DocumentEntry
from xds.outgoing.delivery import (
    Channel,
    Delivery,
    NotDelivered,
    RetrySchedule,
    TargetOutcome,
    Undeliverable,
)
from xds.security.details import NotificationDetails, RemovedObject
from xds.tls import contexts

SCHEDULE: Final = RetrySchedule((5, 15, 60, 300, 900))
"""Seconds between attempts; the last one goes on."""


def channel(config: Config, database: Database, *, fhir: MessageSyntax) -> Channel | None:
    """Return the channel of messages; None where the options have no destinations.

    ``fhir`` is how FHIR messages are written, which rooms above know.
    """
    if config.destinations is None:
        return None
    destinations = destinations_file.read(config.destinations)
    sender = MessageSender(
        database=database,
        destinations={one.name: one for one in destinations},
        documents=DocumentsToSend.open(config),
        wire=DestinationWire(contexts.outgoing(config)),
        fhir=fhir,
        is_audited=config.audit == "on",
    )
    return sender.channel()


@dataclass(frozen=True, slots=True)
class _EndedMessage:
    """A message that is done with."""

    state: OutboundState
    code: str = ""
    """The acknowledgement."""
    entry: DocumentEntry | None = None
    """What it told of, where it was delivered."""
    destination: Destination | None = None


class _GivenUp(Undeliverable):
    """The receiver does not take the message, and another attempt would change nothing."""

    def __init__(self, answer: JudgedAnswer) -> None:
        super().__init__(answer.reason)
        self.code = answer.code


@dataclass(slots=True)
class MessageSender:
    """Sends the messages of all destinations, for one process."""

    database: Database
    destinations: Mapping[str, Destination]
    documents: DocumentsToSend
    wire: DestinationWire
    fhir: MessageSyntax
    """How FHIR messages are written."""
    is_audited: bool = False
    _ended: dict[str, _EndedMessage] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _noted: set[str] = field(default_factory=set)
    """The messages that were noted last, in a commit that may have failed."""

    def channel(self) -> Channel:
        """Return the channel of the delivery queue."""
        return Channel(
            name=CHANNEL, send=self.send, schedule=SCHEDULE, order="strict", note=self.note
        )

    def send(self, delivery: Delivery) -> None:
        """Send a message once; NotDelivered, Undeliverable."""
        message_id = records.message_id_of(delivery.id)
        self._ended.pop(message_id, None)
        self._refused.discard(message_id)
        try:
            self._ended[message_id] = self._sent(delivery, message_id)
        except NotToBeSent:
            self._ended[message_id] = _EndedMessage(OutboundState.SUPERSEDED)
        except Undeliverable as error:
            code = error.code if isinstance(error, _GivenUp) else ""
            self._ended[message_id] = _EndedMessage(OutboundState.DEAD, code)
            raise

    def _sent(self, delivery: Delivery, message_id: str) -> _EndedMessage:
        """Send a message and return what has become of it; NotToBeSent where it says nothing."""
        with self.database.read() as connection:
            message = records.read(connection, message_id)
            if message is None:
                raise Undeliverable("the message is not recorded any more")
            destination = self.destinations.get(message.destination)
            if destination is None:
                raise Undeliverable("the options name the destination no more")
            document = self.documents.read(connection, destination, message)
        to_send = MessageToSend(id=message_id, now=datatypes.now())
        syntax = self.fhir if destination.form.message == "FHIR" else HL7V2
        blocks = syntax.write(destination, to_send, document)
        on_wire = MessageOnTheWire(
            id=message_id, lane=delivery.target, blocks=blocks, syntax=syntax
        )
        answer = self.wire.exchange(destination, on_wire)
        self._heed(destination, message, answer)
        return _EndedMessage(OutboundState.DELIVERED, answer.code, document.entry, destination)

    def _heed(
        self, destination: Destination, message: OutboundMessage, answer: JudgedAnswer
    ) -> None:
        """Do what an answer asks for; NotDelivered, Undeliverable where it is not taken."""
        match answer.verdict:
            case AnswerVerdict.DELIVERED:
                return
            case AnswerVerdict.NOT_OURS:
                raise NotDelivered(answer.reason, retry_after=answer.retry_after)
            case AnswerVerdict.TRY_AGAIN if message.refusals + 1 < destination.refusals:
                self._refused.add(message.id)
                raise NotDelivered(answer.reason, refused=True, retry_after=answer.retry_after)
            case _:
                raise _GivenUp(answer)

    def note(self, connection: Connection, now: int, outcomes: Sequence[TargetOutcome]) -> None:
        """Record what has become of messages."""
        delivered = [records.message_id_of(one.id) for each in outcomes for one in each.delivered]
        failed = {
            records.message_id_of(one.failed.id): one.failed.reason
            for one in outcomes
            if one.failed is not None
        }
        self._forget({*delivered, *failed})
        for message_id, reason in failed.items():
            self._note_failed(connection, now, message_id, reason)
        unknown = _EndedMessage(OutboundState.DELIVERED)
        ended = {one: self._ended.get(one, unknown) for one in delivered}
        noted = [(message_id, one.state, one.code) for message_id, one in ended.items()]
        records.note_ended(connection, noted, now)
        if self.is_audited:
            table.insert(connection, [one.json() for one in _audited(ended.values())])

    def _note_failed(self, connection: Connection, now: int, message_id: str, reason: str) -> None:
        if dead := self._ended.get(message_id):
            records.note_dead(connection, message_id, reason, dead.code, now)
        else:
            refused = message_id in self._refused
            records.note_failed(connection, message_id, reason, refused=refused)

    def _forget(self, told: set[str]) -> None:
        """Forget what was noted last, but for what is noted again: that commit has failed."""
        for message_id in self._noted - told:
            self._ended.pop(message_id, None)
            self._refused.discard(message_id)
        self._noted = told


def _audited(ended: Iterable[_EndedMessage]) -> Iterator[AuditRecord]:
    """Yield the records of the documents that were given to destinations."""
    for one in ended:
        if one.entry is None or one.destination is None:
            continue
        entry, destination = one.entry, one.destination
        told = RemovedObject(entry.id, entry.KIND, entry.object_type, entry.patient_id)
        transaction = LAB_3 if destination.form.message == "ORU" else CARD_7
        details = NotificationDetails((told,))
        yield from trail.of_notification(transaction.name, details, destination.address)
