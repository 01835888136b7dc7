"""The client and our own server: what is sent is understood, and comes back as it was."""

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving import Server
from xds.client import (
    AllOf,
    Content,
    DocumentConsumer,
    DocumentDiffers,
    DocumentRequest,
    DocumentSource,
    Fingerprint,
    SoapFaultReceived,
    TransactionRefused,
    TransportFailed,
    entry_of,
    new_oid,
    submission_of,
    submission_of_files,
)
from xds.config import EXAMPLE_REPOSITORY
from xds.errors import ERROR_SEVERITY
from xds.metadata import vocabulary as v
from xds.metadata.objects import Author, Code, DocumentEntry

REPORT = Path(__file__).parent.parent / "fixtures" / "documents" / "report.xml"
PDF = REPORT.with_suffix(".pdf")
MEGABYTE = 1 << 20


@pytest.fixture
def patient_id() -> str:
    """A patient whom no other test knows; the quotation mark must survive every query."""
    return f"O'{new_oid()[-12:]}^^^&2.999.1.1&ISO"


@pytest.fixture
def source(server: Server) -> Iterator[DocumentSource]:
    with DocumentSource(server.repository_url, server.registry_url) as source:
        yield source


@pytest.fixture
def consumer(server: Server) -> Iterator[DocumentConsumer]:
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        yield consumer


def provide(source: DocumentSource, patient_id: str, *texts: bytes) -> list[DocumentEntry]:
    """Provide and register small documents."""
    entries = [entry_of(patient_id, "text/plain") for _ in texts]
    documents = {
        entry.entry_uuid: Content((text,), len(text))
        for entry, text in zip(entries, texts, strict=True)
    }
    source.provide_and_register(submission_of(entries), documents)
    return entries


def retrieved(
    consumer: DocumentConsumer, *requests: DocumentEntry | DocumentRequest
) -> list[bytes]:
    """Retrieve small documents, in the order asked for."""
    received = {d.document_unique_id: b"".join(d.chunks()) for d in consumer.retrieve(requests)}
    asked = [
        r.unique_id if isinstance(r, DocumentEntry) else r.document_unique_id for r in requests
    ]
    return [received[unique_id or ""] for unique_id in asked]


def located(entry: DocumentEntry) -> DocumentEntry:
    return entry.updated(repository_unique_id=EXAMPLE_REPOSITORY)


# --- the way of a document -----------------------------------------------------------------------


def test_files_come_back_as_they_were(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str, tmp_path: Path
) -> None:
    response = source.provide_and_register(
        *submission_of_files([REPORT, PDF], patient_id, with_hash=True)
    )
    assert response.is_success
    assert response.errors == ()

    entries = consumer.find_documents(patient_id).document_entries
    originals = {"text/xml": REPORT, "application/pdf": PDF}
    assert {entry.mime_type for entry in entries} == originals.keys()
    by_unique_id = {entry.unique_id: entry for entry in entries}
    for document in consumer.retrieve(entries):
        original = originals[document.mime_type]
        target = tmp_path / original.name
        written = document.save(target, by_unique_id[document.document_unique_id])
        assert written == Content.of_file(original).fingerprint()
        assert target.read_bytes() == original.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.pdf", "report.xml"]


