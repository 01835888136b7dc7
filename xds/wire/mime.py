"""MIME as SOAP uses it: content types, and multipart bodies read once and forward only.

A multipart body may hold documents of any size, so nothing here keeps a part: the reader holds one
block of the stream, finds the next delimiter in it and hands the bytes before it on. What a
delimiter is, byte for byte, is RFC 2046 section 5.1.1; what the parts mean is in `mtom`.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Protocol

from xds import base64_blocks
from xds.base64_blocks import BadBase64
from xds.errors import FailureKind, RequestRefused


class MalformedMessage(RequestRefused, ValueError):
    """What came is not the MIME that it claims to be; the sentence may be shown to the sender."""

    failure_kind = FailureKind.MALFORMED


# ---- content types ------------------------------------------------------------------------------

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"\s*({TOKEN}/{TOKEN})\s*(?=;|\Z)")
# The value is properly quoted, or quoted around quotation marks that nobody escaped, or bare: then
# it goes on to the semicolon, because stacks leave `<`, `=`, `@` and `/` unquoted.
_PARAMETER = re.compile(
    r"""[\s;]*([^\s;="]+)\s*=\s*+
    (?: "((?:[^"\\]|\\.)*)"\s*(?=;|\Z)  |  "(.*?)"\s*(?=;|\Z)  |  ((?!")[^;]*) )""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type header: the media type and the parameter names in lower case."""

    media_type: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> "ContentType":
        """Read a header value as leniently as real SOAP stacks need.

        Of two parameters with one name the first counts.
        """
        return _remembered(header) if len(header) <= _MOST_REMEMBERED else _read(header)

    @property
    def boundary(self) -> str:
        """The boundary of a multipart type."""
        boundary = self.parameters.get("boundary")
        if not boundary:
            raise MalformedMessage("The multipart content type names no boundary.")
        return boundary

    @property
    def start(self) -> str | None:
        """The Content-ID of the root part, without angle brackets, if named (RFC 2387 3.2)."""
        return bare_id(self.parameters.get("start"))

    @property
    def action(self) -> str | None:
        """The SOAP action, if there is one.

        It is a parameter of its own, or inside `start-info` (JAX-WS RI), or inside `type` (the
        root part of CXF).
        """
        return _action_parameter(self) or next(filter(None, self._nested_actions()), None)

    def _nested_actions(self) -> Iterator[str | None]:
        for name in ("start-info", "type"):
            nested = self.parameters.get(name, "")
            if ";" in nested:
                try:
                    yield _action_parameter(ContentType.parse(nested))
                except MalformedMessage:
                    continue


_MOST_REMEMBERED: Final = 500
"""Characters of a header that is remembered: clients send the same few, apart from boundaries."""


def _read(header: str) -> ContentType:
    media_type = _MEDIA_TYPE.match(header)
    if media_type is None:
        raise MalformedMessage("The content type does not begin with a media type.")
    parameters: dict[str, str] = {}
    end = media_type.end()
    while found := _PARAMETER.match(header, end):
        end = found.end()
        parameters.setdefault(found[1].lower(), _parameter_value(found))
    if header[end:].strip("; \t\r\n"):
        raise MalformedMessage("The content type has a parameter that cannot be read.")
    return ContentType(media_type[1].lower(), MappingProxyType(parameters))


_remembered: Final = lru_cache(256)(_read)


def action_of(header: str | None) -> str | None:
    """The SOAP action that a raw Content-Type names, if it can be read and names one."""
    content_type = _readable(header)
    return content_type.action if content_type else None


def charset_of(header: str | None) -> str | None:
    """The character set that a raw Content-Type names, if it can be read and names one."""
    content_type = _readable(header)
    return content_type.parameters.get("charset") if content_type else None


def _readable(header: str | None) -> ContentType | None:
    try:
        return ContentType.parse(header) if header else None
    except MalformedMessage:
        return None


def bare_id(identifier: str | None) -> str | None:
    """A Content-ID without white space and angle brackets, however many or few there are."""
    return (identifier or "").strip(" \t\r\n<>") or None


def _parameter_value(found: re.Match[str]) -> str:
    _, quoted, unescaped, bare = found.groups()
    if bare is not None:
        return str(bare).strip()
    value = str(quoted if quoted is not None else unescaped)
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value


def _action_parameter(content_type: ContentType) -> str | None:
    # Escaped once too often, or in single quotation marks: no action begins or ends with these.
    return content_type.parameters.get("action", "").strip(" \t\r\n\"'\\") or None


# ---- content transfer encodings -----------------------------------------------------------------

_LONGEST_LINE = 64 * 1024


def _decode_base64(blocks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from base64_blocks.decode(blocks)
    except BadBase64 as error:
        raise MalformedMessage(f"A part is not base64: {error}.") from None


def _decode_quoted_printable(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        lines, line_end, rest = (rest + block).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise MalformedMessage("A quoted-printable part has a line that is too long.")
        if line_end:
            yield binascii.a2b_qp(lines + line_end)
    if rest:
        yield binascii.a2b_qp(rest)


def _as_they_are(blocks: Iterator[bytes]) -> Iterator[bytes]:
    return blocks


_DECODERS: Mapping[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = MappingProxyType(
    {
        "": _as_they_are,
        "binary": _as_they_are,
        "8bit": _as_they_are,
        "7bit": _as_they_are,
        "base64": _decode_base64,
        "quoted-printable": _decode_quoted_printable,
    }
)


# ---- the multipart reader -----------------------------------------------------------------------

# Large enough that the work for each block is nothing beside the search in it, small enough that
# many requests at a time do not matter, and that a block is still in the cache when it is hashed.
BLOCK = 128 * 1024
BLANK_LINE = re.compile(rb"\n\r?\n")
_MOST_AFTER_BOUNDARY = 260
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]{0,255}(?:(\r?\n)|\Z)")
BOUNDARY = re.compile(r"[ -~]*[!-~]")
_ANY_LINE_END = (b"\r\n", b"\n")
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """How much of what a sender may make the reader take."""

    header_bytes: int = 16 * 1024
    """of the headers of one part"""
    parts: int = 10_000
    boundary: int = 200
    """characters of the boundary: RFC 2046 says 70, some stacks forget it"""
    preamble_bytes: int = 64 * 1024
    """before the first boundary"""
    message_bytes: int | None = None
    """of the whole message; no limit if None"""


DEFAULT_LIMITS = MimeLimits()


class Readable(Protocol):
    """A stream that can only be read on: `wsgi.input`, a response, a file."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, and no bytes only at the end."""
        ...


