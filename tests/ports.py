"""Ports for servers of tests."""

import os
import random
import re
import socket
from collections.abc import Iterator
from itertools import cycle
from typing import Final

_PORTS: Final = range(10_000, 32_000)
"""Below those that the system gives to connections, which could take one before its server does."""


def _in_turn() -> Iterator[int]:
    """Yield the ports of this process of pytest, each once before any comes again."""
    number = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = list(_PORTS[number::processes])
    random.SystemRandom().shuffle(own)
    return cycle(own)


_TURNS: Final = _in_turn()


def free_port() -> int:
    """Return a port that nobody listens at, and that nobody else is given meanwhile."""
    while True:
        port = next(_TURNS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
