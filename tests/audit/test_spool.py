"""Records on the disk: what a crash leaves is read, whatever else it has cut off."""

from pathlib import Path

import pytest

from xds.audit import searching, trail
from xds.audit import vocabulary as av
from xds.audit.record import RecordJson
from xds.audit.spool import Spool, left_behind
from xds.audit.spool_mover import move, whole
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.registry import schema
from xds.security.access import Access
from xds.security.details import RequestedDocument, RetrieveDetails
from xds.security.interceptors import Outcome


def read(folder: Path) -> list[RecordJson]:
    found: list[RecordJson] = []
    for spool_file in left_behind(folder):
        found += whole(spool_file.lines())
        spool_file.close()
    return found


def test_a_record_behind_one_that_was_never_written_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first, second = (trail.of_application(av.APPLICATION_START) for _ in range(2))
    spool.write([first])
    spool._place(300)  # of a thread that is killed before it writes
    spool.write([second])
    spool.close()
    assert read(tmp_path) == [first.json(), second.json()]


def test_a_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    record = trail.of_application(av.APPLICATION_START)
    spool_file, offset = spool._place(300)
    spool_file.write(record.dump()[:100], offset)
    spool.write([record])
    spool.close()
    assert read(tmp_path) == [record.json()]


def test_records_wait_while_their_patients_cannot_be_asked_for(tmp_path: Path) -> None:
    def nobody_answers(_: object) -> dict[str, str]:
        raise DatabaseUnavailable("not now")

    database = Database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    schema.migrate(database)
    access = Access(transaction="ITI-43")
    access.details = RetrieveDetails((RequestedDocument("2.999.1", "2.999.2"),))
    spool = Spool(tmp_path / "audit")
    spool.write(list(trail.records(access, Outcome())))
    (spool_file,) = spool.taken()
    with pytest.raises(DatabaseUnavailable):
        move(database, spool_file, nobody_answers)
    assert len(list(spool_file.lines())) == 1
    spool_file.close()
    spool.close()
    database.close()


def test_a_retrieval_is_recorded_for_every_patient_that_a_document_is_of(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    schema.migrate(database)
    access = Access(transaction="ITI-43")
    documents = (RequestedDocument("2.999.1", f"2.999.2.{i}") for i in range(3))
    access.details = RetrieveDetails(tuple(documents))
    of = {"2.999.2.0": ["P1"], "2.999.2.1": ["P1", "P2"]}
    spool = Spool(tmp_path / "audit")
    spool.write(list(trail.records(access, Outcome())))
    (spool_file,) = spool.taken()
    move(database, spool_file, lambda _: of)
    with database.read() as connection:
        records = list(searching.search(connection, searching.RecordFilter(), 100))
    told = {one.patient_id: [thing.id for thing in one.things] for one in records}
    assert told == {
        "P1": ["2.999.2.0", "2.999.2.1"],
        "P2": ["2.999.2.1"],
        None: ["2.999.2.2"],
    }
    assert len(records) == 3
    spool_file.close()
    spool.close()
    database.close()


def test_patients_that_a_registry_elsewhere_has_told_are_recorded() -> None:
    access = Access(transaction="ITI-43")
    access.details = RetrieveDetails(
        (RequestedDocument("2.999.1", "2.999.2.1"),), {"2.999.2.1": ("P1", "P2")}
    )
    written = [one.patient_id for one in trail.records(access, Outcome())]
    assert written == ["P1", "P2"]
