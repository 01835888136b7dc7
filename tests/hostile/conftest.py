"""Fixtures of the tests of hostile input."""

from tests.hl7v2.conftest import fed
from tests.soap.conftest import unharmed_server

__all__ = ["fed", "unharmed_server"]
