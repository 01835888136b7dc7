"""A real server in a process of its own, for tests that go through the wire."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Server:
    """A served deployment: where it listens, where its state lies, and its process."""

    host: str
    port: int
    data: Path
    process: subprocess.Popen[bytes]
    log: Path

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


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def serving(data: Path, options: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve from a data folder until the block ends; ``options`` are XDS_ options by their name."""
    data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    given = {"port": str(port), "data": str(data), "log_format": "json", **(options or {})}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDS_")}
    environment |= {f"XDS_{name.upper()}": value for name, value in given.items()}
    log = data / "server.log"
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "xds", "serve"], env=environment, stderr=stderr, stdout=stderr
        )
    server = Server("127.0.0.1", port, data, process, log)
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
