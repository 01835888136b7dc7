"""How requests reach a server: connections that are kept, messages that stream both ways."""

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, urlsplit

from xds import __version__, tracing
from xds.closing import Closing
from xds.outgoing.connection import BrokenOff, Connection, Head, NotHTTP
from xds.outgoing.errors import NotReached, TransportFailed

LOCAL_URL: Final = "http://127.0.0.1:8080"
"""Where `xds serve` serves if nothing else is said."""

_BLOCK: Final = 256 * 1024
_JOINED: Final = 64 * 1024
"""Blocks up to this size leave together with the headers before them."""
_MOST_IDLE_SECONDS: Final = 30.0
"""Firewalls forget a silent connection without telling either end."""
_GONE: Final = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_PORTS: Final = {"http": 80, "https": 443}
_UNQUOTED: Final = "/:@!$&'()*+,;=-._~%?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a client reaches its servers."""

    timeout: float = 60.0
    """Seconds of silence after which a server is given up."""
    connect_timeout: float = 10.0
    total: float | None = None
    """Seconds that an answer may take altogether; None: as long as something comes."""
    admits: Callable[[str], bool] | None = None
    """Tells to which addresses, of those that a host has, a connection may be made; None: all."""
    tls: ssl.SSLContext | None = None
    """For https; without one, the authorities that the system trusts. See tls_context."""
    max_envelope_bytes: int = 256 << 20
    """Largest SOAP envelope to read; documents beside it have no limit."""
    assertion: bytes = field(default=b"", repr=False)
    """A signed SAML 2.0 assertion, sent with every request (XUA, ITI TF-2 3.40)."""


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
class HttpRequest:
    """A request to be sent; ``length`` is None where it is not known beforehand."""

    content_type: str
    """Empty where there is no content."""
    length: int | None
    blocks: Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further ones, which have been checked."""
    method: str = "POST"
    path: str = ""
    """What follows the path of the URL behind a slash; empty for nothing."""
    repeatable: bool = False
    """Whether to send it again when a kept connection proves to be closed: for what only reads,
    and whose blocks can be iterated again."""


class _Closed(TransportFailed):
    """The server closed the connection without an answer."""


class HttpEndpoint:
    """One URL that messages are posted to; safe to use from many threads."""

    def __init__(self, url: str, settings: Settings) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
            raise ValueError("not a URL of the form http://host/path or https://host/path")
        self.url = url
        self.max_envelope_bytes = settings.max_envelope_bytes
        self.assertion = settings.assertion
        self._settings = settings
        self._tls = None
        if parts.scheme == "https":
            self._tls = settings.tls or ssl.create_default_context()
        self._server = parts.netloc
        self._address = (parts.hostname, parts.port or _PORTS[parts.scheme])
        self._path = quote(parts.path or "/", _UNQUOTED)
        self._query = "?" + quote(parts.query, _UNQUOTED) if parts.query else ""
        self._head = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: xds/{__version__}\r\n"
            "Accept-Encoding: identity\r\n"
        )
        self._idle: deque[tuple[Connection, float]] = deque()

    def post(self, message: HttpRequest) -> "HttpResponse":
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

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose answer has been read."""
        self._idle.append((connection, time.monotonic()))

    def _kept(self) -> Connection | None:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _MOST_IDLE_SECONDS and connection.is_silent():
                return connection
            connection.close()

    def _connected(self) -> Connection:
        seconds = self._settings.connect_timeout
        try:
            connection = Connection(*self._address, self._tls, seconds, self._settings.admits)
        except (OSError, UnicodeError) as error:
            raise NotReached(f"{self._server} {_reason(error, seconds)}.") from error
        connection.settimeout(self._settings.timeout)
        return connection

    def _exchange(self, connection: Connection, message: HttpRequest) -> "HttpResponse":
        try:
            if self._settings.total is not None:
                end = time.monotonic() + self._settings.total
                connection.end_at(end, self._settings.timeout)
            sent = self._send(connection, message)
            return HttpResponse(self, connection, self._answered(connection), reusable=sent)
        except BaseException:
            connection.close()
            raise

    def _send(self, connection: Connection, message: HttpRequest) -> bool:
        """Send a message; no if the server closed while it came, perhaps after an answer."""
        trace = tracing.passed_on()
        path = f"{self._path.rstrip('/')}/{message.path}" if message.path else self._path
        head = f"{message.method} {path}{self._query}{self._head}"
        if trace:
            head += f"{tracing.HEADER}: {trace}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in message.headers.items())
        for piece in _pieces(head, message):
            try:
                connection.send(piece)
            except _GONE:
                return False
            except OSError as error:
                raise self._failed(_reason(error, self._settings.timeout)) from error
        return True

    def _answered(self, connection: Connection) -> Head:
        try:
            return connection.head()
        except (BrokenOff, *_GONE) as error:
            raise _Closed(f"{self._server} closed the connection without an answer.") from error
        except OSError as error:
            raise self._failed(_reason(error, self._settings.timeout)) from error
        except NotHTTP as error:
            raise self._failed(str(error)) from error

    def _failed(self, what: str) -> TransportFailed:
        return TransportFailed(f"{self._server} {what}.")

    def broke_off(self, error: Exception) -> TransportFailed:
        """Return the error for an answer that did not come to its end."""
        if isinstance(error, TimeoutError):
            return self._failed(_reason(error, self._settings.timeout))
        return self._failed("broke off in the middle of its answer")


