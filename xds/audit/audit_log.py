"""The audit log of one process of a deployment: its interceptor, its spool and its shipping."""

import getpass
import os
import socket
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from xds.audit import chain, spool, table, trail
from xds.audit import vocabulary as av
from xds.audit.message import AuditSource
from xds.audit.shipping import CHANNEL, SCHEDULE, HandOver, RecordSender
from xds.audit.spool import Spool
from xds.audit.spool_mover import PatientsOf, SpoolMover, collect, nobody
from xds.audit.syslog import Sender
from xds.audit.trail import AuditTrail
from xds.config import Config
from xds.database.access import Database
from xds.database.locks import Locks
from xds.outgoing.delivery import Channel
from xds.security.interceptors import NotRecorded
from xds.tls import contexts
from xds.url_allowlist import SyslogTarget

_FOLDER: Final = "audit"


class AuditLog:
    """Records what a process does; :attr:`trail` is the interceptor."""

    def __init__(self, config: Config, database: Database, whose: PatientsOf | None) -> None:
        self._folder = folder_of(config)
        files = Spool(self._folder)
        self._database = database
        self._spool = files
        self._refuses = config.audit_failure == "refuse"
        self.trail = AuditTrail(files, config.audit_failure, config.registry_url or "")
        then = HandOver(database, config.audit_days).round if config.audit_syslog else _nothing
        self._mover = SpoolMover(database, files, self._folder, whose or nobody, then)

    def note_configuration(self, digest: str) -> None:
        """Record the digest of the policy in force, where it is not that of before.

        Of several processes that start at once, the first does. DatabaseUnavailable.
        """
        record = trail.of_configuration(digest)
        alone = Locks(exclusive=frozenset({"audit configuration"}))
        with self._database.write(alone) as connection:
            before = table.latest(connection, record.transaction)
            if before is None or before.description != record.description:
                table.insert(connection, [record.json()])

    def check(self) -> None:
        """Raise NotRecorded where the next records will find no room, and are not done without."""
        try:
            self._spool.make_spare()
        except OSError as error:
            if self._refuses:
                raise NotRecorded(f"audit records cannot be kept: {error.strerror}") from error

    def spooled(self) -> tuple[int, float]:
        """Return how many records no database took, and when the oldest that waits was written.

        In seconds since 1970, 0 where none waits: of all processes that share the data folder.
        """
        return spool.count_set_aside(self._folder), spool.oldest(self._folder) / 1000

    def close(self) -> None:
        """Finish what is under way."""
        self._mover.close()


def _nothing() -> None:
    """Do nothing."""


def folder_of(config: Config) -> Path:
    """Return the folder of records that are not in the table yet."""
    return config.data.absolute() / _FOLDER


def note_application(config: Config, *, starts: bool) -> None:
    """Record the start or the stop of the server, durably; OSError where that fails."""
    files = Spool(folder_of(config))
    try:
        kind = av.APPLICATION_START if starts else av.APPLICATION_STOP
        files.write([trail.of_application(kind)])
    finally:
        files.close()


def catch_up(config: Config, database: Database, whose: PatientsOf | None) -> None:
    """Move what processes have left behind that have gone, so that a search finds it."""
    folder = folder_of(config)
    if folder.is_dir():
        collect(database, folder, whose or nobody)


def note_use(config: Config, database: Database, asked: str) -> None:
    """Record durably that someone at this machine reads the records; DatabaseUnavailable."""
    try:
        person = getpass.getuser()
    except (OSError, KeyError):
        person = str(os.getuid())
    where = urlsplit(config.database_url)
    log = f"{where.scheme}://{where.hostname or ''}{where.path}"  # without user and password
    record = trail.of_use(f"{person}@{socket.gethostname()}", log, asked)
    chain.append(database, [record.json()])


def source_of(config: Config) -> AuditSource:
    """Return who writes the records."""
    return AuditSource(
        source_id=config.audit_source_id or socket.gethostname(),
        enterprise_site_id=config.audit_enterprise_site_id or "",
        base=config.public_url or config.url,
        address=_address(config),
    )


def _address(config: Config) -> str:
    """Return where others reach this server."""
    if config.public_url:
        return urlsplit(config.public_url).hostname or ""
    return socket.gethostname() if config.host in ("0.0.0.0", "::") else config.host


def channel(config: Config, database: Database) -> Channel | None:
    """Return the channel of records to their repository; None where the options have none."""
    if config.audit_syslog is None or config.audit == "off":
        return None
    target = SyslogTarget.parse(config.audit_syslog)
    sender = Sender(target, partial(contexts.outgoing, config))
    send = RecordSender(database, sender, source_of(config))
    return Channel(name=CHANNEL, send=send, schedule=SCHEDULE)
