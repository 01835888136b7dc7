"""The supervisor of the processes that serve: it starts, replaces and ends them.

A worker that dies is started again: at once, or after a pause that grows while one after another
dies young. On SIGHUP, or when certificates have changed, each worker is replaced by a new one, and
so is one whose memory has grown beyond ``max_worker_bytes``. The old one takes no further
connections, tells its clients with each answer that the connection ends, and goes after
``grace_seconds``: so nobody is cut off.
"""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xds import logs
from xds.config import Config
from xds.http.granian_worker import NO_TLS, HttpSettings, Tls
from xds.http.spreading import ConnectionCounts, deal
from xds.server.worker import LEAVE, CreateApplication, Shared, run
from xds.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from xds.server.certificates import Certificates

BACKLOG: Final = 1024

_POLL_SECONDS: Final = 0.05
_TICK_SECONDS: Final = 1.0
_START_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 60.0
_LEAVE_SECONDS: Final = 5.0
_YOUNG_SECONDS: Final = 60.0
"""A worker that dies younger than this makes the next pause longer."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_MOST_FIRST_DEATHS: Final = 3
_MEMORY_SECONDS: Final = 5.0
_GROWN: Final = 1.25
_PROTOCOLS: Final = {"1.2": "tls1.2", "1.3": "tls1.3"}

_log = logs.get_logger(__name__)


class _WorkerSlot:
    """A place among the workers: who has it, and how those before fared."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: BaseProcess | None = None
        self.ready: Event | None = None
        self.failed: Event | None = None
        self.since = 0.0
        """When the worker was started, by time.monotonic()."""
        self.early_deaths = 0
        self.due = 0.0
        """When a worker is to be started in the place of one that died."""
        self.times_too_large = 0
        self.size_at_first = 0
        """The bytes of memory that the worker had when they were first looked at."""

    def took(self, process: BaseProcess, ready: Event, failed: Event) -> None:
        """Note that a worker has taken the place."""
        self.process, self.ready, self.failed = process, ready, failed
        self.since = time.monotonic()
        self.times_too_large = self.size_at_first = 0

    def has_grown(self, size: int, most: int) -> bool:
        """Note how much memory the worker has, and tell whether that was too much twice."""
        self.size_at_first = self.size_at_first or size
        # one that is too large from its start would not be smaller for being replaced
        too_large = size > most and size > self.size_at_first * _GROWN
        self.times_too_large = self.times_too_large + 1 if too_large else 0
        return self.times_too_large > 1

    def pause(self) -> float:
        """Note a death, and return the seconds to wait before the next start."""
        young = time.monotonic() - self.since < _YOUNG_SECONDS
        self.early_deaths = self.early_deaths + 1 if young else 0
        if self.early_deaths < 2:
            return 0.0
        return min(_FIRST_PAUSE * 2.0 ** (self.early_deaths - 2), _LONGEST_PAUSE)


