"""The patient feed: new patients over one MLLP connection, each acknowledged before the next."""

import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from bench import machine
from bench.deployment import Deployment
from bench.figures import Effort, Figure
from bench.yardsticks import write_and_commit
from tests.ports import free_port
from tests.serving import Server, serving
from xds.metadata import datatypes

_DOMAIN: Final = "2.999.1.1"
_START: Final = b"\x0b"
_END: Final = b"\x1c\x0d"
_BLOCK: Final = 4096
_WARM_UP: Final = 100
_WRITES: Final = 400
_PATIENCE_SECONDS: Final = 30

Send = Callable[[int], None]


def feed(deployment: Deployment) -> Sequence[Figure]:
    """Measure how many registrations (A04) one connection gets acknowledged in a second."""
    with _fed(deployment.folder) as (server, send):
        for number in range(_WARM_UP):
            send(number)
        processes = machine.family(server.process.pid)
        before, client = machine.cpu_seconds(processes), time.process_time()
        latencies: list[float] = []
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + deployment.seconds:
            send(_WARM_UP + len(latencies))
            latencies.append(time.perf_counter() - now)
        count = len(latencies)
        effort = Effort(
            p50=median(latencies),
            p95=quantiles(latencies, n=20)[-1],
            server=(machine.cpu_seconds(processes) - before) / count,
            client=(time.process_time() - client) / count,
        )
    yardstick = write_and_commit(deployment.folder, len(_message(0)), _WRITES)
    return [Figure(count / sum(latencies), yardstick, effort)]


@contextmanager
def _fed(folder: Path) -> Iterator[tuple[Server, Send]]:
    """Serve with a patient feed, and connect to it."""
    port = free_port()
    options = {"mllp_port": str(port), "assigning_authority": _DOMAIN}
    with (
        tempfile.TemporaryDirectory(dir=folder) as data,
        serving(Path(data), options) as server,
        socket.create_connection((server.host, port), _PATIENCE_SECONDS) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send(number: int) -> None:
            connection.sendall(_START + _message(number) + _END)
            answer = b""
            while not answer.endswith(_END):
                answer += connection.recv(_BLOCK)
            assert b"MSA|AA|" in answer, answer

        yield server, send


def _message(number: int) -> bytes:
    now = datatypes.now()
    return (
        f"MSH|^~\\&|ADT|HOSPITAL|XDS|DOMAIN|{now}||ADT^A04^ADT_A01|F{number}|P|2.3.1\r"
        f"EVN|A04|{now}\r"
        f"PID|1||F{number}^^^&{_DOMAIN}&ISO~{number}^^^HOSPITAL&2.999.1.2&ISO||Doe^Jane^Ann^^Ms"
        "||19800229|F|||1 High Street^^Springfield^ST^00000^US||555-0100|||M\r"
        "PV1|1|O|CLINIC^1^A||||77^Ruiz^Elena|||MED\r"
    ).encode()
