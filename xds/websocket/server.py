"""The server of websockets: connections, what binds them, and how each is told.

A client binds by ``bind-with-token: TOKEN`` (R4 backport of topic-based subscriptions, channels) or
``bind ID`` (FHIR R4, Subscription). Each message to it is followed by a ping of the protocol, and
counts as taken when the client has answered that (RFC 6455 5.5.3): then all before it has arrived.
"""

import asyncio
import re
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from xds import logs
from xds.database.errors import DatabaseUnavailable
from xds.security.caller import Caller
from xds.security.node import Node
from xds.telemetry.metrics import Metrics
from xds.websocket.source import BoundSubscription, NotificationSource, Place, SocketMessage

T = TypeVar("T")

_LONGEST_MESSAGE: Final = 4 * 1024
_THREADS: Final = 4
_LOOK_SECONDS: Final = 0.1
_OPEN_SECONDS: Final = 10
_BIND_SECONDS: Final = 30.0
"""For a connection that is bound to nothing."""
_PING_SECONDS: Final = 20
_TAKE_SECONDS: Final = 60
"""For a message to be taken."""
_OUTAGE_SECONDS: Final = 1.0
_MOST_BOUND: Final = 1_000
"""Subscriptions that one connection is bound to."""
_BIND_TOKEN: Final = re.compile(r"\s*bind-with-token\s*:?\s*([\x21-\x7e]{1,256})\s*")
_BIND_ID: Final = re.compile(r"\s*bind\s*:?\s+([A-Za-z0-9.-]{1,64})\s*")
_POLICY: Final = 1008
"""Close codes of RFC 6455 7.4.1."""
_GOING_AWAY: Final = 1001
_FAILED: Final = 1011
_TRY_LATER: Final = 1013

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """How many connections there may be, and from where."""

    connections: int
    of_address: int
    origins: Sequence[str] | None = ()
    """Whose pages may connect; None: all."""


@dataclass(slots=True, eq=False)
class _Binding:
    """A subscription that a connection is bound to."""

    bound: BoundSubscription
    place: Place
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: object = None
    """What was known of the subscription when it was looked at last."""
    sent_at: float = field(default_factory=time.monotonic)


