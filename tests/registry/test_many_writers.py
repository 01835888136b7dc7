"""Many writers on one registry: what they leave behind could have come of one after the other."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Event

import pytest
from sqlalchemy import select

from tests.databases import Databases
from tests.registry.wire import World
from tests.waiting import PATIENCE
from xds.client import new_oid
from xds.database.access import Database
from xds.database.errors import DatabaseConflict
from xds.database.locks import Locks
from xds.errors import TransactionFailure
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.ebrim import Slot, new_uuid
from xds.metadata.objects import Association, Code, DocumentEntry, Folder, SubmissionSet
from xds.metadata.submission import Submission
from xds.registry import events
from xds.registry.events import PATIENT_ADDED, NewEvent
from xds.registry.identities import IdentityRefused, PatientIdentities
from xds.registry.patients import added
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.registry import DocumentRegistry
from xds.registry.tables import patient

pytestmark = pytest.mark.slow

WRITERS = 6
ROUNDS = 12
CODE = Code("c", "2.999.5", "C")


@pytest.fixture
def registries(
    database: Database, tmp_path: Path, databases: Databases
) -> Iterator[list[DocumentRegistry]]:
    """Two registries on one database, which are to each other what two processes are."""
    other = Database(databases.url(tmp_path))
    yield [DocumentRegistry(database=one) for one in (database, other)]
    other.close()


def entry(patient_id: str, **more: str) -> DocumentEntry:
    codes = ("class_code", "type_code", "format_code", "practice_setting_code")
    return DocumentEntry.create(
        entry_uuid=new_uuid(),
        patient_id=patient_id,
        source_patient_id=patient_id,
        unique_id=more.pop("unique_id", new_oid()),
        mime_type="text/plain",
        hash="da39a3ee5e6b4b0d3255bfef95601890afd80709",
        size="0",
        language_code="en-GB",
        creation_time="20260301",
        repository_unique_id="2.999.1.3",
        confidentiality_code=(CODE,),
        healthcare_facility_type_code=CODE,
        **dict.fromkeys(codes, CODE),
        **more,
    )


def submission(patient_id: str, *things: DocumentEntry | Folder | Association) -> Submission:
    """Make a submission of objects of one patient."""
    holder = SubmissionSet.create(
        entry_uuid="submission-set",
        patient_id=patient_id,
        source_id="2.999.9",
        unique_id=new_oid(),
        submission_time="20260301",
        content_type_code=CODE,
    )
    members = [
        Association.create(
            association_type=v.HAS_MEMBER,
            source=holder.id,
            target=thing.id,
            submission_set_status=v.ORIGINAL if isinstance(thing, DocumentEntry) else None,
        )
        for thing in things
        if not isinstance(thing, Association) or thing.association_type == v.HAS_MEMBER
    ]
    return Submission((holder, *things, *members))


def related(kind: str, new: DocumentEntry, old: str) -> Association:
    return Association.create(association_type=kind, source=new.id, target=old)


def holds(holder: str, held: str) -> Association:
    return Association.create(
        entry_uuid=f"member {held}", association_type=v.HAS_MEMBER, source=holder, target=held
    )


def folder(patient_id: str) -> Folder:
    return Folder.create(
        entry_uuid=new_uuid(),
        patient_id=patient_id,
        unique_id=new_oid(),
        code_list=(CODE,),
        title="Folder",
    )


@dataclass(frozen=True)
class Found:
    """Everything that a patient has."""

    status: dict[str, str]
    """Of DocumentEntries."""
    links: list[tuple[str, str, str]]
    """Type, source and target of Associations."""

    def of(self, kind: str) -> list[tuple[str, str]]:
        """Return the ends of the Associations of a type."""
        return [(source, target) for found, source, target in self.links if found == kind]


def all_of(registry: DocumentRegistry, patient_id: str) -> Found:
    both = f"('{v.APPROVED}','{v.DEPRECATED}')"
    names = ("SubmissionSet", "DocumentEntry", "Folder")
    slots = [Slot(f"$XDS{name}Status", (both,)) for name in names]
    slots.append(Slot("$patientId", (f"'{patient_id}'",)))
    found = registry.query(QueryRequest(v.GET_ALL, slots), ANYTHING).objects
    links = [
        (next(kind for kind in KINDS if f'"{kind}"'.encode() in one.leaf()), one.source, one.target)
        for one in found
        if one.kind is Association and one.source and one.target
    ]
    status = {one.entry_uuid: one.availability_status for one in found}
    kept = {one.entry_uuid for one in found if one.kind is DocumentEntry}
    return Found({uuid: status[uuid] for uuid in kept}, links)


KINDS = (v.HAS_MEMBER, v.RPLC, v.APND)


def test_relations_of_one_patient_stay_lawful(registries: list[DocumentRegistry]) -> None:
    """Replacements, addenda and Folder updates of the same few documents, all at once."""
    chance = random.Random(7)
    world = World.new()
    patient_id = world.patient(1)
    first, holder = entry(patient_id), folder(patient_id)
    registries[0].register(submission(patient_id, first, holder, holds(holder.id, first.id)))
    names = [first.id]

    def write(number: int) -> int:
        """Try what the others may have made unlawful; return how often it was lawful."""
        registry, lawful = registries[number % 2], 0
        for _ in range(ROUNDS):
            new, old = entry(patient_id), chance.choice(names[-3:])
            kind = chance.choice((v.RPLC, v.APND, v.HAS_MEMBER))
            if kind == v.HAS_MEMBER:
                made = submission(patient_id, holds(holder.id, old))
            else:
                made = submission(patient_id, new, related(kind, new, old))
            with suppress(TransactionFailure):
                registry.register(made)
                lawful += 1
                if kind != v.HAS_MEMBER:
                    names.append(new.id)
        return lawful

    with ThreadPoolExecutor(WRITERS) as threads:
        lawful = sum(threads.map(write, range(WRITERS)))
    assert 0 < lawful < WRITERS * ROUNDS, "some are refused, and some are not"

    found = all_of(registries[0], patient_id)
    replaced = Counter(target for _, target in found.of(v.RPLC))
    assert set(replaced.values()) == {1}, "a document is replaced once"
    assert all(found.status[target] == v.DEPRECATED for target in replaced)
    for addendum, document in found.of(v.APND):
        if found.status[document] == v.DEPRECATED:
            assert found.status[addendum] == v.DEPRECATED, "an addendum goes with its document"
    in_folder = {target for source, target in found.of(v.HAS_MEMBER) if source == holder.id}
    for replacement, document in found.of(v.RPLC):
        if document in in_folder:
            assert replacement in in_folder, "a replacement joins its predecessor's Folder"


def test_a_new_patient_is_learnt_by_all_at_once(registries: list[DocumentRegistry]) -> None:
    for _ in range(ROUNDS):
        patient_id, barrier = World.new().patient(1), Barrier(WRITERS)

        def register(number: int, patient_id: str = patient_id, barrier: Barrier = barrier) -> None:
            made = submission(patient_id, entry(patient_id))
            barrier.wait(PATIENCE)
            registries[number % 2].register(made)

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(register, range(WRITERS)))
        assert len(all_of(registries[0], patient_id).status) == WRITERS
        with registries[0].database.read() as connection:
            rows = connection.execute(select(patient).where(patient.c.patient_id == patient_id))
            assert len(rows.all()) == 1


def test_a_document_of_a_merged_patient_is_the_survivors(
    registries: list[DocumentRegistry],
) -> None:
    registry, world = registries[0], World.new()
    one, two = world.patient(1), world.patient(2)
    registry.register(submission(one, entry(one, unique_id="2.999.3.1")))
    registry.register(submission(two, entry(two)))
    again = entry(two, unique_id="2.999.3.1")
    with pytest.raises(TransactionFailure) as refused:
        registry.register(submission(two, again))
    (error,) = refused.value.errors
    assert (error.code, error.attribute) == ("XDSPatientIdDoesNotMatch", "patientId")
    assert two in error.code_context
    assert one not in error.code_context
    PatientIdentities(registry.database).merge(subsumed=one, surviving=two)
    registry.register(submission(two, again))


def test_merges_in_all_directions_end_with_one_patient(
    registries: list[DocumentRegistry],
) -> None:
    """Everyone submits for, and merges, the same patients; nothing is lost, and nothing doubled."""
    patient_ids = [World.new().patient(number) for number in range(1, 5)]
    identities = [PatientIdentities(one.database) for one in registries]
    identities[0].add(*patient_ids)

    def act(number: int) -> int:
        chance, registered = random.Random(number), 0
        for _ in range(ROUNDS):
            one, two = chance.sample(patient_ids, 2)
            with suppress(TransactionFailure):
                registries[number % 2].register(submission(one, entry(one)))
                registered += 1
            if chance.random() < 0.2:
                with suppress(IdentityRefused):
                    identities[number % 2].merge(subsumed=one, surviving=two)
        return registered

    with ThreadPoolExecutor(WRITERS) as threads:
        registered = sum(threads.map(act, range(WRITERS)))
    with registries[0].database.read() as connection:
        rows = connection.execute(select(patient.c.patient_id, patient.c.survivor)).all()
    active = [row.patient_id for row in rows if row.survivor is None]
    assert 0 < len(active) < len(patient_ids), "some were merged, and one is left at least"
    found = {one: len(all_of(registries[0], one).status) for one in patient_ids}
    assert sum(found.values()) == registered
    assert {one for one, count in found.items() if count} <= set(active)


def test_an_object_that_changed_its_patient_meanwhile_is_looked_at_again(
    registries: list[DocumentRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SubmissionSet of one patient refers to a document of another, who is merged meanwhile."""
    registry, world = registries[0], World.new()
    one, two, three = (world.patient(number) for number in (1, 2, 3))
    document = entry(two)
    registry.register(submission(two, document))
    PatientIdentities(registry.database).add(three)
    merged = Event()
    write = Database.write

    def merge_before(database: Database, locks: Locks = Locks()) -> object:  # noqa: B008
        if not merged.is_set():
            merged.set()
            PatientIdentities(registries[1].database).merge(subsumed=two, surviving=three)
        return write(database, locks)

    monkeypatch.setattr(Database, "write", merge_before)
    holder, *_ = submission(one).objects
    member = Association.create(
        association_type=v.HAS_MEMBER,
        source=holder.id,
        target=document.id,
        submission_set_status="Reference",
    )
    registry.register(Submission((holder, member)))
    assert merged.is_set()
    assert (holder.id, document.id) not in all_of(registry, one).of(v.RPLC)
    assert len(all_of(registry, three).status) == 1


