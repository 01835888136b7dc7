"""A denied attempt is found by its patient: through the wire of each binding, with `xds audit`.

What a denied request is about is read for its record alone; what is answered tells no more for it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from tests.databases import Databases
from tests.fhir.asked import Reply, ask
from tests.fhir.genomics import CDA, FHIR_DOCUMENT_JSON, NHS_NUMBERS, binary, parameters
from tests.fhir.published import message as fhir_message
from tests.hl7v2.wire import adt, connected, merge, mrg, pid
from tests.ports import free_port
from tests.registry.wire import World, envelope, query, submit, texts
from tests.serving import Server, serving
from tests.soap import test_iti44 as v3
from tests.vouching import claims, token, vouching
from tests.waiting import until
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.app import INTERACTIONS
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentSource,
    TransactionRefused,
    entry_of,
    submission_of,
)
from xds.config import Config
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

POLICY: Final = """
[[rule]]
name = "another node"
decision = "permit"
nodes = ["CN=other"]
"""
HELD: Final = "D0^^^&2.999.1.1&ISO"
"""Whose document there is."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A server that denies everything, with one document."""

    server: Server
    mllp_port: int
    entry: DocumentEntry
    submission_set: str

    def get(self, path: str, **headers: str) -> Reply:
        return ask(self.server, "GET", path, headers)

    def post(self, path: str, resource: object, **headers: str) -> Reply:
        headers = {"Content-Type": "application/fhir+json", **headers}
        return ask(self.server, "POST", path, headers, json.dumps(resource).encode())

    def consumer(self) -> DocumentConsumer:
        return DocumentConsumer(self.server.registry_url, self.server.repository_url)

    def source(self) -> DocumentSource:
        return DocumentSource(self.server.repository_url, self.server.registry_url)

    def failed(self, patient_id: str, more_than: int = 0, **wanted: str) -> list[dict[str, Any]]:
        """Return the failed attempts at a patient's record, once there are more than so many."""
        where = ["--data", str(self.server.data), "--database", self.server.database]
        asked = [part for name, value in wanted.items() for part in (f"--{name}", value)]
        command = ["audit", *where, "--format", "json", "--failed", "--patient", patient_id]
        told = until(
            lambda: CliRunner().invoke(main, [*command, *asked]).stdout.splitlines(),
            lambda lines: len(lines) > more_than,
        )
        return [json.loads(line) for line in told]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Closed]:
    data = tmp_path_factory.mktemp("denied")
    entry, submission_set = stored(data, databases)
    (data / "policy.toml").write_text(POLICY)
    options = vouching().options(data / "issuers", user_assertions="optional")
    options |= {
        "database": databases.url(data),
        "policy": str(data / "policy.toml"),
        "audit": "on",
        "assigning_authority": "2.999.1.1",
        "mllp_port": str(free_port()),
    }
    with serving(data, options) as server:
        yield Closed(server, int(options["mllp_port"]), entry, submission_set)


def stored(data: Path, databases: Databases) -> tuple[DocumentEntry, str]:
    """Store a document before anyone is denied; return its entry and the id of its set."""
    domain = AffinityDomain.open(Config(data=data, database=databases.url(data)))
    try:
        submission = submission_of([entry_of(HELD, "text/plain")]).with_uuids()
        (entry,) = submission.document_entries
        staged = domain.repository.stage([b"x"])
        domain.repository.provide_and_register(submission, {entry.id: staged})
        return entry.updated(repository_unique_id="2.999.1.3"), submission.submission_set.id
    finally:
        domain.close()


# --- requests, each of which is denied -----------------------------------------------------------


def find(closed: Closed, patient_id: str) -> None:
    with closed.consumer() as consumer, pytest.raises(TransactionRefused):
        consumer.find_documents(patient_id)


def find_of_several(closed: Closed, patient_id: str) -> None:
    answer = query(
        closed.server,
        v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS,
        {
            "$XDSDocumentEntryPatientId": texts(patient_id, HELD),
            "$XDSDocumentEntryStatus": texts(v.APPROVED),
            "$XDSDocumentEntryClassCode": texts("1^^2.999"),
        },
        name="ITI-51",
    )
    assert answer.status == "Failure"


def provide(closed: Closed, patient_id: str) -> None:
    entry = entry_of(patient_id, "text/plain")
    with closed.source() as source, pytest.raises(TransactionRefused):
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",), 1)})


def register(closed: Closed, patient_id: str) -> None:
    entry = entry_of(patient_id, "text/plain", repository_unique_id="2.999.1.3")
    submission = submission_of([entry.updated(hash="0" * 40, size="1")])
    for name in ("ITI-42", "ITI-61"):
        assert submit(closed.server, submission, name).status == "Failure"


