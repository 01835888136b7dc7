"""One server and one receiver for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.dsubm.receiver import Receiver, Receivers, receiving
from tests.servers.shared import SharedServers
from tests.serving import Server


@pytest.fixture(scope="session")
def receivers() -> Iterator[Receivers]:
    with receiving() as made:
        yield made


@pytest.fixture
def receiver(receivers: Receivers) -> Receiver:
    """A path of the receiver's that no other test has."""
    return receivers.new()


@pytest.fixture(scope="session")
def broker(shared_servers: SharedServers, receivers: Receivers) -> Server:
    """A server that may send to the receiver."""
    options = {
        "notification_targets": f"{receivers.base}/hook https://only.example/hook",
        "metadata_update": "yes",
        "restricted_update": "yes",
        "remove_metadata": "yes",
        "dsubm_publish": "yes",
        "notification_heartbeat_seconds": "2",
        "audit": "on",
    }
    return shared_servers("broker", options)
