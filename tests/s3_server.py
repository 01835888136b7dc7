"""A real S3 server for tests: OpenStack Swift with its s3api, started in a temporary folder.

    python -m tests.s3_server      starts one and says how to use it, until Ctrl-C

It needs Debian's packages, which start nothing by themselves; `.ci/run` installs them:

    apt-get install --no-install-recommends PACKAGES

Another server is used where XDS_TEST_S3_URL names a bucket of it, such as s3://bucket/prefix; how
it is reached is then in the variables of the AWS command line: AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and for plain http AWS_ALLOW_HTTP=true.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from tests.ports import free_port
from tests.waiting import PATIENCE

PACKAGES: Final = "swift swift-proxy swift-account swift-container swift-object memcached"
ACCESS_KEY: Final = "test:tester"
SECRET_KEY: Final = "testing"
PART: Final = 5 << 20
"""The least size of a part that S3 allows, for tests of large documents."""
ELSEWHERE: Final = "XDS_TEST_S3_URL"
MISSING: Final = (
    f"no S3 server: as root on Debian, apt-get install --no-install-recommends {PACKAGES}; "
    f"or let {ELSEWHERE} name a bucket (see tests/s3_server.py)"
)

_PYTHON: Final = "/usr/bin/python3"
_BUCKET: Final = "documents"
_KINDS: Final = ("proxy", "account", "container", "object")


class NoServer(Exception):
    """There is no S3 server here, and none can be started."""


@dataclass(frozen=True, slots=True)
class S3:
    """Where tests may keep objects."""

    url: str
    """A bucket, or a part of one."""
    options: Mapping[str, str]
    """How it is reached, as in the option documents_options."""
    server: "Swift | None" = None
    """The server where it is the tests' own, which may be stopped."""

    def fresh_url(self) -> str:
        """Give the URL of a place without objects."""
        return f"{self.url}/{uuid4().hex}"

    def environment(self) -> Mapping[str, str]:
        """Give the options as the variables of the AWS command line."""
        names = {"endpoint": "ENDPOINT_URL"}
        return {f"AWS_{names.get(k, k.upper())}": v for k, v in self.options.items()}

    @property
    def option_text(self) -> str:
        """The options as one text."""
        return " ".join(f"{name}={value}" for name, value in self.options.items())


class Swift:
    """One Swift, its objects below a folder: it may be stopped, and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where S3 is spoken."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        script = Path(__file__).with_name("swift_server.py")
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [_PYTHON, str(script), str(self.folder), str(self.port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.stop()
            raise RuntimeError(f"Swift did not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """End all of its processes at once, as a machine does that fails."""
        if self._process is not None:
            self._process.communicate()  # it ends when its standard input does
            self._process = None

    def put_container(self, name: str, headers: Mapping[str, str] | None = None) -> None:
        """Make a bucket, or change one, in Swift's own protocol: S3's requests are signed."""
        self._ask("PUT", name, headers or {})

    def list_container(self, name: str) -> list[str]:
        """List what lies in a bucket, which is none where it is not there."""
        try:
            return self._ask("GET", name, {}).decode().split()
        except urllib.error.HTTPError:
            return []

    def _ask(self, method: str, name: str, headers: Mapping[str, str]) -> bytes:
        asked = urllib.request.Request(
            f"{self.endpoint}/auth/v1.0",
            headers={"X-Auth-User": ACCESS_KEY, "X-Auth-Key": SECRET_KEY},
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE) as granted:
            url, token = granted.headers["X-Storage-Url"], granted.headers["X-Auth-Token"]
        given = {"X-Auth-Token": token, **headers}
        request = urllib.request.Request(f"{url}/{name}", method=method, headers=given)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            body: bytes = answer.read()
            return body

    def options(self) -> Mapping[str, str]:
        """Tell how it is reached."""
        return {
            "endpoint": self.endpoint,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": "us-east-1",
            "allow_http": "true",
        }


@contextmanager
def s3_server() -> Iterator[S3]:
    """Give the server that XDS_TEST_S3_URL names, or start one; NoServer where neither can be."""
    if elsewhere := os.environ.get(ELSEWHERE):
        yield S3(elsewhere.rstrip("/"), {})
        return
    if not is_installed():
        raise NoServer(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="xds-s3-"))
    swift = Swift(folder)
    try:
        swift.start()
        swift.put_container(_BUCKET)
        yield S3(f"s3://{_BUCKET}", swift.options(), swift)
    finally:
        swift.stop()
        shutil.rmtree(folder)


def is_installed() -> bool:
    """Whether Swift and memcached are here."""
    programs = ("memcached", *(f"swift-{kind}-server" for kind in _KINDS))
    return os.path.exists(_PYTHON) and all(map(shutil.which, programs))


def main() -> None:
    """Serve until Ctrl-C, or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with s3_server() as found:
        print(f"XDS_DOCUMENTS={found.url}\nXDS_DOCUMENTS_OPTIONS='{found.option_text}'", flush=True)
        while found.server:
            time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except NoServer as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        pass
