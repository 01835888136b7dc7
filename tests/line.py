"""A line to a server that can be cut, held up, and falsified: a proxy of TCP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_BLOCK = 65536


@dataclass(slots=True)
class Line:
    """What lies between a client and a server on this machine. All counts are of one connection."""

    port: int
    """Of the server."""
    cut_answers_at: int | None = None
    """How many bytes of an answer pass before the connection is cut."""
    cuts: int = 1_000_000
    """How often that happens."""
    flip_sent: int | None = None
    """Which byte is changed of what the client sends."""
    silent: bool = False
    """Whether nothing passes at all."""
    connections: int = 0
    _listening: socket.socket = field(
        init=False, default_factory=lambda: socket.create_server(("127.0.0.1", 0))
    )
    _open: list[socket.socket] = field(init=False, default_factory=list)

    @property
    def own_port(self) -> int:
        """Where to connect to."""
        port: int = self._listening.getsockname()[1]
        return port

    def serve(self) -> None:
        """Take connections until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                self._open.append(client)
                if not self.silent:
                    server = socket.create_connection(("127.0.0.1", self.port))
                    self._open.append(server)
                    for work in (self._up, self._down):
                        threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while block := client.recv(_BLOCK):
                at = -1 if self.flip_sent is None else self.flip_sent - passed
                if 0 <= at < len(block):
                    block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
                passed += len(block)
                server.sendall(block)
        _cut(server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while block := server.recv(_BLOCK):
                passed += len(block)
                if self.cut_answers_at is not None and passed > self.cut_answers_at and self.cuts:
                    self.cuts -= 1
                    break
                client.sendall(block)
        _cut(client)

    def drop(self) -> None:
        """Cut the connections that there are; new ones can be made."""
        for one in self._open:
            _cut(one)

    def close(self) -> None:
        """Cut everything."""
        _cut(self._listening)
        self._listening.close()
        for one in self._open:
            _cut(one)
            one.close()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def served(line: Line) -> Iterator[Line]:
    """Let it work until the block ends."""
    thread = threading.Thread(target=line.serve)
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join()
