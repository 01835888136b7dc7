"""A server that answers what a test tells it to, byte for byte, and remembers what it was asked."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.waiting import PATIENCE
from xds.metadata import vocabulary as v

SOAP = "application/soap+xml; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    connection: int
    head: str
    body: bytes

    def header(self, name: str) -> str | None:
        """Give the value of a header."""
        for line in self.head.split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None


@dataclass(slots=True)
class OddServer:
    """Answers the requests in the order in which they come; None closes without an answer."""

    answers: list[bytes | None]
    closing: bool = False
    """Whether to close after each answer."""
    requests: list[Request] = field(default_factory=list)
    has_closed: threading.Event = field(default_factory=threading.Event)
    """Set once a connection is closed."""
    url: str = field(init=False)
    _listening: socket.socket = field(
        init=False, default_factory=lambda: socket.create_server(("127.0.0.1", 0))
    )

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/xds"

    def run(self) -> None:
        """Take one connection after the other until the test is over."""
        for connection in range(1000):
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            with sock, sock.makefile("rb") as file, suppress(OSError):
                self._converse(connection, sock, file)
            self.has_closed.set()

    def _converse(self, connection: int, sock: socket.socket, file: BinaryIO) -> None:
        while (request := _read(connection, file)) is not None:
            self.requests.append(request)
            answer = self.answers.pop(0) if self.answers else None
            if answer is None:
                return
            sock.sendall(answer)
            if self.closing:
                return

    def stop(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def odd_server(*answers: bytes | None, closing: bool = False) -> Iterator[OddServer]:
    """Serve these answers until the block ends, which its clients have left by then."""
    server = OddServer(list(answers), closing)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)


def _read(connection: int, file: BinaryIO) -> Request | None:
    lines = []
    while line := file.readline().rstrip(b"\r\n"):
        lines.append(line.decode("latin-1"))
    if not lines:
        return None
    request = Request(connection, "\r\n".join(lines), b"")
    if request.header("Transfer-Encoding") == "chunked":
        return Request(connection, request.head, b"".join(_chunks(file)))
    length = int(request.header("Content-Length") or 0)
    return Request(connection, request.head, file.read(length))


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while size := int(file.readline(), 16):
        yield file.read(size)
        file.readline()
    file.readline()


# --- answers -------------------------------------------------------------------------------------


def http(
    body: bytes | str,
    content_type: str = SOAP,
    status: str = "200 OK",
    headers: Iterable[str] = (),
) -> bytes:
    """Make an answer of HTTP/1.1 with a Content-Length."""
    data = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(data)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


def envelope(body: str, namespace: str = v.NS_SOAP12) -> str:
    """Put a body into an envelope."""
    return f'<e:Envelope xmlns:e="{namespace}"><e:Header/><e:Body>{body}</e:Body></e:Envelope>'


def multipart(*parts: tuple[str, bytes], start: str | None = None) -> tuple[bytes, str]:
    """Make a multipart/related body of (Content-ID, bytes), and its content type."""
    pieces = [
        f"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <{content_id}>\r\n\r\n".encode()
        + data
        + b"\r\n"
        for content_id, data in parts
    ]
    named = f'; start="<{start}>"' if start else ""
    content_type = f'multipart/related; boundary=b; type="application/xop+xml"{named}'
    return b"".join([*pieces, b"--b--\r\n"]), content_type


def registry_response(status: str = v.SUCCESS, errors: str = "") -> str:
    """Make an ``rs:RegistryResponse``."""
    listed = f"<rs:RegistryErrorList>{errors}</rs:RegistryErrorList>" if errors else ""
    return (
        f'<rs:RegistryResponse xmlns:rs="{v.NS_RS}" status="{status}">'
        f"{listed}</rs:RegistryResponse>"
    )


def error(code: str, context: str, more: str = "") -> str:
    """Make an ``rs:RegistryError``."""
    return f'<rs:RegistryError errorCode="{code}" codeContext="{context}"{more}/>'


def query_response(objects: str = "", status: str = v.SUCCESS, errors: str = "") -> str:
    """Make a ``query:AdhocQueryResponse``."""
    return (
        f'<q:AdhocQueryResponse xmlns:q="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}" '
        f'xmlns:rs="{v.NS_RS}" status="{status}">{errors}'
        f"<rim:RegistryObjectList>{objects}</rim:RegistryObjectList></q:AdhocQueryResponse>"
    )


def document_response(unique_id: str, content: str) -> str:
    """Make an ``xds:DocumentResponse``; the content is base64 text or an Include."""
    return (
        "<x:DocumentResponse><x:RepositoryUniqueId>1.2</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId><x:mimeType>text/plain</x:mimeType>"
        f"<x:Document>{content}</x:Document></x:DocumentResponse>"
    )


def include(href: str) -> str:
    """Make an ``xop:Include``."""
    return f'<xop:Include xmlns:xop="{v.NS_XOP}" href="{href}"/>'


def retrieve_response(*documents: str, response: str | None = None) -> str:
    """Make an ``xds:RetrieveDocumentSetResponse``."""
    return (
        f'<x:RetrieveDocumentSetResponse xmlns:x="{v.NS_XDS}">'
        f"{response or registry_response()}{''.join(documents)}</x:RetrieveDocumentSetResponse>"
    )
