"""Fixtures of the tests of notifications: one broker, and one recipient."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.databases import Databases
from tests.notification.engine import Engine, engine
from tests.serving import Server, serving
from tests.soap.receiver import Receiver, receiving
from xds.database.access import Database


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    """An empty registry."""
    with databases.opened(tmp_path) as opened:
        yield opened


@pytest.fixture
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, which is not rendered: tracebacks for a terminal take long."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def it(database: Database, tmp_path: Path, log: object) -> Iterator[Engine]:
    """The engine of notifications, in this process."""
    with engine(database, tmp_path) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Broker:
    """A server with a broker, and a recipient that it may notify."""

    server: Server
    recipient: Receiver

    @property
    def url(self) -> str:
        """Where the broker answers."""
        return f"{self.server.url}/notification"

    def consumer(self, path: str) -> str:
        """Return a URL of the recipient."""
        return f"{self.recipient.url}/{path}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Broker]:
    """A broker that every update and removal is told to."""
    data = tmp_path_factory.mktemp("broker")
    with receiving() as recipient:
        options = {
            "database": databases.url(data),
            "notification_targets": recipient.url,
            "deactivation_targets": f"{recipient.url}/told",
            "dsub_publish": "yes",
            "metadata_update": "yes",
            "remove_metadata": "yes",
            "subscription_days": "3650",
        }
        with serving(data, options) as server:
            yield Broker(server, recipient)
