"""Two processes on one state, each asked for what the other has done: nothing is out of date."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.databases import Databases
from tests.documents import options
from tests.hl7v2.wire import connected, merge
from tests.ports import free_port
from tests.serving import Server, serving
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentRequest,
    DocumentSource,
    TransactionRefused,
    entry_of,
    new_oid,
    submission_of,
)
from xds.config import EXAMPLE_REPOSITORY
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry

DOCUMENT: Final = b"Nothing to report.\n"
Pair = tuple[Server, Server, int]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Pair]:
    """Two processes with data folders of their own, and the port of the patient feed of one."""
    folder, feed = tmp_path_factory.mktemp("pair"), free_port()
    shared = {
        "database": databases.url(folder),
        "documents": (folder / "documents").as_uri(),
        "workers": "1",
        **options(folder),
    }
    one = serving(folder / "one", {**shared, "mllp_port": str(feed)}, processes=1)
    with one as first, serving(folder / "two", shared, processes=1) as second:
        yield first, second, feed


def patient() -> str:
    return f"P{new_oid()[-12:]}^^^&2.999.1.1&ISO"


def provide(server: Server, entry: DocumentEntry, replaced: str | None = None) -> None:
    submission = submission_of([entry])
    if replaced is not None:
        relation = Association.create(
            entry_uuid="relation", association_type=v.RPLC, source=entry.id, target=replaced
        )
        submission = submission.with_objects([*submission.objects, relation])
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(submission, {entry.id: Content((DOCUMENT,), len(DOCUMENT))})


def find(server: Server, patient_id: str, **more: Any) -> list[DocumentEntry]:
    with DocumentConsumer(server.registry_url) as consumer:
        return list(consumer.find_documents(patient_id, **more).document_entries)


def retrieve(server: Server, entry: DocumentEntry) -> bytes:
    request = DocumentRequest(EXAMPLE_REPOSITORY, entry.unique_id or "")
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        return b"".join(b"".join(document.chunks()) for document in consumer.retrieve([request]))


def search(server: Server, patient_id: str, more: str = "") -> Mapping[str, Any]:
    token = quote(f"urn:oid:2.999.1.1|{patient_id.partition('^')[0]}")
    return get(f"{server.url}/fhir/DocumentReference?patient.identifier={token}{more}")


def get(url: str) -> Mapping[str, Any]:
    with urllib.request.urlopen(url) as answer:
        found: Mapping[str, Any] = json.load(answer)
        return found


def test_what_one_acknowledges_the_other_finds_at_once(pair: Pair) -> None:
    one, two, _ = pair
    for first, second in ((one, two), (two, one)):
        entry = entry_of(patient(), "text/plain")
        provide(first, entry)
        (found,) = find(second, entry.patient_id or "")
        assert found.unique_id == entry.unique_id
        assert retrieve(second, entry) == DOCUMENT
        (resource,) = search(second, entry.patient_id or "")["entry"]
        url = resource["resource"]["content"][0]["attachment"]["url"]
        assert url.startswith(second.url)
        with urllib.request.urlopen(url.replace(second.url, first.url)) as answer:
            assert answer.read() == DOCUMENT


def test_what_one_has_rendered_is_anew_when_the_other_changed_it(pair: Pair) -> None:
    one, two, _ = pair
    entry = entry_of(patient(), "text/plain")
    patient_id = entry.patient_id or ""
    provide(one, entry)
    (registered,) = find(two, patient_id)
    for server in (one, two):
        (before,) = search(server, patient_id)["entry"]
        assert before["resource"]["status"] == "current"
    provide(two, entry_of(patient_id, "text/plain"), registered.id)
    for server in (one, two):
        found = search(server, patient_id)["entry"]
        states = {e["resource"]["id"]: e["resource"]["status"] for e in found}
        assert states[before["resource"]["id"]] == "superseded"
        assert sorted(states.values()) == ["current", "superseded"]


def test_a_merge_that_one_was_fed_counts_for_the_other(pair: Pair) -> None:
    one, two, feed = pair
    subsumed, surviving = patient(), patient()
    for patient_id in (subsumed, surviving):
        provide(two, entry_of(patient_id, "text/plain"))
    for server in (one, two):
        assert search(server, subsumed)["total"] == 1
    with connected(feed) as sender:
        assert sender.ask(merge(subsumed, surviving)).code == "AA"
    for server in (one, two):
        assert len(find(server, surviving)) == search(server, surviving)["total"] == 2
        assert search(server, subsumed)["total"] == 0
        with pytest.raises(TransactionRefused):
            provide(server, entry_of(subsumed, "text/plain"))


def test_a_page_leads_on_at_either(pair: Pair) -> None:
    one, two, _ = pair
    patient_id = patient()
    for _ in range(5):
        provide(one, entry_of(patient_id, "text/plain"))
    seen: list[str] = []
    page, at, other = search(one, patient_id, "&_count=2"), one, two
    while True:
        seen += [found["resource"]["id"] for found in page["entry"]]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            break
        at, other = other, at
        page = get(following[0].replace(other.url, at.url))
    assert len(seen) == len(set(seen)) == 5
