"""What happens to subscriptions because time goes by: ends, heartbeats, patience, and room.

Every process that serves has a keeper. What is to be done is a matter of rows, each changed in a
commit that has locked it, so it is done once.
"""

import threading
import time
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, or_, select

from xds import logs
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.database.reading import fetch
from xds.notification import numbers, rows, transitions
from xds.notification.model import NotificationKind, SubscriptionState
from xds.notification.tables import notification, subscription
from xds.notification.transitions import Moment, Patience
from xds.outgoing.sending import DatabaseClock

OVER: Final = "its time is over"
FAILED_FOR_LONG: Final = "its target has failed for too long"
NOT_FETCHED: Final = "its notifications were not fetched for too long"

_LOOK_SECONDS: Final = 1.0
_TIDY_SECONDS: Final = 600.0
_AT_ONCE: Final = 100
_DELETED: Final = 2_000
_S: Final = SubscriptionState
_C: Final = subscription.c
_N: Final = notification.c
_DUE: Final = select(_C.pk).where(_C.due <= bindparam("now")).order_by(_C.due).limit(_AT_ONCE)
_AHEAD: Final = select(_C.pk).where(
    or_(_C.beats > bindparam("now") + _C.heartbeat * 1000, _C.failed_since > bindparam("now")),
    _C.state != _S.ENDED,
)
_LAST_AT: Final = select(_N.at).where(
    _N.subscription == bindparam("of"), _N.number == bindparam("last")
)
_OLD: Final = (
    select(_N.subscription.label("of"), _N.number.label("which"))
    .join(subscription, _C.pk == _N.subscription)
    .where(_N.at < bindparam("before"), _N.number <= _C.delivered)
    .limit(_DELETED)
)
_OF_ENDED: Final = (
    select(_N.subscription.label("of"), _N.number.label("which"))
    .where(_N.subscription == bindparam("key"))
    .limit(_DELETED)
)
_REMOVE: Final = delete(notification).where(
    _N.subscription == bindparam("of"), _N.number == bindparam("which")
)
_NOT_FETCHED: Final = (
    select(_C.pk)
    .join(notification, _C.pk == _N.subscription)
    .where(
        _C.address == "",
        _C.state == _S.ACTIVE,
        _N.number == _C.delivered + 1,
        _N.at < bindparam("before"),
    )
    .limit(_AT_ONCE)
)

_log = logs.get_logger(__name__)


class SubscriptionKeeper:
    """Looks after subscriptions, from :meth:`start` to :meth:`close`."""

    def __init__(self, database: Database, patience: Patience) -> None:
        self._database = database
        self._patience = patience
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="subscriptions", daemon=True)
        self._tidied = time.monotonic()
        self._clock = DatabaseClock()
        self._heeded = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop after what is under way."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.wait(_LOOK_SECONDS):
            try:
                while self.look() and not self._ends.is_set():
                    pass
                if time.monotonic() > self._tidied + _TIDY_SECONDS:
                    self._tidied = time.monotonic()
                    self.tidy()
            except DatabaseUnavailable as error:
                _log.error("subscriptions cannot be looked after", reason=str(error))
            except Exception as error:
                _log.error("subscriptions cannot be looked after", exc_info=error)

    def look(self) -> bool:
        """Do what is due; return whether there may be more."""
        with self._database.read() as connection:
            now = self._database.milliseconds(connection)
            keys = [key for (key,) in fetch(connection, _DUE, {"now": now})]
        self._clock.saw(now)
        if self._clock.was_set_back or not self._heeded:
            self._heed_clock()
        if not keys:
            return False
        with self._database.write() as connection:
            now = self._database.milliseconds(connection)
            moment = Moment(self._database, connection, now, self._patience)
            for row in rows.locked(connection, keys):
                if row.due is not None and row.due <= now:
                    self._do(moment, row)
        return len(keys) == _AT_ONCE

    def _heed_clock(self) -> None:
        """Bring back what lies further ahead than it can: the clock was set back."""
        with self._database.write() as connection:
            now = self._database.milliseconds(connection)
            moment = Moment(self._database, connection, now, self._patience)
            for row in rows.locked(connection, connection.scalars(_AHEAD, {"now": now}).all()):
                changed: dict[str, Any] = {}
                if row.beats is not None:
                    changed["beats"] = min(row.beats, now + row.heartbeat * 1000)
                if row.failed_since is not None:
                    changed["failed_since"] = min(row.failed_since, now)
                moment.written(row, changed)
        self._heeded, self._clock.was_set_back = True, False

    def _do(self, moment: Moment, row: Any) -> None:
        if row.state == _S.ENDED:
            _remove(moment, row)
        elif row.state == _S.OFF:
            transitions.stop(moment, row, _S.ENDED, row.reason, tells=False)
        elif row.ends is not None and row.ends <= moment.now:
            transitions.stop(moment, row, transitions.given_up(row), OVER)
        elif _has_failed_for_long(moment, row):
            state = transitions.given_up(row)
            transitions.stop(moment, row, state, FAILED_FOR_LONG, tells=False)
        else:
            _beat(moment, row)

    def tidy(self) -> None:
        """Remove notifications that were taken and have been kept, and what nobody fetches."""
        with self._database.read() as connection:
            now = self._database.milliseconds(connection)
            unfetched = {"before": now - self._patience.error}
            keys = list(connection.scalars(_NOT_FETCHED, unfetched))
        with self._database.write() as connection:
            moment = Moment(self._database, connection, now, self._patience)
            for row in rows.locked(connection, keys):
                transitions.stop(moment, row, transitions.given_up(row), NOT_FETCHED)
        while not self._ends.is_set():
            with self._database.read() as connection:
                old = connection.execute(_OLD, {"before": now - self._patience.kept}).all()
            if old:
                with self._database.write() as connection:
                    connection.execute(_REMOVE, [dict(one._mapping) for one in old])
            if len(old) < _DELETED:
                return


def _has_failed_for_long(moment: Moment, row: Any) -> bool:
    since = row.failed_since
    return since is not None and since + moment.patience.error <= moment.now


def _beat(moment: Moment, row: Any) -> None:
    """Send a heartbeat where nothing was sent for as long as its subscriber wants to wait."""
    if row.heartbeat is None or row.state not in (_S.ACTIVE, _S.ERROR):
        moment.written(row, {"beats": None})
        return
    period = row.heartbeat * 1000
    last = moment.connection.scalar(_LAST_AT, {"of": row.pk, "last": row.numbered}) or 0
    last = min(last, moment.now)  # the clock may have been set back since
    if row.queued == row.delivered and last + period <= moment.now:
        numbers.put_other(
            moment.database, moment.connection, row, NotificationKind.HEARTBEAT, row.round
        )
        last = moment.now
    next_beat = last + period if last + period > moment.now else moment.now + period
    moment.written(row, {"beats": next_beat})


def _remove(moment: Moment, row: Any) -> None:
    """Remove a subscription that has ended long ago, and what it was told."""
    found = moment.connection.execute(_OF_ENDED, {"key": row.pk}).all()
    if found:
        moment.connection.execute(_REMOVE, [dict(one._mapping) for one in found])
    left = select(func.count()).select_from(notification).where(_N.subscription == row.pk)
    if len(found) < _DELETED or not moment.connection.scalar(left):
        numbers.withdraw(moment.database, moment.connection, row)
        moment.connection.execute(delete(subscription).where(_C.pk == row.pk))