class HttpResponse(Closing):
    """An answer under way: status and content type are there, its body is to be read once."""

    def __init__(
        self, endpoint: HttpEndpoint, connection: Connection, head: Head, *, reusable: bool
    ) -> None:
        self._endpoint = endpoint
        self._connection = connection
        try:
            self._reusable = reusable and head.keeps_alive
            self._body = connection.body(head)
            self.length = None if head.is_chunked else head.length
            """The bytes of the body, where the server states them."""
        except NotHTTP as error:
            raise TransportFailed(f"The server {error}.") from error
        self._closed = False
        self.url = endpoint.url
        self.status = head.status
        self.reason = head.reason
        self.location = head.headers.get("location")
        self.request_id = head.headers.get("x-request-id", "")
        self.content_type = head.headers.get("content-type", "")
        self.content_encoding = head.headers.get("content-encoding", "identity")
        self.retry_after = seconds_until(head.headers.get("retry-after", ""))
        """Seconds for which the server wants to be left alone; None where it does not say."""

    def read(self, size: int = _BLOCK, /) -> bytes:
        """Read some of the body, nothing at its end; TransportFailed where it breaks off."""
        try:
            return self._body.read(size)
        except (OSError, BrokenOff) as error:
            raise self._endpoint.broke_off(error) from error

    def close(self) -> None:
        """Let go of the answer; its connection is kept if nothing of the answer is left in it."""
        if self._closed:
            return
        self._closed = True
        if self._reusable and self._body.ended:
            self._endpoint.keep(self._connection)
        else:
            self._connection.close()


def seconds_until(retry_after: str) -> float | None:
    """Return the seconds that Retry-After says (RFC 9110 10.2.3); None where it says none."""
    said = retry_after.strip()
    if not said:
        return None
    if said.isascii() and said.isdecimal():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    if moment.tzinfo is None:  # -0000
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _pieces(head: str, message: HttpRequest) -> Iterator[bytes]:
    """Yield what is written at a time: the headers with the first block, if that is small."""
    chunked = message.length is None
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {message.length}"
    if message.content_type:
        framing += f"\r\nContent-Type: {message.content_type}"
    waiting = f"{head}{framing}\r\n\r\n".encode("ascii")
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
    strerror = error.strerror if isinstance(error, OSError) else None
    return f"cannot be reached: {strerror or type(error).__name__}"
