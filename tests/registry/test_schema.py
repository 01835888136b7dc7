"""The schema: made, upgraded with data in it, refused where it does not fit the program."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from sqlalchemy import Connection, Table, delete, inspect, literal, select, text, update

from tests.databases import Databases
from tests.registry import released
from tests.registry.test_identities import submission
from tests.registry.wire import World
from tests.waiting import PATIENCE
from xds.__main__ import main
from xds.commands.maintenance.copy_database import import_tables
from xds.database.access import Database
from xds.database.statements import METADATA
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.ebrim import Slot
from xds.metadata.objects import Association, DocumentEntry
from xds.registry import schema
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.registry import DocumentRegistry
from xds.registry.schema import HEAD, OURS, Migrations, SchemaMismatch
from xds.registry.storage.fragments import FoundObject, parsed
from xds.registry.storage.refilling import refill
from xds.registry.storage.rows import prepared
from xds.registry.tables import (
    SEARCH_VERSIONS,
    TABLES,
    VALUES,
    document_entry,
    document_entry_value,
)
from xds.repository import index

FIRST = Migrations(head=released.REVISION)
OLD = World(1)
"""The world of what was released."""

ADDED = f"{HEAD.partition('.')[0]}.99"
"""A later revision that only adds."""
ADDING = """
import sqlalchemy as sa
from alembic import op

revision = "{added}"
down_revision = "{head}"


def upgrade():
    op.add_column("document_entry", sa.Column("colour", sa.Text, server_default="blue"))
    if op.get_context().dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            op.create_index(
                "ix_colour", "document_entry", ["colour"], postgresql_concurrently=True
            )
    else:
        op.create_index("ix_colour", "document_entry", ["colour"])
"""
BREAKING = """
from alembic import op

revision = "99.0"
down_revision = "{added}"


def upgrade():
    op.rename_table("event", "happening")
