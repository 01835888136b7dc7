"""What metrics tell of the database: each room looks once, however many gauges it has."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.telemetry.metrics import AskedGauge, Metrics

T = TypeVar("T")


def watch(
    metrics: Metrics,
    database: Database,
    look: Callable[[Connection], T],
    gauges: Sequence[AskedGauge[T]],
) -> None:
    """Have gauges told of what one look at the database finds, each time they are asked for.

    They have no values while the database does not tell.
    """

    def looked() -> T | None:
        try:
            with database.read() as connection:
                return look(connection)
        except DatabaseUnavailable:
            return None

    metrics.ask_together(looked, gauges)
