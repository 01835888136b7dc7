"""A real server in a process of its own, for tests that go through the wire.

``pytest --processes=2`` makes it several processes on one state, with a relay before them.
"""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tests import databases, documents
from tests.databases import Databases
from tests.ports import free_port
from tests.relay import relaying
from tests.servers.forks import Process, forked
from xds.config import Config
from xds.repository.store import DocumentStore
from xds.telemetry.observer import UNSAID

START_SECONDS = 120
STOP_SECONDS = 120

_BESIDE: Final = ("mllp_port", "message_folder", "websocket_port")
_PROCESSES: Final = "TESTS_RUN_PROCESSES"
"""Where a whole run on several processes says so, for whatever starts a server."""
_FORKS: Final = "TESTS_FORK_SERVERS"
"""Where a whole run starts servers as forks."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is not the one of this checkout."""

    python: Path
    checkout: Path


@dataclass(frozen=True, slots=True)
class Server:
    """A served deployment: where it listens, where its state lies, and its process."""

    host: str
    port: int
    data: Path
    database: str
    """The URL of its database."""
    process: Process
    """The only one, or the first of several."""
    log: Path
    config: Config
    """What it was told of its database and its documents."""
    options: Mapping[str, str]
    """All that it was told."""
    others: tuple[Process, ...] = ()
    """More processes on the same state."""
    has_tls: bool = False

    @property
    def processes(self) -> tuple[Process, ...]:
        """All of its processes, without their workers."""
        return (self.process, *self.others)

    def store(self) -> DocumentStore:
        """Open its documents beside it."""
        return documents.store_of(self.config)

    @property
    def url(self) -> str:
        """The root of the server."""
        return f"{'https' if self.has_tls else 'http'}://{self.host}:{self.port}"

    @property
    def registry_url(self) -> str:
        """Where the Document Registry answers."""
        return f"{self.url}/registry"

    @property
    def repository_url(self) -> str:
        """Where the Document Repository answers."""
        return f"{self.url}/repository"

    def stop(self) -> int:
        """Ask the server to stop, and return its exit code, the worst of several."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        return max(process.wait(STOP_SECONDS) for process in self.processes)


def configured(data: Path) -> Config:
    """Give the configuration of a deployment on a data folder that is told nothing else."""
    where = {**databases.options(data), **documents.options(data)}
    return Config.model_validate({"data": data, **where})


@contextmanager
def several_as_default(processes: int) -> Iterator[None]:
    """Have whatever starts a server start so many processes, until the block ends."""
    os.environ[_PROCESSES] = str(processes)
    try:
        yield
    finally:
        del os.environ[_PROCESSES]


@contextmanager
def forks_as_default() -> Iterator[None]:
    """Have servers be forks of a process that has imported the program, until the block ends."""
    os.environ[_FORKS] = "yes"
    try:
        yield
    finally:
        del os.environ[_FORKS]


@contextmanager
def serving(
    data: Path,
    options: Mapping[str, str] | None = None,
    *,
    processes: int | None = None,
    program: Program | None = None,
    by_command: bool = False,
) -> Iterator[Server]:
    """Serve from a data folder until the block ends; ``options`` are XDS_ options by their name.

    What is said of ``processes`` goes before what the whole run says. Where the whole run starts
    servers as forks, ``by_command`` has this one started by its command all the same.
    """
    data.mkdir(parents=True, exist_ok=True)
    count = processes or int(os.environ.get(_PROCESSES, "1"))
    port = int((options or {}).get("port") or free_port())
    given = {"data": str(data), "log_format": "json", "workers": "2" if count == 1 else "1"}
    given |= {**databases.options(data), **documents.options(data), **(options or {})}
    is_fork = _FORKS in os.environ and program is None and not by_command
    if is_fork and "database" not in given:
        databases.default().url(data)  # so that it has its tables
    ports = [port] if count == 1 else [free_port() for _ in range(count)]
    log = data / "server.log"
    written = log.stat().st_size if log.exists() else 0
    with ExitStack() as stack:
        started = [
            stack.enter_context(_running(_of(given, number, one), log, program, is_fork))
            for number, one in enumerate(ports)
        ]
        for process, one in zip(started, ports, strict=True):
            _wait_until_ready(process, one, log, written, has_tls="tls_certificate" in given)
        if count > 1:
            stack.enter_context(relaying(port, ports))
        yield _server(given, port, log, started)
        assert UNSAID.encode() not in log.read_bytes(), f"{log} says that {UNSAID}"


def _of(given: Mapping[str, str], number: int, port: int) -> dict[str, str]:
    """Give the options of one of several processes: only the first has listeners beside HTTP."""
    own = {k: v for k, v in given.items() if number == 0 or k not in _BESIDE}
    if number and "mllp_port" in given:
        own.setdefault("messages", "yes")  # by HTTP, as the first does
    if number and "websocket_port" in given:
        own.setdefault("websocket_url", f"ws://127.0.0.1:{given['websocket_port']}")
    return {**own, "port": str(port)}


def _server(given: Mapping[str, str], port: int, log: Path, started: list[Process]) -> Server:
    data = Path(given["data"])
    database = given.get("database", Databases().url(data))
    where = {k: v for k, v in given.items() if k in ("data", "documents", "documents_options")}
    config = Config.model_validate({**where, "database": database})
    first, *others = started
    return Server(
        "127.0.0.1",
        port,
        data,
        database,
        first,
        log,
        config,
        given,
        tuple(others),
        has_tls="tls_certificate" in given,
    )


@contextmanager
def _running(
    options: Mapping[str, str], log: Path, program: Program | None, is_fork: bool
) -> Iterator[Process]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDS_")}
    environment |= {f"XDS_{name.upper()}": value for name, value in options.items()}
    with log.open("ab") as output:
        process: Process = (
            forked("xds", ["serve"], environment, output.fileno())
            if is_fork
            else _commanded(program, environment, output)
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _commanded(
    program: Program | None, environment: Mapping[str, str], output: IO[bytes]
) -> Process:
    return subprocess.Popen(
        [program.python if program else sys.executable, "-m", "xds", "serve"],
        env=environment,
        cwd=program.checkout if program else None,
        stderr=output,
        stdout=output,
    )


def _wait_until_ready(
    process: Process, port: int, log: Path, written: int, *, has_tls: bool
) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        if has_tls:
            # which may demand a certificate of whoever asks
            if b'"event": "ready"' in log.read_bytes()[written:]:
                return
            time.sleep(0.05)
            continue
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")
