"""MTOM/XOP: a SOAP envelope and its documents as the parts of one multipart/related message.

Reading: `read_parts` gives the parts as they come, `PartsByCid` finds the one that an `xop:Include`
means. Writing: `encode` gives headers, length and blocks of a message whose documents are read only
while it is sent. Both ends of the wire use this module. The form is XOP 1.0 section 3 and RFC 2387.
"""

import re
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, TypeVar
from urllib.parse import quote, unquote

from xds import base64_blocks
from xds.base64_blocks import BadBase64
from xds.wire.mime import (
    BLANK_LINE,
    BOUNDARY,
    DEFAULT_LIMITS,
    TOKEN,
    ContentType,
    MalformedMessage,
    MimeLimits,
    MultipartReader,
    Readable,
    bare_id,
    parse_headers,
)

# ---- reading ------------------------------------------------------------------------------------


def read_parts(
    content_type: ContentType, stream: Readable, limits: MimeLimits = DEFAULT_LIMITS
) -> MultipartReader:
    """The parts of the multipart/related message with this content type; one of them is the root.

    Its `type` and `start-info` are not looked at: stacks differ, and the envelope tells.
    """
    if content_type.media_type != "multipart/related":
        raise MalformedMessage("The content type is not multipart/related.")
    return MultipartReader(stream, content_type.boundary, limits, content_type.start)


_SHORT: Final = 512
"""Bytes of headers that are worth remembering."""
_AS_THEY_ARE: Final = ("", "binary", "8bit", "7bit")
"""Transfer encodings that are none."""


def only_part(
    data: bytes, content_type: ContentType, limits: MimeLimits = DEFAULT_LIMITS
) -> tuple[Mapping[str, str], bytes] | None:
    """The headers and the bytes of a message's root part, where that is all of it; else None.

    For a small message that has come: what is not written as most stacks write it, and whatever is
    wrong, is for :func:`read_parts`.
    """
    boundary = content_type.boundary
    if len(boundary) > limits.boundary or not BOUNDARY.fullmatch(boundary):
        return None
    dash_boundary = b"--" + boundary.encode("ascii")
    begin = len(dash_boundary)
    end = len(data) - begin - (6 if data.endswith(b"\r\n") else 4)
    if (
        not data.startswith(dash_boundary + b"\r\n")
        or not data.startswith(b"\r\n" + dash_boundary + b"--", max(end, 0))
        or data.count(dash_boundary) != 2
    ):
        return None
    blank = BLANK_LINE.search(data, begin + 1, begin + 1 + limits.header_bytes + 3)
    if blank is None or blank.end() > end:
        return None
    headers = _headers(data[begin + 1 : blank.start() + 1])
    start = content_type.start
    if headers.get("content-transfer-encoding", "").lower() not in _AS_THEY_ARE or (
        start is not None and bare_id(headers.get("content-id")) != start
    ):
        return None
    return headers, data[blank.end() : end]


def _headers(block: bytes) -> Mapping[str, str]:
    return _remembered_headers(block) if len(block) <= _SHORT else parse_headers(block)


_remembered_headers: Final = lru_cache(256)(parse_headers)
"""Most stacks write the headers of a root part in the same way each time."""


def cid_of(href: str) -> str:
    """The Content-ID, without angle brackets, that an `xop:Include/@href` means (RFC 2392)."""
    scheme, colon, path = href.strip(" \t\r\n").partition(":")
    if not colon or scheme.lower() != "cid":
        raise MalformedMessage("The href of an xop:Include is not a cid: URL.")
    content_id = bare_id(unquote(path))
    if content_id is None:
        raise MalformedMessage("The href of an xop:Include names no part.")
    return content_id


def href_of(content_id: str) -> str:
    """The `cid:` URL that means the part with this Content-ID (RFC 2392)."""
    return "cid:" + quote(_checked(_CONTENT_ID, content_id, "Content-ID"), safe="@!$*+-.=_~")


