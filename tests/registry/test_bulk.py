"""`xds load`: what it copies into the tables is what registration would have left there."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, func, inspect, select

from bench.load.bulk import MOST, Bulk
from bench.load.filling import filling
from bench.load.generator import MEAN, Block, Population, Registration
from bench.load.random_values import patient_id
from tests.databases import Databases
from tests.registry import wire
from tests.serving import Server, serving
from xds.__main__ import main
from xds.commands.maintenance import load as load_command
from xds.database.access import Database
from xds.database.statements import METADATA
from xds.metadata import datatypes, ebrim, patterns
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.metadata.submission import Submission
from xds.parsing import parse
from xds.registry.registry import DocumentRegistry
from xds.registry.schema import SchemaMismatch
from xds.registry.tables import association, document_entry, event, folder

POPULATION = Population(160, 20, seed=7)
Rows = Mapping[str, Sequence[Any]]


def told(population: Population) -> list[Registration]:
    (block,) = population.blocks()
    return list(block.registrations())


def numbered() -> Iterator[str]:
    """Give UUIDs that are the same each time."""
    return (f"urn:uuid:00000000-0000-4000-8000-{number:012x}" for number in count(1))


def rows(database: Database) -> Rows:
    """Read every row of every table."""
    with database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in METADATA.sorted_tables
        }


def submission(registration: Registration) -> Submission:
    return Submission.read(parse(patterns.render(registration.drafts).encode()))


# --- the same as registration --------------------------------------------------------------------


def test_bulk_leaves_what_registration_leaves(
    tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrations = told(POPULATION)
    bulk = Bulk(0, 0, numbered().__next__)
    monkeypatch.setattr(ebrim, "new_uuid", numbered().__next__)
    with databases.opened(tmp_path / "a") as one, databases.opened(tmp_path / "b") as other:
        registry = DocumentRegistry(database=other)
        for registration in registrations:
            bulk.register(registration.drafts, registration.patient_id, registration.now)
            monkeypatch.setattr(datatypes, "now", lambda now=registration.now: now)
            registry.register(submission(registration))
        with one.write() as connection:
            bulk.write(connection)
        copied, registered = rows(one), rows(other)
        for name, expected in registered.items():
            assert copied[name] == expected, name
        with one.read() as connection:
            require_everything(connection)


def require_everything(connection: Connection) -> None:
    """Fail unless all that is told of a population has happened in this one."""
    kinds = set(connection.scalars(select(association.c.association_type)))
    assert kinds == {v.HAS_MEMBER, v.RPLC, v.APND, v.XFRM}
    assert set(connection.scalars(select(event.c.kind))) == {
        "registered",
        "deprecated",
        "content updated",
    }
    statuses = select(document_entry.c.availability_status, func.count()).group_by(
        document_entry.c.availability_status
    )
    counts = {row[0]: row[1] for row in connection.execute(statuses)}
    assert 0.05 < counts[v.DEPRECATED] / 160 < 0.2
    assert connection.scalar(select(func.count()).select_from(folder))
    replaced = select(association.c.source).where(association.c.association_type == v.RPLC)
    holders = select(folder.c.entry_uuid)
    inherited = select(func.count()).where(
        association.c.target.in_(replaced), association.c.source.in_(holders)
    )
    assert connection.scalar(inherited)


@pytest.mark.slow
def test_the_numbers_of_bulks_do_not_meet() -> None:
    population = Population(6_100, 1_000)
    taken: dict[str, set[int]] = {}
    blocks = list(population.blocks())
    assert sum(block.entries for block in blocks) == 6_100
    for block in blocks:
        for table, found in made(block).rows.items():
            numbers = {row["pk"] for row in found if "pk" in row}
            before = taken.setdefault(table.name, set())
            assert not numbers & before
            before |= numbers
            if table in MOST and numbers:
                assert max(numbers) <= (block.first + block.entries) * MOST[table] + len(
                    block.counts
                )
    assert len(blocks) > 2


def made(block: Block) -> Bulk:
    bulk = Bulk(block.first, block.first_patient, numbered().__next__)
    for one in block.registrations():
        bulk.register(one.drafts, one.patient_id, one.now)
    return bulk


@pytest.mark.parametrize(
    ("entries", "patients"), [(10_000 * MEAN, 10_000), (1, 1), (50, 50), (5_000, 2)]
)
def test_patients_have_the_documents_between_them(entries: int, patients: int) -> None:
    counts = [one for block in Population(entries, patients).blocks() for one in block.counts]
    assert (sum(counts), len(counts)) == (entries, patients)
    if patients == 10_000:
        assert max(counts) > 1_000
        assert sorted(counts)[patients // 10] == 6
        assert sorted(counts)[patients * 9 // 10] == 8


# --- the command ---------------------------------------------------------------------------------


def load(url: str, *arguments: str, processes: int = 1) -> Result:
    told = ["load", "--database", url, "--processes", str(processes)]
    return CliRunner().invoke(main, [*told, *arguments])


@pytest.mark.slow
def test_the_same_seed_loads_the_same(tmp_path: Path, databases: Databases) -> None:
    found = []
    for name, seed, processes in (("a", "3", 1), ("b", "3", 2), ("c", "4", 1)):
        with databases.opened(tmp_path / name) as database:
            arguments = ["--entries", "60", "--patients", "9", "--seed", seed]
            result = load(databases.url(tmp_path / name), *arguments, processes=processes)
            assert result.exit_code == 0, result.output
            assert "DocumentEntries\t60\npatients\t9\n" in result.stdout
            found.append(rows(database))
    assert found[0] == found[1] != found[2]


def test_a_loaded_database_has_its_indexes_and_numbers_on(
    tmp_path: Path, databases: Databases
) -> None:
    def indexes(database: Database) -> Sequence[Any]:
        with database.administer() as connection:
            looked = inspect(connection)
            return [
                (name, sorted(one["name"] or "" for one in look(name)))
                for name in METADATA.tables
                for look in (looked.get_indexes, looked.get_unique_constraints)
            ] + [(name, len(looked.get_foreign_keys(name))) for name in METADATA.tables]

    with databases.opened(tmp_path) as database:
        before = indexes(database)
        assert load(databases.url(tmp_path), "--entries", "40").exit_code == 0
        assert indexes(database) == before
        registry = DocumentRegistry(database=database)
        last = registry.events()[-1].number
        world = wire.World.new()
        registry.register(Submission.read(lcm(world.fixture("iti42/comprehensive_document"))))
        assert {one.number for one in registry.events(last)} == {last + 1, last + 2}


def lcm(envelope: Any) -> Any:
    return next(envelope.iter(f"{{{v.NS_LCM}}}SubmitObjectsRequest"))


def test_a_registry_with_something_in_it_is_refused(tmp_path: Path, databases: Databases) -> None:
    with databases.opened(tmp_path) as database:
        assert load(databases.url(tmp_path), "--entries", "5").exit_code == 0
        before = rows(database)
        result = load(databases.url(tmp_path), "--entries", "5")
        assert result.exit_code == 1
        assert result.stderr == (
            "Error: Only an empty registry is filled, and here there are rows in patient. "
            "Name a new folder by --data, or an empty database by --database.\n"
        )
        assert rows(database) == before


def test_a_load_that_was_broken_off_is_never_served(tmp_path: Path, databases: Databases) -> None:
    url = databases.url(tmp_path)
    with databases.opened(tmp_path) as database:
        with pytest.raises(KeyboardInterrupt), filling(database):
            raise KeyboardInterrupt
        with pytest.raises(SchemaMismatch, match="was broken off: then drop it"):
            schema_of_a_server(url)
        result = load(url, "--entries", "5")
        assert result.exit_code == 1
        assert "`xds load` is filling the database, or was broken off" in result.stderr


def schema_of_a_server(url: str) -> None:
    from xds.registry import schema

    database = Database(url)
    try:
        schema.prepare(database)
    finally:
        database.close()


def test_a_database_without_tables_is_made_or_refused(tmp_path: Path, databases: Databases) -> None:
    result = load(databases.empty(tmp_path), "--entries", "5")
    if databases.server is None:
        assert result.exit_code == 0
    else:
        assert "run `xds migrate` first" in result.stderr
        databases.drop(tmp_path)


# --- through the wire ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server of a registry that was loaded with POPULATION."""
    data = tmp_path_factory.mktemp("loaded")
    url = databases.url(data)
    result = load(url, "--entries", "160", "--patients", "20", "--seed", "7")
    assert result.exit_code == 0, result.output
    with serving(data, {"database": url}) as running:
        yield running


