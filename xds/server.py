"""The HTTP server: Granian runs the WSGI application in worker processes under a supervisor.

The supervisor opens the one listening socket and hands it to its workers. So a port in use is
found out at once, connections wait while a dead worker is replaced, and a client whose machine
has gone is noticed, also where it leaves a request half sent.
"""

import atexit
import errno
import gc
import http.client
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.synchronize import Event
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder
from granian.server.mp import MPServer

from xds import logs
from xds.config import Config
from xds.hl7v2.supervision import patient_feed

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
CreateApplication = Callable[[Config], WSGIApplication]

READY: Final = "/health/ready"

_BACKLOG: Final = 1024
_BIND_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.05
_READY_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter to itself: one that comes back from the disk with the
database's lock should not wait for others that compute."""
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
    # a fork of a process with threads may hang; a worker that starts afresh cannot
    multiprocessing.set_start_method("spawn", force=True)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(config.host, config.port))
        config = config.model_copy(update={"port": listening.getsockname()[1]})
        run = _Run(config, _Server(config, listening))
        if config.mllp_port is not None:
            stack.enter_context(_patient_feed(config, config.mllp_port, run))
        threading.Thread(target=run.watch, args=(when_ready,), daemon=True).start()
        return run.serve(create or _create_application)


@contextmanager
def _patient_feed(config: Config, port: int, run: "_Run") -> Iterator[None]:
    """Serve the patient feed as well, in a process of its own, for the length of a block."""
    with (
        listen(config.mllp_host or config.host, port) as listening,
        patient_feed(config, listening, run.cannot_start, run.is_stopping),
    ):
        yield


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket, or raise ServerError."""
    until = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            # the workers of a server that was killed just now may still be about to leave
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise ServerError(_cannot_listen(host, port, error)) from error
            time.sleep(_POLL_SECONDS)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    in_use = error.errno == errno.EADDRINUSE
    said = str(error.strerror).partition(" (while")[0]  # Python repeats the address
    reason = "another program listens there already" if in_use else said
    return f"cannot listen at port {port} of {host}: {reason}"


def _bind(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    # the sockets of the connections inherit these
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listening


class _Server(MPServer):
    """Granian with a listening socket that is given to it, in place of one for each worker."""

    def __init__(self, config: Config, listening: socket.socket) -> None:
        super().__init__(
            "xds",
            address=config.host,
            port=config.port,
            interface=Interfaces.WSGI,
            workers=config.workers,
            blocking_threads=config.threads,
            backpressure=config.backpressure,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=config.header_seconds * 1000),
            websockets=False,
            respawn_failed_workers=True,
            workers_kill_timeout=config.grace_seconds,
            log_level=LogLevels.info if config.log_level == "debug" else LogLevels.warning,
            log_dictconfig=_granian_logs(),
        )
        self._listening = listening
        logs.configure(config.log_level, config.log_format)  # Granian has undone it

    def _init_shared_socket(self) -> None:
        number = self._listening.fileno()
        with_backlog = sys.platform.startswith(("linux", "freebsd"))
        arguments = (number, False, _BACKLOG) if with_backlog else (number, False)
        self._shd = SocketHolder(*arguments)  # type: ignore[assignment]  # declared by None alone
        self._sso = self._listening


def _granian_logs() -> dict[str, Any]:
    """Leave Granian's log lines to the handler of all libraries."""
    through = {"handlers": [], "propagate": True}
    return {
        "formatters": {},
        "handlers": {},
        "filters": {"deliberate": {"()": _Deliberate}},
        "loggers": {
            "_granian": {**through, "filters": ["deliberate"]},
            "granian.access": dict(through),
        },
    }


class _Deliberate(logging.Filter):
    """Leaves out that there are more workers than cores, which is meant (see ``workers``)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is of interest."""
        return not record.getMessage().startswith("Configured number of workers")


@dataclass(slots=True)
class _Run:
    """One run of the server in the supervisor, from its start to its exit code."""

    config: Config
    server: _Server
    cannot_start: Event = field(
        default_factory=lambda: multiprocessing.get_context("spawn").Event()
    )
    failed: bool = False

    def serve(self, create: CreateApplication) -> int:
        """Run Granian until it is told to stop, or its workers keep dying."""
        loader = partial(_start_worker, self.config, create, self.cannot_start)
        code: object = 0
        try:
            self.server.serve(target_loader=loader, wrap_loader=False)
        except SystemExit as exit_:
            # a signal for the whole group ends workers before their supervisor tells them to
            code = 0 if self.server.interrupt_signal else exit_.code
        _log.info("stopped")
        return 1 if self.failed or code else 0

    def watch(self, when_ready: Callable[[Config], None] | None) -> None:
        """Wait until the application answers, and say so; stop where it does not get there."""
        while not self.cannot_start.wait(_POLL_SECONDS):
            if _is_ready(self.config):
                break
        if not self.cannot_start.is_set():
            _log.info("ready", url=self.config.url, workers=self.config.workers)
            self._call(when_ready)
            self.cannot_start.wait()
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
        return bool(self.failed or self.server.interrupt_signal)

    def stop(self) -> None:
        """Stop the server with exit code 1."""
        self.failed = True
        self.server.signal_handler_interrupt()


def _is_ready(config: Config) -> bool:
    host = config.url.removeprefix("http://").rpartition(":")[0].strip("[]")
    connection = http.client.HTTPConnection(host, config.port, timeout=_READY_SECONDS)
    try:
        connection.request("GET", READY)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _create_application(config: Config) -> WSGIApplication:
    # here, so that the supervisor stays small: only workers need all of it
    from xds.app import create_app

    return create_app(config)


def _start_worker(
    config: Config, create: CreateApplication, cannot_start: Event
) -> WSGIApplication:
    """Make the application, in a worker that has just been started."""
    logs.configure(config.log_level, config.log_format)
    _take_over_signals(config)
    try:
        application = create(config)
        gc.freeze()  # what stays for good need not be looked at by every collection
        sys.setswitchinterval(_SWITCH_SECONDS)
        return application
    except Exception as error:
        _log.error("the application cannot start", reason=str(error), exc_info=True)
        cannot_start.set()
        time.sleep(config.grace_seconds)  # the supervisor ends this process well before
        raise SystemExit(1) from None


def _take_over_signals(config: Config) -> None:
    """See to it that Granian is told to stop once, and only once.

    Its handler blocks for ever, with the interpreter's lock, when it is called a second time. And
    signals do come twice: Ctrl-C and service managers reach workers as well as their supervisor.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    threading.Thread(target=_stop_on_signal, daemon=True).start()
    threading.Thread(target=_leave_with_supervisor, args=(config,), daemon=True).start()


def _stop_on_signal() -> None:
    signal.sigwait({signal.SIGTERM})
    # A thread of Granian's that is still about when all work has ended may ask for the interpreter
    # while that is taken apart: a panic of Rust, with its report in the log and SIGABRT.
    atexit.register(os._exit, 0)
    stop = signal.getsignal(signal.SIGTERM)
    if callable(stop):
        stop(signal.SIGTERM, None)
    else:
        os._exit(0)  # Granian is not serving yet


def _leave_with_supervisor(config: Config) -> None:
    """End a worker whose supervisor was killed: it would keep the port and answer for ever."""
    supervisor = multiprocessing.parent_process()
    if supervisor:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(config.grace_seconds)
        os._exit(1)
