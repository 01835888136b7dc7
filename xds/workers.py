"""The processes that serve: Granian's workers on the one listening socket of their supervisor.

On SIGHUP, or when certificates have changed, each worker is replaced by a new one. The old one
takes no further connections, tells its clients with each answer that the connection ends, and
goes after ``grace_seconds``: so nobody is cut off.
"""

import atexit
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder
from granian.server.mp import MPServer, WorkerProcess

from xds import logs
from xds.config import Config

if TYPE_CHECKING:
    from xds.certificates import Certificates

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
CreateApplication = Callable[[Config], WSGIApplication]

BACKLOG: Final = 1024

_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 60.0
_LEAVE_SECONDS: Final = 5.0
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter to itself: one that comes back from the disk with the
database's lock should not wait for others that compute."""
_LEAVE: Final = signal.SIGUSR1
"""Tells a worker that another has taken its place."""
_PROTOCOLS: Final = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}

_log = logs.get_logger(__name__)


class CannotStart(Exception):
    """Why an application cannot be made, in a sentence that needs no traceback."""


class Workers(MPServer):
    """Granian with a listening socket that is given to it, in place of one for each worker."""

    def __init__(
        self,
        config: Config,
        create: CreateApplication,
        listening: socket.socket,
        certificates: "Certificates | None" = None,
        notice: Callable[[Config], None] | None = None,
    ) -> None:
        """Prepare to serve, by TLS where there are certificates.

        One worker calls ``notice`` once it has started, beside serving.
        """
        self._config = config
        self._create = create
        self._listening = listening
        self._certificates = certificates
        self._ending = threading.Event()
        self._left = multiprocessing.get_context("spawn").Semaphore(0)
        """Counts workers that take no further connections."""
        self._first = multiprocessing.get_context("spawn").Semaphore(1)
        self._notice = notice
        self.cannot_start = multiprocessing.get_context("spawn").Event()
        """Set by a worker that cannot start; the server is then to end."""
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
        if certificates:
            self._take_certificates(certificates.folder)
        logs.configure(config.log_level, config.log_format)  # Granian has undone it

    def run(self) -> None:
        """Serve until told to stop; SystemExit where workers keep dying."""
        self.serve(target_loader=self._loader(self.cannot_start), wrap_loader=False)

    def _take_certificates(self, folder: Path) -> None:
        trust = folder / "trust.pem"
        clients = self._config.tls_client_certificates
        self.build_ssl_context(
            folder / "certificate.pem",
            folder / "key.pem",
            None,
            _PROTOCOLS[self._config.tls_minimum],
            None if clients == "none" else trust,
            [] if clients == "none" else sorted(folder.glob("crl-*.pem")),
            clients == "required",
        )

    def _loader(self, failed: Event, ready: Event | None = None) -> Callable[[], WSGIApplication]:
        number = self._listening.fileno()
        process = _Process(number, failed, self._left, self._first, self._notice, ready)
        return partial(_start_worker, self._config, self._create, process)

    def _init_shared_socket(self) -> None:
        number = self._listening.fileno()
        with_backlog = sys.platform.startswith(("linux", "freebsd"))
        arguments = (number, False, BACKLOG) if with_backlog else (number, False)
        self._shd = SocketHolder(*arguments)  # type: ignore[assignment]  # declared by None alone
        self._sso = self._listening

    # --- replacing workers -----------------------------------------------------------------------

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:
        """Replace all workers; called by Granian's loop on SIGHUP and ``signal_handler_reload``."""
        self.main_loop_interrupt.clear()
        self.reload_signal = False
        if self.interrupt_signal:
            self.main_loop_interrupt.set()
            return
        if self._certificates:
            try:
                self._take_certificates(self._certificates.renew())
            except Exception as error:  # whatever it is, it must not end what serves
                _log.error("the certificates are not taken; those in use stay", reason=str(error))
                return
        self._call_hooks(self.hooks_reload)
        if all(self._replace(number, spawn_target) for number in range(self.workers)):
            _log.info("the workers have been replaced", workers=self.workers)
        elif not self.interrupt_signal:
            _log.error("a worker cannot be replaced and stays; it is tried again in a minute")
            again = threading.Timer(_RETRY_SECONDS, self.signal_handler_reload)
            again.daemon = True
            again.start()

    def _replace(self, number: int, spawn_target: Any) -> bool:
        """Start a worker in the place of another; no if it does not start."""
        context = multiprocessing.get_context("spawn")
        failed, ready = context.Event(), context.Event()
        loader = self._loader(failed, ready)
        new: WorkerProcess = self._spawn_worker(number, spawn_target, loader)
        new.interrupt_by_parent = True  # its end is seen here and need not alarm Granian
        new.start()
        if not self._gets_ready(new, failed, ready):
            new.kill()
            return False
        new.interrupt_by_parent = False
        old, self.wrks[number] = self.wrks[number], new
        old.interrupt_by_parent = True
        with suppress(ProcessLookupError):
            os.kill(old.inner.pid, _LEAVE)
            self._left.acquire(timeout=_LEAVE_SECONDS)
        threading.Thread(target=self._see_off, args=(old,)).start()
        return True

    def _gets_ready(self, new: WorkerProcess, failed: Event, ready: Event) -> bool:
        until = time.monotonic() + _START_SECONDS
        while not ready.wait(_POLL_SECONDS):
            given_up = failed.is_set() or self.interrupt_signal or time.monotonic() > until
            if given_up or not new.is_alive():
                return False
        return bool(new.is_alive())

    def _see_off(self, old: WorkerProcess) -> None:
        """Let an old worker finish, and end it."""
        until = time.monotonic() + self._config.grace_seconds
        while old.is_alive() and time.monotonic() < until and not self._ending.is_set():
            old.join(_POLL_SECONDS)
        old.terminate()
        old.join(self._config.grace_seconds)
        if old.is_alive():
            old.kill()

    def _stop_workers(self) -> None:
        self._ending.set()
        super()._stop_workers()


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


