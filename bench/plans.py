"""How the database finds what a stored query asks for: no query may read a whole table."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final, Self

from sqlalchemy import Connection

from bench.deployment import Deployment
from bench.figures import Figure
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, Criterion
from xds.metadata.ebrim import Slot
from xds.registry import schema
from xds.registry.queries.parameters import CODE, LEVEL, TIME, Parameter
from xds.registry.queries.steps import StoredQuery
from xds.registry.queries.stored_queries import STORED_QUERIES, QueryRequest, ResultLimits, answer
from xds.registry.queries.visibility import Visibility
from xds.registry.tables import VALUES, association, document_entry, folder, patient, submission_set

_TABLES: Final = {
    table.name
    for table in (document_entry, submission_set, folder, association, patient, *VALUES.values())
}


def scans(database: Database, query: StoredQuery, visible: Criterion = ANYTHING) -> list[str]:
    """Return what the plans of a query scan, whichever of its parameters are given.

    ``visible`` is the demand on what the one who asks may see.
    """
    return _scanned(database, _statements(database, query, visible))


def scans_of(database: Database, reading: Callable[[Connection], object]) -> list[str]:
    """Return what the plans of the statements scan that are read on a connection."""
    seen: list[tuple[str, Any]] = []
    with database.read() as connection:
        noting: Any = _Noting(connection, seen)
        reading(noting)
    return _scanned(database, seen)


def _scanned(database: Database, statements: Iterable[tuple[str, Any]]) -> list[str]:
    scanned = _sqlite_scans if database.is_sqlite else _postgresql_scans
    distinct = {(statement, repr(parameters)): parameters for statement, parameters in statements}
    found: list[str] = []
    with database.read() as connection:
        for (statement, _), parameters in distinct.items():
            found += [one for one in scanned(connection, statement, parameters) if one in _TABLES]
    return found


def explained(database: Database, request: QueryRequest) -> str:
    """Return the plans of a query in the words of the database, which name the indexes used."""
    seen: list[tuple[str, Any]] = []
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.read() as connection:
        noting: Any = _Noting(connection, seen)
        answer(noting, request, ResultLimits(), Visibility.of(ANYTHING), has_updates=True)
        plans = [
            connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
            for statement, parameters in seen
        ]
    return "\n".join(str(row[-1]) for rows in plans for row in rows)


def _sqlite_scans(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    for kind, name, *_ in (row.detail.split() for row in plan):
        if kind == "SCAN":
            yield name


def _postgresql_scans(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    # where a table is small it is scanned though there is an index
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalars()
    steps = [one["Plan"] for one in plan]
    for step in steps:
        steps += step.get("Plans", [])
        conditions = {"Index Cond", "Recheck Cond"} & step.keys()
        if "Relation Name" in step and not conditions:
            yield step["Relation Name"]


def _statements(
    database: Database, query: StoredQuery, visible: Criterion
) -> Sequence[tuple[str, Any]]:
    """Ask the query in every form, and return the SELECTs that it came to."""
    seen: list[tuple[str, Any]] = []
    with database.read() as connection:
        noting: Any = _Noting(connection, seen)
        for has_updates in (False, True):
            for request in _requests(query, has_updates):
                sight = Visibility.of(visible)
                answer(noting, request, ResultLimits(), sight, has_updates=has_updates)
    return seen


class _Noting:
    """A connection for `xds.database.reading.fetch` that notes what it is asked."""

    def __init__(self, connection: Connection, seen: list[tuple[str, Any]]) -> None:
        self.dialect = connection.dialect
        self._driver = connection.connection
        self._seen = seen

    @property
    def connection(self) -> Self:
        """Be the driver's connection as well."""
        return self

    def cursor(self) -> Any:
        """Give a cursor that notes and does."""
        cursor = self._driver.cursor()

        def execute(statement: str, parameters: Any) -> object:
            self._seen.append((statement, parameters))
            return cursor.execute(statement, parameters)

        return SimpleNamespace(execute=execute, fetchall=cursor.fetchall, close=cursor.close)


def _requests(query: StoredQuery, has_updates: bool) -> Iterator[QueryRequest]:
    """Ask with each of the query's alternatives: with little else, with everything, with lists."""
    answered = [p for p in query.parameters if has_updates or not p.of_updates]
    known = {p.name for p in answered}
    alternatives = query.alternatives.names if query.alternatives else ()
    names = tuple(name for name in alternatives if name in known) or ("",)
    for name in names:
        possible = [p for p in answered if p.name == name or p.name not in names]
        needed = [p for p in possible if p.required or p.name == name]
        for parameters, values in ((needed, 1), (possible, 1), (needed, 5), (possible, 5)):
            slots = [Slot(p.name, _values(p, values if p.multiple else 1)) for p in parameters]
            yield QueryRequest(query.query_id, slots, v.LEAF_CLASS, query.transaction)


def _values(parameter: Parameter, count: int) -> tuple[str, ...]:
    return tuple(_value(parameter, number) for number in range(count))


def _value(parameter: Parameter, number: int) -> str:
    if parameter.kind is TIME:
        return "2026"
    if parameter.kind is LEVEL:
        return "2"
    texts = [letter * 8 for letter in "abcde"]
    if parameter.name.endswith("EntryUUID") or parameter.name == "$uuid":
        texts = [f"urn:uuid:{text}-2222-4333-8444-555555555555" for text in texts]
    elif parameter.name == "$AssociationTypes":
        texts = sorted(v.RELATIONSHIPS)
    elif parameter.kind is CODE:
        texts = [f"{text}^^b" for text in texts]
    elif parameter.kind.known:
        texts = sorted(parameter.kind.known)
    return f"('{texts[number % len(texts)]}')"


def plans(deployment: Deployment) -> Sequence[Figure]:
    """Count the stored queries that scan a table, by EXPLAIN; the yardstick is all queries."""
    database = Database(f"sqlite:///{deployment.folder / 'plans.sqlite3'}")
    try:
        schema.migrate(database)
        scanning = [query for query in STORED_QUERIES.values() if scans(database, query)]
    finally:
        database.close()
    return [Figure(len(scanning), len(STORED_QUERIES))]
