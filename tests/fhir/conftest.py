"""Deployments in this process, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fhir.published import Deploy, Deployment, deploying


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Opens deployments with options."""
    with deploying(tmp_path) as made:
        yield made


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """A deployment that is told no option."""
    return deploy()
