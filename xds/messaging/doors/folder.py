"""A watched folder: each file is handled as a message that came in, and put aside with its answer.

A file that lies there unchanged for SETTLED_SECONDS is read. What has become of it tells the folder
that it goes to, ``done`` or ``refused``; beside it lies its acknowledgement, ``<name>.ack``. One
that cannot be taken at the moment stays where it is and is tried again. The answer is on the disk
before the file is moved: a crash has the file handled once more, and what was filed is found again
by its control id and bytes.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xds import logs
from xds.hl7v2.acknowledgement import Judgement
from xds.hl7v2.spooled import LimitOf, SpooledMessage
from xds.hl7v2.wide_text import WideText
from xds.messaging.doors.answering import Answering, MessageArrival
from xds.security.caller import UNKNOWN

SETTLED_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 10.0
DONE: Final = "done"
REFUSED: Final = "refused"
_ACKNOWLEDGEMENT: Final = ".ack"
_BLOCK: Final = 1 << 18
_IN_THE_MAKING: Final = (".part", ".tmp", ".filepart")

_log = logs.get_logger(__name__)


class WatchedFolder:
    """Handles the files of a folder, one after the other, the oldest first."""

    def __init__(self, folder: Path, answering: Answering, limit: LimitOf) -> None:
        self._folder = folder
        self._answering = answering
        self._limit = limit

    def watch(self, end: threading.Event) -> None:
        """Look into the folder until the end."""
        pause = 0.0
        while not end.wait(pause):
            try:
                pause = _PAUSE_SECONDS if self.look(end) else _AGAIN_SECONDS
            except OSError as error:
                _log.error("the folder of messages cannot be used", exc_info=error)
                pause = _AGAIN_SECONDS

    def look(self, end: threading.Event) -> bool:
        """Handle the files that are there; False where one could not be taken at the moment."""
        for path in self._settled():
            if end.is_set():
                break
            if not self._handled(path):
                return False
        return True

    def _settled(self) -> Iterator[Path]:
        """Yield the files that nobody writes any more, the oldest first."""
        until = time.time() - SETTLED_SECONDS
        found: list[tuple[float, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                is_hidden = entry.name.startswith(".") or entry.name.endswith(_IN_THE_MAKING)
                if not is_hidden and entry.is_file() and entry.stat().st_mtime <= until:
                    found.append((entry.stat().st_mtime, entry.name))
        yield from (self._folder / name for _, name in sorted(found))

    def _handled(self, path: Path) -> bool:
        judged: list[Judgement | None] = []
        arrival = MessageArrival(
            door="folder", caller=UNKNOWN, feed=self._folder.name, judged=judged.append
        )
        with SpooledMessage(self._limit) as source:
            text = WideText(source)
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    text.write(block)
            text.finish()
            answers = list(self._answering.answers(source, arrival))
        if any(one is not None and one.is_transient for one in judged):
            _log.warning("a file of messages cannot be taken at the moment")
            return False
        is_taken = all(one is not None and one.is_accepted for one in judged)
        answer = text.answered(b"".join(answers))
        self._put_aside(path, DONE if is_taken else REFUSED, answer)
        return True

    def _put_aside(self, path: Path, where: str, answer: bytes) -> None:
        folder = self._folder / where
        folder.mkdir(mode=0o700, exist_ok=True)
        name = _free_name(folder, path.name)
        _write(folder / f"{name}{_ACKNOWLEDGEMENT}", answer)
        path.rename(folder / name)
        _sync(folder)
        _sync(self._folder)


def _free_name(folder: Path, name: str) -> str:
    """Return a name that no file of the folder has: of ``a.hl7``, ``a.hl7.2``."""
    number, found = 1, name
    while (folder / found).exists():
        number += 1
        found = f"{name}.{number}"
    return found


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
