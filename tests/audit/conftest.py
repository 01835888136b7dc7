"""Fixtures of the tests of audit."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE, until

PACKAGES: Final = "rsyslog rsyslog-openssl"


@dataclass
class Rsyslog:
    """A real rsyslogd that writes each message that it receives by TCP to a line of a file."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        command = [
            "rsyslogd",
            "-n",
            "-f",
            str(self.folder / "conf"),
            "-i",
            str(self.folder / "pid"),
        ]
        (self.folder / "pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"rsyslogd did not start:\n{(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    @property
    def lines(self) -> list[str]:
        """What it has received, in its order."""
        path = self.folder / "received"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, count: int) -> list[str]:
        """Wait until it has received so many messages."""
        return until(lambda: self.lines, lambda found: len(found) >= count)


_MODE: Final = (
    ' StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid"'
)


def _of_tls(certificates: Path | None) -> str:
    if certificates is None:
        return ""
    if not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so")):
        pytest.skip(f"rsyslogd has no TLS here: apt-get install {PACKAGES}")
    files = {"CA": "authority.pem", "Cert": "server.pem", "Key": "server.key"}
    named = "".join(
        f' defaultNetstreamDriver{k}File="{certificates / v}"' for k, v in files.items()
    )
    return f' defaultNetstreamDriver="ossl"{named}'


@contextmanager
def rsyslog(folder: Path, certificates: Path | None = None) -> Iterator[Rsyslog]:
    """Run rsyslogd for the length of a block, by TLS with the certificates of a folder if given."""
    if shutil.which("rsyslogd") is None:
        pytest.skip(f"rsyslogd is not here: apt-get install {PACKAGES}")
    folder.mkdir(parents=True, exist_ok=True)
    running = Rsyslog(folder, free_port())
    work = folder / "work"
    work.mkdir(exist_ok=True)
    (folder / "conf").write_text(
        f'global(workDirectory="{work}" maxMessageSize="256k"{_of_tls(certificates)})\n'
        f'module(load="imtcp" maxSessions="20"{_MODE if certificates else ""})\n'
        f'input(type="imtcp" port="{running.port}" address="127.0.0.1")\n'
        'template(name="whole" type="string" string="%rawmsg%\\n")\n'
        f'action(type="omfile" file="{folder / "received"}" template="whole" sync="on")\n'
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Rsyslog]:
    """An rsyslogd of the test's own."""
    with rsyslog(tmp_path / "rsyslog") as running:
        yield running
