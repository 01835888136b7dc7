"""The body of a request: awaited without a thread, then read as a file.

What is longer than a megabyte lies in a file without a name, in the data folder where there is one
and else where temporary files lie.
"""

import errno
import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from xds.http.granian_worker import GranianRequest, chunk_of
from xds.http.slow_clients import SlowClients, Wait
from xds.http.threads import Threads

_IN_MEMORY: Final = 1 << 20
_DRAINED: Final = 64 << 20


class Input:
    """What of a body has come, and what went wrong after it: a request's ``wsgi.input``."""

    __slots__ = ("_error", "_file")

    def __init__(self, file: IO[bytes], error: Exception | None = None) -> None:
        self._file = file
        self._error = error

    def read(self, size: int = -1, /) -> bytes:
        """Read some bytes, none at the end; may raise TooSlow, TooMany or another OSError."""
        data = self._file.read(size)
        if not data and size and self._error:
            self._raise()
        return data

    def _raise(self) -> None:
        error, self._error = self._error, None
        try:
            raise error or OSError
        finally:
            del error  # which refers to this

    def close(self) -> None:
        """Let go of what was kept."""
        self._file.close()


class Bodies:
    """Awaits the bodies of a worker's requests."""

    def __init__(self, clients: SlowClients, threads: Threads, folder: Path) -> None:
        self.clients = clients
        self.threads = threads
        self._folder = folder

    def receive(self, request: GranianRequest, most: int, then: Callable[[Input], None]) -> None:
        """Await the body of a request, and hand it on in a thread.

        Bytes beyond ``most``, and those that came together with the last of these, are read on for
        a while without being kept.
        """
        _BodyUnderWay(self, request, most, then).ask()

    def new_file(self) -> IO[bytes]:
        """Open a file without a name."""
        folder = self._folder if self._folder.is_dir() else None
        return tempfile.TemporaryFile(dir=folder, buffering=0)


class _BodyUnderWay:
    """A body on its way; steps are made by Granian's thread, by the pool's and by the watch."""

    __slots__ = (
        "_bodies",
        "_chunks",
        "_file",
        "_future",
        "_is_enough",
        "_is_over",
        "_lock",
        "_most",
        "_request",
        "_then",
        "_wait",
    )

    def __init__(
        self, bodies: Bodies, request: GranianRequest, most: int, then: Callable[[Input], None]
    ) -> None:
        self._bodies = bodies
        self._request = request
        self._most = most
        self._then = then
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._future: Any = None
        self._is_over = False
        self._is_enough = False
        """Whether what comes is only read on, so that a sender in full flow hears the answer."""
        self._lock = threading.Lock()
        self._wait = Wait(request.client, request.address)

    def ask(self) -> None:
        """Wait for the next bytes."""
        self._wait.begin()
        self._bodies.clients.add(self._wait, self._be_late)
        self._future = self._request.next_chunk()
        self._future.add_done_callback(self._came, context=None)

    def _came(self, future: Any) -> None:
        chunk = chunk_of(future)
        self._bodies.clients.remove(self._wait)
        with self._lock:
            if self._is_over:
                return
            self._wait.end(len(chunk))
            self._future = None  # which refers to this
        if self._is_enough:
            self._go_on(chunk)
        elif self._file is None and self._wait.count <= _IN_MEMORY:
            self._chunks.append(chunk)
            self._go_on(chunk)
        else:
            self._bodies.threads.put(lambda: self._keep(chunk))

    def _keep(self, chunk: bytes) -> None:
        """Put bytes into the file; in a thread, since the disk may be slow."""
        try:
            if self._file is None:
                self._file = self._bodies.new_file()
                self._write(b"".join(self._chunks))
                self._chunks.clear()
            self._write(chunk)
        except OSError as error:
            self._request.ends_connection = True
            self._finish(error)
        else:
            self._go_on(chunk)

    def _write(self, data: bytes) -> None:
        if self._file is not None and self._file.write(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _go_on(self, chunk: bytes) -> None:
        count, declared = self._wait.count, self._request.content_length
        self._is_enough = count >= self._most
        if not chunk or count == declared or count >= self._most + _DRAINED:
            self._finish()
        else:
            self.ask()

    def _be_late(self, error: Exception) -> None:
        with self._lock:
            if self._is_over or not self._wait.since:
                return
            self._is_over = True
        self._future.cancel()
        self._future = None
        self._request.ends_connection = True
        self._wait.tell(str(error))
        self._finish(error)

    def _finish(self, error: Exception | None = None) -> None:
        threads, then = self._bodies.threads, self._then
        self._bodies.clients.remove(self._wait)
        # else this is no thread of Granian's
        is_brought = self._file is None and error is None
        if self._file is None:
            file: IO[bytes] = io.BytesIO(b"".join(self._chunks))
            self._chunks.clear()
        else:
            file = self._file
            file.seek(0)
        do = threads.run if is_brought else threads.put
        do(lambda: then(Input(file, error)))
