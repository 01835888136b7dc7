"""A Resource Notification Recipient: a real HTTP server that keeps what it is sent."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import PATIENCE

"""How long a test waits for what has to come."""
QUIET_SECONDS = 1.0
"""How long a test waits for what must not come."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    answered: int

    def json(self) -> Any:
        """Return the resource of the body."""
        return json.loads(self.body)

    @property
    def status(self) -> Mapping[str, Any]:
        """The parameters of the SubscriptionStatus, by their names."""
        first = self.json()["entry"][0]["resource"]
        return {one["name"]: _value(one) for one in first["parameter"]}

    @property
    def type(self) -> str:
        """The kind of notification."""
        return str(self.status["type"])

    @property
    def number(self) -> int:
        """The number of its event."""
        return int(self.status["notification-event"]["event-number"])

    @property
    def entries(self) -> list[Any]:
        """The entries behind the first."""
        return list(self.json()["entry"][1:])


def _value(parameter: Mapping[str, Any]) -> Any:
    if "part" in parameter:
        return {one["name"]: _value(one) for one in parameter["part"]}
    return next(value for name, value in parameter.items() if name.startswith("value"))


@dataclass(slots=True)
class Receiver:
    """What one path of the server is sent; ``answers`` decides what it answers with."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: int = 200
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def path(self) -> str:
        """Its path."""
        return "/" + self.url.split("/", 3)[3]

    def take(self, count: int = 1, *, of: str = "") -> list[Received]:
        """Wait until there are so many requests, of a kind where one is named; return them."""
        until = time.monotonic() + PATIENCE
        with self.changed:
            while len(found := self.those(of)) < count:
                left = until - time.monotonic()
                assert left > 0, f"{len(found)} of {count} came: {self.received}"
                self.changed.wait(left)
        return found[:count]

    def those(self, of: str) -> list[Received]:
        """Return what came and was taken, of a kind where one is named."""
        taken = [one for one in self.received if one.answered < 300]
        return [one for one in taken if not of or one.type == of]

    def events(self, count: int) -> list[Received]:
        """Wait for so many events; return them."""
        return self.take(count, of="event-notification")

    def waits(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, self.received
            time.sleep(0.05)

    def stays_at(self, count: int) -> None:
        """Wait a while, in which nothing more may come."""
        time.sleep(QUIET_SECONDS)
        assert len(self.received) == count, self.received[count:]


class Receivers:
    """The server with all its paths."""

    def __init__(self) -> None:
        self.paths: dict[str, Receiver] = {}
        self._server = _Server(self)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def new(self) -> Receiver:
        """Return a receiver at a path of its own."""
        path = f"/hook/{len(self.paths)}"
        self.paths[path] = made = Receiver(f"{self.base}{path}")
        return made

    def of(self, path: str) -> Receiver | None:
        """Return the receiver that a path lies below."""
        return next(
            (one for name, one in self.paths.items() if f"{path}/".startswith(f"{name}/")), None
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receivers: Receivers) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receivers = receivers


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        receiver = self.server.receivers.of(self.path)
        status = receiver.answer if receiver else 404
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/hook/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()
        if receiver:
            headers = {name.lower(): value for name, value in self.headers.items()}
            with receiver.changed:
                receiver.received.append(Received(self.command, self.path, headers, body, status))
                receiver.changed.notify_all()

    do_POST = do_PUT = _take

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receivers]:
    """Run a server of receivers until the block ends."""
    made = Receivers()
    made.start()
    try:
        yield made
    finally:
        made.close()
