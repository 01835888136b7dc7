"""HL7 v2 messages, read as far as they are asked (HL7 v2.8.2 2.5).

A message stays the bytes that came. A segment is where it lies in them, and a part of it is looked
up by its address, such as PID-3, repetition 1, component 4: what nobody asks for is neither split
nor decoded, a document of many megabytes in OBX-5 as little as the rest. Every delimiter is a byte
of ASCII, which in all the character sets read here is part of no other character.

Segments end with CR, LF, or both; empty lines mean nothing. A segment may end after any field, or
have more than the standard knows: what is absent reads as empty. Z-segments are as all others. A
line that is no segment is taken as the rest of the field before it, after a line feed; where that
is, ``broken_lines`` tells.

A large field of a message in a file is not in memory (:mod:`xds.hl7v2.spooled`): its parts are
read from the file each time, as a text up to MAX_TEXT_BYTES, or as blocks of any length.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import islice
from typing import Final

from xds.hl7v2.encoding import Encoding, codec
from xds.hl7v2.problems import MessageRefused, Problem
from xds.hl7v2.spooled import (
    BYTE_ORDER_MARK,
    SpooledMessage,
    digest_of,
    part_of,
    place_of_part,
    separator_of,
)
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

MAX_TEXT_BYTES: Final = 4 << 20
"""Of a value of a large field that is read as a text."""

_LAST_OF_HEADER: Final = 18
_HEADER: Final = re.compile(r"MSH([^\w\s\x80-\xff])((?:(?!\1)[^\w\s\x80-\xff]){2,5})\1")
"""The delimiters are ASCII: any other may be another character once the charset is known."""
_HEADER_START: Final = 10
"""Bytes that tell the delimiters."""
_NO_BLANK: Final = re.compile(rb"\S")
_LINE: Final = re.compile(rb"[^\r]++")
_STARTS_OF_BATCHES: Final = (b"FHS", b"BHS")

_NO_HEADER: Final = (
    "a message begins with MSH, a field separator and two to five encoding characters, in a "
    "charset that has ASCII"
)
_BATCH: Final = (
    "batches (FHS, BHS) are not taken: send each message in a frame of its own, from MSH on, "
    "without FHS, BHS, BTS and FTS"
)
_OTHER_SEPARATOR: Final = "a large batch has one field separator in all of its messages"
_MOST_BROKEN_LINES: Final = 10
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
    source: SpooledMessage
    origin: int
    """Where its message begins in ``data``."""
    _starts: list[int] = field(default_factory=list, init=False, compare=False)
    """Of fields, once one was asked for: as many as are noted."""

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
        all of its components. Raises MessageRefused (207) for a part of more than MAX_TEXT_BYTES
        of a large field.
        """
        if self._is_header and number <= 2:
            return self.encoding.field if number == 1 else self.encoding.characters
        place = self.place(number)
        if place is None:
            return ""
        if self.source.is_stretched(*place):
            return self.encoding.decoded(self._text(number, repetition, component, subcomponent))
        for mark, part in self._parts(repetition, component, subcomponent):
            place = _part(self.data, mark, *place, part)
            if place is None:
                return ""
        return self.encoding.decoded(self.data[slice(*place)])

    def blocks(
        self,
        number: int,
        repetition: int | None = None,
        component: int | None = None,
        subcomponent: int | None = None,
    ) -> Iterator[bytes]:
        """Yield a field, or a part of it, as the bytes that came, however long it is.

        They are neither decoded nor unescaped. Nothing is yielded where it is absent. Raises
        OSError where the file of a large message cannot be read.
        """
        place = self.place(number)
        if place is None:
            return
        stream = self.source.stretched(self.data, *place)
        for mark, part in self._parts(repetition, component, subcomponent):
            stream = part_of(stream, mark, part)
        yield from stream

    def stretch(
        self, number: int, repetition: int, component: int | None = None
    ) -> tuple[int, int]:
        """Return from where to where in its message, as that came, a part of a field lies."""
        place = self.place(number)
        if place is None:
            return 0, 0
        start = self.source.raw_place(place[0]) - self.source.raw_place(self.origin)
        asked: tuple[int | None, ...] = ()
        for mark, part in self._parts(repetition, component, None):
            start += place_of_part(self.blocks(number, *asked), mark, part)
            asked = (*asked, part)
        return start, start + sum(map(len, self.blocks(number, *asked)))

    def repetitions(self, number: int) -> int:
        """Return how many repetitions a field has; 0 where the segment ends before it."""
        place = self.place(number)
        if place is None:
            return 0
        mark = self.encoding.repetition.encode()
        if not self.source.is_stretched(*place):
            return self.data.count(mark, *place) + 1
        return sum(block.count(mark) for block in self.blocks(number)) + 1

    def _text(self, number: int, *parts: int | None) -> bytes:
        text = bytearray()
        for block in self.blocks(number, *parts):
            text += block
            if len(text) > MAX_TEXT_BYTES:
                reason = f"a value has {MAX_TEXT_BYTES} bytes at most"
                raise MessageRefused(
                    Problem("207", f"{self.name}^{self.sequence}^{number}", reason)
                )
        return bytes(text)

    def _parts(self, *numbers: int | None) -> Iterator[tuple[bytes, int]]:
        """Yield the delimiter of each part that is asked for, and its number.

        What a message has no delimiter for is one part.
        """
        marks = self.encoding.repetition, self.encoding.component, self.encoding.subcomponent
        for mark, number in zip(marks, numbers, strict=True):
            if number is not None:
                yield mark.encode() or _NEVER, number

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
        if place[1] - place[0] > MAX_FIELD_BYTES or self.source.is_stretched(*place):
            reason = f"the field has more than {MAX_FIELD_BYTES} bytes"
            raise MessageRefused(Problem("207", f"{self.name}^{self.sequence}^{number}", reason))
        text = self.encoding.decoded(self.data[slice(*place)])
        return tuple(map(self._repetition, text.split(self.encoding.repetition)))

    def _repetition(self, text: str) -> Repetition:
        e = self.encoding
        components = (_split(component, e.subcomponent) for component in text.split(e.component))
        return tuple(tuple(_value(one, e) for one in parts) for parts in components)

    def place(self, number: int) -> tuple[int, int] | None:
        """Return where a field lies; None where the segment ends before it."""
        index = number - 1 if self._is_header else number  # MSH-1 is the separator itself
        starts = self._starts or self._found_starts()
        if index + 1 < len(starts):
            return starts[index], starts[index + 1] - 1
        if starts[-1] > self.end:
            return None
        beyond = index - len(starts) + 2
        return _part(self.data, self.encoding.field.encode(), starts[-1], self.end, beyond)

    def _found_starts(self) -> list[int]:
        """Note where the first fields start, and where one would that follows the last."""
        mark, starts = self.encoding.field.encode(), self._starts
        starts.append(self.start)
        while len(starts) <= _NOTED_FIELDS and starts[-1] <= self.end:
            found = self.data.find(mark, starts[-1], self.end)
            starts.append((self.end if found < 0 else found) + 1)
        return starts

    @property
    def _is_header(self) -> bool:
        return self.name == "MSH"


