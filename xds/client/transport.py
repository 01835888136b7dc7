"""HTTP/1.1 as SOAP needs it: connections that are kept, messages that stream both ways.

It stands on http.client and not on urllib3, which takes twice the time for a small message. What is
added are the pool, the one write in which a small request leaves, and an answer for every failure.
"""

import http.client
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlsplit

from xds import __version__
from xds.client.errors import TransportFailed

_BLOCK: Final = 256 * 1024
_JOINED: Final = 64 * 1024
"""Blocks up to this size leave together with the headers before them."""
_MOST_IDLE_SECONDS: Final = 30.0
"""Firewalls forget a silent connection without telling either end."""
_UNRESERVED: Final = "/:@!$&'()*+,;=-._~%?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a client reaches its servers."""

    timeout: float = 60.0
    """Seconds of silence after which a server is given up."""
    connect_timeout: float = 10.0
    tls: ssl.SSLContext | None = None
    """For https; without one, the authorities that the system trusts. See tls_context."""
    max_envelope_bytes: int = 256 << 20
    """Largest SOAP envelope to read; documents beside it have no limit."""


def tls_context(
    authorities: str | None = None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Make a context that verifies the server, and shows it a certificate (ITI TF-2 3.19).

    All are names of PEM files. Without ``authorities`` those that the system trusts count; the
    key may stand in the file of the certificate.
    """
    context = ssl.create_default_context(cafile=authorities)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request to be sent; ``length`` is None where it is not known beforehand."""

    content_type: str
    length: int | None
    blocks: Iterable[bytes]
    repeatable: bool = False
    """Whether to send it again when a kept connection proves to be closed: for what only reads,
    and whose blocks can be iterated again."""


class _Closed(TransportFailed):
    """The server closed the connection without an answer."""


class Endpoint:
    """One URL that messages are posted to; safe to use from many threads."""

    def __init__(self, url: str, settings: Settings) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("not a URL of the form http://host/path or https://host/path")
        self.url = url
        self.max_envelope_bytes = settings.max_envelope_bytes
        self._settings = settings
        self._tls = settings.tls
        if parts.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._server = parts.netloc
        target = quote(parts.path or "/", _UNRESERVED)
        if parts.query:
            target += "?" + quote(parts.query, _UNRESERVED)
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: xds/{__version__}\r\n"
            "Accept-Encoding: identity\r\n"
        )
        self._idle: deque[tuple[http.client.HTTPConnection, float]] = deque()

    def post(self, message: Message) -> "Answer":
        """Send a message and return the answer as soon as its headers are there."""
        kept = self._kept()
        if kept is not None:
            try:
                return self._exchange(kept, message)
            except _Closed:
                if not message.repeatable:
                    raise
        return self._exchange(self._connected(), message)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop()[0].close()

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Take back a connection whose answer has been read."""
        self._idle.append((connection, time.monotonic()))

    def _kept(self) -> http.client.HTTPConnection | None:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _MOST_IDLE_SECONDS and _is_silent(connection.sock):
                return connection
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        seconds = self._settings.connect_timeout
        if self._is_tls:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=seconds, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            connection.close()
            raise TransportFailed(f"{self._server} {_reason(error, seconds)}.") from error
        connection.sock.settimeout(self._settings.timeout)
        return connection

    def _exchange(self, connection: http.client.HTTPConnection, message: Message) -> "Answer":
        try:
            sent = self._send(connection, message)
            return Answer(self, connection, self._response(connection), reusable=sent)
        except BaseException:
            connection.close()
            raise

    def _send(self, connection: http.client.HTTPConnection, message: Message) -> bool:
        """Send a message; no if the server closed while it came, perhaps after an answer."""
        for piece in _pieces(self._head, message):
            try:
                connection.send(piece)
            except ConnectionError:
                return False
            except OSError as error:
                raise self._failed(error) from error
        return True

    def _response(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(connection.sock, method="POST")
        try:
            response.begin()
        except ConnectionError as error:
            response.close()
            raise _Closed(f"{self._server} closed the connection without an answer.") from error
        except (OSError, http.client.HTTPException) as error:
            response.close()
            raise self._failed(error) from error
        return response

    def _failed(self, error: Exception) -> TransportFailed:
        return TransportFailed(f"{self._server} {_reason(error, self._settings.timeout)}.")

    def broke_off(self, error: Exception | None = None) -> TransportFailed:
        """Return the error for an answer that did not come to its end."""
        why = f": it {_reason(error, self._settings.timeout)}" if isinstance(error, OSError) else ""
        return TransportFailed(f"{self._server} broke off in the middle of its answer{why}.")


class Answer:
    """An answer under way: status and content type are there, its body is to be read once."""

    def __init__(
        self,
        endpoint: Endpoint,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        *,
        reusable: bool,
    ) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._response = response
        self._reusable = reusable and not response.will_close
        self._closed = False
        self.status = response.status
        self.reason = response.reason
        self.location = response.getheader("Location")
        self.content_type = response.getheader("Content-Type") or ""
        self.content_encoding = response.getheader("Content-Encoding") or "identity"

    def read(self, size: int = _BLOCK, /) -> bytes:
        """Read some of the body, nothing at its end; TransportFailed where it breaks off."""
        try:
            block = self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self._endpoint.broke_off(error) from error
        if not block and self._response.length:
            raise self._endpoint.broke_off()
        return block

    def close(self) -> None:
        """Let go of the answer; its connection is kept if nothing of the answer is left in it."""
        if self._closed:
            return
        self._closed = True
        if self._reusable and self._response.isclosed():
            self._endpoint.keep(self._connection)
        else:
            self._response.close()
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _pieces(head: str, message: Message) -> Iterator[bytes]:
    """Yield what is written at a time: the headers with the first block, if that is small."""
    chunked = message.length is None
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {message.length}"
    waiting = f"{head}{framing}\r\nContent-Type: {message.content_type}\r\n\r\n".encode("ascii")
    for block in message.blocks:
        if not block:
            continue
        piece = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
        if len(piece) <= _JOINED:
            piece = waiting + piece
        elif waiting:
            yield waiting
        waiting = b""
        yield piece
    if end := waiting + (b"0\r\n\r\n" if chunked else b""):
        yield end


def _is_silent(sock: socket.socket) -> bool:
    """Whether nothing has come on an idle connection; what can come is its end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _reason(error: Exception, seconds: float) -> str:
    """Say what a connection came to, as the end of a sentence about the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"and this client do not agree on TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return f"did not answer within {seconds:g} seconds"
    if isinstance(error, ConnectionRefusedError):
        return "does not listen: the connection was refused"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "is no host name that is known here"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}"
    return "answered with something that is not HTTP/1.1"
