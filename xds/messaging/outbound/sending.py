"""Sending messages: a channel of the delivery queue, by MLLP, MLLPS or HTTP.

A delivery says no more than which message it is. What is sent is read and built at each attempt,
under the same control id, so that a receiver can tell a repetition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from xds.audit import table, trail
from xds.audit.record import AuditRecord
from xds.config import Config
from xds.database.access import Database
from xds.messaging.outbound import destinations_file, records
from xds.messaging.outbound.answers import AnswerVerdict, JudgedAnswer
from xds.messaging.outbound.building import DocumentToSend, MessageToSend
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.documents import DocumentsToSend, NotToBeSent
from xds.messaging.outbound.exchanging import DestinationWire, MessageOnTheWire
from xds.messaging.outbound.records import CHANNEL, KeptOutbound, OutboundMessage, OutboundState
from xds.messaging.outbound.syntax import HL7V2, MessageSyntax
from xds.metadata import datatypes
from xds.metadata.catalogue import CARD_7, LAB_3
from xds.metadata.objects import DocumentEntry
from xds.outgoing.delivery import (
    Channel,
    Delivery,
    FailedAttempt,
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
    return MessageSender.open(config, database, fhir=fhir).channel()


@dataclass(frozen=True, slots=True)
class EndedMessage:
    """A message that is done with."""

    state: OutboundState
    code: str = ""
    """The acknowledgement."""
    entry: DocumentEntry | None = None
    """What it told of, where it was delivered."""
    destination: Destination | None = None


@dataclass(frozen=True, slots=True)
class WrittenMessage:
    """A message as it goes out."""

    blocks: Iterable[bytes]
    """From the beginning each time that they are iterated."""
    syntax: MessageSyntax
    destination: Destination
    entry: DocumentEntry | None
    """What it tells of; None where an operator has written it of what cannot be sent any more."""


class _TakenLater(NotDelivered):
    """The receiver does not take the message; it is asked again."""

    def __init__(self, answer: JudgedAnswer) -> None:
        super().__init__(answer.reason, refused=True, retry_after=answer.retry_after)
        self.said = answer.text


class _GivenUp(Undeliverable):
    """The receiver does not take the message, and another attempt would change nothing."""

    def __init__(self, answer: JudgedAnswer) -> None:
        super().__init__(answer.reason)
        self.code, self.said = answer.code, answer.text


@dataclass(frozen=True, slots=True)
class MessageSender:
    """Sends the messages of all destinations, for one process."""

    database: Database
    destinations: Mapping[str, Destination]
    documents: DocumentsToSend
    wire: DestinationWire
    fhir: MessageSyntax
    """How FHIR messages are written."""
    is_audited: bool = False

    @classmethod
    def open(cls, config: Config, database: Database, *, fhir: MessageSyntax) -> "MessageSender":
        """Make the sender of the destinations that the options name."""
        named = destinations_file.read(config.destinations) if config.destinations else []
        return cls(
            database=database,
            destinations={one.name: one for one in named},
            documents=DocumentsToSend.open(config),
            wire=DestinationWire(contexts.outgoing(config)),
            fhir=fhir,
            is_audited=config.audit == "on",
        )

    def channel(self) -> Channel:
        """Return the channel of the delivery queue."""
        return Channel(
            name=CHANNEL, send=self.send, schedule=SCHEDULE, order="strict", note=self.note
        )

    def send(self, delivery: Delivery) -> EndedMessage:
        """Send a message once; NotDelivered, Undeliverable."""
        try:
            return self._sent(delivery, records.message_id_of(delivery.id))
        except NotToBeSent:
            return EndedMessage(OutboundState.SUPERSEDED)

    def _sent(self, delivery: Delivery, message_id: str) -> EndedMessage:
        """Send a message and return what has become of it; NotToBeSent where it says nothing."""
        with self.database.read() as connection:
            message = records.read(connection, message_id)
        if message is None:
            raise Undeliverable("the message is not recorded any more")
        written = self.written(message)
        on_wire = MessageOnTheWire(
            id=message_id, lane=delivery.target, blocks=written.blocks, syntax=written.syntax
        )
        to = written.destination
        answer = self.wire.exchange(to, on_wire)
        _heed(to, message, answer)
        return EndedMessage(OutboundState.DELIVERED, answer.code, written.entry, to)

    def written(self, message: OutboundMessage) -> WrittenMessage:
        """Write a message as it is to go out now; NotToBeSent, Undeliverable."""
        destination = self.destinations.get(message.destination)
        if destination is None:
            raise Undeliverable("the options name the destination no more")
        document: DocumentToSend | None = None
        try:
            with self.database.read() as connection:
                document = self.documents.read(connection, destination, message)
        except (NotToBeSent, Undeliverable):
            if message.corrects is None:
                raise
        syntax = self.fhir if destination.form.message == "FHIR" else HL7V2
        if message.corrects is not None:
            blocks: Iterable[bytes] = KeptOutbound(self.database, message.id)
        else:
            assert document is not None
            to_send = MessageToSend(id=message.id, now=datatypes.now())
            blocks = syntax.write(destination, to_send, document)
        return WrittenMessage(blocks, syntax, destination, document.entry if document else None)

    def note(self, connection: Connection, now: int, outcomes: Sequence[TargetOutcome]) -> None:
        """Record what has become of messages; receipts are what ``send`` has returned."""
        for one in outcomes:
            if one.failed is not None:
                _note_failed(connection, now, one.failed)
        ended: list[tuple[str, EndedMessage]] = [
            (records.message_id_of(delivery.id), receipt)
            for one in outcomes
            for delivery, receipt in zip(one.delivered, one.receipts, strict=True)
        ]
        noted = [(message_id, one.state, one.code) for message_id, one in ended]
        records.note_ended(connection, noted, now)
        if self.is_audited:
            made = _audited(one for _, one in ended)
            table.insert(connection, [one.json() for one in made])


def _heed(destination: Destination, message: OutboundMessage, answer: JudgedAnswer) -> None:
    """Do what an answer asks for; NotDelivered, Undeliverable where it is not taken."""
    match answer.verdict:
        case AnswerVerdict.DELIVERED:
            return
        case AnswerVerdict.NOT_OURS:
            raise NotDelivered(answer.reason, retry_after=answer.retry_after)
        case AnswerVerdict.TRY_AGAIN if message.refusals + 1 < destination.refusals:
            raise _TakenLater(answer)
        case _:
            raise _GivenUp(answer)


def _note_failed(connection: Connection, now: int, failed: FailedAttempt) -> None:
    message_id = records.message_id_of(failed.id)
    if isinstance(failed.error, Undeliverable):
        given_up = failed.error if isinstance(failed.error, _GivenUp) else None
        code, said = (given_up.code, given_up.said) if given_up else ("", "")
        records.note_dead(connection, message_id, failed.reason, code, now, said)
    else:
        later = failed.error if isinstance(failed.error, _TakenLater) else None
        said, refused = later.said if later else "", later is not None
        records.note_failed(connection, message_id, failed.reason, said, refused=refused)


def _audited(ended: Iterable[EndedMessage]) -> Iterator[AuditRecord]:
    """Yield the records of the documents that were given to destinations."""
    for one in ended:
        if one.entry is None or one.destination is None:
            continue
        entry, destination = one.entry, one.destination
        told = RemovedObject(entry.id, entry.KIND, entry.object_type, entry.patient_id)
        transaction = LAB_3 if destination.form.message == "ORU" else CARD_7
        details = NotificationDetails((told,))
        yield from trail.of_notification(transaction.name, details, destination.address)
