"""The process of websockets: one event loop at a listening socket of its own."""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.database.errors import DatabaseUnavailable
from xds.repository.store import StoreError
from xds.telemetry.metrics import Metrics
from xds.tls import contexts
from xds.websocket.server import SocketLimits, WebsocketServer
from xds.websocket.source import NotificationSource

_LIBRARY: Final = "websockets.server"

_log = logs.get_logger(__name__)


def run(
    config: Config, listening: socket.socket, cannot_start: Event, certificates: Connection
) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor has gone.

    ``certificates`` brings the folder of the certificates, if there is TLS, and each newer one.
    """
    logs.configure(config.log_level, config.log_format)
    # it tells of each client that is none, with a traceback
    logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL + 1)
    try:
        tls = _context(config, certificates.recv()) if config.has_tls else None
        metrics = Metrics("websockets") if config.metrics == "yes" else None
        domain = AffinityDomain.open(config)
        source = NotificationSource.open(config, domain)
    except Exception as error:
        foreseen = DatabaseUnavailable | StoreError | OSError | ValueError
        unforeseen = not isinstance(error, foreseen)
        _log.error("websockets cannot be served", reason=str(error), exc_info=unforeseen)
        cannot_start.set()
        raise SystemExit(1) from None
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is for the supervisor
    server = WebsocketServer(source, _limits(config), metrics)
    asyncio.run(_WebsocketProcess(config, listening, server, certificates).run(tls))
    domain.close()


class _WebsocketProcess:
    """Serves in one event loop, with the newest certificates."""

    def __init__(
        self,
        config: Config,
        listening: socket.socket,
        server: WebsocketServer,
        certificates: Connection,
    ) -> None:
        self._config = config
        self._listening = listening
        self._server = server
        self._certificates = certificates
        self._newest: ssl.SSLContext | None = None

    async def run(self, tls: ssl.SSLContext | None) -> None:
        """Serve until told to stop."""
        loop, ends = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ends.set)
        _in_thread(self._take_certificates)
        _in_thread(lambda: _wait_for_supervisor(loop, ends))
        if tls is not None:
            self._newest, tls.sni_callback = tls, self._use_newest
        serving = await self._server.serve(self._listening.dup(), tls)
        watching = asyncio.create_task(self._server.watch())
        host, port, *_ = self._listening.getsockname()
        _log.info("ready for websockets", host=host, port=port, process=os.getpid())
        ended = asyncio.create_task(ends.wait())
        await asyncio.wait({watching, ended}, return_when=asyncio.FIRST_COMPLETED)
        serving.close(close_connections=False)
        watching.cancel()
        await self._server.close()
        if not ended.done():  # the watch has failed: the supervisor starts another process
            _log.error("websockets are not watched any more", exc_info=watching.exception())
            raise SystemExit(1)

    def _use_newest(self, secured: Any, _name: str | None, _first: ssl.SSLContext) -> None:
        """Serve a new connection with the newest certificates; called in each handshake."""
        secured.context = self._newest

    def _take_certificates(self) -> None:
        """Have new connections served with each newer copy of the certificates."""
        while True:
            try:
                self._newest = _context(self._config, self._certificates.recv())
            except EOFError:
                return  # the supervisor has gone
            except OSError as error:
                _log.error("websockets cannot take the certificates", exc_info=error)


def _in_thread(act: Callable[[], None]) -> None:
    threading.Thread(target=act, daemon=True).start()


def _wait_for_supervisor(loop: asyncio.AbstractEventLoop, ends: asyncio.Event) -> None:
    if supervisor := multiprocessing.parent_process():
        supervisor.join()
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ends.set)


def _context(config: Config, folder: Path) -> ssl.SSLContext:
    return contexts.serving(folder, config.tls_client_certificates, config.tls_minimum)


def _limits(config: Config) -> SocketLimits:
    named = (config.websocket_origins or "").split()
    return SocketLimits(
        connections=config.websocket_connections,
        of_address=config.websocket_client_connections or max(config.websocket_connections // 2, 1),
        origins=None if "*" in named else named,
    )
