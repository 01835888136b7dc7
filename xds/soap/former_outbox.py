"""Answers that a program of before 0.2 has left in the folder ``outbox``: they go into the queue.

    <folder>/DUE-ACCEPTED-ATTEMPTS-TARGET-KEY   an answer: a line of JSON, then the message

Who sent an answer held a lock on its file: one that a program of before is sending is left to it.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from xds import logs
from xds.database.access import Database
from xds.outgoing.delivery import NewDelivery
from xds.outgoing.http_sender import CONTENT_TYPE
from xds.outgoing.queue import CORRELATION, enqueue_stream
from xds.soap.asynchronous import CHANNEL

FOLDER: Final = "outbox"

_NAME: Final = re.compile(r"\d{14}-\d{14}-\d{6}-[0-9a-f]{8}-([0-9a-f]{32})")
_LONGEST_LABEL: Final = 256 * 1024
_BLOCK: Final = 256 * 1024

_log = logs.get_logger(__name__)


def take_over(database: Database, folder: Path) -> None:
    """Put each answer into the delivery queue and remove its file.

    DatabaseUnavailable or OSError where that cannot be done; it may be done again.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            # another worker that starts may have taken it over since the folder was listed
            with suppress(FileNotFoundError), path.open("rb") as file:
                if not _is_locked(file, path):
                    continue
                if _is_taken_over(database, file, match[1]):
                    path.unlink()
                else:
                    path.rename(path.with_name(f"{match[1]}.unreadable"))


def _is_taken_over(database: Database, file: BinaryIO, key: str) -> bool:
    """Put an answer into the queue; no if it is damaged."""
    try:
        label = json.loads(file.readline(_LONGEST_LABEL))
        url, attributes = label["url"], {CONTENT_TYPE: label["content_type"]}
        attributes[CORRELATION] = label["correlation"]
    except (ValueError, TypeError, KeyError):
        _log.error("an answer in the outbox is damaged", key=key)
        return False
    new = NewDelivery(channel=CHANNEL, target=url, address=url, attributes=attributes, id=key)
    enqueue_stream(database, new, _blocks(file))
    _log.info("an answer of a former outbox is in the delivery queue", key=key)
    return True


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _is_locked(file: BinaryIO, path: Path) -> bool:
    """Lock a file; no if it is locked, or no longer the one of that name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
