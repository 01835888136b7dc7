"""The embedded database's file: private, the one that was opened, one file after the server."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from tests.serving import serving
from xds import sqlite_file
from xds.database import sqlite as embedded
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.registry import schema
from xds.registry.tables import patient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "registry.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{path}")
    schema.migrate(opened)
    yield opened
    opened.close()


def add(database: Database, number: int) -> None:
    with database.write() as connection:
        connection.execute(insert(patient), {"patient_id": f"{number}^^^&2.999.1.1&ISO"})


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def replace(path: Path) -> None:
    other = path.with_name("other")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE patient (patient_id)")
    other.replace(path)


@pytest.mark.parametrize("happens", [move, Path.unlink, replace])
def test_nothing_is_written_to_a_file_that_nobody_finds_again(
    database: Database, path: Path, happens: object
) -> None:
    add(database, 1)
    assert callable(happens)
    happens(path)
    for attempt in (database.check, database.check_writing, lambda: add(database, 2)):
        with pytest.raises(DatabaseUnavailable, match="is not the file that was opened"):
            attempt()
    assert path.exists() == (happens is replace)  # it was not made anew, and empty


def test_a_file_that_is_put_back_is_used_again(database: Database, path: Path) -> None:
    move(path)
    with pytest.raises(DatabaseUnavailable):
        database.check()
    path.with_name("moved").rename(path)
    database.check()
    add(database, 1)


def test_proving_that_it_can_be_written_changes_nothing(database: Database) -> None:
    with database.read() as connection:
        before = connection.scalar(text("PRAGMA schema_version"))
    database.check_writing()
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA schema_version")) == before


def test_the_write_ahead_log_is_cut_once_readers_let_it(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_LOOK_EVERY", 4)
    monkeypatch.setattr(embedded, "_WAL_LIMIT", 1)
    monkeypatch.setattr(embedded, "_WAL_PATIENCE", 1)
    said: list[int] = []
    monkeypatch.setattr(embedded._log, "warning", lambda _, **more: said.append(more["bytes"]))
    with database.read() as reading:
        reading.execute(text("SELECT count(*) FROM patient"))
        for number in range(8):
            add(database, number)
        assert said == [said[0]]  # once a minute is enough
        assert 0 < said[0] <= (database.wal_bytes() or 0)
    for number in range(8, 12):
        add(database, number)
    assert (database.wal_bytes() or 0) < said[0]


def test_a_copy_is_one_file_and_has_what_was_committed(
    database: Database, path: Path, tmp_path: Path
) -> None:
    add(database, 1)
    target = tmp_path / "copy.sqlite3"
    with database.write() as connection:
        connection.execute(insert(patient), {"patient_id": "uncommitted"})
        sqlite_file.copy(path, target)
    with closing(sqlite3.connect(target)) as copied:
        assert copied.execute("SELECT patient_id FROM patient").fetchall() == [
            ("1^^^&2.999.1.1&ISO",)
        ]
    assert [found.name for found in tmp_path.glob("copy*")] == ["copy.sqlite3"]
    with pytest.raises(FileExistsError):
        sqlite_file.copy(path, target)


@pytest.mark.parametrize(
    ("url", "path_"),
    [
        ("sqlite:////var/lib/x.sqlite3", "/var/lib/x.sqlite3"),
        ("sqlite+pysqlite:////var/lib/x.sqlite3?timeout=3", "/var/lib/x.sqlite3"),
        ("sqlite:///x", f"{os.getcwd()}/x"),
        ("sqlite://", None),
        ("postgresql://host/name", None),
    ],
)
def test_the_file_of_a_url(url: str, path_: str | None) -> None:
    assert sqlite_file.path_of(url) == (None if path_ is None else Path(path_))


def test_a_name_with_characters_of_urls_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a b%41#c?d" / "x.sqlite3"
    Database(sqlite_file.url_of(path)).close()
    assert sqlite_file.path_of(sqlite_file.url_of(path)) == path
    assert path.is_file()


@pytest.mark.slow
def test_a_server_that_was_stopped_leaves_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.sqlite3"
    with serving(tmp_path, {"database": url}, processes=2) as server:
        wal = tmp_path / "registry.sqlite3-wal"
        assert wal.exists()
        server.process.terminate()
        server.process.wait()
        assert wal.exists()  # the other one has it open
    assert not wal.exists()
    assert not wal.with_name("registry.sqlite3-shm").exists()
