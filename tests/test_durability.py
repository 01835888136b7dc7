"""Power fails: what was acknowledged, and what anybody was answered from, is on the disk.

The disk is simulated: of the write-ahead log it has what there was when a sync began that has
ended. SQLite's own syncs, which bring more to it, are not counted.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from bench import samples
from tests.databases import Databases
from tests.waiting import until
from xds.client import Fingerprint
from xds.database.access import Database
from xds.database.durability import CommitSync
from xds.database.errors import CommitUnknown
from xds.errors import TransactionFailure
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association
from xds.metadata.submission import Submission
from xds.registry import events
from xds.registry.events import Event, NewEvent
from xds.registry.registry import DocumentRegistry
from xds.registry.subscribers import EventReader, Reaction, Subscriber, introduce
from xds.registry.tables import patient

_COMMITS = 40
_LEAST_SEEN = 4
"""States of the disk at which somebody has read."""


def _name(number: int) -> str:
    return f"P{number}^^^&2.999.1.1&ISO"


@dataclass
class Disk:
    """What of a write-ahead log would outlast a failure of power."""

    log: Path
    synced: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sync(self, real: Callable[[int], None], descriptor: int) -> None:
        """Sync, and note what is on the disk since."""
        size = self.log.stat().st_size
        real(descriptor)
        with self.lock:
            self.synced = max(self.synced, size)

    def after_failure(self, length: int, folder: Path) -> set[str]:
        """Return the patients that are known when power failed with so much of the log synced."""
        folder.mkdir()
        database = self.log.with_name(self.log.name.removesuffix("-wal"))
        shutil.copy(database, folder / "registry.sqlite3")
        (folder / "registry.sqlite3-wal").write_bytes(self.log.read_bytes()[:length])
        with closing(Database(f"sqlite:///{folder}/registry.sqlite3")) as opened:
            return known(opened)


def known(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(patient.c.patient_id)))


def add(database: Database, number: int) -> None:
    with database.write() as connection:
        connection.execute(insert(patient), {"patient_id": _name(number)})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty registry on SQLite."""
    with Databases().opened(tmp_path) as opened:
        if not opened.is_sqlite:
            pytest.skip("a server sees to its own log")
        yield opened


