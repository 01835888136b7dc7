"""What bytes are: pictures by their headers, PDF, text."""

import struct

import pytest

from xds.content.pages.pictures import MOST_PIXELS, Picture, picture_of
from xds.content.reading import kinds


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", width, height)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xfe\0\x08\xff\xc0ab\xff\xd8"
    return b"\xff\xd8" + comment + b"\xff\xff\xc2\0\x0b\x08" + struct.pack(">HH", height, width)


def webp(chunk: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + chunk


VP8X = b"VP8X" + bytes(8) + bytes((6, 0, 0)) + bytes((4, 0, 0))
VP8L = b"VP8L\0\0\0\0\x2f" + struct.pack("<I", 6 | 4 << 14) + bytes(9)
VP8 = b"VP8 " + bytes(10) + struct.pack("<HH", 7, 5)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (png(7, 5), "image/png"),
        (gif(7, 5), "image/gif"),
        (jpeg(7, 5), "image/jpeg"),
        (webp(VP8X), "image/webp"),
        (webp(VP8L), "image/webp"),
        (webp(VP8), "image/webp"),
    ],
)
def test_pictures_are_known_by_their_bytes(data: bytes, media_type: str) -> None:
    assert picture_of(data) == Picture(media_type, 7, 5)
    for length in range(len(data)):
        cut = picture_of(data[:length])
        assert cut is None or cut.width in (0, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff\xc0",
        b"\xff\xd8\xff" + b"\xff" * 100,
        b"\xff\xd8\xff\xe0\0\0" * 50,
        png(0, 5),
        png(MOST_PIXELS, 2),
        png(2**32 - 1, 2**32 - 1),
        webp(b"VP8?" + bytes(30)),
        b"BM" + bytes(60),
    ],
)
def test_what_is_none_or_too_large_is_no_picture(data: bytes) -> None:
    assert picture_of(data) is None


def test_a_pdf_may_begin_behind_other_bytes() -> None:
    assert kinds.media_type(b"\r\n\0%PDF-1.7") == "application/pdf"
    assert not kinds.media_type(b" " * 1024 + b"%PDF-1.7")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Größe".encode(), "Größe"),
        (b"\xef\xbb\xbfa", "a"),
        ("Größe".encode("utf-16"), "Größe"),
        ("Größe".encode("cp1252"), "Größe"),
    ],
)
def test_text_is_decoded_as_it_was_meant(data: bytes, text: str) -> None:
    assert not kinds.is_binary(data)
    assert kinds.decoded(data)[0] == text


@pytest.mark.parametrize("data", [b"a\0b", b"\x89PNG\r\n\x1a\n\0"])
def test_what_no_text_has_is_told(data: bytes) -> None:
    assert kinds.is_binary(data)
