"""The threads that do the work of a worker.

A request is best answered by the thread that brings it: to hand it on costs two changes of threads,
and the other one finds nothing in its processor's cache. But one thread has to be free to bring the
next. So one of Granian's threads at a time may work, and others hand on what they bring.
"""

import queue
import threading
from collections.abc import Callable

from xds import logs, parsing

_log = logs.get_logger(__name__)

Job = Callable[[], None]


class Threads:
    """So many threads, and the jobs that wait for one."""

    def __init__(self, count: int) -> None:
        """Have ``count`` jobs done at once; from two on, one of them by who brings it."""
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lent = threading.Lock()
        """Held by the thread that does what it has brought."""
        if count == 1:
            self._lent.acquire()
        for _ in range(max(count - 1, 1)):
            threading.Thread(target=self._work, name="work", daemon=True).start()

    def put(self, job: Job) -> None:
        """Have a thread do a job, in the order of their coming."""
        self._jobs.put(job)

    def run(self, job: Job) -> None:
        """Do a job in this thread, if none waits and no other does so; else as ``put``.

        Jobs that have come to wait meanwhile are done as well.
        """
        if not self._jobs.empty() or not self._lent.acquire(blocking=False):
            self._jobs.put(job)
            return
        try:
            _do(job)
            del job
            while not self._jobs.empty():
                try:
                    waiting = self._jobs.get_nowait()
                except queue.Empty:
                    break
                _do(waiting)
                del waiting
        finally:
            self._lent.release()

    def _work(self) -> None:
        get = self._jobs.get
        while True:
            job = get()
            _do(job)
            del job  # which holds a request


def _do(job: Job) -> None:
    try:
        job()
    except BaseException as error:  # the thread must go on, whatever it is
        _log.error("a job failed", exc_info=error)
    parsing.forget_names()
