"""What metrics tell of destinations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection

from xds.database.access import Database
from xds.messaging.outbound import operations
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.operations import WaitingMessages
from xds.telemetry import database_metrics
from xds.telemetry.metrics import AskedGauge, Metrics

_Waiting = Mapping[str, WaitingMessages]
"""What was not taken, by the names of destinations."""


def _gauge(name: str, told: str, value: Callable[[WaitingMessages], float]) -> AskedGauge[_Waiting]:
    return AskedGauge(
        name, told, ("destination",), lambda look: {(d,): value(one) for d, one in look.items()}
    )


_GAUGES: Final = (
    _gauge(
        "xds_destination_waiting_messages",
        "Messages that a destination has not taken yet",
        lambda one: one.waiting,
    ),
    _gauge(
        "xds_destination_oldest_timestamp_seconds",
        "When the oldest of them was recorded; 0 where there is none",
        lambda one: one.oldest / 1000,
    ),
    _gauge(
        "xds_destination_dead_messages",
        "Messages that were given up, and wait for `xds destinations retry`",
        lambda one: one.dead,
    ),
)


def watch(metrics: Metrics, database: Database, destinations: Sequence[Destination]) -> None:
    """Have the metrics tell what each destination has not taken."""
    nothing = {one.name: WaitingMessages() for one in destinations}

    def look(connection: Connection) -> _Waiting:
        return {**nothing, **operations.not_taken(connection)}

    database_metrics.watch(metrics, database, look, _GAUGES)
