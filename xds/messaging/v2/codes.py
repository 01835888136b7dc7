"""Codes of a message (HL7 CE, CWE) as codes of the affinity domain."""

from typing import Final

from xds.hl7v2.message import Segment
from xds.messaging.v2.context import MessageReading
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code

_TABLE: Final = "HL7"
_TABLES: Final = "2.16.840.1.113883.12."


def system(reading: MessageReading, name: str) -> str:
    """Return the OID or URI of a coding system as it is written; empty where it is not known."""
    known = reading.flavour.coding_systems.get(name)
    if known is not None:
        return known
    if is_oid(name) or ":" in name:
        return name
    digits = name.removeprefix(_TABLE)
    return f"{_TABLES}{int(digits)}" if digits != name and digits.isdecimal() else ""


def translated(reading: MessageReading, code: str, display: str, name: str) -> Code | None:
    """Return a code as the affinity domain has it; None where its system is not known."""
    known = reading.flavour.codes.get(f"{name}|{code}")
    if known is not None:
        return known
    scheme = system(reading, name)
    return Code(code, scheme, display) if code and scheme else None


def coded(
    reading: MessageReading, segment: Segment | None, number: int, repetition: int = 1
) -> Code | None:
    """Return the code of a field, of the first of its two codings of which the system is known."""
    if segment is None:
        return None
    for first in (1, 4):
        parts = [segment.value(number, repetition, first + n, 1) for n in range(3)]
        found = translated(reading, *parts) if parts[0] else None
        if found:
            return found
    return None


def uncoded(reading: MessageReading, segment: Segment | None, number: int) -> Code | None:
    """Return the code of a field of which the coding system is not known; its scheme is empty."""
    code = segment.value(number, 1, 1, 1) if segment else ""
    return Code(code, "", segment.value(number, 1, 2, 1)) if segment and code else None


def document_type(reading: MessageReading, segment: Segment, number: int) -> Code | None:
    """Return the code of a field if it is one of a type of document."""
    found = coded(reading, segment, number)
    if found is None:
        return None
    known = (one for one in reading.flavour.known_types if one.code == found.code)
    return next((one for one in known if one.coding_scheme == found.coding_scheme), None)


def title(reading: MessageReading, text: str) -> str:
    """Return a text as the title of a document: without the prefixes of the flavour."""
    return reading.flavour.title_of(text)
