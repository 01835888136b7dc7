"""What becomes of a subscription because of what its target has taken or not."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

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
        told: dict[int, Mapping[str, Any]] = {}
        # all rows are locked before any revision is asked for
        for row in rows.locked(connection, found):
            if values := self._note(moment, row, found[row.pk]):
                told[row.pk] = values
        rows.advanced(connection, told)

    def _note(self, moment: Moment, row: Any, outcome: TargetOutcome) -> Mapping[str, Any]:
        """Note an outcome; return the columns that are still to be written."""
        own = [
            one
            for one in (QueuedNotification.read(one.id) for one in outcome.delivered)
            if one.round == row.round
        ]
        if any(one.kind is NotificationKind.HANDSHAKE for one in own):
            if row.state == _S.REQUESTED:
                transitions.activate(moment, row)
            return {}
        values = self._advance(moment, row, own)
        active = self._recover(moment, row, own)
        failed = outcome.failed
        if failed is None or QueuedNotification.read(failed.id).round != row.round:
            return values
        rows.advanced(moment.connection, {row.pk: values})
        current = numbers.CurrentRow(row, {**values, **active})
        self._fail(moment, current, QueuedNotification.read(failed.id), failed)
        return {}

    def _advance(
        self, moment: Moment, row: Any, taken: Sequence[QueuedNotification]
    ) -> Mapping[str, Any]:
        """Return the columns of how far notifications were taken."""
        last = max((one.number for one in taken if one.moves), default=0)
        if last <= row.delivered:
            return {}
        told = {"delivered": last, "queued": row.queued}
        return numbers.refilled(moment.database, moment.connection, row, told)

    def _recover(
        self, moment: Moment, row: Any, taken: Sequence[QueuedNotification]
    ) -> Mapping[str, Any]:
        """Have a subscription be ACTIVE again whose target takes something; return its columns."""
        if not (taken and row.recovers and row.state == _S.ERROR):
            return {}
        active = {"state": _S.ACTIVE, "reason": "", "failed_since": None}
        moment.written(row, active)
        return active

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
