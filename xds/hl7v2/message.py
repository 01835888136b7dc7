"""HL7 v2 messages, read as far as they are asked (HL7 v2.8.2 2.5).

A message stays the bytes that came. A segment is where it lies in them, and a part of it is looked
up by its address, such as PID-3, repetition 1, component 4: what nobody asks for is neither split
nor decoded, a document of many megabytes in OBX-5 as little as the rest. Every delimiter is a byte
of ASCII, which in all the character sets read here is part of no other character.

Segments end with CR, LF, or both; empty lines mean nothing. A segment may end after any field, or
have more than the standard knows: what is absent reads as empty. Z-segments are as all others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final

from xds.hl7v2.encoding import Encoding, codec
from xds.hl7v2.problems import MessageRefused, Problem
from xds.metadata.white_space import trimmed

Component = tuple[str, ...]
Repetition = tuple[Component, ...]
"""Components, each of subcomponents; what is absent is missing from the end."""

NULL: Final = '""'
"""HL7's word for a value that is to be deleted (2.5.3.2). It reads as empty."""

MAX_FIELD_BYTES: Final = 32 * 1024
"""Of a field that is taken apart as a whole, as that takes some hundred times the room."""
MAX_HEADER_BYTES: Final = 32 * 1024
"""Of MSH to its field 18: an acknowledgement repeats parts of it."""

_LAST_OF_HEADER: Final = 18
_HEADER: Final = re.compile(r"MSH([^\w\s\x80-\xff])([^\w\s\x80-\xff]{4,5})\1")
"""The delimiters are ASCII: any other may be another character once the charset is known."""
_HEADER_START: Final = 10
"""Bytes that tell the delimiters."""
_STARTS_OF_BATCHES: Final = (b"FHS", b"BHS")

_NO_HEADER: Final = (
    "a frame holds one message, which begins with MSH, a field separator and four encoding "
    "characters, in a charset that has ASCII"
)
_BATCH: Final = (
    "batches (FHS, BHS) are not taken: send each message in a frame of its own, from MSH on, "
    "without FHS, BHS, BTS and FTS"
)
_ENDLESS: Final = f"MSH has more than {MAX_HEADER_BYTES} bytes to the end of its field 18"


