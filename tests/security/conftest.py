"""A server that demands users, shared by the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.serving import Server, serving
from tests.vouching import vouching


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server on which users are required, but for some transactions."""
    data = tmp_path_factory.mktemp("guarded")
    options = vouching().options(
        data / "trust",
        user_assertions_of="ITI-42=off ITI-43=optional ITI-66=off ITI-78=optional",
        database=databases.url(data),
    )
    with serving(data, options) as running:
        yield running
