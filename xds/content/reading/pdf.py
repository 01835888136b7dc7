"""A PDF read (ISO 32000-1): whether it opens, and what in it acts.

Nothing in a PDF is trusted as metadata. What acts is found by its names, also where they are
written with escapes, in object streams, and in objects that nothing refers to any more.
"""

import logging
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Final

from pypdf import PdfReader, filters
from pypdf.errors import PyPdfError

from xds.content.reading.model import ContentFinding, ContentHeader, ReadDocument

MEDIA_TYPE: Final = "application/pdf"

# it would log of broken files what stands in them
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)

ACTIVE: Final[Mapping[str, str]] = {
    "AA": "does something when a page or a field is shown, printed or left",
    "EmbeddedFile": "has files within it",
    "EmbeddedFiles": "has files within it",
    "GoToE": "opens a document within it",
    "GoToR": "opens another document",
    "ImportData": "takes data from a file",
    "JS": "has a script",
    "JavaScript": "has a script",
    "Launch": "starts a program or opens a file",
    "OpenAction": "does something when it is opened",
    "Rendition": "plays media",
    "RichMedia": "plays media",
    "SubmitForm": "sends what is entered",
    "URI": "links to addresses elsewhere",
    "XFA": "has a form that may have scripts",
}
"""The names of what acts, and what it does."""
_SHORT: Final = 4
"""Characters of a name that compressed data may have by chance."""
_MOST_INFLATED: Final = 8 << 20
"""Bytes of one object stream."""
_MOST_OBJECTS: Final = 64 << 20
"""Bytes of all object streams together."""
_NAME: Final = re.compile(rb"/([^\x00\t\n\f\r ()<>\[\]{}/%]{1,64})")
_ESCAPE: Final = re.compile(rb"#([0-9a-fA-F]{2})")
_STREAM: Final = re.compile(rb"\bstream\r?\n")
_DESTINATION: Final = re.compile(rb"\s*\[")
_ENCRYPTED: Final = ContentFinding(
    code="encrypted",
    message="The PDF is encrypted: what is in it cannot be looked at without its password.",
)
_HIDDEN: Final = ContentFinding(
    code="active-content",
    message="The PDF has objects that could not be looked at; they may act.",
)


def read(data: bytes) -> ReadDocument:
    """Read a PDF, broken or not."""
    return ReadDocument(
        kind="pdf", media_type=MEDIA_TYPE, header=ContentHeader(), findings=tuple(_findings(data))
    )


_BROKEN: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    zlib.error,
)
"""What pypdf lets through of files that are not as they should be."""


def _findings(data: bytes) -> Iterator[ContentFinding]:
    is_encrypted = False
    try:
        reader = PdfReader(BytesIO(data), strict=False)
        is_encrypted = reader.is_encrypted
        if is_encrypted and not reader.decrypt(""):
            yield _ENCRYPTED
        elif len(reader.pages) == 0:
            yield _broken("The PDF has no page.")
    except (PyPdfError, *_BROKEN):
        yield _broken("The PDF is broken: its objects cannot be found.")
    yield from _active(data, is_encrypted)


def _broken(message: str) -> ContentFinding:
    return ContentFinding(code="broken", message=message)


def _active(data: bytes, is_encrypted: bool) -> Iterator[ContentFinding]:
    found: dict[str, None] = {}
    hidden = False
    left = _MOST_OBJECTS
    for part, is_stream in _parts(data):
        found |= dict.fromkeys(_names(part, longer_than=_SHORT if is_stream else 0))
    for dictionary, content in _object_streams(data):
        objects = _decoded(dictionary, content, min(_MOST_INFLATED, left))
        if objects is None:
            hidden = hidden or not is_encrypted
            continue
        left -= len(objects)
        found |= dict.fromkeys(_names(objects))
    if "EmbeddedFile" in found:
        found.pop("EmbeddedFiles", None)
    for name in found:
        yield ContentFinding(
            code="active-content", message=f"The PDF {ACTIVE[name]} (/{name}).", place=f"/{name}"
        )
    if hidden:
        yield _HIDDEN


def _parts(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield what stands between streams, and the streams as they are."""
    at = 0
    for match in _STREAM.finditer(data):
        if match.start() < at:
            continue
        yield data[at : match.end()], False
        end = data.find(b"endstream", match.end())
        at = end if end >= 0 else len(data)
        yield data[match.end() : at], True
    yield data[at:], False


def _names(part: bytes, longer_than: int = 0) -> Iterator[str]:
    """Yield the names of what acts that stand in a part of a PDF."""
    for match in _NAME.finditer(part):
        name = _plain(match[1])
        if len(name) <= longer_than or name not in ACTIVE:
            continue
        if name == "OpenAction" and _DESTINATION.match(part, match.end()):
            continue  # it only says which page is shown first
        yield name


def _plain(name: bytes) -> str:
    if b"#" in name:
        name = _ESCAPE.sub(lambda one: bytes([int(one[1], 16)]), name)
    return name.decode("latin-1")


# Object streams


def _object_streams(data: bytes) -> Iterator[tuple[list[str], bytes]]:
    """Yield the names in the dictionary of each object stream, and its content."""
    for match in _STREAM.finditer(data):
        start = data.rfind(b"obj", 0, match.start())
        names = [_plain(one[1]) for one in _NAME.finditer(data, max(start, 0), match.start())]
        if "ObjStm" in names:
            end = data.find(b"endstream", match.end())
            yield names, data[match.end() : end if end >= 0 else len(data)]


def _hex(content: bytes, most: int) -> bytes:
    digits = re.sub(rb"[^0-9a-fA-F]", b"", content.partition(b">")[0])[: most * 2]
    return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def _inflate(content: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(content, most)


_FILTERS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "FlateDecode": _inflate,
    "Fl": _inflate,
    "ASCIIHexDecode": _hex,
    "AHx": _hex,
    "ASCII85Decode": lambda content, most: filters.ASCII85Decode.decode(content)[:most],
    "A85": lambda content, most: filters.ASCII85Decode.decode(content)[:most],
    "RunLengthDecode": lambda content, most: filters.RunLengthDecode.decode(content)[:most],
    "RL": lambda content, most: filters.RunLengthDecode.decode(content)[:most],
    "LZWDecode": lambda content, most: filters.LZWDecode.decode(content)[:most],
    "LZW": lambda content, most: filters.LZWDecode.decode(content)[:most],
}


def _decoded(dictionary: list[str], content: bytes, most: int) -> bytes | None:
    """Return the objects of a stream; None where they cannot be had."""
    for name in dictionary:
        read = _FILTERS.get(name)
        if read is None:
            continue
        try:
            content = read(content, most)
        except (PyPdfError, *_BROKEN):
            return None
        if not content:
            return None
    return content
