"""Fixtures of the patient feed's tests."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.databases import Databases
from tests.hl7v2.wire import DOMAIN, Acknowledgement, Sender, connected
from tests.ports import free_port
from tests.registry.wire import World
from tests.serving import Server, serving


@dataclass(frozen=True, slots=True)
class FedServer:
    """A server with a patient feed."""

    server: Server
    port: int
    """Of the feed."""

    def ask(self, message: bytes) -> Acknowledgement:
        """Send one message on a connection of its own."""
        with connected(self.port) as sender:
            return sender.ask(message)


@pytest.fixture(scope="session")
def fed(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[FedServer]:
    """A server of an affinity domain that knows the patients of its feed only."""
    port = free_port()
    data = tmp_path_factory.mktemp("fed")
    options = {
        "database": databases.url(data),
        "assigning_authority": DOMAIN,
        "patient_id_namespace": "XAD",
        "unknown_patients": "known",
        "mllp_port": str(port),
    }
    with serving(data, options) as server:
        yield FedServer(server, port)


@pytest.fixture
def sender(fed: FedServer) -> Iterator[Sender]:
    """A connection to the patient feed."""
    with connected(fed.port) as connection:
        yield connection


@pytest.fixture
def world() -> World:
    """Names that no other test has."""
    return World.new()
