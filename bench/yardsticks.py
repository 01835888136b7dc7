"""What the machine can do without this project: the measures to set beside every figure.

`write_and_commit` is the least that a submission must cost. `plain_wsgi` serves a WSGI
application that only moves bytes, under the server that the project uses.
"""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qs

import falcon

BLOCK: Final = 256 * 1024
_ZEROS: Final = bytes(BLOCK)
_START_SECONDS: Final = 20
_INSERT: Final = "INSERT INTO document VALUES (?, ?)"


def write_and_commit(folder: Path, size: int, count: int, threads: int = 1) -> float:
    """Operations per second: a file of that size written and fsynced, then one row committed.

    SQLite in WAL mode with synchronous=FULL, in the same folder. All that is made is removed.
    """
    data = os.urandom(size)
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(dir=folder) as work:
        database = _database(Path(work, "rows.sqlite"))
        with closing(database) as rows, ThreadPoolExecutor(threads) as pool:

            def operate(number: int) -> None:
                write_and_sync(Path(work, str(number)), [data])
                with lock:
                    rows.execute(_INSERT, (number, size))

            started = time.perf_counter()
            for _ in pool.map(operate, range(count)):
                pass
            return count / (time.perf_counter() - started)


def write_and_sync(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a new file and wait until it is on the disk."""
    with open(path, "xb", buffering=0) as file:
        for block in blocks:
            file.write(block)
        os.fsync(file.fileno())


def copy_and_sync(source: Path, target: Path) -> float:
    """Bytes per second of copying a file by read and write, with one fsync at its end."""
    started = time.perf_counter()
    write_and_sync(target, blocks_of(source))
    return target.stat().st_size / (time.perf_counter() - started)


def blocks_of(path: Path) -> Iterator[bytes]:
    """Read a file from its beginning to its end."""
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            yield block


def _database(path: Path) -> sqlite3.Connection:
    # autocommit: each INSERT is one transaction
    rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    rows.execute("PRAGMA journal_mode=WAL")
    rows.execute("PRAGMA synchronous=FULL")
    rows.execute("CREATE TABLE document (number INTEGER PRIMARY KEY, size INTEGER)")
    return rows


class _Bytes:
    """A Falcon resource that answers with as many bytes as it is asked for."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer."""
        response.content_type = "application/octet-stream"
        response.data = _ZEROS[: request.get_param_as_int("size", required=True)]


def _falcon() -> Any:
    application = falcon.App()
    application.add_route("/falcon", _Bytes())
    return application


_FALCON: Final = _falcon()


def plain_application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """POST /sink takes all bytes and answers 204; /bytes?size=N, whatever comes, answers N bytes.

    With ?file=1 the sink copies them to a file that is removed at the end, and with
    ?file=1&fsync=1 it also waits for the disk. /file?path=P answers with a file, and
    /falcon?size=N is a route of Falcon that answers N bytes, at most 256 KiB.
    """
    query = parse_qs(environ.get("QUERY_STRING", ""))
    match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
        case "POST", "/sink":
            _take(environ["wsgi.input"], "file" in query, "fsync" in query)
            start_response("204 No Content", [])
            return []
        case _, "/bytes":
            _take(environ["wsgi.input"], False, False)
            size = int(query["size"][0])
            headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))]
            start_response("200 OK", headers)
            return _zeros(size)
        case _, "/falcon":
            answer: Iterable[bytes] = _FALCON(environ, start_response)
            return answer
        case _, "/file":
            path = Path(query["path"][0])
            start_response("200 OK", [("Content-Length", str(path.stat().st_size))])
            return blocks_of(path)
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


def _take(body: BinaryIO, to_file: bool, sync: bool) -> None:
    if not to_file:
        while body.read(BLOCK):
            pass
        return
    with tempfile.TemporaryFile(buffering=0) as file:
        shutil.copyfileobj(body, file, BLOCK)
        if sync:
            os.fsync(file.fileno())


def _zeros(size: int) -> Iterator[bytes]:
    for rest in range(size, 0, -BLOCK):
        yield _ZEROS if rest >= BLOCK else _ZEROS[:rest]


@contextmanager
def plain_wsgi(
    folder: Path, workers: int = 1, blocking_threads: int = 4
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve `plain_application` under Granian: its URL and its process, stopped at the end.

    The files of /sink?file=1 are written below folder.
    """
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--no-log"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    command += ["--blocking-threads", str(blocking_threads)]
    command += [f"{Path(__file__).stem}:plain_application"]
    environment = os.environ | {"TMPDIR": str(folder.resolve())}
    server = subprocess.Popen(command, cwd=Path(__file__).parent, env=environment)
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the plain WSGI server did not start within {_START_SECONDS} s")
