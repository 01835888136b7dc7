"""Batches: several messages in one frame, one body or one file (HL7 v2.8.2 2.10.3).

Messages without a batch header between or before them are one too. Each message is judged by
itself; where there is a batch header, the acknowledgements come back within a batch.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from xds.hl7v2.acknowledgement import CONTROL_ID
from xds.hl7v2.message import Message, Unreadable, beginning, with_one_line_end
from xds.hl7v2.spooled import SpooledMessage
from xds.metadata import datatypes

MAX_MESSAGES: Final = 1_000
"""Of one batch."""
_MAX_HEADER_BYTES: Final = 4 * 1024
_MAX_FIELDS: Final = 13

_LATER_HEADERS: Final = re.compile(rb"\r(?:MSH|[BF]HS|[BF]TS)(?=[^\w\s]|[\r]|\Z)")


@dataclass(frozen=True, slots=True)
class Batch:
    """What came together."""

    header: Sequence[str]
    """The fields of BHS, numbered as in HL7; empty where messages came without one."""
    messages: Sequence[Message | Unreadable]
    announced: str = ""
    """BTS-1: how many messages there are."""

    def answer(self, acknowledgements: Sequence[bytes]) -> Iterator[bytes]:
        """Yield what is sent back: a batch, or each acknowledgement by itself."""
        if not self.header or not acknowledgements:
            yield from acknowledgements
            return
        separator = self.header[1]
        parties = [self.header[number] for number in (5, 6, 3, 4)]
        now, control_id = f"{datatypes.now()}+0000", uuid4().hex[:CONTROL_ID]
        fields = ["BHS", self.header[2], *parties, now, "", "", "", control_id, self.header[11]]
        first = separator.join(fields) + "\r"
        last = separator.join(["BTS", str(len(acknowledgements))]) + "\r"
        yield first.encode("latin-1") + b"".join(acknowledgements) + last.encode("latin-1")


def batches_in(source: SpooledMessage) -> Iterator[Batch]:
    """Yield the batches of what came, or one of all messages where there is no batch header.

    Raises Unreadable where there is no header at all, and where there are too many messages.
    """
    data = with_one_line_end(source.skeleton)
    starts = _starts(data)
    if len(starts) <= 1:
        yield Batch((), [Message.within(source, data, beginning(data), len(data))])
        return
    if len(starts) > MAX_MESSAGES:
        raise Unreadable(f"a batch has {MAX_MESSAGES} messages at most")
    header: Sequence[str] = ()
    messages: list[Message | Unreadable] = []
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        name = data[start : start + 3]
        if name == b"MSH":
            messages.append(_message(source, data, start, end))
        elif name == b"BTS":
            yield Batch(header, messages, _fields(data, start, end)[1])
            header, messages = (), []
        elif name == b"BHS":
            if messages:
                yield Batch(header, messages)
            header, messages = _header(data, start, end), []
    if messages:
        yield Batch(header, messages)


def _starts(data: bytes) -> list[int]:
    """Return where the headers and trailers begin; of what is before the first one nothing."""
    first = beginning(data)
    found = [match.start() + 1 for match in _LATER_HEADERS.finditer(data, first)]
    return [first, *found]


def _message(source: SpooledMessage, data: bytes, start: int, end: int) -> Message | Unreadable:
    try:
        return Message.within(source, data, start, end)
    except Unreadable as error:
        return error


def _header(data: bytes, start: int, end: int) -> Sequence[str]:
    fields = _fields(data, start, end)
    return [fields[0], chr(data[start + 3]), *fields[1:]]


def _fields(data: bytes, start: int, end: int) -> list[str]:
    """Return the fields of a header or trailer, with room for those that are absent."""
    line = data[start : min(end, start + _MAX_HEADER_BYTES)].partition(b"\r")[0]
    text = line.decode("latin-1").replace("\n", " ")
    return [*text.split(text[3:4] or "|"), *[""] * _MAX_FIELDS]
