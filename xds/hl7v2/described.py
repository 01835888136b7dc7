"""An HL7 v2 message for people: its fields by their names, a document by its type and size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from xds.hl7v2.message import Message, Segment

_MOST_OF_VALUE: Final = 200
"""Characters of a field that are shown."""
_OBX_VALUE: Final = 5

_NAMES: Final[Mapping[str, Mapping[int, str]]] = {
    "MSH": {
        3: "sending application",
        4: "sending facility",
        5: "receiving application",
        6: "receiving facility",
        7: "time of message",
        9: "message type",
        10: "control id",
        11: "processing id",
        12: "version",
        15: "accept acknowledgement",
        16: "application acknowledgement",
        18: "character set",
    },
    "EVN": {1: "event", 2: "recorded", 6: "occurred"},
    "PID": {
        3: "patient ids",
        5: "name",
        7: "date of birth",
        8: "sex",
        11: "address",
        13: "phone",
        18: "account number",
    },
    "PD1": {3: "organization", 4: "general practice"},
    "PV1": {2: "patient class", 3: "location", 7: "attending doctor", 19: "visit number"},
    "ORC": {1: "order control", 2: "placer number", 3: "filler number", 21: "organization"},
    "OBR": {
        2: "placer number",
        3: "filler number",
        4: "service",
        7: "observed",
        16: "ordered by",
        22: "reported",
        24: "section",
        25: "status",
        32: "interpreted by",
    },
    "TXA": {
        2: "document type",
        3: "presentation",
        4: "activity time",
        5: "activity by",
        6: "written",
        9: "author",
        12: "document number",
        13: "parent number",
        14: "placer number",
        15: "filler number",
        17: "completion",
        18: "confidentiality",
        19: "availability",
        25: "title",
    },
    "OBX": {
        2: "type",
        3: "observation",
        4: "sub-id",
        5: "value",
        6: "unit",
        7: "range",
        8: "flags",
        11: "status",
        14: "observed",
    },
    "NTE": {3: "comment"},
}


@dataclass(frozen=True, slots=True)
class DescribedField:
    """One field of a segment that is not empty."""

    number: int
    name: str
    """Empty where it is not one of those that matter here."""
    text: str
    """As it is written, or the media type of a document."""
    size: int | None = None
    """Bytes of a document; None where it is none."""


@dataclass(frozen=True, slots=True)
class DescribedSegment:
    """One segment."""

    name: str
    sequence: int
    fields: tuple[DescribedField, ...]


def described_segments(message: Message) -> Iterator[DescribedSegment]:
    """Yield the segments of a message; fields that are empty are left out."""
    for segment in message.segments():
        yield DescribedSegment(segment.name, segment.sequence, tuple(_fields(segment)))


def _fields(segment: Segment) -> Iterator[DescribedField]:
    names = _NAMES.get(segment.name, {})
    for number in range(3 if segment.name == "MSH" else 1, segment.last_field + 1):
        if segment.name == "OBX" and number == _OBX_VALUE and segment.value(2) == "ED":
            yield _document(segment, names[number])
        elif text := segment.raw(number):
            shown = text if len(text) <= _MOST_OF_VALUE else f"{text[:_MOST_OF_VALUE]}..."
            yield DescribedField(number, names.get(number, ""), shown)


def _document(segment: Segment, name: str) -> DescribedField:
    """Return the type and the size of a document (ED: source, type, subtype, encoding, data)."""
    kind, subtype, encoding = (segment.value(_OBX_VALUE, 1, part) for part in (2, 3, 4))
    size = padding = 0
    for block in segment.blocks(_OBX_VALUE, 1, 5):
        size += len(block)
        padding += block.count(b"=")
    if encoding == "Base64":
        size = size // 4 * 3 - padding
    return DescribedField(_OBX_VALUE, name, f"{kind}/{subtype}", size)
