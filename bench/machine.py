"""What the operating system knows: processes, their CPU time and memory, the folder's disk."""

import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


def cpu_seconds(pids: Iterable[int]) -> float:
    """Give the CPU time that processes have used, in Python and in the kernel."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def family(pid: int) -> list[int]:
    """Give a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for child in _processes():
        try:
            children.setdefault(int(_stat(child)[1]), []).append(child)
        except OSError:
            continue  # it has ended since
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def resident(pid: int) -> int:
    """Give the resident memory of a process in bytes."""
    return _status(pid, "VmRSS")


def resident_peak(pid: int) -> int:
    """Give the most resident memory that a process has had since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak of resident memory begin at what it is now (Linux: proc(5), clear_refs)."""
    (_PROC / str(pid) / "clear_refs").write_text("5")


def filesystem(folder: Path) -> str:
    """Give the type of the file system that a folder lies on."""
    found = ("/", "?")
    place = str(folder.resolve())
    for line in (_PROC / "self" / "mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        inside = place == mounted or place.startswith(mounted.rstrip("/") + "/")
        if inside and len(mounted) >= len(found[0]):
            found = (mounted, kind)
    return found[1]


def require_disk(folder: Path) -> str:
    """Give the type of a folder's file system; SystemExit if that is memory, or not of Linux."""
    if sys.platform != "linux":
        raise SystemExit("this reads /proc, which only Linux has")
    kind = filesystem(folder)
    if kind in _IN_MEMORY:
        raise SystemExit(f"{folder} lies in memory ({kind}): run this in a folder on a disk")
    return kind


def processors() -> int:
    """Give the number of processors."""
    return os.cpu_count() or 1


def foreign_seconds() -> float:
    """Give the processor time that others have used so far, this process and its children apart.

    A child's time counts as its own once it has ended.
    """
    user, nice, system, _, _, *rest = map(int, (_PROC / "stat").read_text().split()[1:9])
    own = os.times()
    return (user + nice + system + sum(rest)) / _TICKS - sum(own[:4])


def describe() -> str:
    """Tell what machine this is, how fast it is now, and how busy."""
    return (
        f"{processors()} processors, {_loop_milliseconds():.0f} ms for a loop of a million, "
        f"load average {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()} of {sys.base_prefix}"
    )


def _loop_milliseconds() -> float:
    """Measure what shared hosts change from minute to minute: the speed of a processor."""
    began = time.process_time()
    for _ in range(1_000_000):
        pass
    return 1000 * (time.process_time() - began)


def _processes() -> Iterator[int]:
    return (int(path.name) for path in _PROC.iterdir() if path.name.isdigit())


def _stat(pid: int) -> list[str]:
    """Give the fields that follow the name, which may hold spaces."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()


def _status(pid: int, name: str) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
