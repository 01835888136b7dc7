"""Granian's HTTP server in this process: the one place that knows of Granian's inner parts.

Its RSGI interface is meant for an event loop of Python's. Here Granian's own threads answer what
they bring (:mod:`xds.http.threads`), which saves changes of threads. ``tests/test_server.py`` and
``tests/hostile/test_slow_clients.py`` try what this relies on with the release that is installed.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from granian import _granian
from granian.http import HTTP1Settings

Headers = Sequence[tuple[str, str]]
Tls = tuple[bool, str | None, str | None, str | None, str, str | None, list[str], bool]

_rust: Any = _granian
"""What Granian has in Rust; its own file of types is of an older release."""

NO_TLS: Final[Tls] = (False, None, None, None, "tls1.3", None, [], False)

_RUST_THREADS: Final = 512
"""Most threads for files and pipes; they are made when there is use for them."""
_THREADS: Final = 2
"""Threads that bring requests, so that one may do the work of what it brings."""
_IDLE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How Granian is to serve."""

    backlog: int
    backpressure: int
    header_seconds: int
    tls: Tls = NO_TLS


class GranianRequest:
    """One request as Granian hands it over; its parts are looked at when they are asked for."""

    __slots__ = (
        "_chunks",
        "_proto",
        "_scope",
        "address",
        "client",
        "content_length",
        "ends_connection",
        "has_body",
    )

    def __init__(self, scope: Any, proto: Any) -> None:
        self._scope = scope
        self._proto = proto
        self._chunks: Any = None
        self.client: str = scope.client
        """The address and port of the other end."""
        self.address = self.client.rpartition(":")[0].strip("[]")
        length = scope.headers.get("content-length")
        self.content_length = int(length) if length else None
        self.has_body = bool(self.content_length) or "transfer-encoding" in scope.headers
        self.ends_connection = False
        """Whether the connection is to end with the answer."""

    @property
    def method(self) -> str:
        """The method."""
        return str(self._scope.method)

    def environ(self) -> dict[str, Any]:
        """Return the environment of the request by PEP 3333, without a ``wsgi.input``."""
        scope = self._scope
        server, _, port = scope.server.rpartition(":")
        environ: dict[str, Any] = {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_SOFTWARE": "Granian",
            "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
            "SERVER_NAME": server.strip("[]"),
            "SERVER_PORT": port,
            "REMOTE_ADDR": self.address,
            "REQUEST_METHOD": scope.method,
            "SCRIPT_NAME": "",
            # as WSGI wants it: the bytes of the path, each as a character
            "PATH_INFO": scope.path.encode().decode("latin-1"),
            "QUERY_STRING": scope.query_string,
            "wsgi.url_scheme": scope.scheme,
            "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0),
            "wsgi.input_terminated": True,
            "wsgi.multiprocess": True,
            "wsgi.multithread": True,
            "wsgi.run_once": False,
        }
        for name, value in scope.headers.items():
            key = _variable(name)
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        if "HTTP_HOST" not in environ:
            environ["HTTP_HOST"] = scope.authority or ""
        return environ

    def next_chunk(self) -> Any:
        """Return a future of the next bytes of the body; see ``chunk_of``.

        What is called when it is done is called in one of Granian's threads.
        ``cancel()`` of the future gives up the body, which ends the connection with the answer.
        """
        if self._chunks is None:
            self._chunks = self._proto.__aiter__()
        return self._chunks.__anext__()

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with bytes, which Granian has sent or forgets."""
        self._proto.response_bytes(status, self._completed(headers), body)

    def answer_from(self, status: int, headers: Headers, path: str) -> None:
        """Answer with what can be read at a path, as the client takes it."""
        self._proto.response_file(status, self._completed(headers), path)

    def _completed(self, headers: Headers) -> list[tuple[str, str]]:
        ending = [("connection", "close")] if self.ends_connection else []
        return [*headers, *ending]


def chunk_of(future: Any) -> bytes:
    """Return the bytes that came; none at the end, also where it is too early."""
    try:
        future.__next__()
    except StopIteration as result:
        return bytes(result.value or b"")
    except Exception:  # the client has gone
        return b""
    return b""


@lru_cache(256)
def _variable(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


class _Loop:
    """As much of an event loop as Granian asks for: whatever it has to say is done at once."""

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *arguments: Any, context: Any = None
    ) -> None:
        callback(*arguments)

    call_soon = create_task = call_soon_threadsafe


class _Scheduler(_granian.CallbackScheduler):
    """Hands each request on."""

    def __new__(cls, loop: _Loop, begin: Callable[[Any], None]) -> "_Scheduler":
        make: Any = super().__new__
        made: _Scheduler = make(cls, loop, None, None, _nothing, _nothing)
        return made

    def __init__(self, loop: _Loop, begin: Callable[[Any], None]) -> None:
        super().__init__()
        self._schedule_fn = begin


def _nothing(*_: Any) -> None:
    pass


class GranianWorker:
    """A server at a listening socket that is given to it."""

    def __init__(
        self,
        listening: socket.socket,
        settings: HttpSettings,
        begin: Callable[[GranianRequest], None],
    ) -> None:
        self._begin = begin
        self._signal = _rust.WorkerSignal()
        self._loop = _Loop()
        self._scheduler = _Scheduler(self._loop, self._request)
        self._worker: Any = _rust.RSGIWorker(
            1,
            (None, _rust.SocketHolder(listening.fileno(), False, settings.backlog)),
            None,
            1,
            _RUST_THREADS,
            _THREADS,
            _IDLE_SECONDS,
            settings.backpressure,
            "1",
            HTTP1Settings(header_read_timeout=settings.header_seconds * 1000),
            None,
            False,
            None,
            *settings.tls,
            (None, None),
        )

    def start(self, ended: Callable[[], None]) -> None:
        """Serve in threads of Granian's; call back when told to stop and all has ended."""
        self._signal.add_cb(ended)
        self._worker.serve_str(self._scheduler, self._loop, self._signal)

    def stop(self) -> None:
        """Take no more requests, let those under way end, and end idle connections."""
        self._signal.set()

    def _request(self, watcher: Any) -> None:
        self._begin(GranianRequest(watcher.scope, watcher.proto))
