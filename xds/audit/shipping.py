"""Records on their way to an Audit Record Repository (ITI TF-2 3.20.4.1).

Any number of processes share the table of records; one of them ships, as long as it renews a lease
that stands in the database too. It sends the oldest first and notes what the receiver has taken:
what could not be noted is sent again, so a record arrives once at least.
"""

import random
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import BigInteger, Column, Table, Text, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from xds import logs
from xds.audit import chain, table
from xds.audit.message import AuditSource, render
from xds.audit.syslog import Sender, framed
from xds.database import METADATA, Database, DatabaseUnavailable, Locks

_BATCH: Final = 200
_IDLE_SECONDS: Final = 0.5
_LEASE_SECONDS: Final = 30
_MOST_PAUSE_SECONDS: Final = 30.0
_FORGET_SECONDS: Final = 3600.0

audit_lease = Table(
    "audit_lease",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Who does what only one process should do, and until when, in seconds since 1970."""

_SHIPPER: Final = "shipper"
_HOLDER: Final = select(audit_lease).where(audit_lease.c.name == _SHIPPER)
_RENEW: Final = (
    update(audit_lease)
    .where(audit_lease.c.name == _SHIPPER)
    .values(holder=bindparam("who"), until=bindparam("end"))
)
_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a shipper needs to know."""

    database: Database
    sender: Sender
    source: AuditSource
    keep_days: int | None = None
    """How long records stay that were shipped; None: for good."""


class Shipper:
    """Ships for one process, in a thread of its own, when it is this process's turn."""

    def __init__(self, shipment: Shipment) -> None:
        self._shipment = shipment
        self._name = uuid4().hex
        self._host = socket.gethostname() or "-"
        self._forgotten = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="audit shipper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after what is under way."""
        self._end.set()
        self._thread.join()
        self._shipment.sender.close()

    def _work(self) -> None:
        pause = _IDLE_SECONDS
        while not self._end.wait(pause):
            try:
                pause = 0 if self._round() else _IDLE_SECONDS
            except (OSError, DatabaseUnavailable) as error:
                pause = min(max(pause, _IDLE_SECONDS) * 2, _MOST_PAUSE_SECONDS)
                pause *= random.uniform(0.7, 1)
                _log.error("audit records wait to be shipped", exc_info=error)
            except Exception as error:
                pause = _MOST_PAUSE_SECONDS
                _log.error("audit records cannot be shipped", exc_info=error)

    def _round(self) -> bool:
        """Ship a batch; tell whether there may be more."""
        if not self._has_lease():
            return False
        with self._shipment.database.read() as connection:
            found = table.to_ship(connection, _BATCH)
        if not found:
            self._forget()
            return False
        messages = [
            framed(record, render(record, self._shipment.source), self._host) for _, record in found
        ]
        self._shipment.sender.send(messages)
        with self._shipment.database.write() as connection:
            table.note_shipped(connection, [key for key, _ in found])
        return len(found) == _BATCH

    def _has_lease(self) -> bool:
        """Take the lease or renew it, where no other process has it."""
        now = int(time.time())
        # most rounds of most processes find it taken, and write nothing
        with self._shipment.database.read() as connection:
            held = connection.execute(_HOLDER).one_or_none()
        if held and held.until > now:
            if held.holder != self._name:
                return False
            if held.until > now + _LEASE_SECONDS // 2:
                return True
        return self._take(now)

    def _take(self, now: int) -> bool:
        renewed = {"who": self._name, "end": now + _LEASE_SECONDS}
        try:
            with self._shipment.database.write(
                Locks(exclusive=frozenset({"audit shipper"}))
            ) as connection:
                held = connection.execute(_HOLDER).one_or_none()
                if held is None:
                    connection.execute(
                        insert(audit_lease).values(
                            name=_SHIPPER, holder=self._name, until=renewed["end"]
                        )
                    )
                elif held.holder == self._name or held.until <= now:
                    connection.execute(_RENEW, renewed)
                else:
                    return False
        except IntegrityError:
            return False
        return True

    def _forget(self) -> None:
        days = self._shipment.keep_days
        if days is None or time.monotonic() < self._forgotten:
            return
        self._forgotten = time.monotonic() + _FORGET_SECONDS
        before = datetime.now(UTC) - timedelta(days=days)
        with self._shipment.database.write(chain.ALONE) as connection:
            gone = chain.forget(connection, before.isoformat())
        if gone:
            _log.info("audit records were removed that had been shipped", records=gone)
