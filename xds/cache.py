"""The latest values by what they were made of, in one process."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _one(_: object) -> int:
    return 1


class Cache(Generic[K, V]):
    """Values by keys, those that were used least lately going first; safe for many threads.

    ``most`` bounds the sum of their sizes: how many there are, unless ``size`` says how large one
    is. After ``seconds`` a value is forgotten, however often it is used.
    """

    def __init__(
        self, most: int, *, size: Callable[[V], int] = _one, seconds: float = math.inf
    ) -> None:
        self._room = most
        self._size = size
        self._seconds = seconds
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """Return the value of a key, None where there is none any more."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            since, value = found
            if time.monotonic() - since > self._seconds:
                self._forget(key)
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, in place of one of the same key."""
        with self._lock:
            if key in self._values:
                self._forget(key)
            self._values[key] = time.monotonic(), value
            self._room -= self._size(value)
            while self._room < 0:
                self._forget(next(iter(self._values)))

    def _forget(self, key: K) -> None:
        _, value = self._values.pop(key)
        self._room += self._size(value)
