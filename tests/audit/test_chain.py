"""The hash chain of the records: whatever is done to them behind the program's back shows."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.databases import Databases
from xds.audit import anchor, chain, table, trail
from xds.audit import vocabulary as av
from xds.audit.chain import Break, Link, Verdict
from xds.audit.record import AuditRecord
from xds.audit.spool import Spool
from xds.audit.spool_mover import move, nobody
from xds.database.access import Database


@pytest.fixture(scope="module")
def shared(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("chain")) as opened:
        yield opened


@pytest.fixture
def database(shared: Database) -> Database:
    with shared.write() as connection:
        connection.execute(text("DELETE FROM audit_record"))
        connection.execute(text("DELETE FROM audit_chain"))
    return shared


def record(number: int = 0) -> AuditRecord:
    made = trail.of_application(av.APPLICATION_START)
    return replace(made, description=f"number {number}", patient_id=f"P{number}")


def ten(database: Database) -> Link:
    return chain.append(database, [record(number).json() for number in range(1, 11)])


def test_what_is_as_it_was_written(database: Database) -> None:
    end = ten(database)
    assert chain.append(database, [record(11).json()]).sequence == 11
    verdict = chain.verify(database, [end])
    assert verdict == Verdict(11, 0, verdict.end)
    assert verdict.end.sequence == 11


CHANGES: dict[str, tuple[str, int, str]] = {
    "a text": ("UPDATE audit_record SET record = replace(record, 'number 5', 'number 6') "
               "WHERE sequence = 5", 5, "changed"),
    "a column": ("UPDATE audit_record SET patient_id = 'P6' WHERE sequence = 5", 5, "changed"),
    "a time": ("UPDATE audit_record SET at = at - 1 WHERE sequence = 1", 1, "changed"),
    "an outcome": ("UPDATE audit_record SET outcome = 0 - outcome - 1 WHERE sequence = 10",
                   10, "changed"),
    "no record any more": ("UPDATE audit_record SET record = 'x' WHERE sequence = 3",
                           3, "changed"),
    "one removed": ("DELETE FROM audit_record WHERE sequence = 5", 5, "removed"),
    "the first removed": ("DELETE FROM audit_record WHERE sequence = 1", 1, "removed"),
    "several removed": ("DELETE FROM audit_record WHERE sequence IN (4, 5, 6)", 4, "removed"),
    "taken off the chain": ("UPDATE audit_record SET sequence = NULL, hash = NULL "
                            "WHERE sequence = 7", 7, "removed"),
    "the last removed": ("DELETE FROM audit_record WHERE sequence = 10", 10, "truncated"),
    "all removed": ("DELETE FROM audit_record", 1, "truncated"),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "number", "kind"), CHANGES.values(), ids=CHANGES)
def test_what_is_done_to_a_record_shows(
    database: Database, statement: str, number: int, kind: str
) -> None:
    end = ten(database)
    with database.write() as connection:
        connection.execute(text(statement))
    broken = chain.verify(database, [end]).broken
    assert broken is not None
    assert (broken.sequence, broken.kind) == (number, kind), broken


def moved_up(connection: Connection, first: int) -> None:
    """Number the records from one on anew, to make room for another."""
    for number in range(10, first - 1, -1):
        connection.execute(
            text(f"UPDATE audit_record SET sequence = {number + 1} WHERE sequence = {number}")
        )


def swapped(connection: Connection, one: int, other: int) -> None:
    for before, after in ((one, 99), (other, one), (99, other)):
        connection.execute(
            text(f"UPDATE audit_record SET sequence = {after} WHERE sequence = {before}")
        )


def put_in(connection: Connection) -> None:
    moved_up(connection, 5)
    row = table.row_of(record(50).json())
    table.insert_rows(connection, [row], [Link(4, "0" * 64).next(row[-1])])


@pytest.mark.parametrize(
    ("act", "number", "kind"),
    [
        (put_in, 5, "inserted"),
        (lambda connection: swapped(connection, 5, 6), 5, "reordered"),
        (lambda connection: swapped(connection, 3, 9), 3, "changed"),
    ],
    ids=["put in", "neighbours", "far apart"],
)
def test_what_is_done_to_the_order_shows(
    database: Database, act: Callable[[Connection], None], number: int, kind: str
) -> None:
    ten(database)
    with database.write() as connection:
        act(connection)
    broken = chain.verify(database).broken
    assert broken is not None
    assert (broken.sequence, broken.kind) == (number, kind), broken


def test_a_chain_that_was_made_anew_does_not_fit_what_was_noted(database: Database) -> None:
    end = ten(database)
    with database.write() as connection:
        connection.execute(text("DELETE FROM audit_record"))
    ten(database)
    assert chain.verify(database).broken is None, "which nobody could tell from the records alone"
    broken = chain.verify(database, [end]).broken
    assert broken is not None
    assert (broken.sequence, broken.kind) == (10, "changed")


def test_records_of_commits_are_chained_after_them(database: Database) -> None:
    ten(database)
    with database.write() as connection:
        table.insert(connection, [record(11).json()])
    with database.read() as connection:
        assert chain.has_unchained(connection)
    assert chain.append(database, []).sequence == 11
    with database.read() as connection:
        assert not chain.has_unchained(connection)
    assert chain.verify(database).chained == 11


def test_records_that_come_again_are_not_chained_twice(database: Database) -> None:
    told = [record(number).json() for number in range(3)]
    chain.append(database, told)
    assert chain.append(database, [*told, record(4).json(), *told]).sequence == 4
    assert chain.verify(database).chained == 4


def test_several_processes_write_one_chain(database: Database, tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        files = Spool(folder)
        for number in range(5):
            files.write([record(number), record(number)])
            with database.write() as connection:
                table.insert(connection, [record(number).json()])
            (spool_file,) = files.taken()
            move(database, spool_file, nobody)
            files.moved(spool_file)
        files.close()

    threads = [threading.Thread(target=work, args=(tmp_path / str(i),)) for i in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    chain.append(database, [])
    verdict = chain.verify(database)
    assert (verdict.chained, verdict.broken) == (60, None)


def test_records_of_before_the_chain_are_not_looked_at(database: Database) -> None:
    with database.write() as connection:
        table.insert(connection, [record(1).json(), record(2).json()])
        connection.execute(
            text("INSERT INTO audit_chain SELECT 'before', max(pk), '' FROM audit_record")
        )
    ten(database)
    verdict = chain.verify(database)
    assert (verdict.before, verdict.chained, verdict.broken) == (2, 10, None)


def test_old_records_leave_the_chain_from_its_beginning(database: Database) -> None:
    end = ten(database)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    with database.write() as connection:
        connection.execute(text("UPDATE audit_record SET shipped = true WHERE sequence <> 5"))
        assert chain.forget(connection, tomorrow) == 4
    verdict = chain.verify(database, [end])
    assert (verdict.chained, verdict.broken) == (6, None)
    with database.write() as connection:
        connection.execute(text("UPDATE audit_record SET shipped = true"))
        assert chain.forget(connection, tomorrow) == 6
    assert chain.append(database, [record(11).json()]).sequence == 11
    assert chain.verify(database).chained == 1
    with database.write() as connection:
        connection.execute(text("DELETE FROM audit_chain"))
    assert chain.verify(database).broken == Break(
        1, "removed", "records 1 to 10 of the chain: not there any more"
    )


def test_a_part_of_the_chain_is_verified_by_itself(database: Database) -> None:
    end = ten(database)
    with database.read() as connection:
        fourth = chain.link_before(connection, 5)
        assert chain.link_before(connection, 1) == chain.start(connection)
    assert fourth.sequence == 4
    part = chain.verify(database, [end], begin=fourth, most=3)
    assert (part.chained, part.end.sequence, part.broken, part.is_whole) == (3, 7, None, False)
    rest = chain.verify(database, [end], begin=part.end, most=3)
    assert (rest.chained, rest.end, rest.broken, rest.is_whole) == (3, end, None, True)
    elsewhere = chain.verify(database, [Link(2, "0" * 64)], begin=part.end)
    assert elsewhere.broken is not None
    assert elsewhere.broken.sequence == 2
    beyond = chain.verify(database, [Link(12, "0" * 64)], begin=part.end)
    assert beyond.broken == Break(
        11, "truncated", "the chain ends with record 10, and had 12 at least"
    )
    with database.write() as connection:
        connection.execute(text("UPDATE audit_record SET outcome = 12 WHERE sequence = 6"))
    broken = chain.verify(database, begin=fourth).broken
    assert broken is not None
    assert (broken.sequence, broken.kind) == (6, "changed")
    assert chain.verify(database, begin=part.end).broken is None


def test_the_end_that_a_machine_has_seen_only_grows(tmp_path: Path) -> None:
    assert anchor.noted(tmp_path) is None
    for sequence in (2, 1, 3):
        anchor.note(tmp_path, Link(sequence, str(sequence)))
    assert anchor.noted(tmp_path) == Link(3, "3")
    assert [path.name for path in tmp_path.iterdir()] == [anchor.FILE]
    (tmp_path / anchor.FILE).write_text("{")
    assert anchor.noted(tmp_path) is None
