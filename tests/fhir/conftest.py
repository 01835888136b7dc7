"""Deployments of the tests of this folder: in this process, and a server that updates."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.fhir.published import Deploy, Deployment, deploying
from tests.fhir.updated import UPDATE_OPTIONS, Published, published
from tests.serving import Server, serving


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
def updating(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server that answers all that changes what is registered, shared by all tests."""
    data = tmp_path_factory.mktemp("fhir-updates")
    with serving(data, {**UPDATE_OPTIONS, "database": databases.url(data)}) as running:
        yield running


@pytest.fixture
def document(updating: Server) -> Published:
    """A document of a test's own there."""
    return published(updating)
