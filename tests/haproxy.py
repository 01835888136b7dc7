"""HAProxy for tests: a real proxy that ends TLS and tells the server behind it which node asks.

It is one of Debian's packages, which `.ci/run` installs.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Final

from tests.certificates import Files
from tests.ports import free_port
from tests.waiting import PATIENCE

PACKAGES: Final = "haproxy"
MISSING: Final = f"no HAProxy: as root on Debian, apt-get install {PACKAGES}"

# as docs/security.md tells deployments to write it
CONFIGURATION: Final = """\
{people}defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend nodes
    bind 127.0.0.1:{port} ssl crt {pem} ca-file {authority} crl-file {crl} verify optional
    http-request del-header ClientCertificate
    acl verified ssl_c_verify 0
    http-request set-header ClientCertificate %[ssl_c_der,base64] if {{ ssl_c_used }} verified
    http-request set-header ClientAddress %[src]
{rules}    default_backend xds
backend xds
    server xds 127.0.0.1:{behind}
"""


def is_installed() -> bool:
    """Whether HAProxy is here."""
    return program() is not None


def program() -> str | None:
    """Tell where HAProxy is."""
    return shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")


@contextmanager
def haproxy(
    folder: Path, files: Files, behind: int, *, people: str = "", rules: str = ""
) -> Iterator[int]:
    """Run HAProxy before a server at a port of this machine, and give its own port.

    ``people`` are sections before all others, ``rules`` lines of the frontend.
    """
    pem = folder / "haproxy.pem"
    pem.write_bytes(
        (files.folder / "server.pem").read_bytes() + (files.folder / "server.key").read_bytes()
    )
    port = free_port()
    file = folder / "haproxy.cfg"
    file.write_text(
        CONFIGURATION.format(
            port=port,
            pem=pem,
            authority=files.authority,
            crl=files.crl,
            behind=behind,
            people=people,
            rules=rules,
        )
    )
    command = [program() or "haproxy", "-db", "-f", str(file)]
    with (
        (folder / "haproxy.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _wait(process, port, folder / "haproxy.log")
            yield port
        finally:
            process.terminate()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise RuntimeError(f"HAProxy did not start:\n{log.read_text()}")
