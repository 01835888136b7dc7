"""The process that servers of tests are forks of; see `tests.servers.forks`.

It has no threads and opens nothing. Python starts two processes for a server that uses
`multiprocessing`: the one that its workers are forks of, and one that keeps count of semaphores.
Each would import all anew. So a server is given two forks beforehand, which take their place.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing import util
from typing import Any, Final, NoReturn

NUMBER: Final = struct.Struct("q")
_MOST_FILES: Final = 16
_FREE_NUMBERS: Final = 100
"""Files that are to have a certain number are first moved beyond this one."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a fork is to run: a module with arguments, or code."""

    environment: dict[str, str]
    module: str = ""
    arguments: Sequence[str] = ()
    folder: str = ""
    own_session: bool = False
    """Whether it leads a session, and so a group of processes."""
    code: str = ""
    files: Sequence[int] = ()
    """The numbers that the code knows its files by."""

    def run(self) -> None:
        """Run it, as this process."""
        os.environ.clear()
        os.environ.update(self.environment)
        time.tzset()
        if self.code:
            exec(self.code, {"__name__": "__main__"})
            return
        os.chdir(self.folder)
        sys.argv[1:] = self.arguments
        runpy.run_module(self.module, run_name="__main__", alter_sys=True)


def main(control: socket.socket) -> None:
    """Fork for each order, and run it in the fork; ends where nobody can order any more."""
    _preload()
    while received := _received(control):
        order, (status, output) = received
        if os.fork() == 0:
            control.close()
            if _told_of_fork(socket.socket(fileno=status), output):
                _ending(partial(_with_helpers, order))
        os.close(status)
        os.close(output)


def _preload() -> None:
    """Import what a server does."""
    from tests.passwords import hash_at_least_cost
    from xds.commands import serve as serve
    from xds.server.supervisor import PRELOADED

    for name in PRELOADED:
        import_module(name)
    # whatever workers are forks of imports the last for itself, for what it does to signals
    del sys.modules[PRELOADED[-1]]
    hash_at_least_cost()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what is forked here
    gc.collect()
    gc.freeze()


def _received(channel: socket.socket) -> tuple[Order, list[int]] | None:
    """Receive an order with its files; none at the end."""
    head, files, *_ = socket.recv_fds(channel, NUMBER.size, _MOST_FILES)
    if not head:
        return None
    (size,) = NUMBER.unpack(head)
    told = channel.recv(size, socket.MSG_WAITALL)
    return Order(**json.loads(told)), files


def _told_of_fork(status: socket.socket, output: int) -> bool:
    """Fork, tell the other's number and in the end its exit code, and give False; there give True.

    The other has these files for its outputs.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    number = os.fork()
    if number == 0:
        status.close()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        return True
    for name in (output, 1, 2):
        os.close(name)
    status.sendall(NUMBER.pack(number))
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    with status:
        status.sendall(NUMBER.pack(code))
    os._exit(0)


def _with_helpers(order: Order) -> None:
    """Fork what Python's multiprocessing would start, and run the order."""
    if order.own_session:
        os.setsid()
    helpers: list[tuple[int, socket.socket]] = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        number = os.fork()
        if number == 0:
            for one in (ours, *(channel for _, channel in helpers)):
                one.close()
            if received := _received(theirs):
                theirs.close()
                _placed(received[1], received[0].files)
                _ending(received[0].run)
            os._exit(0)
        theirs.close()
        helpers.append((number, ours))

    start: Any = util.spawnv_passfds

    def spawn(path: bytes, arguments: Sequence[str], files: Sequence[int]) -> int:
        if not helpers:
            return int(start(path, arguments, files))
        number, channel = helpers.pop()
        told = {"environment": dict(os.environ), "code": arguments[-1], "files": list(files)}
        _send(channel, told, files)
        return number

    vars(util)["spawnv_passfds"] = spawn
    order.run()


def _ending(run: Callable[[], None]) -> NoReturn:
    """Run something, and end the process with its exit code.

    It ends as Python does, but does not take apart one by one what the process had imported.
    """
    code: object = None
    try:
        run()
    except SystemExit as left:
        code = left.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _send(channel: socket.socket, told: dict[str, Any], files: Sequence[int]) -> None:
    with channel:
        sent = json.dumps(told).encode()
        socket.send_fds(channel, [NUMBER.pack(len(sent))], files)
        channel.sendall(sent)


def _placed(files: Sequence[int], numbers: Sequence[int]) -> None:
    """Give files the numbers that they are known by."""
    import fcntl

    moved = [fcntl.fcntl(one, fcntl.F_DUPFD, _FREE_NUMBERS) for one in files]
    for one in files:
        os.close(one)
    for one, number in zip(moved, numbers, strict=True):
        if number > 2:
            os.dup2(one, number)
        os.close(one)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
