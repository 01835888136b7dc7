"""What metrics tell of messages that come in: what became of them, and which of them wait."""

from collections.abc import Callable, Mapping
from typing import Final

from xds.database.access import Database
from xds.messaging import records
from xds.messaging.incoming import FilingOutcome, IncomingMessage
from xds.messaging.records import WaitingRecords
from xds.telemetry import database_metrics
from xds.telemetry.metrics import AskedGauge, Metrics

Count = Callable[[IncomingMessage, FilingOutcome], None]

_LABELS = ("state",)
_REPEATED = "repeated"


def uncounted(_incoming: IncomingMessage, _outcome: FilingOutcome) -> None:
    """Count nothing."""


def counting(metrics: Metrics | None) -> Count:
    """Return what counts messages, each by its door, its flavour and what became of it."""
    if metrics is None:
        return uncounted

    def count(incoming: IncomingMessage, outcome: FilingOutcome) -> None:
        metrics.taken_in(incoming.door, incoming.flavour.name, verdict_of(outcome))

    return count


def verdict_of(outcome: FilingOutcome) -> str:
    """Return what became of a message in a word: a state, ``repeated``, or why it is refused."""
    if refused := outcome.refusals:
        return refused[0].verdict.name
    return _REPEATED if outcome.is_replay else outcome.state


_GAUGES: Final = (
    AskedGauge[Mapping[str, WaitingRecords]](
        "xds_messages_waiting",
        "Messages that came in and wait: refused, failed, held or partial",
        _LABELS,
        lambda look: {(state,): one.count for state, one in look.items()},
    ),
    AskedGauge[Mapping[str, WaitingRecords]](
        "xds_messages_oldest_timestamp_seconds",
        "When the oldest of them came; 0 where there is none",
        _LABELS,
        lambda look: {(state,): one.oldest / 1000 for state, one in look.items()},
    ),
)


def watch(metrics: Metrics, database: Database) -> None:
    """Have the metrics tell which messages wait for an operator or for their patients."""
    database_metrics.watch(metrics, database, records.waiting, _GAUGES)