# --- events --------------------------------------------------------------------------------------


@pytest.fixture
def server(database: Database) -> Database:
    """A database on which several may write at once."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    return database


def test_events_are_not_seen_before_those_of_lower_numbers(server: Database) -> None:
    registry = DocumentRegistry(database=server)
    identities = PatientIdentities(server)
    one, two, three = (World.new().patient(1) for _ in range(3))
    identities.add(one)
    assert [told.patient_id for told in registry.events()] == [one]
    with server.write() as slow:
        key = added(slow, two)
        assert key is not None
        new_event = NewEvent(PATIENT_ADDED, None, None, key)
        events.write(slow, [new_event], at=datatypes.now())
        identities.add(three)  # which has a higher number, and is committed before
        assert [told.patient_id for told in registry.events()] == [one]
    assert [told.patient_id for told in registry.events()] == [one, two, three]


def test_a_subscriber_misses_nothing_and_sees_nothing_twice(
    registries: list[DocumentRegistry],
) -> None:
    over = Event()

    def read() -> list[int]:
        seen: list[int] = []
        last_look = False
        while not last_look:
            last_look = over.is_set()
            while more := registries[1].events(seen[-1] if seen else 0, at_most=5):
                seen.extend(one.number for one in more)
        return seen

    def write(number: int) -> None:
        for _ in range(ROUNDS):
            patient_id = World.new().patient(1)
            with suppress(DatabaseConflict):
                registries[number % 2].register(submission(patient_id, entry(patient_id)))

    with ThreadPoolExecutor(WRITERS + 1) as threads:
        reading = threads.submit(read)
        list(threads.map(write, range(WRITERS)))
        over.set()
        seen = reading.result()
    every = [one.number for one in registries[0].events()]
    assert seen == every == sorted(set(every))
    assert len(every) == 2 * WRITERS * ROUNDS
