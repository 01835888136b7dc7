"""What metrics tell of subscriptions: how many there are, and of those that fare worst, how.

A subscription is named by its number, since whoever knows its id may change it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from xds.database.access import Database
from xds.notification import operations
from xds.notification.operations import SubscriptionHealth
from xds.telemetry import database_metrics
from xds.telemetry.metrics import AskedGauge, Metrics, Values

MOST_TOLD: Final = 20
"""Subscriptions of which each is told: so many, however many there are."""
_LABELS: Final = ("subscription", "protocol")


@dataclass(frozen=True, slots=True)
class _Look:
    """How subscriptions fare."""

    counts: Values
    amiss: Sequence[SubscriptionHealth]
    """Those whose notifications wait longest."""


def _look(connection: Connection) -> _Look:
    return _Look(operations.counts(connection), operations.amiss(connection, MOST_TOLD))


_GAUGES: Final = (
    AskedGauge[_Look](
        "xds_subscriptions",
        "Subscriptions by protocol and state",
        ("protocol", "state"),
        lambda look: look.counts,
    ),
    AskedGauge[_Look](
        "xds_subscription_oldest_timestamp_seconds",
        "When the oldest happened that a subscription was not told yet",
        _LABELS,
        lambda look: {
            (str(one.key), one.protocol): one.oldest / 1000 for one in look.amiss if one.oldest
        },
    ),
    AskedGauge[_Look](
        "xds_subscription_waiting_notifications",
        "Notifications that a subscription was not told yet",
        _LABELS,
        lambda look: {(str(one.key), one.protocol): one.waiting for one in look.amiss},
    ),
    AskedGauge[_Look](
        "xds_subscription_failures",
        "Attempts that failed since the target of a subscription has taken something",
        (*_LABELS, "error"),
        lambda look: {
            (str(one.key), one.protocol, one.error or ""): one.attempts
            for one in look.amiss
            if one.attempts
        },
    ),
)


def watch(metrics: Metrics, database: Database) -> None:
    """Have the metrics tell how subscriptions fare: those whose notifications wait longest."""
    database_metrics.watch(metrics, database, _look, _GAUGES)
