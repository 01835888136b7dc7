"""A receiver of messages by HTTP, written apart from the program: it answers as it is told."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.messaging.receiver import acknowledgement
from tests.waiting import PATIENCE

_ER7: Final = "application/hl7-v2+er7"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """How one message is answered."""

    status: int = 200
    body: str = "AA"
    """MSA-1 and further text behind it; what begins with = is sent as it stands."""
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpReceiver:
    """What came, in its order, and what is answered next."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.came: list[tuple[Mapping[str, str], bytes]] = []
        """Headers and body of every message, repetitions too."""
        self.answers: list[HttpReply] = []
        """The next answers; then 200 and AA."""
        self.acknowledge: Callable[[bytes, str], bytes] = acknowledgement
        """Makes the answer to a message."""
        self._arrival = threading.Condition()
        self._server = _Listening(("127.0.0.1", 0), _handler(self))
        self._scheme = "https" if tls else "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self._scheme}://localhost:{self._server.server_address[1]}/hl7v2"

    def close(self) -> None:
        """Take nothing any more."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Keep what came; return how it is answered."""
        with self._arrival:
            self.came.append((headers, body))
            answer = self.answers.pop(0) if self.answers else HttpReply()
            self._arrival.notify_all()
        return answer

    def wait_for(self, number: int, holding: str, seconds: float = PATIENCE) -> list[bytes]:
        """Return the messages that hold a text once there are so many."""

        def found() -> list[bytes]:
            return [body for _, body in self.came if holding.encode() in body]

        with self._arrival:
            assert self._arrival.wait_for(lambda: len(found()) >= number, seconds), self.came
            return found()


class _Listening(ThreadingHTTPServer):
    daemon_threads = True


def _handler(receiver: HttpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            reply = receiver.take(dict(self.headers), body)
            content = reply.body[1:].encode()
            if not reply.body.startswith("="):
                content = receiver.acknowledge(body, reply.body)
            self.send_response(reply.status)
            for name, value in {"Content-Type": _ER7, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def receiving_http(tls: ssl.SSLContext | None = None) -> Iterator[HttpReceiver]:
    """Receive until the block ends."""
    receiver = HttpReceiver(tls)
    try:
        yield receiver
    finally:
        receiver.close()
