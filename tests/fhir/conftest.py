"""Deployments of the tests of this folder: in this process, and a server that updates."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fhir.published import Deploy, Deployment, deploying
from tests.fhir.updated import UPDATE_OPTIONS, Published, published
from tests.servers.shared import SharedServers
from tests.serving import Server


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Opens deployments with options."""
    with deploying(tmp_path) as made:
        yield made


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """A deployment that is told no option."""
    return deploy()


@pytest.fixture(scope="session")
def updating(shared_servers: SharedServers) -> Server:
    """A server that answers all that changes what is registered, shared by all tests."""
    return shared_servers("fhir-updates", UPDATE_OPTIONS)


@pytest.fixture
def document(updating: Server) -> Published:
    """A document of a test's own there."""
    return published(updating)