def feed_by_v3(closed: Closed, patient_id: str) -> None:
    subject = v3.subject(v3.identifier(patient_id.partition("^")[0]))
    message = v3.message(v3.ADD, subject)
    answer = v3.post(closed.server, envelope(f"urn:hl7-org:v3:{v3.ADD}", message))
    assert [one.get("code") for one in answer.iterfind(".//h:typeCode", v3.NS)][-1:] == ["CE"]


def merge_by_v3(closed: Closed, patient_id: str) -> None:
    prior = v3.identifier(patient_id.partition("^")[0])
    message = v3.message(v3.MERGE, v3.subject(v3.identifier("D0"), prior))
    answer = v3.post(closed.server, envelope(f"urn:hl7-org:v3:{v3.MERGE}", message))
    assert [one.get("code") for one in answer.iterfind(".//h:typeCode", v3.NS)][-1:] == ["CE"]


def feed(closed: Closed, patient_id: str) -> None:
    fed(closed, adt("A04", pid(patient_id)))


def revise(closed: Closed, patient_id: str) -> None:
    fed(closed, adt("A08", pid(patient_id)))


def merge_by_v2(closed: Closed, patient_id: str) -> None:
    fed(closed, merge(patient_id, HELD))


def change_link(closed: Closed, patient_id: str) -> None:
    local = "L1^^^&2.999.1.2&ISO"
    message = adt("A43", pid(HELD, local), mrg(patient_id), version="2.5")
    fed(closed, message.replace(b"|ADT|HOSP|", b"|2.999.5|PIX|"))


def fed(closed: Closed, message: bytes) -> None:
    with connected(closed.mllp_port) as sender:
        assert sender.ask(message).code == "AE"


def search(closed: Closed, patient_id: str) -> None:
    assert closed.get(f"/DocumentReference?{of(patient_id)}&status=current").status == 403


