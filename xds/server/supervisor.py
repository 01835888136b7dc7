"""The HTTP server: worker processes under a supervisor run the WSGI application.

The supervisor opens the one listening socket and hands it to its workers. So a port in use is
found out at once, connections wait while a dead worker is replaced, and a client whose machine
has gone is noticed, also where it leaves a request half sent.
"""

import errno
import http.client
import ipaddress
import multiprocessing
import os
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xds import logs
from xds.config import Config
from xds.http.spreading import CAN_SPREAD
from xds.private_folder import private_folder
from xds.server.beside import ProcessBeside, Run, beside, patient_feed, websockets
from xds.server.worker import CannotStart, CreateApplication
from xds.server.workers import BACKLOG, Workers
from xds.sqlite_file import path_of, write_back
from xds.telemetry import metrics

if TYPE_CHECKING:
    from xds.server.certificates import Certificates

READY: Final = "/health/ready"
PRELOADED: Final = (
    "xds.app",
    "xds.messaging.doors.listener",
    "xds.server.worker",
    "xds.server.preloaded",
)
"""The modules that every process needs, read once by the one that all others are forks of."""

_BIND_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.05
_READY_SECONDS: Final = 1.0
_PRIVATE: Final = 0o077
"""The umask of all processes: what the server makes, others can neither read nor change."""
# a peer that is silent is asked after a minute, and given up after another, as is one that takes
# nothing of what it is sent
_KEEPALIVE: Final = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 60_000),
)

_log = logs.get_logger(__name__)


class ServerError(Exception):
    """The server cannot start, and why."""


