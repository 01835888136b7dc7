"""Application acknowledgements that go to their receiver on a connection of their own.

In enhanced mode (HL7 v2.8.2 2.9.3) an application acknowledgement is a message of its own. Where a
flavour says where it goes, it is put into the delivery queue before the accept acknowledgement is
sent, and sent from there in the order of the messages.
"""

from dataclasses import dataclass
from typing import Final

from xds.config import Config
from xds.database.access import Database
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.outbound.answers import AnswerVerdict
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.exchanging import DestinationWire, MessageOnTheWire
from xds.messaging.verdicts import AcknowledgementReading
from xds.outgoing.delivery import (
    Channel,
    Delivery,
    NewDelivery,
    NotDelivered,
    RetrySchedule,
    Undeliverable,
)
from xds.outgoing.queue import enqueue_stream
from xds.tls import contexts

CHANNEL: Final = "acknowledgement"
"""The channel of the delivery queue for application acknowledgements."""

_SCHEDULE: Final = RetrySchedule((5, 15, 60, 300, 900))
_CONTROL_ID: Final = "control_id"
_READING: Final = "reading"
_AWAITS: Final = "awaits"


def channel(config: Config, database: Database) -> Channel | None:
    """Return the channel; None where no flavour says where acknowledgements go. FlavourError."""
    del database
    if not config.takes_messages:
        return None
    if not any(row.flavour.acknowledge_to for row in read_flavours(config.flavours).rows):
        return None
    sender = _AcknowledgementSender(DestinationWire(contexts.outgoing(config)))
    return Channel(name=CHANNEL, send=sender.send, schedule=_SCHEDULE, order="strict")


def send_later(database: Database, flavour: Flavour, control_id: str, content: bytes) -> None:
    """Put an acknowledgement into the queue, durably; DatabaseUnavailable."""
    attributes = {
        _CONTROL_ID: control_id,
        _READING: flavour.reading,
        _AWAITS: flavour.acknowledge_to_asks,
    }
    address = flavour.acknowledge_to
    new = NewDelivery(channel=CHANNEL, target=address, address=address, attributes=attributes)
    enqueue_stream(database, new, [content])


@dataclass(frozen=True, slots=True)
class _AcknowledgementSender:
    wire: DestinationWire

    def send(self, delivery: Delivery) -> None:
        """Send an acknowledgement once; NotDelivered, Undeliverable where it is refused."""
        said = delivery.attributes
        reading: AcknowledgementReading = "nhs" if said[_READING] == "nhs" else "hl7"
        to = Destination(name=delivery.target, address=delivery.address, reading=reading)
        message = MessageOnTheWire(
            id=said[_CONTROL_ID],
            lane=delivery.target,
            blocks=list(delivery.read()),
            is_answered=said[_AWAITS] == "AL",
        )
        answer = self.wire.exchange(to, message)
        match answer.verdict:
            case AnswerVerdict.DELIVERED:
                return
            case AnswerVerdict.GIVE_UP:
                raise Undeliverable(answer.reason)
        raise NotDelivered(answer.reason, retry_after=answer.retry_after)
