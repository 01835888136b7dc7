"""A server that demands users, shared by the tests of this folder."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers.shared import SharedServers
from tests.serving import Server
from tests.vouching import vouching


class _Keys(BaseHTTPRequestHandler):
    """Answers every GET with the keys of the tokens' issuer."""

    def do_GET(self) -> None:
        body = json.dumps({"keys": vouching().jwks()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def keys_url() -> Iterator[str]:
    """Where the keys of an issuer of tokens are served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Keys) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()


@pytest.fixture(scope="session")
def guarded(shared_servers: SharedServers, keys_url: str) -> Server:
    """A server on which users are required, but for some transactions, and all is recorded."""

    def options(data: Path) -> dict[str, str]:
        return vouching().options(
            data / "trust",
            keys_url,
            user_assertions_of="ITI-42=off ITI-43=optional ITI-66=off ITI-78=optional",
            audit="on",
            trusted_proxies="127.0.0.0/30",
        )

    return shared_servers("guarded", options)
