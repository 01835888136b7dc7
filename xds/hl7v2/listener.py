"""The process of the patient feed: one MLLP server on the registry's database.

One process takes all messages, so that a feed is worked off in the order of its connection, and
many small commits do not queue behind each other in several processes.
"""

import multiprocessing
import os
import signal
import socket
import threading
from functools import partial
from multiprocessing.synchronize import Event

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.hl7v2 import mllp
from xds.hl7v2.event import Feed
from xds.hl7v2.feed import answer
from xds.hl7v2.identifiers import AssigningAuthority

_log = logs.get_logger(__name__)


def run(config: Config, listening: socket.socket, cannot_start: Event) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor has gone."""
    logs.configure(config.log_level, config.log_format)
    try:
        domain = AffinityDomain.open(config, serves=True)
    except Exception as error:
        _log.error("the patient feed cannot start", reason=str(error), exc_info=True)
        cannot_start.set()
        raise SystemExit(1) from None
    server = mllp.Server(listening, partial(answer, _feed(domain, config)), _limits(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    threading.Thread(target=_leave_with_supervisor, args=(server,), daemon=True).start()
    host, port, *_ = listening.getsockname()
    _log.info("ready for the patient feed", host=host, port=port, process=os.getpid())
    server.serve()
    domain.close()


def _feed(domain: AffinityDomain, config: Config) -> Feed:
    authority = AssigningAuthority(
        config.assigning_authority, config.patient_id_namespace, domain.systems.oid_of_namespace
    )
    return Feed(domain.identities, authority, domain.gates)


def _limits(config: Config) -> mllp.Limits:
    return mllp.Limits(
        connections=config.mllp_connections,
        message_bytes=config.max_mllp_bytes,
        idle_seconds=config.mllp_idle_seconds,
        message_seconds=min(config.grace_seconds, mllp.Limits().message_seconds),
    )


def _leave_with_supervisor(server: mllp.Server) -> None:
    if supervisor := multiprocessing.parent_process():
        supervisor.join()
        server.stop()
