"""The XML parser: what it bears, what it refuses, and that it keeps nothing of what it has read."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

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
    for number in range(4):
        parse(of_new_names(number, 100_000))
    before = resident()
    for number in range(4, 24):
        assert len(parse(of_new_names(number, 100_000))) == 100_000
    return resident() - before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_names_that_nobody_has_used_before_are_forgotten() -> None:
    """Each of these documents would leave ten megabytes behind in lxml's dictionary.

    In a process of its own: one that has run a thousand tests has gaps in its memory.
    """
    command = [sys.executable, "-c", "from tests.test_parsing import growth; print(growth())"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert int(told) < 60_000_000


def test_a_thread_that_ends_leaves_no_thread_behind() -> None:
    parse(b"<a/>")
    before = threading.active_count()
    for _ in range(20):
        thread = threading.Thread(target=parse, args=(b"<a/>",))
        thread.start()
        thread.join()
    readers = [thread for thread in threading.enumerate() if thread.name == "xml"]
    for thread in readers:
        thread.join(0.2)
    assert threading.active_count() <= before + 1


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
