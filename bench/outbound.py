"""Documents that go out as messages: how many a second a fast receiver gets."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from bench import machine
from bench.calls import Submit
from bench.deployment import DOCUMENT_BYTES, Deployment, workers
from bench.figures import Figure
from bench.notifications import Recipient, opened, until
from tests.serving import serving
from xds.hl7v2.mllp_client import MllpAddress, MllpConnection
from xds.messaging.outbound import destinations_file, operations
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.records import OutboundState
from xds.messaging.outbound.tables import outbound_message

_DOCUMENTS: Final = 1_000
_PATIENTS: Final = 20
_HEAD: Final = b"MSH|^~\\&|XDS||R||2026||MDM^T02|M1|P|2.4\r"
_FILE: Final = '[[destination]]\nname = "record"\naddress = "{url}"\n'


def outbound(deployment: Deployment) -> Sequence[Figure]:
    """Measure how many documents go out as MDM a second to a receiver that answers at once.

    They wait, as after a pause. The yardstick is a bare client that sends as large messages on one
    connection. The second figure is the processor time that the server uses for each.
    """
    with _served(deployment) as (served, receiver, destination):
        with opened(served.server) as database:
            operations.pause(database, destination.name)
        # ITI-41, of several patients: they share the lanes
        submit = Submit(served.url, DOCUMENT_BYTES, with_document=True, patients=_patients())(0)
        for _ in range(_DOCUMENTS):
            submit()
        with opened(served.server) as database:
            held = select(func.count()).where(outbound_message.c.state == OutboundState.HELD)

            def are_held() -> bool:
                with database.read() as connection:
                    return bool(connection.scalar(held) == _DOCUMENTS)

            until(are_held)
            before = machine.cpu_seconds(served.processes)
            operations.resume(database, destination)
            arrived = receiver.wait_for(_DOCUMENTS)
        used = machine.cpu_seconds(served.processes) - before
        rate = (len(arrived) - 1) / (arrived[-1] - arrived[0])
        yardstick = _sent(destination.address, _DOCUMENTS)
        return [Figure(rate, yardstick), Figure(used / _DOCUMENTS * 1000, 0.0)]


def _patients() -> Sequence[str]:
    return [f"W{number:02}" for number in range(_PATIENTS)]


@contextmanager
def _served(deployment: Deployment) -> Iterator[tuple[Deployment, Recipient, Destination]]:
    """Serve an empty registry of the same kind with a destination, and its receiver beside it."""
    options = {k: v for k, v in deployment.server.options.items() if k == "database"}
    with (
        tempfile.TemporaryDirectory(dir=deployment.folder) as data,
        Recipient.ready(is_mllp=True) as receiver,
    ):
        file = Path(data) / "destinations.toml"
        file.write_text(_FILE.format(url=f"mllp://127.0.0.1:{receiver.port}"))
        given = {**workers(), **options, "destinations": str(file)}
        with serving(Path(data), given) as server:
            served = replace(deployment, server=server, folder=Path(data))
            yield served, receiver, destinations_file.read(file)[0]
            with opened(server) as database, database.write() as connection:
                connection.execute(outbound_message.delete())  # it may be used again


def _sent(address: str, count: int) -> float:
    """Return how many messages of such a size a bare client sends a second, one by one."""
    content = os.urandom(DOCUMENT_BYTES * 2 // 3).hex().encode()
    connection = MllpConnection(MllpAddress.parse(address), None)
    began = time.monotonic()
    for _ in range(count):
        connection.exchange([_HEAD, content])
    connection.close()
    return count / (time.monotonic() - began)
