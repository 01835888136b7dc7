"""Posting to many URLs: what is asked for at which path, by which connections."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from xds.outgoing.http_sender import Poster
from xds.outgoing.transport import HttpRequest, Settings
from xds.url_allowlist import Target

Came = list[tuple[str, str, int, str]]
"""Method and path of each request, the port of the client, and the Host."""


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[int, Came]]:
    """A server that takes everything: its port, and what it was asked."""
    came: Came = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            host = self.headers["Host"] or ""
            came.append((self.command, self.path, self.client_address[1], host))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, came
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "below", "expected"),
    [
        ("", "", "/"),
        ("/", "", "/"),
        ("/a", "", "/a"),
        ("/a/", "", "/a/"),
        ("/a?b=c%2F1&d", "", "/a?b=c%2F1&d"),
        ("?b", "", "/?b"),
        ("/a", "List/1", "/a/List/1"),
        ("/a/", "List/1", "/a/List/1"),
        ("/a?b", "List/1", "/a/List/1?b"),
        ("", "List/1", "/List/1"),
    ],
)
def test_urls_of_one_server_share_a_connection(
    asked: tuple[int, Came], path: str, below: str, expected: str
) -> None:
    port, came = asked
    came.clear()
    poster = Poster(Settings())
    for url in (f"http://127.0.0.1:{port}/first", f"HTTP://127.0.0.1:{port}{path}"):
        message = HttpRequest(
            content_type="text/plain", length=1, blocks=[b"x"], method="PUT", path=below
        )
        poster.post(Target.parse(url), message)
    poster.close()
    (_, _, first, _), (method, got, second, host) = came
    assert (method, got, host) == ("PUT", expected, f"127.0.0.1:{port}")
    assert first == second


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://Host:80/a", "http://host"),
        ("https://host:443", "https://host"),
        ("https://host:80/", "https://host:80"),
        ("http://[::1]:8080/a?b", "http://[::1]:8080"),
    ],
)
def test_the_port_of_the_scheme_is_left_out(url: str, server: str) -> None:
    assert Target.parse(url).server == server