def of(patient: str) -> list[Registration]:
    return [one for one in told(POPULATION) if one.patient_id == patient]


PATIENTS = sorted({one.patient_id for one in told(POPULATION)})


@pytest.mark.parametrize("patient", PATIENTS[:3])
def test_everything_of_a_patient_is_found(loaded: Server, patient: str) -> None:
    answer = wire.get_all(loaded, patient)
    submitted = [draft for one in of(patient) for draft in one.drafts]
    for kind in (SubmissionSet, DocumentEntry, Folder):
        ids = [draft.id for draft in submitted if type(draft.pattern.thing) is kind]
        assert [one.id for one in answer.objects.values() if isinstance(one, kind)] == ids
    associations = {d.id for d in submitted if isinstance(d.pattern.thing, Association)}
    assert associations <= answer.objects.keys()


def test_a_document_is_found_by_what_it_says(loaded: Server) -> None:
    registration = of(PATIENTS[0])[0]
    (wanted, *_) = (
        one for one in submission(registration).objects if isinstance(one, DocumentEntry)
    )
    common = {
        "$XDSDocumentEntryPatientId": wire.text(PATIENTS[0]),
        "$XDSDocumentEntryStatus": wire.BOTH_STATUSES,
    }
    for query, parameters in (
        (v.FIND_DOCUMENTS, {"$XDSDocumentEntryTypeCode": wire.texts(str(wanted.type_code))}),
        (
            v.FIND_DOCUMENTS,
            {"$XDSDocumentEntryEventCodeList": wire.texts(str(wanted.event_code_list[0]))},
        ),
        (
            v.FIND_DOCUMENTS,
            {"$XDSDocumentEntryAuthorPerson": wire.texts(wanted.author[0].person[0])},
        ),
        (
            v.FIND_DOCUMENTS_BY_REFERENCE_ID,
            {"$XDSDocumentEntryReferenceIdList": wire.texts(wanted.reference_id_list[0])},
        ),
    ):
        answer = wire.found(wire.query(loaded, query, {**common, **parameters}))
        found = answer.objects[wanted.id]
        assert isinstance(found, DocumentEntry)
        assert found.unique_id == wanted.unique_id
        assert found.author == wanted.author
    unknown = {**common, "$XDSDocumentEntryReferenceIdList": wire.texts("X^^^^Y")}
    assert wire.query(loaded, v.FIND_DOCUMENTS_BY_REFERENCE_ID, unknown).ids == []


