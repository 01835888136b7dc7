"""Work that takes much memory is done one after another, and little of it waits."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.waiting import PATIENCE
from xds.errors import FailureKind, kind_of
from xds.one_at_a_time import OneAtATime, TooBusy


def test_calls_do_not_overlap_and_what_they_raise_is_raised() -> None:
    work = OneAtATime()
    under_way: list[int] = []

    def call(number: int) -> int:
        under_way.append(number)
        assert under_way == [number]
        under_way.remove(number)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda one: work(lambda: call(one)), range(50))] == [*range(50)]
    with pytest.raises(ZeroDivisionError):
        work(lambda: 1 // 0)
    assert work(lambda: "again") == "again"


def test_no_more_than_so_many_wait() -> None:
    work = OneAtATime(most_waiting=1)
    begun, end = threading.Event(), threading.Event()

    def wait() -> str:
        begun.set()
        assert end.wait(PATIENCE)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(work, wait)
        assert begun.wait(PATIENCE)
        second = pool.submit(work, lambda: "done")
        while work.count < 2:
            pass
        with pytest.raises(TooBusy) as refused:
            work(lambda: "never")
        assert kind_of(refused.value) == FailureKind.BUSY
        end.set()
        assert [first.result(), second.result()] == ["done", "done"]
    assert work(lambda: "again") == "again"
