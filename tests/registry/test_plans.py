"""No stored query scans a table, whichever of its parameters are given."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from bench.plans import scans
from tests.databases import Databases
from xds.database import Database
from xds.metadata.criteria import And, Comparison, Not, Operator
from xds.registry.queries import STORED_QUERIES
from xds.registry.steps import StoredQuery

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


def test_a_scan_would_be_seen(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_document_entry_value_event_code_list")
    named = {query.name: query for query in STORED_QUERIES.values()}
    assert scans(database, named["FindDocumentsForMultiplePatients"]) != []