class BodyPart:
    """One part of a multipart body: its headers, and its bytes to be taken once."""

    __slots__ = ("_blocks", "content_id", "content_type", "headers", "is_root")

    def __init__(self, headers: Mapping[str, str], is_root: bool, blocks: Iterator[bytes]) -> None:
        self.headers = headers
        self.content_id = bare_id(headers.get("content-id"))
        self.content_type = headers.get("content-type")
        self.is_root = is_root
        self._blocks: Iterator[bytes] | None = blocks

    def chunks(self) -> Iterator[bytes]:
        """The decoded bytes of the part, in blocks.

        They can be taken once, and only until the reader is asked for the next part; afterwards
        it is an error, never a shorter document.
        """
        if self._blocks is None:
            raise RuntimeError("The bytes of this part have already been taken.")
        blocks, self._blocks = self._blocks, None
        return blocks


class MultipartReader:
    """The parts of one multipart body in the order in which they come (RFC 2046 5.1.1).

    The root is the part that `start` names, else the first; documents may come before it.
    Going on to the next part passes over what is left of the present one. The stream is read to
    its end, so that the connection can be used again.
    """

    def __init__(
        self,
        stream: Readable,
        boundary: str,
        limits: MimeLimits = DEFAULT_LIMITS,
        start: str | None = None,
    ) -> None:
        if not boundary or len(boundary) > limits.boundary or not BOUNDARY.fullmatch(boundary):
            raise MalformedMessage("The boundary is too long or not made of ASCII characters.")
        self._limits = limits
        self._start = bare_id(start)
        # A preamble is read as a part is; the line end before it lets it be absent.
        self._window = _Window(stream, limits.message_bytes, b"\n")
        self._dash_boundary = b"--" + boundary.encode("ascii")
        self._delimiter = b"\n" + self._dash_boundary
        self._line_ends: tuple[bytes, ...] = _ANY_LINE_END
        self._in_body = True
        self._closed = False
        self._turn = 0
        self._count = 0
        self._root_came = False
        self._parts = self._read_parts()

    def __iter__(self) -> Iterator[BodyPart]:
        return self._parts

    def _read_parts(self) -> Iterator[BodyPart]:
        self._pass_preamble()
        while not self._closed:
            yield self._next_part()
            self._turn += 1
            while self._in_body:
                self._next_block()
        self._window.pass_all()
        if not self._root_came:
            raise MalformedMessage("No part has the Content-ID that the start parameter names.")

    def _pass_preamble(self) -> None:
        """Go to the first delimiter line, whose line end tells that of all the others."""
        passed = 0
        while block := self._next_block():
            passed += len(block)
            if passed > self._limits.preamble_bytes:
                raise MalformedMessage("The message does not begin with its boundary.")
        if self._closed:
            raise MalformedMessage("The message has no parts.")
        line_end = b"\r\n" if self._window.before() == b"\r" else b"\n"
        self._line_ends = (line_end,)
        self._delimiter = line_end + self._dash_boundary

    def _next_part(self) -> BodyPart:
        self._count += 1
        if self._count > self._limits.parts:
            raise MalformedMessage(f"The message has more than {self._limits.parts} parts.")
        headers = parse_headers(self._header_block())
        decode = _DECODERS.get(headers.get("content-transfer-encoding", "").lower())
        if decode is None:
            raise MalformedMessage("A part has a Content-Transfer-Encoding that is not known.")
        self._enter_body()
        part = BodyPart(headers, self._is_root(headers), decode(self._body(self._turn)))
        self._root_came = self._root_came or part.is_root
        return part

    def _is_root(self, headers: Mapping[str, str]) -> bool:
        if self._root_came:
            return False
        return self._start is None or bare_id(headers.get("content-id")) == self._start

    def _header_block(self) -> bytes:
        """The header lines of the part that begins here.

        The window is left before the line end of the blank line: a delimiter starts with a line
        end too, and in a part without a body the two are one.
        """
        window, most = self._window, self._limits.header_bytes
        while True:
            # The window begins with the line feed of the delimiter line: without headers this
            # is where the blank line is found.
            found = BLANK_LINE.search(window.data, window.position, window.position + most + 3)
            if found:
                block = window.data[window.position : found.start() + 1]
                window.position = found.end() - len(self._line_ends[0])
                return block
            if window.size() >= most + 3:
                raise MalformedMessage(f"The headers of a part are longer than {most} bytes.")
            if not window.read_on():
                raise MalformedMessage("The message ends within the headers of a part.")

    def _enter_body(self) -> None:
        self._in_body = not self._passes_delimiter()
        if self._in_body:
            self._window.position += len(self._line_ends[0])

    def _body(self, turn: int) -> Iterator[bytes]:
        while True:
            if turn != self._turn:
                raise RuntimeError("The reader has already gone on to a later part.")
            block = self._next_block()
            if not block:
                return
            yield block

    def _next_block(self) -> bytes:
        """The next bytes of the body under way, none when its delimiter has been passed."""
        window, delimiter = self._window, self._delimiter
        while self._in_body:
            found = self._find_delimiter()
            if found == window.position:
                self._in_body = not self._passes_delimiter()
                if self._in_body:
                    return window.take(window.position + len(delimiter))
            elif found >= 0:
                return window.take(found)
            elif block := window.take(self._end_of_plain_bytes()):
                return block
            elif not window.read_on():
                raise MalformedMessage(
                    "The message ends before its closing boundary."
                    if self._count
                    else "The boundary does not occur in the message."
                )
        return b""

    def _find_delimiter(self) -> int:
        """Where the next delimiter stands, or what may yet prove to be one; -1 if nowhere.

        Lines that only begin like one are passed over.
        """
        data, delimiter = self._window.data, self._delimiter
        all_at_hand = len(data) - len(delimiter) - _MOST_AFTER_BOUNDARY
        found = data.find(delimiter, self._window.position)
        while 0 <= found <= all_at_hand and not self._delimiter_line(found):
            found = data.find(delimiter, found + len(delimiter))
        return found

    def _delimiter_line(self, found: int) -> re.Match[bytes] | None:
        """The rest of the delimiter line that begins there; None if the line is a longer one."""
        line = _AFTER_BOUNDARY.match(self._window.data, found + len(self._delimiter))
        return line if line and (line[1] or line[2] in self._line_ends) else None

    def _end_of_plain_bytes(self) -> int:
        """Where the window's last bytes could be the first of a delimiter that is yet to come."""
        data, delimiter = self._window.data, self._delimiter
        nearest = max(self._window.position, len(data) - len(delimiter) + 1)
        # The first byte of a delimiter does not come again in it: one place is enough to look at.
        last = data.rfind(delimiter[:1], nearest)
        return last if last >= 0 and delimiter.startswith(data[last:]) else len(data)

    def _passes_delimiter(self) -> bool:
        """Go past a delimiter line at the window's position; no if a longer line stands there."""
        window = self._window
        window.ensure(len(self._delimiter) + _MOST_AFTER_BOUNDARY)
        if not window.data.startswith(self._delimiter, window.position):
            return False
        line = self._delimiter_line(window.position)
        if line is None:
            return False
        self._closed = line[1] is not None
        window.position = line.end() if self._closed else line.end() - 1
        return True


