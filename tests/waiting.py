"""Waiting for what happens elsewhere: for as long as a busy machine may take for it."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 120.0
"""Seconds after which something is taken for stuck; far beyond what anything takes that is not."""


def until(look: Callable[[], T], fits: Callable[[T], object] = bool, *, pause: float = 0.02) -> T:
    """Return what is seen once it fits: once it is true, where nothing else is said.

    ``pause`` are the seconds between two looks. AssertionError, with what was seen last, when it
    does not fit after PATIENCE.
    """
    end = time.monotonic() + PATIENCE
    while not fits(seen := look()):
        assert time.monotonic() < end, seen
        time.sleep(pause)
    return seen


def until_none_left(count: Callable[[], int], *, pause: float = 0.02) -> None:
    """Wait until nothing is left, however much it is.

    AssertionError, with the number, when it has not become less for PATIENCE.
    """
    least = left = count()
    end = time.monotonic() + PATIENCE
    while left:
        assert time.monotonic() < end, left
        time.sleep(pause)
        left = count()
        if left < least:
            least, end = left, time.monotonic() + PATIENCE
