"""Another server, which has documents under /docs and a secret beside them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Accept")))  # type: ignore[attr-defined]
        match self.path.partition("?")[0]:
            case "/docs/note":
                self._answer(b"a note")
            case "/docs/patient":
                self._answer(
                    b'{"resourceType":"Patient","identifier":'
                    b'[{"system":"urn:oid:2.999.1.1","value":"M4001"}]}'
                )
            case "/docs/moved":
                self._redirect("/docs/note")
            case "/docs/away":
                self._redirect("/secret")
            case "/docs/abroad":
                self._redirect("http://192.0.2.1/docs/note")
            case "/docs/circle":
                self._redirect("/docs/circle")
            case "/docs/chunked":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            case "/docs/broken":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            case _:
                self.send_error(404)

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _redirect(self, location: str) -> None:
        self.send_response(302)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Elsewhere(ThreadingHTTPServer):
    """Another server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has enough hangs up, which is no error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving_elsewhere() -> Iterator[Elsewhere]:
    """Serve for as long as the block lasts."""
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