def test_what_was_loaded_can_be_built_upon(loaded: Server) -> None:
    """A Folder that was loaded gains a new document, and a document is replaced."""
    folders = [
        (one.patient_id, draft.id)
        for one in told(POPULATION)
        for draft in one.drafts
        if isinstance(draft.pattern.thing, Folder)
    ]
    patient, holder = folders[0]
    before = wire.get_all(loaded, patient)
    old = before.objects[holder]
    assert isinstance(old, Folder)
    fresh = Population(1, 1, seed=99)
    (registration,) = told(fresh)
    more = submission(registration)
    things = [
        thing.updated(patient_id=patient)
        if isinstance(thing, SubmissionSet | DocumentEntry)
        else thing
        for thing in more.objects
    ]
    (entry,) = more.document_entries
    member = Association.create(association_type=v.HAS_MEMBER, source=holder, target=entry.id)
    filed = Association.create(
        association_type=v.HAS_MEMBER, source=more.submission_set.id, target=member.id
    )
    wire.accept(loaded, Submission((*things, member, filed)))
    found = wire.get_all(loaded, patient).objects
    new = found[holder]
    assert isinstance(new, Folder)
    assert old.last_update_time != new.last_update_time
    assert member.id in found


def test_a_patient_is_named_by_number() -> None:
    assert told(Population(1, 1))[0].patient_id == patient_id(0, "2.999.1.1")


def test_nothing_is_said_of_documents(loaded: Server) -> None:
    """No document is missed: the entries are of a repository that is not here."""
    result = CliRunner().invoke(
        main, ["verify", "--data", str(loaded.data), "--database", loaded.database]
    )
    assert result.exit_code == 0, result.output
    assert "registered for this repository\t0" in result.stdout


def test_without_a_checkout_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_dir", lambda _: False)
        importlib.reload(load_command)
    try:
        result = CliRunner().invoke(load_command.command, ["--entries", "9"])
        assert result.exit_code == 1
        assert "pip install --editable ." in result.stderr
    finally:
        importlib.reload(load_command)
