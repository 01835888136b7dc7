"""The XML parser: what it bears, what it refuses, and that it keeps nothing of what it has read."""

import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from xds.http.threads import Threads
from xds.parsing import MalformedXML, forget_names, parse

ROOT: Final = Path(__file__).parent.parent


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def of_new_names(number: int, count: int) -> bytes:
    names = (f"<n{number}-{n}-which-nobody-has-used-before/>" for n in range(count))
    return f"<a>{''.join(names)}</a>".encode()


def growth(*, is_brought: bool) -> int:
    """Read documents of new names, and return the bytes by which this process has grown.

    In one thread all of them: in that which brings them, or in one that they are handed on to.
    """
    threads = Threads(2 if is_brought else 1)
    read: queue.SimpleQueue[int] = queue.SimpleQueue()

    def have_read(number: int) -> int:
        threads.run(lambda: read.put(len(parse(of_new_names(number, 100_000)))))
        return read.get()

    for number in range(4):
        have_read(number)
    before = resident()
    for number in range(4, 24):
        assert have_read(number) == 100_000
    return resident() - before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("is_brought", [True, False])
def test_names_that_nobody_has_used_before_are_forgotten(is_brought: bool) -> None:
    """Each of these documents would leave ten megabytes behind in lxml's dictionary.

    In a process of its own: one that has run a thousand tests has gaps in its memory. And in a
    thread of its own: the first thread of a process keeps its names for good.
    """
    program = f"""
from threading import Thread
from tests.test_parsing import growth
Thread(target=lambda: print(growth(is_brought={is_brought}))).start()
"""
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert int(told) < 60_000_000


def test_what_was_parsed_keeps_its_names_when_its_thread_forgets_them() -> None:
    kept: list[etree._Element] = []

    def work() -> None:
        for number in range(3):
            kept.append(parse(f"<n{number}><kept/>{' ' * (1 << 20)}</n{number}>".encode()))
            forget_names()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [(one.tag, one[0].tag) for one in kept] == [(f"n{n}", "kept") for n in range(3)]
    kept[0].append(kept[1][0])
    assert [one.tag for one in kept[0]] == ["kept", "kept"]


def test_many_threads_get_their_own_documents() -> None:
    wrong: list[str] = []

    def work(name: str) -> None:
        wrong.extend(name for _ in range(200) if parse(f"<{name}/>".encode()).tag != name)

    threads = [threading.Thread(target=work, args=(f"n{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "flood",
    [b"<a>" + b"<b/>" * 2_000_000 + b"</a>", b"<a " + b"b='' " * 2_000_000 + b"/>"],
    ids=["elements", "attributes"],
)
def test_more_tags_and_attributes_than_memory_should_hold(flood: bytes) -> None:
    with pytest.raises(MalformedXML, match="more than 2000000 tags and attributes"):
        parse(flood)
