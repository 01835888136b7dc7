"""docs/production.md, as it stands: its commands are run in its order, with other ports and places.

What a machine of its own would need is left out: the installation, and systemd.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.postgresql import QUICK, own_postgresql
from tests.serving import STOP_SECONDS
from tests.waiting import PATIENCE, until
from xds.config import load

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "production.md").read_text()


def blocks(heading: str) -> list[str]:
    """Return the indented blocks below a heading."""
    (below,) = re.findall(rf"(?ms)^## [0-9]+\. {heading}\n(.*?)(?=^## |\Z)", PAGE)
    found = re.findall(r"(?m)((?:^    .*\n|^\n(?=    ))+)", below)
    return [re.sub(r"(?m)^    ", "", one).strip("\n") for one in found if one.strip()]


class Walk:
    """The page's places and ports, and those of a test in their stead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "etc").mkdir()
        (folder / "backup").mkdir()
        self.instead = {
            "/etc/xds": f"{folder}/etc",
            "/var/lib/xds": f"{folder}/var",
            "/backup": f"{folder}/backup",
            "xds.hospital.example": "localhost",
            **{port: str(free_port()) for port in ("8443", "8444", "2575", "2576")},
        }

    def said(self, text: str) -> str:
        """Return a text of the page as it is for this test."""
        # all at once, as a free port may have the digits of one of the page's
        names = "|".join(map(re.escape, self.instead))
        return re.sub(names, lambda found: self.instead[found[0]], text)

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDS_")}
        return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}"}

    def run(self, command: str, *, code: int = 0) -> str:
        """Run a command of the page, and return what it wrote."""
        done = subprocess.run(
            ["bash", "-e", "-c", self.said(command)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout

    def add(self, options: str) -> None:
        """Add lines to the configuration."""
        with (self.folder / "etc" / "xds.toml").open("a") as file:
            file.write(self.said(options) + "\n")

    @contextmanager
    def serving(self, command: str, name: str) -> Iterator[Path]:
        """Run a server by a command of the page, from its `ready` until the block ends."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                self.said(f"{command} --workers 1 --host 127.0.0.1").split(),
                env=self.environment,
                stdout=written,
                stderr=written,
            )
        try:
            until(lambda: _is_ready(process, log))
            yield log
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    return b'"event": "ready"' in log.read_bytes()


@pytest.mark.slow
def test_the_configuration_is_one(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    walk.add(blocks("Configure")[0])
    config = load(file=tmp_path / "etc" / "xds.toml")
    assert config.tls_certificate == tmp_path / "etc" / "tls" / "server.pem"
    walk.add(blocks("TLS")[1])
    walk.add(blocks("From SQLite to PostgreSQL")[1])
    assert load(file=tmp_path / "etc" / "xds.toml").tls_client_certificates == "required"


@pytest.mark.slow
@pytest.mark.on_files
@pytest.mark.skipif(not shutil.which("curl"), reason="apt-get install curl")
def test_the_page_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    configuration, copy = blocks("Configure")
    walk.add(configuration)
    walk.run(copy)
    walk.run(blocks("TLS")[0])
    check, serve, health = blocks("Check and start")
    walk.run(check)

    with walk.serving(serve, "sqlite"):
        assert walk.run(health) == '{"status": "ready"}'
        _feed(walk)
        _documents(walk)
        walk.run(blocks("Backup of SQLite")[0])
    restore = blocks("Backup of SQLite")[1]
    walk.run(f"{restore} --data /var/lib/xds-again")
    assert (tmp_path / "var-again" / "registry.sqlite3").exists()

    with own_postgresql(QUICK) as server:
        walk.instead["postgresql://xds@db.hospital.example/xds"] = server.create("xds")
        moved, lines, verify = blocks("From SQLite to PostgreSQL")
        assert "document_entry\t1" in walk.run(moved)
        walk.add(lines)
        walk.run(verify)
        _two_processes(walk)

        dump, restore = blocks("Backup of PostgreSQL")
        programs = f"{server.programs}:{walk.environment['PATH']}"
        walk.run(f"export PATH={programs}; {dump}")
        shutil.rmtree(tmp_path / "var" / "documents")
        again = walk.instead["postgresql://xds@db.hospital.example/xds"] = server.create("again")
        documents, restored, verify = restore.splitlines()
        walk.run(f"export PATH={programs}; {documents}; {restored}")
        walk.run(f"{verify} --database {again}")


def _feed(walk: Walk) -> None:
    (python,) = blocks("The patient feed")
    assert len(python.splitlines()) == 5
    done = subprocess.run(
        [sys.executable, "-c", walk.said(python)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert "MSA|AA|1" in done.stdout, done.stderr


def _documents(walk: Walk) -> None:
    use, audit = blocks("A document")
    where, submit, find = use.splitlines()
    walk.run(f"{where}; {submit}")
    refused = walk.run(f"{where}; {submit.partition(' --class')[0]} 2>&1", code=1)
    assert "classCode" in refused
    assert "application/pdf" in walk.run(f"{where}; {find}")
    assert "ITI-41" in walk.run(audit)


def _two_processes(walk: Walk) -> None:
    first, second = blocks("Two processes")[0].splitlines()
    where, _, find = blocks("A document")[0].splitlines()
    with walk.serving(first, "first"), walk.serving(second, "second"):
        for port in ("8443", "8444"):
            assert "application/pdf" in walk.run(f"{where.replace('8443', port)}; {find}")
