"""The memory of a worker in huge pages: which memory, and that it keeps what it holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from xds.server import huge_pages

MIB = 1 << 20
HOLDING = """
import re
from pathlib import Path
from xds.server import huge_pages

held = bytearray(range(256)) * (8 << 12)
made = huge_pages.collapse()
assert held == bytearray(range(256)) * (8 << 12)
told = Path("/proc/self/smaps_rollup").read_text()
print(made, re.search("^AnonHugePages: +([0-9]+) kB", told, re.MULTILINE)[1])
"""
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def mapping(start: int, end: int, resident: int, rights: str = "rw-p", name: str = "") -> str:
    return (
        f"{start:x}-{end:x} {rights} 00000000 00:00 0 {name}\n"
        f"Size: {(end - start) // 1024:>20} kB\nKernelPageSize:        4 kB\n"
        f"MMUPageSize:           4 kB\nRss: {resident // 1024:>20} kB\nPss:      0 kB\n"
        "VmFlags: rd wr mr mw me ac\n"
    )


def test_whole_huge_pages_of_what_is_used_are_chosen() -> None:
    told = mapping(3 * MIB, 9 * MIB, 6 * MIB) + mapping(
        11 * MIB, 15 * MIB, 4 * MIB, name="         [heap]"
    )
    assert list(huge_pages.pages_of(told)) == [4 * MIB, 6 * MIB, 12 * MIB]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(mapping(4 * MIB, 12 * MIB, MIB), id="a stack, mostly not used"),
        pytest.param(mapping(4 * MIB, 12 * MIB, 8 * MIB, "r-xp"), id="code"),
        pytest.param(mapping(4 * MIB, 12 * MIB, 8 * MIB, "rw-s"), id="shared memory"),
        pytest.param(
            mapping(4 * MIB, 12 * MIB, 8 * MIB, name="/a/file").replace("00:00 0", "fe:00 11"),
            id="a file",
        ),
        pytest.param(mapping(4 * MIB, 12 * MIB, 8 * MIB, name="[stack]"), id="the first stack"),
        pytest.param(mapping(3 * MIB, 5 * MIB, 2 * MIB), id="no whole huge page"),
    ],
)
def test_other_memory_is_not(told: str) -> None:
    assert list(huge_pages.pages_of(told)) == []


@pytest.mark.skipif(not ENABLED.exists(), reason="this system has no huge pages")
def test_memory_keeps_what_it_holds() -> None:
    # in a process of its own: this one's memory may be large
    done = subprocess.run(
        [sys.executable, "-c", HOLDING], capture_output=True, text=True, check=True
    )
    made, huge = map(int, done.stdout.split())
    assert made == 0 or huge >= 2048, "older systems make none"
