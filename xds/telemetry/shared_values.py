"""The values of the library for Prometheus, which the processes of a server share in files.

They are added to without the library's looks at each call whether they may be: it is asked once,
when they are looked up by their labels. ``tests/test_outcomes.py`` tries what this relies on.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Read by the library when it is first imported, which is therefore done late."""


def adder(counter: Any) -> Callable[[float], None]:
    """Return what adds to a counter of the library."""
    add: Callable[[float], None] = counter._value.inc
    return add


class Durations:
    """Adds to a histogram of the library."""

    def __init__(self, histogram: Any) -> None:
        self._add_seconds: Callable[[float], None] = histogram._sum.inc
        self._bounds: Sequence[float] = histogram._upper_bounds
        self._add_to: list[Callable[[int], None]] = [one.inc for one in histogram._buckets]

    def add(self, seconds: float) -> None:
        """Count one; how many there are in all is the sum of the buckets."""
        self._add_seconds(seconds)
        self._add_to[bisect_left(self._bounds, seconds)](1)


def forget_ended() -> None:
    """Forget what processes had at the moment that have ended; what they counted stays."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return
    from prometheus_client.multiprocess import mark_process_dead

    for path in Path(folder).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, folder)
