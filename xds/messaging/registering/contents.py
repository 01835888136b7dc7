"""The bytes of documents that messages carry: looked at while they go to the store.

What is declared counts for less than the bytes: they are told by their first ones, and held to be
whole by their last. A document that is refused leaves nothing behind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from xds import base64_blocks
from xds.content import defaults
from xds.content.reading.rules import ReadingRules
from xds.content.versions import reading as versions
from xds.messaging.incoming import RawBytes
from xds.messaging.model import CarriedContent
from xds.messaging.verdicts import CORRUPT, MIME, ContentRefused, refused
from xds.metadata.objects import Code
from xds.metadata.submission import StatedVersion
from xds.parsing import MalformedXML, parse
from xds.repository.repository import DocumentRepository
from xds.repository.store import StagedDocument, StoreError

_ENDS: Final = 1024
"""Bytes of either end that are looked at."""
_HL7: Final = "urn:hl7-org:v3"

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "text/rtf"),
    (b"PK\x03\x04", "application/zip"),
)
_WHOLE: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "application/pdf": lambda tail: b"%%EOF" in tail,
    "image/jpeg": lambda tail: tail.rstrip(b"\0\r\n ").endswith(b"\xff\xd9"),
    "image/png": lambda tail: b"IEND" in tail[-32:],
}
"""How the end of a document shows that it is whole."""
_SAME: Final = {
    "application/rtf": "text/rtf",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "application/x-pdf": "application/pdf",
    "application/xml": "text/xml",
}
"""Other names of what is told by its bytes."""
_UNSAID: Final = frozenset({"", "application/octet-stream", "application/base64"})
_ZIPS: Final = ("application/vnd.", "application/epub", "application/x-zip")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedContent:
    """A document whose bytes have arrived and are what they should be."""

    staged: StagedDocument
    mime_type: str
    format_code: Code
    text: Sequence[tuple[int, int]] = ()
    """The stretches of the message that are, one after the other, the base64 of the document as
    :func:`base64_blocks.encode` writes it; none where its text is another one."""
    stated: StatedVersion | None = None
    """What a CDA or FHIR document says of its versions."""


class _ContentLook:
    """Passes blocks on, and keeps what is looked at."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self.head = b""
        self.tail = b""
        self.whole: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if len(self.head) < _ENDS:
                self.head = (self.head + block[:_ENDS])[:_ENDS]
            self.tail = (self.tail + block[-_ENDS:])[-_ENDS:]
            self._size += len(block)
            if self.head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<", b"{")):
                self._keep(block)
            yield block

    def _keep(self, block: bytes) -> None:
        if self._size <= versions.MOST_BYTES:
            self.whole.append(block)
        else:
            self.whole.clear()


class _TextComparison:
    """Tells whether a text is the base64 of the blocks that it is given, without line breaks."""

    def __init__(self, text: Iterator[bytes]) -> None:
        self._text = text
        self._is_same = True
        self._rest = b""
        self._ahead = b""

    def passing(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass blocks on, and compare them."""
        for block in blocks:
            if self._is_same:
                data = self._rest + block
                whole = len(data) - len(data) % 3
                self._rest = data[whole:]
                self._compare(data[:whole])
            yield block
        self._compare(self._rest)

    def _compare(self, data: bytes) -> None:
        for encoded in base64_blocks.encode([data]):
            while len(self._ahead) < len(encoded) and (more := next(self._text, b"")):
                self._ahead += more
            self._is_same = self._is_same and self._ahead.startswith(encoded)
            self._ahead = self._ahead[len(encoded) :]

    def is_same(self) -> bool:
        """Tell it after the last block."""
        return self._is_same and not self._ahead and not any(self._text)


def stage(
    repository: DocumentRepository, content: CarriedContent, raw: RawBytes, rules: ReadingRules
) -> StagedContent:
    """Take a document in; ContentRefused (CORRUPT, MIME) where it is not what it should be.

    ``raw`` is the message; by ``rules`` it is read for its versions. TransactionFailure or
    StoreError where the store cannot take it.
    """
    stretches = content.text()
    compared = _TextComparison(block for one in stretches for block in raw(*one))
    look = _ContentLook(content.chunks())
    staged = repository.stage(compared.passing(look) if stretches else look)
    try:
        mime_type, format_code = _judged(look, content)
    except ContentRefused:
        with suppress(StoreError):
            repository.store.discard([staged])
        raise
    return StagedContent(
        staged=staged,
        mime_type=mime_type,
        format_code=format_code,
        text=stretches if compared.is_same() else (),
        stated=versions.read(b"".join(look.whole), rules) if look.whole else None,
    )


def judged(content: CarriedContent, take: Callable[[bytes], object]) -> str:
    """Return the media type of a document that is not taken in; ContentRefused as of ``stage``.

    ``take`` is given its bytes, block by block.
    """
    look = _ContentLook(content.chunks())
    for block in look:
        take(block)
    return _judged(look, content)[0]


def _judged(look: _ContentLook, content: CarriedContent) -> tuple[str, Code]:
    """Return the media type and formatCode of a document that was looked at."""
    mime_type = _mime_type(look, content)
    format_code = _format_code(look, content) if mime_type == "text/xml" else None
    return mime_type, format_code or defaults.MIME_TYPE_SUFFICIENT


def _mime_type(look: _ContentLook, content: CarriedContent) -> str:
    """Return what a document is; refused where it is not what it is said to be, or not whole."""
    if not look.head:
        raise refused(CORRUPT, content.location, "the document is empty")
    declared = content.mime_type.partition(";")[0].strip().lower()
    declared = _SAME.get(declared, declared)
    found = sniffed(look.head)
    if found in _WHOLE and not _WHOLE[found](look.tail):
        raise refused(CORRUPT, content.location, f"the end of a document of {found} is missing")
    if declared in _UNSAID:
        if not found:
            reason = "neither the message nor the bytes say what kind of document it is"
            raise refused(MIME, content.location, reason)
        return found
    if found == declared or _is_form_of(declared, found):
        return declared
    reason = f"the document is declared as {declared}, and is {found or 'something else'}"
    raise refused(CORRUPT, content.location, reason)


def sniffed(head: bytes) -> str:
    """Return the media type that the first bytes of a document show; empty where none does."""
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[128:132] == b"DICM":
        return "application/dicom"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        return "text/html"
    if text.startswith(b"<"):
        return "text/xml"
    if any(byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return ""
    return "text/plain"


def _is_form_of(declared: str, found: str) -> bool:
    """Tell whether what is declared is a kind of what the bytes show."""
    if not found:  # such as an old word processor's: nobody knows its bytes
        return declared not in {known for _, known in _MAGIC} and not declared.startswith("text/")
    if found == "application/zip":
        return declared.startswith(_ZIPS)
    if found in ("text/xml", "text/html", "text/plain"):
        is_text = declared.startswith(("text/", "multipart/", "message/"))
        return (is_text and declared != "text/rtf") or declared.endswith(("+xml", "json"))
    return False


def _format_code(look: _ContentLook, content: CarriedContent) -> Code | None:
    """Return the formatCode of a CDA document by its templates; refused where XML is broken."""
    if not look.whole:  # it is larger than what is read, and is taken by its beginning
        return None
    try:
        root = parse(b"".join(look.whole))
    except MalformedXML:
        raise refused(CORRUPT, content.location, "the document is no well-formed XML") from None
    if not root.tag.startswith(f"{{{_HL7}}}"):
        return None
    templates = {one.get("root", "") for one in root.iterchildren(f"{{{_HL7}}}templateId")}
    bodies = [one.get("mediaType", "") for one in root.iterfind(".//{*}nonXMLBody/{*}text")]
    return defaults.read(None).format_code(templates, bodies)
