"""The XML parser: what it bears, what it refuses, and that it keeps nothing of what it has read."""

import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from xds.http.threads import Threads
from xds.parsing import MalformedXML, parse

ROOT: Final = Path(__file__).parent.parent


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def of_new_names(number: int, count: int) -> bytes:
    names = (f"<n{number}-{n}-which-nobody-has-used-before/>" for n in range(count))
    return f"<a>{''.join(names)}</a>".encode()


def growth() -> int:
    """Read documents of new names, and return the bytes by which this process has grown."""
    threads = Threads(1)
    read: queue.SimpleQueue[int] = queue.SimpleQueue()

    def have_read(number: int) -> int:
        threads.put(lambda: read.put(len(parse(of_new_names(number, 100_000)))))
        return read.get()

    for number in range(4):
        have_read(number)
    before = resident()
    for number in range(4, 24):
        assert have_read(number) == 100_000
    return resident() - before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_names_that_nobody_has_used_before_are_forgotten() -> None:
    """Each of these documents would leave ten megabytes behind in lxml's dictionary.

    In a process of its own: one that has run a thousand tests has gaps in its memory.
    """
    command = [sys.executable, "-c", "from tests.test_parsing import growth; print(growth())"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert int(told) < 60_000_000


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
