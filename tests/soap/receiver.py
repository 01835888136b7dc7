"""An HTTP server of the tests that takes answers of an asynchronous exchange, or refuses to."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.soap.wire import Answer, Raw, take_apart
from tests.waiting import PATIENCE

TAKEN: Final = 202


class Receiver:
    """What came, by its path; and what a path answers before it takes anything."""

    def __init__(self, port: int = 0) -> None:
        self._came: dict[str, list[Raw]] = defaultdict(list)
        self._refusals: dict[str, list[int]] = {}
        self._arrival = threading.Condition()
        self._being_sent: set[str] = set()
        self.collisions = 0
        """How often one message came twice at the same time."""
        self.seconds = 0.0
        """How long it takes to answer, until it is released."""
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))

    @property
    def port(self) -> int:
        """The port it listens at."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The root of the server."""
        return f"http://127.0.0.1:{self.port}"

    def refuse(self, path: str, *statuses: int) -> None:
        """Answer the next requests to a path with these, and then take what comes."""
        self._refusals[path] = list(statuses)

    def take(self, path: str, raw: Raw) -> int:
        """Keep what came, and return the status to answer with."""
        key = raw.body.decode("latin-1")
        with self._arrival:
            self.collisions += key in self._being_sent
            self._being_sent.add(key)
        self.released.wait(self.seconds)
        with self._arrival:
            self._being_sent.discard(key)
            self._came[path].append(raw)
            self._arrival.notify_all()
            refusals = self._refusals.get(path)
            return refusals.pop(0) if refusals else TAKEN

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        with self._arrival:
            return bool(self._being_sent)

    def came(self, path: str) -> list[Raw]:
        """Return what has come by now."""
        with self._arrival:
            return list(self._came[path])

    def wait_for(self, path: str, number: int = 1) -> list[Raw]:
        """Wait until so much has come, and return it."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self._came[path]) >= number, PATIENCE), path
            return list(self._came[path])

    def answer(self, path: str) -> Answer:
        """Wait for the one answer that comes to a path."""
        (raw,) = self.wait_for(path)
        return take_apart(raw)

    def serve(self) -> None:
        """Serve until it is stopped."""
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Receive for the length of a block."""
    receiver = Receiver(port)
    thread = threading.Thread(target=receiver.serve)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stop()
        thread.join()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server looks for
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            # as an answer of status 200, which is what takes answers apart
            status = receiver.take(self.path, Raw(200, headers, body))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{self.path}/redirected")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
