"""What becomes of a subscription because of what its target has taken or not."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row

from xds.database.access import Database
from xds.notification import numbers, rows, transitions
from xds.notification.model import NotificationKind, SubscriptionState
from xds.notification.numbers import QueuedNotification
from xds.notification.transitions import Moment, Patience
from xds.outgoing.delivery import FailedAttempt, TargetOutcome

_FEW: Final = 3
"""Attempts at what is of no use later on: a handshake, or the word that there will be no more."""
_GONE: Final = "410"
_LASTING: Final = frozenset({"401", "403", "404", _GONE})
"""Answers that will hardly become others by themselves."""
_S: Final = SubscriptionState


class Outcomes:
    """Writes how far subscriptions are told, and the states that follow."""

    def __init__(self, database: Database, patience: Patience) -> None:
        self._database = database
        self._patience = patience

    def note(self, connection: Connection, now: int, outcomes: Sequence[TargetOutcome]) -> None:
        """Note what has become of notifications: see :class:`xds.outgoing.delivery.Channel`."""
        found = {int(one.target): one for one in outcomes}
        moment = Moment(self._database, connection, now, self._patience)
        # all rows are locked before any revision is asked for
        for row in rows.locked(connection, found):
            self._note(moment, row, found[row.pk])

    def _note(self, moment: Moment, row: Row[Any], outcome: TargetOutcome) -> None:
        own = [
            one
            for one in (QueuedNotification.read(one.id) for one in outcome.delivered)
            if one.round == row.round
        ]
        if any(one.kind is NotificationKind.HANDSHAKE for one in own):
            if row.state == _S.REQUESTED:
                transitions.activate(moment, row)
            return
        row = self._advance(moment, row, own)
        failed = outcome.failed
        if failed is not None and QueuedNotification.read(failed.id).round == row.round:
            self._fail(moment, row, QueuedNotification.read(failed.id), failed)

    def _advance(self, moment: Moment, row: Any, taken: Iterable[QueuedNotification]) -> Any:
        """Note up to which number notifications were taken; return the row as it is then."""
        last = max((one.number for one in taken if one.moves), default=0)
        values: dict[str, Any] = {} if last <= row.delivered else {"delivered": last}
        if values:
            values = dict(numbers.refilled(moment.database, moment.connection, row, values))
            rows.changed(moment.connection, row.pk, **values)
        row = numbers.CurrentRow(row, values)
        if row.state == _S.ERROR and row.recovers and any(True for _ in taken):
            active = {"state": _S.ACTIVE, "reason": "", "failed_since": None}
            moment.written(row, active)
            row = numbers.CurrentRow(row, active)
        return row

    def _fail(
        self, moment: Moment, row: Any, what: QueuedNotification, failed: FailedAttempt
    ) -> None:
        is_brief = what.kind in (NotificationKind.HANDSHAKE, NotificationKind.DEACTIVATION)
        if is_brief and failed.attempts < _FEW and failed.reason not in _LASTING:
            return
        if what.kind is NotificationKind.DEACTIVATION:
            numbers.withdraw(moment.database, moment.connection, row)
        elif failed.reason == _GONE and row.state != _S.REQUESTED:
            state = transitions.given_up(row)
            transitions.stop(moment, row, state, failed.reason, tells=False)
        elif failed.attempts >= self._patience.attempts or is_brief or failed.reason in _LASTING:
            transitions.fail(moment, row, failed.reason)
