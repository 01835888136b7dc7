"""The threads of a worker: who does a job that is brought, and who does it otherwise."""

import queue
import threading

import pytest

from tests.waiting import PATIENCE
from xds.http.threads import Threads

Seen = queue.SimpleQueue[threading.Thread]


@pytest.fixture
def seen() -> Seen:
    """Give where jobs note their threads."""
    return queue.SimpleQueue()


def _noting(seen: Seen) -> None:
    seen.put(threading.current_thread())


def test_a_job_that_is_brought_is_done_by_who_brings_it(seen: Seen) -> None:
    Threads(2).run(lambda: _noting(seen))
    assert seen.get(timeout=PATIENCE) is threading.current_thread()


def test_one_at_a_time_does_what_it_brings(seen: Seen) -> None:
    threads = Threads(2)
    found: list[threading.Thread] = []

    def job() -> None:
        threads.run(lambda: _noting(seen))
        found.append(seen.get(timeout=PATIENCE))

    threads.run(job)
    assert found[0] is not threading.current_thread()


def test_one_thread_alone_does_all_jobs(seen: Seen) -> None:
    threads = Threads(1)
    threads.run(lambda: _noting(seen))
    threads.put(lambda: _noting(seen))
    first, second = (seen.get(timeout=PATIENCE) for _ in range(2))
    assert first is second is not threading.current_thread()


def test_jobs_are_done_at_once_and_those_that_wait_by_whoever_is_free_first(seen: Seen) -> None:
    threads = Threads(2)
    here, there = threading.Event(), threading.Event()

    def wait() -> None:
        there.set()
        here.wait(PATIENCE)

    threads.put(wait)
    assert there.wait(PATIENCE)  # the other thread is busy now
    threads.run(lambda: threads.put(lambda: _noting(seen)))
    assert seen.get(timeout=PATIENCE) is threading.current_thread()
    here.set()


@pytest.mark.parametrize("count", [1, 2])
def test_a_job_that_fails_does_not_end_its_thread(seen: Seen, count: int) -> None:
    threads = Threads(count)
    for give in (threads.put, threads.run):
        give(lambda: 1 / 0)  # type: ignore[arg-type]
        give(lambda: _noting(seen))
        seen.get(timeout=PATIENCE)
