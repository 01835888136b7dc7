"""Searches of the audit records: right page by page, and by the index of what is searched for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, text

from tests.databases import Databases
from xds.audit import chain, searching, trail
from xds.audit import vocabulary as av
from xds.audit.record import ActiveParticipant, AuditRecord, ParticipantObject
from xds.audit.searching import RecordFilter
from xds.database.access import Database

_BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
_RECORDS: Final = 3_000
_FILTERS: Final = {
    "everything": (RecordFilter(), "ix_audit_record_at"),
    "a patient": (RecordFilter(patient_ids=("P0",)), "ix_audit_record_of_patient"),
    "a rare patient": (RecordFilter(patient_ids=("P1",)), "ix_audit_record_of_patient"),
    "patients": (RecordFilter(patient_ids=("P0", "P1", "P7")), "ix_audit_record_of_patient"),
    "nobody": (RecordFilter(patient_ids=("P?",)), "ix_audit_record_of_patient"),
    "a user": (RecordFilter(user_id="U0"), "ix_audit_record_of_user"),
    "a transaction": (RecordFilter(transaction="ITI-18"), "ix_audit_record_of_transaction"),
    "no such transaction": (RecordFilter(transaction="?"), "ix_audit_record_of_transaction"),
    "failed": (RecordFilter(failed=True), "ix_audit_record_of_failure"),
    "done": (RecordFilter(failed=False), "ix_audit_record_at"),
    "failed transaction": (
        RecordFilter(failed=True, transaction="ITI-43"),
        "ix_audit_record_of_failure",
    ),
    "document of patients": (
        RecordFilter(patient_ids=("P0", "P1"), documents=("D0", "D5")),
        "ix_audit_record_of_patient",
    ),
    "user, transaction, done": (
        RecordFilter(user_id="U0", transaction="ITI-18", failed=False),
        "ix_audit_record_of_user",
    ),
    "patient and time": (
        RecordFilter(patient_ids=("P0",), since="2026-03-01T00:05", until="2026-03-01T00:10"),
        "ix_audit_record_of_patient",
    ),
}
"""What is searched for, and the index that has it: what is frequent is old."""


def made() -> list[AuditRecord]:
    """Return records of which many have the same moment, and the oldest the same patient."""
    chance = Random(1)
    base = trail.of_application(av.APPLICATION_START)
    found = []
    for number in range(_RECORDS):
        is_old = number < _RECORDS // 3
        user = "U0" if is_old else f"U{chance.randrange(1, 9)}"
        document = ParticipantObject(
            type_code=2, role=3, id=f"D{chance.randrange(9)}", id_type=av.REPORT_NUMBER
        )
        one = replace(
            base,
            id=str(number),
            at=(_BEGIN + timedelta(seconds=number // 3)).isoformat(timespec="milliseconds"),
            transaction=chance.choice(("ITI-18", "ITI-18", "ITI-43")),
            outcome=chance.choice((0, 0, 0, 4)),
            patient_id="P0" if is_old and number % 2 else f"P{chance.randrange(1, 500)}",
            actor=ActiveParticipant(user_id=user, user_name=user),
            things=(document,),
        )
        found.append(one)
    return found


@pytest.fixture(scope="module")
def records() -> list[AuditRecord]:
    return made()


@pytest.fixture(scope="module")
def database(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, records: list[AuditRecord]
) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("searching")) as opened:
        chain.append(opened, [one.json() for one in records])
        yield opened


@pytest.mark.parametrize("name", _FILTERS)
def test_pages_have_what_fits_newest_first(
    database: Database, records: list[AuditRecord], name: str
) -> None:
    wanted, _ = _FILTERS[name]
    with database.read() as connection:
        expected = [one.id for one in searching.search(connection, wanted, _RECORDS)]
    assert sorted(expected) == sorted(one.id for one in records if fits(one, wanted))
    found: list[str] = []
    position = None
    for _ in range(_RECORDS):
        with database.read() as connection:
            page = searching.page(connection, wanted, 70, position, looked_at=200)
        assert len(page.records) <= 70
        found += [one.id for one in page.records]
        position = page.next
        if position is None:
            break
    assert found == expected


def fits(one: AuditRecord, wanted: RecordFilter) -> bool:
    """Tell whether a record is searched for, by the record alone."""
    return (
        (not wanted.patient_ids or one.patient_id in wanted.patient_ids)
        and (not wanted.documents or one.things[0].id in wanted.documents)
        and wanted.user_id in (None, one.actor and one.actor.user_id)
        and wanted.transaction in (None, one.transaction)
        and wanted.failed in (None, one.outcome > 0)
        and (wanted.since is None or one.at >= wanted.since)
        and (wanted.until is None or one.at < wanted.until)
    )


@pytest.mark.parametrize("name", _FILTERS)
@pytest.mark.parametrize("has_statistics", [False, True])
def test_a_search_reads_by_its_index(database: Database, name: str, has_statistics: bool) -> None:
    wanted, index = _FILTERS[name]
    statistics(database, has_statistics)
    with database.read() as connection, noted(connection) as seen:
        searching.page(connection, wanted, 50)
        if not database.is_sqlite:  # a table of three thousand rows is scanned else
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        plan = [
            str(row[-1])
            for statement, values in list(seen)
            if "audit_record" in statement
            for row in connection.exec_driver_sql(f"{explain} {statement}", values)
        ]
    read = [line for line in plan if "audit_record" in line and "Key" not in line]
    assert read
    assert all(index in line for line in read if "ndex" in line or "INDEX" in line), plan
    assert not any("Bitmap" in line for line in plan), plan


def statistics(database: Database, has_them: bool) -> None:
    """Have the database know how often each value is, or nothing of that."""
    with database.administer() as connection:
        if has_them:
            connection.execute(text("ANALYZE audit_record"))
        elif database.is_sqlite:
            connection.execute(text("DROP TABLE IF EXISTS sqlite_stat1"))
        else:
            connection.execute(
                text("DELETE FROM pg_statistic WHERE starelid = 'audit_record'::regclass")
            )
        connection.commit()


@contextmanager
def noted(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """Note the statements of a connection within a block, with their values."""
    seen: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, values: Any, *___: object) -> None:
        seen.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", note)
