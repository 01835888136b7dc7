"""Slow clients: how long the server waits for each, and how many of its requests it awaits.

No wait is longer than ``wait_seconds``, and all waits of a request, or of its answer, together no
longer than that and a second for every ``min_bytes_per_second`` bytes that have passed; so a stall
ends as well as a trickle. Of the requests of one address that have not come at once, a worker
awaits no more than ``max_client_waits``: the latest beyond that are refused.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from xds import logs
from xds.config import Config
from xds.errors import FailureKind, RequestRefused

POLL_SECONDS: Final = 0.25
_AT_ONCE_SECONDS: Final = 0.25
_SHARE_OF_ONE_CLIENT: Final = 4

_log = logs.get_logger(__name__)


class TooSlow(RequestRefused, OSError):
    """A client has kept the server waiting for longer than it may."""

    failure_kind = FailureKind.SLOW


class TooMany(OSError):
    """Too many requests of a client are awaited already."""

    failure_kind = FailureKind.BUSY


class Wait:
    """What one request, or its answer, has cost in waiting for its client."""

    __slots__ = ("address", "begun", "client", "correlation", "count", "since", "spent")

    def __init__(self, client: str, address: str | None = None) -> None:
        self.client = client
        """The address and port that the request comes from."""
        self.address = address
        """The address whose awaited requests this is one of; of an answer, none."""
        self.begun = time.monotonic()
        self.correlation: str | None = None
        """The id of the log lines of the request, once it has one."""
        self.count = 0
        """The bytes that have passed."""
        self.spent = 0.0
        self.since = 0.0
        """When the wait under way began, by time.monotonic(); 0 where there is none."""

    def begin(self) -> None:
        """Begin to wait."""
        self.since = time.monotonic()

    def end(self, count: int) -> None:
        """End a wait in which these bytes passed."""
        self.spent += time.monotonic() - self.since
        self.since = 0.0
        self.count += count

    def tell(self, reason: str) -> None:
        """Write into the log that the client is waited for no longer."""
        seconds = round(self.spent + (time.monotonic() - self.since if self.since else 0), 1)
        with logs.correlation(self.correlation):
            _log.warning(
                "a slow client was cut off",
                reason=reason,
                client=self.client,
                bytes=self.count,
                seconds=seconds,
            )

    def is_late(self, now: float, seconds: float, rate: float) -> bool:
        """Tell whether this wait, or all waits, are longer than they may be."""
        since = self.since
        if not since:
            return False
        return now - since > seconds or self.spent + now - since > seconds + self.count / rate


Late = Callable[[Exception], None]
"""Ends a wait, in the worker's loop, with TooSlow or TooMany."""


class SlowClients:
    """All that a worker waits for; looked at every ``POLL_SECONDS``."""

    def __init__(self, config: Config) -> None:
        self._seconds = config.wait_seconds
        self._rate = config.min_bytes_per_second
        self._most = config.max_client_waits or max(config.backpressure // _SHARE_OF_ONE_CLIENT, 1)
        self._waits: dict[Wait, Late] = {}

    @property
    def awaited(self) -> int:
        """How many waits for clients there are."""
        return len(self._waits)

    def add(self, wait: Wait, late: Late) -> None:
        """Look at a wait from now on."""
        self._waits[wait] = late

    def remove(self, wait: Wait) -> None:
        """Look at it no longer."""
        self._waits.pop(wait, None)

    def look(self) -> None:
        """End all waits that are too long, or too many."""
        now = time.monotonic()
        waits = tuple(self._waits.items())
        for wait, late in waits:
            if wait.is_late(now, self._seconds, self._rate):
                _end(late, TooSlow("the client is too slow"))
        awaited: Counter[str] = Counter()
        for wait, late in sorted(waits, key=lambda item: item[0].begun):
            if wait.address is None or now - wait.begun < _AT_ONCE_SECONDS:
                continue
            awaited[wait.address] += 1
            if awaited[wait.address] > self._most:
                _end(late, TooMany("too many requests of the client are awaited"))


def _end(late: Late, error: Exception) -> None:
    try:
        late(error)
    except Exception as failure:
        _log.error("a slow client could not be cut off", exc_info=failure)


def cut_off(client: str) -> bool:
    """Shut down the connection of this process with a client's address and port; no if it is gone.

    Granian has no way to end one connection. This looks for its socket among the open files.
    """
    address, _, port = client.rpartition(":")
    wanted = (address.strip("[]"), int(port))
    for name in os.listdir("/dev/fd"):
        with suppress(OSError, ValueError):
            connection = socket.socket(fileno=os.dup(int(name)))
            with connection:
                if connection.family != socket.AF_UNIX and connection.getpeername()[:2] == wanted:
                    connection.shutdown(socket.SHUT_RDWR)
                    return True
    return False