"""


@pytest.fixture
def empty(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    """A database without tables."""
    opened = Database(databases.empty(tmp_path))
    yield opened
    opened.close()
    databases.drop(tmp_path)


@pytest.fixture
def later(tmp_path: Path) -> Callable[[str], Migrations]:
    """Steps of later programs: one that only adds, and one that does not."""
    folder = tmp_path / "later"
    folder.mkdir()
    (folder / f"v{ADDED.replace('.', '_')}.py").write_text(ADDING.format(head=HEAD, added=ADDED))
    (folder / "v99_0.py").write_text(BREAKING.format(added=ADDED))
    return lambda head: Migrations(head, (*OURS.folders, folder))


def stamp(database: Database, revision: str) -> None:
    with database.write() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))


# --- made ----------------------------------------------------------------------------------------


def test_the_steps_lead_to_the_tables_that_the_program_knows(empty: Database) -> None:
    schema.migrate(empty)
    import_tables()

    def compared(_thing: object, name: str, kind: str, reflected: bool, _to: object) -> bool:
        # on a server, tables of values have an index in place of their primary key
        of_values = kind == "index" and str(name).endswith("_value")
        return not (of_values and reflected)

    with empty.administer() as connection:
        options: dict[str, Any] = {"include_object": compared, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


_PARTIAL: Final = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'",
    "postgresql": (
        "SELECT indexname, indexdef FROM pg_indexes "
        "WHERE schemaname = current_schema() AND indexdef LIKE '% WHERE %'"
    ),
}


def partial_indexes(connection: Connection) -> dict[str, str]:
    """Return the definition of each index that has a condition, which Alembic does not compare."""
    rows = connection.execute(text(_PARTIAL[connection.dialect.name]))
    return {name: " ".join(definition.split()) for name, definition in rows}


def test_the_steps_lead_to_indexes_of_the_same_rows(empty: Database) -> None:
    schema.migrate(empty)
    import_tables()
    with empty.administer() as connection:
        migrated = partial_indexes(connection)
        for one in (one for table in METADATA.tables.values() for one in table.indexes):
            if one.dialect_options[connection.dialect.name]["where"] is not None:
                one.drop(connection)
                one.create(connection)
        assert partial_indexes(connection) == migrated


def test_the_program_is_made_for_the_last_step() -> None:
    files = [file for folder in OURS.folders for file in folder.glob("v*.py")]
    revisions = [file.stem.removeprefix("v").replace("_", ".") for file in files]
    assert max(revisions, key=lambda one: tuple(map(int, one.split(".")))) == HEAD
    assert released.REVISION in revisions


def test_an_embedded_database_is_made_and_a_servers_is_not(empty: Database) -> None:
    assert schema.current(empty) is None
    if empty.is_sqlite:
        schema.prepare(empty)
        assert schema.current(empty) == HEAD
    else:
        with pytest.raises(SchemaMismatch) as refused:
            schema.prepare(empty)
        assert str(refused.value) == (
            f"the database has no schema yet, and this program needs {HEAD}: run `xds migrate` "
            "first"
        )
        assert schema.current(empty) is None


@pytest.mark.slow
def test_several_may_migrate_at_once(empty: Database, tmp_path: Path, databases: Databases) -> None:
    url = databases.url(tmp_path)
    others = [Database(url) for _ in range(3)]
    barrier = Barrier(4)

    def migrate(database: Database) -> str | None:
        barrier.wait(PATIENCE)
        return schema.migrate(database)[0]

    with ThreadPoolExecutor(4) as threads:
        before = list(threads.map(migrate, [empty, *others]))
    for other in others:
        other.close()
    assert sorted(map(str, before)) == [*[HEAD] * 3, "None"]
    assert DocumentRegistry(database=empty).events() == []


# --- upgraded ------------------------------------------------------------------------------------


@pytest.fixture
def old(empty: Database) -> Database:
    """A database of the first released schema, with data in it."""
    schema.migrate(empty, FIRST)
    with empty.administer() as connection:
        released.load(connection)
        connection.commit()
    return empty


def entries(registry: DocumentRegistry, patient_id: str) -> list[FoundObject]:
    slots = [
        Slot("$XDSDocumentEntryPatientId", (f"'{patient_id}'",)),
        Slot("$XDSDocumentEntryStatus", (f"('{v.APPROVED}','{v.DEPRECATED}')",)),
    ]
    return registry.query(QueryRequest(v.FIND_DOCUMENTS, slots), ANYTHING).objects


def count(database: Database, table: Table) -> int:
    with database.read() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table.name}")) or 0


def test_what_the_first_released_program_wrote_is_served(old: Database) -> None:
    before, after = schema.migrate(old)
    assert (before, after) == (released.REVISION, HEAD)
    registry = DocumentRegistry(database=old)
    found = entries(registry, OLD.patient(1))
    assert {one.availability_status for one in found} == {v.APPROVED, v.DEPRECATED}
    (comprehensive,) = (one for one in parsed(found) if one.id == OLD.uuid(10))
    assert isinstance(comprehensive, DocumentEntry)
    assert comprehensive.patient_id == OLD.patient(1)
    assert entries(registry, OLD.patient(4)) == []  # merged into 2
    assert len(entries(registry, OLD.patient(2))) == 1
    events = registry.events()
    assert [one.number for one in events] == sorted({one.number for one in events})
    assert "patient merged" in {one.kind for one in events}
    (document,) = index.every(old)
    assert document.mime_type == "text/plain"


@pytest.mark.slow
def test_what_the_first_released_program_wrote_can_be_built_upon(old: Database) -> None:
    schema.migrate(old)
    registry = DocumentRegistry(database=old)
    with pytest.raises(TransactionFailure) as refused:
        registry.register(submission(OLD, "iti42/several_documents"))
    assert "XDSDuplicateUniqueIdInRegistry" in str(refused.value)
    last = registry.events()[-1].number
    registry.register(submission(OLD, "iti42/folder_update"))
    told = registry.events(last)
    assert "content updated" in {one.kind for one in told}
    assert told[0].number == last + 1


def searched(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Read what is searched of every object: each column of a declared attribute, and values."""
    found = {}
    with database.read() as connection:
        for kind, table in TABLES.items():
            names = [name for name in kind.indexes() if name in table.c]
            wanted = [table.c[name] for name in ("pk", *sorted(names))]
            found[table.name] = [tuple(r) for r in connection.execute(select(*wanted))]
        for table in VALUES.values():
            rows = connection.execute(select(table.c.owner, table.c.attribute, table.c.value))
            found[table.name] = sorted(tuple(row) for row in rows)
    return found


