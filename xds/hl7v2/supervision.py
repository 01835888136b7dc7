"""The patient feed's process as its supervisor sees it: started, replaced if it dies, ended.

Nothing heavy is imported here: the supervisor stays small.
"""

import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Final

from xds import logs
from xds.config import Config

_POLL_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 0.5
"""Before a process that died is replaced."""

_log = logs.get_logger(__name__)


@contextmanager
def patient_feed(
    config: Config,
    listening: socket.socket,
    cannot_start: Event,
    stopping: Callable[[], bool],
) -> Iterator[None]:
    """Run the patient feed for the length of a block.

    ``cannot_start`` is set where it fails to start. ``stopping`` tells whether the server is about
    to end, in which case a process that has gone is not replaced.
    """
    end = threading.Event()

    def keep() -> None:
        process = _started(config, listening, cannot_start)
        while not end.is_set():
            process.join(_POLL_SECONDS)
            if process.is_alive():
                continue
            if end.wait(_PAUSE_SECONDS) or stopping() or cannot_start.is_set():
                break
            _log.error("the patient feed has died and is started again", code=process.exitcode)
            process = _started(config, listening, cannot_start)
        _ended(process, config.grace_seconds)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        end.set()
        keeper.join()


def _started(config: Config, listening: socket.socket, cannot_start: Event) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(config, listening, cannot_start), name="patient feed", daemon=True
    )
    process.start()
    return process


def _ended(process: BaseProcess, grace_seconds: int) -> None:
    process.terminate()
    process.join(grace_seconds)
    if process.is_alive():
        process.kill()
        process.join()


def _run(config: Config, listening: socket.socket, cannot_start: Event) -> None:
    from xds.hl7v2.listener import run

    run(config, listening, cannot_start)
