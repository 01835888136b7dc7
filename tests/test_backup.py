"""`xds backup` and `xds restore`: what was acknowledged comes back, and nothing is replaced."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.crash import Report, examine, submitted
from bench.steady import Steady
from tests.databases import prepared
from tests.serving import configured, serving
from tests.waiting import until_none_left
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.audit import audit_log
from xds.client import entry_of, submission_of
from xds.config import Config
from xds.metadata.objects import DocumentEntry

pytestmark = pytest.mark.on_files


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def domain(data: Path) -> Iterator[AffinityDomain]:
    opened = AffinityDomain.open(Config(data=prepared(data)))
    yield opened
    opened.close()


def provide(domain: AffinityDomain, content: bytes) -> DocumentEntry:
    entry = entry_of("P0001^^^&2.999.1.1&ISO", "text/plain")
    staged = domain.repository.stage([content])
    domain.repository.provide_and_register(submission_of([entry]), {entry.entry_uuid: staged})
    return entry


def tree(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_was_copied_comes_back(domain: AffinityDomain, data: Path, tmp_path: Path) -> None:
    entries = [provide(domain, content) for content in (b"one", b"three")]
    domain.repository.stage([b"still arriving"])
    audit_log.note_application(Config(data=data), starts=True)
    copy, again = tmp_path / "deep" / "copy", tmp_path / "again"

    made = run("backup", copy, "--data", data)
    assert made.exit_code == 0
    assert "documents copied\t2 (8 bytes)" in made.stdout
    assert made.stderr == f"The backup is in {copy}.\n"
    assert {path.name for path in copy.iterdir()} == {
        "registry.sqlite3", "documents", "audit", "backup.json"
    }  # fmt: skip
    for path in (copy, *copy.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    brought = run("restore", copy, "--data", again)
    assert brought.exit_code == 0
    assert run("verify", "--data", again).exit_code == 0
    restored = AffinityDomain.open(Config(data=again))
    try:
        for entry in entries:
            assert restored.repository.locate(entry.unique_id or "")
        assert restored.registry.patients_of_documents([entries[0].unique_id or ""])
    finally:
        restored.close()
    assert "application" in run("audit", "--data", again).stdout


def test_nothing_is_replaced(domain: AffinityDomain, data: Path, tmp_path: Path) -> None:
    provide(domain, b"one")
    copy = tmp_path / "copy"
    assert run("backup", copy, "--data", data).exit_code == 0
    before = tree(copy)
    again = run("backup", copy, "--data", data)
    assert again.exit_code == 2
    assert "is not empty" in again.stderr
    assert tree(copy) == before
    brought = run("restore", copy, "--data", data)
    assert brought.exit_code == 2
    assert "nothing is replaced" in brought.stderr


def test_what_is_damaged_is_told(domain: AffinityDomain, data: Path, tmp_path: Path) -> None:
    provide(domain, b"one")
    changed, lost = provide(domain, b"two"), provide(domain, b"three")
    for entry, content in ((changed, b"twp"), (lost, None)):
        found = domain.repository.locate(entry.unique_id or "")
        assert found
        path = data / "documents" / found.key[:2] / found.key
        path.unlink() if content is None else path.write_bytes(content)
    made = run("backup", tmp_path / "copy", "--data", data)
    assert made.exit_code == 1
    told = dict(line.split("\t")[:2] for line in made.stdout.splitlines())
    assert told[lost.unique_id or ""] == "the document is missing"
    assert told[changed.unique_id or ""].startswith("registered with size 3 and hash ")
    assert told["damaged or missing"] == "2"
    assert run("restore", tmp_path / "copy", "--data", tmp_path / "again").exit_code == 1


def test_a_copy_that_fails_leaves_nothing(data: Path, tmp_path: Path) -> None:
    data.mkdir()
    (data / "registry.sqlite3").write_bytes(b"no database" * 1000)
    made = run("backup", tmp_path / "copy", "--data", data)
    assert made.exit_code == 1
    assert "The database cannot be copied: file is not a database" in made.stderr
    assert not (tmp_path / "copy").exists()


def test_what_is_not_complete_is_not_brought_back(
    domain: AffinityDomain, data: Path, tmp_path: Path
) -> None:
    assert run("backup", tmp_path / "copy", "--data", data).exit_code == 0
    (tmp_path / "copy" / "backup.json").unlink()
    brought = run("restore", tmp_path / "copy", "--data", tmp_path / "again")
    assert brought.exit_code == 1
    assert "is no complete backup" in brought.stderr
    assert not (tmp_path / "again" / "registry.sqlite3").exists()


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (
            ["--database", "postgresql://xds@host/xds"],
            ["1. pg_dump --format=custom", "2. rsync -a"],
        ),
        (["--documents", "s3://bucket/prefix"], ["1. sqlite3 ", "2. aws s3 sync s3://bucket/"]),
        (["--documents", "az://box"], ["1. sqlite3 ", "2. rclone copy az://box/ FOLDER/"]),
    ],
)
def test_of_a_server_it_is_said_what_to_use(
    tmp_path: Path, options: list[str], steps: list[str]
) -> None:
    made = run("backup", tmp_path / "copy", "--data", tmp_path, *options)
    assert made.exit_code == 2
    assert all(step in made.stderr for step in steps)
    assert not (tmp_path / "copy").exists()
    (tmp_path / "copy").mkdir()
    brought = run("restore", tmp_path / "copy", "--data", tmp_path, *options)
    assert brought.exit_code == 2
    assert "3. xds verify" in brought.stderr


@pytest.mark.slow
def test_a_copy_under_load_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        load = Steady(server.url)
        with load.running(2):
            until_none_left(lambda: max(40 - len(load.acknowledged), 0))
            before = dict(load.acknowledged)
            assert run("backup", tmp_path / "copy", "--data", server.data).exit_code == 0
            assert load.wait_for(3)
        assert load.problems == []
    assert run("restore", tmp_path / "copy", "--data", tmp_path / "again").exit_code == 0
    report = Report(acknowledged=submitted(before))
    examine(configured(tmp_path / "again"), report)
    assert report.problems == []
    assert report.registered >= len(before) >= 40
    assert report.swept == 0
    with serving(tmp_path / "again"):
        assert run("verify", "--data", tmp_path / "again").exit_code == 0
