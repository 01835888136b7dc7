"""`xds verify` and `xds sweep`, on a folder of their own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests import databases
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.client import entry_of, submission_of
from xds.config import Config
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import DocumentEntry


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def domain(data: Path) -> Iterator[AffinityDomain]:
    opened = AffinityDomain.open(Config(data=databases.prepared(data), **databases.options(data)))
    yield opened
    opened.database.close()


def run(data: Path, *arguments: str) -> Result:
    command, *rest = arguments
    if "--database" not in rest and data.exists():
        rest += [
            part for name, value in databases.options(data).items() for part in (f"--{name}", value)
        ]
    return CliRunner().invoke(main, [command, "--data", str(data), *rest])


def provide(domain: AffinityDomain, content: bytes) -> DocumentEntry:
    entry = entry_of("P0001^^^&2.999.1.1&ISO", "text/plain")
    staged = domain.repository.stage([content])
    domain.repository.provide_and_register(submission_of([entry]), {entry.entry_uuid: staged})
    return entry


def stored_file(domain: AffinityDomain, data: Path, entry: DocumentEntry) -> Path:
    with domain.database.read() as connection:
        key = connection.execute(
            text("SELECT key FROM document WHERE unique_id = :it"), {"it": entry.unique_id}
        ).scalar_one()
    (found,) = (path for path in data.rglob("*") if path.name in (key, key[2:]))
    return found


def orphan(domain: AffinityDomain, data: Path, *, age: float) -> str:
    """Publish a document that is never registered, and make it look old."""
    before = {path for path in data.rglob("*") if path.is_file()}
    staged = domain.repository.stage([b"orphan"])
    domain.repository.store.publish([staged])
    (file,) = {path for path in data.rglob("*") if path.is_file()} - before
    os.utime(file, (time.time() - age,) * 2)
    return staged.key


def numbers(result: Result) -> dict[str, str]:
    """Read the table at the end."""
    return dict(line.split("\t") for line in result.stdout.splitlines()[-4:])


# --- verify --------------------------------------------------------------------------------------


def test_documents_as_they_were_are_found_good(domain: AffinityDomain, data: Path) -> None:
    provide(domain, b"one")
    provide(domain, b"three")
    result = run(data, "verify")
    assert result.exit_code == 0
    assert numbers(result) == {
        "documents read": "2 (8 bytes)",
        "damaged or missing": "0",
        "registered for this repository": "2",
        "not held as registered": "0",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"onf", "hash is"),
        (b"one.", "size is 4, registered is 3"),
        (None, "the document is missing"),
    ],
)
def test_a_document_that_changed_is_found(
    domain: AffinityDomain, data: Path, content: bytes | None, said: str
) -> None:
    provide(domain, b"good")
    entry = provide(domain, b"one")
    file = stored_file(domain, data, entry)
    file.chmod(0o600)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    result = run(data, "verify")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{entry.unique_id}\t{said}")
    assert numbers(result)["damaged or missing"] == "1"
    assert numbers(result)["not held as registered"] == "0"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM document", "registered, but this repository does not hold it"),
        ("UPDATE document_entry SET size = 9", "registered with size 9, held with 3"),
        ("UPDATE document_entry SET hash = 'ab'", "registered with hash ab, held with "),
    ],
)
def test_what_is_registered_and_not_held_is_found(
    domain: AffinityDomain, data: Path, change: str, said: str
) -> None:
    entry = provide(domain, b"one")
    with domain.database.write() as connection:
        connection.execute(text(change))
    result = run(data, "verify")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{entry.unique_id}\t{said}")
    assert numbers(result)["not held as registered"] == "1"


def test_a_hash_in_capitals_is_the_same_hash(domain: AffinityDomain, data: Path) -> None:
    provide(domain, b"one")
    with domain.database.write() as connection:
        connection.execute(text("UPDATE document_entry SET hash = upper(hash)"))
    assert run(data, "verify").exit_code == 0


# --- documents that were removed on request ------------------------------------------------------


def removed(data: Path, entry: DocumentEntry) -> None:
    """Remove a document as by ITI-86 where the entry may stay."""
    config = Config(data=data, remove_documents="any", **databases.options(data))
    domain = AffinityDomain.open(config)
    try:
        request = DocumentRequest(domain.repository.unique_id, entry.unique_id or "")
        domain.remove_documents([request], withheld=frozenset(), in_commit=lambda _: None)
    finally:
        domain.database.close()


def test_a_document_that_was_removed_is_not_missing(domain: AffinityDomain, data: Path) -> None:
    provide(domain, b"one")
    removed(data, provide(domain, b"three"))
    result = run(data, "verify")
    assert result.exit_code == 0
    assert "documents read\t1 (3 bytes)\n" in result.stdout
    assert "not held as registered\t0\n" in result.stdout
    assert result.stdout.endswith("removed on request, still registered\t1\n")


def test_what_a_crash_leaves_of_a_removed_document_is_swept(
    domain: AffinityDomain, data: Path
) -> None:
    provide(domain, b"one")
    entry = provide(domain, b"three")
    file = stored_file(domain, data, entry)
    removed(data, entry)
    assert not file.exists()
    file.write_bytes(b"three")  # as where the crash came between the commit and the deletion
    os.utime(file, (time.time() - 7200,) * 2)
    for arguments in (["--dry-run"], []):
        line, *more = run(data, "sweep", *arguments).stdout.splitlines()
        assert more == []
        assert line.endswith("\tremoved on request")
    assert not file.exists()


# --- sweep ---------------------------------------------------------------------------------------


def test_an_orphan_is_removed_and_nothing_else(domain: AffinityDomain, data: Path) -> None:
    provide(domain, b"one")
    old = orphan(domain, data, age=7200)
    young = orphan(domain, data, age=60)

    result = run(data, "sweep", "--dry-run")
    assert result.stdout.startswith(f"{old}\t6\t2:00:0")
    assert result.stderr == "1 orphaned document would be removed, 6 bytes.\n"
    assert {old, young} <= {stored.key for stored in domain.repository.store.list()}

    result = run(data, "sweep")
    assert result.stderr == "1 orphaned document removed, 6 bytes.\n"
    left = {stored.key for stored in domain.repository.store.list()}
    assert old not in left
    assert young in left
    assert run(data, "sweep", "--older-than", "10s", "--force").stdout.startswith(young)
    assert run(data, "verify").exit_code == 0


def test_what_was_left_while_arriving_is_removed(domain: AffinityDomain, data: Path) -> None:
    provide(domain, b"one")
    staged = domain.repository.stage([b"half"])
    result = run(data, "sweep", "--older-than", "0s", "--force")
    assert staged.key in result.stdout
    assert list(domain.repository.store.staged_leftovers()) == []


def test_beside_an_empty_database_nothing_is_removed(domain: AffinityDomain, data: Path) -> None:
    key = orphan(domain, data, age=7200)
    result = run(data, "sweep")
    assert result.exit_code == 1
    assert "none is in the index of this database" in result.stderr
    assert [stored.key for stored in domain.repository.store.list()] == [key]
    assert run(data, "sweep", "--force").exit_code == 0
    assert list(domain.repository.store.list()) == []


@pytest.mark.parametrize("command", ["verify", "sweep"])
def test_a_folder_without_a_database_stays_without(tmp_path: Path, command: str) -> None:
    result = run(tmp_path / "elsewhere", command)
    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no database {tmp_path}/elsewhere/registry.sqlite3.\n"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", ["verify", "sweep"])
def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path, command: str) -> None:
    (tmp_path / "documents").mkdir()
    result = run(tmp_path, command, "--database", f"sqlite:///{tmp_path}")
    assert result.exit_code == 1
    assert result.stderr == "Error: The database is not available: unable to open database file.\n"


def test_a_store_that_is_none_is_told(domain: AffinityDomain, data: Path) -> None:
    result = run(data, "verify", "--documents", "ftp://somewhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The document store is not available: documents: ")


@pytest.mark.parametrize("duration", ["1", "h", "1w", "-1h", "1.5h"])
def test_a_duration_is_a_number_and_a_unit(data: Path, duration: str) -> None:
    result = run(data, "sweep", "--older-than", duration)
    assert result.exit_code == 2
    assert "not a number of s, m, h or d" in result.stderr


def test_what_is_young_is_removed_by_force_only(domain: AffinityDomain, data: Path) -> None:
    provide(domain, b"one")
    key = orphan(domain, data, age=60)
    result = run(data, "sweep", "--older-than", "10s")
    assert result.exit_code == 2
    assert "--older-than is less than 300s" in result.stderr
    assert key in {stored.key for stored in domain.repository.store.list()}
    assert run(data, "sweep", "--older-than", "10s", "--dry-run").stdout.startswith(key)


def test_beside_the_index_of_other_documents_nothing_is_removed(
    domain: AffinityDomain, data: Path
) -> None:
    entry = provide(domain, b"one")
    stored_file(domain, data, entry).unlink()
    key = orphan(domain, data, age=7200)
    result = run(data, "sweep")
    assert result.exit_code == 1
    assert "none is in the index of this database" in result.stderr
    assert [stored.key for stored in domain.repository.store.list()] == [key]


@pytest.mark.parametrize("command", ["verify", "sweep"])
def test_a_folder_of_documents_that_is_not_there_is_not_made(
    domain: AffinityDomain, data: Path, tmp_path: Path, command: str
) -> None:
    provide(domain, b"one")
    result = run(data, command, "--documents", f"file://{tmp_path}/typo")
    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no folder of documents {tmp_path}/typo.\n"
    assert not (tmp_path / "typo").exists()
