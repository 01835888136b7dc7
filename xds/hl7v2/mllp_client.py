"""Sending messages by MLLP, each after the answer to the one before (HL7 v2.3.1 appendix C.4)."""

import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from xds.hl7v2.mllp import END, START

_ADDRESS: Final = re.compile(
    r"(?P<scheme>mllps?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)
_BLOCK: Final = 64 * 1024
_MOST_OF_ANSWER: Final = 256 * 1024


class NoAnswer(Exception):
    """The receiver did not answer a message; the text says why, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class MllpAddress:
    """Where a receiver is: ``mllp://host:port``, or ``mllps://host:port`` for TLS."""

    host: str
    port: int
    has_tls: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address; ValueError where it is none."""
        found = _ADDRESS.fullmatch(url)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise ValueError("not an address of the form mllp://host:port or mllps://host:port")
        return cls(found["host"].strip("[]"), int(found["port"]), found["scheme"] == "mllps")


class MllpConnection:
    """A connection to one receiver; belongs to one thread at a time."""

    def __init__(
        self,
        address: MllpAddress,
        tls: ssl.SSLContext | None,
        *,
        connect_seconds: float = 5.0,
        answer_seconds: float = 30.0,
    ) -> None:
        """Connect; OSError where that fails. ``tls`` is for an address that has it."""
        self._answer_seconds = answer_seconds
        self._rest = b""
        self._socket: socket.socket = socket.create_connection(
            (address.host, address.port), connect_seconds
        )
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.has_tls:
                context = tls or ssl.create_default_context()
                self._socket = context.wrap_socket(self._socket, server_hostname=address.host)
            self._socket.settimeout(answer_seconds)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError):
            self._socket.close()

    def exchange(self, blocks: Iterable[bytes]) -> bytes:
        """Send a message and return the next answer; NoAnswer or OSError.

        After either the connection is of no more use: the answer may still come.
        """
        self.send(blocks)
        return self.receive()

    def send(self, blocks: Iterable[bytes]) -> None:
        """Send a message and wait for nothing."""
        pending = START
        for block in blocks:
            pending += block
            if len(pending) >= _BLOCK:
                self._socket.sendall(pending)
                pending = b""
        self._socket.sendall(pending + END)

    def receive(self) -> bytes:
        """Return the next message that the receiver sends."""
        data = bytearray(self._rest)
        while (end := data.find(END[:1])) < 0:
            if len(data) > _MOST_OF_ANSWER:
                raise NoAnswer("the answer is too large")
            try:
                block = self._socket.recv(_BLOCK)
            except TimeoutError:
                raise NoAnswer(f"no answer within {self._answer_seconds:g} s") from None
            if not block:
                raise NoAnswer("the connection was closed before the answer")
            data += block
        # what follows the end of a frame is the end of the line, if the receiver sends it
        self._rest = bytes(data[end + 1 :]).lstrip(b"\r\n")
        answer = bytes(data[:end])
        start = answer.rfind(START)
        if start < 0:
            raise NoAnswer("the answer is no frame of MLLP")
        return answer[start + 1 :]

    @property
    def is_open(self) -> bool:
        """Whether the receiver has neither closed the connection nor sent what nobody awaits."""
        if self._rest:
            return False
        self._socket.settimeout(0)
        try:
            while self._socket.recv(1) in (b"\r", b"\n"):
                pass  # the end of the last frame, which came late
            return False
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            with suppress(OSError):
                self._socket.settimeout(self._answer_seconds)
