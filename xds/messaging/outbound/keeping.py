"""How long it is kept what was sent to destinations.

Every process that sends has a keeper. What is removed is a matter of rows, so it is removed once.
"""

import threading
from typing import Final

from sqlalchemy import Connection, and_, delete, exists, func, or_, select

from xds import logs
from xds.config import Config
from xds.database.access import Database
from xds.messaging.outbound.records import KNOWN_THERE, OutboundState
from xds.messaging.outbound.tables import outbound_message, outbound_part

_TIDY_SECONDS: Final = 3_600.0
_DAY: Final = 86_400_000
_LOOKED_AT: Final = 5_000
"""Rows that are looked at in one transaction."""

_O: Final = outbound_message.c
_LATER: Final = outbound_message.alias("later")
_NOT_SENT: Final = (
    OutboundState.NOT_CHOSEN,
    OutboundState.SUPERSEDED,
    OutboundState.DISCARDED,
)
_LEFT_OVER: Final = ~exists().where(_O.id == outbound_part.c.message)
_IS_FOLLOWED: Final = exists().where(
    _LATER.c.logical_id == _O.logical_id,
    _LATER.c.destination == _O.destination,
    _LATER.c.state.in_(KNOWN_THERE),
    _LATER.c.pk > _O.pk,
)
_MAY_GO: Final = or_(
    _O.state.in_(_NOT_SENT),
    and_(_O.state.in_(KNOWN_THERE), or_(_O.change == "withdrawn", _IS_FOLLOWED)),
)

_log = logs.get_logger(__name__)


class OutboundKeeper:
    """Removes what is kept no longer, each hour, from :meth:`start` to the interpreter's end."""

    def __init__(self, config: Config, database: Database) -> None:
        self._database = database
        self._kept_days = config.outbound_kept_days
        self._ends = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="outbound messages", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                remove_old(self._database, self._kept_days)
            except Exception as error:
                _log.error("sent messages could not be looked after", exc_info=error)
            self._ends.wait(_TIDY_SECONDS)


def remove_old(database: Database, kept_days: int) -> int:
    """Forget what ended longer ago than it is kept; return how many messages.

    What was given up stays until it is sent. Of a document that a destination has and that was not
    withdrawn, the last message stays: else nobody would know that it has to be told of the end.
    """
    number, last = 0, 0
    while True:
        with database.read() as connection:
            before = database.milliseconds(connection) - kept_days * _DAY
            reached, old = _old(connection, last, before)
        if old:
            with database.write() as connection:
                gone = delete(outbound_message).where(_O.pk.in_(old))
                number += connection.execute(gone).rowcount
                connection.execute(delete(outbound_part).where(_LEFT_OVER))
        if reached is None:
            return number
        last = reached


def _old(connection: Connection, last: int, before: int) -> tuple[int | None, list[int]]:
    """Return how far was looked after a row, None where all is newer, and what may go of it.

    Rows are in the order in which they were recorded, so nobody has to look at the newer ones.
    """
    some = select(_O.pk, _O.created).where(_O.pk > last).order_by(_O.pk).limit(_LOOKED_AT)
    window = some.subquery()
    aged = select(func.max(window.c.pk)).where(window.c.created < before)
    reached: int | None = connection.scalar(aged)
    if reached is None:
        return None, []
    within = and_(_O.pk > last, _O.pk <= reached, _O.ended < before, _MAY_GO)
    return reached, list(connection.scalars(select(_O.pk).where(within)))