@pytest.fixture
def disk(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk below it."""
    (log,) = tmp_path.glob("*.sqlite3-wal")
    simulated = Disk(log)
    real = os.fdatasync
    monkeypatch.setattr(
        "xds.database.durability.os.fdatasync", lambda one: simulated.sync(real, one)
    )
    return simulated


def test_what_was_acknowledged_outlasts_a_failure_of_power(
    database: Database, disk: Disk, tmp_path: Path
) -> None:
    acknowledged: list[tuple[int, str]] = []

    def write(number: int) -> None:
        add(database, number)
        acknowledged.append((disk.synced, _name(number)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(_COMMITS)))
    assert len(acknowledged) == _COMMITS
    for place, (length, name) in enumerate(acknowledged[::4]):
        assert name in disk.after_failure(length, tmp_path / str(place))


def test_nobody_is_answered_from_what_a_failure_of_power_would_undo(
    database: Database, disk: Disk, tmp_path: Path
) -> None:
    seen: dict[int, set[str]] = {}
    has_ended = threading.Event()

    def read() -> None:
        while not has_ended.is_set():
            found = known(database)
            seen[disk.synced] = found  # the last that was seen with so much on the disk

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        writing = [pool.submit(add, database, number) for number in range(_COMMITS)]
        for one in writing:
            one.result()
        further = count(_COMMITS)
        while len(seen) < _LEAST_SEEN and not any(one.done() for one in reading):
            add(database, next(further))
        has_ended.set()
        for one in reading:
            one.result()
    assert len(seen) >= _LEAST_SEEN
    for length, found in list(seen.items())[::4]:
        assert found <= disk.after_failure(length, tmp_path / str(length))


def test_a_refusal_is_not_undone_by_a_failure_of_power(
    database: Database, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = pytest.MonkeyPatch()
    never.setattr(CommitSync, "require_durable", lambda self: None)
    add(database, 1)  # whose writer died before it could sync
    never.undo()
    before = disk.synced
    with suppress(LookupError), database.write() as connection:
        assert list(connection.scalars(select(patient.c.patient_id))) == [_name(1)]
        raise LookupError
    assert disk.synced > before


def test_a_refusal_by_what_was_read_before_the_lock_is_not_undone(
    database: Database, disk: Disk
) -> None:
    registry = DocumentRegistry(database=database, has_updates=True)
    anna = samples.patient("anna")
    told = Fingerprint(1, "0" * 40)
    entry = samples.entry(1, samples.oid(), anna, told).updated(repository_unique_id="2.999.1.3")
    made = samples.submission(anna, samples.oid(), [entry]).with_uuids()
    registry.register(made)

    def replace() -> None:
        other = samples.entry(1, samples.oid(), anna, told).updated(
            repository_unique_id="2.999.1.3"
        )
        relation = Association.create(
            association_type=v.RPLC, source=other.id, target=made.document_entries[0].id
        )
        whole = samples.submission(anna, samples.oid(), [other]).objects
        registry.register(Submission((*whole, relation)).with_uuids())

    with pytest.MonkeyPatch.context() as unsynced:
        unsynced.setattr(CommitSync, "require_durable", lambda self: None)
        replace()  # whose writer died before it could sync
    before = disk.synced
    with pytest.raises(TransactionFailure, match="XDS"):
        replace()
    assert disk.synced > before


def test_many_writers_share_a_sync(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    monkeypatch.setattr("xds.database.durability.os.fdatasync", syncs.append)
    add(database, 1)
    assert len(syncs) == 1
    known(database)
    known(database)
    assert len(syncs) == 1, "what is on the disk is not synced again"


def test_a_look_waits_for_no_disk(database: Database, disk: Disk) -> None:
    with pytest.MonkeyPatch.context() as unsynced:
        unsynced.setattr(CommitSync, "require_durable", lambda self: None)
        add(database, 1)
    with database.look() as connection:
        assert list(connection.scalars(select(patient.c.patient_id))) == [_name(1)]
    assert disk.synced == 0
    assert known(database) == {_name(1)}
    assert disk.synced > 0, "whoever reads what was seen so waits for it"


def test_events_are_reacted_to_when_they_are_on_the_disk(database: Database, disk: Disk) -> None:
    synced: list[int] = []

    def react(_: Sequence[Event]) -> Reaction:
        synced.append(disk.synced)
        return Reaction()

    with pytest.MonkeyPatch.context() as unsynced:
        unsynced.setattr(CommitSync, "require_durable", lambda self: None)
        add(database, 1)
        with database.write() as connection:
            introduce(connection, "test", 0)
            happened = [NewEvent(events.PATIENT_ADDED, None, None, 1)]
            events.write(connection, happened, at=datatypes.now())
    size = disk.log.stat().st_size
    reader = EventReader(database, Subscriber("test", react, begins="first"))
    reader.start()
    until(lambda: bool(synced))
    reader.close()
    assert synced[0] >= size


def test_a_log_that_cannot_be_synced_leaves_the_outcome_unknown(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("xds.database.durability.os.fdatasync", fail)
    with pytest.raises(CommitUnknown, match="write-ahead log"):
        add(database, 1)


def test_processes_share_what_is_known_of_commits(tmp_path: Path) -> None:
    with (tmp_path / "writers").open("w+b") as file, (tmp_path / "db-wal").open("wb"):
        one, other = (CommitSync(file.fileno(), tmp_path / "db") for _ in range(2))
        one.begin()
        one.end()
        counters = list(other._counters)
        assert counters[0] == counters[1] == counters[2] + 1
        other.require_durable()
        assert len(set(one._counters)) == 1
        before = other.last()
        one.begin()  # and its process dies
        assert other.last() is None
        other.require_durable()
        assert one._counters[2] < one._counters[0], "it may have been committed, or not"
        other.end()
        assert one.last() == other.last() != before
        other.require_durable()
        assert len(set(one._counters)) == 1


def test_a_database_that_was_closed_keeps_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite3"
    with Databases().opened(tmp_path) as opened:
        if not opened.is_sqlite:
            pytest.skip("a server sees to its own files")
        add(opened, 1)
        assert _open_files_at(path)
    assert _open_files_at(path) == []


def _open_files_at(path: Path) -> list[str]:
    names = [_target(number) for number in os.listdir("/dev/fd")]
    return [name for name in names if name.startswith(str(path))]


def _target(number: str) -> str:
    try:
        return os.readlink(f"/dev/fd/{number}")
    except FileNotFoundError:  # the descriptor of the list itself
        return ""
