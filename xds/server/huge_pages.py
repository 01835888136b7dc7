"""The memory of a worker in pages of 2 MiB.

An answer goes through more code and data of the interpreter than the processor has addresses of
pages of 4 KiB for, and looks many of them up in memory. What a worker has when it has worked for
a while is mostly what stays until its end. Linux is asked to put that into pages of 2 MiB
(``MADV_COLLAPSE``, Linux 6.1), which takes some tenths of a second of processor time. It is left
out where the system administrator has turned huge pages off, and where Linux knows no such thing
the worker is as good as before.
"""

import ctypes
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PAGE: Final = 2 << 20
_COLLAPSE: Final = 25
"""``MADV_COLLAPSE`` of Linux."""
_MAPPINGS: Final = Path("/proc/self/smaps")
_ENABLED: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MAPPING: Final = re.compile(
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) rw-p \S+ 00:00 0 *(?:\[heap\])?\n"
    r"Size: +(?P<size>\d+) kB\n(?:.*\n)*?Rss: +(?P<resident>\d+) kB\n",
    re.MULTILINE,
)
"""Memory of a process that is no file's: where it is, its size, and how much of it is used."""
_WORKED_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.002
"""Between two pages: whoever needs more memory waits while one is made."""


def use_when_settled() -> None:
    """Ask for huge pages, in a thread, once this process has worked for a second from now on."""
    if _are_wanted():
        threading.Thread(target=_wait_and_use, name="huge pages", daemon=True).start()


def _are_wanted() -> bool:
    """Tell whether the system has huge pages and they are not turned off."""
    try:
        return "[never]" not in _ENABLED.read_text() and _MAPPINGS.exists()
    except OSError:
        return False


def _wait_and_use() -> None:
    settled = time.process_time() + _WORKED_SECONDS
    while time.process_time() < settled:
        time.sleep(_LOOK_SECONDS)
    with suppress(OSError):
        collapse()


def collapse() -> int:
    """Put the memory of this process into huge pages; return how many there are now.

    Of a mapping that is not used for the greater part, such as the stack of a thread, nothing is:
    a huge page takes all its memory at once. Raises OSError where mappings cannot be read.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    made = 0
    for start in pages_of(_MAPPINGS.read_text()):
        made += madvise(start, _PAGE, _COLLAPSE) == 0
        time.sleep(_PAUSE_SECONDS)
    return made


def pages_of(mappings: str) -> Iterator[int]:
    """Yield the addresses of all huge pages that lie within what a process uses."""
    for found in _MAPPING.finditer(mappings):
        if 4 * int(found["resident"]) >= 3 * int(found["size"]):
            first = -(-int(found["start"], 16) // _PAGE) * _PAGE
            yield from range(first, int(found["end"], 16) // _PAGE * _PAGE, _PAGE)
