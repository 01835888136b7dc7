"""A real server in a process of its own, for tests that go through the wire."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import databases, documents
from tests.databases import Databases
from tests.ports import free_port
from xds.config import Config
from xds.repository.store import DocumentStore

START_SECONDS = 30
STOP_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Server:
    """A served deployment: where it listens, where its state lies, and its process."""

    host: str
    port: int
    data: Path
    database: str
    """The URL of its database."""
    process: subprocess.Popen[bytes]
    log: Path
    config: Config
    """What it was told of its database and its documents."""

    def store(self) -> DocumentStore:
        """Open its documents beside it."""
        return documents.store_of(self.config)

    @property
    def url(self) -> str:
        """The root of the server."""
        return f"http://{self.host}:{self.port}"

    @property
    def registry_url(self) -> str:
        """Where the Document Registry answers."""
        return f"{self.url}/registry"

    @property
    def repository_url(self) -> str:
        """Where the Document Repository answers."""
        return f"{self.url}/repository"

    def stop(self) -> int:
        """Ask the server to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def configured(data: Path) -> Config:
    """Give the configuration of a deployment on a data folder that is told nothing else."""
    where = {**databases.options(data), **documents.options(data)}
    return Config.model_validate({"data": data, **where})


@contextmanager
def serving(data: Path, options: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve from a data folder until the block ends; ``options`` are XDS_ options by their name."""
    data.mkdir(parents=True, exist_ok=True)
    port = int((options or {}).get("port") or free_port())
    given = {"port": str(port), "data": str(data), "log_format": "json", "workers": "2"}
    given |= {**databases.options(data), **documents.options(data), **(options or {})}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDS_")}
    environment |= {f"XDS_{name.upper()}": value for name, value in given.items()}
    log = data / "server.log"
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "xds", "serve"], env=environment, stderr=stderr, stdout=stderr
        )
    database = given.get("database", Databases().url(data))
    where = {k: v for k, v in given.items() if k in ("data", "documents", "documents_options")}
    config = Config.model_validate({**where, "database": database})
    server = Server("127.0.0.1", port, data, database, process, log, config)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(server: Server) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.process.poll() is not None:
            break
        connection = http.client.HTTPConnection(server.host, server.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"the server did not start:\n{server.log.read_text()}")
