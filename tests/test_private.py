"""What the server makes, others can neither read nor change, whatever the umask."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import Server, serving
from xds.affinity_domain import AffinityDomain
from xds.client import Content, DocumentSource, entry_of, submission_of
from xds.config import Config

MAKES_ALL = {"audit": "on", "async_reply_to": "http://127.0.0.1:9/replies", "mllp_port": "0"}


@contextmanager
def umask(number: int) -> Iterator[None]:
    """Have what is started in a block inherit a umask."""
    before = os.umask(number)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """Name what others may read, write or enter, or the owner may not."""
    found = [folder, *folder.rglob("*")]
    assert len(found) > 1
    return [
        f"{path}: {stat.filemode(path.stat().st_mode)}"
        for path in found
        if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)
    ]


def xds(server: Server, *arguments: str) -> None:
    """Run a command on the data of a server."""
    place = ["--data", str(server.data)]
    subprocess.run([sys.executable, "-m", "xds", *arguments, *place], check=True)


def submit(server: Server) -> None:
    entry = entry_of("P0001^^^&2.999.1.1&ISO", "text/plain")
    with DocumentSource(server.repository_url) as source:
        content = {entry.entry_uuid: Content((b"text",), 4)}
        source.provide_and_register(submission_of([entry]), content)


@pytest.mark.parametrize("number", [0o000, 0o077])
def test_what_a_process_makes_is_private(tmp_path: Path, number: int) -> None:
    data = tmp_path / "parent" / "data"
    config = Config(data=data, audit="on")
    with umask(number):
        domain = AffinityDomain.open(config, serves=True)
        try:
            entry = entry_of("P0001^^^&2.999.1.1&ISO", "text/plain")
            staged = {entry.entry_uuid: domain.repository.stage([b"text"])}
            domain.repository.provide_and_register(submission_of([entry]), staged)
            domain.repository.stage([b"still arriving"])
            assert open_to_others(data.parent) == []
        finally:
            domain.close()
    assert open_to_others(data.parent) == []


@pytest.mark.slow
@pytest.mark.on_files
@pytest.mark.parametrize("number", [0o000, 0o077])
def test_what_the_server_makes_is_private(tmp_path: Path, number: int) -> None:
    data = tmp_path / "parent" / "data"
    with umask(number), serving(tmp_path, {**MAKES_ALL, "data": str(data)}) as server:
        submit(server)
        for command in ("verify", "sweep", "audit"):
            xds(server, command)
        names = {path.name for path in data.iterdir()}
        assert names >= {"registry.sqlite3", "registry.sqlite3-wal", "documents", "audit"}
        assert open_to_others(data.parent) == []
    assert open_to_others(data.parent) == []


@pytest.mark.parametrize("number", [0o000, 0o077])
def test_certificates_for_trials_are_private(tmp_path: Path, number: int) -> None:
    with umask(number):
        subprocess.run(
            [sys.executable, "-m", "xds", "certs", str(tmp_path / "new" / "tls")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    assert open_to_others(tmp_path / "new") == []
