"""No stored query scans a table, whichever of its parameters are given."""

from collections.abc import Iterator

import pytest

from bench.plans import scans
from xds.database import Database
from xds.registry.queries import STORED_QUERIES
from xds.registry.steps import StoredQuery


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'registry.sqlite3'}")
    opened.create_tables()
    yield opened
    opened.close()


@pytest.mark.parametrize("query", STORED_QUERIES.values(), ids=lambda query: query.name)
def test_a_query_scans_no_table(database: Database, query: StoredQuery) -> None:
    assert scans(database, query) == []


def test_a_scan_would_be_seen(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_document_entry_value_event_code_list")
    named = {query.name: query for query in STORED_QUERIES.values()}
    assert scans(database, named["FindDocumentsForMultiplePatients"]) != []