class WebsocketServer:
    """Serves in one event loop."""

    def __init__(
        self, source: NotificationSource, limits: SocketLimits, metrics: Metrics | None
    ) -> None:
        self._source = source
        self._limits = limits
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(_THREADS, "websocket")
        self._bindings: dict[int, set[_Binding]] = {}
        self._open: set[ServerConnection] = set()
        self._addresses: Counter[str] = Counter()

    async def serve(self, listening: socket.socket, tls: ssl.SSLContext | None) -> Server:
        """Take connections at a socket, which is closed with the server that is returned."""
        origins = self._limits.origins
        return await serve(
            self._converse,
            sock=listening,
            ssl=tls,
            origins=None if origins is None else [None, *map(Origin, origins)],
            compression=None,
            server_header=None,
            open_timeout=_OPEN_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_TAKE_SECONDS,
            max_size=_LONGEST_MESSAGE,
            max_queue=4,
            create_connection=self._connection_type(),
            ssl_handshake_timeout=None if tls is None else _OPEN_SECONDS,
        )

    def _connection_type(self) -> type[ServerConnection]:
        """Return connections that are counted from their first moment on."""
        outer = self

        class CountedConnection(ServerConnection):
            counted_as = ""

            def connection_made(self, transport: Any) -> None:
                peer = transport.get_extra_info("peername")
                address = str(peer[0]) if peer else ""
                if not outer._has_room(address):
                    transport.abort()
                    return
                self.counted_as = address
                outer._count(address, 1)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                if self.counted_as:
                    outer._count(self.counted_as, -1)
                    super().connection_lost(exc)

        return CountedConnection

    def _has_room(self, address: str) -> bool:
        own = self._addresses[address] < self._limits.of_address
        has_room = own and self._addresses.total() < self._limits.connections
        if not has_room:
            _log.warning("there are too many websockets", client=address)
        return has_room

    def _count(self, address: str, change: int) -> None:
        self._addresses[address] += change
        if not self._addresses[address]:
            del self._addresses[address]
        if self._metrics:
            self._metrics.websocket_connected(change)

    async def close(self) -> None:
        """End all connections, whose clients are told to come again."""
        closing = [one.close(_GOING_AWAY) for one in list(self._open)]
        await asyncio.gather(*closing, return_exceptions=True)
        self._threads.shutdown(wait=True)

    async def watch(self) -> None:
        """Wake whoever has something to tell, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._bindings:
                continue
            try:
                found = await self._asked(self._source.positions, list(self._bindings))
            except DatabaseUnavailable:
                await asyncio.sleep(_OUTAGE_SECONDS)
                continue
            for key, bindings in self._bindings.items():
                for one in bindings:
                    if found.get(key) != one.seen:
                        one.seen = found.get(key)
                        one.changed.set()

    async def _asked(self, act: Callable[..., T], *given: Any) -> T:
        """Do what takes the database, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, *given)

    # --- one connection

    async def _converse(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        try:
            await _Conversation(self, connection).run()
        except ConnectionClosed:
            pass
        finally:
            self._open.discard(connection)

    async def by_token(self, token: str) -> Sequence[BoundSubscription]:
        """Return what a token binds to."""
        return await self._asked(self._source.by_token, token)

    async def by_id(self, subscription_id: str, caller: Caller) -> Sequence[BoundSubscription]:
        """Return what an id binds to."""
        found = await self._asked(self._source.by_id, subscription_id, caller)
        return () if found is None else (found,)

    def tried_to_bind(self, outcome: str) -> None:
        """Count an attempt: bound or refused."""
        if self._metrics:
            self._metrics.websocket_bound(outcome)

    async def tell(
        self, bound: BoundSubscription, connection: ServerConnection, client: str
    ) -> None:
        """Tell a connection of a subscription, until that is over or the connection is."""
        one = _Binding(bound, bound.place)
        self._bindings.setdefault(bound.key, set()).add(one)
        try:
            while await self._tell_some(one, connection, client):
                pass
        except ConnectionClosed:
            pass
        except TimeoutError:
            await connection.close(_POLICY, "messages are not taken")
        except Exception as error:
            _log.error("a websocket cannot be told", exc_info=error)
            await connection.close(_FAILED, "the server has failed")
        finally:
            left = self._bindings[bound.key]
            left.discard(one)
            if not left:
                del self._bindings[bound.key]

    async def _tell_some(self, one: _Binding, connection: ServerConnection, client: str) -> bool:
        """Send what there is, else wait; return whether there may be more at any time."""
        one.changed.clear()
        try:
            part = await self._asked(self._source.next, one.bound.key, one.place)
            one.place = part.place
            if part.messages:
                await self._send(one, part.messages, connection, client)
                return True
            if part.is_over:
                if part.last_word is not None:
                    await _sent(connection, part.last_word)
                return False
            await self._wait(one, connection)
        except DatabaseUnavailable as error:
            _log.error("a websocket cannot be told", reason=str(error))
            await asyncio.sleep(_OUTAGE_SECONDS)
        return True

    async def _wait(self, one: _Binding, connection: ServerConnection) -> None:
        """Wait until something has happened; send a heartbeat where nothing has for long."""
        period = one.bound.heartbeat
        left = None if period is None else max(one.sent_at + period - time.monotonic(), 0)
        with suppress(TimeoutError):
            await asyncio.wait_for(one.changed.wait(), left)
            return
        text = await self._asked(self._source.heartbeat, one.bound.key)
        one.sent_at = time.monotonic()
        if text is not None:
            await _sent(connection, text)

    async def _send(
        self,
        one: _Binding,
        messages: Sequence[SocketMessage],
        connection: ServerConnection,
        client: str,
    ) -> None:
        """Send messages, and note them in their order as they are taken."""
        under_way: deque[tuple[SocketMessage, Awaitable[float] | None]] = deque()
        for message in messages:
            if message.text is None:
                under_way.append((message, None))
                continue
            await _sent(connection, message.text)
            under_way.append((message, await connection.ping()))
        while under_way:
            taken: list[SocketMessage] = []
            while under_way and (not taken or _is_done(under_way[0][1])):
                message, answer = under_way.popleft()
                if answer is not None:
                    await asyncio.wait_for(answer, _TAKE_SECONDS)
                taken.append(message)
            await self._note(one, taken, client)

    async def _note(self, one: _Binding, taken: Sequence[SocketMessage], client: str) -> None:
        await self._asked(self._source.taken, taken, one.place, client)
        one.place = Place(taken[-1].number, one.place.round)
        one.sent_at = time.monotonic()
        for message in taken:
            if self._metrics and message.text is not None:
                self._metrics.attempted("websocket", "delivered")


class _Conversation:
    """What one client says, and what it is bound to."""

    def __init__(self, server: WebsocketServer, connection: ServerConnection) -> None:
        self._server = server
        self._connection = connection
        # HTTP does not see certificates either: who shows one is known by a proxy, and by a token
        self._caller = Caller(node=Node(address=str(connection.remote_address[0])))
        scheme = "ws" if connection.transport.get_extra_info("ssl_object") is None else "wss"
        address = self._caller.node.address
        self._client = f"{scheme}://{f'[{address}]' if ':' in address else address}"
        self._telling: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Heed a client until it has gone, or is sent away."""
        try:
            while await self._heed_one():
                pass
        finally:
            for one in self._telling.values():
                one.cancel()
            await asyncio.gather(*self._telling.values(), return_exceptions=True)

    async def _heed_one(self) -> bool:
        wait = None if self._telling else _BIND_SECONDS
        try:
            message = await asyncio.wait_for(self._connection.recv(), wait)
        except TimeoutError:
            await self._connection.close(_POLICY, "bound to nothing")
            return False
        try:
            found = await self._found(message)
        except DatabaseUnavailable as error:
            _log.error("a websocket cannot be bound", reason=str(error))
            await self._connection.close(_TRY_LATER, "try again later")
            return False
        if not found:
            self._server.tried_to_bind("refused")
            _log.warning("a websocket was not bound", client=self._caller.node.address)
            await self._connection.close(_POLICY, "neither a valid token nor a subscription")
            return False
        self._server.tried_to_bind("bound")
        return await self._bind(found)

    async def _found(self, message: str | bytes) -> Sequence[BoundSubscription]:
        text = message if isinstance(message, str) else ""
        if match := _BIND_TOKEN.fullmatch(text):
            return await self._server.by_token(match[1])
        if match := _BIND_ID.fullmatch(text):
            return await self._server.by_id(match[1], self._caller)
        return ()

    async def _bind(self, found: Sequence[BoundSubscription]) -> bool:
        for one in found:
            self._telling = {key: task for key, task in self._telling.items() if not task.done()}
            if len(self._telling) >= _MOST_BOUND:
                await self._connection.close(_POLICY, "bound to too many subscriptions")
                return False
            await _sent(self._connection, one.greeting)
            if one.key not in self._telling:
                told = self._server.tell(one, self._connection, self._client)
                self._telling[one.key] = asyncio.create_task(told)
        return True


def _is_done(answer: Awaitable[float] | None) -> bool:
    return answer is None or (isinstance(answer, asyncio.Future) and answer.done())


async def _sent(connection: ServerConnection, text: str) -> None:
    """Send a message; TimeoutError where the client does not read."""
    await asyncio.wait_for(connection.send(text), _TAKE_SECONDS)
