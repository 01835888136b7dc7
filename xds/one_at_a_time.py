"""Work that takes much memory, done one after another, so that several take no more than one."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import ClassVar, TypeVar

from xds.errors import FailureKind

T = TypeVar("T")


class TooBusy(Exception):
    """So much of such work is waiting already that no more may wait."""

    failure_kind: ClassVar = FailureKind.BUSY


class OneAtATime:
    """Makes calls one after another, each in a thread of its own; usable from many threads.

    What a thread has allocated is kept for the next one of its kind, and what libxml2 keeps of
    names goes with the thread.
    """

    def __init__(self, most_waiting: int | None = None) -> None:
        """``most_waiting`` calls may wait for the one under way; None is as many as there are."""
        self._most = most_waiting
        self._counting = threading.Lock()
        self._count = 0
        self._turn = threading.Lock()

    @property
    def count(self) -> int:
        """How many calls are under way or wait."""
        return self._count

    def __call__(self, call: Callable[[], T]) -> T:
        """Return what a call returns, or raise what it raises; TooBusy."""
        with self._counting:
            if self._most is not None and self._count > self._most:
                raise TooBusy
            self._count += 1
        try:
            with self._turn:
                return self._made(call)
        finally:
            with self._counting:
                self._count -= 1

    @staticmethod
    def _made(call: Callable[[], T]) -> T:
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(call())
            except BaseException as error:  # it is raised where it is waited for
                outcome.set_exception(error)

        # in the context of the request, for its log lines and spans
        threading.Thread(target=copy_context().run, args=(run,), name="one at a time").start()
        return outcome.result()