_NOTED_FIELDS: Final = 64
_NEVER: Final = b"\r"
"""Stands in no field."""


def _split(text: str, mark: str) -> list[str]:
    return text.split(mark) if mark else [text]


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
    return trimmed(encoding.unescaped(text))


def _declared_charset(header: bytes, separator: str, repetition: str) -> str:
    """Return the first repetition of MSH-18; Unreadable where the header is endless."""
    fields = header.split(separator.encode(), _LAST_OF_HEADER)[:_LAST_OF_HEADER]
    if sum(map(len, fields)) > MAX_HEADER_BYTES:
        raise Unreadable(_ENDLESS)
    if len(fields) < _LAST_OF_HEADER:
        return ""
    return fields[-1].decode("latin-1").partition(repetition)[0].strip()


def beginning(data: bytes) -> int:
    """Return where a message begins, after a byte order mark, blanks and line ends."""
    start = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
    found = _NO_BLANK.search(data, start)
    return found.start() if found else len(data)


@cache
def _broken(separator: bytes) -> re.Pattern[bytes]:
    """Return what finds line ends before a line that is no segment: a run of them at once."""
    mark = re.escape(separator)
    forms = (
        rb"[A-Z][A-Z0-9]{2}(?:" + mark + rb"|[\r\x20]*(?:\r|\Z))",
        rb"(?:MSH|[BF]HS|[BF]TS)[^\w\s]",
        rb"[\t\x20]*(?:\r|\Z)",
    )
    return re.compile(rb"(?<!\r)\r++(?!" + rb"|".join(forms) + rb")")


