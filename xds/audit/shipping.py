"""Records on their way to an Audit Record Repository (ITI TF-2 3.20.4.1), by the delivery queue.

Records that are in the table are handed over to the queue, many in one delivery, and from then on
count as shipped in the table. A record arrives once at least, and the oldest first.
"""

import json
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text

from xds import logs
from xds.audit import chain, table
from xds.audit.message import AuditSource, render
from xds.audit.syslog import Sender, framed
from xds.database.access import Database, retried
from xds.database.locks import Locks
from xds.database.statements import METADATA
from xds.outgoing import operations
from xds.outgoing.delivery import Delivery, NewDelivery, NotDelivered, RetrySchedule
from xds.outgoing.queue import enqueue

CHANNEL: Final = "syslog"
"""The channel of the delivery queue for audit records."""
TARGET: Final = "audit_syslog"
"""The option that says where they go, whichever it says when they are sent."""
SCHEDULE: Final = RetrySchedule((0.5, 1, 2, 4, 8, 16, 30))

_BATCH: Final = 200
_FORGET_SECONDS: Final = 3600.0
_FORGET_AGAIN_SECONDS: Final = 60.0
"""Where records are still to be sent."""
_ALONE: Final = Locks(exclusive=frozenset({"audit shipping"}))

audit_lease = Table(
    "audit_lease",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Of programs whose schema is 2.4 or before: which of their processes ships."""

_log = logs.get_logger(__name__)


class HandOver:
    """Hands records over to the delivery queue, and removes old ones that have been sent."""

    def __init__(self, database: Database, keep_days: int | None = None) -> None:
        """``keep_days``: how long records stay that were sent; None: for good."""
        self._database = database
        self._keep_days = keep_days
        self._forget_at = 0.0

    def round(self) -> None:
        """Hand over what is in the table; DatabaseUnavailable where that cannot be done now."""
        while self._has_more():
            retried(self._hand_over)
        self._forget()

    def _has_more(self) -> bool:
        # most rounds of most processes find nothing, and write nothing
        with self._database.read() as connection:
            return bool(table.to_ship(connection, 1))

    def _hand_over(self) -> None:
        with self._database.write(_ALONE) as connection:
            keys = table.to_ship(connection, _BATCH)
            if keys:
                content = json.dumps(keys).encode()
                new = NewDelivery(channel=CHANNEL, target=TARGET, content=content)
                enqueue(self._database, connection, [new])
                table.note_shipped(connection, keys)

    def _forget(self) -> None:
        if self._keep_days is None or time.monotonic() < self._forget_at:
            return
        before = datetime.now(UTC) - timedelta(days=self._keep_days)
        self._forget_at = time.monotonic() + _FORGET_AGAIN_SECONDS
        with self._database.write(chain.ALONE) as connection:
            if CHANNEL in operations.states(connection):
                return  # the queue names records that are still to be sent
            gone = chain.forget(connection, before.isoformat())
        self._forget_at = time.monotonic() + _FORGET_SECONDS
        if gone:
            _log.info("audit records were removed that had been shipped", records=gone)


class RecordSender:
    """Sends the records that a delivery names, by syslog."""

    def __init__(self, database: Database, sender: Sender, source: AuditSource) -> None:
        self._database = database
        self._sender = sender
        self._source = source
        self._host = socket.gethostname() or "-"

    def __call__(self, delivery: Delivery) -> None:
        """Send them; NotDelivered where it is not known that all have arrived."""
        keys: Sequence[int] = json.loads(b"".join(delivery.read()))
        with self._database.read() as connection:
            records = table.of_keys(connection, keys)
        messages = [framed(one, render(one, self._source), self._host) for one in records]
        try:
            self._sender.send(messages)
        except OSError as error:
            raise NotDelivered(type(error).__name__) from error
