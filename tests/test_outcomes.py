"""What became of a transaction: the same in answer, metrics, log and audit trail."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.audit.test_records import audit
from tests.databases import Databases
from tests.fhir.asked import ask
from tests.hl7v2.wire import connected
from tests.ports import free_port
from tests.registry.wire import World
from tests.serving import Server, serving
from tests.test_metrics import metrics
from tests.waiting import until
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentSource,
    TransactionRefused,
    entry_of,
    submission_of,
)
from xds.errors import FailureKind, TransactionFailure, XDSRegistryBusy, XDSRepositoryError, kind_of
from xds.metadata.objects import DocumentEntry
from xds.repository.store import StoreFull
from xds.security.errors import AccessDenied
from xds.security.interceptors import NotRecorded, Outcome, Result

_OF: Final = ("--transaction",)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """One server of its own: its metrics and its log are of these tests alone."""
    data = tmp_path_factory.mktemp("observed")
    options = {
        "audit": "on",
        "database": databases.url(data),
        "mllp_port": str(free_port()),
        "workers": "1",
    }
    with serving(data, options, processes=1) as server:
        yield server


@dataclass
class Seen:
    """What a server has told since a moment."""

    server: Server
    since: int
    before: dict[str, float]

    @classmethod
    def of(cls, server: Server) -> "Seen":
        """Begin to look."""
        return cls(server, server.log.stat().st_size, metrics(server))

    @property
    def counted(self) -> dict[str, float]:
        """What has grown among the metrics, and by how much."""
        found = metrics(self.server).items()
        return {k: v - self.before.get(k, 0) for k, v in found if v != self.before.get(k, 0)}

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        written = self.server.log.read_bytes()[self.since :].decode()
        return [json.loads(line) for line in written.splitlines()]

    def transactions(self, name: str = "") -> list[dict[str, Any]]:
        """The lines of transactions, of all or of one; not what the server says of itself."""
        found = [line for line in self.lines if line["event"] == "transaction"]
        return [line for line in found if name in ("", line["transaction"])]

    def outcomes(self, name: str) -> list[str]:
        """What metrics and log both say of one transaction."""
        logged = [line["outcome"] for line in self.transactions(name)]
        for outcome in set(logged):
            label = f'xds_transactions_total{{outcome="{outcome}",transaction="{name}"}}'
            assert self.counted[label] == logged.count(outcome)
        return logged

    @property
    def errors(self) -> list[str]:
        """Why registered documents could not be given out."""
        event = "a registered document cannot be given out"
        found = [one for one in self.lines if one["event"] == event]
        assert {one["level"] for one in found} <= {"error"}
        return [one["reason"] for one in found]


def provided(server: Server, patient_id: str, *contents: bytes) -> list[DocumentEntry]:
    entries = [entry_of(patient_id, "text/plain") for _ in contents]
    documents = {
        e.entry_uuid: Content((c,), len(c)) for e, c in zip(entries, contents, strict=True)
    }
    with DocumentSource(server.repository_url, server.registry_url) as source:
        source.provide_and_register(submission_of(entries), documents)
    with DocumentConsumer(server.registry_url) as consumer:
        found = {one.unique_id: one for one in consumer.find_documents(patient_id).document_entries}
    return [found[one.unique_id] for one in entries]


def retrieve(server: Server, *entries: DocumentEntry) -> list[bytes]:
    with (
        DocumentConsumer(server.registry_url, server.repository_url) as consumer,
        consumer.retrieve(entries, allow_partial=True) as retrieval,
    ):
        return [b"".join(one.chunks()) for one in retrieval]


def lose(server: Server, content: bytes) -> str:
    """Remove the bytes of a document, and return the key that they had."""
    store = server.store()
    for one in store.list():
        with store.open(one.key) as reader:
            if b"".join(reader) == content:
                store.delete(one.key)
                return one.key
    raise AssertionError("there is no such document")


def damage(server: Server, content: bytes, by: bytes) -> None:
    """Replace the bytes of a document, behind the back of the server."""
    for path in (server.data / "documents").rglob("*"):
        if path.is_file() and path.read_bytes() == content:
            path.chmod(0o600)
            path.write_bytes(by)


def test_a_document_whose_bytes_are_gone_is_a_failure_and_an_error(observed: Server) -> None:
    patient_id, content = World.new().patient(1), b"gone 1"
    (entry,) = provided(observed, patient_id, content)
    key = lose(observed, content)
    seen = Seen.of(observed)
    with pytest.raises(TransactionRefused, match="XDSDocumentUniqueIdError"):
        retrieve(observed, entry)
    identifier = (entry.entry_uuid or "").removeprefix("urn:uuid:")
    assert ask(observed, "GET", f"/document/{identifier}", {}).status == 410
    assert seen.outcomes("ITI-43") == seen.outcomes("ITI-68") == ["failure"]
    assert seen.errors == ["gone", "gone"]
    assert seen.counted['xds_documents_missing_total{reason="gone"}'] == 2
    assert {line["key"] for line in seen.lines if "key" in line} == {key}

    def recorded() -> list[dict[str, Any]]:
        found = [
            one for name in ("ITI-43", "ITI-68") for one in audit(observed, "--transaction", name)
        ]
        return [one for one in found if str(entry.unique_id) in json.dumps(one)]

    # they are moved to the database later
    of_these = until(recorded, lambda found: len(found) >= 2)
    assert {(one["outcome"], one["description"]) for one in of_these} == {
        (4, "XDSDocumentUniqueIdError")
    }
    assert len(of_these) == 2


def test_a_part_of_the_documents_is_a_part_of_a_success(observed: Server) -> None:
    contents = (b"partial 1", b"partial 2")
    entries = provided(observed, World.new().patient(1), *contents)
    lose(observed, contents[0])
    seen = Seen.of(observed)
    assert retrieve(observed, *entries) == [contents[1]]
    assert seen.outcomes("ITI-43") == ["partial"]
    (line,) = seen.transactions("ITI-43")
    assert (line["requested"], line["documents"]) == (2, 1)
    assert line["violations"] == [{"code": "XDSDocumentUniqueIdError"}]


@pytest.mark.on_files
@pytest.mark.parametrize(
    ("content", "by"),
    [
        pytest.param(b"damaged 1", b"damaged 2", id="other bytes"),
        pytest.param(b"damaged 3", b"damaged", id="fewer bytes"),
        pytest.param(b"damaged 4" * 20_000, b"damaged 5" * 20_000, id="other bytes, in blocks"),
    ],
)
def test_a_document_of_other_bytes_is_not_given_out(
    observed: Server, content: bytes, by: bytes
) -> None:
    (entry,) = provided(observed, World.new().patient(1), content)
    damage(observed, content, by)
    seen = Seen.of(observed)
    with pytest.raises(Exception, match=r"XDSRepositoryError|broke off|ended|too early|500"):
        retrieve(observed, entry)
    identifier = (entry.entry_uuid or "").removeprefix("urn:uuid:")
    try:
        reply = ask(observed, "GET", f"/document/{identifier}", {})
    except Exception:  # cut off before its end
        assert len(content) > 1 << 16
    else:
        assert reply.status == 500
    assert seen.errors == ["damaged", "damaged"]
    assert seen.counted['xds_documents_missing_total{reason="damaged"}'] == 2


def test_every_transaction_leaves_one_line_with_its_counts(observed: Server) -> None:
    patient_id = World.new().patient(1)
    seen = Seen.of(observed)
    provided(observed, patient_id, b"a", b"b")
    system, value = patient_id.partition("&")[2].partition("&")[0], patient_id.partition("^")[0]
    asked = f"/DocumentReference?patient.identifier=urn:oid:{system}%7C{value}&status=current"
    assert ask(observed, "GET", asked, {}).status == 200
    with connected(int(observed.options["mllp_port"])) as sender:
        text = f"MSH|^~\\&|A|B|C|D|20260101||ADT^A04|M1|P|2.3.1\rPID|||{patient_id}\r"
        assert sender.ask(text.encode()).code == "AA"
    counted = seen.counted
    assert counted['xds_feed_messages_total{acknowledgement="AA",event="A04"}'] == 1
    assert counted["xds_feed_last_message_timestamp_seconds"] > 0
    (iti41,), (iti18,) = seen.transactions("ITI-41"), seen.transactions("ITI-18")
    (iti67,), (iti8,) = seen.transactions("ITI-67"), seen.transactions("ITI-8")
    assert (iti41["entries"], iti41["documents"]) == (2, 2)
    assert iti18["results"] == iti67["results"] == 2
    assert iti8["message_id"] == "M1"
    for line in (iti41, iti18, iti67, iti8):
        assert (line["level"], line["outcome"]) == ("info", "success")
        assert line["node"] == "127.0.0.1"
        assert line["milliseconds"] > 0
        assert line["correlation"]
    told = json.dumps(seen.lines)
    assert value not in told
    assert len(seen.transactions()) == 4


def test_a_refused_message_of_the_feed_is_one_line(observed: Server) -> None:
    seen = Seen.of(observed)
    with connected(int(observed.options["mllp_port"])) as sender:
        assert sender.ask(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A04|M2|P|2.3.1\r").code == "AE"
    (line,) = seen.transactions()
    assert (line["transaction"], line["outcome"], line["message_id"]) == ("ITI-8", "failure", "M2")
    assert line["violations"] == [{"code": "100", "attribute": "PID^1"}]


def test_a_query_is_refused_by_its_parameter(observed: Server) -> None:
    seen = Seen.of(observed)
    with DocumentConsumer(observed.registry_url) as consumer, pytest.raises(TransactionRefused):
        consumer.stored_query("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", {})
    (line,) = seen.transactions()
    assert {
        "code": "XDSStoredQueryMissingParam",
        "attribute": "$XDSDocumentEntryPatientId",
    } in line["violations"]


def test_a_fhir_search_is_refused_by_its_parameter(observed: Server) -> None:
    seen = Seen.of(observed)
    assert ask(observed, "GET", "/List?status=none&code=folder", {}).status == 400
    (line,) = seen.transactions()
    assert (line["transaction"], line["outcome"]) == ("ITI-66", "failure")
    assert line["violations"]


def test_the_metrics_tell_of_processes_connections_and_disks(observed: Server) -> None:
    with connected(int(observed.options["mllp_port"])) as sender:
        assert sender.ask(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A99|M3|P|2.3.1\r").code == "AR"
        found = metrics(observed)
    assert found["xds_feed_connections"] == 1
    assert found['xds_feed_messages_total{acknowledgement="AR",event="other"}'] >= 1
    assert found["xds_http_requests_in_progress"] == 0
    assert found["xds_http_threads"] == observed.config.threads
    assert found['xds_process_starts_total{process="worker"}'] == 1
    assert (
        0 < found['xds_disk_free_bytes{place="data"}'] < found['xds_disk_size_bytes{place="data"}']
    )
    memory = {name: value for name, value in found.items() if "resident_memory" in name}
    assert {re.search(r'process="(\w+)"', name)[1] for name in memory} == {  # type: ignore[index]
        "supervisor",
        "worker",
        "feed",
    }
    assert min(memory.values()) > 1 << 20
    (connections,) = (value for name, value in found.items() if "xds_http_connections" in name)
    assert connections >= 1


@pytest.mark.parametrize(
    ("error", "kind", "result"),
    [
        (TransactionFailure([XDSRegistryBusy("")]), FailureKind.BUSY, Result.ERROR),
        (TransactionFailure([XDSRepositoryError("")]), FailureKind.REFUSED, Result.FAILURE),
        (StoreFull(""), FailureKind.FULL, Result.ERROR),
        (NotRecorded(), FailureKind.UNAVAILABLE, Result.ERROR),
        (AccessDenied(""), FailureKind.DENIED, Result.DENIED),
        (KeyError(""), FailureKind.INTERNAL, Result.ERROR),
    ],
)
def test_kinds(error: Exception, kind: FailureKind, result: Result) -> None:
    assert (kind_of(error), Outcome.of(error).result) == (kind, result)