def with_one_line_end(data: bytes) -> bytes:
    """End each segment by CR; a line end within a field becomes LF. No length changes."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\r")
    return _broken(separator_of(data)).sub(lambda ends: b"\n".rjust(len(ends[0])), data)


class Message:
    """One message, with the delimiters and the character set that it declares."""

    def __init__(
        self, source: SpooledMessage, data: bytes, start: int, end: int, encoding: Encoding
    ) -> None:
        self._data = data
        self._start = start
        self._end = end
        self.source = source
        self.encoding = encoding
        self.is_charset_known = True
        """False where MSH-18 names none of the table, and characters beyond ASCII are there."""
        self.declared_charset = ""
        """MSH-18, its first repetition; ``encoding`` has the codec that is used."""

    @classmethod
    def read(cls, payload: bytes | SpooledMessage) -> "Message":
        """Read a message; Unreadable where it has no header.

        A byte that is not of the charset becomes U+FFFD, and matters only where it is part of an
        identifier. ``codec`` tells how the charset is found.
        """
        source = SpooledMessage.of(payload) if isinstance(payload, bytes) else payload
        data = with_one_line_end(source.skeleton)
        return cls.within(source, data, beginning(data), len(data))

    @classmethod
    def within(cls, source: SpooledMessage, data: bytes, start: int, end: int) -> "Message":
        """Read a message that is a part of what came, such as one of a batch.

        ``data`` is the skeleton of the whole, ``with_one_line_end``. Raises as ``read``.
        """
        if data.startswith(_STARTS_OF_BATCHES, start):
            raise Unreadable(_BATCH)
        header = _HEADER.match(data[start : start + _HEADER_START].decode("latin-1"))
        if header is None or len({*header[1], *header[2]}) != 1 + len(header[2]):
            raise Unreadable(_NO_HEADER)
        if source.pieces and header[1].encode() != separator_of(source.skeleton):
            raise Unreadable(_OTHER_SEPARATOR)
        first_end = data.find(b"\r", start, end)
        segment = data[start : end if first_end < 0 else first_end]
        declared = source.charset or _declared_charset(segment, header[1], header[2][1])
        charset = codec(source.skeleton, declared, is_ascii=source.is_ascii, is_utf8=source.is_utf8)
        encoding = Encoding(charset or "ascii", header[1], *header[2])
        message = cls(source, data, start, end, encoding)
        message.is_charset_known = charset is not None
        message.declared_charset = declared
        return message

    def read_in(self, charset: str) -> None:
        """Read texts in a codec that is known from elsewhere, whatever the message declares."""
        self.encoding = replace(self.encoding, charset=charset)
        self.is_charset_known = True
        self.__dict__.pop("header", None)

    @cached_property
    def size(self) -> int:
        """Bytes."""
        start, end = self._raw_place
        return end - start

    @cached_property
    def _raw_place(self) -> tuple[int, int]:
        end = self.source.size if self._end == len(self._data) else None
        return self.source.raw_place(self._start), end or self.source.raw_place(self._end)

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the message as it came, or a stretch of it; OSError where its file is not there."""
        first, last = self._raw_place
        return self.source.blocks(first + start, last if end is None else first + end)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex, of the message without MSH-7 and MSH-8, which a repetition may change."""
        sent, security = self.header.place(7), self.header.place(8)
        start = sent[0] - self._start if sent else 0
        end = security[1] - self._start if security else start
        return digest_of(self.blocks(), (start, end))

    @cached_property
    def broken_lines(self) -> tuple[str, ...]:
        """Where lines are no segments, which were joined to the field before: ``OBX^3^5``.

        It is a list of ten at most.
        """
        if self._data.find(b"\n", self._start, self._end) < 0:
            return ()
        return tuple(islice(self._fields_with_line_feed(), _MOST_BROKEN_LINES))

    def _fields_with_line_feed(self) -> Iterator[str]:
        mark = self.encoding.field.encode()
        for segment in self.segments():
            start = segment.start
            while (at := self._data.find(b"\n", start, segment.end)) >= 0:
                number = self._data.count(mark, segment.start, at) + (segment.name == "MSH")
                yield f"{segment.name}^{segment.sequence}^{number}"
                place = segment.place(number)
                start = max(at + 1, place[1] if place else 0)

    @cached_property
    def header(self) -> Segment:
        """MSH."""
        return next(self.segments("MSH"))

    def segments(self, name: str = "") -> Iterator[Segment]:
        """Yield the segments of a name, or all of them, in their order."""
        seen: dict[str, int] = {}
        for start in self._starts(name.encode()):
            end = self._data.find(b"\r", start, self._end)
            end = self._end if end < 0 else end
            found = self._name(start, end)
            if start < end and found == (name or found) and found.strip():
                sequence = seen[found] = seen.get(found, 0) + 1
                place = (self._data, start, end, self.encoding, self.source, self._start)
                yield Segment(found, sequence, *place)

    def _starts(self, name: bytes) -> Iterator[int]:
        """Yield where those segments begin that begin with a name; without one, all of them."""
        if not name:
            yield from (one.start() for one in _LINE.finditer(self._data, self._start, self._end))
            return
        if self._data.startswith(name, self._start, self._end):
            yield self._start
        mark = b"\r" + name
        start = self._data.find(mark, self._start, self._end) + 1
        while start:
            yield start
            start = self._data.find(mark, start, self._end) + 1

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
