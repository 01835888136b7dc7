"""Connections spread over the workers of a server.

Clients keep their connections, and a worker has them for as long as they last; were all workers at
one socket, one of them would take most. So each worker listens at a socket of its own, all of one
address (SO_REUSEPORT), and new connections are dealt out among those with the fewest
(SO_ATTACH_REUSEPORT_CBPF, Linux). A worker that has more than its share of the connections with
many requests ends some of them with their next answer: their clients connect again, elsewhere.

Where the system has no such option the workers share one socket.
"""

import ctypes
import math
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.sharedctypes import RawArray
from typing import Any, Final

_ATTACH: Final = getattr(socket, "SO_ATTACH_REUSEPORT_CBPF", 51)
CAN_SPREAD: Final = hasattr(socket, "SO_REUSEPORT") and hasattr(socket, "SO_INCOMING_CPU")
"""Whether several sockets may listen at one address and be dealt connections: on Linux."""

LOOKS_A_PERIOD: Final = 2
_BUSY: Final = 4
"""The requests of a period from which on a connection counts as busy."""
_KEPT_PERIODS: Final = 20
"""For how long a connection counts as one of the worker after its last request."""
_ABSENT: Final = -1
_SLACK: Final = 2
_LONGEST: Final = 200
"""The most that a program's list of sockets has; it may have 4,096 instructions, and needs two
for each."""

# Of classic BPF: what reads the source port of the packet that opens a connection.
_NETWORK_HEADER: Final = 0xFFF00000
_LOAD_BYTE, _LOAD_HALF, _SHIFT, _MODULO, _RETURN = 0x30, 0x28, 0x74, 0x94, 0x06
_IF_EQUAL, _JUMP = 0x15, 0x05
_VERSION_6, _HEADER_4, _HEADER_6 = 6, 20, 40


class ConnectionCounts:
    """How many connections each worker has, in memory that all processes of a server share."""

    def __init__(self, count: int) -> None:
        """Begin with workers that are not there yet."""
        self.count = count
        self.kept: Any = RawArray("i", [_ABSENT] * count)
        self.busy: Any = RawArray("i", count)

    def left(self, number: int) -> None:
        """Note that there is no worker in a place."""
        self.kept[number], self.busy[number] = _ABSENT, 0

    def there(self) -> list[int]:
        """Return the places that have a worker."""
        return [number for number in range(self.count) if self.kept[number] != _ABSENT]

    def dealt(self) -> list[int]:
        """Return places by turns, in which those with few connections come more often."""
        there = self.there()
        if not there:
            return []
        most = math.ceil(sum(self.kept[number] for number in there) / len(there)) + _SLACK
        wanted = {number: max(most - self.kept[number], 0) for number in there}
        turns = range(max(1, min(max(wanted.values()), _LONGEST // len(there))))
        return [number for turn in turns for number in there if wanted[number] > turn] or there

    def excess(self, number: int) -> int:
        """Return how many more busy connections a worker has than its share."""
        there = self.there()
        share = math.ceil(sum(self.busy[one] for one in there) / max(len(there), 1))
        return int(max(self.busy[number] - share, 0))


def deal(listening: socket.socket, dealt: Sequence[int]) -> None:
    """Deal new connections to the sockets of an address, by their numbers, in turns.

    Any of the sockets may be given. The turn is found by the source port of the connection.
    """
    program = [
        (_LOAD_BYTE, 0, 0, _NETWORK_HEADER),
        (_SHIFT, 0, 0, 4),
        (_IF_EQUAL, 0, 2, _VERSION_6),
        (_LOAD_HALF, 0, 0, _NETWORK_HEADER + _HEADER_6),
        (_JUMP, 0, 0, 1),
        (_LOAD_HALF, 0, 0, _NETWORK_HEADER + _HEADER_4),
        (_SHIFT, 0, 0, 1),  # Linux gives the ports of one parity to connections
        (_MODULO, 0, 0, len(dealt)),
    ]
    for turn, number in enumerate(dealt):
        program += [(_IF_EQUAL, 0, 1, turn), (_RETURN, 0, 0, number)]
    program.append((_RETURN, 0, 0, dealt[0]))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    told = struct.pack("HP", len(program), ctypes.addressof(buffer))
    with suppress(OSError):  # without it the system deals them at random
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH, told)


class Share:
    """One worker's share of the connections."""

    def __init__(self, places: ConnectionCounts, number: int, listening: socket.socket) -> None:
        """Take a place."""
        self._places = places
        self._number = number
        self._listening = listening
        self._requests: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._ending: set[str] = set()
        self._looks = 0
        self._had_excess = False
        self._dealt: list[int] = []
        self.has_left = False
        """Whether another worker has taken the place."""
        places.kept[number] = places.busy[number] = 0

    def ends(self, client: str) -> bool:
        """Count a request of a client's address and port; tell if its connection is to end."""
        self._requests[client] = self._requests.get(client, 0) + 1
        if client not in self._ending:
            return False
        self._ending.discard(client)
        return True

    def look(self) -> None:
        """Compare with the others; to be called every quarter of a second."""
        self._looks += 1
        if self.has_left or self._looks % LOOKS_A_PERIOD:
            return
        requests, self._requests = self._requests, {}
        self._count(requests)
        excess = self._places.excess(self._number)
        self._ending = set()
        if excess and self._had_excess:
            self._ending = set(sorted(requests, key=requests.__getitem__)[-excess:])
        self._had_excess = excess > 0
        if self._places.there()[:1] == [self._number]:
            self._deal()

    def _count(self, requests: dict[str, int]) -> None:
        period = self._looks // LOOKS_A_PERIOD
        self._last.update(dict.fromkeys(requests, period))
        oldest = period - _KEPT_PERIODS
        self._last = {client: one for client, one in self._last.items() if one > oldest}
        self._places.kept[self._number] = len(self._last)
        self._places.busy[self._number] = sum(one >= _BUSY for one in requests.values())

    def _deal(self) -> None:
        dealt = self._places.dealt()
        if dealt != self._dealt:
            self._dealt = dealt
            deal(self._listening, dealt)
