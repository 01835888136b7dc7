"""What metrics tell of destinations."""

from collections.abc import Callable, Sequence

from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.messaging.outbound import operations
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.operations import WaitingMessages
from xds.telemetry.metrics import Metrics

_LABELS = ("destination",)


def watch(metrics: Metrics, database: Database, destinations: Sequence[Destination]) -> None:
    """Have the metrics tell what each destination has not taken."""

    def look(value: Callable[[WaitingMessages], float]) -> dict[tuple[str, ...], float]:
        try:
            with database.read() as connection:
                found = operations.not_taken(connection)
        except DatabaseUnavailable:
            return {}
        names = dict.fromkeys([*(one.name for one in destinations), *found])
        return {(name,): value(found.get(name, WaitingMessages())) for name in names}

    metrics.ask(
        "xds_destination_waiting_messages",
        "Messages that a destination has not taken yet",
        _LABELS,
        lambda: look(lambda one: one.waiting),
    )
    metrics.ask(
        "xds_destination_oldest_timestamp_seconds",
        "When the oldest of them was recorded; 0 where there is none",
        _LABELS,
        lambda: look(lambda one: one.oldest / 1000),
    )
    metrics.ask(
        "xds_destination_dead_messages",
        "Messages that were given up, and wait for `xds destinations retry`",
        _LABELS,
        lambda: look(lambda one: one.dead),
    )
