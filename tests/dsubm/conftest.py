"""One server and one receiver for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.dsubm.receiver import Receiver, Receivers, receiving
from tests.serving import Server, serving


@pytest.fixture(scope="session")
def receivers() -> Iterator[Receivers]:
    with receiving() as made:
        yield made


@pytest.fixture
def receiver(receivers: Receivers) -> Receiver:
    """A path of the receiver's that no other test has."""
    return receivers.new()


@pytest.fixture(scope="session")
def broker(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, receivers: Receivers
) -> Iterator[Server]:
    """A server that may send to the receiver."""
    data = tmp_path_factory.mktemp("broker")
    options = {
        "database": databases.url(data),
        "notification_targets": f"{receivers.base}/hook https://only.example/hook",
        "restricted_update": "yes",
        "audit": "on",
    }
    with serving(data, options) as running:
        yield running
