"""The server: its start, its end, and what becomes of requests under way in between.

Each test starts a real server in a process group of its own, with a small application.
"""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.servers.forks import forked
from tests.small_server import SLOW
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parent.parent
DIED = "a worker has died and is started again"


class Served:
    """A server in a process of its own."""

    def __init__(self, *options: str) -> None:
        told, output = os.pipe()
        self.process = forked("tests.small_server", options, os.environ, output, own_session=True)
        os.close(output)
        self._lines = open(told)  # noqa: SIM115
        self._passed: list[dict[str, Any]] = []

    def told(self) -> str:
        """Wait for its end, and give all that it has said."""
        with self._lines:
            told = self._lines.read()
        self.process.wait(PATIENCE)
        return told

    def logged(self, event: str) -> dict[str, Any]:
        """Return the next entry of that event, once it is logged."""
        for entry in self._passed:
            if entry["event"] == event:
                self._passed.remove(entry)
                return entry
        for line in self._lines:
            read: dict[str, Any] = json.loads(line)
            if read["event"] == event:
                return read
            self._passed.append(read)
        raise AssertionError(f"{event} was not logged")

    def wait_until_ready(self) -> None:
        """Wait until it serves, and learn its address."""
        address = urlsplit(self.logged("ready")["url"])
        assert address.hostname
        assert address.port
        self.address = (address.hostname, address.port)

    def get(self, path: str, body: Any = None) -> bytes:
        """Send a request and give the body of the answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request("POST", path, body, encode_chunked=body is not None)
            return connection.getresponse().read()
        finally:
            connection.close()

    def slow_answer(self) -> Callable[[], bytes]:
        """Send a request that takes a while, and give what waits for its answer once it began."""
        answers: list[bytes] = []
        thread = threading.Thread(target=lambda: answers.append(self.get("/slow")))
        thread.start()
        self.logged(SLOW)

        def wait() -> bytes:
            thread.join(PATIENCE)
            (answer,) = answers
            return answer

        return wait


@contextmanager
def serving(*options: str) -> Iterator[Served]:
    served = Served("port=0", "log_format=json", *options)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait()
        served._lines.close()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        served.wait_until_ready()
        yield served


def test_sigterm_lets_what_is_under_way_end_and_idle_connections_go(served: Served) -> None:
    answer = served.slow_answer()
    idle = http.client.HTTPConnection(*served.address, timeout=PATIENCE)
    with closing(idle):
        # one that has been answered is a worker's; another may wait to be taken, and is reset
        idle.request("GET", "/process")
        assert idle.getresponse().read()
        served.process.terminate()
        assert answer() == b"slow"
        assert idle.sock.recv(1) == b""
    assert served.process.wait(PATIENCE) == 0


def test_signals_for_the_whole_group_do_no_harm(served: Served) -> None:
    answer = served.slow_answer()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
        os.killpg(served.process.pid, number)
    assert answer() == b"slow"
    assert served.process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_while_connections_wait() -> None:
    with serving("workers=1") as served:
        served.wait_until_ready()
        assert served.get("/length", iter([b"x" * 70000, b"y"])) == b"70001"
        first = served.get("/process")
        with pytest.raises(http.client.RemoteDisconnected):
            served.get("/die")
        assert served.get("/process") not in (first, b"")


@pytest.mark.slow
def test_deaths_within_seconds_do_not_end_the_server() -> None:
    with serving("workers=1") as served:
        served.wait_until_ready()
        for _ in range(3):
            with pytest.raises(http.client.RemoteDisconnected):
                served.get("/die")
        assert served.get("/process")
        assert [served.logged(DIED)["exit_code"] for _ in range(3)] == [9] * 3
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_a_worker_whose_memory_grows_is_replaced_and_nobody_is_cut_off() -> None:
    with serving("workers=1", "max_worker_bytes=150MiB") as served:
        served.wait_until_ready()
        before = served.get("/process")
        time.sleep(6)  # it is known how large the worker was at first
        kept = http.client.HTTPConnection(*served.address, timeout=PATIENCE)
        kept.request("POST", "/grow")
        assert kept.getresponse().read() == b""
        answer = served.slow_answer()
        assert served.logged("a worker is replaced: its memory has grown")["worker"] == 1
        assert answer() == b"slow"
        while served.get("/process") == before:
            time.sleep(0.2)
        kept.request("POST", "/process")
        last = kept.getresponse()
        assert (last.read(), last.getheader("Connection")) == (before, "close")


def test_an_answer_without_a_length_comes_whole_as_it_is_taken(served: Served) -> None:
    connection = http.client.HTTPConnection(*served.address, timeout=PATIENCE)
    connection.request("POST", "/large")
    response = connection.getresponse()
    time.sleep(0.5)
    assert response.read() == b"".join(bytes([number]) * 65536 for number in range(100))
    connection.request("HEAD", "/large")
    assert connection.getresponse().read() == b""
    connection.close()


def test_workers_leave_with_their_supervisor_after_what_is_under_way(served: Served) -> None:
    answer = served.slow_answer()
    served.process.kill()
    assert answer() == b"slow"

    def is_gone() -> bool:
        try:
            socket.create_connection(served.address).close()
        except ConnectionRefusedError:
            return True
        return False

    until(is_gone)


@pytest.mark.slow
def test_a_request_that_takes_too_long_is_cut_off() -> None:
    with serving("grace_seconds=1") as served:
        served.wait_until_ready()
        with socket.create_connection(served.address) as stuck:
            stuck.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            time.sleep(0.3)
            served.process.terminate()
            assert served.process.wait(PATIENCE) == 0


def test_a_port_in_use_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = Served(f"port={port}")
        told = refused.told()
    assert refused.process.wait() == 1
    assert told == (
        f"cannot listen at port {port} of 127.0.0.1: another program listens there already\n"
    )


@pytest.mark.parametrize(
    ("authority", "event", "reason"),
    [
        ("1.2.3", "the application cannot start", "no database"),
        ("1.2.4", "stopping", "no round trip at port True"),
    ],
)
def test_a_failing_start_stops_the_server_with_its_reason(
    authority: str, event: str, reason: str
) -> None:
    with serving("workers=2", f"assigning_authority={authority}") as served:
        assert served.logged(event)["reason"] == reason
        assert served.process.wait(PATIENCE) == 1
