"""Fixtures that every test may use."""

from collections.abc import Iterator

import pytest

from tests.serving import Server, serving

pytest_plugins = ("tests.conformance",)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server on an empty SQLite database and document folder, shared by all tests.

    Tests keep out of each other's way by patient ids and uniqueIds of their own.
    """
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running
