"""A server that sends to subscribers and to destinations, for those who operate it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from tests.console.provided import provide
from tests.console.queued import database_of
from tests.messaging.feeds import CONTENT, GENETIC
from tests.messaging.receiver import MllpReceiver
from tests.messaging.receiver import receiving as receiving_messages
from tests.notification.dsub import DOCUMENTS, envelope, patient, post, query, subscribe, topic
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from tests.soap.receiver import Receiver, receiving
from xds.metadata.objects import DocumentEntry
from xds.notification import operations
from xds.notification.operations import SubscriptionHealth

DESTINATIONS: Final = """
[[destination]]
name = "record"
address = "{record}"
order = "destination"
refusals = 1
changes = ["registered"]
rule = [{{ name = "reports", type_code = ["{type_code}"] }}]

[[destination]]
name = "closed"
address = "mllp://localhost:9"
rule = [{{ class_code = ["nothing^^2.999.1"] }}]
"""
OPTIONS: Final = {
    "console": "on",
    "console_idle_minutes": "480",
    "audit": "on",
    "workers": "1",
    "mllp_port": "0",
    "notification_attempts": "1",
    "notification_retries": "600",
}
"""What has failed is not tried again by itself, and people stay logged in, for long enough."""
_paths = count(1)


@dataclass(frozen=True, slots=True)
class OperatedServer:
    """The server, who takes its notifications, and who takes its messages."""

    server: Server
    recipient: Receiver
    record: MllpReceiver

    def subscribe(self, patient_id: str, *refusals: int) -> SubscriptionHealth:
        """Have the recipient told of a patient's documents; it refuses the first, with statuses."""
        path = f"told-{next(_paths)}"
        self.recipient.refuse(f"/{path}", *refusals)
        asked = query(DOCUMENTS, patient(patient_id.partition("^")[0]))
        consumer = f"{self.recipient.url}/{path}"
        body = subscribe(consumer, topic("ihe:MinimalDocumentEntry") + asked)
        assert post(f"{self.server.url}/notification", envelope(body)).status == 200
        return next(one for one in self.subscriptions() if one.address == consumer)

    def subscriptions(self) -> list[SubscriptionHealth]:
        """Return how all subscriptions fare."""
        with database_of(self.server) as database, database.read() as connection:
            return operations.health(connection)

    def subscription(self, key: int) -> SubscriptionHealth:
        """Return how one fares."""
        return next(one for one in self.subscriptions() if one.key == key)

    def told(self, one: SubscriptionHealth, number: int) -> int:
        """Wait until so many notifications came of a subscription, and return how many did."""
        path = one.address.removeprefix(self.recipient.url)
        return len(self.recipient.wait_for(path, number))

    def report(self, patient_id: str) -> DocumentEntry:
        """Have a document registered that the destination is told of."""
        return provide(self.server, patient_id, CONTENT, "application/pdf", type_code=GENETIC)


def operated_server(shared_servers: SharedServers, kept: Kept) -> OperatedServer:
    """Return the server."""

    @contextmanager
    def receivers() -> Iterator[tuple[Receiver, MllpReceiver]]:
        with receiving() as recipient, receiving_messages() as record:
            yield recipient, record

    recipient, record = kept.opened("receivers of the console", receivers)

    def options(data: Path) -> Mapping[str, str]:
        path = data / "destinations.toml"
        path.write_text(DESTINATIONS.format(record=record.url, type_code=GENETIC))
        return {**OPTIONS, "destinations": str(path), "notification_targets": recipient.url}

    return OperatedServer(shared_servers("operated console", options), recipient, record)
