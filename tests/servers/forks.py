"""Programs started as forks of a process that has imported the server once.

A start of ``python -m xds serve`` spends most of its time on imports: in its supervisor, and in the
process that its workers are forks of. `forked` saves both. The program is the same in all else but
the cost of a hash of a password (`tests.passwords`): the fork runs the module as ``__main__`` with
arguments, an environment, a folder and output of its own.
"""

import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import connection
from pathlib import Path
from typing import Final, Protocol

ROOT: Final = Path(__file__).parents[2]
NUMBER: Final = struct.Struct("q")


class Process(Protocol):
    """What tests do with the process of a server: a part of `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Return its exit code; none while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit code; `subprocess.TimeoutExpired`."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it runs."""

    def terminate(self) -> None:
        """Send it SIGTERM."""

    def kill(self) -> None:
        """Send it SIGKILL."""


class ForkedProcess:
    """A process that is a fork, and a grandchild of another process."""

    def __init__(self, arguments: Sequence[str], status: socket.socket) -> None:
        self._arguments = arguments
        self._status = status
        self._lock = threading.Lock()
        self._code: int | None = None
        self.pid = self._read()

    def _read(self) -> int:
        read = self._status.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(read) < NUMBER.size:
            raise RuntimeError(f"it is not known what became of {' '.join(self._arguments)}")
        (number,) = NUMBER.unpack(read)
        return int(number)

    def poll(self) -> int | None:
        """Return its exit code; none while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit code."""
        with self._lock:
            if self._code is None:
                if not connection.wait([self._status], timeout):
                    raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
                self._code = self._read()
                self._status.close()
            return self._code

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Preloaded:
    """The process that has imported the server, started when it is first needed."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        command = [sys.executable, "-m", "tests.servers.preloaded", str(theirs.fileno())]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("XDS_")}
        with theirs:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()

    def fork(self, order: Mapping[str, object], files: Sequence[int]) -> None:
        """Have a process started with these files."""
        told = json.dumps(order).encode()
        with self._lock:
            socket.send_fds(self._control, [NUMBER.pack(len(told))], files)
            self._control.sendall(told)


@cache
def _preloaded() -> _Preloaded:
    return _Preloaded()


def forked(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: int,
    *,
    own_session: bool = False,
) -> ForkedProcess:
    """Start ``python -m module arguments`` as a fork, both outputs of which go to an open file."""
    ours, theirs = socket.socketpair()
    order = {
        "module": module,
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": str(Path.cwd()),
        "own_session": own_session,
    }
    with theirs:
        _preloaded().fork(order, [theirs.fileno(), output])
    return ForkedProcess([module, *arguments], ours)
