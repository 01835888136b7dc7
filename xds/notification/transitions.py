"""The states of subscriptions and what leads from one to another, each within one commit.

What is called here has the row locked (:func:`xds.notification.rows.locked`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from xds.database.access import Database
from xds.notification import numbers, rows
from xds.notification.model import (
    NotificationKind,
    SubscriptionRefused,
    SubscriptionState,
    WrongState,
)
from xds.registry import events

_S: Final = SubscriptionState


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a target may fail. Times are in milliseconds."""

    attempts: int
    """Failures in a row after which its subscription is in ERROR."""
    error: int
    """How long it may be in ERROR before it is given up."""
    kept: int
    """How long notifications are kept, and subscriptions that have ended."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One commit: its connection, and its time by the database's clock."""

    database: Database
    connection: Connection
    now: int
    patience: Patience

    def written(self, row: Any, values: Mapping[str, Any], *, matched: bool = False) -> None:
        """Write columns of a row, with when the keeper has to look at it.

        ``matched`` says that it changes what is matched, or how.
        """
        due = _due({**row._asdict(), **values}, self.patience)
        changes = {**values, "due": due}
        if matched:
            changes["revision"] = rows.next_revision(self.connection)
        rows.changed(self.connection, row.pk, **changes)

    def last_event(self) -> int:
        """Return the number of the last event that there is."""
        return events.last_seen(self.connection)


def _due(row: Mapping[str, Any], patience: Patience) -> int | None:
    """Return when the keeper has to look at a row."""
    if row["state"] in (_S.OFF, _S.ENDED):
        return int(row["due"])
    failed = row["failed_since"]
    times = (row["ends"], row["beats"], None if failed is None else failed + patience.error)
    return min((one for one in times if one is not None), default=None)


def first(new_has_handshake: bool, now: int, heartbeat: int | None) -> Mapping[str, Any]:
    """Return the columns of state of a new subscription."""
    state = _S.REQUESTED if new_has_handshake else _S.ACTIVE
    beats = None if heartbeat is None or new_has_handshake else now + heartbeat * 1000
    return {"state": state, "created": now, "beats": beats}


def activate(moment: Moment, row: Any) -> None:
    """Have what happens sent: the target has taken the handshake, or an operator resumes it."""
    begins = moment.last_event() if row.begins is None else row.begins
    beats = None if row.heartbeat is None else moment.now + row.heartbeat * 1000
    values = {"state": _S.ACTIVE, "reason": "", "failed_since": None, "beats": beats}
    values |= {"begins": begins}
    filled = numbers.refilled(moment.database, moment.connection, row, values)
    moment.written(row, filled, matched=row.begins is None)


def request(moment: Moment, row: Any) -> None:
    """Ask the target whether it answers.

    Of a subscription in ERROR, what it has not been told follows; one that was OFF begins anew.
    """
    if row.state not in (_S.ERROR, _S.OFF, _S.REQUESTED):
        raise WrongState(row.state)
    if row.ends is not None and row.ends <= moment.now:
        raise SubscriptionRefused("The end of the subscription has passed.")
    if not row.address:  # nobody is to be asked
        activate(moment, row)
        return
    numbers.withdraw(moment.database, moment.connection, row)
    round_ = row.round + 1
    numbers.put_other(moment.database, moment.connection, row, NotificationKind.HANDSHAKE, round_)
    values = {"state": _S.REQUESTED, "reason": "", "round": round_, "beats": None}
    values |= {"failed_since": None, "queued": row.delivered}
    moment.written(row, values)


def pause(moment: Moment, row: Any) -> None:
    """Send nothing until it is resumed; what happens is numbered and kept."""
    if row.state not in (_S.ACTIVE, _S.ERROR):
        raise WrongState(row.state)
    numbers.withdraw(moment.database, moment.connection, row)
    values = {"state": _S.PAUSED, "round": row.round + 1, "queued": row.delivered, "beats": None}
    moment.written(row, {**values, "failed_since": None})


def resume(moment: Moment, row: Any) -> None:
    """Send again, and first what was not sent meanwhile."""
    if row.state != _S.PAUSED:
        raise WrongState(row.state)
    activate(moment, row)


def replay(moment: Moment, row: Any, number: int) -> None:
    """Send all from a number on, in order, with the ids that they have."""
    if row.state in (_S.OFF, _S.ENDED):
        raise WrongState(row.state)
    told = max(min(number, row.numbered + 1) - 1, 0)
    numbers.withdraw(moment.database, moment.connection, row)
    values = {"round": row.round + 1, "queued": told, "delivered": told}
    if row.state == _S.REQUESTED:
        kind = NotificationKind.HANDSHAKE
        numbers.put_other(moment.database, moment.connection, row, kind, row.round + 1)
    else:
        values = dict(numbers.refilled(moment.database, moment.connection, row, values))
    moment.written(row, values)


def stop(
    moment: Moment,
    row: Any,
    state: SubscriptionState,
    reason: str,
    *,
    tells: bool = True,
) -> None:
    """Tell nothing any more: it is OFF or ENDED.

    Its target is told so where it wants to be, unless ``tells`` says that it does not listen.
    """
    if row.state in (state, _S.ENDED):
        return
    numbers.withdraw(moment.database, moment.connection, row)
    round_ = row.round + 1
    if tells and row.tells_end and row.address and row.state in (_S.ACTIVE, _S.PAUSED):
        numbers.put_other(
            moment.database, moment.connection, row, NotificationKind.DEACTIVATION, round_
        )
    values = {"state": state, "reason": reason, "round": round_, "begins": None, "beats": None}
    values |= {"failed_since": None, "queued": row.numbered, "delivered": row.numbered}
    values["due"] = moment.now + moment.patience.kept
    moment.written(row, values, matched=True)


def fail(moment: Moment, row: Any, reason: str) -> None:
    """Note that the target does not take what is sent."""
    if row.state == _S.REQUESTED:
        numbers.withdraw(moment.database, moment.connection, row)
        values = {"state": _S.ERROR, "reason": reason, "failed_since": moment.now}
        moment.written(row, values)
    elif row.state == _S.ACTIVE:
        values = {"state": _S.ERROR, "reason": reason, "failed_since": moment.now}
        moment.written(row, values)
    elif row.state == _S.ERROR and row.reason != reason:
        moment.written(row, {"reason": reason})


def given_up(row: Any) -> SubscriptionState:
    """Return what a subscription becomes whose target fails for too long."""
    return _S.ENDED if row.recovers else _S.OFF


def renew(moment: Moment, row: Any, ends: int | None) -> None:
    """Have it end at another time."""
    if row.state == _S.ENDED:
        raise WrongState(row.state)
    moment.written(row, {"ends": ends})
