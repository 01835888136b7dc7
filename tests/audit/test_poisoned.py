"""Records that a database might not take: none of them holds up another, and none is lost."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Databases
from xds.audit import searching, spool, trail
from xds.audit import vocabulary as av
from xds.audit.record import ActiveParticipant, AuditRecord, read_json
from xds.audit.searching import RecordFilter
from xds.audit.spool import SET_ASIDE, Spool
from xds.audit.spool_mover import move, nobody
from xds.database.access import Database
from xds.security.access import Access
from xds.security.details import RequestedDocument, RetrieveDetails
from xds.security.interceptors import Outcome

LONG = "".join(chr(0x4E00 + i * 7919 % 20_000) for i in range(9_000))
"""A text that no compression makes short enough for an index of PostgreSQL."""


@pytest.fixture(scope="module")
def database(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("poisoned")) as opened:
        yield opened


def record(**changes: object) -> AuditRecord:
    return replace(trail.of_application(av.APPLICATION_START), **changes)  # type: ignore[arg-type]


def moved(database: Database, folder: Path, records: Sequence[AuditRecord]) -> None:
    files = Spool(folder)
    files.write(records)
    (spool_file,) = files.taken()
    assert spool.oldest(folder) > 0
    move(database, spool_file, nobody)
    files.moved(spool_file)
    files.close()
    assert spool.oldest(folder) == 0


def found(database: Database, **wanted: Any) -> list[AuditRecord]:
    with database.read() as connection:
        return list(searching.search(connection, RecordFilter(**wanted), 10_000))


@pytest.mark.parametrize("text", ["a\0b", LONG, "a\ud800b"], ids=["NUL", "long", "half"])
def test_texts_that_no_column_takes_are_found_all_the_same(
    database: Database, tmp_path: Path, text: str
) -> None:
    poisoned = record(
        patient_id=text,
        node=text,
        description=text,
        actor=ActiveParticipant(user_id=text, user_name=text),
    )
    moved(database, tmp_path, [record(), poisoned, record()])
    asked = text.replace("\ud800", "\N{REPLACEMENT CHARACTER}")
    for wanted in ({"patient_ids": (asked,)}, {"user_id": asked}):
        (one,) = (one for one in found(database, **wanted) if one.id == poisoned.id)
        assert one.description == asked
    assert spool.count_set_aside(tmp_path) == 0


def test_a_record_that_is_not_taken_is_set_aside(database: Database, tmp_path: Path) -> None:
    before, after = record(), record()
    bad = [record(outcome=2**40), record(at="never"), record(id="of no\0database")]
    moved(database, tmp_path, [before, *bad, after])
    kept = {one.id for one in found(database)}
    assert {before.id, after.id} <= kept
    aside = [read_json(line) for line in (tmp_path / SET_ASIDE).read_bytes().splitlines()]
    assert spool.count_set_aside(tmp_path) == len(aside)
    assert not kept & {one["id"] for one in aside}
    assert {one.id for one in bad} == {one["id"] for one in aside} | (kept & {b.id for b in bad})
    assert (tmp_path / SET_ASIDE).stat().st_mode & 0o777 == 0o600


def test_documents_whose_patients_cannot_be_told_are_set_aside(
    database: Database, tmp_path: Path
) -> None:
    def whose(unique_ids: Sequence[str]) -> dict[str, list[str]]:
        if "bad" in unique_ids:
            raise ValueError("no such thing")
        return {one: ["P1"] for one in unique_ids}

    files = Spool(tmp_path)
    for name in ("good", "bad", "good"):
        access = Access(transaction="ITI-43")
        access.details = RetrieveDetails((RequestedDocument("2.999.1", name),))
        files.write(list(trail.records(access, Outcome())))
    (spool_file,) = files.taken()
    move(database, spool_file, whose)
    spool_file.close()
    files.close()
    (aside,) = map(json.loads, (tmp_path / SET_ASIDE).read_text().splitlines())
    assert [one["id"] for one in aside["things"]] == ["bad"]
    assert sum(one.things[0].id == "good" for one in found(database, patient_ids=("P1",))) == 2
