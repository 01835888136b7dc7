"""What stands before several processes that serve one state: connections go to them in turn.

It passes bytes on, and knows nothing of HTTP: whatever a client does to its connection, a half
close or a reset, is done to the server's as well.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Final

_BLOCK: Final = 256 * 1024


@contextmanager
def relaying(port: int, to: Sequence[int]) -> Iterator[None]:
    """Listen at a port of this machine, and pass connections on to others, until the block ends."""
    relay = _Relay(to)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        run(relay.listen(port))
        yield
    finally:
        run(relay.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Relay:
    """One listening socket, and the connections that came by it."""

    def __init__(self, to: Sequence[int]) -> None:
        self._to = to
        self._turn = count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", port, backlog=1024, limit=_BLOCK
        )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other: asyncio.StreamWriter | None = None
        try:
            answers, other = await self._connected()
            # a reset of either side ends both directions at once
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, other))
                both.create_task(_copy(answers, writer))
        except* OSError:
            writer.transport.abort()
            if other is not None:
                other.transport.abort()
        finally:
            for one in (writer, other):
                if one is not None:
                    one.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the process whose turn it is, or to the next one that is there."""
        first = next(self._turn)
        for place in range(first, first + len(self._to) - 1):
            with suppress(ConnectionRefusedError):
                return await self._opened(place)
        return await self._opened(first + len(self._to) - 1)

    async def _opened(self, place: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = self._to[place % len(self._to)]
        return await asyncio.open_connection("127.0.0.1", port, limit=_BLOCK)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(_BLOCK):
        writer.write(block)
        await writer.drain()
    if not writer.is_closing():
        with suppress(OSError):  # the other side has closed both directions
            writer.write_eof()
