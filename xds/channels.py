"""The channels of the delivery queue, a row each, and what metrics tell of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from xds.audit import audit_log
from xds.config import Config
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
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
from xds.telemetry.metrics import Metrics, Values

PROTOCOLS: Final[Sequence[NotificationProtocol]] = (
    NotificationProtocol(dsub.PROTOCOL, dsub.NotifyRenderer, recorder("ITI-53")),
    NOTIFICATIONS,
)
"""By what protocols notifications are sent."""


def outbound_messages(config: Config, database: Database) -> Channel | None:
    """Return the channel of messages that go out, HL7 v2 and FHIR."""
    return outbound.channel(config, database, fhir=fhir_outbound.syntax(config))


CHANNELS: Final[Sequence[Callable[[Config, Database], Channel | None]]] = (
    asynchronous.channel,
    audit_log.channel,
    outbound_messages,
    acknowledging.channel,
    process_message.channel,
    *sender.channels(PROTOCOLS),
)
"""What makes each channel; None where the options do not have it."""

_SECONDS: Final = 0.5
"""How long metrics tell the same, since they are asked for together."""


def dispatcher(config: Config, database: Database, metrics: Metrics | None) -> Dispatcher | None:
    """Return what sends for this process; None where the options have no channel."""
    channels = [one for make in CHANNELS if (one := make(config, database)) is not None]
    if metrics:
        watch(metrics, database, [one.name for one in channels])
    count = metrics.attempted if metrics else uncounted
    return Dispatcher(database, channels, count=count) if channels else None


def watch(metrics: Metrics, database: Database, names: Sequence[str]) -> None:
    """Have the metrics tell of the channels that are served here, and of what else waits."""
    look = _Look(database, names)
    channel, failing = ("channel",), ("channel", "error")
    metrics.ask(
        "xds_outgoing_waiting_messages",
        "Messages that wait to be sent or are being sent",
        channel,
        lambda: look.of_channels(lambda one: one.waiting),
    )
    metrics.ask(
        "xds_outgoing_oldest_timestamp_seconds",
        "When the oldest of them was accepted; 0 where there is none",
        channel,
        lambda: look.of_channels(lambda one: one.oldest / 1000),
    )
    metrics.ask(
        "xds_outgoing_dead_messages",
        "Messages that were given up, and wait for `xds queue`",
        channel,
        lambda: look.of_channels(lambda one: one.dead),
    )
    metrics.ask(
        "xds_outgoing_failing_targets",
        "Targets that did not take the last message, by the last error of each",
        failing,
        lambda: look.of_failures(lambda one: one.targets),
    )
    metrics.ask(
        "xds_outgoing_last_failure_timestamp_seconds",
        "When one of them failed last",
        failing,
        lambda: look.of_failures(lambda one: one.last / 1000),
    )


class _Look:
    """What the database tells of the queue, looked up once for metrics that are asked together."""

    def __init__(self, database: Database, names: Sequence[str]) -> None:
        self._database = database
        self._nothing = {name: ChannelState() for name in names}
        self._until = 0.0
        self._states: Mapping[str, ChannelState] = {}
        self._failing: Sequence[Failing] = ()

    def of_channels(self, value: Callable[[ChannelState], float]) -> Values:
        """Return a value of each channel; none while the database does not tell."""
        self._look()
        return {(name,): value(one) for name, one in self._states.items()}

    def of_failures(self, value: Callable[[Failing], float]) -> Values:
        """Return a value of each reason for which targets fail."""
        self._look()
        return {(one.channel, one.error): value(one) for one in self._failing}

    def _look(self) -> None:
        if time.monotonic() < self._until:
            return
        try:
            with self._database.read() as connection:
                self._states = {**self._nothing, **operations.states(connection)}
                self._failing = operations.failing(connection)
        except DatabaseUnavailable:
            self._states, self._failing = {}, ()
        self._until = time.monotonic() + _SECONDS
