"""Pictures that a browser shows, by their magic numbers, and their sizes."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_PIXELS: Final = 50_000_000
"""Of one picture: a page of A3 at 600 dpi is 70 million, at 400 dpi 31. A browser takes four bytes
for each, however few there are in the file."""


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
