"""The patient feed's process as its supervisor sees it: started, replaced if it dies, ended.

Nothing heavy is imported here: the supervisor stays small.
"""

import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

from xds import logs
from xds.config import Config

_POLL_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 0.5
"""Before a process that died is replaced."""

_log = logs.get_logger(__name__)


Folder = Callable[[], Path]
"""Tells where the newest copies of the certificates lie."""


@dataclass(slots=True)
class PatientFeed:
    """The process of the patient feed, whichever it is at the time."""

    config: Config
    listening: socket.socket
    cannot_start: Event
    folder: Folder | None
    """None where there is no TLS."""
    end: threading.Event = field(default_factory=threading.Event)
    _pipe: Connection | None = None

    def keep(self, stopping: Callable[[], bool]) -> None:
        """Start it, and start it again when it dies, until the end."""
        process = self._started()
        while not self.end.is_set():
            process.join(_POLL_SECONDS)
            if process.is_alive():
                continue
            if self.end.wait(_PAUSE_SECONDS) or stopping() or self.cannot_start.is_set():
                break
            _log.error("the patient feed has died and is started again", code=process.exitcode)
            process = self._started()
        _ended(process, self.config.grace_seconds)

    def renew(self) -> None:
        """Have connections from now on served with the certificates as they are now."""
        if self._pipe and self.folder:
            with suppress(OSError):
                self._pipe.send(self.folder())

    def _started(self) -> BaseProcess:
        context = multiprocessing.get_context("forkserver")
        theirs, self._pipe = context.Pipe(duplex=False)
        if self.folder:
            self._pipe.send(self.folder())
        process = context.Process(
            target=_run,
            args=(self.config, self.listening, self.cannot_start, theirs),
            name="patient feed",
            daemon=True,
        )
        process.start()
        theirs.close()
        return process


@contextmanager
def patient_feed(
    config: Config,
    listening: socket.socket,
    cannot_start: Event,
    stopping: Callable[[], bool],
    folder: Folder | None = None,
) -> Iterator[PatientFeed]:
    """Run the patient feed for the length of a block, by TLS where there is a ``folder``.

    ``cannot_start`` is set where it fails to start. ``stopping`` tells whether the server is about
    to end, in which case a process that has gone is not replaced.
    """
    feed = PatientFeed(config, listening, cannot_start, folder)
    keeper = threading.Thread(target=feed.keep, args=(stopping,), daemon=True)
    keeper.start()
    try:
        yield feed
    finally:
        feed.end.set()
        keeper.join()


def _ended(process: BaseProcess, grace_seconds: int) -> None:
    process.terminate()
    process.join(grace_seconds)
    if process.is_alive():
        process.kill()
        process.join()


def _run(
    config: Config, listening: socket.socket, cannot_start: Event, certificates: Connection
) -> None:
    from xds.hl7v2.listener import run

    run(config, listening, cannot_start, certificates)
