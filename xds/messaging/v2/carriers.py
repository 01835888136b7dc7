"""Documents that OBX carry: as ED, as ED in a CE, or as base64 in a text.

A document is never built here: its bytes are decoded from the message when they are asked for, in
blocks. Base64 is strict, but for white space, which may also be written as escape sequences.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from xds.base64_blocks import BadBase64, decode_pieces
from xds.hl7v2.message import Segment
from xds.hl7v2.problems import MessageRefused
from xds.messaging.model import CarriedContent
from xds.messaging.v2 import mime_types
from xds.messaging.v2.context import location
from xds.messaging.v2.grouping import Observation
from xds.messaging.verdicts import CORRUPT, TOO_LARGE, refused

TEXT_TYPES: Final = frozenset({"TX", "FT", "ST", ""})
_CODED: Final = frozenset({"CE", "CWE"})
_DATA: Final = 5
"""The component of an ED that has the data; also the field OBX-5."""
_HEAD: Final = 96
_BASE64_HEAD: Final = re.compile(rb"[A-Za-z0-9+/]{64}")
_LONGEST_ESCAPE: Final = 64
_DECLARED_ENCODING: Final = re.compile(r"<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([\w.-]+)")
NO_VALUE: Final = frozenset({"X", "N", "I", "O"})
"""OBX-11 of rows that come without a value."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where the data of a document lies, or of a part of it."""

    segment: Segment
    repetition: int
    component: int | None

    def blocks(self) -> Iterator[bytes]:
        return self.segment.blocks(_DATA, self.repetition, self.component)

    def head(self) -> bytes:
        """Return how the data begins, without white space."""
        head = b""
        for block in self.blocks():
            head += block[: 4 * _HEAD].translate(None, b" \t\r\n")
            if len(head) >= _HEAD:
                break
        return head[:_HEAD]


@dataclass(frozen=True, slots=True)
class Carrier:
    """One document that an OBX carries, or several of them piece by piece."""

    observation: Observation
    how: str
    """``ED``, ``CE-as-ED``, or ``base64``."""
    mime_type: str
    encoding: str
    """``base64``, ``hex``, or ``a``: the data is the text itself."""
    pieces: Sequence[_Piece]

    @property
    def location(self) -> str:
        """Where its data lies: ``OBX^3^5``."""
        piece = self.pieces[0]
        repetition = (piece.repetition,) if piece.repetition > 1 else ()
        return location(piece.segment, _DATA, *repetition)

    @property
    def is_empty(self) -> bool:
        """Whether there is no data at all."""
        return not any(piece.head() for piece in self.pieces)

    def content(self) -> CarriedContent:
        """Return the document; its blocks raise ContentRefused as the model says."""
        return CarriedContent(
            chunks=self._chunks,
            mime_type=self.mime_type,
            location=self.location,
            text=self._text if self.encoding == "base64" else tuple,
        )

    def _text(self) -> Sequence[tuple[int, int]]:
        return [one.segment.stretch(_DATA, one.repetition, one.component) for one in self.pieces]

    def _chunks(self) -> Iterator[bytes]:
        is_empty = True
        try:
            for block in _DECODERS[self.encoding](self.pieces):
                is_empty = is_empty and not block
                yield block
        except BadBase64 as error:
            raise refused(CORRUPT, self.location, f"the base64 is wrong: {error}") from None
        except MessageRefused:
            raise refused(TOO_LARGE, self.location, "the text is too long") from None
        except ValueError:
            raise refused(CORRUPT, self.location, "the data is not hexadecimal") from None
        if is_empty:
            raise refused(CORRUPT, self.location, "the document is empty")


def carriers_of(observation: Observation) -> list[Carrier]:
    """Return the documents that one OBX carries, one for each repetition."""
    obx = observation.segment
    kind = obx.value(2, 1, 1)
    if kind == "ED":
        if obx.value(11) in NO_VALUE and not obx.value(_DATA, 1, _DATA - 1):
            return []
        return [_of_ed(observation, "ED", n) for n in range(1, max(obx.repetitions(_DATA), 1) + 1)]
    if kind in _CODED and obx.value(_DATA, 1, 4).casefold() == "base64":
        return [_of_ed(observation, "CE-as-ED", n) for n in range(1, obx.repetitions(_DATA) + 1)]
    if kind in TEXT_TYPES:
        piece = _Piece(obx, 1, None)
        head = piece.head()
        mime_type = mime_types.of_base64(head)
        if mime_type and _BASE64_HEAD.match(head):
            return [Carrier(observation, "base64", mime_type, "base64", (piece,))]
    return []