class _Window:
    """The block of the stream under inspection: `data` from `position` on is still to be done."""

    __slots__ = ("_most", "_stream", "_total", "data", "position")

    def __init__(self, stream: Readable, most: int | None, data: bytes) -> None:
        self._stream = stream
        self._most = most
        self._total = 0
        self.data = data
        self.position = 0

    def size(self) -> int:
        """How many bytes are at hand."""
        return len(self.data) - self.position

    def before(self) -> bytes:
        """The byte before the position."""
        return self.data[self.position - 1 : self.position]

    def take(self, end: int) -> bytes:
        """The bytes up to `end`; a whole block is handed on without a copy."""
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def read_on(self) -> bool:
        """Add a block of the stream; no at its end."""
        block = self._stream.read(BLOCK)
        self._total += len(block)
        if self._most is not None and self._total > self._most:
            raise MalformedMessage(f"The message is longer than {self._most} bytes.")
        self.data = self.data[self.position :] + block
        self.position = 0
        return bool(block)

    def ensure(self, size: int) -> None:
        """Have at least so many bytes at hand, unless the stream ends."""
        while self.size() < size and self.read_on():
            pass

    def pass_all(self) -> None:
        """Read the stream to its end."""
        self.position = len(self.data)
        while self.read_on():
            self.position = len(self.data)


def parse_headers(block: bytes) -> dict[str, str]:
    """The header lines by lower-cased name, unfolded; of two equal names the first counts."""
    text = block.decode("utf-8", "replace").replace("\r\n", "\n")
    if _CONTROL.search(text):
        raise MalformedMessage("A part has a control character in its headers.")
    if "\n " in text or "\n\t" in text:
        text = re.sub(r"\n[ \t]+", " ", text)
    headers: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
        elif line:
            raise MalformedMessage("A part has a header line without a colon.")
    return headers
