"""A WSGI application served by Granian in this process: what becomes of each request."""

import asyncio
import io
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from xds import logs
from xds.config import Config
from xds.http.answers import Answers
from xds.http.bodies import Bodies, Input
from xds.http.granian_worker import GranianRequest, GranianWorker, HttpSettings
from xds.http.slow_clients import POLL_SECONDS, SlowClients
from xds.http.spreading import Share
from xds.http.threads import Threads

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_log = logs.get_logger(__name__)


class Service:
    """One worker's share of the server."""

    def __init__(self, application: WSGIApplication, config: Config, share: Share) -> None:
        self._application = application
        self._share = share
        self._most: Callable[[dict[str, Any]], int] = getattr(
            application, "most_of_body", lambda _: config.max_message_bytes + 1
        )
        self._tell: Callable[[int], None] | None = getattr(application, "look", None)
        self._loop = asyncio.new_event_loop()
        self._clients = SlowClients(config)
        self._threads = Threads(config.threads)
        self._bodies = Bodies(self._clients, self._threads, config.data)
        self._answers = Answers(self._clients, self._threads, self._loop)
        self._is_leaving = False
        self._granian: GranianWorker | None = None
        self._is_stopping = False
        self._beginning = threading.Lock()

    def run(self, listening: socket.socket, settings: HttpSettings) -> None:
        """Serve until ``stop`` is called, maybe before this, and what was under way has ended."""
        granian = GranianWorker(listening, settings, self._begin)
        granian.start(self._ended)
        with self._beginning:
            self._granian = granian
            if self._is_stopping:
                granian.stop()
        self._look()
        self._loop.run_forever()

    def leave(self) -> None:
        """End each connection with its next answer: another worker has taken the place."""
        self._is_leaving = self._share.has_left = True

    def stop(self) -> None:
        """Let what is under way end, and stop; from any thread."""
        with self._beginning:
            self._is_stopping = True
            if self._granian:
                self._granian.stop()

    def _ended(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _look(self) -> None:
        self._clients.look()
        self._share.look()
        if self._tell:
            self._tell(self._clients.awaited)
        self._loop.call_later(POLL_SECONDS, self._look)

    def _begin(self, request: GranianRequest) -> None:
        """Take in a request; in Granian's thread."""
        request.ends_connection = self._share.ends(request.client)
        environ = request.environ()
        most = self._most(environ) if request.has_body else 0
        if most:
            self._bodies.receive(request, most, lambda body: self._work(request, environ, body))
        else:
            self._threads.run(lambda: self._work(request, environ, Input(io.BytesIO())))

    def _work(self, request: GranianRequest, environ: dict[str, Any], body: Input) -> None:
        """Run the application; in a thread."""
        environ["wsgi.input"] = body
        status: int = 500
        headers: list[tuple[str, str]] = []

        def start_response(line: str, given: list[tuple[str, str]], *_: Any) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), given

        try:
            blocks = self._application(environ, start_response)
            request.ends_connection |= self._is_leaving
            correlation = environ.get(logs.CORRELATION)
            self._answers.give(request, status, headers, blocks, correlation)
        except Exception as error:
            _log.error("the application failed", exc_info=error)
            request.answer(500, [], b"")
        finally:
            body.close()
