"""The threads of a worker: each is replaced once it has parsed much."""

import queue
import threading

from tests.waiting import PATIENCE
from xds.http.threads import Threads
from xds.parsing import parse


def test_a_thread_that_has_parsed_much_is_replaced() -> None:
    threads = Threads(1)
    seen: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()

    def look() -> None:
        seen.put(threading.current_thread())

    for job in (look, look, lambda: parse(b"<a>" + b" " * (1 << 20) + b"</a>") and None, look):
        threads.put(job)
    first, second, after = (seen.get(timeout=PATIENCE) for _ in range(3))
    assert first is second
    assert after is not first
    first.join(PATIENCE)
    assert not first.is_alive()


def test_a_job_that_fails_does_not_end_its_thread() -> None:
    threads = Threads(1)
    seen: queue.SimpleQueue[bool] = queue.SimpleQueue()
    threads.put(lambda: 1 / 0)  # type: ignore[arg-type]
    threads.put(lambda: seen.put(True))
    assert seen.get(timeout=PATIENCE)
