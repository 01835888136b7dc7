"""Ports for servers of tests."""

import random
import socket
from typing import Final

_CHANCE: Final = random.SystemRandom()
_PORTS: Final = range(10_000, 32_000)
"""Below those that the system gives to connections, which could take one before its server does."""


def free_port() -> int:
    """Return a port that nobody listens at, and that nobody is given by chance."""
    while True:
        port = _CHANCE.choice(_PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
