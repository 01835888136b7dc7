"""A process beside the workers with a port of its own: started, replaced if it dies, ended.

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


Run = Callable[[Config, socket.socket, Event, Connection], None]
"""Serves at a listening socket until its process is told to end: the whole life of the process. It
sets the event where it cannot start. The connection brings the folder of the certificates, if there
is TLS, and each newer one."""


@dataclass(slots=True)
class ProcessBeside:
    """Such a process, whichever it is at the time."""

    name: str
    """As logs name it, after "the"."""
    run: Run
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
            _log.error(f"the {self.name} has died and is started again", code=process.exitcode)
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
            target=self.run,
            args=(self.config, self.listening, self.cannot_start, theirs),
            name=self.name,
            daemon=True,
        )
        process.start()
        theirs.close()
        return process


@contextmanager
def beside(process: ProcessBeside, stopping: Callable[[], bool]) -> Iterator[None]:
    """Run a process beside the workers for the length of a block.

    ``stopping`` tells whether the server is about to end, in which case a process that has gone is
    not replaced.
    """
    keeper = threading.Thread(target=process.keep, args=(stopping,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        process.end.set()
        keeper.join()


def _ended(process: BaseProcess, grace_seconds: int) -> None:
    process.terminate()
    process.join(grace_seconds)
    if process.is_alive():
        process.kill()
        process.join()


def patient_feed(
    config: Config, listening: socket.socket, cannot_start: Event, certificates: Connection
) -> None:
    """Serve the patient feed."""
    from xds.messaging.doors.listener import run

    run(config, listening, cannot_start, certificates)


def websockets(
    config: Config, listening: socket.socket, cannot_start: Event, certificates: Connection
) -> None:
    """Serve websockets of subscriptions."""
    from xds.websocket.listener import run

    run(config, listening, cannot_start, certificates)
