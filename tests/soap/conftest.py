"""Fixtures of the tests of the SOAP binding."""

from collections.abc import Iterator

import pytest

from tests.serving import Server
from tests.soap.refusal import unharmed


@pytest.fixture
def unharmed_server(server: Server) -> Iterator[Server]:
    """The server of all tests, which must be as before afterwards."""
    with unharmed(server):
        yield server