# --- in a worker ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Process:
    """What a worker shares with its supervisor."""

    listening: int
    """The number of the socket."""
    failed: Event
    left: Semaphore
    first: Semaphore
    """Taken by the worker that speaks for all: each has the same to say."""
    notice: Callable[[Config], None] | None
    ready: Event | None


def _start_worker(config: Config, create: CreateApplication, process: _Process) -> WSGIApplication:
    """Make the application, in a worker that has just been started."""
    logs.configure(config.log_level, config.log_format)
    leaving = threading.Event()
    _take_over_signals(config, process, leaving)
    try:
        application = create(config)
    except Exception as error:
        if process.first.acquire(block=False):
            unforeseen = not isinstance(error, CannotStart)
            _log.error("the application cannot start", reason=str(error), exc_info=unforeseen)
        process.failed.set()
        time.sleep(config.grace_seconds)  # the supervisor ends this process well before
        raise SystemExit(1) from None
    gc.freeze()  # what stays for good need not be looked at by every collection
    sys.setswitchinterval(_SWITCH_SECONDS)
    if process.first.acquire(block=False) and process.notice:
        threading.Thread(target=process.notice, args=(config,), daemon=True).start()
    if process.ready:
        process.ready.set()
    return _Leaving(application, leaving)


class _Leaving:
    """Has each answer end its connection, once the worker is to go."""

    def __init__(self, application: WSGIApplication, leaving: threading.Event) -> None:
        self._application = application
        self._leaving = leaving

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""

        def last(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            ending = self._leaving.is_set()
            return start_response(
                status, [*headers, ("Connection", "close")] if ending else headers, *more
            )

        return self._application(environ, last)


def _take_over_signals(config: Config, process: _Process, leaving: threading.Event) -> None:
    """See to it that Granian is told to stop once, and only once.

    Its handler blocks for ever, with the interpreter's lock, when it is called a second time. And
    signals do come twice: Ctrl-C and service managers reach workers as well as their supervisor.
    """
    taken = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, _LEAVE}
    signal.pthread_sigmask(signal.SIG_BLOCK, taken)
    threading.Thread(target=_heed_signals, args=(process, leaving), daemon=True).start()
    threading.Thread(target=_leave_with_supervisor, args=(config,), daemon=True).start()


def _heed_signals(process: _Process, leaving: threading.Event) -> None:
    while signal.sigwait({signal.SIGTERM, _LEAVE}) == _LEAVE:
        leaving.set()
        _take_no_more(process.listening)
        process.left.release()
    # A thread of Granian's that is still about when all work has ended may ask for the interpreter
    # while that is taken apart: a panic of Rust, with its report in the log and SIGABRT.
    atexit.register(os._exit, 0)
    stop = signal.getsignal(signal.SIGTERM)
    if callable(stop):
        stop(signal.SIGTERM, None)
    else:
        os._exit(0)  # Granian is not serving yet


def _take_no_more(listening: int) -> None:
    """Put a socket that nobody connects to in the place of the listening one, in this process.

    Granian can only stop listening and end its connections in one go. And the listening socket
    itself cannot be shut down: the workers that take over are listening at it too.
    """
    idle = socket.create_server(("127.0.0.1", 0))
    idle.setblocking(False)
    shared = os.fstat(listening)
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), shared):
                os.dup2(idle.fileno(), int(name))
    idle.close()


def _leave_with_supervisor(config: Config) -> None:
    """End a worker whose supervisor was killed: it would keep the port and answer for ever."""
    supervisor = multiprocessing.parent_process()
    if supervisor:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(config.grace_seconds)
        os._exit(1)
