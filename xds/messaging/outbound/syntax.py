"""How a message is written and its answer read: HL7 v2 here, FHIR in a room above."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from xds.hl7v2.writing import MessageWriter
from xds.messaging.outbound import building
from xds.messaging.outbound.answers import JudgedAnswer, judged
from xds.messaging.outbound.building import DocumentToSend, MessageToSend
from xds.messaging.outbound.destination import Destination
from xds.messaging.verdicts import AcknowledgementReading


@dataclass(frozen=True, slots=True)
class MessageSyntax:
    """One way to write messages."""

    content_type: str
    """Where a message goes by HTTP."""
    write: Callable[[Destination, MessageToSend, DocumentToSend], Iterable[bytes]]
    """Returns the blocks of a message, from its beginning each time that they are iterated."""
    judged: Callable[[bytes, str, AcknowledgementReading], JudgedAnswer]
    """Judges an answer to the message with an id."""


@dataclass(frozen=True, slots=True)
class _Repeatable:
    """The blocks of a message, from the beginning each time that it is iterated."""

    writer: MessageWriter

    def __iter__(self) -> Iterator[bytes]:
        return self.writer.blocks()


def _written(
    destination: Destination, message: MessageToSend, document: DocumentToSend
) -> Iterable[bytes]:
    return _Repeatable(building.build(destination, message, document))


HL7V2: Final = MessageSyntax("application/hl7-v2+er7; charset=utf-8", _written, judged)
