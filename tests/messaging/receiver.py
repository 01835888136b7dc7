"""A receiver of messages by MLLP, written apart from the program: it answers as it is told."""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tests.waiting import PATIENCE

_TAKE: Final = "AA"


class MllpReceiver:
    """What came, in its order, and what is answered next."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.came: list[bytes] = []
        """Every message, repetitions too."""
        self.answers: list[str | None] = []
        """MSA-1, and further text behind it, of the next answers; None: silence; then AA.

        Where + parts two, the message gets both.
        """
        self.connections = 0
        """How many have been made."""
        self._open: list[socket.socket] = []
        self._arrival = threading.Condition()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                outer._open.append(self.connection)
                outer._serve(self.rfile.read1, self.wfile.write)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self._scheme = "mllps" if tls else "mllp"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self._scheme}://localhost:{self._server.server_address[1]}"

    def close(self) -> None:
        """Take nothing any more."""
        self._server.shutdown()
        self._server.server_close()

    def disconnect(self) -> None:
        """End all connections, and take new ones."""
        while self._open:
            with suppress(OSError):  # the other end may have closed it
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _serve(self, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        data = b""
        while block := read(65536):
            data += block
            while b"\x1c\x0d" in data:
                message, _, data = data.partition(b"\x1c\x0d")
                for answer in self._taken(message.lstrip(b"\x0b")):
                    write(b"\x0b" + answer + b"\x1c\x0d")

    def _taken(self, message: bytes) -> list[bytes]:
        with self._arrival:
            self.came.append(message)
            code = self.answers.pop(0) if self.answers else _TAKE
            self._arrival.notify_all()
        return [acknowledgement(message, one) for one in code.split("+")] if code else []

    def wait_for(self, number: int, holding: str = "") -> list[list[list[str]]]:
        """Return the messages that hold a text once there are so many: segments of fields."""
        until = time.monotonic() + PATIENCE
        with self._arrival:
            while True:
                found = [one for one in self.came if holding.encode() in one]
                if len(found) >= number:
                    return [_split(one) for one in found]
                left = until - time.monotonic()
                assert left > 0, f"{len(found)} messages of {number} came"
                self._arrival.wait(left)


def acknowledgement(message: bytes, code: str) -> bytes:
    """Return the answer to a message: MSA-1, and the code of an error behind it."""
    header = message.split(b"\r")[0].decode().split("|")
    said, _, error = code.partition(" ")
    lines = [f"MSH|^~\\&|R|R|S|S|2026||ACK|1|P|{header[11]}", f"MSA|{said}|{header[9]}"]
    if error:
        lines.append(f"ERR||TXA^1|{error}|E")
    return ("\r".join(lines) + "\r").encode()


def _split(message: bytes) -> list[list[str]]:
    segments = [line.split("|") for line in message.decode().split("\r") if line]
    return [["MSH", "|", *one[1:]] if one[0] == "MSH" else one for one in segments]


@contextmanager
def receiving(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[MllpReceiver]:
    """Receive until the block ends."""
    receiver = MllpReceiver(port, tls)
    try:
        yield receiver
    finally:
        receiver.close()
