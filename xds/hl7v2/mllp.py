"""MLLP: messages framed on a TCP connection, each answered in turn (HL7 v2.3.1 appendix C.4).

A message stands between ``0x0B`` and ``0x1C``, which ``0x0D`` follows; some senders forget that, or
send it later. The bytes between messages mean nothing. A second ``0x0B`` begins the message anew:
what came before it was cut off.

A message that is too large is read to its end without being kept, and answered then, so that its
sender hears of it.
"""

import selectors
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from xds import logs
from xds.hl7v2.spooled import LimitOf, SpooledMessage
from xds.security.node import Node
from xds.security.texts import UnacceptableText
from xds.telemetry.metrics import Metrics

START: Final = b"\x0b"
END: Final = b"\x1c\x0d"
_END: Final = END[:1]

_BLOCK: Final = 64 * 1024
_BYTES_PER_SECOND: Final = 64 * 1024
"""What a sender of a large message has to send at least."""
_ENDS_OF_FRAMES: Final = b"\r\n"
_LETTING_READ: Final = 1.0
"""Seconds for which a refused connection is kept open."""
_LEAST_SECONDS: Final = 0.001
_PAUSE_SECONDS: Final = 0.2

_log = logs.get_logger(__name__)

Answer = Callable[[SpooledMessage, Node], Iterable[bytes]]
"""Takes a message and the node that it comes from, gives its answers, none of them maybe, and never
raises; called from many threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpLimits:
    """What a peer may ask of the server."""

    message_bytes: LimitOf | int = 256 * 1024
    """Of a message; more is refused, and answered so."""
    discarded_bytes: int = 1 << 30
    """Of a message that is refused; then its connection is closed."""
    noise_bytes: int = 4 * 1024
    """Bytes outside messages, until the next one."""
    message_seconds: float = 30
    """For a message to arrive once it has begun, and for an answer to be taken. A large message has
    a second more for each 64 KiB that came."""
    idle_seconds: float = 3600
    """Silence between messages."""
    connections: int = 64
    """At once; more wait unaccepted."""
    of_address: int = 32
    """Those of one address; more are closed."""


class Intolerable(Exception):
    """What came is beyond a limit; the text says which, and quotes nothing."""


class Decoder:
    """Cuts a stream of bytes into messages, however the stream was cut in transit."""

    def __init__(self, limits: MllpLimits) -> None:
        self._limits = limits
        self._noise = 0
        self._is_after_end = False
        self._message: SpooledMessage | None = None

    @property
    def inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._message is not None

    @property
    def size(self) -> int:
        """Bytes of the message that has begun; 0 where none has."""
        return self._message.size if self._message else 0

    def feed(self, data: bytes) -> Iterator[SpooledMessage]:
        """Take in some bytes, and yield each message that they complete; may raise Intolerable.

        A message is the caller's to close.
        """
        place = 0
        while place < len(data):
            if self._message is None:
                place = self._begun(data, place)
                continue
            end = data.find(_END, place)
            stop = len(data) if end < 0 else end
            if (again := data.rfind(START, place, stop)) >= 0:
                self.close()
                self._message = SpooledMessage(self._limits.message_bytes)
                place = again + 1
            self._message.write(data[place:stop])
            if self._message.size > self._limits.discarded_bytes:
                raise Intolerable("the message is too large")
            place = stop + 1
            if end >= 0:
                message, self._message, self._is_after_end = self._message, None, True
                message.finish()
                yield message

    def close(self) -> None:
        """Let go of the message that has begun."""
        if self._message:
            self._message.close()
            self._message = None

    def _begun(self, data: bytes, place: int) -> int:
        """Begin a message, and return where its content does; the end where none begins."""
        if self._is_after_end and data[place] in _ENDS_OF_FRAMES:
            place += 1
        self._is_after_end = False
        start = data.find(START, place)
        self._noise += (len(data) if start < 0 else start) - place
        if self._noise > self._limits.noise_bytes:
            raise Intolerable("too many bytes outside messages")
        if start < 0:
            return len(data)
        self._message, self._noise = SpooledMessage(self._limits.message_bytes), 0
        return start + 1


def framed(message: bytes) -> bytes:
    """Put a message into its frame."""
    return START + message + END


class Server:
    """Accepts connections and answers their messages, a thread for each connection."""

    def __init__(
        self,
        listening: socket.socket,
        answer: Answer,
        limits: MllpLimits,
        tls: ssl.SSLContext | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics
        self.tls = tls
        """For connections that come; may be replaced at any time."""
        self._listening = listening
        self._answer = answer
        self._limits = limits
        self._free = threading.Semaphore(limits.connections)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._of_address: Counter[str] = Counter()
        self._stopping = False
        self._wake, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Serve until ``stop`` is called, and return when the connections have ended.

        The listening socket is polled and not shut down: a process that takes over from this one
        may be listening at it too.
        """
        self._listening.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                if self._free.acquire(timeout=1):
                    self._accept_one(selector)
        self._let_go()

    def stop(self) -> None:
        """Have messages under way answered, and no further ones; may be called by a signal."""
        self._stopping = True
        with suppress(OSError):
            self._wake.send(b"x")

    def _accept_one(self, selector: selectors.BaseSelector) -> None:
        """Accept a connection, and hand the place for it on to its thread."""
        while not self._stopping:
            selector.select()
            try:
                connection, (address, *_) = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another process took it, or the peer has left
            except OSError as error:
                _log.error("the patient feed cannot accept a connection", exc_info=error)
                time.sleep(_PAUSE_SECONDS)
                continue
            if self._of_address[address] >= self._limits.of_address:
                _log.warning(
                    "the patient feed has too many connections of a client", client=address
                )
                connection.close()
                continue
            thread = threading.Thread(
                target=self._converse, args=(connection, address), daemon=True
            )
            with self._lock:
                self._open[connection] = thread
                self._of_address[address] += 1
            thread.start()
            return
        self._free.release()

    def _let_go(self) -> None:
        with self._lock:
            left = dict(self._open)
        for connection in left:
            with suppress(OSError):
                # that of TLS would have its thread go on without
                socket.socket.shutdown(connection, socket.SHUT_RD)
        until = time.monotonic() + self._limits.message_seconds
        for thread in left.values():
            thread.join(max(0, until - time.monotonic()))
        self._wake.close()
        self._woken.close()

    def _converse(self, accepted: socket.socket, address: str) -> None:
        connection = accepted
        if self._metrics:
            self._metrics.feed_connected(1)
        try:
            if self.tls:
                connection = self._secured(accepted, self.tls)
            with connection:
                self._exchange(connection)
        except (BlockingIOError, TimeoutError):
            _log.info("a connection of the patient feed fell silent")
        except Intolerable as reason:
            _log.warning("a connection of the patient feed was closed", reason=str(reason))
        except ssl.SSLError as error:
            if self._metrics and connection is accepted:
                self._metrics.handshake_refused("feed")
            # with the words of the library alone: it quotes nothing
            _log.warning(
                "a connection of the patient feed failed in TLS",
                reason=getattr(error, "verify_message", "") or error.reason,
            )
        except OSError as error:
            _log.info("a connection of the patient feed broke", exc_info=error)
        except Exception as error:  # the report of a thread that dies would quote messages
            _log.error("a connection of the patient feed failed", exc_info=error)
        finally:
            accepted.close()
            if self._metrics:
                self._metrics.feed_connected(-1)
            with self._lock:
                self._open.pop(connection, None)
                self._open.pop(accepted, None)
                self._of_address[address] -= 1
                if not self._of_address[address]:
                    del self._of_address[address]
            self._free.release()

    def _secured(self, accepted: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """Shake hands, in the time of a message."""
        accepted.settimeout(self._limits.message_seconds)
        secured = tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open[secured] = self._open.pop(accepted)
        try:
            secured.do_handshake()
        except BaseException as error:
            with self._lock:
                self._open.pop(secured, None)
            with secured:
                if isinstance(error, ssl.SSLError):
                    _let_read(secured)
            raise
        return secured

    def _exchange(self, connection: socket.socket) -> None:
        decoder = Decoder(self._limits)
        try:
            self._exchange_by(decoder, connection)
            if decoder.inside:
                _log.warning("a connection of MLLP ended within a message", bytes=decoder.size)
        finally:
            decoder.close()

    def _exchange_by(self, decoder: Decoder, connection: socket.socket) -> None:
        peer = _Peer(connection, self._limits.message_seconds)
        peer.wait_at_most(self._limits.idle_seconds)
        node = _node(connection)
        begun: float | None = None
        while not self._stopping and (data := connection.recv(_BLOCK)):
            answered = False
            for message in decoder.feed(data):
                with message:
                    for one in self._answer(message, node):
                        peer.send(framed(one))
                answered = True
            if decoder.inside:
                if begun is None or answered:
                    begun = time.monotonic()
                allowed = self._limits.message_seconds + decoder.size / _BYTES_PER_SECOND
                peer.wait_at_most(max(begun + allowed - time.monotonic(), _LEAST_SECONDS))
            elif begun is not None:
                begun = None
                peer.wait_at_most(self._limits.idle_seconds)


def _let_read(refused: ssl.SSLSocket) -> None:
    """Wait a moment until the other side has read why it is refused, and has closed.

    A client of TLS 1.3 sends its message with the handshake. If that is not read before the end,
    the connection is reset, and the alert is lost on the way (RFC 9293 3.10.4).
    """
    until, left = time.monotonic() + _LETTING_READ, _BLOCK
    with suppress(OSError):
        socket.socket.shutdown(refused, socket.SHUT_WR)
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            refused.settimeout(seconds)
            came = socket.socket.recv(refused, left)  # as it is: there is no TLS to read it by
            if not came:
                return
            left -= len(came)


def _node(connection: socket.socket) -> Node:
    """Return the node at the other end, with the certificate that it has proved to own, if any."""
    address = str(connection.getpeername()[0])
    certificate = None
    if isinstance(connection, ssl.SSLSocket):
        certificate = connection.getpeercert(binary_form=True)
        if connection.context.verify_mode == ssl.CERT_NONE:
            certificate = None
    try:
        return Node.of_certificate(address, certificate) if certificate else Node(address=address)
    except UnacceptableText as error:
        raise Intolerable(f"the subject of the certificate: {error}") from None


class _Peer:
    """How long a connection waits, for bytes to come and for an answer to be taken.

    The kernel waits, which costs no call for each message as a timeout would, and ends a wait with
    BlockingIOError. TLS needs timeouts, and ends a wait with TimeoutError.
    """

    def __init__(self, connection: socket.socket, send_seconds: float) -> None:
        self._connection = connection
        self._send_seconds = send_seconds
        self._receive_seconds = send_seconds
        self._by_timeout = isinstance(connection, ssl.SSLSocket)
        if not self._by_timeout:
            connection.setblocking(True)
            self._set(socket.SO_SNDTIMEO, send_seconds)

    def wait_at_most(self, seconds: float) -> None:
        """Set how long to wait for the next bytes."""
        self._receive_seconds = seconds
        if self._by_timeout:
            self._connection.settimeout(seconds)
        else:
            self._set(socket.SO_RCVTIMEO, seconds)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        if not self._by_timeout:
            self._connection.sendall(data)
            return
        self._connection.settimeout(self._send_seconds)
        self._connection.sendall(data)
        self._connection.settimeout(self._receive_seconds)

    def _set(self, option: int, seconds: float) -> None:
        whole, part = divmod(int(seconds * 1_000_000), 1_000_000)
        self._connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, part))
