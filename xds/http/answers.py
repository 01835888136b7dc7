"""The answer to a request: sent at once where it is small, else as its client takes it.

Granian would hold all of a stream that a client does not take, but reads a file only as its client
takes it. So a large answer goes through a pipe, which Granian reads like a file. A thread makes the
blocks of the answer until the pipe is full; when there is room again, a thread goes on.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Final

from xds import logs
from xds.http.granian_worker import GranianRequest, Headers
from xds.http.slow_clients import SlowClients, Wait, cut_off
from xds.http.threads import Threads

_LARGE: Final = 512 * 1024
_PIPE: Final = 256 * 1024
"""No more than ``_LARGE``, so that a large answer fills a pipe that nobody reads."""
_TURN: Final = 4 << 20
"""Bytes after which a thread sees to others first."""
_WITHOUT_BODY: Final = frozenset({204, 304})

_log = logs.get_logger(__name__)


class Answers:
    """Gives the answers of a worker, and waits for room for them in an event loop."""

    def __init__(
        self, clients: SlowClients, threads: Threads, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.clients = clients
        self.threads = threads
        self.loop = loop

    def give(
        self,
        request: GranianRequest,
        status: int,
        headers: Headers,
        blocks: Iterable[bytes],
        correlation: str | None,
    ) -> None:
        """Answer a request with what an application has returned.

        Raises what making the first blocks raises; nothing has been answered then.
        """
        if request.method == "HEAD" or status in _WITHOUT_BODY:
            close(blocks)
            request.answer(status, headers, b"")
            return
        iterator = iter(blocks)
        try:
            first, is_all = _beginning(iterator)
        except BaseException:
            close(blocks)
            raise
        if is_all:
            close(blocks)
            request.answer(status, headers, b"".join(first))
        else:
            _Stream(self, request, blocks, chain(first, iterator), correlation).begin(
                status, headers
            )


def _beginning(blocks: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """Return the first blocks, and whether these are all."""
    first: list[bytes] = []
    size = 0
    for block in blocks:
        first.append(block)
        size += len(block)
        if size > _LARGE:
            return first, False
    return first, True


def close(blocks: Iterable[bytes]) -> None:
    """Close what an application has returned, as PEP 3333 asks for."""
    close_blocks = getattr(blocks, "close", None)
    if close_blocks is not None:
        close_blocks()


class _Stream:
    """A large answer on its way: its steps are made by threads, its waits end in the loop."""

    def __init__(
        self,
        answers: Answers,
        request: GranianRequest,
        source: Iterable[bytes],
        blocks: Iterator[bytes],
        correlation: str | None,
    ) -> None:
        self._answers = answers
        self._request = request
        self._source = source
        self._blocks = blocks
        self._rest = memoryview(b"")
        self._read_end: int | None
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # a user may have only so much
                fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, _PIPE)
        self._is_over = False
        self._wait = Wait(request.client)
        self._wait.correlation = correlation

    def begin(self, status: int, headers: Headers) -> None:
        """Have Granian read, and give it the first blocks."""
        self._request.answer_from(status, headers, f"/dev/fd/{self._read_end}")
        self._go_on()

    def _go_on(self) -> None:
        """Give blocks until there is no room, or others have waited long enough."""
        is_done = True
        try:
            with logs.correlation(self._wait.correlation):
                is_done = self._give()
        except BrokenPipeError:
            pass  # the client has gone
        except Exception as error:
            _log.error("an answer broke off", exc_info=error)
            cut_off(self._request.client)
        if is_done:
            self._end()

    def _give(self) -> bool:
        """Give blocks; yes when all are given."""
        until = self._wait.count + _TURN
        while self._wait.count < until:
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    return True
                self._rest = memoryview(block)
            try:
                count = os.write(self._write_end, self._rest)
            except BlockingIOError:
                self._await_room()
                return False
            self._rest = self._rest[count:]
            self._wait.count += count
            if self._wait.count > _PIPE:
                self._let_go_of_read_end()
        self._answers.threads.put(self._go_on)
        return False

    def _let_go_of_read_end(self) -> None:
        """Leave the pipe to Granian alone, which has opened it: what has gone, it has read."""
        if self._read_end is not None:
            os.close(self._read_end)
            self._read_end = None

    def _await_room(self) -> None:
        self._wait.begin()
        self._answers.clients.add(self._wait, self._be_late)
        self._answers.loop.call_soon_threadsafe(self._watch)

    # --- in the loop ---

    def _watch(self) -> None:
        if not self._is_over:
            self._answers.loop.add_writer(self._write_end, self._has_room)

    def _has_room(self) -> None:
        self._answers.loop.remove_writer(self._write_end)
        self._answers.clients.remove(self._wait)
        self._wait.end(0)
        self._answers.threads.put(self._go_on)

    def _be_late(self, error: Exception) -> None:
        self._is_over = True
        self._answers.loop.remove_writer(self._write_end)
        self._answers.clients.remove(self._wait)
        self._wait.tell(str(error))
        cut_off(self._request.client)
        self._answers.threads.put(self._end)

    # --- in a thread ---

    def _end(self) -> None:
        self._let_go_of_read_end()
        os.close(self._write_end)
        close(self._source)
