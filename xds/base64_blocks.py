"""Base64 block by block, so that a document of any size takes little memory (RFC 4648 4)."""

import binascii
from collections.abc import Iterable, Iterator
from typing import Final

_BLOCK: Final = 1 << 18
_WHITE_SPACE: Final = b" \t\r\n"


class BadBase64(ValueError):
    """The text is not base64; its sentence says what of it, as in "it is cut short"."""


def encode(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the base64 text of blocks, in one line."""
    rest = b""
    for block in blocks:
        data = rest + block if rest else block
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        if whole:
            yield binascii.b2a_base64(memoryview(data)[:whole], newline=False)
    if rest:
        yield binascii.b2a_base64(rest, newline=False)


def decode(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes that base64 text stands for (RFC 2045 6.8), in whatever blocks it comes.

    White space may stand anywhere. Raises BadBase64 for any other foreign character and for padding
    that is missing or misplaced, because a document must not change on its way.
    """
    return decode_pieces((blocks,))


def decode_pieces(pieces: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """Yield the bytes of base64 text in pieces, as ``decode`` does.

    A piece that ends with padding is a text of its own; any other goes on with the next one, and
    may be cut anywhere.
    """
    rest = b""
    for piece in pieces:
        padded = False
        for block in piece:
            text = rest + block.translate(None, _WHITE_SPACE)
            if padded and text:
                raise BadBase64("it goes on after its end")
            whole = len(text) & ~3
            rest = text[whole:]
            if whole:
                padded = text[whole - 1 : whole] == b"="
                yield _decode_quads(text[:whole])
    if rest:
        raise BadBase64("it is cut short")


def decode_text(text: str) -> Iterator[bytes]:
    """Yield the bytes that a text stands for, as :func:`decode` does."""
    return decode(_slices(text))


def _slices(text: str) -> Iterator[bytes]:
    if not text.isascii():
        raise BadBase64("it has characters that are not of base64")
    for start in range(0, len(text), _BLOCK):
        yield text[start : start + _BLOCK].encode("ascii")


def _decode_quads(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise BadBase64("it has characters that are not of base64") from None
