"""The client of MLLP: answers in any pieces, and receivers that fail."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.waiting import PATIENCE
from xds.hl7v2.mllp import END, START
from xds.hl7v2.mllp_client import MllpAddress, MllpConnection, NoAnswer

Behaviour = Callable[[socket.socket], None]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mllp://lab.example:2575", MllpAddress("lab.example", 2575, has_tls=False)),
        ("mllps://192.0.2.7:2576/", MllpAddress("192.0.2.7", 2576, has_tls=True)),
        ("mllp://[2001:db8::1]:1", MllpAddress("2001:db8::1", 1, has_tls=False)),
    ],
)
def test_addresses(url: str, found: MllpAddress) -> None:
    assert MllpAddress.parse(url) == found


@pytest.mark.parametrize("url", ["mllp://a", "http://a:1", "mllp://a:99999", "mllp://a:1/x", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        MllpAddress.parse(url)


def test_messages_are_answered_in_turn() -> None:
    def answer_twice(peer: socket.socket) -> None:
        for number in (b"1", b"2"):
            received = _frame(peer)
            for byte in START + received + number + END:  # in pieces
                peer.sendall(bytes([byte]))

    with _receiver(answer_twice) as connection:
        assert connection.exchange([b"MSH|", b"a"]) == b"MSH|a1"
        assert connection.is_open
        assert connection.exchange([b"b" * 200_000]) == b"b" * 200_000 + b"2"


def test_an_answer_may_lack_the_end_of_its_line() -> None:
    def answer(peer: socket.socket) -> None:
        for _ in range(2):
            _frame(peer)
            peer.sendall(START + b"MSA" + END[:1])

    with _receiver(answer) as connection:
        assert connection.exchange([b"a"]) == b"MSA"
        assert connection.exchange([b"a"]) == b"MSA"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (lambda peer: _frame(peer) and None, "closed before the answer"),
        (lambda peer: peer.sendall(b"MSA|AA" + END), "no frame"),
        (
            lambda peer: (_frame(peer), peer.sendall(START + b"MSA"), peer.recv(1)),
            "no answer within",
        ),
    ],
    ids=["closes", "no frame", "half a frame"],
)
def test_a_receiver_that_does_not_answer(behaviour: Behaviour, reason: str) -> None:
    seconds = 0.5 if reason == "no answer within" else PATIENCE
    with _receiver(behaviour, seconds) as connection, pytest.raises(NoAnswer, match=reason):
        connection.exchange([b"MSH|"])


def test_a_connection_that_was_closed_or_has_a_stale_answer_is_not_open() -> None:
    sent = threading.Event()

    def too_much(peer: socket.socket) -> None:
        _frame(peer)
        peer.sendall((START + b"one" + END) + (START + b"two" + END))
        sent.set()

    with _receiver(too_much) as connection:
        assert connection.exchange([b"a"]) == b"one"
        assert sent.wait(PATIENCE)
        assert not connection.is_open


@contextmanager
def _receiver(behaviour: Behaviour, answer_seconds: float = PATIENCE) -> Iterator[MllpConnection]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, suppress(OSError):
                behaviour(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = MllpAddress("127.0.0.1", port, has_tls=False)
        connection = MllpConnection(address, None, answer_seconds=answer_seconds)
        try:
            yield connection
        finally:
            connection.close()
            thread.join(PATIENCE)


def _frame(peer: socket.socket) -> bytes:
    data = b""
    while not data.endswith(END):
        data += peer.recv(65536)
    return data[1 : -len(END)]
