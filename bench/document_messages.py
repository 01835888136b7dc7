"""Reports by HL7 v2 over MLLP, each acknowledged after its commit; memory of a large one."""

import base64
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
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

_START: Final = b"\x0b"
_END: Final = b"\x1c\x0d"
_BLOCK: Final = 4096
_PDF_BYTES: Final = 440_000
_LARGE_BYTES: Final = 100 << 20
_WARM_UP: Final = 10
_WRITES: Final = 100
_CONNECTIONS: Final = 20
_PATIENCE_SECONDS: Final = 120

Send = Callable[[Iterator[bytes]], None]


def one_connection(deployment: Deployment) -> Sequence[Figure]:
    """Measure reports with a PDF on one connection, one after the other."""
    return _rate(deployment, 1, _PDF_BYTES)


def many_connections(deployment: Deployment) -> Sequence[Figure]:
    """Measure reports with a PDF on 20 connections at once."""
    return _rate(deployment, _CONNECTIONS, _PDF_BYTES)


def without_document(deployment: Deployment) -> Sequence[Figure]:
    """Measure orders, which have no document, on one connection."""
    return _rate(deployment, 1, 0)


def memory(deployment: Deployment) -> Sequence[Figure]:
    """Measure how much more memory the server has at most while it takes a document of 100 MB.

    It is a fresh server, which has taken a few small ones.
    """
    with _served(deployment.folder) as server, _connected(server) as send:
        for number in range(_WARM_UP):
            send(_message(number, _PDF_BYTES))
        pids = machine.family(server.process.pid)
        before = sum(map(machine.resident, pids))
        for pid in pids:
            machine.forget_peak(pid)
        send(_message(_WARM_UP, _LARGE_BYTES))
        peak = sum(map(machine.resident_peak, pids))
    return [Figure((peak - before) / (1 << 20), 0)]


def _rate(deployment: Deployment, connections: int, size: int) -> Sequence[Figure]:
    numbers = count()
    with (
        _served(deployment.folder) as server,
        ExitStack() as stack,
        ThreadPoolExecutor(connections) as pool,
    ):
        senders = [stack.enter_context(_connected(server)) for _ in range(connections)]
        for _ in range(_WARM_UP):
            senders[0](_message(next(numbers), size))
        processes = machine.family(server.process.pid)
        before, client = machine.cpu_seconds(processes), time.process_time()
        began = time.perf_counter()
        until = began + deployment.seconds

        def keep_sending(send: Send) -> list[float]:
            latencies: list[float] = []
            while (now := time.perf_counter()) < until:
                send(_message(next(numbers), size))
                latencies.append(time.perf_counter() - now)
            return latencies

        latencies = [one for found in pool.map(keep_sending, senders) for one in found]
        seconds = time.perf_counter() - began
        effort = Effort(
            p50=median(latencies),
            p95=quantiles(latencies, n=20)[-1],
            server=(machine.cpu_seconds(processes) - before) / len(latencies),
            client=(time.process_time() - client) / len(latencies),
        )
    written = max(size, len(b"".join(_message(0, 0))))
    yardstick = write_and_commit(deployment.folder, written, _WRITES, connections)
    return [Figure(len(latencies) / seconds, yardstick, effort)]


@contextmanager
def _served(folder: Path) -> Iterator[Server]:
    options = {"mllp_port": str(free_port()), "mllp_client_connections": "64"}
    with (
        tempfile.TemporaryDirectory(dir=folder) as data,
        serving(Path(data), options) as server,
    ):
        yield server


@contextmanager
def _connected(server: Server) -> Iterator[Send]:
    address = (server.host, int(server.options["mllp_port"]))
    with socket.create_connection(address, _PATIENCE_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send(blocks: Iterator[bytes]) -> None:
            connection.sendall(_START)
            for block in blocks:
                connection.sendall(block)
            connection.sendall(_END)
            answer = b""
            while not answer.endswith(_END):
                answer += connection.recv(_BLOCK)
            assert b"MSA|AA|" in answer, answer

        yield send


_FILLING: Final = base64.b64encode(os.urandom(3 << 16))


def _message(number: int, size: int) -> Iterator[bytes]:
    """Yield a report with a document of a size, or an order without one."""
    kind = "ORU^R01^ORU_R01" if size else "OML^O21^OML_O21"
    now = datatypes.now()
    yield (
        f"MSH|^~\\&|LAB|T25|XDS|SCR|{now}||{kind}|B{number}|P|2.5.1\r"
        "PID|1||9434765919^^^NHS^NH||Doe^Jane||19800229|F\r"
        f"ORC|NW|P{number}^LAB|T{number}^LAB\r"
        f"OBR|1|P{number}^LAB|T{number}^LAB|11502-2^Report^LN|||{now}"
        f"|||||||||||||||{now}|||F\r"
    ).encode()
    if not size:
        return
    yield b"OBX|1|ED|11502-2^Report^LN||^application^pdf^Base64^"
    start = b"%%PDF-1.4\n%% %012d\n" % number
    yield base64.b64encode(start.ljust(30, b" "))
    left = size * 4 // 3 - 80
    while left > 0:
        block = _FILLING[: min(left, len(_FILLING)) // 4 * 4]
        if not block:
            break
        yield block
        left -= len(block)
    yield base64.b64encode(b"\n%%EOF\n")
    yield b"||||||F\r"
