"""Sending messages: a channel of the delivery queue, by MLLP, MLLPS or HTTP.

A delivery says no more than which message it is. What is sent is read and built at each attempt,
under the same control id, so that a receiver can tell a repetition.
"""

import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from xds.audit import table, trail
from xds.audit.record import AuditRecord
from xds.config import Config
from xds.database.access import Database
from xds.hl7v2.mllp_client import MllpAddress, MllpConnection, NoAnswer
from xds.hl7v2.writing import MessageWriter
from xds.messaging.outbound import building, destinations_file, records
from xds.messaging.outbound.answers import AnswerVerdict, JudgedAnswer, judged
from xds.messaging.outbound.building import MessageToSend
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.documents import DocumentsToSend, NotToBeSent
from xds.messaging.outbound.records import CHANNEL, OutboundMessage, OutboundState
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
from xds.outgoing.errors import TransportFailed
from xds.outgoing.transport import HttpEndpoint, HttpRequest, HttpResponse, Settings
from xds.security.details import NotificationDetails, RemovedObject
from xds.tls import contexts

SCHEDULE: Final = RetrySchedule((5, 15, 60, 300, 900))
"""Seconds between attempts; the last one goes on."""
_ER7: Final = "application/hl7-v2+er7; charset=utf-8"
_MOST_OF_ANSWER: Final = 256 * 1024
_STRAY_ANSWERS: Final = 2
"""Answers to other messages that are read before a connection is given up."""


