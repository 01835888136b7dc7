"""What a verification has found, for a while: consumers send one assertion with many requests."""

import time
from collections import OrderedDict
from threading import Lock
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_MOST: Final = 4_096
_SECONDS: Final = 300.0


class Remembered(Generic[T]):
    """Findings by a digest of all that was verified, the latest few thousand, in each process.

    They are forgotten after five minutes, so that a key which is trusted no longer, or has expired,
    is found out by then. Whatever depends on the time or on the request is asked each time.
    """

    def __init__(self, most: int = _MOST, seconds: float = _SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._found: OrderedDict[bytes, tuple[float, T]] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: bytes) -> T | None:
        """Return what was found, if that is not too long ago."""
        with self._lock:
            since, found = self._found.get(digest, (0.0, None))
            if found is None or time.monotonic() - since > self._seconds:
                self._found.pop(digest, None)
                return None
            self._found.move_to_end(digest)
            return found

    def put(self, digest: bytes, found: T) -> None:
        """Remember a finding; never a refusal, which anyone could fill the memory with."""
        with self._lock:
            self._found[digest] = time.monotonic(), found
            if len(self._found) > self._most:
                self._found.popitem(last=False)
