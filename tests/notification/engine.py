"""The engine of notifications in this process, with a protocol of its own that is plain JSON."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.outgoing.conftest import QUICK
from tests.registry.test_many_writers import entry, submission
from tests.soap.receiver import Receiver, receiving
from xds.config import Config
from xds.database.access import Database
from xds.metadata.criteria import Criterion, equal
from xds.metadata.objects import DocumentEntry
from xds.notification import sender
from xds.notification.matcher import Matcher
from xds.notification.model import NewSubscription, SubscribedTopic, Subscription
from xds.notification.sender import NotificationProtocol
from xds.notification.subscriptions import Subscriptions
from xds.notification.told import Notification, RenderedNotification
from xds.outgoing.dispatcher import Dispatcher
from xds.outgoing.sending import DispatchLimits
from xds.registry import events
from xds.registry.queries.views import RegistryView
from xds.registry.registry import DocumentRegistry
from xds.registry.subscribers import EventReader
from xds.security.caller import UNKNOWN, Caller

NAME: Final = "plain"
CREATED: Final = SubscribedTopic("created", DocumentEntry, frozenset({events.REGISTERED}))
EVERYTHING: Final = SubscribedTopic(
    "everything",
    DocumentEntry,
    frozenset({events.REGISTERED, events.UPDATED, events.DEPRECATED, events.REMOVED}),
)
PATIENT: Final = "P1^^^&2.999.1.1&ISO"


def plain(one: Notification, view: RegistryView) -> RenderedNotification:
    """Render a notification as JSON."""
    told = {
        "kind": one.kind.value,
        "id": one.id,
        "number": one.number,
        "change": one.change,
        "state": one.subscription.state.value,
        "objects": [found.entry_uuid for found in one.objects],
        "titles": [getattr(found.thing, "title", None) for found in one.objects],
    }
    return RenderedNotification(json.dumps(told).encode(), "application/json")


PROTOCOL: Final = NotificationProtocol(NAME, lambda config: plain)


@dataclass(frozen=True, slots=True)
class Engine:
    """A registry with subscribers, and where notifications arrive."""

    config: Config
    registry: DocumentRegistry
    subscriptions: Subscriptions
    receiver: Receiver

    @property
    def database(self) -> Database:
        """The database."""
        return self.registry.database

    def subscribe(
        self,
        path: str = "/a",
        wanted: Criterion | None = None,
        topic: SubscribedTopic = CREATED,
        caller: Caller = UNKNOWN,
        address: str | None = None,
        **more: Any,
    ) -> Subscription:
        """Make a subscription that is told at a path of the receiver."""
        return self.subscriptions.create(
            NewSubscription(
                protocol=NAME,
                topic=topic,
                filter=equal("patient_id", [PATIENT]) if wanted is None else wanted,
                transaction="ITI-18",
                caller=caller,
                address=address or (f"{self.receiver.url}{path}" if path else ""),
                **more,
            )
        )

    def register(self, patient_id: str = PATIENT, **more: str) -> DocumentEntry:
        """Register a DocumentEntry."""
        thing = entry(patient_id, **more)
        self.registry.register(submission(patient_id, thing))
        return thing

    def told(self, path: str = "/a", number: int = 1) -> list[Mapping[str, Any]]:
        """Wait for so many messages at a path, and return what they say."""
        return [json.loads(raw.body) for raw in self.receiver.wait_for(path, number)]

    def state(self, one: Subscription) -> Subscription:
        """Return a subscription as it is now."""
        found = self.subscriptions.get(one.id)
        assert found is not None
        return found

    @contextmanager
    def working(self, *, sends: bool = True) -> Iterator[None]:
        """Match and send as a process of its own does."""
        with ExitStack() as stack:
            reader = EventReader(self.database, Matcher(self.subscriptions).subscriber())
            reader.start()
            stack.callback(reader.close)
            if sends:
                channel = sender.channel(PROTOCOL, self.config, self.database)
                assert channel is not None
                quick = replace(channel, schedule=QUICK)
                limits = DispatchLimits(poll_seconds=0.05)
                dispatcher = Dispatcher(self.database, [quick], limits=limits)
                dispatcher.start()
                stack.callback(dispatcher.close)
            yield


@contextmanager
def engine(database: Database, data: Path, **options: Any) -> Iterator[Engine]:
    """Make an engine on a database; nothing works yet."""
    with receiving() as receiver:
        more = options.pop("more_targets", "")
        targets = options.pop("notification_targets", f"{receiver.url} {more}")
        config = Config(data=data, notification_targets=targets, **options)
        registry = DocumentRegistry(database=database, has_updates=True)
        subscriptions = Subscriptions.open(config, database)
        yield Engine(config, registry, subscriptions, receiver)