class Unreadable(Exception):
    """What came in a frame does not begin with a message header, or with one that is endless."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """For people; quotes nothing."""


@dataclass(frozen=True, slots=True, repr=False)
class Segment:
    """One segment: where it lies in its message. Fields and their parts are counted from 1."""

    name: str
    sequence: int
    """Which of the segments of its name it is, counted from 1."""
    data: bytes
    """The whole message."""
    start: int
    end: int
    encoding: Encoding

    @property
    def last_field(self) -> int:
        """The number of the last field, which may be empty."""
        separators = self.data.count(self.encoding.field.encode(), self.start, self.end)
        return separators + self._is_header

    def raw(
        self,
        number: int,
        repetition: int | None = None,
        component: int | None = None,
        subcomponent: int | None = None,
    ) -> str:
        """Return a field, or a part of it, as it stands there; empty where it is absent.

        A place that is not given stands for the whole: ``raw(5, 1)`` is the first repetition with
        all of its components.
        """
        if self._is_header and number <= 2:
            return self.encoding.field if number == 1 else self.encoding.characters
        place = self.place(number)
        marks = self.encoding.repetition, self.encoding.component, self.encoding.subcomponent
        for mark, part in zip(marks, (repetition, component, subcomponent), strict=True):
            if part is not None and place:
                place = _part(self.data, mark.encode(), *place, part)
        return self.encoding.decoded(self.data[slice(*place)]) if place else ""

    def value(
        self,
        number: int,
        repetition: int = 1,
        component: int | None = None,
        subcomponent: int | None = None,
    ) -> str:
        """Return a part of a field unescaped and trimmed; empty where it is absent or null.

        Without a component it is the whole repetition, as for the types that have none (ST, TX):
        a delimiter in it that should have been escaped is text.
        """
        return _value(self.raw(number, repetition, component, subcomponent), self.encoding)

    def is_null(self, number: int, repetition: int = 1, component: int | None = None) -> bool:
        """Tell whether a value is to be deleted, which an empty one is not."""
        return trimmed(self.raw(number, repetition, component)) == NULL

    def field(self, number: int) -> tuple[Repetition, ...]:
        """Return the repetitions of a field, each value as ``value`` returns it.

        Raises Refused for a field of more than MAX_FIELD_BYTES: its values can be had one by one.
        """
        if self._is_header and number <= 2:
            return (((self.raw(number),),),)
        place = self.place(number)
        if place is None:
            return ()
        if place[1] - place[0] > MAX_FIELD_BYTES:
            reason = f"the field has more than {MAX_FIELD_BYTES} bytes"
            raise MessageRefused(Problem("207", f"{self.name}^{self.sequence}^{number}", reason))
        text = self.encoding.decoded(self.data[slice(*place)])
        return tuple(map(self._repetition, text.split(self.encoding.repetition)))

    def _repetition(self, text: str) -> Repetition:
        e = self.encoding
        components = (component.split(e.subcomponent) for component in text.split(e.component))
        return tuple(tuple(_value(one, e) for one in parts) for parts in components)

    def place(self, number: int) -> tuple[int, int] | None:
        """Return where a field lies; None where the segment ends before it."""
        place = number if self._is_header else number + 1  # MSH-1 is the separator itself
        return _part(self.data, self.encoding.field.encode(), self.start, self.end, place)

    @property
    def _is_header(self) -> bool:
        return self.name == "MSH"


def _part(data: bytes, mark: bytes, start: int, end: int, place: int) -> tuple[int, int] | None:
    """Return where the part at a place lies, counted from 1; None where there are fewer."""
    for _ in range(place - 1):
        start = data.find(mark, start, end) + 1
        if not start:
            return None
    found = data.find(mark, start, end)
    return start, end if found < 0 else found


def _value(raw: str, encoding: Encoding) -> str:
    text = trimmed(raw)
    if text == NULL:
        return ""
    return trimmed(encoding.unescaped(text)) if encoding.escape in text else text


def _declared_charset(data: bytes, separator: str, repetition: str) -> str:
    """Return the first repetition of MSH-18; Unreadable where the header is endless."""
    end = data.find(b"\r")
    header = data if end < 0 else data[:end]
    fields = header.split(separator.encode(), _LAST_OF_HEADER)[:_LAST_OF_HEADER]
    if sum(map(len, fields)) > MAX_HEADER_BYTES:
        raise Unreadable(_ENDLESS)
    if len(fields) < _LAST_OF_HEADER:
        return ""
    return fields[-1].decode("latin-1").partition(repetition)[0].strip()


class Message:
    """One message, with the delimiters and the character set that it declares."""

    def __init__(self, data: bytes, encoding: Encoding, *, is_charset_known: bool = True) -> None:
        self._data = data
        self.encoding = encoding
        self.is_charset_known = is_charset_known
        """False where MSH-18 names none of the table, and characters beyond ASCII are there."""
        self.size = len(data)
        """Bytes."""

    @classmethod
    def read(cls, payload: bytes) -> "Message":
        """Read a message; Unreadable where it has no header.

        A byte that is not of the declared charset becomes U+FFFD, and matters only where it is
        part of an identifier. Without a charset, which IHE forbids beyond ASCII, UTF-8 is tried.
        """
        data = payload.lstrip()
        if data.startswith(_STARTS_OF_BATCHES):
            raise Unreadable(_BATCH)
        header = _HEADER.match(data[:_HEADER_START].decode("latin-1"))
        if header is None or len({*header[1], *header[2]}) != 1 + len(header[2]):
            raise Unreadable(_NO_HEADER)
        if b"\n" in data:
            data = data.replace(b"\n", b"\r")  # empty lines mean nothing
        charset = codec(data, _declared_charset(data, header[1], header[2][1]))
        encoding = Encoding(charset or "ascii", header[1], *header[2])
        return cls(data, encoding, is_charset_known=charset is not None)

    @cached_property
    def header(self) -> Segment:
        """MSH."""
        return next(self.segments("MSH"))

    def segments(self, name: str = "") -> Iterator[Segment]:
        """Yield the segments of a name, or all of them, in their order."""
        seen: dict[str, int] = {}
        for start in self._starts(name.encode()):
            end = self._data.find(b"\r", start)
            end = self.size if end < 0 else end
            found = self._name(start, end)
            if start < end and found == (name or found):
                sequence = seen[found] = seen.get(found, 0) + 1
                yield Segment(found, sequence, self._data, start, end, self.encoding)

    def _starts(self, name: bytes) -> Iterator[int]:
        """Yield where those segments begin that begin with a name."""
        if self._data.startswith(name):
            yield 0
        mark = b"\r" + name
        start = self._data.find(mark) + 1
        while start:
            yield start
            start = self._data.find(mark, start) + 1

    def _name(self, start: int, end: int) -> str:
        """Return the name of a segment; a second MSH may have delimiters of its own."""
        if self._data.startswith(b"MSH", start):
            return "MSH"
        separator = self._data.find(self.encoding.field.encode(), start, end)
        return self.encoding.decoded(self._data[start : end if separator < 0 else separator])

    def segment(self, name: str, sequence: int = 1) -> Segment | None:
        """Return one of the segments of a name, counted from 1."""
        return next(islice(self.segments(name), sequence - 1, None), None)

    def count(self, name: str) -> int:
        """Return how often a segment stands in the message."""
        return sum(1 for _ in self.segments(name))

    def field(self, name: str, number: int) -> tuple[Repetition, ...]:
        """Return the repetitions of a field of the first such segment; raises as its ``field``."""
        segment = self.segment(name)
        return () if segment is None else segment.field(number)

    def value(
        self,
        name: str,
        number: int,
        repetition: int = 1,
        component: int | None = None,
        subcomponent: int | None = None,
    ) -> str:
        """Return a part of the first such segment by its address, as ``Segment.value`` does."""
        segment = self.segment(name)
        if segment is None:
            return ""
        return segment.value(number, repetition, component, subcomponent)

    @cached_property
    def message_code(self) -> str:
        """MSH-9 component 1."""
        return self.header.value(9, 1, 1, 1)

    @cached_property
    def trigger_event(self) -> str:
        """MSH-9 component 2."""
        return self.header.value(9, 1, 2, 1)

    @cached_property
    def version(self) -> str:
        """MSH-12."""
        return self.header.value(12, 1, 1, 1)
