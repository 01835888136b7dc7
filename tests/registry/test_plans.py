"""No stored query scans a table, whichever of its parameters are given."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, Table, insert

from bench.plans import explained, scans, scans_of
from tests.databases import Databases
from xds.database.access import Database
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_18
from xds.metadata.criteria import And, Comparison, Not, Operator
from xds.metadata.ebrim import Slot, new_uuid
from xds.metadata.objects import DocumentEntry, SubmissionSet
from xds.metadata.submission import Submission
from xds.registry.queries.steps import StoredQuery
from xds.registry.queries.stored_queries import STORED_QUERIES, QueryRequest
from xds.registry.tables import document_entry, folder, patient
from xds.registry.versions.known import known_of_update

PATIENTS, ENTRIES = 1_000, 10_000
"""Enough for a server to prefer its indexes by what it counts."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("plans")) as opened:
        if not opened.is_sqlite:
            with opened.write() as connection:
                populate(connection)
        yield opened


def populate(connection: Connection) -> None:
    """Fill the tables by PostgreSQL itself."""
    times = "20260101, 20260101, ''"
    patients = f"SELECT 'P' || n FROM generate_series(1, {PATIENTS}) AS n"
    numbers = f"generate_series(1, {ENTRIES}) AS n"
    some = f"1 + n % {PATIENTS}"
    for statement in (
        f"INSERT INTO patient (patient_id) {patients}",
        "INSERT INTO document_entry (entry_uuid, availability_status, object_type, patient, "
        "unique_id, logical_id, version, class_code, healthcare_facility_type_code, "
        "registered_at, last_updated_at, fragment) SELECT gen_random_uuid(), 0, 0, "
        f"{some}, '2.999.3.' || n, gen_random_uuid(), 1, 'c' || n % 90, 'f' || n % 90, {times} "
        f"FROM {numbers}",
        "INSERT INTO submission_set (entry_uuid, availability_status, patient, unique_id, "
        "source_id, submission_time, registered_at, last_updated_at, fragment) SELECT "
        f"gen_random_uuid(), 0, {some}, '2.999.2.' || n, '2.999', 20260101, {times} FROM {numbers}",
        "INSERT INTO folder (entry_uuid, availability_status, patient, unique_id, logical_id, "
        "version, last_update_time, registered_at, last_updated_at, fragment) SELECT "
        f"gen_random_uuid(), 0, {some}, '2.999.4.' || n, gen_random_uuid(), 1, 20260101, {times} "
        f"FROM {numbers}",
        "INSERT INTO association (entry_uuid, availability_status, association_type, source, "
        "target, fragment) SELECT gen_random_uuid(), 0, 0, submission_set.entry_uuid, "
        "document_entry.entry_uuid, '' FROM document_entry JOIN submission_set USING (pk)",
        *(
            f"INSERT INTO {table}_value SELECT pk, a, 'v' || pk % 900 "
            f"FROM {table}, generate_series(0, 4) AS a"
            for table in ("document_entry", "submission_set", "folder")
        ),
        "ANALYZE",
    ):
        connection.exec_driver_sql(statement.replace("%", "%%"))


@pytest.mark.parametrize("query", STORED_QUERIES.values(), ids=lambda query: query.name)
def test_a_query_scans_no_table(database: Database, query: StoredQuery) -> None:
    assert scans(database, query) == []


@pytest.mark.parametrize("query", STORED_QUERIES.values(), ids=lambda query: query.name)
def test_a_policy_of_codes_makes_no_query_scan_a_table(
    database: Database, query: StoredQuery
) -> None:
    normal = Comparison("confidentiality_code", Operator.EQUAL, ("N^^2.16.840.1.113883.5.25",))
    mental_health = Comparison("class_code", Operator.EQUAL, ("c7", "c8"))
    assert scans(database, query, And(normal, Not(mental_health))) == []


@pytest.mark.parametrize("versions", [1, 2])
@pytest.mark.parametrize("of_sets", [False, True])
def test_an_update_scans_no_table(database: Database, versions: int, of_sets: bool) -> None:
    patient_id = "P1^^^&2.999.1.1&ISO"
    new = [
        ebrim.changed(
            DocumentEntry.create(
                entry_uuid=f"Document{number}", unique_id=f"2.999.3.{number}", patient_id=patient_id
            ),
            lid=new_uuid(),
        )
        for number in range(versions)
    ]
    submission_set = SubmissionSet.create(entry_uuid="SubmissionSet", unique_id="2.999.2.1")
    update = Submission((submission_set, *new))

    def read(connection: Connection) -> None:
        known_of_update(connection, update, of_sets=of_sets)

    assert scans_of(database, read) == []


# --- versions ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_many_versions(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Iterator[Database]:
    """Patients with ten documents and ten Folders, each of 50 versions."""
    with databases.opened(tmp_path_factory.mktemp("versions")) as opened:
        with opened.write() as connection:
            for number in range(10):
                connection.execute(insert(patient), {"patient_id": f"P{number}^^^&2.999.1.1&ISO"})
            for table in (document_entry, folder):
                connection.execute(insert(table), list(_versions(table)))
            connection.exec_driver_sql("ANALYZE")
        yield opened


def _versions(table: Table) -> Iterator[dict[str, Any]]:
    for owner, number in product(range(10), range(10)):
        logical_id = new_uuid()
        for version in range(1, 51):
            row = {
                "entry_uuid": new_uuid(),
                "availability_status": v.APPROVED if version == 50 else v.DEPRECATED,
                "patient": owner + 1,
                "unique_id": f"2.999.3.{owner}.{number}",
                "logical_id": logical_id,
                "version": version,
                "is_latest": int(version == 50),
                "registered_at": "2026",
                "last_updated_at": "2026",
                "fragment": b"<rim:ExtrinsicObject/>" * 50,
            }
            if table is folder:
                yield {**row, "last_update_time": "2026"}
            else:
                yield {**row, "object_type": v.STABLE_DOCUMENT_ENTRY}


@pytest.mark.parametrize(
    ("query", "table", "prefix"),
    [
        (v.FIND_DOCUMENTS, "document_entry", "$XDSDocumentEntry"),
        (v.FIND_FOLDERS, "folder", "$XDSFolder"),
    ],
)
def test_versions_before_the_latest_are_not_read(
    of_many_versions: Database, query: str, table: str, prefix: str
) -> None:
    slots = [
        Slot(f"{prefix}PatientId", ("'P3^^^&2.999.1.1&ISO'",)),
        Slot(f"{prefix}Status", (f"('{v.APPROVED}','{v.DEPRECATED}')",)),
    ]

    def plan(*more: Slot) -> str:
        request = QueryRequest(query, [*slots, *more], v.LEAF_CLASS, ITI_18.name)
        return explained(of_many_versions, request)

    of_latest, of_all = plan(), plan(Slot("$MetadataLevel", ("2",)))
    assert f"ix_{table}_latest" in of_latest
    assert f"ix_{table}_patient" not in of_latest
    assert f"ix_{table}_latest" not in of_all


def test_a_scan_would_be_seen(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_document_entry_value_event_code_list")
    named = {query.name: query for query in STORED_QUERIES.values()}
    assert scans(database, named["FindDocumentsForMultiplePatients"]) != []
