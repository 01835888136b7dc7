"""Numbers of orders, reports, specimens and visits (HL7 EI, CX, ST)."""

from xds.hl7v2.message import Segment
from xds.messaging.model import EntityNumber
from xds.messaging.v2.context import MessageReading
from xds.metadata.datatypes import is_oid


def issuing_authority(reading: MessageReading) -> str:
    """Return who issues the numbers of reports that name nobody."""
    return reading.flavour.issuer(reading.envelope)


def entity(
    reading: MessageReading,
    segment: Segment | None,
    number: int,
    repetition: int = 1,
    *,
    authority: str = "",
) -> EntityNumber | None:
    """Return a number of type EI or ST; None where there is none.

    ``authority`` gives it where it names nobody: EI.2 and EI.3 are empty.
    """
    if segment is None or not (value := segment.value(number, repetition, 1)):
        return None
    names = [segment.value(number, repetition, component) for component in (2, 3)]
    return number_of(reading, value, names[0], names[1], authority)


def visit(
    reading: MessageReading, segment: Segment | None, number: int, authority: str = ""
) -> EntityNumber | None:
    """Return a number of type CX, of which component 4 is the authority."""
    if segment is None or not (value := segment.value(number, 1, 1)):
        return None
    namespace, oid = (segment.value(number, 1, 4, part) for part in (1, 2))
    return number_of(reading, value, namespace, oid, authority)


def number_of(
    reading: MessageReading, value: str, namespace: str, oid: str, authority: str = ""
) -> EntityNumber:
    """Make a number of what names its authority."""
    flavour = reading.flavour
    if is_oid(oid):
        return EntityNumber(value=value, authority=namespace, oid=oid)
    name = namespace or authority
    mapped = flavour.number_authorities.get(name, "")
    if not mapped and name:
        mapped = _known_oid(reading, name)
    return EntityNumber(value=value, authority=name, oid=mapped)


def _known_oid(reading: MessageReading, name: str) -> str:
    """Return the OID of the laboratory of the flavour, or of the facility that sends (MSH-4)."""
    if name == reading.flavour.authority:
        return reading.flavour.authority_oid
    oid = reading.message.header.value(4, 1, 2)
    return oid if name == reading.envelope.sending_facility and is_oid(oid) else ""


def in_field(
    reading: MessageReading, segments: "dict[str, Segment | None]", place: str, authority: str
) -> EntityNumber | None:
    """Return the number in a field that a flavour names, such as ``OBR-20``."""
    name, _, number = place.partition("-")
    return entity(reading, segments.get(name), int(number), authority=authority)
