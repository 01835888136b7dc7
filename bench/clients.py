"""Client processes that stay for the whole run, and put load on a server when told to."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Final, TypeVar

T = TypeVar("T")

Call = Callable[[], tuple[int, int]]
"""One request and its answer: the bytes of both. Raises where the answer is not as expected."""
Prepare = Callable[[int], Call]
"""Makes ready what a client needs, given the client's number."""
Work = Callable[[int], T]
"""What one client is to do, given its number."""

_WAIT_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Load:
    """What one client has done."""

    latencies: list[float]
    seconds: float
    cpu_seconds: float
    sent: int
    """Bytes of all requests."""
    received: int
    """Bytes of all answers."""


class Clients:
    """Processes of this machine, not threads: they share no interpreter lock."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections

    def __len__(self) -> int:
        return len(self._connections)

    def run(self, work: Work[T], count: int | None = None) -> list[T]:
        """Have the first `count` clients, or all, do the same work; give what each returned."""
        self.start(work, count)
        return self.results(count)

    def start(self, work: Work[T], count: int | None = None) -> None:
        """Set clients to work."""
        for connection in self._connections[:count]:
            connection.send(work)

    def results(self, count: int | None = None) -> list[Any]:
        """Wait until the clients that were started have done their work."""
        answers = [connection.recv() for connection in self._connections[:count]]
        for answer in answers:
            if isinstance(answer, _Failure):
                raise ClientFailure(answer.text)
        return answers


class ClientFailure(Exception):
    """A client met an answer that it did not expect, or none."""


@dataclass(frozen=True, slots=True)
class _Failure:
    text: str


@contextmanager
def clients(count: int) -> Iterator[Clients]:
    """Start client processes, and end them with the block."""
    context = multiprocessing.get_context("spawn")
    pairs = [_start(context, number) for number in range(count)]
    try:
        yield Clients([connection for _, connection in pairs])
    finally:
        for process, connection in pairs:
            connection.close()
            process.join(_WAIT_SECONDS)


def _start(context: SpawnContext, number: int) -> tuple[BaseProcess, Connection]:
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(number, there), daemon=True)
    process.start()
    there.close()
    return process, here


def _serve(number: int, connection: Connection) -> None:
    while True:
        try:
            work = connection.recv()
        except EOFError:
            return
        try:
            connection.send(work(number))
        except Exception:
            connection.send(_Failure(f"client {number}: {traceback.format_exc()}"))


@dataclass(frozen=True, slots=True)
class Hammer:
    """The work of calling as often as possible."""

    prepare: Prepare
    seconds: float
    most: int | None = None
    """Calls after which it ends, if the time is not over before."""

    def __call__(self, number: int) -> Load:
        """Call until the time is over, and say how it went."""
        call = self.prepare(number)
        latencies: list[float] = []
        sent = received = 0
        cpu = time.process_time()
        began = now = time.perf_counter()
        while now < began + self.seconds and len(latencies) != self.most:
            request, answer = call()
            before, now = now, time.perf_counter()
            latencies.append(now - before)
            sent += request
            received += answer
        return Load(latencies, now - began, time.process_time() - cpu, sent, received)