def serve(
    config: Config,
    *,
    when_ready: Callable[[Config], None] | None = None,
    create: CreateApplication | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, and give the exit code. Must be called in the main thread.

    `when_ready` is called once the application answers, while it serves; it is handed the
    configuration with the port in use. Where it raises, the server says why and stops with
    exit code 1.
    """
    # a fork of a process with threads may hang; the server of forks has one thread, and has read
    # the program once for all workers
    multiprocessing.set_start_method("forkserver", force=True)
    multiprocessing.set_forkserver_preload(list(PRELOADED))
    os.umask(_PRIVATE)
    with ExitStack() as stack:
        stack.callback(_write_back, config)
        if config.metrics == "yes":
            stack.enter_context(metrics.shared_folder())
        counted = metrics.Metrics("supervisor") if config.metrics == "yes" else None
        certificates = _certificates(config, counted, stack)
        may_be_public = config.has_tls or _is_behind(config)
        listening = _listen_together(config, may_be_public=may_be_public)
        for one in listening:
            stack.enter_context(one)
        config = config.model_copy(update={"port": listening[0].getsockname()[1]})
        others = [
            (other, stack.enter_context(other.opened(config))) for other in _listeners(config)
        ]
        ports = {f"{other.prefix}_port": own.getsockname()[1] for other, own in others}
        config = config.model_copy(update=ports)
        workers = Workers(
            config,
            create or _create_application,
            listening,
            certificates,
            counted,
            _notice if create is None else None,
        )
        run = _Run(config, workers)
        for other, own in others:
            stack.enter_context(_beside(other, own, run, certificates))
        if certificates:
            stack.enter_context(certificates.watched(workers.reload))
        threading.Thread(target=run.watch, args=(when_ready,), daemon=True).start()
        return run.serve()


def _write_back(config: Config) -> None:
    """Leave an embedded database as one file, once the workers have ended."""
    path = path_of(config.database_url)
    if path is None:
        return
    try:
        write_back(path)
    except sqlite3.Error as error:
        # nothing is lost: whoever opens the database next reads it
        _log.warning("the write-ahead log stays beside the database", reason=str(error))


def _is_behind(config: Config) -> bool:
    return config.tls_in_front == "yes"


def _certificates(
    config: Config, counted: metrics.Metrics | None, stack: ExitStack
) -> "Certificates | None":
    """Read the certificates, if there are any; ServerError where they cannot be used."""
    if not config.has_tls:
        return None
    # here, so that a supervisor without TLS stays small
    from xds.server.certificates import Certificates
    from xds.tls.material import BadMaterial

    try:
        return Certificates(config, stack.enter_context(private_folder("tls")), counted)
    except BadMaterial as error:
        raise ServerError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Listener:
    """What is served beside HTTP, at a port of its own."""

    name: str
    run: Run
    host: str | None
    port: int
    prefix: str
    """How the names of its options begin."""
    has_tls: bool

    def opened(self, config: Config) -> socket.socket:
        """Open its listening socket, or raise ServerError."""
        host, option = self.host or config.host, f"{self.prefix}_host"
        may_be_public = self.has_tls or _is_behind(config)
        return listen(host, self.port, may_be_public=may_be_public, option=option)


def _listeners(config: Config) -> Iterator[_Listener]:
    if config.mllp_port is not None:
        feed = (config.mllp_host, config.mllp_port, "mllp", config.mllp_has_tls)
        yield _Listener("patient feed", patient_feed, *feed)
    if config.websocket_port is not None:
        sockets = (config.websocket_host, config.websocket_port, "websocket", config.has_tls)
        yield _Listener("process of websockets", websockets, *sockets)


@contextmanager
def _beside(
    one: _Listener, listening: socket.socket, run: "_Run", certificates: "Certificates | None"
) -> Iterator[None]:
    """Serve it in a process of its own, for the length of a block."""
    folder = (lambda: certificates.folder) if certificates and one.has_tls else None
    failed = run.server.cannot_start
    process = ProcessBeside(one.name, one.run, run.config, listening, failed, folder)
    with beside(process, run.is_stopping):
        run.server.on_reload(process.renew)
        yield


def listen(host: str, port: int, *, may_be_public: bool, option: str = "host") -> socket.socket:
    """Open a listening socket, or raise ServerError; without TLS at a loopback address alone."""
    until = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            return _bind(host, port, may_be_public=may_be_public, option=option)
        except OSError as error:
            # the workers of a server that was killed just now may still be about to leave
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise ServerError(_cannot_listen(host, port, error)) from error
            time.sleep(_POLL_SECONDS)


def _listen_together(config: Config, *, may_be_public: bool) -> list[socket.socket]:
    """Open a listening socket for each worker, all at one address; or one for all of them.

    The first has the address to itself, so that a port in use is told. Raises ServerError.
    """
    first = listen(config.host, config.port, may_be_public=may_be_public)
    if config.workers == 1 or not CAN_SPREAD:
        return [first]
    address = first.getsockname()
    first.close()
    return [_opened(first.family, address, together=True) for _ in range(config.workers)]


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    in_use = error.errno == errno.EADDRINUSE
    said = str(error.strerror).partition(" (while")[0]  # Python repeats the address
    reason = "another program listens there already" if in_use else said
    return f"cannot listen at port {port} of {host}: {reason}"


def _bind(host: str, port: int, *, may_be_public: bool, option: str) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    if not may_be_public and not _is_loopback(str(address[0])):
        raise ServerError(
            f"{option}: {host} can be reached from other machines, and there is no TLS: set "
            'tls_certificate, or tls_in_front = "yes" if something in front provides it'
        )
    return _opened(family, address)


def _opened(family: int, address: tuple[Any, ...], *, together: bool = False) -> socket.socket:
    listening = socket.create_server(
        address[:2], family=family, backlog=BACKLOG, reuse_port=together
    )
    # the sockets of the connections inherit these
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listening


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


@dataclass(slots=True)
class _Run:
    """One run of the server in the supervisor, from its start to its exit code."""

    config: Config
    server: Workers
    failed: bool = False

    def serve(self) -> int:
        """Run the workers until the server is told to stop, or cannot start."""
        self.server.run()
        _log.info("stopped")
        return int(self.failed)

    def watch(self, when_ready: Callable[[Config], None] | None) -> None:
        """Wait until the application answers, and say so; stop where it does not get there."""
        while not self.server.cannot_start.wait(_POLL_SECONDS):
            if _is_ready(self.config):
                break
        if not self.server.cannot_start.is_set():
            self.server.was_ready = True
            _log.info(
                "ready", url=self.config.url, workers=self.config.workers, **self.config.places
            )
            self._call(when_ready)
            self.server.cannot_start.wait()
        self.stop()

    def _call(self, when_ready: Callable[[Config], None] | None) -> None:
        try:
            if when_ready:
                when_ready(self.config)
        except Exception as error:
            _log.error("stopping", reason=str(error), exc_info=True)
            self.stop()

    def is_stopping(self) -> bool:
        """Whether the server is about to end."""
        return bool(self.failed or self.server.is_stopping)

    def stop(self) -> None:
        """Stop the server with exit code 1."""
        self.failed = True
        self.server.stop()


def _is_ready(config: Config) -> bool:
    host = config.url.partition("://")[2].rpartition(":")[0].strip("[]")
    connection = http.client.HTTPConnection(host, config.port, timeout=_READY_SECONDS)
    if config.has_tls:
        connection = http.client.HTTPSConnection(
            host, config.port, timeout=_READY_SECONDS, context=_unverified()
        )
    try:
        connection.request("GET", READY)
        return connection.getresponse().status == http.client.OK
    except ssl.SSLError:
        # a worker that demands a certificate is there, but this process has none to show
        return config.tls_client_certificates == "required"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    """Make a context for this server's own eyes: it looks whether it answers, and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _create_application(config: Config) -> Any:
    # here, so that the supervisor stays small: only workers need all of it
    from xds.app import create_app
    from xds.database.errors import DatabaseUnavailable
    from xds.repository.store import StoreError

    try:
        return create_app(config)
    except DatabaseUnavailable as error:
        raise CannotStart(f"the database is not available: {error}") from error
    except (StoreError, OSError, ValueError) as error:
        raise CannotStart(str(error)) from error


def _notice(config: Config) -> None:
    from xds.app import tell_surprises

    tell_surprises(config)
