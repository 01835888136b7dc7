"""Base64 block by block, so that a document of any size takes little memory (RFC 4648 4)."""

import binascii
from collections.abc import Iterable, Iterator
from typing import Final

import pybase64

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
            yield pybase64.b64encode(memoryview(data)[:whole])
    if rest:
        yield pybase64.b64encode(rest)


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
            text = rest + block
            if padded and (text := _without_white_space(text)):
                raise BadBase64("it goes on after its end")
            whole = len(text) & ~3
            decoded = _decoded(text[:whole])
            if decoded is None:  # most texts have no white space, and are not looked through for it
                text = _without_white_space(text)
                whole = len(text) & ~3
                decoded = _decoded(text[:whole])
            if decoded is None:
                raise BadBase64("it has characters that are not of base64")
            padded = padded or text[whole - 1 : whole] == b"="
            rest = text[whole:]
            if decoded:
                yield decoded
    if _without_white_space(rest):
        raise BadBase64("it is cut short")


def decode_text(text: str) -> Iterator[bytes]:
    """Yield the bytes that a text stands for, as :func:`decode` does."""
    return decode(_slices(text))


def _slices(text: str) -> Iterator[bytes]:
    if not text.isascii():
        raise BadBase64("it has characters that are not of base64")
    for start in range(0, len(text), _BLOCK):
        yield text[start : start + _BLOCK].encode("ascii")


def _decoded(text: bytes) -> bytes | None:
    """Return what groups of four characters stand for; None where others are among them."""
    try:
        return pybase64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _without_white_space(text: bytes) -> bytes:
    return text.translate(None, _WHITE_SPACE)
