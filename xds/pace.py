"""Slow clients: how long a worker's threads wait for them, and what ends the wait.

A thread that reads a request waits until the client has sent it, and one that sends an answer
waits until the client has taken it. No wait is longer than ``wait_seconds``, and all waits of a
request together no longer than that and a second for every ``min_bytes_per_second`` bytes that have
passed; so a stall ends as well as a trickle. No more than ``max_client_waits`` threads of a worker
read from one client at once, and one thread is kept free of all: a request that gets no turn within
a second is refused. Of answers, the slowest beyond these numbers are cut off.

Granian tells neither the port of a client nor its socket. So the watch looks for the sockets of
this process that come from the client's address and have been as slow as the request: Linux counts
the bytes of each (tcp(7), TCP_INFO). Of a request only the receiving side is closed, so that its
sender still gets an answer. By mistake it may be that of another connection of the client, but only
of one on which nothing at all has passed in the time.
"""

import fcntl
import os
import socket
import struct
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from xds import logs
from xds.config import Config
from xds.errors import FailureKind, RequestRefused

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_POLL_SECONDS: Final = 0.5
_SLOW_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 1.0
_SLOW_FACTOR: Final = 8
"""A client is slow that takes a second, and sends or takes less than this times the least rate."""
_LEAST_BLOCK: Final = 16 * 1024
_QUICK_SECONDS: Final = 0.05
_LARGE: Final = 256 * 1024
_SLICE: Final = 64 * 1024
_RECEIVED_AND_ACKED: Final = struct.Struct("@QQ")
_AT: Final = 120
"""Where TCP_INFO has tcpi_bytes_acked and tcpi_bytes_received, in Linux since 4.1."""
_TCP_INFO_BYTES: Final = 136

_log = logs.get_logger(__name__)


class TooSlow(RequestRefused, OSError):
    """A client has kept the server waiting for longer than it may."""

    failure_kind = FailureKind.SLOW


class TooMany(OSError):
    """Too many requests wait for their clients already."""

    failure_kind = FailureKind.BUSY


@dataclass(slots=True, eq=False)
class _Request:
    """What one request has cost in waiting; written by its thread, read by the watch."""

    address: str
    """The address that it comes from."""
    correlation: str | None = None
    """The id of its log lines, once it has one."""
    count: int = 0
    """The bytes that have passed since waiting is counted."""
    spent: float = 0.0
    since: float = 0.0
    """When the wait under way began; 0 where there is none."""
    is_reading: bool = True
    is_cut: bool = False

    before: "_Sockets | None" = None
    """The client's sockets early in the wait under way, or in one shortly before."""
    seen: float = 0.0
    """When the wait began that these were looked at in."""

    def is_late(self, now: float, seconds: float, rate: float) -> bool:
        """Whether this wait or all waits are longer than they may be."""
        since = self.since
        return bool(since and now - since > seconds) or self.is_beyond(now, seconds, rate)

    def look_at_sockets(self) -> None:
        """Note how much the client's sockets have sent and taken, once in each wait."""
        if self.before is None or self.seen != self.since:
            self.seen, self.before = self.since, _sockets_of(self.address)

    def waited(self, now: float) -> float:
        """Return the seconds of all waits, that under way included."""
        since = self.since
        return self.spent + (now - since if since else 0.0)

    def is_beyond(self, now: float, seconds: float, rate: float) -> bool:
        """Whether more was waited than these seconds, and the bytes at this rate, allow."""
        return self.waited(now) > seconds + self.count / rate

    def begin(self) -> None:
        """Begin to wait."""
        self.since = time.monotonic()

    def end(self, count: int) -> float:
        """End a wait in which these bytes passed; return its seconds."""
        took = time.monotonic() - self.since if self.since else 0.0
        self.since = 0.0
        self.spent += took
        self.count += count
        return took


