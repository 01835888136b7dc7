"""The threads that do the work of a worker.

Each thread is replaced when it has parsed so much XML that what the parser keeps of it for as long
as the thread lives (see :mod:`xds.parsing`) may be large.
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
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._busy: set[int] = set()
        for _ in range(count):
            self._start()

    @property
    def busy(self) -> int:
        """How many threads work at the moment."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        return self._jobs.qsize()

    def put(self, job: Job) -> None:
        """Have a thread do a job, in the order of their coming."""
        self._jobs.put(job)

    def _start(self) -> None:
        threading.Thread(target=self._work, name="work", daemon=True).start()

    def _work(self) -> None:
        number = threading.get_ident()
        get, busy = self._jobs.get, self._busy
        while not parsing.has_kept_much():
            job = get()
            busy.add(number)
            try:
                job()
            except BaseException as error:  # the thread must go on, whatever it is
                _log.error("a job failed", exc_info=error)
            finally:
                del job  # which holds a request
                busy.discard(number)
        self._start()