_Value = TypeVar("_Value")


class PartsByCid(Generic[_Value]):
    """What was made of the parts, to be found by the href of an `xop:Include`.

    The href is percent-decoded and compared with the Content-IDs as they are. Stacks that encode
    the Content-ID too, or only the Content-ID, are understood by decoding that as well.
    """

    def __init__(self) -> None:
        self._raw: dict[str, _Value] = {}
        self._decoded: dict[str, _Value] = {}

    def add(self, content_id: str, value: _Value) -> None:
        """Keep what was made of the part with this Content-ID; no two parts may share one."""
        if content_id in self._raw:
            raise MalformedMessage("Two parts have the same Content-ID.")
        self._raw[content_id] = value
        self._decoded.setdefault(unquote(content_id), value)

    def find(self, href: str) -> _Value:
        """The value for the part that the href means."""
        cid = cid_of(href)
        for parts in (self._raw, self._decoded):
            if cid in parts:
                return parts[cid]
        raise MalformedMessage("An xop:Include refers to a part that the message does not have.")


def inline_chunks(text: str) -> Iterator[bytes]:
    """The bytes of a document that stands in the envelope as base64 text, un-optimised."""
    try:
        yield from base64_blocks.decode_text(text)
    except BadBase64 as error:
        raise MalformedMessage(f"A document is not base64: {error}.") from None


# ---- writing ------------------------------------------------------------------------------------

# Below this size pieces are joined, so that a small document leaves in one write with its message;
# a piece half as long is not worth the copy and goes out as it is.
_BLOCK = 64 * 1024

_ACTION = re.compile(r"[!#-\[\]-~]+")
_CONTENT_ID = re.compile(r"[!#-;=?-\[\]-~]+")
_CONTENT_TYPE = re.compile(rf'{TOKEN}/{TOKEN}(?:[ \t]*;(?:[ \t!#-\[\]-~]|"[ \t!#-\[\]-~]*")*)?')


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document to be sent as a part of its own.

    `chunks` gives its blocks, or is called for them when its turn comes; what it gives is closed
    after use. Without `size` the length of the message is not known beforehand.
    """

    content_id: str
    content_type: str
    chunks: Callable[[], Iterable[bytes]] | Iterable[bytes]
    size: int | None = None


def is_content_type(text: str) -> bool:
    """Whether a text may stand as the content type of an attachment."""
    return _CONTENT_TYPE.fullmatch(text) is not None


class Encoded:
    """A message ready to be sent once: its Content-Type, its length if known, and its blocks.

    `close` may be called at any moment and closes the documents, those not yet sent as well.
    """

    __slots__ = ("_blocks", "_parts", "content_length", "content_type")

    def __init__(
        self,
        content_type: str,
        content_length: int | None,
        blocks: Iterator[bytes],
        parts: Sequence[Attachment],
    ) -> None:
        self.content_type = content_type
        self.content_length = content_length
        self._blocks = blocks
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Close every document, even if closing one of them fails."""
        if not self._parts:
            return
        with ExitStack() as stack:
            for part in self._parts:
                if not callable(part.chunks):
                    stack.callback(close, part.chunks)
            # Callbacks run in reverse: first whatever is being sent at this moment.
            stack.callback(close, self._blocks)


def encode(
    root: bytes | Iterable[bytes], attachments: Sequence[Attachment], action: str
) -> Encoded:
    """The message with this envelope as its root part and these documents (XOP 1.0 section 3.1).

    What would break a header is refused here, with a ValueError, before the first byte is sent.
    """
    token = secrets.token_hex(16)
    boundary = f"xds-{token}"
    parts = (_root_part(root, f"root.{token}@xds"), *attachments)
    if len({part.content_id for part in parts}) < len(parts):
        raise ValueError("Two attachments have the same Content-ID.")
    heads = [_head(boundary, part) for part in parts]
    heads[0] = heads[0].removeprefix(b"\r\n")
    tail = f"\r\n--{boundary}--\r\n".encode("ascii")
    content_type = _message_type(boundary, parts[0].content_id, action)
    length = _content_length(parts, sum(map(len, heads)) + len(tail))
    if length is not None and length <= _BLOCK and (whole := _at_hand(parts, heads, tail)):
        return Encoded(content_type, length, iter((whole,)), ())
    return Encoded(content_type, length, _joined(_pieces(parts, heads, tail)), parts)


