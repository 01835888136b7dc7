"""What /metrics tells of the machine and of the processes of one server, looked up when asked.

Any worker can tell it of all: they share the folders, and Linux tells of other processes of the
same user. Where there is no ``/proc``, processes are not told of.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from xds.config import Config
from xds.telemetry.metrics import Metrics, Values

_PROC: Final = Path("/proc")
_ESTABLISHED: Final = "01"
"""The state of a connection in /proc/net/tcp (proc_net_tcp)."""
_SPOOLS: Final = ("audit",)
_SUPERVISOR: Final = "supervisor"


class DiskRoom(NamedTuple):
    """A disk that the server writes to; bytes."""

    place: str
    """What is written there."""
    free: int
    size: int


def disks(config: Config) -> Iterator[DiskRoom]:
    """Yield the disk of each folder of this machine that the server writes to."""
    for name, path in _folders(config):
        if path.is_dir():
            usage = shutil.disk_usage(path)
            yield DiskRoom(name, usage.free, usage.total)


def watch(metrics: Metrics, config: Config) -> None:
    """Have the metrics tell of disks, processes and threads whenever they are asked for."""
    place, process = ("place",), ("process", "pid")
    metrics.ask(
        "xds_disk_free_bytes",
        "Room that is left where the server writes",
        place,
        lambda: {(one.place,): one.free for one in disks(config)},
    )
    metrics.ask(
        "xds_disk_size_bytes",
        "Size of the disk that it writes to",
        place,
        lambda: {(one.place,): one.size for one in disks(config)},
    )
    metrics.ask(
        "xds_process_resident_memory_bytes",
        "Memory of each process of the server",
        process,
        lambda: {who: _memory(who[1]) for who in _processes(metrics)},
    )
    metrics.ask(
        "xds_http_connections",
        "Open connections of each worker",
        process,
        lambda: _connections(metrics, config.port),
    )
    metrics.ask(
        "xds_http_threads",
        "Threads that answer requests, of all workers",
        (),
        lambda: {(): float(config.workers * config.threads)},
    )


def _folders(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the folders that are written to, by what they are for."""
    yield "data", config.data.absolute()
    url = urlsplit(config.documents_url)
    if url.scheme == "file" and config.serve_repository == "yes":
        yield "documents", Path(unquote(url.path))
    for name in _SPOOLS:
        yield name, config.data.absolute() / name


def _processes(metrics: Metrics) -> Iterator[tuple[str, str]]:
    """Yield what each process of the server is, and its number."""
    if not _PROC.is_dir():
        return
    if parent := metrics.supervisor:
        yield _SUPERVISOR, str(parent)
    yield from metrics.processes()


def _memory(pid: str) -> float:
    try:
        pages = int((_PROC / pid / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def _connections(metrics: Metrics, port: int) -> Values:
    """Return how many connections each worker has: sockets at the port, by who holds them."""
    open_ = set(_sockets(port))
    found: dict[tuple[str, ...], float] = {}
    for process, pid in metrics.processes():
        if process == "worker" and _PROC.is_dir():
            found[process, pid] = float(len(open_.intersection(_held(pid))))
    return found


def _sockets(port: int) -> Iterator[str]:
    """Yield the inodes of the established connections at a port of this machine."""
    wanted = f":{port:04X}"
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "self" / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == _ESTABLISHED:
                    yield f"socket:[{fields[9]}]"


def _held(pid: str) -> set[str]:
    """Return what a process holds open."""
    held = set()
    with suppress(OSError):
        for name in os.listdir(_PROC / pid / "fd"):
            with suppress(OSError):
                held.add(os.readlink(_PROC / pid / "fd" / name))
    return held
