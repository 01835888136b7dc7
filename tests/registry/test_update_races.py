"""Updates and removals that race: one wins, the other has a precise error, none is half done."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from lxml import etree

from tests.registry import edits, wire
from tests.registry.violations import message
from tests.registry.wire import Answer, World
from tests.serving import Server
from tests.waiting import PATIENCE
from xds.client import (
    Content,
    DocumentAdministrator,
    DocumentConsumer,
    DocumentRequest,
    DocumentSource,
    TransactionRefused,
    entry_of,
    submission_of,
)
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import RIM
from xds.metadata.objects import Association, DocumentEntry

pytestmark = pytest.mark.slow
shows = pytest.mark.shows

ROUNDS = 100
LEVEL = "2"
REPOSITORY = "2.999.1.3"
CONTENT = b"Nothing to report.\n" * 10_000
UUID = "urn:uuid:00000000-0000-4000-8000-0000000000"
OLD, SET, MEMBER = f"{UUID}10", f"{UUID}01", f"{UUID}30"

Race = Callable[[list[etree._Element]], list[Answer]]


@pytest.fixture
def race(update_server: Server) -> Iterator[Race]:
    """Send messages at the same moment, and return their answers in the same order."""
    barrier = Barrier(2)

    def run(one: etree._Element) -> Answer:
        barrier.wait(timeout=PATIENCE)
        return wire.send(update_server, one)

    with ThreadPoolExecutor(2) as threads:
        yield lambda messages: list(threads.map(run, messages))


def _register(server: Server, world: World) -> None:
    """Register one document, of UUIDs that are known."""
    named = edits.both(
        edits.replace("member-document", MEMBER),
        edits.replace("submission-set", SET),
        edits.replace("document", OLD),
        edits.replace("2.999.3.1", "2.999.3.10"),
    )
    wire.accept(server, message(world, "iti42/minimal_document", named))


def _update(world: World, number: int) -> etree._Element:
    return message(
        world, "iti57/document_version", edits.replace("2.999.2.57", f"2.999.2.57{number}")
    )


def _related(world: World, kind: str) -> etree._Element:
    """Return the registration of another document that is related to the one."""
    relation = edits.both(
        edits.replace("2.999.2.1", "2.999.2.2"),
        edits.replace("2.999.3.1", "2.999.3.2"),
        edits.add_association("relation", kind, "document", OLD),
    )
    return message(world, "iti42/minimal_document", relation)


def _removal(world: World) -> etree._Element:
    sent = message(world, "iti62/one_document")
    (listed,) = sent.iter(f"{RIM}ObjectRefList")
    for one in list(listed):
        listed.remove(one)
    for uuid in (OLD, SET, MEMBER):
        etree.SubElement(listed, f"{RIM}ObjectRef", id=world.text(uuid))
    return sent


def _entries(server: Server, world: World) -> list[DocumentEntry]:
    objects = wire.get_all(server, world.patient(1), level=LEVEL).objects.values()
    return [one for one in objects if isinstance(one, DocumentEntry)]


@shows("behaviour race of updates", "error XDSMetadataVersionError")
def test_one_version_is_updated_once(update_server: Server, race: Race) -> None:
    for _ in range(ROUNDS):
        world = World.new()
        _register(update_server, world)
        answers = race([_update(world, 1), _update(world, 2)])
        assert Counter(one.status for one in answers) == {"Success": 1, "Failure": 1}
        (lost,) = (one for one in answers if one.status == "Failure")
        assert [(p.code, p.location) for p in lost.problems] == [
            ("XDSMetadataVersionError", "document")
        ]
        entries = _entries(update_server, world)
        assert [(one.version, one.status) for one in entries] == [
            ("1", v.DEPRECATED),
            ("2", v.APPROVED),
        ]


@shows("behaviour race of an update")
def test_of_an_update_and_a_replacement_one_is_current(update_server: Server, race: Race) -> None:
    """A version that was replaced first may be updated still, and stays Deprecated."""
    for _ in range(ROUNDS):
        world = World.new()
        _register(update_server, world)
        update, replacement = race([_update(world, 1), _related(world, v.RPLC)])
        assert update.status == "Success"
        if replacement.status == "Failure":
            assert [(p.code, p.location) for p in replacement.problems] == [
                ("XDSRegistryDeprecatedDocumentError", "relation")
            ]
        entries = _entries(update_server, world)
        (current,) = (one for one in entries if one.status == v.APPROVED)
        assert (current.lid == world.text(OLD)) is (replacement.status == "Failure")


@shows("behaviour race of a removal")
def test_what_is_removed_is_referenced_by_nothing(update_server: Server, race: Race) -> None:
    for _ in range(ROUNDS):
        world = World.new()
        _register(update_server, world)
        removal, addendum = race([_removal(world), _related(world, v.APND)])
        statuses = {removal.status, addendum.status}
        assert statuses == {"Success", "Failure"}, (removal.problems, addendum.problems)
        entries = {one.id for one in _entries(update_server, world)}
        if removal.status == "Failure":
            assert set(removal.codes) == {"ReferencesExistException"}
            assert len(entries) == 2
        else:
            assert addendum.codes == ["UnresolvedReferenceException"]
            assert entries == set()


@shows("behaviour race of a removal", "behaviour removal")
def test_a_query_sees_all_that_is_removed_or_nothing(update_server: Server) -> None:
    world = World.new()
    with ThreadPoolExecutor(1) as threads:
        for _ in range(ROUNDS):
            _register(update_server, world)
            sent = threads.submit(wire.accept, update_server, _removal(world))
            while not sent.done():
                objects = wire.get_all(update_server, world.patient(1)).objects.values()
                kinds = Counter(type(one) for one in objects)
                assert kinds[DocumentEntry] == kinds[Association], kinds
            sent.result()
    assert _entries(update_server, world) == []


@shows("behaviour race of a removal", "behaviour removal of documents")
def test_a_document_that_is_removed_is_retrieved_whole_or_not_at_all(
    update_server: Server,
) -> None:
    urls = update_server.registry_url, update_server.repository_url
    barrier = Barrier(2)
    with (
        DocumentSource(urls[1]) as source,
        DocumentAdministrator(*urls) as administrator,
        DocumentConsumer(*urls) as consumer,
        ThreadPoolExecutor(1) as threads,
    ):

        def remove(request: DocumentRequest) -> None:
            barrier.wait(timeout=PATIENCE)
            administrator.remove_documents([request])

        for _ in range(ROUNDS):
            request = _provide_without_metadata(source, administrator)
            removal = threads.submit(remove, request)
            barrier.wait(timeout=PATIENCE)
            answers = [_retrieved(consumer, request)]
            while not removal.done():
                answers.append(_retrieved(consumer, request))
            removal.result()
            answers.append(_retrieved(consumer, request))
            gone = answers.index("XDSDocumentUniqueIdError")
            assert set(answers[:gone]) <= {CONTENT}
            assert set(answers[gone:]) == {"XDSDocumentUniqueIdError"}


def _provide_without_metadata(
    source: DocumentSource, administrator: DocumentAdministrator
) -> DocumentRequest:
    """Provide a document and remove its metadata."""
    entry = entry_of(World.new().patient(1), "text/plain")
    submission = submission_of([entry])
    content = Content(lambda: (CONTENT,), len(CONTENT))
    source.provide_and_register(submission, {entry.id: content})
    administrator.remove_metadata([one.id for one in submission.objects])
    return DocumentRequest(REPOSITORY, entry.unique_id or "")


def _retrieved(consumer: DocumentConsumer, request: DocumentRequest) -> bytes | str:
    """Return the content of a document, or the code of the refusal."""
    try:
        return b"".join(b"".join(one.chunks()) for one in consumer.retrieve([request]))
    except TransactionRefused as refusal:
        return ", ".join(one.code for one in refusal.response.errors)
