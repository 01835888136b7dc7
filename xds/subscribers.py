"""Who reacts to the registry's events, a row each, and what metrics tell of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.content.observations import filling
from xds.database.access import Database
from xds.messaging import measuring as messages_measuring
from xds.messaging.outbound import destinations_file
from xds.messaging.outbound import matching as outbound
from xds.messaging.outbound import measuring as outbound_measuring
from xds.notification import measuring
from xds.notification.matcher import Matcher
from xds.notification.subscriptions import Subscriptions
from xds.on_demand.documents import OnDemandDocuments
from xds.on_demand.registering import OnDemandEntries
from xds.registry import subscribers
from xds.registry.events import Event
from xds.registry.subscribers import EventReader, Reaction, Subscriber, SubscriberState
from xds.telemetry import database_metrics
from xds.telemetry.metrics import AskedGauge, Metrics


def counting(metrics: Metrics) -> Subscriber:
    """Return the subscriber that counts events for the metrics."""

    def react(found: Sequence[Event]) -> Reaction:
        def count() -> None:
            for one in found:
                metrics.happened(one.kind, one.object_kind)

        return Reaction(committed=count)

    return Subscriber("metrics", react, rest_seconds=1.0)


def matching(subscriptions: Subscriptions) -> Subscriber:
    """Return the subscriber that decides who is told of what."""
    return Matcher(subscriptions).subscriber()


def following(domain: AffinityDomain) -> Subscriber | None:
    """Return the subscriber that sees to On-Demand entries, as the rules of the forms say."""
    if not isinstance(domain.on_demand, OnDemandDocuments):
        return None
    remove = partial(domain.remove_documents, withheld=frozenset(), in_commit=lambda _: None)
    return OnDemandEntries(domain.on_demand, remove).subscriber()


OF_METRICS: Final[Sequence[Callable[[Metrics], Subscriber]]] = (counting,)
"""The subscribers of a server that has metrics."""


OF_NOTIFICATIONS: Final[Sequence[Callable[[Subscriptions], Subscriber]]] = (matching,)
"""The subscribers of a server that has subscriptions."""

OF_OPTIONS: Final[Sequence[Callable[[Config, Database], Subscriber | None]]] = (
    outbound.subscriber,
    filling.subscriber,
)
"""What makes each subscriber that the options may have; None where they do not."""


OF_DOMAINS: Final[Sequence[Callable[[AffinityDomain], Subscriber | None]]] = (following,)
"""What makes each subscriber of a registry with a repository; None where it has nothing to do."""


def readers(config: Config, domain: AffinityDomain, metrics: Metrics | None) -> list[EventReader]:
    """Return what works for the subscribers in this process."""
    found: list[Subscriber] = []
    database, subscriptions = domain.database, domain.subscriptions
    if metrics is not None:
        watch(metrics, database)
        if subscriptions is not None:
            measuring.watch(metrics, database)
        if config.takes_messages:
            messages_measuring.watch(metrics, database)
        if config.destinations is not None:
            known = destinations_file.read(config.destinations)
            outbound_measuring.watch(metrics, database, known)
        found += [make(metrics) for make in OF_METRICS]
    if subscriptions is not None:
        found += [make(subscriptions) for make in OF_NOTIFICATIONS]
    found += [one for make in OF_OPTIONS if (one := make(config, database)) is not None]
    found += [one for make in OF_DOMAINS if (one := make(domain)) is not None]
    return [EventReader(database, one) for one in found]


_States = Mapping[str, SubscriberState]
_GAUGES: Final = (
    AskedGauge[_States](
        "xds_subscriber_waiting_events",
        "Events that a subscriber has not reacted to yet",
        ("subscriber",),
        lambda look: {(name,): one.waiting for name, one in look.items()},
    ),
    AskedGauge[_States](
        "xds_subscriber_last_failure_timestamp_seconds",
        "When a subscriber failed last that fails now",
        ("subscriber", "error"),
        lambda look: {
            (name, one.error): one.failed_at / 1000 for name, one in look.items() if one.error
        },
    ),
)


def watch(metrics: Metrics, database: Database) -> None:
    """Have the metrics tell how far each subscriber is."""
    database_metrics.watch(metrics, database, subscribers.states, _GAUGES)