def _at_hand(parts: Sequence[Attachment], heads: Sequence[bytes], tail: bytes) -> bytes:
    """Return a message whose parts are in memory, as long as announced; else nothing."""
    pieces: list[bytes] = []
    for head, part in zip(heads, parts, strict=True):
        if not isinstance(part.chunks, tuple) or sum(map(len, part.chunks)) != part.size:
            return b""
        pieces += (head, *part.chunks)
    pieces.append(tail)
    return b"".join(pieces)


_ROOT_TYPE: Final = 'application/xop+xml; charset=UTF-8; type="application/soap+xml"'


def _root_part(root: bytes | Iterable[bytes], content_id: str) -> Attachment:
    if isinstance(root, bytes):
        return Attachment(content_id, _ROOT_TYPE, (root,), len(root))
    return Attachment(content_id, _ROOT_TYPE, root)


def _message_type(boundary: str, start: str, action: str) -> str:
    return (
        f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<{start}>"; '
        f'start-info="application/soap+xml"; action="{_remembered(_ACTION, action, "action")}"'
    )


def _head(boundary: str, part: Attachment) -> bytes:
    return (
        f"\r\n--{boundary}\r\n"
        f"Content-Type: {_remembered(_CONTENT_TYPE, part.content_type, 'content type')}\r\n"
        "Content-Transfer-Encoding: binary\r\n"
        f"Content-ID: <{_checked(_CONTENT_ID, part.content_id, 'Content-ID')}>\r\n\r\n"
    ).encode("ascii")


def _checked(pattern: re.Pattern[str], value: str, name: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ValueError(f"The {name} of an outgoing message has characters it must not have.")
    return value


_remembered: Final = lru_cache(256)(_checked)
"""For what is the same in many messages: content types and actions."""


def _content_length(parts: Sequence[Attachment], framing: int) -> int | None:
    sizes = [part.size for part in parts if part.size is not None]
    return framing + sum(sizes) if len(sizes) == len(parts) else None


def _pieces(
    parts: Sequence[Attachment], heads: Sequence[bytes], tail: bytes
) -> Generator[bytes, None, None]:
    for head, part in zip(heads, parts, strict=True):
        yield head
        yield from _body(part)
    yield tail


def _body(part: Attachment) -> Generator[bytes, None, None]:
    """The blocks of one part.

    If it is not as long as announced, the message breaks off: with the Content-Length already
    sent there is no other way to tell the receiver.
    """
    source = part.chunks() if callable(part.chunks) else part.chunks
    sent = 0
    try:
        for chunk in source:
            sent += len(chunk)
            if part.size is not None and sent > part.size:
                raise ValueError("A part of an outgoing message is longer than announced.")
            yield chunk
        if part.size is not None and sent < part.size:
            raise ValueError("A part of an outgoing message is shorter than announced.")
    finally:
        close(source)


def _joined(pieces: Generator[bytes, None, None]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    with closing(pieces):
        for piece in pieces:
            large = len(piece) >= _BLOCK // 2
            if not large:
                waiting.append(piece)
                size += len(piece)
            if waiting and (large or size >= _BLOCK):
                yield b"".join(waiting)
                waiting.clear()
                size = 0
            if large:
                yield piece
    if waiting:
        yield b"".join(waiting)


def close(source: object) -> None:
    """Close what gives the blocks of a document, if it can be closed."""
    close_source = getattr(source, "close", None)
    if close_source is not None:
        close_source()
