"""The client over TLS: it speaks to nobody whose certificate it cannot verify."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import create_server

import pytest

from tests.odd_server import envelope, http, query_response
from tests.waiting import PATIENCE
from xds.client import DocumentConsumer, Settings, TransportFailed, tls_context

PATIENT = "P0001^^^&2.999.1.1&ISO"
FOUND = http(envelope(query_response('<rim:ObjectRef id="urn:uuid:1"/>')))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for localhost that nobody has signed but its own key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        f"-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {file}.key -out {file}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    with file.open("a") as whole:
        whole.write(Path(f"{file}.key").read_text())
    return file


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """Serve one answer to every connection that gets through the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listening.accept()
                    with suppress(OSError), context.wrap_socket(plain, server_side=True) as sock:
                        sock.recv(65536)
                        sock.sendall(FOUND)
                        sock.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(2)
    thread.join(PATIENCE)


def test_tls_is_verified(certificate: Path, tls_port: int) -> None:
    trusting = Settings(tls=tls_context(str(certificate)))
    with DocumentConsumer(f"https://localhost:{tls_port}/", settings=trusting) as consumer:
        assert consumer.find_documents(PATIENT).object_refs
    for url, settings, said in (
        (f"https://localhost:{tls_port}/", Settings(), "a certificate that is not trusted"),
        (f"https://127.0.0.1:{tls_port}/", trusting, "a certificate that is not trusted"),
    ):
        with (
            DocumentConsumer(url, settings=settings) as consumer,
            pytest.raises(TransportFailed, match=said),
        ):
            consumer.find_documents(PATIENT)
