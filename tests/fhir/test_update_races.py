"""Updates and removals by FHIR that race: one wins, the other has a precise error."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.updated import Published, history_of, published, replacing, setting
from tests.serving import Server
from tests.waiting import PATIENCE
from xds.client import (
    DocumentAdministrator,
    DocumentConsumer,
    TransactionRefused,
    next_version,
    update_of,
)

pytestmark = pytest.mark.slow
shows = pytest.mark.shows

ROUNDS = 100
STALE = "XDSMetadataVersionError"

Racer = Callable[[], Any]
Race = Callable[[Sequence[Racer]], list[Any]]


@pytest.fixture
def race() -> Iterator[Race]:
    """Do two things at the same moment, and return what came of them in the same order."""
    barrier = Barrier(2)

    def run(one: Racer) -> Any:
        barrier.wait(timeout=PATIENCE)
        return one()

    with ThreadPoolExecutor(2) as threads:
        yield lambda racers: list(threads.map(run, racers))


def _described(document: Published, text: str, **headers: str) -> Racer:
    edited = document.edited(setting(description=text))
    return lambda: document.put(edited, **headers)


@shows("behaviour race of updates by FHIR")
def test_of_two_puts_of_one_version_one_is_done(updating: Server, race: Race) -> None:
    for number in range(ROUNDS):
        document = published(updating)
        headers = {"If_Match": 'W/"1"'} if number % 2 else {}
        replies: list[Reply] = race(
            [_described(document, text, **headers) for text in ("one", "two")]
        )
        counts = Counter(reply.status for reply in replies)
        version = history_of(document.read())[0]
        if counts == {200: 2}:  # the second one had read what the first one made
            assert (headers, version) == ({}, "3")
            continue
        lost = next(reply for reply in replies if reply.status != 200)
        won = next(reply for reply in replies if reply.status == 200)
        assert document.refuses(lost, 412 if headers else 409)[0][1] == STALE
        assert version == "2"
        assert document.read() == won.json()


@pytest.fixture(scope="module")
def soap(updating: Server) -> Iterator[tuple[DocumentAdministrator, DocumentConsumer]]:
    urls = updating.registry_url, updating.repository_url
    with DocumentAdministrator(*urls) as administrator, DocumentConsumer(*urls) as consumer:
        yield administrator, consumer


@shows("behaviour race of updates by FHIR")
def test_of_a_put_and_an_iti_57_one_is_done(
    updating: Server, race: Race, soap: tuple[DocumentAdministrator, DocumentConsumer]
) -> None:
    administrator, consumer = soap
    for _ in range(ROUNDS):
        document = published(updating)
        (old,) = consumer.get_documents(entry_uuids=[f"urn:uuid:{document.id}"]).document_entries
        update = update_of(old, next_version(old, title="By SOAP"))

        def by_soap(update: Any = update) -> str:
            try:
                administrator.update(update)
            except TransactionRefused as refused:
                return ", ".join(one.code for one in refused.response.errors)
            return ""

        reply, code = race([_described(document, "by FHIR", If_Match='W/"1"'), by_soap])
        after = document.read()
        assert history_of(after) == ("2", "current")
        if reply.status == 200:
            assert (code, after["description"]) == (STALE, "by FHIR")
        else:
            assert document.refuses(reply, 412)[0][1] == STALE
            assert (code, after["content"][0]["attachment"]["title"]) == ("", "By SOAP")


@shows("behaviour race of updates by FHIR")
def test_of_a_put_and_a_replacement_one_document_is_current(updating: Server, race: Race) -> None:
    """A version that was replaced first may be updated still, and stays superseded.

    One that is replaced before the PUT reads it does not become current again, as the PUT says.
    """
    for _ in range(ROUNDS):
        document = published(updating)
        body = json.dumps(replacing(document)).encode()

        def replace(body: bytes = body) -> Reply:
            return ask(updating, "POST", "", {"Content-Type": FHIR_JSON}, body)

        update, replacement = race([_described(document, "seen"), replace])
        if update.status != 200:
            told = document.refuses(update, 422)
            assert {one[1] for one in told} == {"XDSMetadataUpdateError"}
            assert replacement.status == 200
        status = history_of(document.read())[1]
        if replacement.status == 200:
            assert status == "superseded"
        else:
            told = document.refuses(replacement, 422)
            assert {one[1] for one in told} == {"XDSRegistryDeprecatedDocumentError"}
            assert status == "current"


@shows("behaviour race of a removal by FHIR")
def test_a_document_is_read_whole_or_not_at_all(updating: Server) -> None:
    with ThreadPoolExecutor(1) as threads:
        for _ in range(ROUNDS):
            document = published(updating)
            before = document.read()
            removal = threads.submit(document.send, "DELETE", document.path)
            seen: list[int] = []
            while not removal.done() or not seen:
                reply = document.send("GET", document.path)
                assert reply.status == 404 or reply.json() == before
                seen.append(reply.status)
            assert removal.result().status == 200
            assert seen == sorted(seen), "what is gone does not come back"
            for path in (document.path, f"{document.path}/_history"):
                assert document.send("GET", path).status == 404


@shows("behaviour race of a removal by FHIR")
def test_of_a_put_and_a_removal_the_document_is_gone_in_the_end(
    updating: Server, race: Race
) -> None:
    """A removal that meets a new version is refused, or takes it along."""
    for _ in range(ROUNDS):
        document = published(updating)
        update, removal = race(
            [_described(document, "seen"), lambda d=document: d.send("DELETE", d.path)]  # type: ignore[misc]
        )
        if removal.status == 200:
            assert update.status in (200, 404, 422)
            assert document.send("GET", document.path).status == 404
        else:
            codes = {one[1] for one in document.refuses(removal, 409)}
            assert codes <= {"ReferencesExistException", "XDSUnreferencedObjectException"}
            assert (update.status, history_of(document.read())) == (200, ("2", "current"))
