"""A sweep and a submission meet: whichever comes second sees the first, whatever their clocks."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.databases import Databases
from xds.client import entry_of, submission_of
from xds.database.access import Database, InCommit
from xds.errors import RegistryError, TransactionFailure, XDSRepositoryBusy
from xds.metadata.submission import Submission
from xds.repository import index, maintenance
from xds.repository.filesystem import FilesystemStore
from xds.repository.repository import DocumentRepository

NOW = timedelta(0)


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path) as opened:
        yield opened


class House:
    """A repository, and what happens between the publication of documents and their commit."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.repository = DocumentRepository(
            unique_id="2.999.1.31",
            database=database,
            store=FilesystemStore(folder),
            register=self._register,
        )

    def _register(
        self, _submission: Submission, in_commit: InCommit, *_: object
    ) -> Sequence[RegistryError]:
        self.meanwhile()
        with self.repository.database.write() as connection:
            in_commit(connection)
        return ()

    def provide(self) -> str:
        entry = entry_of("S0001^^^&2.999.1.1&ISO", "text/plain")
        staged = self.repository.stage([b"text"])
        self.repository.provide_and_register(submission_of([entry]), {entry.entry_uuid: staged})
        return staged.key

    def sweep(self) -> list[str]:
        return [one.key for one in maintenance.sweep(self.repository, older_than=NOW)]

    def stored(self) -> set[str]:
        return {one.key for one in self.repository.store.list()}


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path / "documents")


def test_what_a_sweep_has_removed_is_not_acknowledged(house: House) -> None:
    kept = house.provide()
    house.meanwhile = house.sweep
    with pytest.raises(TransactionFailure) as refused:
        house.provide()
    assert [type(error) for error in refused.value.errors] == [XDSRepositoryBusy]
    assert house.stored() == {kept}
    house.meanwhile = lambda: None
    again = house.provide()
    assert house.stored() == {kept, again}


def test_what_is_swept_while_it_arrives_is_not_acknowledged(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = FilesystemStore.publish

    def sweep_first(store: FilesystemStore, staged: Any) -> None:
        assert house.sweep() == [one.key for one in staged]
        publish(store, staged)

    monkeypatch.setattr(FilesystemStore, "publish", sweep_first)
    with pytest.raises(TransactionFailure) as refused:
        house.provide()
    assert [type(error) for error in refused.value.errors] == [XDSRepositoryBusy]


def test_what_is_committed_once_a_sweep_has_looked_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = house.repository.stage([b"orphan"])
    house.repository.store.publish([orphan])
    committed: list[str] = []

    def sweep_has_looked() -> None:
        pages = [page for page in maintenance._orphans(house.repository, NOW) if page]
        committed.extend(one.key for page in pages for one in page)
        house.meanwhile = lambda: None
        monkeypatch.setattr(maintenance, "_orphans", lambda *_: pages)

    house.meanwhile = sweep_has_looked
    key = house.provide()
    assert key in committed  # the sweep has seen it, and no row of it
    assert house.sweep() == [orphan.key]
    assert house.stored() == {key}


def test_a_clock_that_is_days_ahead_sweeps_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = house.repository.stage([b"orphan"])
    house.repository.store.publish([orphan])
    ahead = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: ahead)
    hour = timedelta(hours=1)
    assert list(maintenance.sweep(house.repository, older_than=hour)) == []
    assert house.sweep() == [orphan.key]


def test_notes_of_what_was_swept_go_with_the_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noted() -> int:
        with house.repository.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(index.swept)) or 0

    monkeypatch.setattr(index, "_NOTED_SECONDS", -1)
    for _ in range(3):
        house.repository.store.publish([house.repository.stage([b"orphan"])])
        assert len(house.sweep()) == 1
        assert noted() == 1


def test_the_clock_leaves_nothing_in_the_store(house: House, tmp_path: Path) -> None:
    before = house.repository.store.now()
    assert abs(before.timestamp() - time.time()) < 60
    assert [path for path in (tmp_path / "documents").rglob("*") if path.is_file()] == []
