"""Connections are spread over workers: what is counted, who is dealt what, and what it leads to."""

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.test_server import serving
from tests.waiting import PATIENCE, until
from xds.http.spreading import CAN_SPREAD, LOOKS_A_PERIOD, ConnectionCounts, Share


def places(kept: Sequence[int], busy: Sequence[int] = ()) -> ConnectionCounts:
    made = ConnectionCounts(len(kept))
    for number, count in enumerate(kept):
        made.kept[number] = count
    for number, count in enumerate(busy):
        made.busy[number] = count
    return made


@pytest.mark.parametrize(
    ("kept", "turns"),
    [
        ((0, 0, 0), (1, 1, 1)),
        ((4, 0, 0, 0), (0, 1, 1, 1)),
        ((10, 10, 10, 9), (2, 2, 2, 3)),
        ((-1, 5, 5), (0, 1, 1)),
        ((0, 4000), (200, 0)),
    ],
)
def test_who_has_few_connections_gets_more(kept: Sequence[int], turns: Sequence[int]) -> None:
    dealt = Counter(places(kept).dealt())
    shares = [dealt[number] for number in range(len(kept))]
    assert all((share > 0) == (turn > 0) for share, turn in zip(shares, turns, strict=True))
    ordered = sorted(range(len(kept)), key=lambda number: turns[number])
    assert [shares[number] for number in ordered] == sorted(shares)
    assert len(places(kept).dealt()) <= 400


def test_nobody_is_dealt_to_where_no_worker_is() -> None:
    assert places((-1, -1)).dealt() == []


def test_the_busiest_of_too_many_connections_ends_and_no_other() -> None:
    shared = ConnectionCounts(2)
    with socket.socket() as unbound:
        one, _ = (Share(shared, number, unbound) for number in range(2))
        ended = []
        for _ in range(3 * LOOKS_A_PERIOD):
            for client, requests in {"a": 1, "b": 4, "c": 5, "d": 9}.items():
                ended += [client for _ in range(requests) if one.ends(client)]
            one.look()
    assert (shared.kept[0], shared.busy[0]) == (4, 3)
    assert ended == ["d"]


def test_a_connection_ends_for_busy_ones_alone() -> None:
    shared = ConnectionCounts(2)
    with socket.socket() as unbound:
        one, _ = (Share(shared, number, unbound) for number in range(2))
        for _ in range(4 * LOOKS_A_PERIOD):
            assert not any(one.ends(client) for client in "abcd")
            one.look()


@contextmanager
def asking(address: tuple[str, int], count: int) -> Iterator[dict[int, bytes]]:
    """Ask on so many connections without pause; give the process that answers at each now."""
    answering: dict[int, bytes] = {}
    over = threading.Event()

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
        while not over.is_set():
            connection.request("GET", "/process")
            answering[number] = connection.getresponse().read()
            time.sleep(0.01)
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answering
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(not CAN_SPREAD, reason="this system has no SO_ATTACH_REUSEPORT_CBPF")
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.slow)])
def test_connections_without_pause_are_spread_evenly(host: str) -> None:
    with serving("workers=4", f"host={host}") as served:
        served.wait_until_ready()
        with asking(served.address, 8) as answering:
            until(
                lambda: Counter(answering.values()),
                lambda found: sorted(found.values()) == [2, 2, 2, 2],
            )


@pytest.mark.slow
def test_an_address_in_use_is_not_shared_with_another_server() -> None:
    with serving("workers=2") as served:
        served.wait_until_ready()
        with serving("workers=2", f"port={served.address[1]}") as other:
            assert other.process.wait(PATIENCE) != 0
