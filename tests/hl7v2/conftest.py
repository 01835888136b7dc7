"""Fixtures of the patient feed's tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hl7v2.wire import DOMAIN, Acknowledgement, Sender, connected
from tests.ports import free_port
from tests.registry.wire import World
from tests.servers.shared import SharedServers
from tests.serving import Server


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
def fed(shared_servers: SharedServers) -> FedServer:
    """A server of an affinity domain that knows the patients of its feed only."""

    def options(_: Path) -> dict[str, str]:
        return {
            "assigning_authority": DOMAIN,
            "patient_id_namespace": "XAD",
            "unknown_patients": "known",
            "mllp_port": str(free_port()),
        }

    server = shared_servers("fed", options)
    return FedServer(server, int(server.options["mllp_port"]))


@pytest.fixture
def sender(fed: FedServer) -> Iterator[Sender]:
    """A connection to the patient feed."""
    with connected(fed.port) as connection:
        yield connection


@pytest.fixture
def world() -> World:
    """Names that no other test has."""
    return World.new()
