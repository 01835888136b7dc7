"""What the bytes of a document are, whatever their sender calls them."""

import codecs
import re
from collections.abc import Iterable, Sequence
from typing import Final

_PDF_WITHIN: Final = 1024
"""Bytes in which the header of a PDF begins (ISO 32000-1, Annex H.3, note 13)."""

IMAGES: Final[Sequence[tuple[bytes, str]]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
"""The first bytes of images."""
_OTHER: Final[Sequence[tuple[bytes, str]]] = (
    (b"{\\rtf", "application/rtf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_HTML: Final = re.compile(rb"(?i)<!doctype\s+html|<html[\s>]")
_HTML_WITHIN: Final = 1024
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WHITE: Final = b" \t\r\n"
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""What no text has, but for the escape of ISO 2022."""
_is_charset: Final = re.compile(
    r"(?i)utf-?(8|16|16le|16be)|us-ascii|ascii|latin-?[1-9]|iso-?8859-[0-9]{1,2}|windows-[0-9]{3,4}"
    r"|cp[0-9]{3,4}|koi8-[ru]|shift_jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5|macintosh"
).fullmatch
"""The encodings that a sender may name: others of Python are none, or slow."""
_LOOKED_AT: Final = 65_536


def media_type(data: bytes) -> str:
    """Return the media type that the first bytes tell; empty where they may be any text."""
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "application/pdf"
    for start, name in (*IMAGES, *_OTHER):
        if data.startswith(start):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if data[128:132] == b"DICM":
        return "application/dicom"
    return ""


def is_html(data: bytes) -> bool:
    """Tell whether bytes are HTML as browsers see it: XML is told apart before."""
    return bool(_HTML.search(data[:_HTML_WITHIN]))


def is_binary(data: bytes) -> bool:
    """Tell whether bytes are no text in any encoding that has been met."""
    if data.startswith(tuple(mark for mark, _ in _BYTE_ORDER_MARKS[1:])):
        return False
    return bool(_CONTROLS.search(data[:_LOOKED_AT]))


def markup_of(data: bytes) -> str:
    """Return ``xml`` or ``json`` where the first sign is one of theirs, else nothing."""
    start = data[:_LOOKED_AT]
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            start = start.decode(encoding, "replace")[:_PDF_WITHIN].encode()
            break
    start = start.lstrip(_WHITE)
    if start.startswith((b"<\0", b"\0<", b"<")):
        return "xml"
    return "json" if start.startswith(b"{") else ""


def markup_in(blocks: Iterable[bytes]) -> bytes:
    """Return a document that may be CDA or FHIR; nothing of any other, which is not read on."""
    data = bytearray()
    for block in blocks:
        if not data and not markup_of(block):
            return b""
        data += block
    return bytes(data)


def decoded(data: bytes, declared: str = "") -> tuple[str, bool]:
    """Return a text, and whether its encoding was sure: a byte order mark, UTF-8, or declared.

    What is neither is read as Windows-1252, in which most text without a declaration was written.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), True
    for encoding in ("utf-8", declared):
        if not _is_charset(encoding):
            continue
        try:
            return data.decode(encoding), True
        except (UnicodeDecodeError, LookupError, ValueError):
            continue
    return data.decode("cp1252", "replace"), False