class Workers:
    """The workers of one server, each at a listening socket of its own where it can have one."""

    def __init__(
        self,
        config: Config,
        create: CreateApplication,
        listening: Sequence[socket.socket],
        certificates: "Certificates | None" = None,
        counted: Metrics | None = None,
        notice: Callable[[Config], None] | None = None,
    ) -> None:
        """Prepare to serve at a socket for each worker, or at one for all; by TLS if certificates.

        One worker calls ``notice`` once it has started, beside serving.
        """
        self._config = config
        self._create = create
        self._listening = listening
        self._certificates = certificates
        self._counted = counted
        self._tls = self._taken(certificates.folder) if certificates else NO_TLS
        self._context = multiprocessing.get_context("forkserver")
        self._left = self._context.Semaphore(0)
        self._first = self._context.Semaphore(1)
        self._notice = notice
        self._places = [_WorkerSlot(number) for number in range(config.workers)]
        self._connections = ConnectionCounts(config.workers)
        self._leaving: list[threading.Thread] = []
        self._hooks: list[Callable[[], None]] = []
        self._wakes, self._waker = connection.Pipe(duplex=False)
        self._reload_at: float | None = None
        self._memory_at = 0.0
        self.is_stopping = False
        self.cannot_start = self._context.Event()
        """Set when a worker cannot start, before any could; the server is then to end."""
        self.was_ready = False
        """Whether the server has served; what a worker cannot do since may pass."""

    def on_reload(self, hook: Callable[[], None]) -> None:
        """Call this before workers are replaced."""
        self._hooks.append(hook)

    def run(self) -> None:
        """Serve until told to stop; in the main thread."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        signal.signal(signal.SIGINT, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, lambda *_: self.reload())
        for place in self._places:
            self._start(place)
        while not self.is_stopping:
            self._wait()
            self._look()
        self._end_all()

    def stop(self) -> None:
        """End the workers, and ``run``; from any thread."""
        self.is_stopping = True
        self._wake()

    def reload(self) -> None:
        """Replace all workers; from any thread."""
        self._reload_at = time.monotonic()
        self._wake()

    def _wake(self) -> None:
        self._waker.send_bytes(b"x")

    def _wait(self) -> None:
        """Wait until a worker has died, a signal has come, or a second has passed."""
        sentinels = [place.process.sentinel for place in self._places if place.process]
        if self._wakes in connection.wait([self._wakes, *sentinels], _TICK_SECONDS):
            while self._wakes.poll():
                self._wakes.recv_bytes()

    def _look(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if self.is_stopping:
                return
            if place.process and not place.process.is_alive():
                self._bury(place)
            if place.process is None and now >= place.due:
                self._start(place)
        if self._reload_at is not None and now >= self._reload_at:
            self._reload()
        if now >= self._memory_at:
            self._memory_at = now + _MEMORY_SECONDS
            self._weigh()

    # --- starting, and starting again -----------------------------------------------------------

    def _start(self, place: _WorkerSlot) -> None:
        place.took(*self._started(place.number))

    def _started(self, number: int) -> tuple[BaseProcess, Event, Event]:
        ready, failed = self._context.Event(), self._context.Event()
        config = self._config
        settings = HttpSettings(BACKLOG, config.backpressure, config.header_seconds, self._tls)
        first = None if self.was_ready else self._first
        listening = self._listening[number % len(self._listening)]
        shared = Shared(
            listening, number, self._connections, ready, failed, self._left, first, self._notice
        )
        process = self._context.Process(
            target=run, args=(config, self._create, settings, shared), name=f"worker-{number + 1}"
        )
        process.start()
        return process, ready, failed

    def _bury(self, place: _WorkerSlot) -> None:
        """Note that a worker has died, and when another is to take its place."""
        if place.process is None or place.failed is None:
            return
        has_failed, code = place.failed.is_set(), place.process.exitcode
        place.process.join()
        place.process = None
        self._pass_over(place)
        pause = place.pause()
        place.due = time.monotonic() + pause
        if not self.was_ready and (has_failed or place.early_deaths > _MOST_FIRST_DEATHS):
            self.cannot_start.set()
            place.due = float("inf")
            return
        self._count("died")
        _log.error(
            "a worker has died and is started again",
            worker=place.number + 1,
            exit_code=code,
            seconds=round(pause, 1),
        )

    def _pass_over(self, place: _WorkerSlot) -> None:
        """Deal no connections to a place without a worker."""
        self._connections.left(place.number)
        if len(self._listening) > 1 and (dealt := self._connections.dealt()):
            deal(self._listening[0], dealt)

    def _count(self, reason: str) -> None:
        if self._counted:
            self._counted.restarted(reason)

    # --- replacing -------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Replace all workers."""
        self._reload_at = None
        if self._certificates:
            try:
                self._tls = self._taken(self._certificates.renew())
            except Exception as error:  # whatever it is, it must not end what serves
                _log.error("the certificates are not taken; those in use stay", reason=str(error))
                return
        for hook in self._hooks:
            hook()
        if all(self._replace(place) for place in self._places):
            _log.info("the workers have been replaced", workers=len(self._places))
        elif not self.is_stopping:
            _log.error("a worker cannot be replaced and stays; it is tried again in a minute")
            self._reload_at = time.monotonic() + _RETRY_SECONDS

    def _taken(self, folder: Path) -> Tls:
        clients = self._config.tls_client_certificates
        none = clients == "none"
        return (
            True,
            str(folder / "certificate.pem"),
            str(folder / "key.pem"),
            None,
            _PROTOCOLS[self._config.tls_minimum],
            None if none else str(folder / "trust.pem"),
            [] if none else [str(one) for one in sorted(folder.glob("crl-*.pem"))],
            clients == "required",
        )

    def _replace(self, place: _WorkerSlot) -> bool:
        """Start a worker in the place of another; no if it does not start."""
        new, ready, failed = self._started(place.number)
        if not self._gets_ready(new, ready, failed):
            new.kill()
            return False
        old = place.process
        place.took(new, ready, failed)
        if old is not None and old.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(old.pid, LEAVE)
                self._left.acquire(timeout=_LEAVE_SECONDS)
            thread = threading.Thread(target=self._see_off, args=(old,))
            thread.start()
            self._leaving = [one for one in self._leaving if one.is_alive()] + [thread]
        return True

    def _gets_ready(self, new: BaseProcess, ready: Event, failed: Event) -> bool:
        until = time.monotonic() + _START_SECONDS
        while not ready.wait(_POLL_SECONDS):
            given_up = failed.is_set() or self.is_stopping or time.monotonic() > until
            if given_up or not new.is_alive():
                return False
        return bool(new.is_alive())

    def _see_off(self, old: BaseProcess) -> None:
        """Let an old worker finish, and end it."""
        until = time.monotonic() + self._config.grace_seconds
        while old.is_alive() and time.monotonic() < until and not self.is_stopping:
            old.join(_POLL_SECONDS)
        old.terminate()
        old.join(self._config.grace_seconds)
        if old.is_alive():
            old.kill()

    # --- memory ----------------------------------------------------------------------------------

    def _weigh(self) -> None:
        """Replace a worker whose memory has grown too large; one at a time."""
        for place in self._places:
            size = _resident(place.process) if place.process else 0
            if not size:
                continue
            if place.has_grown(size, self._config.max_worker_bytes):
                told = {"worker": place.number + 1, "bytes": size}
                _log.warning("a worker is replaced: its memory has grown", **told)
                if self._replace(place):
                    self._count("memory")
                return

    # --- the end ---------------------------------------------------------------------------------

    def _end_all(self) -> None:
        """Tell all workers to stop, and end those that do not."""
        there = [place.process for place in self._places if place.process]
        # as the workers do: else connections would wait at it for workers that have gone
        for listening in self._listening:
            listening.close()
        for process in there:
            process.terminate()
        until = time.monotonic() + self._config.grace_seconds
        for process in there:
            process.join(max(until - time.monotonic(), 0.001))
            if process.is_alive():
                _log.warning("a worker is cut off", process=process.name)
                process.kill()
                process.join()
        for thread in self._leaving:
            thread.join()


def _resident(process: BaseProcess) -> int:
    """Return the bytes of memory that a process has, or 0 where that is not told."""
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
