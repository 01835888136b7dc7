"""Clients that are slow, or stall: they are told so, cut off, and never have all threads."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving import Server, serving
from tests.soap.messages import (
    ITI18,
    ITI41,
    ITI43,
    SIMPLE,
    http_request,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
)
from tests.soap.refusal import assert_refused, unharmed
from tests.soap.wire import SUCCESS, Connection, Raw, connected, post, provide, receive, retrieve
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

RATE = 4096
AWAITED = 4
FEW = {"workers": "1", "threads": "2", "max_client_waits": str(AWAITED)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with two threads, and little patience."""
    options = {"wait_seconds": "2", "header_seconds": "1"}
    with serving(tmp_path_factory.mktemp("slow"), {**FEW, **options}, processes=1) as served:
        yield served


@pytest.fixture
def patient_server(tmp_path: Path) -> Iterator[Server]:
    """Serve with as few threads, and wait long enough for much to happen meanwhile."""
    with serving(tmp_path, {**FEW, "wait_seconds": "15"}, processes=1) as served:
        yield served


def begin(connection: Connection, path: str, length: int, content_type: str, sent: bytes) -> None:
    """Send the head of a request, and the beginning of its body."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
    connection.send(f"{head}Content-Length: {length}\r\n\r\n".encode() + sent)


def test_a_body_that_stalls_is_a_fault(server: Server) -> None:
    with unharmed(server), connected(server) as connection:
        begin(connection, ITI18.path, 5000, SIMPLE, new_case().find().encode()[:300])
        answer = receive(connection, ITI18, None)
    assert_refused(answer, "too slowly")


@pytest.mark.parametrize("size", [200_000, 3_000_000], ids=["in memory", "in a file"])
def test_a_document_that_stalls_is_a_fault_and_leaves_nothing(server: Server, size: int) -> None:
    body = multipart(root_part(new_case().provide()), part(bytes(size)))
    with unharmed(server), connected(server) as connection:
        begin(connection, ITI41.path, len(body), mtom_type(), body[: size - 50_000])
        raw = connection.receive()
    assert raw.status == 500
    assert b"The message came too slowly." in raw.body


def test_a_chunked_body_that_stalls_is_a_fault(server: Server) -> None:
    with unharmed(server), connected(server) as connection:
        head = f"Content-Type: {SIMPLE}\r\nTransfer-Encoding: chunked"
        connection.send(f"POST /registry HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n5\r\n<a>xx".encode())
        assert_refused(receive(connection, ITI18, None), "too slowly")


def test_a_fhir_body_that_stalls_is_an_outcome_408(server: Server) -> None:
    with unharmed(server), connected(server) as connection:
        begin(connection, "/fhir", 500, "application/fhir+json", b'{"resourceType":')
        raw = connection.receive()
    assert raw.status == 408
    [issue] = json.loads(raw.body)["issue"]
    assert (issue["code"], issue["diagnostics"]) == ("timeout", "the body came too slowly")


def test_a_trickle_ends_as_a_stall_does(server: Server) -> None:
    with unharmed(server), connected(server) as connection:
        begin(connection, ITI18.path, 100_000, SIMPLE, b"")
        connection.socket.settimeout(0.1)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            connection.send(b" ")
            try:
                connection.socket.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                continue
        connection.socket.settimeout(PATIENCE)
        assert_refused(receive(connection, ITI18, None), "too slowly")


def test_who_is_slow_but_not_too_slow_is_served(server: Server) -> None:
    """More time passes than ``wait_seconds``, which the bytes that come make up for."""
    message = http_request(
        ITI18.path, new_case().find().encode() + b" " * 40_000, f"Content-Type: {SIMPLE}"
    )
    with connected(server) as connection:
        for start in range(0, len(message), 4 * RATE):
            connection.send(message[start : start + 4 * RATE])
            time.sleep(0.8)
        assert connection.receive().status == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half a head"])
def test_a_head_that_does_not_come_ends_the_connection(server: Server, sent: bytes) -> None:
    with unharmed(server), connected(server) as connection:
        connection.send(sent)
        assert connection.read_line() == b""


def test_stalled_requests_of_one_client_are_refused_and_others_served(
    patient_server: Server,
) -> None:
    """Some of its requests are awaited, those beyond refused before; no thread waits for them."""
    server = patient_server
    with unharmed(server), ExitStack() as stack:
        connections = [Connection(server, "127.0.0.2") for _ in range(20)]
        for one in connections:
            stack.callback(one.socket.close)
            begin(one, ITI18.path, 5000, SIMPLE, b"<")
        refused = [answer_before_any(connections) for _ in connections[AWAITED:]]
        assert post(server, ITI18, new_case().find()).status == SUCCESS
        # while the others are awaited
        assert select.select([one.socket for one in connections], [], [], 0)[0] == []
        late = [one.receive() for one in connections]
    assert [answer.status for answer in refused] == [500] * len(refused)
    assert b"Too many messages wait for their senders" in refused[0].body
    assert [answer.status for answer in late] == [500] * AWAITED
    assert all(b"The message came too slowly." in answer.body for answer in late)


def answer_before_any(connections: list[Connection]) -> Raw:
    """Receive the answer that is there first, and leave its connection out from then on."""
    (first, *_), _, _ = select.select([one.socket for one in connections], [], [], PATIENCE)
    [connection] = [one for one in connections if one.socket is first]
    connections.remove(connection)
    return connection.receive()


@pytest.mark.parametrize("path", ["soap", "fhir"])
def test_answers_that_nobody_takes_leave_the_threads_free(server: Server, path: str) -> None:
    case = new_case()
    size = 40_000_000  # more than sockets hold
    provide(server, case, bytes(size))
    request = http_request(
        ITI43.path, multipart(root_part(case.retrieve())), f"Content-Type: {mtom_type()}"
    )
    if path == "fhir":
        found = f"/fhir/DocumentReference?patient.identifier=urn:oid:2.999.1.1|{case.patient}"
        with connected(server) as connection:
            connection.send(f"GET {found}&status=current HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            bundle = json.loads(connection.receive().body)
        url = bundle["entry"][0]["resource"]["content"][0]["attachment"]["url"]
        request = f"GET {url.removeprefix('http://x')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with ExitStack() as stack:
        taken = []
        for _ in range(6):
            one = stack.enter_context(connected(server))
            one.send(request)
            taken.append(one)
        assert len(retrieve(server, case)) == size
        until(lambda: server.log.read_text().count("a slow client was cut off") >= 6)
    assert post(server, ITI18, new_case().find()).status == SUCCESS
