"""MLLP: frames in any pieces, noise, limits, and a clean end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hl7v2.wire import END, START, Sender, connected
from tests.waiting import PATIENCE
from xds.hl7v2 import mllp
from xds.hl7v2.mllp import Decoder, Intolerable, MllpLimits

SMALL = MllpLimits(message_bytes=100, discarded_bytes=400, noise_bytes=20, connections=3)
HASTY = replace(SMALL, message_seconds=0.3)
RESTLESS = replace(SMALL, idle_seconds=0.5)

content = st.binary(max_size=30).filter(lambda data: not {0x0B, 0x1C} & set(data))
noise = st.binary(max_size=3).filter(lambda data: 0x0B not in data)


def fed(decoder: Decoder, stream: bytes) -> list[bytes]:
    """Return the messages that some bytes complete."""
    return [message.skeleton for message in decoder.feed(stream)]


@given(st.lists(st.tuples(noise, content), max_size=6), st.lists(st.integers(1, 9)))
def test_messages_come_out_however_the_stream_was_cut(
    sent: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(before + START + message + END for before, message in sent)
    decoder = Decoder(MllpLimits())
    found: list[bytes] = []
    for size in cuts:
        found.extend(fed(decoder, stream[:size]))
        stream = stream[size:]
    found.extend(fed(decoder, stream))
    assert found == [message for _, message in sent]
    assert not decoder.inside


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (START + b"a" + START + b"b" + END, [b"b"]),
        (START + b"a\x1cb" + END, [b"a"]),
        (START + b"a\x1c\n" + START + b"b" + END, [b"a", b"b"]),
        (START + b"a\x1c" + START + b"b" + END, [b"a", b"b"]),
        (START + END, [b""]),
        (b"GET / HTTP/1.1\r\n", []),
        (START + b"cut off", []),
        (END + START + b"a" + END + END, [b"a"]),
    ],
    ids=["begun anew", "0x1C", "0x0A", "no 0x0D", "empty", "no frame", "half", "stray ends"],
)
def test_odd_frames(stream: bytes, messages: list[bytes]) -> None:
    assert fed(Decoder(MllpLimits()), stream) == messages
    byte_by_byte = Decoder(MllpLimits())
    found = [m for i in range(len(stream)) for m in fed(byte_by_byte, stream[i : i + 1])]
    assert found == messages


@pytest.mark.parametrize(
    "stream",
    [START + b"x" * 401, START + b"x" * 401 + END, b"x" * 21, b"x" * 21 + START],
    ids=["endless", "large", "noise", "noise before a message"],
)
def test_what_is_beyond_a_limit_is_refused(stream: bytes) -> None:
    with pytest.raises(Intolerable):
        list(Decoder(SMALL).feed(stream))


def test_what_is_at_a_limit_is_not() -> None:
    stream = b"y" * 20 + START + b"x" * 100 + END
    assert fed(Decoder(SMALL), stream * 3) == [b"x" * 100] * 3


def test_what_is_too_large_is_read_to_its_end() -> None:
    stream = START + b"x" * 300 + END + START + b"y" + END
    large, small = Decoder(SMALL).feed(stream)
    assert (large.size, large.exceeded, small.exceeded) == (
        300,
        "a message of this kind has 100 bytes at most",
        "",
    )


# --- the server ----------------------------------------------------------------------------------

Echo = Callable[[bytes], bytes]


@contextmanager
def served(
    answer: Echo = lambda message: message[::-1], limits: MllpLimits = SMALL
) -> Iterator[tuple[mllp.Server, int]]:
    """Serve in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = mllp.Server(listening, lambda one, _node: [answer(one.skeleton)], limits)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server, listening.getsockname()[1]
        finally:
            server.stop()
            thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def port() -> Iterator[int]:
    with served() as (_, port):
        yield port


def test_a_connection_carries_many_messages_in_order(port: int) -> None:
    with connected(port) as sender:
        for number in range(50):
            sender.post(f"one {number}".encode())
            assert sender.read() == f"one {number}".encode()[::-1]
        sender.post(*(f"all {number}".encode() for number in range(200)))
        for number in range(200):
            assert sender.read() == f"all {number}".encode()[::-1]


def test_a_message_may_arrive_in_pieces(port: int) -> None:
    with connected(port) as sender:
        for piece in (START, b"a", b"b\x1c", b"\x0d" + START + b"c", END):
            sender.send(piece)
            time.sleep(0.05)
        assert (sender.read(), sender.read()) == (b"ba", b"c")


def test_half_a_message_is_not_answered(port: int) -> None:
    with connected(port) as sender:
        sender.send(START + b"half")
        sender.socket.shutdown(socket.SHUT_WR)
        assert sender.read() == b""
    with connected(port) as another:
        another.post(b"ab")
        assert another.read() == b"ba"


@pytest.mark.parametrize(
    ("sent", "limits"),
    [
        (START + b"half", HASTY),
        (START + b"ab" + END + START + b"half", HASTY),
        (b"", RESTLESS),
        (START + b"ab" + END, RESTLESS),
        (b"noise", RESTLESS),
    ],
    ids=["half a message", "half a message after one", "nothing", "no more", "noise"],
)
def test_silence_ends_a_connection(sent: bytes, limits: MllpLimits) -> None:
    with served(limits=limits) as (_, port):
        began = time.monotonic()
        with connected(port) as sender:
            sender.send(sent)
            while sender.read():
                pass
        assert time.monotonic() - began > 0.25


def test_a_message_that_drips_in_is_given_up() -> None:
    with served(limits=HASTY) as (_, port), connected(port) as sender:
        began = time.monotonic()
        sender.send(START)
        with suppress(ConnectionError):
            while time.monotonic() < began + PATIENCE:
                sender.send(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < PATIENCE


def test_what_is_too_large_ends_its_connection_only(port: int) -> None:
    with connected(port) as good, connected(port) as large:
        large.send(START + b"x" * 500)
        assert large.read() == b""
        good.post(b"ab")
        assert good.read() == b"ba"


def test_more_connections_than_allowed_wait_their_turn(port: int) -> None:
    senders = [Sender(port) for _ in range(4)]
    try:
        for sender in senders:
            sender.post(b"ab")
        for sender in senders[:3]:
            assert sender.read() == b"ba"
        senders[3].socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            senders[3].socket.recv(1)
        senders[0].socket.shutdown(socket.SHUT_RDWR)
        senders[3].socket.settimeout(PATIENCE)
        assert senders[3].socket.recv(9) == START + b"ba" + END
    finally:
        for sender in senders:
            sender._reader.close()
            sender.socket.close()


def test_a_stop_lets_the_message_under_way_be_answered() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(message: bytes) -> bytes:
        if message == b"slow":
            begun.set()
            go_on.wait(PATIENCE)
        return message

    with served(slow) as (server, port), connected(port) as busy, connected(port) as idle:
        idle.post(b"quick")
        assert idle.read() == b"quick"
        busy.post(b"slow")
        assert begun.wait(PATIENCE)
        server.stop()
        assert idle.read() == b""
        go_on.set()
        assert busy.read() == b"slow"
        assert busy.read() == b""


def test_another_process_may_go_on_listening_after_a_stop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for _ in range(2):
            server = mllp.Server(listening, lambda one, _node: [one.skeleton], SMALL)
            thread = threading.Thread(target=server.serve)
            thread.start()
            with connected(port) as sender:
                sender.post(b"a")
                assert sender.read() == b"a"
            server.stop()
            thread.join(PATIENCE)
