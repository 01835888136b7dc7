"""What metrics tell of subscriptions: how many there are, and of those that fare worst, how.

A subscription is named by its number, since whoever knows its id may change it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.notification import operations
from xds.telemetry.metrics import Metrics

T = TypeVar("T")

MOST_TOLD: Final = 20
"""Subscriptions of which each is told: so many, however many there are."""
_SECONDS: Final = 0.5
"""How long metrics tell the same, since they are asked for together."""


def watch(metrics: Metrics, database: Database) -> None:
    """Have the metrics tell how subscriptions fare: those whose notifications wait longest."""
    amiss = _Asking(database, lambda connection: operations.amiss(connection, MOST_TOLD))
    metrics.ask(
        "xds_subscriptions",
        "Subscriptions by protocol and state",
        ("protocol", "state"),
        _Asking(database, lambda connection: [operations.counts(connection)]).first,
    )
    metrics.ask(
        "xds_subscription_oldest_timestamp_seconds",
        "When the oldest happened that a subscription was not told yet",
        ("subscription", "protocol"),
        lambda: {
            (str(one.key), one.protocol): one.oldest / 1000 for one in amiss.all() if one.oldest
        },
    )
    metrics.ask(
        "xds_subscription_waiting_notifications",
        "Notifications that a subscription was not told yet",
        ("subscription", "protocol"),
        lambda: {(str(one.key), one.protocol): one.waiting for one in amiss.all()},
    )
    metrics.ask(
        "xds_subscription_failures",
        "Attempts that failed since the target of a subscription has taken something",
        ("subscription", "protocol", "error"),
        lambda: {
            (str(one.key), one.protocol, one.error or ""): one.attempts
            for one in amiss.all()
            if one.attempts
        },
    )


class _Asking(Generic[T]):
    """What the database tells, looked up once for metrics that are asked together."""

    def __init__(self, database: Database, look: Callable[[Connection], Sequence[T]]) -> None:
        self._database = database
        self._ask = look
        self._until = 0.0
        self._found: Sequence[T] = ()

    def all(self) -> Sequence[T]:
        """Return it; nothing while the database does not tell."""
        if time.monotonic() >= self._until:
            try:
                with self._database.read() as connection:
                    self._found = self._ask(connection)
            except DatabaseUnavailable:
                self._found = ()
            self._until = time.monotonic() + _SECONDS
        return self._found

    def first(self) -> Any:
        """Return the one thing that it tells; nothing at all where there is none."""
        return next(iter(self.all()), {})
