"""MLLP: messages framed on a TCP connection, each answered in turn (HL7 v2.3.1 appendix C.4).

A message stands between ``0x0B`` and ``0x1C 0x0D``. The bytes between messages mean nothing. A
second ``0x0B`` begins the message anew: what came before it was cut off.
"""

import selectors
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from xds import logs
from xds.security.node import Node
from xds.security.texts import UnacceptableText
from xds.telemetry.metrics import Metrics

START: Final = b"\x0b"
END: Final = b"\x1c\x0d"

_BLOCK: Final = 16 * 1024
_LEAST_SECONDS: Final = 0.001
_PAUSE_SECONDS: Final = 0.2

_log = logs.get_logger(__name__)

Answer = Callable[[bytes, Node], bytes]
"""Takes a message and the node that it comes from, gives its answer, and never raises; called from
many threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpLimits:
    """What a peer may ask of the server."""

    message_bytes: int = 256 * 1024
    noise_bytes: int = 4 * 1024
    """Bytes outside messages, until the next one."""
    message_seconds: float = 30
    """For a message to arrive once it has begun, and for an answer to be taken."""
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
        self._buffer = bytearray()
        self._searched = 0
        self._noise = 0
        self.inside = False
        """Whether a message has begun and not ended."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in some bytes, and yield each message that they complete; may raise Intolerable."""
        self._buffer += data
        while self._begun() and (message := self._ended()) is not None:
            yield message

    def _begun(self) -> bool:
        if self.inside:
            return True
        start = self._buffer.find(START)
        self._noise += len(self._buffer) if start < 0 else start
        if self._noise > self._limits.noise_bytes:
            raise Intolerable("too many bytes outside messages")
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self.inside, self._searched, self._noise = True, 0, 0
        return True

    def _ended(self) -> bytes | None:
        end = self._buffer.find(END, max(self._searched - 1, 0))
        self._searched = len(self._buffer)
        if (self._searched if end < 0 else end) > self._limits.message_bytes:
            raise Intolerable("the message is too large")
        if end < 0:
            return None
        _, _, message = bytes(self._buffer[:end]).rpartition(START)
        del self._buffer[: end + len(END)]
        self.inside = False
        return message


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
        secured = tls.wrap_socket(accepted, server_side=True)
        with self._lock:
            self._open[secured] = self._open.pop(accepted)
        return secured

    def _exchange(self, connection: socket.socket) -> None:
        peer = _Peer(connection, self._limits.message_seconds)
        peer.wait_at_most(self._limits.idle_seconds)
        node = _node(connection)
        decoder = Decoder(self._limits)
        until: float | None = None
        while not self._stopping and (data := connection.recv(_BLOCK)):
            answered = False
            for message in decoder.feed(data):
                peer.send(framed(self._answer(message, node)))
                answered = True
            if decoder.inside:
                if until is None or answered:
                    until = time.monotonic() + self._limits.message_seconds
                peer.wait_at_most(max(until - time.monotonic(), _LEAST_SECONDS))
            elif until is not None:
                until = None
                peer.wait_at_most(self._limits.idle_seconds)


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
