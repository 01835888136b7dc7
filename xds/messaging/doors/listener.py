"""The process of the patient feed: one MLLP server on the registry's database.

One process takes all messages, so that a feed is worked off in the order of its connection, and
many small commits do not queue behind each other in several processes.
"""

import multiprocessing
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.database.errors import DatabaseUnavailable
from xds.hl7v2 import mllp
from xds.hl7v2.spooled import SpooledMessage
from xds.messaging.doors.answering import Answering, MessageArrival
from xds.messaging.doors.folder import WatchedFolder
from xds.messaging.doors.opening import answering, limit, message_keeper
from xds.security.caller import Caller
from xds.security.node import Node
from xds.telemetry.metrics import Metrics
from xds.tls import contexts

_log = logs.get_logger(__name__)


def run(
    config: Config, listening: socket.socket, cannot_start: Event, certificates: Connection
) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor has gone.

    ``certificates`` brings the folder of the certificates, if there is TLS, and each newer one.
    """
    logs.configure(config.log_level, config.log_format)
    try:
        tls = _context(config, certificates.recv()) if config.mllp_has_tls else None
        metrics = Metrics("feed") if config.metrics == "yes" else None
        domain = AffinityDomain.open(config, serves=True, metrics=metrics)
        answers = answering(domain, config, metrics)
        if keeper := message_keeper(domain, config):
            keeper.start()
    except Exception as error:
        unforeseen = not isinstance(error, DatabaseUnavailable | OSError | ValueError)
        _log.error("the patient feed cannot start", reason=str(error), exc_info=unforeseen)
        cannot_start.set()
        raise SystemExit(1) from None
    server = mllp.Server(listening, partial(_answer, answers), _limits(config), tls, metrics)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is for the supervisor
    threading.Thread(target=_renew, args=(server, config, certificates), daemon=True).start()
    threading.Thread(target=_leave_with_supervisor, args=(server,), daemon=True).start()
    host, port, *_ = listening.getsockname()
    _log.info("ready for the patient feed", host=host, port=port, process=os.getpid())
    with _watched(answers, config):
        server.serve()
    domain.close()


@contextmanager
def _watched(answers: Answering, config: Config) -> Iterator[None]:
    """Handle the files of the folder of messages for the length of a block."""
    if config.message_folder is None:
        yield
        return
    folder = WatchedFolder(config.message_folder, answers, limit(config))
    end = threading.Event()
    thread = threading.Thread(target=folder.watch, args=(end,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(config.grace_seconds)


def _answer(by: Answering, message: SpooledMessage, node: Node) -> Iterator[bytes]:
    return by.answers(message, MessageArrival(door="mllp", caller=Caller(node=node)))


def _context(config: Config, folder: Path) -> ssl.SSLContext:
    return contexts.serving(folder, config.of_mllp_clients, config.tls_minimum)


def _renew(server: mllp.Server, config: Config, certificates: Connection) -> None:
    """Serve new connections with each newer copy of the certificates."""
    while True:
        try:
            server.tls = _context(config, certificates.recv())
        except EOFError:
            return  # the supervisor has gone
        except OSError as error:
            _log.error("the patient feed cannot take the certificates", exc_info=error)


def _limits(config: Config) -> mllp.MllpLimits:
    return mllp.MllpLimits(
        connections=config.mllp_connections,
        of_address=config.mllp_client_connections or max(config.mllp_connections // 2, 1),
        message_bytes=limit(config),
        idle_seconds=config.mllp_idle_seconds,
        message_seconds=min(config.grace_seconds, mllp.MllpLimits().message_seconds),
    )


def _leave_with_supervisor(server: mllp.Server) -> None:
    if supervisor := multiprocessing.parent_process():
        supervisor.join()
        server.stop()
