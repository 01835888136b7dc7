"""Patients added and merged, at the database: state, events, races, and a patient with much."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Table, func, insert, select

from tests.databases import Databases
from tests.registry.wire import World
from tests.rounds import rounds
from tests.waiting import PATIENCE
from xds.database.access import Database
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.ebrim import Slot, new_uuid
from xds.metadata.submission import Submission
from xds.registry.identities import Fault, IdentityFinding, IdentityRefused, PatientIdentities, Role
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.registry import DocumentRegistry
from xds.registry.tables import document_entry, event, folder, patient, submission_set

DOMAIN = "2.999.1.1"
A, B, C, D = (f"{letter}^^^&{DOMAIN}&ISO" for letter in "ABCD")
ELSEWHERE = "A^^^&2.999.1.2&ISO"


@pytest.fixture
def identities(database: Database) -> PatientIdentities:
    return PatientIdentities(database, DOMAIN)


def survivors(database: Database) -> dict[str, str | None]:
    """Return every patient with the one that has what it had."""
    surviving = patient.alias()
    query = select(patient.c.patient_id, surviving.c.patient_id.label("survivor")).select_from(
        patient.outerjoin(surviving, patient.c.survivor == surviving.c.pk)
    )
    with database.read() as connection:
        return {row.patient_id: row.survivor for row in connection.execute(query)}


def told(database: Database) -> list[tuple[str, str | None, str | None]]:
    """Return the events of patients."""
    found = DocumentRegistry(database=database).events()
    return [(one.kind, one.patient_id, one.survivor) for one in found]


def refusal(act: Callable[[], None]) -> tuple[IdentityFinding, ...]:
    """Return why something is refused."""
    with pytest.raises(IdentityRefused) as refused:
        act()
    return refused.value.findings


def test_a_patient_is_added_once(database: Database, identities: PatientIdentities) -> None:
    for _ in range(3):
        identities.add(A)
    assert survivors(database) == {A: None}
    assert told(database) == [("patient added", A, None)]


def test_several_ids_of_a_patient_are_added_together_or_not(
    database: Database, identities: PatientIdentities
) -> None:
    identities.add(A, B, A)
    assert survivors(database) == {A: None, B: None}
    identities.merge(subsumed=A, surviving=B)
    assert refusal(lambda: identities.add(C, A)) == (
        IdentityFinding(Role.ADDED, Fault.SUBSUMED_BEFORE),
    )
    assert survivors(database) == {A: B, B: None}


def test_an_id_is_known_in_whatever_form_its_characters_come(
    database: Database, identities: PatientIdentities
) -> None:
    identities.add(f"e\u0301^^^&{DOMAIN}&ISO")
    identities.add(f"\u00e9^^^&{DOMAIN}&ISO")
    assert list(survivors(database)) == [f"\u00e9^^^&{DOMAIN}&ISO"]


@pytest.mark.parametrize(
    ("patient_id", "fault"), [(ELSEWHERE, Fault.FOREIGN), ("A", Fault.MALFORMED)]
)
def test_an_id_of_another_domain_is_not_added(
    database: Database, identities: PatientIdentities, patient_id: str, fault: Fault
) -> None:
    assert refusal(lambda: identities.add(patient_id)) == (IdentityFinding(Role.ADDED, fault),)
    assert survivors(database) == {}


def test_any_domain_is_admitted_where_none_is_configured(database: Database) -> None:
    identities = PatientIdentities(database)
    identities.add(A)
    identities.add(ELSEWHERE)
    identities.merge(subsumed=A, surviving=ELSEWHERE)
    assert survivors(database) == {A: ELSEWHERE, ELSEWHERE: None}


def test_a_subsumed_patient_is_not_added_again(
    database: Database, identities: PatientIdentities
) -> None:
    identities.add(A)
    identities.add(B)
    identities.merge(subsumed=A, surviving=B)
    expected = (IdentityFinding(Role.ADDED, Fault.SUBSUMED_BEFORE),)
    assert refusal(lambda: identities.add(A)) == expected
    assert survivors(database) == {A: B, B: None}


def test_chains_end_at_the_last_survivor_and_events_tell_each_merge(
    database: Database, identities: PatientIdentities
) -> None:
    for one in (A, B, C, D):
        identities.add(one)
    identities.merge(subsumed=A, surviving=B)
    identities.merge(subsumed=D, surviving=C)
    identities.merge(subsumed=B, surviving=C)
    assert survivors(database) == {A: C, B: C, C: None, D: C}
    assert told(database)[4:] == [
        ("patient merged", A, B),
        ("patient merged", D, C),
        ("patient merged", B, C),
    ]


@pytest.mark.parametrize(
    ("subsumed", "surviving", "findings"),
    [
        (A, A, [(Role.SUBSUMED, Fault.EQUAL)]),
        (ELSEWHERE, B, [(Role.SUBSUMED, Fault.FOREIGN)]),
        (A, ELSEWHERE, [(Role.SURVIVING, Fault.FOREIGN)]),
        ("A", ELSEWHERE, [(Role.SUBSUMED, Fault.MALFORMED), (Role.SURVIVING, Fault.FOREIGN)]),
        (D, B, [(Role.SUBSUMED, Fault.UNKNOWN)]),
        (A, D, [(Role.SURVIVING, Fault.UNKNOWN)]),
        (C, A, [(Role.SUBSUMED, Fault.SUBSUMED_BEFORE)]),
        (A, C, [(Role.SURVIVING, Fault.SUBSUMED_BEFORE)]),
        (C, D, [(Role.SUBSUMED, Fault.SUBSUMED_BEFORE), (Role.SURVIVING, Fault.UNKNOWN)]),
    ],
)
def test_a_refused_merge_changes_nothing(
    database: Database,
    identities: PatientIdentities,
    subsumed: str,
    surviving: str,
    findings: list[tuple[Role, Fault]],
) -> None:
    for one in (A, B, C):
        identities.add(one)
    identities.merge(subsumed=C, surviving=B)
    before = (survivors(database), told(database))
    found = refusal(lambda: identities.merge(subsumed=subsumed, surviving=surviving))
    assert found == tuple(IdentityFinding(*one) for one in findings)
    assert (survivors(database), told(database)) == before


def test_what_is_said_of_a_refusal_names_no_patient(identities: PatientIdentities) -> None:
    with pytest.raises(IdentityRefused) as refused:
        identities.merge(subsumed=A, surviving=B)
    assert str(refused.value) == (
        "the subsumed patient id is not known; the surviving patient id is not known"
    )
    assert "&" not in repr(refused.value)


# --- objects -------------------------------------------------------------------------------------


def entries(count: int, key: int) -> list[dict[str, object]]:
    """Make rows of DocumentEntries of the size that they have."""
    return [
        {
            "entry_uuid": new_uuid(),
            "availability_status": v.APPROVED,
            "object_type": v.STABLE_DOCUMENT_ENTRY,
            "patient": key,
            "unique_id": f"2.999.3.{number}",
            "logical_id": new_uuid(),
            "version": 1,
            "registered_at": "20260301",
            "last_updated_at": "20260301",
            "fragment": b"<rim:ExtrinsicObject>" + b"x" * 4_000,
        }
        for number in range(count)
    ]


@pytest.mark.slow
def test_a_merge_moves_ten_thousand_entries(
    database: Database, identities: PatientIdentities
) -> None:
    identities.add(A)
    identities.add(B)
    with database.write() as connection:
        key = connection.scalar(select(patient.c.pk).where(patient.c.patient_id == A))
        assert key is not None
        connection.execute(insert(document_entry), entries(10_000, key))
    identities.merge(subsumed=A, surviving=B)
    assert held(database, document_entry) == {B: 10_000}


def held(database: Database, table: Table) -> dict[str, int]:
    """Return how many objects each patient has."""
    query = (
        select(patient.c.patient_id, func.count())
        .select_from(table.join(patient, table.c.patient == patient.c.pk))
        .group_by(patient.c.patient_id)
    )
    with database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def submission(world: World, name: str = "iti42/folder") -> Submission:
    """Read a fixture, which is of patient 1."""
    body = world.fixture(name).find(f"{{{v.NS_SOAP12}}}Body")
    return Submission.read(body[0])


@pytest.mark.parametrize("learn", [True, False], ids=["open", "known"])
def test_only_active_patients_can_be_submitted_for(database: Database, learn: bool) -> None:
    world = World.new()
    registry = DocumentRegistry(database=database, learn_patients=learn)
    identities = PatientIdentities(database)
    identities.add(world.patient(1))
    identities.add(world.patient(2))
    registry.register(submission(world))
    identities.merge(subsumed=world.patient(1), surviving=world.patient(2))
    assert held(database, submission_set) == {world.patient(2): 1}
    assert held(database, folder) == {world.patient(2): 2}
    late = submission(world, "iti42/several_documents")
    with pytest.raises(TransactionFailure) as failure:
        registry.register(late)
    assert "XDSUnknownPatientId" in {error.code for error in failure.value.errors}
    assert ("registered", world.patient(1), None) in told(database)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2], ids=["one process", "two processes"])
@rounds(20, 100)
def test_merges_and_submissions_that_race_leave_nothing_behind(
    database: Database, databases: Databases, tmp_path: Path, processes: int, rounds: int
) -> None:
    """Two Databases on one state are to each other what two processes are."""
    other = Database(databases.url(tmp_path)) if processes == 2 else database
    registry = DocumentRegistry(database=other, learn_patients=False)
    identities = PatientIdentities(database)
    barrier = Barrier(2)
    refused = 0
    with ThreadPoolExecutor(2) as threads:
        for number in range(rounds):
            world = World.new()
            one, two = world.patient(1), world.patient(2)
            identities.add(one)
            identities.add(two)
            made = submission(world)

            # so that now the one comes first, now the other
            early, late = (0, number % 20) if number % 2 else (number % 20, 0)

            def submit(made: Submission = made, pause: int = early) -> bool:
                barrier.wait(PATIENCE)
                time.sleep(pause / 1_000)
                try:
                    registry.register(made)
                except TransactionFailure:
                    return False
                return True

            def unite(one: str = one, two: str = two, pause: int = late) -> None:
                barrier.wait(PATIENCE)
                time.sleep(pause / 1_000)
                identities.merge(subsumed=one, surviving=two)

            submitted, merged = threads.submit(submit), threads.submit(unite)
            merged.result()
            came_first = submitted.result()
            refused += not came_first
            for table, count in ((document_entry, 1), (submission_set, 1), (folder, 2)):
                assert one not in held(database, table)
                assert held(database, table).get(two, 0) == (count if came_first else 0)
    other.close()
    assert 0 < refused < rounds


def test_queries_of_a_subsumed_patient_find_nothing(database: Database) -> None:
    world = World.new()
    registry = DocumentRegistry(database=database)
    identities = PatientIdentities(database)
    registry.register(submission(world))
    identities.add(world.patient(2))
    identities.merge(subsumed=world.patient(1), surviving=world.patient(2))

    def found(patient_id: str) -> set[str | None]:
        slots = [
            Slot("$XDSDocumentEntryPatientId", (f"'{patient_id}'",)),
            Slot("$XDSDocumentEntryStatus", (f"('{v.APPROVED}')",)),
        ]
        objects = registry.query(QueryRequest(v.FIND_DOCUMENTS, slots), ANYTHING).objects
        return {one.patient_id for one in objects}

    assert found(world.patient(1)) == set()
    assert found(world.patient(2)) == {world.patient(2)}


def test_events_of_patients_stand_among_the_others(database: Database) -> None:
    world = World.new()
    registry = DocumentRegistry(database=database)
    registry.register(submission(world))
    identities = PatientIdentities(database)
    identities.add(world.patient(2))
    identities.merge(subsumed=world.patient(1), surviving=world.patient(2))
    *_, added, merged = registry.events()
    assert (added.object_kind, added.entry_uuid, added.submission_set) == ("Patient", None, None)
    assert (merged.kind, merged.patient_id, merged.survivor) == (
        "patient merged",
        world.patient(1),
        world.patient(2),
    )
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(event)) == merged.number