def registered_anew(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return what registering the objects of a database now would have written of them."""
    given = {"availability_status", "last_update_time", "patient_id"}  # by the registry
    there = searched(database)
    with database.read() as connection:
        for kind, table in TABLES.items():
            names = sorted(name for name in kind.indexes() if name in table.c)
            rows = connection.execute(select(table.c.pk, table.c.entry_uuid, table.c.fragment))
            texts, parts = {}, []
            for row in rows:
                one = FoundObject(kind, row.pk, row.entry_uuid, None, v.APPROVED)
                ends = {}
                if kind is Association:
                    query = select(table.c.source, table.c.target).where(table.c.pk == row.pk)
                    ends = dict(connection.execute(query).mappings().one())
                (thing,) = parsed([one._replace(fragment=row.fragment, **ends)])
                ready = prepared(thing, "20260101")
                texts[row.pk] = ready.row
                parts += [(row.pk, name, value) for name, value in ready.values]
            types = {name: table.c[name].type for name in names}
            there[table.name] = [
                (
                    pk,
                    *(
                        old if name in given else as_read(types[name], texts[pk][name], connection)
                        for name, old in zip(names, rest, strict=True)
                    ),
                )
                for pk, *rest in there[table.name]
            ]
            if table.name in VALUES:
                there[VALUES[table.name].name] = sorted(parts)
    return there


def as_read(kind: Any, value: Any, connection: Connection) -> Any:
    """Return a value as it is read back from a column of a type."""
    return connection.scalar(select(literal(value, kind)))


SEARCHED: Final = {
    ("submission_set", 0): (
        "author availability_status content_type_code entry_uuid further_codes "
        "further_identifiers home_community_id patient_id source_id submission_time unique_id"
    ),
    ("document_entry", 2): (
        "author author_institution availability_status class_code confidentiality_code "
        "creation_time document_availability entry_uuid event_code_list format_code "
        "further_codes further_identifiers hash healthcare_facility_type_code "
        "home_community_id logical_id object_type patient_id practice_setting_code "
        "reference_id_list repository_unique_id service_start_time service_stop_time size "
        "source_patient_id title type_code unique_id"
    ),
    ("folder", 0): (
        "availability_status code_list entry_uuid further_codes further_identifiers "
        "home_community_id last_update_time logical_id patient_id unique_id"
    ),
}
"""What is searched of the objects of each table, by the search version of the table."""


def test_what_is_searched_is_that_of_its_search_version() -> None:
    """An attribute more at the same version would never be found of what is registered before."""
    found = {
        (table.name, SEARCH_VERSIONS[table.name]): " ".join(sorted(kind.indexes()))
        for kind, table in TABLES.items()
        if table.name in SEARCH_VERSIONS
    }
    assert found == SEARCHED


@pytest.mark.slow
def test_an_upgraded_database_has_what_registering_anew_would_write(old: Database) -> None:
    schema.migrate(old)
    assert searched(old) == registered_anew(old)


@pytest.mark.slow
def test_what_an_older_program_registers_during_an_upgrade_is_refilled(old: Database) -> None:
    schema.migrate(old)
    DocumentRegistry(database=old).register(submission(World(2), "iti42/several_authors"))
    whole = searched(old)
    assert whole == registered_anew(old)
    assert "author_institution" in {row[1] for row in whole["document_entry_value"]}
    optional = {c.name: None for c in document_entry.c if c.nullable and c.name != "fragment"}
    with old.write() as connection:  # as a program that knows nothing of what is searched
        connection.execute(update(document_entry).values(search_version=0, **optional))
        connection.execute(delete(document_entry_value))
    assert searched(old) != whole
    schema.prepare(old)  # the start of any program
    assert searched(old) == whole
    with old.read() as connection:
        versions = set(connection.scalars(select(document_entry.c.search_version)))
    assert versions == {SEARCH_VERSIONS["document_entry"]}


@pytest.mark.slow
def test_several_refill_at_once(old: Database, tmp_path: Path, databases: Databases) -> None:
    schema.migrate(old)
    whole = searched(old)
    with old.write() as connection:
        connection.execute(update(document_entry).values(search_version=0, title=None))
    others = [Database(databases.url(tmp_path)) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        counts = list(threads.map(refill, others))
    for other in others:
        other.close()
    assert sum(counts) == len(whole["document_entry"])
    assert searched(old) == whole


def test_a_later_step_keeps_the_data(old: Database, later: Callable[[str], Migrations]) -> None:
    before = count(old, document_entry)
    assert schema.migrate(old, later(ADDED)) == (released.REVISION, ADDED)
    with old.administer() as connection:
        colours = set(connection.scalars(text("SELECT colour FROM document_entry")))
        indexes = {one["name"] for one in inspect(connection).get_indexes("document_entry")}
    assert colours == {"blue"}
    assert "ix_colour" in indexes
    assert count(old, document_entry) == before
    assert schema.migrate(old, later(ADDED)) == (ADDED, ADDED)


@pytest.mark.slow
def test_serving_goes_on_during_a_step_that_adds(
    old: Database, later: Callable[[str], Migrations], tmp_path: Path, databases: Databases
) -> None:
    schema.migrate(old)
    serving = Database(databases.url(tmp_path))
    registry = DocumentRegistry(database=serving)
    over = threading.Event()

    def register() -> int:
        number = 0
        while not over.is_set() or number < 5:
            world = World.new()
            registry.register(submission(world, "iti42/minimal_document"))
            assert len(entries(registry, world.patient(1))) == 1
            number += 1
        return number

    with ThreadPoolExecutor(2) as threads:
        registering = [threads.submit(register) for _ in range(2)]
        try:
            schema.migrate(old, later(ADDED))
        finally:
            over.set()
        done = sum(one.result() for one in registering)
    schema.prepare(serving)  # a program of before may also start again
    serving.close()
    assert count(old, document_entry) == 8 + done


# --- refused -------------------------------------------------------------------------------------


def test_a_newer_database_is_refused(empty: Database, later: Callable[[str], Migrations]) -> None:
    schema.migrate(empty, later("99.0"))
    for act in (schema.prepare, schema.migrate):
        with pytest.raises(SchemaMismatch) as refused:
            act(empty)
        assert str(refused.value) == (
            f"the database has schema 99.0, and this program knows {HEAD} at most: use a newer "
            "program"
        )


def test_an_older_database_is_upgraded_or_refused(
    empty: Database, later: Callable[[str], Migrations]
) -> None:
    schema.migrate(empty)
    for head in (ADDED, "99.0"):
        if empty.is_sqlite:
            schema.prepare(empty, later(head))
            assert schema.current(empty) == head
        else:
            with pytest.raises(SchemaMismatch, match=f"schema {HEAD}, and this program needs"):
                schema.prepare(empty, later(head))


@pytest.mark.parametrize("revision", ["0a1b", "1", "1.0.0"])
def test_a_schema_of_another_program_is_refused(empty: Database, revision: str) -> None:
    schema.migrate(empty)
    stamp(empty, revision)
    with pytest.raises(SchemaMismatch, match=f"none of this program: {revision}"):
        schema.prepare(empty)


@pytest.mark.parametrize(
    ("found", "program", "is_served"),
    [
        ("1.0", "1.0", True),
        ("1.2", "1.0", True),
        ("1.10", "1.9", True),
        ("1.0", "1.2", False),
        ("2.0", "1.9", False),
        ("1.9", "2.0", False),
    ],
)
def test_a_program_serves_what_only_adds_to_its_schema(
    found: str, program: str, is_served: bool
) -> None:
    assert schema.is_served_by(found, program) is is_served


# --- the command ---------------------------------------------------------------------------------


def test_the_command_says_what_it_has_done(
    empty: Database, tmp_path: Path, databases: Databases
) -> None:
    def migrate() -> tuple[int, str]:
        result = CliRunner().invoke(main, ["migrate", "--database", databases.url(tmp_path)])
        return result.exit_code, result.output

    assert migrate() == (0, f"The database is new, and has schema {HEAD} now.\n")
    assert migrate() == (0, f"The database has schema {HEAD}, and needs nothing.\n")
    stamp(empty, "99.0")
    code, said = migrate()
    assert code == 1
    assert said.startswith("Error: The database cannot be migrated: the database has schema 99.0")


def test_the_command_says_who_cannot_be_reached() -> None:
    url = "postgresql://postgres@127.0.0.1:1/xds"
    result = CliRunner().invoke(main, ["migrate", "--database", url])
    assert result.exit_code == 1
    assert "The database cannot be migrated: connection failed" in result.output