def test_what_was_said_of_a_document_is_found(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entry = entry_of(
        patient_id,
        "text/plain",
        title="Sono <1> & 'more'",
        author=(Author(person=("D1^Welby^Marcus^^^Dr^^^&2.999.1.6&ISO",), role=("Consultant",)),),
        event_code_list=(Code("A", "1.2", "Eh"), Code("B", "1.2", "Bee")),
        comments="two\nlines",
        creation_time="20260102030405",
    )
    source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",), 1)})
    (found,) = consumer.find_documents(patient_id).document_entries
    for name, attribute in DocumentEntry.attributes().items():
        sent = attribute.read(entry)
        if sent not in (None, ()):
            assert attribute.read(found) == sent, name
    assert found.hash == Fingerprint.of([b"x"]).hash
    assert found.availability_status == v.APPROVED


def test_an_open_file_and_an_iterable_without_size_are_sent_in_chunks(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    first, second = entry_of(patient_id, "text/plain"), entry_of(patient_id, "text/plain")
    source.provide_and_register(
        submission_of([first, second]),
        {
            first.entry_uuid: Content.of_stream(io.BytesIO(b"from a file\r\n")),
            second.entry_uuid: Content(iter([b"", b"from", b" ", b"a generator"])),
        },
    )
    assert retrieved(consumer, located(first), located(second)) == [
        b"from a file\r\n",
        b"from a generator",
    ]


def test_an_empty_document_is_a_document(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    (entry,) = provide(source, patient_id, b"")
    assert retrieved(consumer, located(entry)) == [b""]


def test_a_large_document_is_never_held(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str, tmp_path: Path
) -> None:
    size = 48 * MEGABYTE
    entry = entry_of(patient_id, "application/dicom")
    block = bytes(range(256)) * 4096
    told: list[int] = []
    content = Content(lambda: (block for _ in range(size // MEGABYTE)), size).watched(told.append)
    tracemalloc.start()
    try:
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: content})
        for document in consumer.retrieve([located(entry)]):
            written = document.save(tmp_path / "large")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written == Fingerprint.of(block for _ in range(size // MEGABYTE))
    assert sum(told) == size
    assert peak < 8 * MEGABYTE


def test_a_document_that_is_not_the_one_registered_does_not_appear(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str, tmp_path: Path
) -> None:
    (entry,) = provide(source, patient_id, b"one")
    other = located(entry).updated(hash=Fingerprint.of([b"two"]).hash, size="4")
    for document in consumer.retrieve([other]):
        with pytest.raises(DocumentDiffers, match="size is 3 bytes, registered are 4 and hash is"):
            document.save(tmp_path / "it", other)
    assert list(tmp_path.iterdir()) == []


def test_documents_can_be_passed_over(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entries = [located(e) for e in provide(source, patient_id, b"a" * MEGABYTE, b"b", b"c")]
    seen = []
    for document in consumer.retrieve(entries):
        seen.append(document.document_unique_id)
        if document.document_unique_id == entries[1].unique_id:
            assert b"".join(document.chunks()) == b"b"
    assert seen == [entry.unique_id for entry in entries]


def test_a_retrieval_that_is_left_harms_no_other(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entry = located(provide(source, patient_id, b"a" * 4 * MEGABYTE)[0])
    with consumer.retrieve([entry]) as documents:
        next(iter(next(iter(documents)).chunks()))
    assert retrieved(consumer, entry) == [b"a" * 4 * MEGABYTE]


def test_metadata_alone_are_registered(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entry = entry_of(
        patient_id, "text/plain", repository_unique_id="1.2.3", hash="0" * 40, size="7"
    )
    assert source.register(submission_of([entry])).is_success
    (found,) = consumer.find_documents(patient_id).document_entries
    assert found.repository_unique_id == "1.2.3"


def test_threads_share_a_client(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    def work(number: int) -> bytes:
        (entry,) = provide(source, patient_id, str(number).encode())
        return retrieved(consumer, located(entry))[0]

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(work, range(24))) == [str(n).encode() for n in range(24)]


# --- queries -------------------------------------------------------------------------------------


def test_references_are_what_object_ref_gives(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    (entry,) = provide(source, patient_id, b"x")
    found = consumer.find_documents(patient_id, return_type=v.OBJECT_REF)
    assert [one.entry_uuid for one in found.object_refs] == [entry.entry_uuid]
    assert found.objects == ()


def test_filters_choose(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entry = entry_of(
        patient_id,
        "text/plain",
        creation_time="2026",
        author=(Author(person=("^Welby^Marcus",)),),
        event_code_list=(Code("A", "1.2", "Eh"), Code("B", "1.2", "Bee")),
    )
    source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",), 1)})

    def count(**filters: object) -> int:
        return len(consumer.find_documents(patient_id, **filters).object_refs)  # type: ignore[arg-type]

    def found(**filters: object) -> bool:
        return count(return_type=v.OBJECT_REF, **filters) == 1

    assert found(class_code=entry.class_code)
    assert found(class_code="34109-9^^2.16.840.1.113883.6.1")
    assert found(class_code=[Code("x", "1.2"), entry.class_code])
    assert not found(class_code=Code("x", "1.2"))
    assert found(creation_time_from="2026", creation_time_to="202601010001")
    assert not found(creation_time_from="2027")
    assert found(author_person="%Welby%")
    assert not found(author_person="%Kiley%")
    assert found(event_code_list=AllOf(([Code("A", "1.2")], ["B^^1.2", "C^^1.2"])))
    assert not found(event_code_list=AllOf(([Code("A", "1.2")], [Code("C", "1.2")])))
    assert found(type=[v.STABLE_DOCUMENT_ENTRY])
    assert found(status=[v.APPROVED, v.DEPRECATED])
    assert not found(status=v.DEPRECATED)


def test_a_filter_that_does_not_exist_is_not_passed_over(consumer: DocumentConsumer) -> None:
    with pytest.raises(TypeError, match="no parameter for clas_code"):
        consumer.find_documents("P^^^&1.2&ISO", clas_code="a^^b")  # type: ignore[call-arg]


def test_a_list_longer_than_a_value_is_split(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entries = provide(source, patient_id, *(str(n).encode() for n in range(20)))
    wanted = [entry.unique_id or "" for entry in entries]
    found = consumer.get_documents(unique_ids=wanted).document_entries
    assert {entry.unique_id for entry in found} == set(wanted)
    found = consumer.get_documents(entry_uuids=[e.entry_uuid for e in entries]).document_entries
    assert len(found) == 20


def test_other_queries_give_their_objects(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    (entry,) = provide(source, patient_id, b"x")
    found = consumer.stored_query(
        v.GET_ALL,
        {
            "$patientId": patient_id,
            "$XDSDocumentEntryStatus": [v.APPROVED],
            "$XDSSubmissionSetStatus": [v.APPROVED],
            "$XDSFolderStatus": [v.APPROVED],
        },
    )
    assert [one.id for one in found.document_entries] == [entry.entry_uuid]
    assert len(found.submission_sets) == len(found.associations) == 1
    assert found.folders == ()


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_refusal_has_every_error_and_names_nobody(
    source: DocumentSource, patient_id: str
) -> None:
    entry = entry_of(patient_id, "text/plain", language_code="q_q", creation_time="yesterday")
    with pytest.raises(TransactionRefused) as caught:
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",))})
    refused = caught.value
    assert refused.transaction == "ITI-41"
    assert {error.code for error in refused.response.errors} == {"XDSRegistryMetadataError"}
    contexts = [error.code_context for error in refused.response.errors]
    assert any("languageCode" in context for context in contexts)
    assert any("creationTime" in context for context in contexts)
    assert {error.severity for error in refused.response.errors} == {ERROR_SEVERITY}
    assert {error.location for error in refused.response.errors} == {entry.entry_uuid}
    assert str(refused).startswith("ITI-41 was refused: XDSRegistryMetadataError")
    assert "languageCode" not in str(refused)
    assert "languageCode" in refused.explain()


def test_a_fault_tells_its_code_and_reason(server: Server, patient_id: str) -> None:
    with (
        DocumentConsumer(server.repository_url) as astray,
        pytest.raises(SoapFaultReceived) as caught,
    ):
        astray.find_documents(patient_id)
    assert caught.value.code == "Sender"
    assert caught.value.subcodes == ("ActionNotSupported",)
    assert "urn:ihe:iti:2007:RegistryStoredQuery" in caught.value.reason
    assert "urn:ihe:iti:2007:RegistryStoredQuery" in caught.value.detail


def test_of_documents_that_are_not_all_there_none_comes_unless_that_is_allowed(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str
) -> None:
    entry = located(provide(source, patient_id, b"here")[0])
    missing = DocumentRequest(EXAMPLE_REPOSITORY, "9.9.9")
    with pytest.raises(TransactionRefused) as caught:
        list(consumer.retrieve([missing, entry]))
    assert [error.code for error in caught.value.response.errors] == ["XDSDocumentUniqueIdError"]

    retrieval = consumer.retrieve([missing, entry], allow_partial=True)
    assert [b"".join(document.chunks()) for document in retrieval] == [b"here"]
    assert [error.location for error in retrieval.errors] == ["9.9.9"]
    with pytest.raises(TransactionRefused):
        list(consumer.retrieve([missing], allow_partial=True))


def test_each_repository_has_its_url(
    server: Server, source: DocumentSource, patient_id: str
) -> None:
    entry = located(provide(source, patient_id, b"here")[0])
    with DocumentConsumer(repository_urls={EXAMPLE_REPOSITORY: server.repository_url}) as consumer:
        assert retrieved(consumer, entry) == [b"here"]
        with pytest.raises(ValueError, match=r"no URL is given for the repository 1\.2\.3"):
            consumer.retrieve([DocumentRequest("1.2.3", "4.5.6")])


@pytest.mark.parametrize(("size", "said"), [(3, "longer"), (5, "shorter")])
def test_a_document_of_another_size_than_announced_is_not_registered(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str, size: int, said: str
) -> None:
    entry = entry_of(patient_id, "text/plain")
    with pytest.raises(ValueError, match=f"{said} than announced"):
        source.provide_and_register(
            submission_of([entry]), {entry.entry_uuid: Content((b"four",), size)}
        )
    assert consumer.find_documents(patient_id).document_entries == ()


def test_a_file_that_cannot_be_read_is_its_own_error(
    source: DocumentSource, consumer: DocumentConsumer, patient_id: str, tmp_path: Path
) -> None:
    entry = entry_of(patient_id, "text/plain")
    file = tmp_path / "gone.txt"
    file.write_text("here today")
    content = Content.of_file(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: content})
    assert consumer.find_documents(patient_id).document_entries == ()


def test_nobody_listening_is_a_failure_of_transport() -> None:
    with (
        DocumentConsumer("http://127.0.0.1:9/registry") as consumer,
        pytest.raises(TransportFailed, match="does not listen: the connection was refused"),
    ):
        consumer.find_documents("P^^^&1.2&ISO")


@pytest.mark.parametrize(
    "url", ["ftp://host/xds", "host/xds", "http:///xds", "http://user:secret@host/xds"]
)
def test_what_is_no_url_of_a_server_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL of the form") as caught:
        DocumentSource(url)
    assert "secret" not in str(caught.value)


# --- submissions from a few values ---------------------------------------------------------------


def test_a_patient_id_must_be_a_cx() -> None:
    with pytest.raises(ValueError, match="not a CX"):
        entry_of("P0001", "text/plain")


def test_a_file_tells_its_type_time_size_and_title(tmp_path: Path) -> None:
    file = tmp_path / "Befund.XML"
    file.write_bytes(b"<a/>")
    (entry,) = submission_of_files([file], "P^^^&1.2&ISO", title="Finding")[0].document_entries
    assert (entry.mime_type, entry.size, entry.title) == ("text/xml", "4", "Finding")
    assert entry.hash is None
    assert len(entry.creation_time or "") == 14
    assert entry.source_patient_id == entry.patient_id == "P^^^&1.2&ISO"


def test_the_client_stands_without_the_server() -> None:
    program = (
        "import sys, xds.client; "
        "print([m for m in ('spyne', 'sqlalchemy', 'pydantic', 'rich') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert run.stdout.strip() == b"[]"