def search_by_form(closed: Closed, patient_id: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = f"{of(patient_id)}&code=submissionset&status=current".encode()
    assert ask(closed.server, "POST", "/List/_search", headers, form).status == 403


def search_of_the_system(closed: Closed, patient_id: str) -> None:
    assert closed.get(f"?_type=DocumentReference&{of(patient_id)}&status=current").status == 403


def search_of_patients(closed: Closed, patient_id: str) -> None:
    identifier = of(patient_id).removeprefix("patient.")
    assert closed.get(f"/Patient?{identifier}").status == 403


def search_beyond_the_scopes(closed: Closed, patient_id: str) -> None:
    bearer = f"Bearer {token(claims(scope='ITI-66'))}"
    path = f"/DocumentReference?{of(patient_id)}&status=current"
    assert closed.get(path, Authorization=bearer).status == 403


def publish_a_bundle(closed: Closed, patient_id: str) -> None:
    assert closed.post("", fhir(patient_id, "one_document")).status == 403


def publish_beyond_the_scopes(closed: Closed, patient_id: str) -> None:
    bearer = f"Bearer {token(claims(scope='ITI-66'))}"
    bundle = fhir(patient_id, "one_document")
    assert closed.post("", bundle, Authorization=bearer).status == 403


def publish_one(closed: Closed, patient_id: str) -> None:
    published = fhir(patient_id, "simplified_publish")
    assert closed.post("/DocumentReference", published).status == 403


def generate_of_cda(closed: Closed, patient_id: str) -> None:
    number = patient_id.partition("^")[0]
    cda = CDA.replace("9990000018", number).replace(NHS_NUMBERS, "2.999.1.1")
    generated(closed, parameters(binary(cda)))


def generate_of_fhir(closed: Closed, patient_id: str) -> None:
    number = patient_id.partition("^")[0].encode()
    data = FHIR_DOCUMENT_JSON.replace(b"9990000018", number)
    data = data.replace(b"https://fhir.nhs.uk/Id/nhs-number", b"urn:oid:2.999.1.1")
    generated(closed, parameters(binary(data, "application/fhir+json")))


def generated(closed: Closed, resource: object) -> None:
    assert closed.post("/DocumentReference/$generate-metadata", resource).status == 403


def of(patient_id: str) -> str:
    return f"patient.identifier=urn:oid:2.999.1.1%7C{patient_id.partition('^')[0]}"


def fhir(patient_id: str, name: str) -> object:
    text_ = json.dumps(fhir_message(name))
    return json.loads(text_.replace("M4001", patient_id.partition("^")[0]))


DENIED: Final[tuple[tuple[Callable[[Closed, str], None], str, str], ...]] = (
    (find, "ITI-18", "E"),
    (find_of_several, "ITI-51", "E"),
    (provide, "ITI-41", "C"),
    (register, "ITI-42 ITI-61", "C"),
    (feed_by_v3, "ITI-44", "C"),
    (merge_by_v3, "ITI-44", "D"),
    (feed, "ITI-8", "C"),
    (revise, "ITI-8", "U"),
    (merge_by_v2, "ITI-8", "D"),
    (change_link, "ITI-64", "U"),
    (search, "ITI-67", "E"),
    (search_by_form, "ITI-66", "E"),
    (search_of_the_system, "ITI-67", "E"),
    (search_of_patients, "ITI-78", "E"),
    (search_beyond_the_scopes, "ITI-67", "E"),
    (publish_a_bundle, "ITI-65", "C"),
    (publish_beyond_the_scopes, "ITI-65", "C"),
    (publish_one, "ITI-105", "C"),
    (generate_of_cda, "ITI-106", "C"),
    (generate_of_fhir, "ITI-106", "C"),
)


@pytest.mark.parametrize(
    ("attempt", "transactions", "action"), DENIED, ids=[one[0].__name__ for one in DENIED]
)
def test_an_attempt_is_found_by_its_patient(
    closed: Closed, attempt: Callable[[Closed, str], None], transactions: str, action: str
) -> None:
    patient_id = f"D{World.new().number}^^^&2.999.1.1&ISO"
    attempt(closed, patient_id)
    wanted = transactions.split()
    records = closed.failed(patient_id, more_than=len(wanted) - 1)
    assert sorted(one["transaction"] for one in records) == wanted
    for one in records:
        assert (one["outcome"], one["action"], one["patient_id"]) == (4, action, patient_id)
        assert one["description"].startswith("denied: ")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/document/{entry}", "ITI-68"),
        ("/Binary/{entry}", "ITI-68"),
        ("/DocumentReference/{entry}", "ITI-67"),
        ("/DocumentReference/{entry}/_history/1", "ITI-67"),
        ("/List/{set}", "ITI-66"),
        ("/Patient/1", "ITI-78"),
    ],
)
def test_an_attempt_to_read_is_found_by_the_patient_of_what_is_there(
    closed: Closed, path: str, name: str
) -> None:
    ids = {"entry": closed.entry.entry_uuid, "set": closed.submission_set}
    bare = {one: uuid.removeprefix("urn:uuid:") for one, uuid in ids.items()}
    before = len(closed.failed(HELD, -1, transaction=name))
    assert closed.get(path.format(**bare)).status == 403
    assert len(closed.failed(HELD, before, transaction=name)) > before


def test_an_attempt_to_retrieve_is_found_by_the_patient_of_the_document(closed: Closed) -> None:
    with closed.consumer() as consumer, pytest.raises(TransactionRefused):
        list(consumer.retrieve([closed.entry]))
    (one,) = closed.failed(HELD, transaction="ITI-43")
    assert [thing["id"] for thing in one["things"]] == [closed.entry.unique_id]


@pytest.mark.parametrize("form", ["?form=pdf", "?form=none", ""])
def test_an_attempt_to_have_a_form_is_found_whatever_form_it_names(
    closed: Closed, form: str
) -> None:
    number = closed.entry.entry_uuid.removeprefix("urn:uuid:")
    before = len(closed.failed(HELD, -1, transaction="ITI-68"))
    assert closed.get(f"/DocumentReference/{number}/$document{form}").status == 403
    told = closed.failed(HELD, before, transaction="ITI-68")
    assert all(
        [one["id"] for one in record["things"]] == [closed.entry.unique_id] for record in told
    )


def test_what_cannot_be_read_is_denied_and_recorded_all_the_same(closed: Closed) -> None:
    """A denial tells nothing of what was sent, be it wrong."""
    headers = {"Content-Type": "application/fhir+json"}
    refused = ask(closed.server, "POST", "", headers, b"{")
    whole = closed.post("", fhir("D1^^^&2.999.1.1&ISO", "one_document"))
    assert (refused.status, refused.body) == (whole.status, whole.body)
    log = (closed.server.data / "server.log").read_text()
    assert "what a denied request is about cannot be read" in log
    assert '"level": "error"' not in log


def test_every_interaction_tells_whom_it_is_about() -> None:
    for row in INTERACTIONS:
        if row.handler is not None:
            assert row.describer is not None or row.code in ("read", "vread"), row
