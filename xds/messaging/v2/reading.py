"""A message of HL7 v2 becomes the content that is filed (:mod:`xds.messaging.model`)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final

from xds.hl7v2.continuation import place_of, without_addenda
from xds.hl7v2.encoding import named_codec
from xds.hl7v2.message import Message
from xds.hl7v2.problems import MessageRefused
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.model import (
    CarriedContent,
    MessageContent,
    MessageEnvelope,
    MessageOrder,
    MessageReport,
)
from xds.messaging.v2 import patients, times
from xds.messaging.v2.context import MessageReading
from xds.messaging.v2.documents import documents_in
from xds.messaging.v2.grouping import Grouped, grouped
from xds.messaging.v2.orders import orders_of
from xds.messaging.v2.reports import reports_of
from xds.messaging.verdicts import (
    DATA_TYPE,
    EVENT,
    FIELD,
    PROCESSING,
    TOO_LARGE,
    TYPE,
    UNREADABLE,
    VERSION,
    ContentRefused,
    MessageFinding,
)

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")
"""What no text has, but for the escape of ISO 2022."""
_RESULTS: Final = frozenset({("OBX", 5), ("NTE", 3)})
_MOST_FIELDS_TOLD: Final = 10
_READERS: Final[Mapping[str, Callable[[MessageReading, Grouped], list[MessageReport]]]] = {
    "ORU": reports_of,
    "MDM": documents_in,
}
TRIGGERS: Final[Mapping[str, frozenset[str]]] = {
    "ORU": frozenset({"R01"}),
    "MDM": frozenset(f"T{number:02}" for number in range(1, 12)),
    "ORM": frozenset({"O01"}),
    "OML": frozenset({"O21"}),
    "OMG": frozenset({"O19"}),
}
"""The messages that are read here, by MSH-9: their codes and trigger events."""


def envelope_of(message: Message, zone: str = "UTC") -> MessageEnvelope:
    """Return what the header of a message says; ``zone`` is of a time that names no offset."""
    header = message.header
    try:
        sent = times.dtm(header.value(7, 1, 1, 1), "", zone)
    except ValueError:
        sent = ""
    return MessageEnvelope(
        code=message.message_code,
        trigger=message.trigger_event,
        control_id=header.value(10),
        sending_application=header.value(3, 1, 1, 1),
        sending_facility=header.value(4, 1, 1, 1),
        receiving_application=header.value(5, 1, 1, 1),
        receiving_facility=header.value(6, 1, 1, 1),
        sent=sent,
        processing_id=header.value(11, 1, 1, 1),
        version=message.version,
    )


def read(message: Message, flavours: FlavourTable) -> MessageContent:
    """Read a message as the flavour of its sender says.

    Documents in it are not decoded yet: their chunks raise ContentRefused where they are corrupt.
    Raises ContentRefused with every error that was found, in the documents too.
    """
    reading = require_header(message, flavours)
    try:
        return _content(reading)
    except MessageRefused as error:
        for problem in error.problems:
            reading.fail(TOO_LARGE, problem.location, problem.reason)
        raise ContentRefused(*reading.errors) from None


def require_header(message: Message, flavours: FlavourTable) -> MessageReading:
    """Begin to read a message as the flavour of its sender says; ContentRefused by its header."""
    flavour = flavours.flavour_of(envelope_of(message))
    if codec := named_codec(flavour.charset):
        message.read_in(codec)
    envelope = envelope_of(message, flavour.zone)
    offset = times.offset_of(message.header.value(7, 1, 1, 1))
    reading = MessageReading(message=message, envelope=envelope, flavour=flavour, offset=offset)
    _look_at_header(reading)
    if reading.errors:
        raise ContentRefused(*reading.errors)
    return reading


def _look_at_header(reading: MessageReading) -> None:
    envelope, flavour = reading.envelope, reading.flavour
    if envelope.code not in TRIGGERS:
        reading.fail(TYPE, "MSH^1^9^1^1", "messages of this type are not taken here")
    elif envelope.trigger not in TRIGGERS[envelope.code]:
        reading.fail(EVENT, "MSH^1^9^1^2", "messages of this trigger event are not taken")
    if not envelope.version.startswith("2"):
        reading.fail(VERSION, "MSH^1^12", "the version is none of HL7 v2")
    if envelope.processing_id not in flavour.processing_ids:
        reading.fail(PROCESSING, "MSH^1^11", "messages of this processing id are not taken")
    if not envelope.control_id:
        reading.fail(FIELD, "MSH^1^10", "there is no message control id")
    if not reading.message.is_charset_known:
        reading.fail(DATA_TYPE, "MSH^1^18", "the character set is not known")


@contextmanager
def whole_of(message: Message) -> Iterator[Message]:
    """Give a message in which each ADD is part of the segment before it; ContentRefused."""
    try:
        with without_addenda(message) as whole:
            yield whole
    except MessageRefused as error:
        raise unreadable(error) from None


def unreadable(error: MessageRefused) -> ContentRefused:
    """Return what a fault of syntax is for the sender of a document."""
    return ContentRefused(
        *(
            MessageFinding(verdict=UNREADABLE, location=one.location, reason=one.reason)
            for one in error.problems
        )
    )


def _content(reading: MessageReading) -> MessageContent:
    message, flavour = reading.message, reading.flavour
    _require_syntax(reading, flavour)
    parts = grouped(message.segments(), takes_documents=reading.envelope.code == "MDM")
    patient = patients.patient_of(reading, parts)
    reader = _READERS.get(reading.envelope.code)
    reports = reader(reading, parts) if reader else []
    orders = [] if reader else orders_of(reading, parts)
    if reading.errors:
        _add_errors_of_documents(reading, (*reports, *orders))
        raise ContentRefused(*reading.errors)
    return MessageContent(
        envelope=reading.envelope,
        patient=patient,
        reports=tuple(reports),
        orders=tuple(orders),
        findings=tuple(reading.warnings),
        decisions=tuple(reading.decisions),
    )


def _require_syntax(reading: MessageReading, flavour: Flavour) -> None:
    message = reading.message
    if (part := place_of(message)).is_part:
        reading.fail(UNREADABLE, part.location, "a part of a message is not filed by itself")
    report = reading.fail if flavour.broken_lines == "refuse" else reading.warn
    for place in message.broken_lines:
        report(UNREADABLE, place, "a line that is no segment: a line break within a field")
    for place in islice(_fields_with_controls(message), _MOST_FIELDS_TOLD):
        reading.fail(DATA_TYPE, place, "a control character, which no text has")
    if sum(1 for _ in message.segments()) > flavour.most_segments:
        limit = f"a message has {flavour.most_segments} segments at most"
        raise ContentRefused(*reading.errors, *_too_large(limit))


def _fields_with_controls(message: Message) -> Iterator[str]:
    """Yield the fields that have a control character, written or as an escape sequence.

    Results may have them, since no attribute of the metadata is made of these.
    """
    header, encoding = message.header, message.encoding
    marks = rb"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]"
    if encoding.escape:
        marks += b"|" + re.escape(f"{encoding.escape}X".encode())
    if not re.compile(marks).search(header.data, header.start, header.start + message.size):
        return
    for segment in message.segments():
        line = segment.data[segment.start : segment.end].decode("latin-1")
        for number, text in enumerate(line.split(encoding.field), segment.name == "MSH"):
            is_result = (segment.name, number) in _RESULTS
            if not is_result and _CONTROLS.search(encoding.unescaped(text)):
                yield f"{segment.name}^{segment.sequence}^{number}"


def _too_large(reason: str) -> tuple[MessageFinding]:
    return (MessageFinding(verdict=TOO_LARGE, location="MSH^1", reason=reason),)


def _add_errors_of_documents(
    reading: MessageReading, sources: Sequence[MessageReport | MessageOrder]
) -> None:
    """Decode the documents of a message that is refused, so that all errors are told."""
    known = {one.location for one in reading.errors}
    for source in sources:
        for document in source.documents:
            content = document.content
            if isinstance(content, CarriedContent) and content.location not in known:
                try:
                    for _ in content.chunks():
                        pass
                except ContentRefused as error:
                    reading.errors.extend(error.findings)
