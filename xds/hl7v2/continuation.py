"""Messages that are sent in parts, and segments that go on in others (HL7 v2.8.2 2.10.2).

A part that another one follows ends with DSC, whose DSC-1 is repeated in MSH-14 of the next one. An
ADD continues the segment before it: what stands behind its first separator belongs there. In a part
it may come first, and then continues the last segment of the part before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from xds.hl7v2.message import Message, Segment
from xds.hl7v2.problems import MessageRefused, Problem
from xds.hl7v2.spooled import LimitOf, SpooledMessage

_POINTER: Final = 14
"""MSH-14, which the whole has no use for."""
_MOST_BYTES: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Where a message stands among the parts of another one; whole where both are empty."""

    follows: str
    """MSH-14: the part before it has this in DSC-1."""
    awaits: str
    """DSC-1: the part after it has this in MSH-14."""

    @property
    def is_part(self) -> bool:
        """Whether it is a part."""
        return bool(self.follows or self.awaits)

    @property
    def location(self) -> str:
        """What says so."""
        return f"MSH^1^{_POINTER}" if self.follows else "DSC^1^1"


def place_of(message: Message) -> PartPlace:
    """Return which part a message is."""
    pointers = [one.value(1) for one in message.segments("DSC")]
    return PartPlace(message.header.value(_POINTER), next(filter(None, pointers), ""))


@contextmanager
def without_addenda(message: Message) -> Iterator[Message]:
    """Give a message in which each ADD is part of the segment that it continues.

    MessageRefused where there is no such segment.
    """
    if not message.count("ADD"):
        yield message
        return
    with joined([message], _MOST_BYTES) as source:
        if source.error:
            raise source.error
        yield Message.read(source)


def joined(parts: Sequence[Message], limit: LimitOf | int) -> SpooledMessage:
    """Put the parts of a message together, the first one first; it is the caller's to close.

    Its header is that of the last part, without MSH-14. MessageRefused where they do not fit.
    """
    last = parts[-1]
    written = {(one.encoding.field, one.encoding.characters, one.header.raw(18)) for one in parts}
    if len(written) > 1:
        raise _refused("MSH^1^2", "the parts of a message have the same delimiters and MSH-18")
    whole = SpooledMessage(limit)
    whole.charset = last.source.charset
    try:
        for block in _blocks(parts):
            whole.write(block)
    except BaseException:
        whole.close()
        raise
    whole.finish()
    return whole


def _blocks(parts: Sequence[Message]) -> Iterator[bytes]:
    header = parts[-1].header
    pointer = header.place(_POINTER) or (header.end, header.end)
    yield header.data[header.start : pointer[0]] + header.data[pointer[1] : header.end]
    is_first = True
    for part in parts:
        for segment in part.segments():
            if segment.name in ("MSH", "DSC"):
                continue
            if segment.name == "ADD":
                if is_first:
                    raise _refused("ADD^1", "there is no segment before it that it continues")
                yield from _stretch(segment, len("ADD|"))
            else:
                yield b"\r"
                yield from _stretch(segment, 0)
            is_first = False
    yield b"\r"


def _stretch(segment: Segment, after: int) -> Iterator[bytes]:
    """Yield the bytes of a segment, but for some at its beginning."""
    start = min(segment.start + after, segment.end)
    yield from segment.source.stretched(segment.data, start, segment.end)


def _refused(location: str, reason: str) -> MessageRefused:
    return MessageRefused(Problem("100", location, reason))
