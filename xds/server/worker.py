"""One of the processes that serve, from its start to its end."""

import atexit
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event, Semaphore
from typing import Final

from xds import logs
from xds.config import Config
from xds.http.granian_worker import HttpSettings
from xds.http.service import Service, WSGIApplication
from xds.http.spreading import ConnectionCounts, Share
from xds.server import huge_pages
from xds.sockets import is_readable

CreateApplication = Callable[[Config], WSGIApplication]

LEAVE: Final = signal.SIGUSR1
"""Tells a worker that another has taken its place."""

_SWITCH_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter to itself: one that comes back from the disk with the
database's lock should not wait for others that compute."""

COLLECTIONS: Final = (20_000, 20, 20)
"""When cyclic garbage is looked for: an answer makes thousands of objects and hardly a cycle, and
the interpreter's own 700 has the objects of one answer looked at many times over."""

_TAKING_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.005

_log = logs.get_logger(__name__)


class CannotStart(Exception):
    """Why an application cannot be made, in a sentence that needs no traceback."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a worker shares with its supervisor."""

    listening: socket.socket
    """That of the worker's place, or of all workers."""
    number: int
    """The worker's place."""
    places: ConnectionCounts
    ready: Event
    """Set when the application is there."""
    failed: Event
    """Set when it cannot be."""
    left: Semaphore
    """Counts workers that take no further connections."""
    first: Semaphore | None
    """Taken by the one that speaks for all that are started together; none for one alone."""
    notice: Callable[[Config], None] | None
    """Called by that one once it has started, beside serving."""


def run(config: Config, create: CreateApplication, settings: HttpSettings, shared: Shared) -> None:
    """Serve until told to stop: the whole life of the process."""
    # A thread of Granian's that is still about when all work has ended may ask for the interpreter
    # while that is taken apart: a panic of Rust, with its report in the log and SIGABRT. What is
    # registered first is called last.
    atexit.register(os._exit, 0)
    logs.configure(config.log_level, config.log_format)
    worker = _Worker(config, shared)
    worker.take_over_signals()
    try:
        application = create(config)
    except Exception as error:
        if shared.first is None or shared.first.acquire(block=False):
            unforeseen = not isinstance(error, CannotStart)
            _log.error("the application cannot start", reason=str(error), exc_info=unforeseen)
        shared.failed.set()
        os._exit(1)
    gc.freeze()  # what stays for good need not be looked at by every collection
    gc.set_threshold(*COLLECTIONS)
    sys.setswitchinterval(_SWITCH_SECONDS)
    if shared.first and shared.notice and shared.first.acquire(block=False):
        threading.Thread(target=shared.notice, args=(config,), daemon=True).start()
    share = Share(shared.places, shared.number, shared.listening)
    worker.service = Service(application, config, share)
    shared.ready.set()
    huge_pages.use_when_settled()
    worker.service.run(shared.listening, settings)


class _Worker:
    """What signals mean to a worker."""

    def __init__(self, config: Config, shared: Shared) -> None:
        self._config = config
        self._shared = shared
        self.service: Service | None = None

    def take_over_signals(self) -> None:
        """See to it that each signal is heeded by one thread, and others are not disturbed."""
        taken = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, LEAVE}
        signal.pthread_sigmask(signal.SIG_BLOCK, taken)
        threading.Thread(target=self._heed_signals, daemon=True).start()
        threading.Thread(target=self._leave_with_supervisor, daemon=True).start()

    def _heed_signals(self) -> None:
        # signals come twice: Ctrl-C and service managers reach workers as well as their supervisor
        while signal.sigwait({signal.SIGTERM, LEAVE}) == LEAVE:
            if self.service:
                self.service.leave()
            _take_no_more(self._shared.listening.fileno())
            self._shared.left.release()
        if self.service is None:
            os._exit(0)
        _take_no_more(self._shared.listening.fileno())
        self.service.stop()

    def _leave_with_supervisor(self) -> None:
        """End a worker whose supervisor was killed: it would keep the port, and answer for ever."""
        supervisor = multiprocessing.parent_process()
        if supervisor:
            supervisor.join()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(self._config.grace_seconds)
            os._exit(1)


def _take_no_more(listening: int) -> None:
    """Put a socket that nobody connects to in the place of the listening one, in this process.

    Granian can only stop listening and end its connections in one go. And the listening socket
    itself cannot be shut down: the workers that take over are listening at it too. Connections that
    have come and wait to be taken would be reset, so they are taken first.
    """
    until = time.monotonic() + _TAKING_SECONDS
    while is_readable(listening) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    idle = socket.create_server(("127.0.0.1", 0))
    idle.setblocking(False)
    shared = os.fstat(listening)
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), shared):
                os.dup2(idle.fileno(), int(name))
    idle.close()
