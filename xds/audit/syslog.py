"""Audit messages as syslog (RFC 5424): by TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426)."""

import array
import fcntl
import os
import socket
import ssl
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from xds.audit.record import AuditRecord
from xds.sockets import is_readable
from xds.url_allowlist import SyslogTarget

_PRIORITY: Final = 85
"""Facility 10, severity 5 (ITI TF-2 3.20.4.1.2.1)."""
_MSGID: Final = "IHE+RFC-3881"
_APP_NAME: Final = "xds"
_LARGEST_DATAGRAM: Final = 65_000
_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02


def framed(record: AuditRecord, message: bytes, host: str) -> bytes:
    """Return the syslog message around an audit message (RFC 5424 6)."""
    head = f"<{_PRIORITY}>1 {record.at} {host} {_APP_NAME} {record.process} {_MSGID} - "
    return head.encode("ascii", "replace") + message


class Sender:
    """One connection to the receiver; not for several threads."""

    def __init__(self, destination: SyslogTarget, context: Callable[[], ssl.SSLContext]) -> None:
        """``context`` gives that of TLS; it is asked for each connection."""
        self._destination = destination
        self._context = context
        self._socket: socket.socket | None = None

    def send(self, messages: Sequence[bytes]) -> None:
        """Send messages in order; OSError where it is not known that all have arrived.

        By TLS and TCP they have when the receiver's system has acknowledged every byte, and the
        connection still stands. Syslog has no acknowledgement of its own (RFC 5425 5.3 is silent).
        """
        try:
            connection = self._socket or self._connected()
            self._socket = connection
            if self._destination.protocol == "udp":
                for message in messages:
                    # cut off (RFC 5426 3.2): one that cannot be sent would hold up the rest
                    connection.send(message[:_LARGEST_DATAGRAM])
                return
            _require_open(connection)
            connection.sendall(b"".join(b"%d %b" % (len(one), one) for one in messages))
            _wait_until_taken(connection)
        except OSError:
            self.close()
            raise

    def _connected(self) -> socket.socket:
        where = self._destination.host, self._destination.port
        if self._destination.protocol == "udp":
            kind = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
            connection = socket.socket(kind[0], socket.SOCK_DGRAM)
            connection.connect(kind[4])
            return connection
        connection = socket.create_connection(where, timeout=_SECONDS)
        if self._destination.protocol == "tls":
            try:
                context = self._context()
                return context.wrap_socket(connection, server_hostname=self._destination.host)
            except OSError:
                connection.close()
                raise
        return connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None


def _require_open(connection: socket.socket) -> None:
    """Raise where the receiver has closed the connection: it sends nothing else."""
    if is_readable(connection) and _at_end(connection):
        raise ConnectionResetError("the receiver has closed the connection")


def _at_end(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1024)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    finally:
        connection.settimeout(_SECONDS)


def _wait_until_taken(connection: socket.socket) -> None:
    until = time.monotonic() + _SECONDS
    while _unacknowledged(connection):
        if time.monotonic() > until:
            raise TimeoutError("the receiver takes nothing")
        time.sleep(_POLL_SECONDS)
        _require_open(connection)
    _require_open(connection)


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the other system has not acknowledged (Linux: SIOCOUTQ)."""
    if not hasattr(termios, "TIOCOUTQ") or os.uname().sysname != "Linux":
        return 0
    found = array.array("i", [0])
    fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, found)
    return found[0]
