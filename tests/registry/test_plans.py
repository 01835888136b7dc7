"""No stored query scans a table, whichever of its parameters are given."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from xds.database import Database
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Slot
from xds.registry.parameters import CODE, ENTRY_TYPE, STATUS, TIME, Parameter
from xds.registry.queries import STORED_QUERIES, QueryRequest
from xds.registry.registry import DocumentRegistry
from xds.registry.steps import StoredQuery

UUID = "urn:uuid:11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'registry.sqlite3'}")
    opened.create_tables()
    yield opened
    opened.close()


def value(parameter: Parameter) -> str:
    texts = {CODE: "'a^^b'", STATUS: f"'{v.APPROVED}'", ENTRY_TYPE: f"'{v.STABLE_DOCUMENT_ENTRY}'"}
    if parameter.kind is TIME:
        return "2026"
    named = UUID if parameter.name.endswith("EntryUUID") or parameter.name == "$uuid" else "a"
    if parameter.name == "$AssociationTypes":
        named = v.RPLC
    text = texts.get(parameter.kind, f"'{named}'")
    return f"({text})"


def requests(query: StoredQuery) -> Iterator[QueryRequest]:
    """Ask with each of the query's alternatives, first with little else, then with everything."""
    names = query.alternatives.names if query.alternatives else ("",)
    for name in names:
        possible = [p for p in query.parameters if p.name == name or p.name not in names]
        needed = [p for p in possible if p.required or p.name == name]
        for parameters in (needed, possible):
            slots = [Slot(p.name, (value(p),)) for p in parameters]
            yield QueryRequest(query.query_id, slots, v.LEAF_CLASS, query.transaction)


@pytest.mark.parametrize("query", STORED_QUERIES.values(), ids=lambda query: query.name)
def test_a_query_scans_no_table(database: Database, query: StoredQuery) -> None:
    statements: list[tuple[str, object]] = []

    def keep(
        _conn: object, _cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    with database.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", keep)
    registry = DocumentRegistry(database=database)
    for request in requests(query):
        registry.query(request)
    event.remove(connection.engine, "before_cursor_execute", keep)
    assert statements
    with database.read() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            tables = [row.detail for row in plan if row.detail.startswith("SCAN")]
            assert [t for t in tables if t.split()[1] in DATA] == [], statement


DATA = {"document_entry", "submission_set", "folder", "association", "patient"} | {
    f"{name}_value" for name in ("document_entry", "submission_set", "folder")
}
