"""What bytes are, by their magic numbers: pictures that a browser shows, PDF, text."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_PIXELS: Final = 50_000_000
"""Of one picture: a page of A3 at 600 dpi is 70 million, at 400 dpi 31. A browser takes four bytes
for each, however few there are in the file."""

_PDF_WITHIN: Final = 1024
_NOT_TEXT: Final = frozenset(map(chr, {*range(32)} - {9, 10, 11, 12, 13, 27}))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that browsers show, in pixels."""

    media_type: str
    width: int
    height: int


def picture_of(data: bytes) -> Picture | None:
    """Return what picture bytes are; None where they are none, or of too many pixels."""
    for start, media_type, measure in _KINDS:
        if data.startswith(start):
            try:
                size = measure(data)
            except (struct.error, IndexError):
                return None
            if size is None or not 0 < size[0] * size[1] <= MOST_PIXELS:
                return None
            return Picture(media_type, *size)
    return None


def is_pdf(data: bytes) -> bool:
    """Tell whether bytes are PDF, which may come after some others (ISO 32000-1, H.3)."""
    return b"%PDF-" in data[:_PDF_WITHIN]


def text_of(data: bytes) -> str | None:
    """Decode plain text; None where there are characters that no text has.

    By its byte order mark, else as UTF-8, else as Windows-1252, of which Latin-1 is a part.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        found = data.decode("utf-16", "replace")
    else:
        try:
            found = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            found = data.decode("cp1252", "replace")
    return None if not _NOT_TEXT.isdisjoint(found) else found


_Size = tuple[int, int]


def _png(data: bytes) -> _Size | None:
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> _Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def _jpeg(data: bytes) -> _Size | None:
    """Find the frame header, which is behind segments of any length (ITU-T T.81, B.2)."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        else:
            (length,) = struct.unpack_from(">H", data, place + 2)
            place += 2 + max(length, 2)
    return None


_WEBP_HEADER: Final = 30


def _webp(data: bytes) -> _Size | None:
    if data[8:12] != b"WEBP" or len(data) < _WEBP_HEADER:
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        return None
    return width, height


_KINDS: Final[tuple[tuple[bytes, str, Callable[[bytes], _Size | None]], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", _png),
    (b"\xff\xd8\xff", "image/jpeg", _jpeg),
    (b"GIF87a", "image/gif", _gif),
    (b"GIF89a", "image/gif", _gif),
    (b"RIFF", "image/webp", _webp),
)
