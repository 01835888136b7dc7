"""The channels of the delivery queue, a row each, and what metrics tell of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from xds.audit import audit_log
from xds.config import Config
from xds.database.access import Database
from xds.dsub import renderer as dsub
from xds.dsubm.rendering import NOTIFICATIONS
from xds.fhir_messages import outbound as fhir_outbound
from xds.fhir_messages import process_message
from xds.messaging.outbound import acknowledging
from xds.messaging.outbound import sending as outbound
from xds.notification import sender
from xds.notification.recorder import recorder
from xds.notification.sender import NotificationProtocol
from xds.outgoing import operations
from xds.outgoing.delivery import Channel
from xds.outgoing.dispatcher import Dispatcher, uncounted
from xds.outgoing.operations import ChannelState, Failing
from xds.soap import asynchronous
from xds.telemetry import database_metrics
from xds.telemetry.metrics import AskedGauge, Metrics, Values

PROTOCOLS: Final[Sequence[NotificationProtocol]] = (
    NotificationProtocol(dsub.PROTOCOL, dsub.NotifyRenderer, recorder("ITI-53")),
    NOTIFICATIONS,
)
"""By what protocols notifications are sent."""


def outbound_messages(config: Config, database: Database) -> Channel | None:
    """Return the channel of messages that go out, HL7 v2 and FHIR."""
    return outbound.channel(config, database, fhir=fhir_outbound.syntax(config))


def outbound_sender(config: Config, database: Database) -> outbound.MessageSender | None:
    """Return what writes messages that go out; None where the options name no destinations."""
    if config.destinations is None:
        return None
    return outbound.MessageSender.open(config, database, fhir=fhir_outbound.syntax(config))


CHANNELS: Final[Sequence[Callable[[Config, Database], Channel | None]]] = (
    asynchronous.channel,
    audit_log.channel,
    outbound_messages,
    acknowledging.channel,
    process_message.channel,
    *sender.channels(PROTOCOLS),
)
"""What makes each channel; None where the options do not have it."""


def dispatcher(config: Config, database: Database, metrics: Metrics | None) -> Dispatcher | None:
    """Return what sends for this process; None where the options have no channel."""
    channels = [one for make in CHANNELS if (one := make(config, database)) is not None]
    if metrics:
        watch(metrics, database, [one.name for one in channels])
    count = metrics.attempted if metrics else uncounted
    return Dispatcher(database, channels, count=count) if channels else None


@dataclass(frozen=True, slots=True)
class _QueueState:
    """What the database tells of the queue."""

    states: Mapping[str, ChannelState]
    failing: Sequence[Failing]

    def of_channels(self, value: Callable[[ChannelState], float]) -> Values:
        """Return a value of each channel."""
        return {(name,): value(one) for name, one in self.states.items()}

    def of_failures(self, value: Callable[[Failing], float]) -> Values:
        """Return a value of each reason for which targets fail."""
        return {(one.channel, one.error): value(one) for one in self.failing}


_CHANNEL: Final = ("channel",)
_FAILING: Final = ("channel", "error")
_GAUGES: Final = (
    AskedGauge[_QueueState](
        "xds_outgoing_waiting_messages",
        "Messages that wait to be sent or are being sent",
        _CHANNEL,
        lambda look: look.of_channels(lambda one: one.waiting),
    ),
    AskedGauge[_QueueState](
        "xds_outgoing_oldest_timestamp_seconds",
        "When the oldest of them was accepted; 0 where there is none",
        _CHANNEL,
        lambda look: look.of_channels(lambda one: one.oldest / 1000),
    ),
    AskedGauge[_QueueState](
        "xds_outgoing_dead_messages",
        "Messages that were given up, and wait for `xds queue`",
        _CHANNEL,
        lambda look: look.of_channels(lambda one: one.dead),
    ),
    AskedGauge[_QueueState](
        "xds_outgoing_failing_targets",
        "Targets that did not take the last message, by the last error of each",
        _FAILING,
        lambda look: look.of_failures(lambda one: one.targets),
    ),
    AskedGauge[_QueueState](
        "xds_outgoing_last_failure_timestamp_seconds",
        "When one of them failed last",
        _FAILING,
        lambda look: look.of_failures(lambda one: one.last / 1000),
    ),
)


def watch(metrics: Metrics, database: Database, names: Sequence[str]) -> None:
    """Have the metrics tell of the channels that are served here, and of what else waits."""
    nothing = {name: ChannelState() for name in names}

    def look(connection: Connection) -> _QueueState:
        states = {**nothing, **operations.states(connection)}
        return _QueueState(states, operations.failing(connection))

    database_metrics.watch(metrics, database, look, _GAUGES)
