"""Submissions that race: one winner, a precise error for the loser, and nothing of the loser."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from lxml import etree

from tests.registry import edits, wire
from tests.registry.violations import message
from tests.registry.wire import Answer, World
from tests.rounds import rounds
from tests.serving import Server
from tests.waiting import PATIENCE
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, SubmissionSet

pytestmark = pytest.mark.slow

RACERS = 2
UUID = "urn:uuid:00000000-0000-4000-8000-0000000000"
OLD, HELD = f"{UUID}80", f"{UUID}81"

shows = pytest.mark.shows
Race = Callable[[list[etree._Element]], list[Answer]]


@pytest.fixture
def race(server: Server) -> Iterator[Race]:
    """Send messages at the same moment, and return their answers in the same order."""
    barrier = Barrier(RACERS)

    def run(one: etree._Element) -> Answer:
        barrier.wait(timeout=PATIENCE)
        return wire.send(server, one)

    with ThreadPoolExecutor(RACERS) as threads:
        yield lambda messages: list(threads.map(run, messages))


def _loser(answers: list[Answer]) -> Answer:
    """Return the one answer that is a failure; the others must be none."""
    assert Counter(answer.status for answer in answers) == {"Success": RACERS - 1, "Failure": 1}
    (lost,) = (answer for answer in answers if answer.status == "Failure")
    return lost


def _document(world: World, number: int, more: edits.Edit = edits.nothing) -> etree._Element:
    """Return the registration of a document, of a SubmissionSet and uniqueIds of its own."""
    numbered = edits.both(
        edits.replace("2.999.2.1", f"2.999.2.{number}"),
        edits.replace("2.999.3.1", f"2.999.3.{number}"),
        more,
    )
    return message(world, "iti42/minimal_document", numbered)


def _kinds(server: Server, world: World) -> Counter[type]:
    return Counter(type(one) for one in wire.get_all(server, world.patient(1)).objects.values())


@shows("behaviour race of SubmissionSets", "error XDSDuplicateUniqueIdInRegistry")
@rounds(15, 100)
def test_one_submission_set_is_registered_once(server: Server, race: Race, rounds: int) -> None:
    for _ in range(rounds):
        world = World.new()
        same = edits.replace("2.999.2.", "2.999.2.9")
        lost = _loser(race([_document(world, number, same) for number in (90, 90)]))
        assert [(p.code, p.location) for p in lost.problems] == [
            ("XDSDuplicateUniqueIdInRegistry", "submission-set")
        ]
        assert world.text("2.999.2.990") in lost.problems[0].context
        assert _kinds(server, world) == {SubmissionSet: 1, DocumentEntry: 1, Association: 1}


@shows("behaviour race of replacements", "error XDSRegistryDeprecatedDocumentError")
@rounds(15, 100)
def test_one_document_is_replaced_once(server: Server, race: Race, rounds: int) -> None:
    for _ in range(rounds):
        world = World.new()
        wire.accept(server, _document(world, 1, edits.replace("document", OLD)))
        replacement = edits.add_association("relation", v.RPLC, "document", OLD)
        lost = _loser(race([_document(world, number, replacement) for number in (2, 3)]))
        assert [(p.code, p.location) for p in lost.problems] == [
            ("XDSRegistryDeprecatedDocumentError", "relation")
        ]
        objects = wire.get_all(server, world.patient(1)).objects
        assert objects[world.text(OLD)].status == v.DEPRECATED
        entries = [one for one in objects.values() if isinstance(one, DocumentEntry)]
        assert Counter(one.status for one in entries) == {v.APPROVED: 1, v.DEPRECATED: 1}
        relations = [
            one
            for one in objects.values()
            if isinstance(one, Association) and one.association_type == v.RPLC
        ]
        assert [one.target for one in relations] == [world.text(OLD)]


@shows("behaviour race of documents", "error XDSNonIdenticalHash")
@rounds(8, 25)
def test_one_unique_id_stays_one_document(server: Server, race: Race, rounds: int) -> None:
    for _ in range(rounds):
        world = World.new()

        def document(number: int, digit: str, world: World = world) -> etree._Element:
            other = edits.both(
                edits.replace(f"2.999.3.{number}", "2.999.3.9"),
                edits.values(edits.slot(edits.DOCUMENT_ENTRY, "hash"), digit * 40),
            )
            return _document(world, number, other)

        lost = _loser(race([document(1, "a"), document(2, "b")]))
        assert [(p.code, p.location) for p in lost.problems] == [
            ("XDSNonIdenticalHash", "document")
        ]
        assert _kinds(server, world)[DocumentEntry] == 1


@shows("behaviour race of documents", "rule patient_of_document")
@rounds(8, 25)
def test_one_unique_id_stays_one_patients(server: Server, race: Race, rounds: int) -> None:
    for _ in range(rounds):
        world = World.new()

        def document(number: int, world: World = world) -> etree._Element:
            same = edits.replace(f"2.999.3.{number}", "2.999.3.9")
            return _document(
                world, number, edits.both(same, edits.replace("P1^^^", f"P{number}^^^"))
            )

        lost = _loser(race([document(1), document(2)]))
        assert [(p.code, p.location) for p in lost.problems] == [
            ("XDSPatientIdDoesNotMatch", "document")
        ]
        of_each = [wire.get_all(server, world.patient(number)).objects for number in (1, 2)]
        kept = [one for found in of_each for one in found.values()]
        assert [type(one) for one in kept].count(DocumentEntry) == 1


@shows("behaviour race of UUIDs")
@rounds(8, 25)
def test_one_uuid_is_given_once(server: Server, race: Race, rounds: int) -> None:
    for _ in range(rounds):
        world = World.new()
        named = edits.replace("document", HELD)
        lost = _loser(race([_document(world, number, named) for number in (1, 2)]))
        assert set(lost.codes) == {"XDSRegistryMetadataError"}
        assert world.text(HELD) in [problem.location for problem in lost.problems]
        assert _kinds(server, world)[DocumentEntry] == 1


@shows("behaviour atomic")
def test_a_query_never_sees_half_of_a_submission(server: Server, world: World) -> None:
    with ThreadPoolExecutor(1) as threads:
        for number in range(1, 20):
            sent = threads.submit(wire.accept, server, _document(world, number))
            while not sent.done():
                seen = _kinds(server, world)
                assert len({seen[kind] for kind in (SubmissionSet, DocumentEntry)}) == 1, seen
            sent.result()
    assert _kinds(server, world) == {SubmissionSet: 19, DocumentEntry: 19, Association: 19}