def channel(config: Config, database: Database) -> Channel | None:
    """Return the channel of messages; None where the options have no destinations."""
    if config.destinations is None:
        return None
    destinations = destinations_file.read(config.destinations)
    sender = MessageSender(
        database=database,
        destinations={one.name: one for one in destinations},
        documents=DocumentsToSend.open(config),
        tls=contexts.outgoing(config),
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


@dataclass(slots=True)
class MessageSender:
    """Sends the messages of all destinations, for one process."""

    database: Database
    destinations: Mapping[str, Destination]
    documents: DocumentsToSend
    tls: ssl.SSLContext | None
    is_audited: bool = False
    _connections: dict[str, MllpConnection] = field(default_factory=dict)
    _endpoints: dict[str, HttpEndpoint] = field(default_factory=dict)
    _ended: dict[str, _EndedMessage] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def channel(self) -> Channel:
        """Return the channel of the delivery queue."""
        return Channel(
            name=CHANNEL, send=self.send, schedule=SCHEDULE, order="strict", note=self.note
        )

    def send(self, delivery: Delivery) -> None:
        """Send a message once; NotDelivered, Undeliverable."""
        message_id = records.message_id_of(delivery.id)
        try:
            with self.database.read() as connection:
                message = records.read(connection, message_id)
                if message is None:
                    raise Undeliverable("the message is not recorded any more")
                destination = self.destinations.get(message.destination)
                if destination is None:
                    raise Undeliverable("the options name the destination no more")
                document = self.documents.read(connection, destination, message)
        except NotToBeSent:
            self._ended[message_id] = _EndedMessage(OutboundState.SUPERSEDED)
            return
        except Undeliverable as error:
            self._dies(message_id, str(error), "")
            raise
        to_send = MessageToSend(id=message_id, now=datatypes.now())
        writer = building.build(destination, to_send, document)
        try:
            answer = self._exchange(destination, delivery.target, message, _Repeatable(writer))
        except Undeliverable as error:
            self._dies(message_id, str(error), "")
            raise
        self._heed(destination, message, answer)
        self._ended[message_id] = _EndedMessage(
            OutboundState.DELIVERED, answer.code, document.entry, destination
        )

    def _heed(
        self, destination: Destination, message: OutboundMessage, answer: JudgedAnswer
    ) -> None:
        """Do what an answer asks for; NotDelivered, Undeliverable where it is not taken."""
        match answer.verdict:
            case AnswerVerdict.DELIVERED:
                return
            case AnswerVerdict.NOT_OURS:
                raise NotDelivered(answer.reason)
            case AnswerVerdict.TRY_AGAIN if message.refusals + 1 < destination.refusals:
                self._refused.add(message.id)
                raise NotDelivered(answer.reason, refused=True)
            case _:
                self._dies(message.id, answer.reason, answer.code)
                raise Undeliverable(answer.reason)

    def _dies(self, message_id: str, reason: str, code: str) -> None:
        with self.database.write() as connection:
            now = self.database.milliseconds(connection)
            records.note_dead(connection, message_id, reason, code, now)

    def note(self, connection: Connection, now: int, outcomes: Sequence[TargetOutcome]) -> None:
        """Record what has become of messages."""
        ended: dict[str, _EndedMessage] = {}
        for outcome in outcomes:
            for delivery in outcome.delivered:
                message_id = records.message_id_of(delivery.id)
                unknown = _EndedMessage(OutboundState.DELIVERED)
                ended[message_id] = self._ended.get(message_id, unknown)
            if outcome.failed is not None:
                message_id = records.message_id_of(outcome.failed.id)
                refused = message_id in self._refused
                records.note_failed(connection, message_id, outcome.failed.reason, refused=refused)
                self._refused.discard(message_id)
        noted = [(message_id, one.state, one.code) for message_id, one in ended.items()]
        records.note_ended(connection, noted, now)
        if self.is_audited:
            table.insert(connection, [one.json() for one in _audited(ended.values())])
        for message_id in ended:
            self._ended.pop(message_id, None)

    # --- on the wire

    def _exchange(
        self,
        destination: Destination,
        lane: str,
        message: OutboundMessage,
        blocks: Iterable[bytes],
    ) -> JudgedAnswer:
        if urlsplit(destination.address).scheme in ("http", "https"):
            return self._post(destination, message, blocks)
        connection = self._connection(destination, lane)
        try:
            connection.send(blocks)
            answer = self._answer(connection, destination, message)
            is_kept = answer.verdict is not AnswerVerdict.NOT_OURS
        except (NoAnswer, OSError) as error:
            connection.close()
            reason = str(error) if isinstance(error, NoAnswer) else type(error).__name__
            raise NotDelivered(reason) from error
        except BaseException:
            connection.close()  # a message cut short is no message
            raise
        if is_kept:
            with self._lock:
                self._connections[lane] = connection
        else:
            connection.close()
        return answer

    def _answer(
        self, connection: MllpConnection, destination: Destination, message: OutboundMessage
    ) -> JudgedAnswer:
        """Read the answer; where an application acknowledgement was asked for, that one too."""
        form, answer = destination.form, JudgedAnswer(AnswerVerdict.NOT_OURS)
        for _ in range(1 + _STRAY_ANSWERS):
            answer = judged(connection.receive(), message.id, destination.reading)
            is_ours = answer.verdict is not AnswerVerdict.NOT_OURS
            if is_ours and not (answer.code == "CA" and form.application_acknowledgement == "AL"):
                break
        return answer

    def _connection(self, destination: Destination, lane: str) -> MllpConnection:
        """Return the kept connection of a lane, or a new one."""
        with self._lock:
            kept = self._connections.pop(lane, None)
        if kept is not None:
            if kept.is_open:
                return kept
            kept.close()
        try:
            return MllpConnection(
                MllpAddress.parse(destination.address),
                self.tls,
                answer_seconds=destination.answer_seconds,
            )
        except OSError as error:
            raise NotDelivered(type(error).__name__) from error

    def _post(
        self, destination: Destination, message: OutboundMessage, blocks: Iterable[bytes]
    ) -> JudgedAnswer:
        request = HttpRequest(content_type=_ER7, length=None, blocks=blocks, repeatable=True)
        try:
            with self._endpoint(destination).post(request) as answer:
                content = _bounded(answer)
                status = answer.status
        except TransportFailed as error:
            raise NotDelivered(type(error.__cause__ or error).__name__) from error
        if status == 200:
            return judged(content, message.id, destination.reading)
        if status in (429, 502, 503, 504) or status >= 500:
            raise NotDelivered(str(status))
        raise Undeliverable(str(status))

    def _endpoint(self, destination: Destination) -> HttpEndpoint:
        with self._lock:
            found = self._endpoints.get(destination.name)
            if found is None:
                settings = Settings(timeout=destination.answer_seconds, tls=self.tls)
                found = HttpEndpoint(destination.address, settings)
                self._endpoints[destination.name] = found
            return found


@dataclass(frozen=True, slots=True)
class _Repeatable:
    """The blocks of a message, from the beginning each time that it is iterated."""

    writer: MessageWriter

    def __iter__(self) -> Iterator[bytes]:
        return self.writer.blocks()


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


def _bounded(answer: HttpResponse) -> bytes:
    """Read an answer; NotDelivered for one that goes on and on."""
    content = b""
    while block := answer.read():
        content += block
        if len(content) > _MOST_OF_ANSWER:
            raise NotDelivered("the answer is too large")
    return content
