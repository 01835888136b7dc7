"""A worker's share of the server, in this process."""

import socket
import threading

import pytest

from tests.waiting import PATIENCE
from xds.config import Config
from xds.http.granian_worker import NO_TLS, HttpSettings
from xds.http.service import Service
from xds.http.spreading import ConnectionCounts, Share


@pytest.mark.parametrize("is_early", [True, False])
def test_a_worker_that_is_told_to_stop_while_it_starts_stops(is_early: bool) -> None:
    """A signal may come before it serves; once lost, the server waited for all of grace_seconds."""
    listening = socket.create_server(("127.0.0.1", 0))
    share = Share(ConnectionCounts(1), 0, listening)
    service = Service(lambda *_: [b""], Config(), share)
    settings = HttpSettings(16, 16, 30, NO_TLS)
    serving = threading.Thread(target=service.run, args=(listening, settings), daemon=True)
    if is_early:
        service.stop()
    serving.start()
    if not is_early:
        service.stop()
    serving.join(PATIENCE)
    assert not serving.is_alive()
    listening.detach()  # the server has closed it