def _of_ed(observation: Observation, how: str, repetition: int) -> Carrier:
    obx = observation.segment
    kind, subtype, encoding = (obx.value(_DATA, repetition, part, 1) for part in (2, 3, 4))
    encoding = encoding.casefold()
    if encoding not in _DECODERS:
        encoding = "base64"
    piece = _Piece(obx, repetition, _DATA)
    mime_type = mime_types.declared(kind, subtype)
    if not mime_type and encoding == "base64":
        mime_type = mime_types.of_base64(piece.head())
    return Carrier(observation, how, mime_type, encoding, (piece,))


def joined(carriers: Sequence[Carrier], chunks: str) -> list[Carrier]:
    """Join documents that come in pieces, each in an OBX of its own.

    Pieces are of the same OBX-3, OBX-4, type and encoding, one after the other. Where the flavour
    does not say ``join`` or ``separate``, one that does not begin as a document does is a piece of
    the one before it that does.
    """
    result: list[Carrier] = []
    for carrier in carriers:
        last = result[-1] if result else None
        if last and chunks != "separate" and _continues(last, carrier, chunks):
            pieces = (*last.pieces, *carrier.pieces)
            result[-1] = Carrier(last.observation, last.how, last.mime_type, last.encoding, pieces)
        else:
            result.append(carrier)
    return result


def _continues(last: Carrier, carrier: Carrier, chunks: str) -> bool:
    if _key(last) != _key(carrier) or last.is_empty or carrier.is_empty:
        return False
    if chunks == "join":
        return True
    first = last.pieces[0].head()
    begins = bool(mime_types.of_base64(carrier.pieces[0].head()))
    return carrier.encoding == "base64" and bool(mime_types.of_base64(first)) and not begins


def _key(carrier: Carrier) -> tuple[str, ...]:
    obx = carrier.pieces[-1].segment
    names = (obx.raw(3), obx.value(4), carrier.mime_type, carrier.encoding, carrier.how)
    if carrier.how == "base64":
        return names
    return (*names, obx.value(_DATA, 1, 2), obx.value(_DATA, 1, 3))


def _base64(pieces: Sequence[_Piece]) -> Iterator[bytes]:
    return decode_pieces(map(_text_of, pieces))


def _text_of(piece: _Piece) -> Iterator[bytes]:
    return _without_line_ends(piece.blocks(), piece.segment.encoding.escape)


def _hexadecimal(pieces: Sequence[_Piece]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        for block in _text_of(piece):
            text = rest + block.translate(None, b" \t\r\n")
            whole = len(text) & ~1
            rest = text[whole:]
            yield bytes.fromhex(text[:whole].decode("ascii"))
    if rest:
        raise ValueError("it is cut short")


def _plain(pieces: Sequence[_Piece]) -> Iterator[bytes]:
    """Yield a text in UTF-8, or in what its XML declaration says."""
    for piece in pieces:
        encoding = piece.segment.encoding
        raw = piece.segment.raw(_DATA, piece.repetition, piece.component)
        text = encoding.formatted(raw)
        declared = _DECLARED_ENCODING.match(text.lstrip())
        try:
            yield text.encode(declared[1] if declared else "utf-8")
        except (LookupError, UnicodeEncodeError):
            yield text.encode("utf-8")


_DECODERS: Final[dict[str, Callable[[Sequence[_Piece]], Iterator[bytes]]]] = {
    "base64": _base64,
    "hex": _hexadecimal,
    "a": _plain,
}


def _without_line_ends(blocks: Iterable[bytes], escape: str) -> Iterator[bytes]:
    """Yield text without the escape sequences that stand for white space."""
    mark = escape.encode()
    if not mark:
        yield from blocks
        return
    end = re.escape(mark)
    sequence = re.compile(end + rb"(?:X(?:0[9AaDd]|20)+|\.(?:br|sp[0-9+]*))" + end)
    rest = b""
    for block in blocks:
        text, rest = rest + block, b""
        if mark in text:
            text = sequence.sub(b"", text)
            at = text.rfind(mark)
            if at >= 0 and len(text) - at < _LONGEST_ESCAPE:
                text, rest = text[:at], text[at:]
        yield text
    if rest:
        yield rest