class Paced:
    """A WSGI application whose threads wait for slow clients only so long."""

    def __init__(
        self,
        application: WSGIApplication,
        config: Config,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        """Watch an application; ``tell`` is told twice a second how many threads wait."""
        self._application = application
        self._watch = _Watch(config, tell)
        self._watch.start()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        # not the environment, which would hold it in a circle that has to be looked for
        request = _Request(environ.get("REMOTE_ADDR") or "")
        environ["wsgi.input"] = _Input(environ["wsgi.input"], request, self._watch)
        blocks = self._application(environ, start_response)
        if isinstance(blocks, list) and sum(map(len, blocks)) <= _LARGE:
            return blocks
        request.correlation = environ.get(logs.CORRELATION)
        return _Output(blocks, request, self._watch)


class _Input:
    """The body of a request: reading it is counted."""

    def __init__(self, stream: Any, request: _Request, watch: "_Watch") -> None:
        self._stream = stream
        self._request = request
        self._watch = watch
        self._block = _LEAST_BLOCK

    def read(self, size: int = -1, /) -> bytes:
        """Read some bytes, none at the end; may raise TooSlow or TooMany.

        Granian's stream waits until it has as many bytes as it is asked for. So it is asked for
        few until they have come quickly.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(_LARGE), b""))
        data = b""
        self._request.correlation = logs.current_correlation()
        with self._watch.turns.one_for(self._request.address):
            self._watch.begin(self._request)
            try:
                data = bytes(self._stream.read(min(size, self._block)))
            finally:
                took = self._watch.end(self._request, len(data))
                if self._request.is_cut:
                    raise TooSlow("the request came too slowly")
        self._block = min(self._block * 2, _SLICE) if took < _QUICK_SECONDS else _LEAST_BLOCK
        return data


class _Output:
    """The blocks of an answer: the time from one to the next is counted."""

    def __init__(self, blocks: Iterable[bytes], request: _Request, watch: "_Watch") -> None:
        self._blocks = blocks
        self._request = request
        self._watch = watch

    def __iter__(self) -> Iterator[bytes]:
        request, watch = self._request, self._watch
        request.is_reading, request.is_cut, request.spent, request.count = False, False, 0.0, 0
        with logs.correlation(request.correlation):
            try:
                for block in self._sliced():
                    watch.begin(request)
                    yield block
                    watch.end(request, len(block))
            finally:
                watch.end(request, 0)

    def _sliced(self) -> Iterator[bytes]:
        """Yield blocks that the sockets hold: what Granian holds of one is in memory until then."""
        for block in self._blocks:
            if len(block) <= _SLICE:
                yield block
                continue
            for start in range(0, len(block), _SLICE):
                yield block[start : start + _SLICE]

    def close(self) -> None:
        """Close what gives the blocks."""
        self._watch.end(self._request, 0)
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()


class _Turns:
    """Which threads may read from clients: not all at once, and of one client only so many."""

    def __init__(self, most: int, most_of_client: int) -> None:
        self.most = most
        self.most_of_client = most_of_client
        self._reading: Counter[str] = Counter()
        self._total = 0
        self._free = threading.Condition()

    @contextmanager
    def one_for(self, address: str) -> Iterator[None]:
        """Have a turn for the length of a block; TooMany where there is none for a second."""
        with self._free:
            if not self._free.wait_for(lambda: self._is_free(address), _TURN_SECONDS):
                _log.warning("a request was refused: too many wait for clients", client=address)
                raise TooMany("too many requests wait for their clients")
            self._reading[address] += 1
            self._total += 1
        try:
            yield
        finally:
            with self._free:
                self._total -= 1
                self._reading[address] -= 1
                if not self._reading[address]:
                    del self._reading[address]
                self._free.notify_all()

    def _is_free(self, address: str) -> bool:
        return self._total < self.most and self._reading[address] < self.most_of_client


class _Watch:
    """Looks at all waits of a worker twice a second, and ends those that are too long."""

    def __init__(self, config: Config, tell: Callable[[int], None] | None) -> None:
        self._tell = tell
        self._told = 0
        self._seconds = config.wait_seconds
        self._rate = config.min_bytes_per_second
        of_client = config.max_client_waits or max(config.threads // 2, 1)
        self.turns = _Turns(max(config.threads - 1, 1), of_client)
        self._waiting: set[_Request] = set()

    def start(self) -> None:
        """Begin to look, until the process ends."""
        threading.Thread(target=self._run, name="pace", daemon=True).start()

    def begin(self, request: _Request) -> None:
        """Take note that a thread begins to wait."""
        request.begin()
        self._waiting.add(request)

    def end(self, request: _Request, count: int) -> float:
        """Take note that it has ended, and how many bytes have passed; return its seconds."""
        self._waiting.discard(request)
        return request.end(count)

    def _run(self) -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            try:
                self._look(time.monotonic())
            except Exception as error:
                _log.error("the watch for slow clients failed", exc_info=error)

    def _look(self, now: float) -> None:
        if self._tell and len(self._waiting) != self._told:
            self._told = len(self._waiting)
            self._tell(self._told)
        slow = [one for one in tuple(self._waiting) if self._is_slow(one, now)]
        slow.sort(key=lambda one: one.waited(now))
        known = [one for one in slow if one.before]
        late = [one for one in known if one.is_late(now, self._seconds, self._rate)]
        for one in late:
            self._cut(one, now, self._rate, "too slow")
        for one in self._excess([one for one in known if not one.is_reading]):
            self._cut(one, now, self._rate * _SLOW_FACTOR, "too many slow answers")
        for one in slow:
            one.look_at_sockets()

    def _is_slow(self, request: _Request, now: float) -> bool:
        return request.is_late(now, _SLOW_SECONDS, self._rate * _SLOW_FACTOR)

    def _excess(self, slow: list[_Request]) -> Iterator[_Request]:
        """Yield the slowest beyond the numbers, which are of a client and of all."""
        left = [one for one in slow if not one.is_cut]
        of_client: Counter[str] = Counter()
        kept = 0
        for one in left:  # those that wait longest come last
            of_client[one.address] += 1
            if of_client[one.address] > self.turns.most_of_client or kept >= self.turns.most:
                yield one
            else:
                kept += 1

    def _cut(self, request: _Request, now: float, rate: float, reason: str) -> None:
        told = {"reason": reason, "client": request.address, "bytes": request.count}
        seconds = round(request.waited(now), 1)
        before, request.is_cut = request.before, True  # first, as its thread goes on at once
        if before and before.close_slow(request.address, rate, reading=request.is_reading):
            with logs.correlation(request.correlation):
                _log.warning("a slow client was cut off", **told, seconds=seconds)
        else:
            request.is_cut = False


@dataclass(slots=True)
class _Sockets:
    """The sockets of one client at a moment: what each had received and sent by then."""

    at: float = field(default_factory=time.monotonic)
    counts: Mapping[tuple[Any, ...], tuple[int, int]] = field(default_factory=dict)

    def close_slow(self, address: str, rate: float, *, reading: bool) -> int:
        """Close those that have been slow since then: their receiving side, or all of them.

        Returns how many.
        """
        closed = 0
        most = rate * (time.monotonic() - self.at)
        for connection in _connections(address):
            with connection, suppress(OSError):
                acked_now, received_now = _counts(connection)
                # of one that is newer nothing is known
                acked, received = self.counts.get(connection.getpeername(), (-1, received_now))
                if reading and acked_now == acked and received_now - received <= most:
                    connection.shutdown(socket.SHUT_RD)
                    closed += 1
                elif (
                    not reading and acked >= 0 and _unsent(connection) and acked_now - acked <= most
                ):
                    connection.shutdown(socket.SHUT_RDWR)
                    closed += 1
        return closed


def _sockets_of(address: str) -> _Sockets:
    found = {}
    for connection in _connections(address):
        with connection, suppress(OSError):
            found[connection.getpeername()] = _counts(connection)
    return _Sockets(counts=found)


def _connections(address: str) -> Iterator[socket.socket]:
    """Yield the TCP connections of this process with an address, each to be closed by the caller.

    What is closed is another handle of it.
    """
    if sys.platform != "linux":
        return
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if not os.readlink(Path("/proc/self/fd", name)).startswith("socket:"):
                continue
            connection = socket.socket(fileno=os.dup(int(name)))
            if _is_with(connection, address):
                yield connection
            else:
                connection.close()


def _is_with(connection: socket.socket, address: str) -> bool:
    try:
        return connection.family != socket.AF_UNIX and connection.getpeername()[0] == address
    except OSError:
        return False


def _counts(connection: socket.socket) -> tuple[int, int]:
    """Return the bytes that the other side has confirmed, and those that came from it."""
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    acked, received = _RECEIVED_AND_ACKED.unpack_from(told, _AT)
    return acked, received


def _unsent(connection: socket.socket) -> int:
    """Return how many bytes the other side has still to confirm."""
    return int(struct.unpack("@i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0])
