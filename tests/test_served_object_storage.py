"""A server whose documents lie in a bucket: through the wire, and while the store is away."""

import http.client
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.s3_server import S3, Swift
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
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
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.metadata.objects import DocumentEntry
from xds.repository.store import DocumentStore, open_store

MEGABYTE = 1 << 20
BLOCK = os.urandom(MEGABYTE)


@pytest.fixture(scope="module")
def place(s3: S3) -> dict[str, str]:
    """The options that name the bucket."""
    return {"documents": s3.fresh_url(), "documents_options": s3.option_text}


@pytest.fixture(scope="module")
def bucket_server(
    tmp_path_factory: pytest.TempPathFactory, place: dict[str, str]
) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("bucket"), place) as running:
        yield running


@pytest.fixture
def source(bucket_server: Server) -> Iterator[DocumentSource]:
    with DocumentSource(bucket_server.repository_url) as source:
        yield source


@pytest.fixture
def consumer(bucket_server: Server) -> Iterator[DocumentConsumer]:
    with DocumentConsumer(bucket_server.registry_url, bucket_server.repository_url) as consumer:
        yield consumer


@pytest.fixture
def store(s3: S3, place: dict[str, str]) -> DocumentStore:
    """The same bucket, without the server."""
    return open_store(place["documents"], s3.options)


@pytest.fixture
def swift(s3: S3) -> Swift:
    if s3.server is None:
        pytest.skip("stops the store, and it is another's")
    return s3.server


def provide(source: DocumentSource, *bodies: tuple[bytes, ...]) -> list[DocumentEntry]:
    """Provide documents of one patient in one submission."""
    patient_id = f"{new_oid()[-12:]}^^^&2.999.1.1&ISO"
    entries = [entry_of(patient_id, "text/plain") for _ in bodies]
    documents = {
        entry.entry_uuid: Content(body, sum(map(len, body)))
        for entry, body in zip(entries, bodies, strict=True)
    }
    source.provide_and_register(submission_of(entries), documents)
    return entries


def retrieve(consumer: DocumentConsumer, *entries: DocumentEntry) -> list[bytes]:
    """Retrieve documents by one request."""
    asked = [DocumentRequest(EXAMPLE_REPOSITORY, entry.unique_id or "") for entry in entries]
    return [b"".join(document.chunks()) for document in consumer.retrieve(asked)]


def errors_of(refused: pytest.ExceptionInfo[TransactionRefused]) -> list[str]:
    """Give the codes of the errors that came back."""
    return [error.code for error in refused.value.response.errors]


def is_ready(server: Server) -> bool:
    """Ask the server whether it is ready."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()


def run(server: Server, place: dict[str, str], command: str, *arguments: str) -> Result:
    """Run a command of maintenance on what the server keeps."""
    options = {"data": str(server.data), "database": server.database, **place}
    flags = [text for k, v in options.items() for text in (f"--{k.replace('_', '-')}", v)]
    return CliRunner().invoke(main, [command, *flags, *arguments])


def test_documents_come_back_as_they_were(
    source: DocumentSource, consumer: DocumentConsumer
) -> None:
    bodies = ((b"small",), (BLOCK,) * 20, (b"another",), ())
    entries = provide(source, *bodies)
    assert retrieve(consumer, *entries) == [b"".join(body) for body in bodies]


def test_a_refused_submission_leaves_nothing(source: DocumentSource, store: DocumentStore) -> None:
    before = set(store.list())
    entries = [entry_of("P1^^^&2.999.1.1&ISO", "text/plain") for _ in range(2)]
    wrong = [entries[0], entries[1].updated(hash="0" * 40)]
    documents = {
        entries[0].entry_uuid: Content((b"small",), 5),
        entries[1].entry_uuid: Content((BLOCK,) * 9, 9 * MEGABYTE),
    }
    with pytest.raises(TransactionRefused) as refused:
        source.provide_and_register(submission_of(wrong), documents)
    assert errors_of(refused) == ["XDSRepositoryMetadataError"]
    assert set(store.list()) == before


@pytest.mark.slow
def test_a_store_that_stops_is_told_and_loses_nothing(
    bucket_server: Server,
    source: DocumentSource,
    consumer: DocumentConsumer,
    store: DocumentStore,
    swift: Swift,
    place: dict[str, str],
) -> None:
    acknowledged = provide(source, (b"before",), (BLOCK,) * 10)
    before = {stored.key for stored in store.list()}
    swift.stop()
    try:
        for bodies in ([(b"refused",)], [(b"refused",), (BLOCK,) * 10]):
            with pytest.raises(TransactionRefused) as refused:
                provide(source, *bodies)
            assert errors_of(refused) == ["XDSRepositoryBusy"]
        with pytest.raises(TransactionRefused) as refused:
            retrieve(consumer, *acknowledged)
        assert errors_of(refused) == ["XDSRepositoryBusy"]
        assert not is_ready(bucket_server)
        verified = run(bucket_server, place, "verify")
        assert verified.stderr.startswith("Error: The document store is not available: ")
    finally:
        swift.start()
    assert is_ready(bucket_server)
    assert {stored.key for stored in store.list()} == before
    assert retrieve(consumer, *acknowledged) == [b"before", BLOCK * 10]
    assert retrieve(consumer, *provide(source, (b"after",))) == [b"after"]
    assert run(bucket_server, place, "verify").exit_code == 0
    log = bucket_server.log.read_text()
    assert "Connection refused" in log
    assert swift.options()["secret_access_key"] not in log


def test_verify_and_sweep_see_the_bucket(
    bucket_server: Server,
    source: DocumentSource,
    store: DocumentStore,
    place: dict[str, str],
) -> None:
    provide(source, (b"kept",))
    before = {stored.key for stored in store.list()}
    orphans = [store.stage([b"orphan"]) for _ in range(3)]
    store.publish(orphans)
    assert run(bucket_server, place, "sweep", "--older-than", "1h").stdout == ""
    time.sleep(1)  # a bucket tells times in whole seconds
    swept = run(bucket_server, place, "sweep", "--older-than", "0s", "--force")
    assert swept.stderr == "3 orphaned documents removed, 18 bytes.\n"
    assert {line.split("\t")[0] for line in swept.stdout.splitlines()} == {
        orphan.key for orphan in orphans
    }
    assert {stored.key for stored in store.list()} == before
    verified = run(bucket_server, place, "verify")
    assert verified.exit_code == 0, verified.output


def test_a_document_that_is_lost_from_the_bucket_is_found(s3: S3, tmp_path: Path) -> None:
    place = {"documents": s3.fresh_url(), "documents_options": s3.option_text}
    config = Config.model_validate({"data": tmp_path, **place})
    domain = AffinityDomain.open(config)
    try:
        staged = domain.repository.stage([b"lost"])
        entry = entry_of("P1^^^&2.999.1.1&ISO", "text/plain")
        domain.repository.provide_and_register(submission_of([entry]), {entry.entry_uuid: staged})
        domain.repository.store.delete(staged.key)
    finally:
        domain.database.close()
    flags = [text for k, v in place.items() for text in (f"--{k.replace('_', '-')}", v)]
    verified = CliRunner().invoke(main, ["verify", "--data", str(tmp_path), *flags])
    assert verified.exit_code == 1
    assert verified.stdout.startswith(f"{entry.unique_id}\tthe document is missing")
