"""One HTTP/1.1 connection of a client: connect, send, read an answer's head and then its body.

It is written out here because of what general clients spend on a small message: the header parser
of the standard library takes a quarter of a millisecond for one multipart content type, and a
query is answered in less than one.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from xds.sockets import is_readable

_BUFFER: Final = 64 * 1024
_LONGEST_LINE: Final = 64 * 1024
_MOST_HEADERS: Final = 200
_MOST_INTERIM: Final = 20
_NO_BODY: Final = (204, 304)


class NotHTTP(Exception):
    """What came is not an answer of HTTP/1.1; the text says why, as the end of a sentence."""


class BrokenOff(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers of an answer; names in lower case, values of equal names joined."""

    is_1_1: bool
    status: int
    reason: str
    headers: Mapping[str, str]

    @property
    def keeps_alive(self) -> bool:
        """Whether the server keeps the connection after the answer (RFC 9112 9.3)."""
        options = {option.strip().lower() for option in self._values("connection")}
        return "close" not in options and (self.is_1_1 or "keep-alive" in options)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks; another transfer coding is none that was asked for."""
        codings = [coding.strip().lower() for coding in self._values("transfer-encoding")]
        if codings and codings != ["chunked"]:
            raise NotHTTP("answers in a transfer coding that was not asked for")
        return bool(codings)

    @property
    def length(self) -> int | None:
        """The length of the body, None where only its end tells (RFC 9112 6.3)."""
        if self.status in _NO_BODY:
            return 0
        lengths = {length.strip() for length in self._values("content-length")}
        if not lengths:
            return None
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            raise NotHTTP("answers with a Content-Length that cannot be read")
        return int(length)

    def _values(self, name: str) -> list[str]:
        value = self.headers.get(name)
        return [] if value is None else value.split(",")


class Connection:
    """A connection to a server; belongs to one thread at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        connect_timeout: float,
        admits: Callable[[str], bool] | None = None,
    ) -> None:
        """Connect, and verify the server where there is a TLS context; OSError if that fails.

        ``admits`` tells to which addresses, of those that the host has, a connection may be made;
        AddressNotAdmitted where it admits none.
        """
        sock = _connected(host, port, connect_timeout, admits)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock = sock if tls is None else tls.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        self._file = cast("BinaryIO", self._sock.makefile("rb", _BUFFER))
        self._raw: _BoundedReader | None = None

    def settimeout(self, seconds: float) -> None:
        """Set how long the other side may be silent."""
        self._sock.settimeout(seconds)

    def end_at(self, deadline: float, silence: float) -> None:
        """Have the answer to come end by a time of ``time.monotonic()``: TimeoutError after it."""
        if self._raw is None:
            self._raw = _BoundedReader(self._sock)
            self._file = cast("BinaryIO", io.BufferedReader(self._raw, _BUFFER))
        self._raw.deadline, self._raw.silence = deadline, silence

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._sock.sendall(data)

    def is_silent(self) -> bool:
        """Whether nothing has come while nothing was asked; what can come is the end."""
        return not is_readable(self._sock)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._sock.close()

    def head(self) -> Head:
        """Read the head of an answer; BrokenOff if the server closes instead, else NotHTTP."""
        for _ in range(_MOST_INTERIM):
            head = self._one_head()
            if head.status >= 200:
                return head
        raise NotHTTP("does not come to its answer")

    def _one_head(self) -> Head:
        line = self._line()
        version, _, rest = line.partition(" ")
        status, _, reason = rest.partition(" ")
        known = version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3
        if not (known and status.isascii() and status.isdigit()):
            raise NotHTTP("does not answer in HTTP/1.1")
        return Head(version == "HTTP/1.1", int(status), reason.strip(), self._headers())

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        name = ""
        for _ in range(_MOST_HEADERS):
            line = self._line()
            if not line:
                return headers
            if line[0] in " \t" and name:
                headers[name] += f" {line.strip()}"  # folded, as old servers do
                continue
            name, colon, value = line.partition(":")
            if not colon:
                raise NotHTTP("answers with a header that cannot be read")
            name = name.strip().lower()
            value = value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        raise NotHTTP(f"answers with more than {_MOST_HEADERS} headers")

    def _line(self) -> str:
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise (
                NotHTTP("answers with an endless line") if len(line) == _LONGEST_LINE else BrokenOff
            )
        return line.decode("latin-1").rstrip("\r\n")

    def body(self, head: Head) -> "ResponseBody":
        """Return the body after a head that has been read."""
        if head.is_chunked:
            return _Chunked(self._file)
        length = head.length
        return ResponseBody(self._file) if length is None else _SizedBody(self._file, length)


class AddressNotAdmitted(OSError):
    """A host has no address that may be connected to."""


def _connected(
    host: str, port: int, seconds: float, admits: Callable[[str], bool] | None
) -> socket.socket:
    if admits is None:
        return socket.create_connection((host, port), seconds)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    named = ((str(address[0]), int(address[1])) for _, _, _, _, address in found)
    addresses = [address for address in dict.fromkeys(named) if admits(address[0])]
    if not addresses:
        raise AddressNotAdmitted("it has no address that may be connected to")
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection(address, seconds)
    return socket.create_connection(addresses[-1], seconds)


class _BoundedReader(io.RawIOBase):
    """Reads from a socket until a deadline, however little comes at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline = self.silence = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left = min(self.deadline - time.monotonic(), self.silence)
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class ResponseBody:
    """A body that goes on until the server closes the connection, and the base of the others."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @property
    def ended(self) -> bool:
        """Whether all of it has been read, and the connection stands at its next answer."""
        return False

    def read(self, size: int) -> bytes:
        """Read some of it, nothing at its end; BrokenOff where the connection ends before."""
        return self._file.read(size)

    def _some(self, size: int) -> bytes:
        block = self._file.read(size)
        if not block:
            raise BrokenOff
        return block


class _SizedBody(ResponseBody):
    """A body of known length."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        super().__init__(file)
        self._left = length

    @property
    def ended(self) -> bool:
        return not self._left

    def read(self, size: int) -> bytes:
        if not self._left:
            return b""
        block = self._some(min(size, self._left))
        self._left -= len(block)
        return block


class _Chunked(ResponseBody):
    """A body in chunks (RFC 9112 7.1)."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._left = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def read(self, size: int) -> bytes:
        if not self._left and not self._ended:
            self._begin_chunk()
        if self._ended:
            return b""
        block = self._some(min(size, self._left))
        self._left -= len(block)
        if not self._left:
            self._line()
        return block

    def _begin_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise BrokenOff from None
        if not self._left:
            while self._line().strip():
                pass
            self._ended = True

    def _line(self) -> bytes:
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise BrokenOff
        return line
