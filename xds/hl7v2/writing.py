r"""Writing messages (HL7 v2.8.2 2.5): values are escaped, and documents streamed into fields.

A message that is written has the delimiters ``|^~\&`` and is encoded in UTF-8, or in ASCII where
it needs no more. A line end within a value is written ``\.br\``, other control characters drop.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from xds.hl7v2.encoding import Encoding

WRITTEN: Final = Encoding("utf-8", "|", "^", "~", "\\", "&")

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Blocks = Callable[[], Iterable[bytes]]
"""Gives the bytes of a field, which has no delimiter in them, from the beginning at each call."""


def escaped(text: str) -> str:
    """Write a value of one component."""
    lines = [WRITTEN.escaped(_CONTROL.sub("", line)) for line in _LINE_END.split(text)]
    return "\\.br\\".join(lines)


def composed(*values: str) -> str:
    """Write the components of a field; those that are empty at the end are left out."""
    return "^".join(map(escaped, values)).rstrip("^")


def repeated(fields: Iterable[str]) -> str:
    """Write the repetitions of a field, each written already; empty ones are left out."""
    return "~".join(one for one in fields if one)


@dataclass(frozen=True, slots=True)
class StreamedField:
    """A field whose last component comes in blocks, such as a document in base64."""

    before: str
    """What stands before the blocks, written already."""
    blocks: Blocks


@dataclass(slots=True)
class MessageWriter:
    """A message, segment by segment."""

    _pieces: list[str | Blocks] = field(default_factory=list)

    def header(self, fields: Mapping[int, str]) -> None:
        """Write MSH; MSH-1 and MSH-2 are not among the fields."""
        content = _joined(fields, first=3)
        self._pieces.append(f"MSH|{WRITTEN.characters}|{content}".rstrip("|") + "\r")

    def segment(self, name: str, fields: Mapping[int, str | StreamedField]) -> None:
        """Write a segment of fields that are written already, by their numbers.

        A field that is streamed is written behind those before it.
        """
        text = f"{name}|"
        for number in range(1, max(fields, default=0) + 1):
            value = fields.get(number, "")
            if isinstance(value, StreamedField):
                self._pieces += [text + value.before, value.blocks]
                text = ""
            else:
                text += value
            text += "|"
        self._pieces.append(text.rstrip("|") + "\r")

    def blocks(self) -> Iterator[bytes]:
        """Yield the message, from the beginning at each call."""
        for piece in self._pieces:
            if isinstance(piece, str):
                yield piece.encode()
            else:
                yield from piece()


def _joined(fields: Mapping[int, str], *, first: int) -> str:
    return "|".join(fields.get(number, "") for number in range(first, max(fields) + 1))
